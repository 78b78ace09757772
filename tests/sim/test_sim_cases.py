"""Situations that users of neighbouring tools reported: what the status says, and that the world is as before."""

from __future__ import annotations

import pytest

from tests.support.simulation.apiwire import Object
from tests.support.simulation.harness import NAMESPACE, Sim, simulate
from tests.support.simulation.scenarios import HOST


def ready_message(sim: Sim) -> str:
    conditions = sim.api.objects[NAMESPACE, "a"]["status"]["conditions"]
    return next(c["message"] for c in conditions if c["type"] == "Ready")


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        ("route53", "GetHostedZone"),
        ("route53", "ListHostedZones"),
        ("ec2", "DescribeNatGateways"),
        ("ec2", "DescribeAddresses"),
        ("ec2", "DescribeAddressesAttribute"),
    ],
)
def test_a_right_that_is_missing_is_named_and_found_again(service: str, operation: str) -> None:
    """Also where the spec names the hosted zone."""

    async def story(sim: Sim) -> None:
        zone = sim.world.zone()
        gateway = sim.world.nat_gateway(sim.world.eips(1))
        code = "AccessDenied" if service == "route53" else "UnauthorizedOperation"
        sim.world.control.add_fault(
            effect="error", service=service, operation=operation, code=code, status=403
        )
        sim.start()
        sim.meg("a", HOST, [{"natGatewayID": gateway}], forward={"hostedZoneID": zone.id})
        await sim.reason("a", "AccessDenied")
        assert f"{service}:{operation}" in ready_message(sim)
        sim.world.control.clear_faults()
        await sim.ready("a")

    simulate(story)


def test_a_ptr_and_an_a_record_in_capitals_are_adopted_and_left_as_they_were() -> None:
    async def story(sim: Sim) -> None:
        zone = sim.world.zone()
        [eip] = sim.world.eips(1)
        record = {
            "Name": HOST.upper(),
            "Type": "A",
            "TTL": 300,
            "ResourceRecords": [{"Value": eip.public_ip}],
        }
        sim.world.control.put_records(zone.id, [{"Action": "CREATE", "ResourceRecordSet": record}])
        sim.world.force_ptr(eip, HOST.upper())
        before = sim.world.dump()
        sim.start()
        sim.meg("a", HOST, [eip])
        await sim.ready("a")
        assert sim.checks.sent == 1, "only the ownership record is written"
        sim.delete("a")
        await sim.gone("a")
        await sim.drain()
        assert sim.world.dump() == before

    simulate(story)


def test_the_ptr_that_aws_gives_every_address_is_no_conflict() -> None:
    async def story(sim: Sim) -> None:
        sim.world.zone()
        sim.world.control.settings(generic_ptr=True)
        [eip] = sim.world.eips(1)
        reasons: set[str] = set()

        def heard(new: Object) -> None:
            reasons.update(c["reason"] for c in new["status"]["conditions"])

        sim.on_status(heard)
        sim.start()
        sim.meg("a", HOST, [eip])
        await sim.ready("a")
        assert "PTRConflict" not in reasons

    simulate(story)


@pytest.mark.parametrize("management", ["Managed", "Observed"])
def test_a_zone_that_is_made_anew_is_served(management: str) -> None:
    """Another ID and other name servers, which the registrar names from then on."""

    async def story(sim: Sim) -> None:
        old = sim.world.zone()
        [eip] = sim.world.eips(1)
        sim.start()
        if management == "Observed":
            sim.world.put_record(HOST, [eip.public_ip])
        sim.meg("a", HOST, [eip], forward={"management": management})
        await sim.ready("a")
        sim.world.outside("the hosted zone is made anew", HOST, eip.public_ip)
        del sim.world.model.account().route53.zones[old.id]
        new = sim.world.zone()
        assert sim.world.record(new, HOST, "A") is None
        if management == "Observed":
            await sim.reason("a", "WaitingForForward")
            sim.world.put_record(HOST, [eip.public_ip])
        else:
            await sim.until(
                lambda: sim.world.record(new, HOST, "A") is not None, "the record in the new zone"
            )
        await sim.ready("a")
        assert sim.world.ptr(eip) == HOST
        sim.delete("a")
        await sim.gone("a")
        assert sim.world.ptr(eip) is None
        left = sim.world.record(new, HOST, "A")
        assert left == (None if management == "Managed" else (300, (eip.public_ip,)))

    simulate(story)


def test_odd_names_and_other_types_around_the_hostname_stay_as_they_were() -> None:
    async def story(sim: Sim) -> None:
        sim.world.zone()
        sim.world.zone("0/25.113.0.203.in-addr.arpa")
        for child in ("*", "a@b", "0", "~x", "_tcp"):
            sim.world.put_record(f"{child}.{HOST}", ["192.0.2.7"])
        sim.world.put_record(HOST, ["2001:db8::7"], rtype="AAAA")
        sim.world.put_record(HOST, ['"v=spf1 -all"'], rtype="TXT")
        [eip] = sim.world.eips(1)
        before = sim.world.dump()
        sim.start()
        sim.meg("a", HOST, [eip])
        await sim.ready("a")
        sim.delete("a")
        await sim.gone("a")
        await sim.drain()
        assert sim.world.dump() == before

    simulate(story)
