"""Bugs in what a process does first (S12, E8)."""

from __future__ import annotations

from tests.support.mutants.mutant import Mutant

STARTUP = (
    Mutant(
        "first-look-for-ever",
        "E8",
        "An object that was Ready is not reconciled as long as its record cannot be read",
        "reconcile/reconciler.py",
        "            memory.progress.looked = True\n",
        "",
        tests=(
            "tests/reconcile/test_first_look.py::"
            "test_the_object_is_planned_for_after_a_minute_although_its_record_was_not_read",
        ),
    ),
    Mutant(
        "first-look-at-any-zone",
        "S12",
        "Route 53 is asked for a hosted zone that only a status names",
        "reconcile/rules/first_look.py",
        "    if not listed or ",
        "    if ",
        tests=(
            "tests/reconcile/test_first_look.py::"
            "test_every_other_object_is_planned_for_at_once[zone_not_listed]",
        ),
    ),
    Mutant(
        "first-look-without-a-policy",
        "S14",
        "Under Enforce, Route 53 is asked for a hostname before a policy allows it",
        "reconcile/rules/first_look.py",
        " or s.settings.policy is PolicyMode.ENFORCE:",
        ":",
        tests=(
            "tests/reconcile/test_first_look.py::test_every_other_object_is_planned_for_at_once[enforced]",
        ),
    ),
    Mutant(
        "name-known-before-its-mark",
        "S2",
        "A name counts as read, without an ownership record, before the list came to its ownership record",
        "aws/route53/records.py",
        "            marked = fold.add(items)\n",
        "            fold.add(items)\n            marked = [record.name for record in items]\n",
        tests=(
            "tests/aws/test_aws_records.py::test_a_name_is_served_with_the_page_that_shows_its_ownership_record",
        ),
    ),
    Mutant(
        "served-name-fails-with-the-list",
        "E8",
        "A name that a list showed before it failed counts as a failed reading",
        "aws/route53/records.py",
        "        for hostname in [host for host in asked if host in lane.waiting]:\n",
        "        for hostname in asked:\n",
        tests=(
            "tests/aws/test_aws_records.py::test_a_list_cut_in_the_middle_says_nothing_of_what_it_did_not_show",
        ),
    ),
    Mutant(
        "old-place-of-the-watch-for-ever",
        "E1",
        "A watch whose place is too old begins at the same place again, and nothing is heard any more",
        "kube/watch.py",
        '(version := self._listed.pop(urlsplit(url).path, ""))',
        '(version := self._listed.get(urlsplit(url).path, ""))',
        tests=("tests/kube/test_watch.py::test_a_list_of_the_caller_that_is_too_old_is_read_again",),
    ),
    Mutant(
        "watch-begins-in-the-middle-of-a-list",
        "E1",
        "The watch begins at the present moment, and a change since the list is not heard",
        "kube/watch.py",
        '        return {"metadata": {"resourceVersion": self._version}, "items": []}\n',
        '        return {"metadata": {"resourceVersion": ""}, "items": []}\n',
        tests=("tests/kube/test_watch.py::test_the_watch_begins_where_a_list_of_the_caller_ended",),
    ),
)
