"""Virtual days with many objects that are right: nothing grows, nothing is written, few calls are made."""

from __future__ import annotations

import os

import pytest

from tests.support.simulation.harness import Sim, simulate
from tests.support.simulation.record import recording
from tests.support.simulation.soak import DAY, Soak, soak

FORMS = {"quick": [(20, 0.5, "600")], "full": [(100, 30.0, "3600"), (1000, 3.0, "3600")]}
"""Objects, virtual days, seconds between two looks at an object that is right (the default is 600: a soak of that many
object-days with it takes half an hour of processor time). Sweeps, and so the calls to AWS, keep their defaults."""
MOST_GROWTH_MB = 8.0
"""The allocator's own play; a leak of one small object a pass would be ten times as much in the long form."""
MOST_OBJECTS = 0.02
"""Share by which the number of containers may differ: what is in flight at the moment of counting."""
CALLS_AN_HOUR = 12.0
"""To Route 53, and to EC2, with up to 1,000 objects in one zone, account and region."""


@pytest.mark.parametrize(("crs", "days", "resync"), FORMS[os.environ["MAILEGRESS_SIM"]])
def test_days_pass_and_nothing_grows(crs: int, days: float, resync: str) -> None:
    kept: list[Soak] = []

    async def story(sim: Sim) -> None:
        kept.append(await soak(sim, crs, days))

    with recording(f"soak-{crs}") as record:
        simulate(story, longest=(days + 3) * DAY, turns=10**9, settings={"resync_seconds": resync})
        found = kept[0]
        print(found.before, found.after, dict(found.calls))
        record.scenarios.add("soak")
        record.soak = {"days": days, "crs": crs, "rss_growth_mb": round(found.rss_growth_mb, 1)}
        assert found.versions[0] == found.versions[1], "E3: resourceVersions move although nothing happens"
        assert found.writes[0] == found.writes[1], "E3: something is written although nothing happens"
        assert found.after.store == found.before.store == crs
        assert found.after.queue <= crs, found
        assert found.after.tasks <= found.before.tasks + 8, found
        assert found.after.objects <= found.before.objects * (1 + MOST_OBJECTS) + 2000, found
        assert found.rss_growth_mb <= MOST_GROWTH_MB, found
        for service in ("route53", "ec2"):
            assert 0 < found.an_hour(service) <= CALLS_AN_HOUR, (
                f"S11: {found.an_hour(service):.1f} {service} calls an hour"
            )
