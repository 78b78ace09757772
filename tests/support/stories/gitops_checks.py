"""What Argo CD, Flux and kstatus rely on in every version of an object."""

from __future__ import annotations

from typing import Any

from tests.support.stories.story import Meg
from tests.support.stories.watch_recorder import WatchRecorder

POSITIVE = ("Ready", "Accepted", "ForwardReady", "ReverseReady", "Resolved")
NEGATIVE = ("Reconciling", "Stalled")


def check_every(recorder: WatchRecorder, meg: Meg | str) -> int:
    """Check what kstatus, Argo CD and Flux build on, in every version; how many versions there were."""
    previous: dict[str, Any] | None = None
    for version in recorder.of(meg):
        _check(version)
        if previous is not None:
            _check_step(previous, version)
        previous = version
    return len(recorder.of(meg))


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
