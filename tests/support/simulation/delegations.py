"""Stories of who answers for a zone: white-label names, and an NS set of its own that differs from the parent's."""

from __future__ import annotations

from tests.support.simulation.context import HOST, Scenario, ScenarioContext, all_ready, with_eips

APEX = "example.com"
FIFTH = "ns1.otherdns-sandbox.net."


def _prepare_white_label(context: ScenarioContext) -> None:
    """The parent delegates to ns1 to ns4.example.com, which have the addresses of the zone's servers; the zone's own NS
    set names them, too, and a server of another DNS, which serves the zone without the record."""
    with_eips(1)(context)
    world = context.sim.world
    zone = world.zone_of(HOST)
    assert zone is not None
    glue = {}
    for number, server in enumerate(zone.name_servers, 1):
        name = f"ns{number}.{APEX}"
        glue[f"{name}."] = [world.dns.address_of(server)]
        world.put_record(name, glue[f"{name}."])
    world.put_record(APEX, [*glue, FIFTH], "NS", ttl=172800)
    world.dns.add_zone(APEX, [FIFTH], delegate=False)
    world.dns.registry.delegate(APEX, list(glue), glue)


async def _white_label(context: ScenarioContext) -> None:
    """No PTR while the server that only the zone's own NS set names lacks the record."""
    sim = context.sim
    sim.meg("a", HOST, context.eips)
    await sim.sleep(300)
    sim.world.dns.zone(APEX).put(HOST, "A", [context.eips[0].public_ip])
    all_ready(context, "a")
    await sim.ready("a")


DELEGATIONS = (Scenario("white-label", _prepare_white_label, _white_label, hasty=False),)
