"""Every version of an object as a watcher (Argo CD, Flux, ``kubectl get -w``) sees it, and what must hold in each."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kubernetes import watch

from tests.support.stories.story import GROUP, PLURAL, VERSION, Meg, Story

POSITIVE = ("Ready", "Accepted", "ForwardReady", "ReverseReady", "Resolved")
NEGATIVE = ("Reconciling", "Stalled")


@dataclass
class History:
    """Versions of every object of a namespace, oldest first."""

    story: Story
    versions: list[dict[str, Any]] = field(default_factory=list)

    def of(self, meg: Meg | str) -> list[dict[str, Any]]:
        name = meg if isinstance(meg, str) else meg.name
        return [v for v in self.versions if v["metadata"]["name"] == name]

    def readiness(self, meg: Meg | str) -> list[tuple[str, str]]:
        """(status, reason) of Ready, one entry for every change."""
        found: list[tuple[str, str]] = []
        for version in self.of(meg):
            ready = condition(version, "Ready")
            entry = (ready["status"], ready["reason"])
            if not found or found[-1] != entry:
                found.append(entry)
        return found

    def statuses(self, meg: Meg | str, kind: str = "Ready") -> set[str]:
        return {condition(v, kind).get("status", "") for v in self.of(meg)}


def condition(version: dict[str, Any], kind: str) -> dict[str, Any]:
    """One condition of one version, or an empty one."""
    return next((c for c in (version.get("status") or {}).get("conditions", []) if c["type"] == kind), {})


@contextmanager
def watched(story: Story) -> Iterator[History]:
    """Collect every version of every object in the story's namespace, from now until the block ends."""
    history = History(story)
    where = (GROUP, VERSION, story.namespace, PLURAL)
    since = story.objects.list_namespaced_custom_object(*where)["metadata"]["resourceVersion"]
    stop, failures = threading.Event(), []

    def follow(version: str) -> None:
        try:
            while True:
                last = stop.is_set()
                for event in watch.Watch().stream(
                    story.objects.list_namespaced_custom_object,
                    *where,
                    resource_version=version,
                    timeout_seconds=1,
                ):
                    history.versions.append(event["object"])
                    version = event["object"]["metadata"]["resourceVersion"]
                if last:
                    return
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=follow, args=(since,), daemon=True)
    thread.start()
    try:
        yield history
    finally:
        stop.set()
        thread.join(30)
    assert not failures, failures


def check_every(history: History, meg: Meg | str) -> int:
    """Check what kstatus, Argo CD and Flux build on, in every version; how many versions there were."""
    previous: dict[str, Any] | None = None
    for version in history.of(meg):
        _check(version)
        if previous is not None:
            _check_step(previous, version)
        previous = version
    return len(history.of(meg))


def _check(version: dict[str, Any]) -> None:
    meta, status = version["metadata"], version["status"]
    found = {c["type"]: c for c in status["conditions"]}
    where = f"in version {meta['resourceVersion']}: {status}"
    assert next(c["type"] for c in status["conditions"]) == "Ready", where
    assert len(found) == len(status["conditions"]), f"a condition twice {where}"
    assert set(POSITIVE) <= set(found), f"a positive condition is missing {where}"
    assert status["observedGeneration"] <= meta["generation"], where
    negative = [k for k in NEGATIVE if k in found]
    assert all(found[k]["status"] == "True" for k in negative), (
        f"a negative condition is there only while True {where}"
    )
    assert len(negative) <= 1, f"both negative conditions {where}"
    if status["observedGeneration"] == -1:
        assert all(found[k]["status"] == "Unknown" and found[k]["reason"] == "Pending" for k in POSITIVE), (
            where
        )
        return
    assert all(c["observedGeneration"] == status["observedGeneration"] for c in found.values()), where
    ready = found["Ready"]
    if ready["status"] == "True":
        assert not negative, f"Ready beside {negative} {where}"
        details = [found[k]["status"] for k in POSITIVE]
        assert set(details) == {"True"}, f"Ready=True while a detail is not {where}"
    else:
        assert negative or ready["reason"] == "Suspended", f"neither Ready nor working nor stalled {where}"
        for kind in negative:
            assert (found[kind]["reason"], found[kind]["message"]) == (ready["reason"], ready["message"]), (
                where
            )


def _check_step(before: dict[str, Any], after: dict[str, Any]) -> None:
    old = {c["type"]: c for c in before["status"]["conditions"]}
    assert before["status"]["observedGeneration"] <= after["status"]["observedGeneration"]
    for found in after["status"]["conditions"]:
        former = old.get(found["type"])
        if former is None:
            continue
        moved = former["lastTransitionTime"] != found["lastTransitionTime"]
        flipped = former["status"] != found["status"]
        first = before["status"]["observedGeneration"] == -1
        assert not moved or flipped or first, f"time moved without a flip: {former} -> {found}"
