"""Planning under management ExternalDNS: the DNSEndpoint, the gate, renames, drift."""

from __future__ import annotations

import pytest

from mailegress.api.names import endpoint_name, endpoint_owner_name
from mailegress.api.status import EndpointStatus
from mailegress.api.types import Management, parse_object
from mailegress.api.validation import InvalidObject
from mailegress.model.aws import Absence
from mailegress.model.dns import ServerAnswer
from mailegress.model.endpoints import ChangeEndpoint, EndpointEntry
from mailegress.model.facts import ErrorKind, Fact, Fault
from mailegress.reconcile.result import (
    AddFinalizer,
    ResetPtr,
    SetPtr,
)
from tests.support.external_dns import EXTERNAL, FORWARD, NAME, World, edit, external, ready
from tests.support.planned import HOST, NEW
from tests.support.planner import (
    UID,
    body,
    obj,
    verdict,
)

# ---------------------------------------------------------------- the spec


def test_a_hosted_zone_has_no_meaning() -> None:
    eip = World().harness.eip(1)
    with pytest.raises(InvalidObject, match="hostedZoneID"):
        obj(HOST, [eip], forward={"management": "ExternalDNS", "hostedZoneID": "Z0123"})
    found = obj(HOST, [eip], forward={"management": "ExternalDNS", "ttlSeconds": 60}).spec.forward
    assert (found.management, found.ttl_seconds) == (Management.EXTERNAL_DNS, 60)


def test_the_name_of_an_endpoint_always_fits() -> None:
    assert endpoint_name("outbound") == "mailegress-outbound"
    assert endpoint_owner_name("mailegress-outbound") == "outbound"
    assert endpoint_owner_name("else") is None
    long = "a" * 253
    assert len(endpoint_name(long)) == 253
    assert endpoint_name(long) != endpoint_name("a" * 252 + "b")


# ---------------------------------------------------------------- create, in order


def test_the_endpoint_comes_first_and_the_ptr_after_every_authority_returns_the_record() -> None:
    world = World()
    eip = world.harness.eip(1)
    me, plan = world.step(external(eip, finalizer=False))
    assert isinstance(plan.action, AddFinalizer)
    me = external(eip)
    me, plan = world.step(me)
    assert isinstance(plan.action, ChangeEndpoint)
    assert plan.action.entries == (EndpointEntry(HOST, frozenset({eip.public_ip}), 300),)
    assert plan.action.owner == UID
    assert me.status.dns_endpoint == EndpointStatus(NAME, (HOST,))
    world.harness.dns.at = world.harness.now
    for _ in range(5):
        me, plan = world.step(me)
        world.harness.dns.at = world.harness.now
        assert plan.action is None
        assert verdict(plan, FORWARD).reason == "WaitingForForward"
    world.synchronize()
    me, plan = world.settle(me)
    assert world.kinds() == ["AddFinalizer", "ChangeEndpoint", "SetPtr"]
    assert all(f.ok for f in plan.findings.values())
    assert me.status.forward is not None
    assert me.status.forward.values == (eip.public_ip,)


def test_one_server_that_does_not_return_the_record_keeps_the_ptr_from_being_set() -> None:
    world = World()
    eip = world.harness.eip(1)
    me, _ = world.step(external(eip))
    world.synchronize()
    world.harness.dns.odd["ns-2.example.net"] = frozenset()
    for _ in range(5):
        me, plan = world.step(me)
        world.harness.dns.at = world.harness.now
        assert not isinstance(plan.action, SetPtr)


def test_a_record_from_before_the_write_proves_nothing() -> None:
    """An answer that was read before the endpoint was written is not counted."""
    world = World()
    eip = world.harness.eip(1)
    world.harness.dns.answers[HOST] = frozenset({eip.public_ip})
    me, plan = world.step(external(eip))
    assert isinstance(plan.action, ChangeEndpoint)
    me, plan = world.step(me)
    assert plan.action is None


@pytest.mark.parametrize(("behind", "words"), [(True, "has not read"), (False, "next synchronization")])
def test_the_message_states_whether_external_dns_has_read_the_endpoint(behind: bool, words: str) -> None:
    world = World()
    eip = world.harness.eip(1)
    me, _ = world.step(external(eip))
    if behind:
        world.change(observed_generation=0)
    world.harness.dns.at = world.harness.now
    _, plan = world.step(me)
    assert verdict(plan, FORWARD).reason == "WaitingForForward"
    assert words in verdict(plan, FORWARD).message


# ---------------------------------------------------------------- make before break


def test_a_rename_keeps_the_old_record_until_receivers_have_forgotten_the_old_ptr() -> None:
    world = World()
    eip = world.harness.eip(1)
    me = edit(ready(world, eip), eip, host=NEW)
    me, _ = world.settle(me)
    assert world.kinds() == ["ChangeEndpoint", "SetPtr"]
    assert world.endpoint().names() == {HOST, NEW}
    world.harness.now += world.harness.settings.ptr_ttl_seconds
    me, _ = world.settle(me)
    assert world.endpoint().names() == {NEW}
    assert world.kinds() == ["ChangeEndpoint", "SetPtr", "ChangeEndpoint"]


def test_an_address_leaves_the_endpoint_after_its_ptr_is_reset() -> None:
    world = World()
    old, new = world.harness.eip(1), world.harness.eip(2)
    me = edit(ready(world, old), new)
    world.settle(me)
    assert world.kinds() == ["ChangeEndpoint", "SetPtr", "ResetPtr", "ChangeEndpoint"]
    assert world.actions[0].entries[0].targets == {old.public_ip, new.public_ip}
    assert world.endpoint().addresses(HOST) == {new.public_ip}


def test_ready_ends_before_a_ptr_is_reset_also_while_a_name_server_is_silent() -> None:
    world, tags = World(), {"use": "mail"}
    leaving, _ = (world.harness.eip(number, tags=tags) for number in (1, 2))
    me, plan = world.settle(parse_object(body(HOST, [{"tags": tags}], forward=EXTERNAL)))
    assert plan.settled
    world.harness.eip(1, HOST)
    silent = Fault("AuthoritiesUnreachable", "no answer", ErrorKind.TRANSIENT)
    heard: Fact[ServerAnswer] = Fact(fault=silent, tried_at=world.harness.now + 1)
    world.harness.dns.sample_authority = lambda hostname: heard  # type: ignore[method-assign]
    me, plan = world.step(me)
    assert isinstance(plan.action, ResetPtr)
    assert plan.action.public_ip == leaving.public_ip
    ended = me.status.condition("Ready")
    assert ended is not None
    assert (ended.status, ended.reason) == ("False", "Progressing")


def test_a_lost_address_leaves_at_once_also_under_suspend() -> None:
    world = World()
    gone, kept = world.harness.eip(1), world.harness.eip(2)
    me = edit(ready(world, gone, kept), gone, kept, suspend=True)
    del world.harness.book.eips[gone.allocation_id]
    world.harness.book.absences[gone.allocation_id] = Absence.LOST
    world.step(me)
    assert world.endpoint().addresses(HOST) == {kept.public_ip}


def test_suspend_holds_the_endpoint_back() -> None:
    world = World()
    eip = world.harness.eip(1)
    me, plan = world.step(external(eip, suspend=True))
    assert plan.action is None
    assert verdict(plan, FORWARD).reason == "Suspended"
    assert me.status.dns_endpoint is None


# ---------------------------------------------------------------- drift


def test_an_edited_endpoint_is_restored_and_the_writer_is_named() -> None:
    world = World()
    eip = world.harness.eip(1)
    me = ready(world, eip)
    world.change(entries=(EndpointEntry(HOST, frozenset({"203.0.113.99"}), 300),), changed_by="kubectl-edit")
    _, plan = world.step(me)
    assert isinstance(plan.action, ChangeEndpoint)
    assert plan.action.repairs is not None
    assert "kubectl-edit" in verdict(plan, FORWARD).message
    assert [n.reason for n in plan.notices] == ["DNSEndpointRepaired"]
    assert world.endpoint().addresses(HOST) == {eip.public_ip}


def test_an_address_that_somebody_took_out_of_the_endpoint_is_put_back_until_its_ptr_is_reset() -> None:
    """It leaves the spec at the same time."""
    world = World()
    old, new = world.harness.eip(1), world.harness.eip(2)
    me = edit(ready(world, old), new)
    world.change(entries=(EndpointEntry(HOST, frozenset({"203.0.113.99"}), 300),), changed_by="kubectl-edit")
    world.step(me)
    assert world.endpoint().addresses(HOST) == {old.public_ip, new.public_ip}


def test_a_deleted_endpoint_is_created_again() -> None:
    world = World()
    eip = world.harness.eip(1)
    me = ready(world, eip)
    world.harness.endpoints.drop("mail", NAME)
    _, plan = world.step(me)
    assert isinstance(plan.action, ChangeEndpoint)
    assert plan.action.repairs is not None
    assert "was deleted" in verdict(plan, FORWARD).message


def test_repairs_end_after_three_within_an_hour() -> None:
    world = World()
    eip = world.harness.eip(1)
    me = ready(world, eip)
    for _ in range(6):
        world.change(entries=(EndpointEntry(HOST, frozenset({"203.0.113.99"}), 300),), changed_by="flux")
        me, plan = world.step(me)
    assert world.kinds() == ["ChangeEndpoint"] * 3
    assert verdict(plan, FORWARD).reason == "DNSEndpointContested"


def test_a_hostname_that_others_add_to_the_endpoint_is_not_the_objects() -> None:
    world = World()
    eip = world.harness.eip(1)
    me = ready(world, eip)
    extra = EndpointEntry("www.example.com", frozenset({eip.public_ip}), 300)
    world.change(entries=(*world.endpoint().entries, extra), changed_by="kubectl-edit")
    _, plan = world.step(me)
    assert isinstance(plan.action, ChangeEndpoint)
    assert world.endpoint().names() == {HOST}


def test_a_record_changed_behind_the_back_of_external_dns_is_named() -> None:
    world = World()
    eip = world.harness.eip(1)
    me = ready(world, eip)
    world.harness.dns.answers[HOST] = frozenset({"203.0.113.99"})
    for _ in range(8):
        world.harness.now += world.harness.settings.resync_seconds
        world.harness.dns.at = world.harness.now
        me, plan = world.step(me)
    assert verdict(plan, FORWARD).reason == "WaitingForForward"
    assert "203.0.113.99" in verdict(plan, FORWARD).message
    assert not plan.findings[FORWARD].ok
