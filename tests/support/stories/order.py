"""Reading AWS's call log, and watching that forward-confirmed reverse DNS never breaks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.stories.story import Story

WRITES = ("ChangeResourceRecordSets", "ModifyAddressAttribute", "ResetAddressAttribute")


@dataclass(frozen=True)
class Write:
    """One accepted call that changed something."""

    number: int
    time: float
    operation: str
    changes: frozenset[tuple[str, str, str, tuple[str, ...]]] = frozenset()
    """(verb, type, name, sorted values) of a change batch."""
    allocation_id: str = ""
    name: str = ""

    def verbs(self, rtype: str, name: str) -> dict[str, tuple[str, ...]]:
        """Verb -> values, of one record set in the batch."""
        return {verb: values for verb, t, n, values in self.changes if (t, n) == (rtype, name)}


def last_call(story: Story) -> int:
    """The number of the newest entry in the log: ``since`` of what follows."""
    return max((entry["number"] for entry in story.aws.log()), default=0)


def writes(story: Story, since: int = 0) -> list[Write]:
    """Every accepted write after entry ``since``, oldest first."""
    found = [e for e in story.aws.log(since=since) if e["operation"] in WRITES and e["outcome"] == "ok"]
    return [_write(entry) for entry in found]


def _write(entry: dict[str, Any]) -> Write:
    params = entry["params"]
    changes = frozenset(
        (
            change["Action"],
            change["ResourceRecordSet"]["Type"],
            change["ResourceRecordSet"]["Name"].rstrip("."),
            tuple(sorted(r["Value"] for r in change["ResourceRecordSet"].get("ResourceRecords", []))),
        )
        for change in (params.get("ChangeBatch") or {}).get("Changes", [])
    )
    return Write(
        entry["number"],
        entry["time"],
        entry["operation"],
        changes,
        params.get("AllocationId", ""),
        str(params.get("DomainName", "")).rstrip("."),
    )


def attempts(story: Story, since: int) -> list[str]:
    """Operations of every write sent after entry ``since``, accepted or not."""
    return [e["operation"] for e in story.aws.log(since=since) if e["operation"] in WRITES]


def only(found: list[Write], fits: Callable[[Write], object], what: str) -> Write:
    """The one write that fits."""
    matching = [w for w in found if fits(w)]
    assert len(matching) == 1, f"{what}: {matching} of {found}"
    return matching[0]


@contextmanager
def never_broken(story: Story) -> Iterator[None]:
    """While the block runs, every PTR in AWS names a record that all four servers answer with that address.

    Samples the world as fast as it answers; breaches are reported at the end.
    """
    stop, enough = threading.Event(), threading.Event()
    breaches: list[str] = []
    samples = 0

    def sample() -> None:
        nonlocal samples
        zones = {
            key.split(" ")[0].rstrip("."): key.split(" ")[1]
            for account in story.world()["accounts"].values()
            for key in account.get("zones", {})
        }
        while not stop.is_set():
            for address, ptr in _ptrs(story.world()).items():
                zone = max((z for z in zones if ptr.endswith(f".{z}")), key=len, default=None)
                served = story.aws.published(zones[zone], ptr) if zone else {}
                silent = [s for s, sets in served.items() if address not in (sets.get("A") or [0, []])[1]]
                # A PTR that moved on in the meantime is no breach; the next sample looks at the new one.
                if (silent or not served) and _ptrs(story.world()).get(address) == ptr:
                    breaches.append(
                        f"{address} has the PTR {ptr}, which {silent or 'nobody'} answers without it"
                    )
            samples += 1
            if samples > 3:
                enough.set()
            stop.wait(0.03)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield
    finally:
        # On a busy machine the block may end before the world was looked at often enough.
        enough.wait(30)
        stop.set()
        thread.join(30)
    assert samples > 3, f"only {samples} samples were taken"
    assert breaches == [], breaches[:3]


def _ptrs(world: Any) -> dict[str, str]:
    return {
        address: shown["ptr"].rstrip(".")
        for account in world["accounts"].values()
        for region in account.get("regions", {}).values()
        for address, shown in region["addresses"].items()
        if shown["ptr"]
    }
