"""Stories of things that were there before, of others who want the same, and of servers that do not do their part."""

from __future__ import annotations

from typing import Any

from sandbox.dns.knobs import Knob
from tests.support.simulation.context import HOST, OTHER, Scenario, ScenarioContext, all_ready, with_eips
from tests.support.simulation.harness import NAMESPACE
from tests.support.simulation.world import REGION

FOREIGN = "192.0.2.77"
MARK = f"_mailegress.{HOST}"

# ---------------------------------------------------------------- what is there already


def _prepare_foreign_record(context: ScenarioContext) -> None:
    with_eips(1)(context)
    world = context.sim.world
    world.put_record(MARK, ['"somebody else was here"'], "TXT")
    world.touched.clear()


async def _foreign_record(context: ScenarioContext) -> None:
    """A TXT that is no mark, then an A with other addresses: each is a conflict until somebody takes it away."""
    sim, world = context.sim, context.sim.world
    sim.meg("a", HOST, context.eips)
    await sim.reason("a", "RecordConflict")
    await sim.sleep(1200)
    world.put_record(HOST, [FOREIGN])
    world.drop_record(MARK, "TXT")
    world.touched.clear()
    await sim.sleep(7200)
    world.drop_record(HOST)
    all_ready(context, "a")
    await sim.ready("a")


def _nothing_foreign(context: ScenarioContext, dump: dict[str, Any]) -> None:
    for account in dump["accounts"].values():
        for zone in account.get("zones", {}).values():
            for name in (f"{HOST}. A", f"{MARK}. TXT"):
                zone["record_sets"].pop(name, None)


def _prepare_foreign_ptr(context: ScenarioContext) -> None:
    with_eips(2)(context)
    context.sim.world.force_ptr(context.eips[1], "mail.somebody.example.net")
    context.sim.world.touched.clear()


async def _foreign_ptr(context: ScenarioContext) -> None:
    """The address with somebody else's PTR stays out until that is gone; the other one serves meanwhile."""
    sim, world = context.sim, context.sim.world
    sim.meg("a", HOST, context.eips)
    await sim.reason("a", "PTRConflict")
    await sim.sleep(1200)
    world.force_ptr(context.eips[1], None)
    all_ready(context, "a")
    await sim.ready("a")


def _no_foreign_ptr(context: ScenarioContext, dump: dict[str, Any]) -> None:
    for account in dump["accounts"].values():
        for region in account.get("regions", {}).values():
            region["addresses"][context.eips[1].public_ip]["ptr"] = None


def _prepare_right_record(context: ScenarioContext) -> None:
    with_eips(1)(context)
    context.sim.world.put_record(HOST, [context.eips[0].public_ip])
    context.sim.world.touched.clear()


async def _never_adopt(context: ScenarioContext) -> None:
    sim = context.sim
    sim.meg("a", HOST, context.eips, adoption="Never")
    context.expect = {"a": ("False", "RecordNotAdopted")}
    await sim.reason("a", "RecordNotAdopted")


def _prepare_neighbours(context: ScenarioContext) -> None:
    """More zones before ours than one page shows, and one whose name ends the hostname in the midst of a label."""
    with_eips(1)(context)
    world = context.sim.world
    ours = world.zone_of(HOST)
    world.zone(HOST[2:])
    while sum(1 for z in world.model.zones() if ours is not None and z.id < ours.id) < 100:
        world.zone(f"customer{len(list(world.model.zones()))}.example.com")


async def _neighbours(context: ScenarioContext) -> None:
    context.sim.meg("a", HOST, context.eips)
    all_ready(context, "a")
    await context.sim.ready("a")


# ---------------------------------------------------------------- others who want the same


def _prepare_race(context: ScenarioContext) -> None:
    """Both are there before any operator is; the one that was written down second is the older one."""
    with_eips(2)(context)
    sim = context.sim
    sim.meg("younger", HOST, context.eips[:1])
    sim.meg("older", HOST, context.eips[1:])
    sim.api.meddle(
        NAMESPACE, "older", lambda body: body["metadata"].update(creationTimestamp="2020-01-01T00:00:00Z")
    )


async def _race(context: ScenarioContext) -> None:
    sim = context.sim
    context.expect = {"older": ("True", "Ready"), "younger": ("False", "HostnameConflict")}
    await sim.until(lambda: sim.condition("older")[0] == "True", "the older one is Ready", invariant="E4")
    await sim.until(
        lambda: sim.condition("younger")[1] == "HostnameConflict", "the younger one is told", invariant="E4"
    )


def _prepare_address_race(context: ScenarioContext) -> None:
    """The same for an address that both want under different names."""
    with_eips(1)(context)
    sim = context.sim
    sim.meg("younger", HOST, context.eips)
    sim.meg("older", OTHER, context.eips)
    sim.api.meddle(
        NAMESPACE, "older", lambda body: body["metadata"].update(creationTimestamp="2020-01-01T00:00:00Z")
    )


async def _address_race(context: ScenarioContext) -> None:
    sim = context.sim
    context.expect = {"older": ("True", "Ready"), "younger": ("False", "AddressConflict")}
    await sim.until(lambda: sim.condition("older")[0] == "True", "the older one is Ready", invariant="E4")
    await sim.until(
        lambda: sim.condition("younger")[1] == "AddressConflict", "the younger one is told", invariant="E4"
    )


def _prepare_big_zone(context: ScenarioContext) -> None:
    """So many records that names are looked up one by one: nobody comes across a mark by chance."""
    with_eips(1)(context)
    world = context.sim.world
    zone = world.zone_of(HOST)
    assert zone is not None
    record = {"Type": "TXT", "TTL": 300, "ResourceRecords": [{"Value": '"x"'}]}
    names = [f"host{number}.example.com" for number in range(310)]
    changes = [{"Action": "CREATE", "ResourceRecordSet": {**record, "Name": name}} for name in names]
    world.control.put_records(zone.id, changes)


async def _deleted_while_down(context: ScenarioContext) -> None:
    """In the midst of a rename the operator dies, and the object is deleted before there is a new one."""
    sim = context.sim
    sim.meg("a", HOST, context.eips)
    await sim.ready("a")
    sim.edit("a", hostname=OTHER)
    await sim.until(lambda: sim.world.mark(sim.world.zone_of(OTHER), OTHER), "the claim on the new name")
    for process in list(sim.processes):
        process.crash()
    sim.delete("a")
    await sim.gone("a")


async def _renamed_while_down(context: ScenarioContext) -> None:
    """The first claim was just made when the operator dies; the object wants another name before there is a new one."""
    sim = context.sim
    sim.meg("a", HOST, context.eips)
    await sim.until(lambda: sim.world.mark(sim.world.zone_of(HOST), HOST), "the claim")
    for process in list(sim.processes):
        process.crash()
    sim.edit("a", hostname=OTHER)
    all_ready(context, "a")
    await sim.ready("a")


async def _restored(context: ScenarioContext) -> None:
    """A cluster is rebuilt: the object comes back with another UID and no status, the world is as it was."""
    sim = context.sim
    sim.meg("a", HOST, context.eips)
    await sim.ready("a")
    await sim.sleep(60)
    for process in list(sim.processes):
        process.crash()
    sim.api.meddle(NAMESPACE, "a", lambda body: body["metadata"].pop("finalizers"))
    sim.delete("a")
    sim.meg("a", HOST, context.eips)
    all_ready(context, "a")
    await sim.ready("a")


LEFT_UID = "5a1f4a52-6a4d-4a56-9d53-0c6f7c0f9a11"
LEFT_MARK = '"meg1 c 7bc2c2123a4d Wh9KUmpNSladUwxvfA-aEQ"'
"""As the first version wrote it."""


def _prepare_upgrade(context: ScenarioContext) -> None:
    """What the first version left, letter by letter: a mark, a status with a condition and reasons of its own, no
    ``iprev``."""
    with_eips(1)(context)
    sim, world, eip = context.sim, context.sim.world, context.eips[0]
    world.put_record(HOST, [eip.public_ip])
    world.put_record(MARK, [LEFT_MARK], "TXT")
    world.force_ptr(eip, HOST)
    world.touched.clear()
    spec = {"hostname": HOST, "elasticIPs": [{"allocationID": eip.allocation_id}]}
    sim.api.create(NAMESPACE, "a", spec, LEFT_UID)
    sim.checks.inherit(eip.public_ip, HOST, LEFT_UID)

    def left(body: dict[str, Any]) -> None:
        body["metadata"]["finalizers"] = ["mailegress.io/cleanup"]
        kinds = ("Ready", "Accepted", "ForwardReady", "ReverseReady", "Resolved", "Synchronised")
        address = {
            "selector": f"allocationID={eip.allocation_id}", "publicIP": eip.public_ip, "region": REGION,
            "allocationID": eip.allocation_id, "accountID": eip.account, "ptr": HOST, "ptrOrigin": "Managed",
        }  # fmt: skip
        condition = {"status": "True", "message": "As the first version put it.", "observedGeneration": 1}
        condition["lastTransitionTime"] = "2026-12-24T00:00:00Z"
        body["status"] = {
            "observedGeneration": 1, "hostname": HOST, "publicIPs": [eip.public_ip], "addresses": [address],
            "forward": {"values": [eip.public_ip], "ttlSeconds": 300},
            "conditions": [{**condition, "type": kind, "reason": f"Old{kind}"} for kind in kinds],
        }  # fmt: skip

    sim.api.meddle(NAMESPACE, "a", left)


async def _upgrade(context: ScenarioContext) -> None:
    sim = context.sim
    all_ready(context, "a")
    await sim.until(
        lambda: sim.condition("a") == ("True", "Ready"), "the new version's verdict", invariant="E9"
    )
    await sim.sleep(1000)
    if sim.checks.sent:
        sim.checks.violated("E9", f"{sim.checks.sent} writes to AWS for what another version left")


def _nothing_left(context: ScenarioContext, dump: dict[str, Any]) -> None:
    _nothing_foreign(context, dump)
    for account in dump["accounts"].values():
        for region in account.get("regions", {}).values():
            region["addresses"][context.eips[0].public_ip]["ptr"] = None


# ---------------------------------------------------------------- who does not do their part


async def _mute_server(context: ScenarioContext) -> None:
    """Of four name servers one answers without authority, then not at all: no PTR until all four speak."""
    sim = context.sim
    knobs = sim.world.dns.knobs
    server = sorted(sim.world.zone_of(HOST).name_servers)[2]  # type: ignore[union-attr]
    lame = knobs.add(Knob(server=server, name=HOST, lame=True))
    sim.meg("a", HOST, context.eips)
    await sim.sleep(120)
    silent = knobs.add(Knob(server=server, name=HOST, silent=True))
    knobs.remove(lame)
    await sim.sleep(120)
    knobs.remove(silent)
    all_ready(context, "a")
    await sim.ready("a")


async def _many(context: ScenarioContext) -> None:
    """Sixteen addresses of one name, and sixteen names beside it."""
    sim = context.sim
    sim.meg("many", HOST, context.eips[:16])
    for number, eip in enumerate(context.eips[16:]):
        sim.meg(f"one{number}", f"mta{number}.example.com", [eip])
    names = ["many", *(f"one{n}" for n in range(16))]
    all_ready(context, *names)
    await sim.ready(*names)


def _all_but(hostname: str) -> dict[str, Any]:
    """An IAM policy under which records may be written at any name but one."""
    names = [f"*{name}.example.com" for name in ("mta", "nobody")]
    assert not any(hostname.endswith(name[1:]) for name in names)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["ec2:*", "sts:*", "route53:Get*", "route53:List*"],
                "Resource": "*",
            },
            {
                "Effect": "Allow",
                "Action": "route53:ChangeResourceRecordSets",
                "Resource": "*",
                "Condition": {
                    "ForAllValues:StringLike": {
                        "route53:ChangeResourceRecordSetsNormalizedRecordNames": names
                    }
                },
            },
        ],
    }


PATIENCE = 1500.0
"""Seconds in which an object is Ready whatever becomes of those beside it: three minutes, and a fault of 15."""


async def _hopeless(context: ScenarioContext) -> None:
    """One name may not be written, one has no zone, one address is nobody's: the fourth one is Ready all the same."""
    sim = context.sim
    first, second, third = context.eips
    sim.world.control.attach_policy("*", _all_but(OTHER))
    sim.meg("denied", OTHER, [first])
    sim.meg("nowhere", "mta.nowhere.test", [second])
    sim.meg("nobody", "nobody.example.com", [{"allocationID": "eipalloc-0123456789abcdef0"}])
    sim.meg("fine", HOST, [third])
    all_ready(context, "fine")
    await sim.until(
        lambda: sim.condition("fine")[0] == "True", "Ready beside hopeless objects", PATIENCE, invariant="E8"
    )
    await sim.sleep(600)
    sim.world.control.detach_policies()
    context.expect |= {
        "denied": ("True", "Ready"), "nowhere": ("False", "ZoneNotFound"), "nobody": ("False", "AddressNotFound")
    }  # fmt: skip
    await sim.ready("denied")


STRANGERS = (
    Scenario(
        "foreign-record",
        _prepare_foreign_record,
        _foreign_record,
        _nothing_foreign,
        still=5000.0,
        hasty=False,
    ),
    Scenario("foreign-ptr", _prepare_foreign_ptr, _foreign_ptr, _no_foreign_ptr, hasty=False),
    Scenario("adopt-never", _prepare_right_record, _never_adopt),
    Scenario("neighbour-zone", _prepare_neighbours, _neighbours, big=True),
    Scenario("claim-race", _prepare_race, _race),
    Scenario("address-race", _prepare_address_race, _address_race),
    Scenario("deleted-while-down", _prepare_big_zone, _deleted_while_down, hasty=False),
    Scenario("renamed-while-down", _prepare_big_zone, _renamed_while_down, hasty=False),
    Scenario("restored", with_eips(1), _restored, hasty=False),
    Scenario("upgrade", _prepare_upgrade, _upgrade, _nothing_left, hasty=False),
    Scenario("mute-server", with_eips(1), _mute_server, hasty=False),
    Scenario("sixteen", with_eips(32), _many, big=True),
    Scenario("hopeless", with_eips(3), _hopeless, hasty=False, big=True),
)
