"""Advice about mail delivery: what each advisory reports, that it stays while nothing is known, and that Ready does
not depend on it.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mailegress.api.advisories import ALL_ADVISORIES, Severity
from mailegress.api.conditions import READY, TRUE
from mailegress.api.status import Advisory, Status
from mailegress.api.types import MailEgress, parse_object
from mailegress.model.aws import RecordSet
from mailegress.reconcile import rules
from mailegress.reconcile.executor import Executor
from tests.support.advised import HOST, INSTANCE, NAT, advised, behind_gateway, settled
from tests.support.one_object import OneObject
from tests.support.planner import OTHER_UID, UID, ZONE, PlannerHarness, body, mine, obj, recorded


def test_a_good_name_and_attached_addresses_need_no_advice() -> None:
    harness, _, me = settled()
    assert advised(harness, me) == {}
    ready = me.status.condition(READY)
    assert ready is not None
    assert ready.status == TRUE


# ---------------------------------------------------------------- the name


@pytest.mark.parametrize(
    ("hostname", "severity", "said"),
    [
        ("mail-nat-1.example.com", Severity.WARNING, 'rspamd adds 3.0 to the spam score for "nat"'),
        ("mail.host.example.com", Severity.INFO, 'rspamd adds 1.0 to the spam score for "host"'),
        ("node-12-3.mail.example.com", Severity.WARNING, "SpamAssassin scores it as RDNS_DYNAMIC"),
        ("smtp-203-0-113-1.example.com", Severity.INFO, "contains the address 203.0.113.1"),
    ],
)
def test_a_generic_name_is_reported_with_what_the_filters_say(
    hostname: str, severity: Severity, said: str
) -> None:
    harness, _, me = settled(hostname)
    advice = advised(harness, me)["GenericName"]
    assert advice.severity is severity
    assert hostname in advice.message
    assert said in advice.message
    assert ALL_ADVISORIES["GenericName"].remedy in advice.message


def test_the_address_of_another_object_in_the_name_is_not_confirmed() -> None:
    """Whether a name contains an address says which address it is; only the holder may learn that."""
    harness = PlannerHarness()
    theirs = harness.eip(1, "theirs.example.com", instance_id=INSTANCE)
    harness.take(obj("theirs.example.com", [theirs], uid=OTHER_UID, created="2025-01-01T00:00:00Z"))
    harness.records.put("theirs.example.com", [theirs.public_ip], mine(OTHER_UID))
    harness.publish("theirs.example.com")
    me = parse_object(body("smtp-203-0-113-1.example.com", [{"instanceID": INSTANCE}]))
    assert "GenericName" not in advised(harness, me)


@pytest.mark.parametrize(
    ("hostname", "severity"),
    [("example.com", Severity.WARNING), ("mail.example.org", None), ("mail.example.com", Severity.INFO)],
)
def test_the_name_of_a_domain_or_zone_is_reported(hostname: str, severity: Severity | None) -> None:
    harness = PlannerHarness()
    named = replace(ZONE, id="Z2", name="mail.example.com")
    other = replace(ZONE, id="Z3", name="example.org")
    harness.zones.zones = (ZONE, named, other)
    harness.zones.servers.update({named.id: harness.dns.servers, other.id: harness.dns.servers})
    eip = harness.eip(1, nat_gateway_id=NAT)
    advice = advised(harness, obj(hostname, [eip])).get("ApexName")
    assert (advice.severity if advice else None) is severity


def test_under_observed_the_zone_is_the_one_that_public_dns_uses() -> None:
    harness = PlannerHarness()
    harness.dns.zone = "mail.example.net"
    me = obj("mail.example.net", [harness.eip(1, nat_gateway_id=NAT)], forward={"management": "Observed"})
    assert "ApexName" in advised(harness, me)


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        (RecordSet(HOST, "AAAA", 300, ("2001:db8::25",)), "an AAAA record (2001:db8::25)"),
        (RecordSet(HOST, "AAAA", None, (), alias=True), "an AAAA record (an alias)"),
        (RecordSet(HOST, "TXT", 300, ('"v=spf1 a -all"',)), None),
    ],
)
def test_an_aaaa_record_at_the_hostname_is_reported(record: RecordSet, shown: str | None) -> None:
    harness, _, me = settled()
    view = harness.records.views[ZONE.id, HOST]
    harness.records.views[ZONE.id, HOST] = replace(view, records=(*view.records, record))
    advice = advised(harness, me).get("HostnameHasAAAA")
    assert (advice.severity if advice else None) is (Severity.INFO if shown else None)
    assert advice is None or (shown or "") in advice.message
    if advice is not None:
        stored = harness.written(me, harness.plan(me))
        harness.records.unread.add(HOST)
        assert advice in harness.plan(stored).advisories, "while the hosted zone was not read, it stays"


# ---------------------------------------------------------------- the addresses


def test_addresses_that_are_attached_to_nothing_are_listed() -> None:
    harness, eips, me = settled(count=2, instance_id="")
    advice = advised(harness, me)["AddressNotAttached"]
    assert advice.addresses == tuple(e.public_ip for e in eips)
    assert "203.0.113.1 and 203.0.113.2 are attached to nothing" in advice.message


@pytest.mark.parametrize(("count", "reported"), [(29, False), (30, True), (64, True)])
def test_more_addresses_than_a_small_reply_holds_are_reported(count: int, reported: bool) -> None:
    """12 bytes of header, 21 of question and 16 for each address: 29 fit into 512 bytes."""
    harness, _, me = settled(count=count)
    advice = advised(harness, me).get("ManyAddresses")
    assert (advice is not None) is reported
    if advice is not None:
        assert (
            f"with {count} addresses makes a reply of {33 + 16 * count} bytes; up to 29 addresses"
            in advice.message
        )


@pytest.mark.parametrize("place", [{"nat_gateway_id": NAT}, {"instance_id": INSTANCE}])
def test_another_address_of_the_same_gateway_or_instance_is_reported(place: dict[str, str]) -> None:
    harness, _, me = settled(**place)
    harness.eip(10, **place)
    harness.eip(9, **place)
    harness.eip(20)
    harness.eip(21, nat_gateway_id="nat-0123456789abcdef0")
    advice = advised(harness, me)["SiblingAddress"]
    assert advice.severity is Severity.WARNING
    assert advice.addresses == ("203.0.113.9", "203.0.113.10")
    assert f"{next(iter(place.values()))} also has 203.0.113.9 and 203.0.113.10" in advice.message


@pytest.mark.parametrize("selector", ["allocationID", "natGatewayID"])
def test_an_address_that_any_object_selects_is_no_sibling(selector: str) -> None:
    """Nor is one of another object named, however it is selected."""
    harness, _, me = settled()
    theirs = harness.eip(9, nat_gateway_id=NAT)
    value = theirs.allocation_id if selector == "allocationID" else NAT
    other = parse_object(body("theirs.example.com", [{selector: value}], uid=OTHER_UID))
    harness.take(other)
    assert "SiblingAddress" not in advised(harness, me)
    assert "203.0.113.9" not in json.dumps(harness.written(me, harness.plan(me)).status.to_dict())


def test_siblings_are_shown_only_beside_an_address_that_the_object_holds() -> None:
    harness = PlannerHarness()
    held = harness.eip(1, "theirs.example.com", instance_id=INSTANCE)
    harness.eip(9, instance_id=INSTANCE)
    other = obj("theirs.example.com", [held], uid=OTHER_UID, created="2025-01-01T00:00:00Z")
    harness.take(other)
    harness.records.put("theirs.example.com", [held.public_ip], mine(OTHER_UID))
    harness.publish("theirs.example.com")
    assert advised(harness, obj(HOST, [held])) == {}
    assert "SiblingAddress" in advised(harness, other)


def test_an_address_that_the_object_is_about_to_release_is_no_sibling() -> None:
    harness, eips, me = settled(count=2)
    fewer = replace(me, spec=obj(HOST, eips[:1]).spec)
    assert "SiblingAddress" not in advised(harness, fewer)


def test_many_siblings_are_counted_in_the_message_and_listed_in_the_entry() -> None:
    harness, _, me = settled()
    for number in range(10, 60):
        harness.eip(number, nat_gateway_id=NAT)
    advice = advised(harness, me)["SiblingAddress"]
    assert "203.0.113.10, 203.0.113.11, 203.0.113.12 and 47 more" in advice.message
    assert len(advice.addresses) == 50


# ---------------------------------------------------------------- in the status


def with_everything() -> tuple[PlannerHarness, MailEgress]:
    """Ready, with an advisory of each kind that goes together with the others."""
    harness, hostname = PlannerHarness(), "mail-nat-1.example.com"
    eips = [harness.eip(n + 1, hostname, nat_gateway_id=NAT) for n in range(30)]
    behind_gateway(harness, eips)
    eips += [harness.eip(40, hostname), harness.eip(41, hostname, instance_id=INSTANCE)]
    harness.eip(50, instance_id=INSTANCE)
    harness.records.put(hostname, [e.public_ip for e in eips], mine())
    harness.publish(hostname)
    selectors = [{"natGatewayID": NAT}, *({"allocationID": e.allocation_id} for e in eips[30:])]
    me = parse_object(body(hostname, selectors, status=recorded(hostname)))
    return harness, harness.written(me, harness.plan(me))


def test_warnings_come_first_and_the_order_is_stable() -> None:
    harness, me = with_everything()
    status = harness.written(me, harness.plan(me)).status
    assert [a.code for a in status.advisories] == [
        "GenericName",
        "SiblingAddress",
        "AddressNotAttached",
        "ManyAddresses",
    ]
    stored = status.to_dict()["display"]
    assert isinstance(stored, dict)
    assert stored["advisories"] == "GenericName,SiblingAddress,AddressNotAttached,ManyAddresses"


def test_nothing_else_in_the_plan_depends_on_an_advisory() -> None:
    """S7: the same plan with and without advice, in every field but the advice itself."""
    harness, me = with_everything()
    plan = rules.plan(harness.observed(me))
    harness.settings = replace(harness.settings, advisories=False)
    without = rules.plan(harness.observed(me))
    assert plan.advisories
    assert without == replace(plan, advisories=(), advice_need=None)


@pytest.mark.parametrize("hours", [1, 24 * 400])
def test_advice_is_the_same_at_any_time(hours: int) -> None:
    """No clock: a status is not written again because time passed."""
    harness, me = with_everything()
    stored = harness.written(me, harness.plan(me))
    harness.now += 3600.0 * hours
    later = harness.plan(stored)
    assert later.advisories == stored.status.advisories


def test_turned_off_no_advice_is_stored_and_what_was_stored_goes() -> None:
    harness, me = with_everything()
    stored = harness.written(me, harness.plan(me))
    assert stored.status.advisories
    harness.settings = replace(harness.settings, advisories=False)
    after = harness.written(stored, harness.plan(stored)).status.to_dict()
    assert "advisories" not in after
    assert "advisories" not in json.dumps(after["display"])


def test_while_the_addresses_are_not_known_the_stored_advice_stays() -> None:
    """E3: a restart changes nothing."""
    harness, me = with_everything()
    stored = harness.written(me, harness.plan(me))
    harness.memories.clear()
    harness.book.at = None
    harness.zones.zones = None
    harness.dns.at = harness.dns.public_at = None
    assert harness.plan(stored).advisories == stored.status.advisories


def test_stored_advice_about_another_hostname_does_not_stay() -> None:
    harness, me = with_everything()
    stored = harness.written(me, harness.plan(me))
    renamed = replace(stored, spec=replace(stored.spec, hostname="mta.example.com"))
    harness.book.at = None
    assert harness.plan(renamed).advisories == ()


def test_a_code_that_does_not_exist_does_not_stay_in_the_status() -> None:
    """A status can be written by anyone who may; a label of a metric must not come from it."""
    harness, _, me = settled()
    forged = Advisory("Forged", Severity.WARNING, "text")
    told = replace(me, status=replace(me.status, advisories=(forged,)))
    assert harness.plan(told).advisories == ()
    refused = rules.refuse(harness.observed(told), "spec.hostname is wrong")
    assert refused.advisories == ()


# ---------------------------------------------------------------- Events and the metric


async def test_one_event_and_one_write_when_a_code_appears(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object that was Ready before this version gets its advice with one write, and stays Ready."""
    monkeypatch.setattr(Executor, "request", lambda *_: None)
    harness, me = with_everything()
    harness.settings = replace(harness.settings, advisories=False)
    me = harness.written(me, harness.plan(me))
    old = me.status.to_dict()
    item = body(me.spec.hostname, [{s.kind.value: s.value} for s in me.spec.elastic_ips], uid=UID, status=old)
    stored = OneObject(item)
    harness.settings = replace(harness.settings, advisories=True)
    reconciler = stored.reconciler(harness)
    for _ in range(6):
        await reconciler.process("mail/meg-1")
        harness.now += harness.settings.quiet_seconds
    status = Status.from_dict(stored.item["status"])
    codes = [a.code for a in status.advisories]
    assert codes[0] == "GenericName"
    told = [event for event in stored.events if event[0] in ALL_ADVISORIES]
    assert told == [(a.code, a.severity is Severity.WARNING) for a in status.advisories]
    assert reconciler.condition_counts.by_advisory() == dict.fromkeys(codes, 1.0)
    writes = stored.writes
    for _ in range(20):
        await reconciler.process("mail/meg-1")
        harness.now += 60
    assert stored.writes == writes, "what did not change is not written again"
    assert [event for event in stored.events if event[0] in ALL_ADVISORIES] == told


# ---------------------------------------------------------------- regional NAT gateways


def test_addresses_that_aws_adds_by_itself_are_advised_against() -> None:
    harness = PlannerHarness()
    eips = [harness.eip(n, HOST, nat_gateway_id=NAT) for n in (10, 9)]
    behind_gateway(harness, eips)
    harness.records.put(HOST, [e.public_ip for e in eips], mine())
    harness.publish(HOST)
    me = parse_object(body(HOST, [{"natGatewayID": NAT}], status=recorded(HOST)))
    zonal = harness.book.gateways[NAT]
    assert "ChangingAddresses" not in advised(harness, me)
    harness.book.gateways[NAT] = replace(zonal, regional=True)
    assert "ChangingAddresses" not in advised(harness, me), "manual mode: the owner chooses the addresses"
    harness.book.gateways[NAT] = replace(zonal, regional=True, automatic=True)
    found = advised(harness, me)["ChangingAddresses"]
    assert found.severity is Severity.WARNING
    assert found.addresses == ("203.0.113.9", "203.0.113.10")
    assert f"AWS adds addresses to regional NAT gateway {NAT} by itself" in found.message
    assert "manual mode" in found.message
    by_id = obj(HOST, eips, status=recorded(HOST))
    assert "ChangingAddresses" not in advised(harness, by_id), "no address joins by itself"
