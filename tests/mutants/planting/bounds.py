"""Bugs that let one tenant or a stranger cost all others the operator (E8), or touch what is another's (S2)."""

from __future__ import annotations

from planting.mutant import Mutant

BOUNDS = (
    Mutant(
        "keeps-every-annotation",
        "E8",
        "Every annotation of every object is kept in memory",
        "api/slim.py",
        '        kept["annotations"] = {RECONCILE_ANNOTATION: requested[:RECONCILE_REQUEST_LENGTH]}\n',
        '        kept["annotations"] = dict(annotations)\n',
        tests=(
            "tests/kube/test_pages.py::test_a_slim_copy_has_our_own_finalizer_and_annotation_and_a_count",
        ),
    ),
    Mutant(
        "list-held-whole",
        "E8",
        "A page of a list is parsed when all of it is there",
        "kube/pages.py",
        "        if len(self._text) < self._worthwhile and not last:\n",
        "        if not last:\n",
        tests=("tests/kube/test_pages.py::test_a_page_is_never_held_whole",),
    ),
    Mutant(
        "exposition-for-each-scraper",
        "E8",
        "Every scraper has all metrics read for itself",
        "cli/http.py",
        "        if now >= at + EXPOSITION_SECONDS:\n",
        "        if now >= at:\n",
        tests=("tests/cli/test_http.py::test_one_exposition_serves_everybody_for_a_second",),
    ),
    Mutant(
        "connections-without-number",
        "E8",
        "Any number of connections to the port of probes and metrics stay open",
        "cli/http.py",
        "        if len(self._deadlines) >= MOST_CONNECTIONS:\n",
        "        if len(self._deadlines) >= 10 * MOST_CONNECTIONS:\n",
        tests=("tests/hostile/test_http.py::test_no_more_connections_than_the_bound_stay_open",),
    ),
    Mutant(
        "flood-drops-others-events",
        "E8",
        "A flood of Events in one namespace drops those of another",
        "kube/courier.py",
        "        namespace = max(self._waiting, key=lambda name: len(self._waiting[name]))\n",
        "        namespace = min(self._waiting, key=lambda name: len(self._waiting[name]))\n",
        tests=(
            "tests/kube/test_courier.py::"
            "test_a_flood_in_one_namespace_neither_delays_nor_drops_events_of_another",
        ),
    ),
    Mutant(
        "foreign-finalizers-dropped",
        "S2",
        "The finalizers of others go when the operator's own is put on",
        "reconcile/act.py",
        "        if meta.foreign_finalizers:\n",
        "        if meta.foreign_finalizers > 100:\n",
        tests=("tests/sim/test_sim_apiserver.py::test_finalizers_of_others_stay_as_they_are",),
    ),
)
