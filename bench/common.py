"""What the scenarios share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bench import floors
from bench.rig import Pace, Rig
from bench.seeding import Template, some
from sandbox.controlplane import ControlPlane


@dataclass(slots=True)
class Bench:
    """What scenarios share. ``window``: seconds of real time for idle CPU and memory, and again for idle counts."""

    plane: ControlPlane
    pace: Pace
    template: Callable[[], Template]
    say: Callable[[str], None]
    window: float = 600.0
    edits: int = 100
    quiet_calls: dict[int, int] = field(default_factory=dict)
    """Calls of the run without throttling, by size."""
    _serial: int = 0

    def rig(self, name: str, n: int, converged: bool = False, **settings: str) -> Rig:
        self._serial += 1
        template = self.template() if converged else None
        namespace = f"bench-{self._serial}-{name.replace('_', '-')}"
        return Rig(self.plane, namespace, some(n), self.pace, template, self.say, **settings)


def settled(rig: Rig) -> bool:
    """Nothing is due: no key waits for a worker, no call for its turn, and the sweeps are complete."""
    found = rig.metrics()
    waiting = ("route53_waiting", "route53_writes_due", "ec2_writes_due")
    return (
        bool(found)
        and found["mailegress_queue_depth"] == 0
        and not any(found[f'mailegress_aws_state{{what="{what}"}}'] for what in waiting)
    )


def started(rig: Rig) -> bool:
    """Every object was looked at, the sweeps since the last reset of the log are complete and nothing is due."""
    n, calls = len(rig.ones), rig.calls()
    swept = calls.get("ListResourceRecordSets", 0) >= min(floors.record_pages(n), n) and calls.get(
        "DescribeAddressesAttribute"
    )
    passed = rig.metrics().get('mailegress_reconciles_total{outcome="ok"}', 0) >= n
    return bool(swept and passed and settled(rig) and settled(rig))


def lag(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """The event loop's lag between two scrapes: the bounds of the buckets of its 99th percentile and its maximum."""
    prefix = 'mailegress_loop_lag_seconds_bucket{le="'
    counts = {
        float(name[len(prefix) : -2]): after[name] - before.get(name, 0.0)
        for name in after
        if name.startswith(prefix)
    }
    total = max(counts.values())
    return {
        "p99": min(le for le, count in counts.items() if count >= 0.99 * total),
        "largest": min(le for le, count in counts.items() if count >= total),
    }
