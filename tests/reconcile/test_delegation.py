"""A delegation is compared with the hosted zone's name servers by name and by address; each fault has its remedy."""

from __future__ import annotations

import pytest

from mailegress.api.conditions import FORWARD_READY
from mailegress.api.types import MailEgress
from mailegress.model.aws import Zone
from mailegress.model.dns import AnswerKind, Listed
from mailegress.reconcile.result import Finding, NeedDelegation, NeedServerAddresses, Plan, SetPtr
from tests.support.planner import SERVERS, ZONE, PlannerHarness, mine, obj, verdict

HOST = "mta.example.com"
WHITE = frozenset({"ns1.example.com", "ns2.example.com"})
OTHER = frozenset({"ns1.other.net", "ns2.other.net"})


def published(
    harness: PlannerHarness, servers: frozenset[str], hostname: str = HOST
) -> tuple[MailEgress, Plan]:
    """The step for a record that Route 53 holds and the published servers show."""
    eip = harness.eip(1)
    harness.records.put(hostname, [eip.public_ip], mine())
    harness.publish(hostname)
    harness.dns.servers = servers
    found = obj(hostname, [eip])
    return found, harness.plan(found)


def forward(plan: Plan) -> Finding:
    return verdict(plan, FORWARD_READY)


def white_label(harness: PlannerHarness) -> None:
    """ns1 and ns2.example.com have the addresses of the zone's own name servers."""
    for white, own in zip(sorted(WHITE), sorted(SERVERS), strict=True):
        harness.dns.addresses[white] = harness.dns.addresses[own] = frozenset({f"192.0.2.{own[3]}"})


def test_white_label_name_servers_are_those_of_the_zone() -> None:
    harness = PlannerHarness()
    white_label(harness)
    _, plan = published(harness, WHITE)
    assert forward(plan).ok
    assert isinstance(plan.action, SetPtr)


def test_addresses_that_are_not_known_yet_open_no_gate_and_end_no_condition() -> None:
    harness = PlannerHarness()
    white_label(harness)
    harness.dns.unknown_servers = WHITE | SERVERS
    _, plan = published(harness, WHITE)
    assert plan.action is None
    assert forward(plan).inconclusive
    assert {n.name for n in plan.needs if isinstance(n, NeedServerAddresses)} == WHITE | SERVERS


def test_names_that_fit_ask_for_no_address() -> None:
    """The usual case costs no question more."""
    harness = PlannerHarness()
    _, plan = published(harness, SERVERS)
    assert not [n for n in plan.needs if isinstance(n, NeedServerAddresses)]


@pytest.mark.parametrize(
    "addresses",
    [frozenset(), frozenset({"192.0.2.9"}), frozenset({"192.0.2.1", "192.0.2.9"})],
    ids=["no address", "another address", "one address too many"],
)
def test_one_name_that_leads_elsewhere_keeps_the_gate_shut(addresses: frozenset[str]) -> None:
    harness = PlannerHarness()
    white_label(harness)
    harness.dns.addresses["ns1.example.com"] = addresses
    _, plan = published(harness, WHITE)
    assert plan.action is None
    assert forward(plan).reason == "ZoneNotDelegated"
    assert "also delegates to ns1.example.com," in forward(plan).message


def test_the_address_of_a_name_that_leads_elsewhere_is_looked_up_again() -> None:
    harness = PlannerHarness()
    white_label(harness)
    harness.dns.addresses["ns1.example.com"] = frozenset({"192.0.2.9"})
    found, _ = published(harness, WHITE)
    harness.now = 61.0
    harness.book.at = harness.records.at = harness.dns.at = 61.0
    needs = [n for n in harness.plan(found).needs if isinstance(n, NeedServerAddresses)]
    assert {n.name for n in needs} == WHITE | SERVERS
    assert {n.not_before for n in needs} == {1.0}


def test_one_server_too_many_is_named_alone() -> None:
    """A server of a deleted zone, left at the registrar: it answers nothing, so it is to be removed."""
    harness = PlannerHarness()
    harness.dns.kinds["ns-5.example.org"] = AnswerKind.REFUSED
    _, plan = published(harness, SERVERS | {"ns-5.example.org"})
    assert plan.action is None
    assert forward(plan).reason == "ZoneNotDelegated"
    assert "also delegates to ns-5.example.org, not a name server of the hosted zone" in forward(plan).message
    assert "Remove ns-5.example.org at the parent domain or registrar" in forward(plan).message


def test_a_second_dns_that_serves_the_zone_is_met_by_observed() -> None:
    harness = PlannerHarness()
    _, plan = published(harness, frozenset({"ns-1.example.net"}) | OTHER)
    assert plan.action is None
    message = forward(plan).message
    assert "also delegates to ns1.other.net, ns2.other.net," in message
    assert "If another DNS serves example.com as well, set spec.forward.management to Observed" in message
    assert "four name servers" not in message


def test_a_zone_in_another_dns_shows_both_lists() -> None:
    harness = PlannerHarness()
    _, plan = published(harness, OTHER)
    message = forward(plan).message
    assert "delegates to ns1.other.net, ns2.other.net, the hosted zone has ns-1.example.net" in message
    assert "Enter the zone's four name servers" in message
    assert "Observed" in message


def test_a_name_below_a_deeper_delegation_has_its_own_remedy() -> None:
    harness = PlannerHarness()
    harness.dns.zone = "out.example.com"
    _, plan = published(harness, OTHER, "mta.out.example.com")
    message = forward(plan).message
    assert "out.example.com is delegated away from example.com, to ns1.other.net, ns2.other.net" in message
    assert "spec.forward.hostedZoneID" in message
    assert "Observed" in message
    assert "remove the NS record set out.example.com from zone example.com" in message
    assert "registrar" not in message


@pytest.mark.parametrize(
    ("listed", "which", "remedy"),
    [
        (Listed.ZONE, "only the zone's own NS record set names ns-2", "from the NS record set of example.com"),
        (Listed.PARENT, "only the parent of example.com names ns-2.example.net", "at the parent domain or registrar"),
    ],
)  # fmt: skip
def test_the_ns_set_that_names_a_wrong_server_is_told(listed: Listed, which: str, remedy: str) -> None:
    harness = PlannerHarness()
    harness.dns.kinds["ns-2.example.net"] = AnswerKind.NXDOMAIN
    harness.dns.listed["ns-2.example.net"] = listed
    _, plan = published(harness, SERVERS)
    assert plan.action is None
    assert forward(plan).reason == "AuthoritiesDisagree"
    assert which in forward(plan).message
    assert remedy in forward(plan).message


NEW = Zone("Z2", "example.com")


def moving(harness: PlannerHarness) -> MailEgress:
    """The record stands in Z1; the spec names Z2, another zone of that name."""
    harness.zones.zones = (ZONE, NEW)
    harness.zones.servers[NEW.id] = OTHER
    eip = harness.eip(1, HOST)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    return obj(HOST, [eip], forward={"hostedZoneID": NEW.id})


def test_the_delegation_of_a_named_zone_is_checked_at_the_blocked_interval() -> None:
    """From the switch on the new zone lacks the name until it is seen; how long that can last is in the message."""
    harness = PlannerHarness()
    found = moving(harness)
    plan = harness.plan(found)
    message = forward(plan).message
    assert "stays in zone Z1 until zone Z2 (example.com) is delegated" in message
    assert "checked every 60 seconds" in message
    assert "until then the new zone does not have it" in message
    for moment in (1.0, 30.0, 59.0):
        harness.now = moment
        plan = harness.plan(found)
        assert not [n for n in plan.needs if isinstance(n, NeedDelegation)]
        assert plan.wait <= 60.0 - moment
    harness.now = 60.0
    assert NeedDelegation("example.com", 60.0) in harness.plan(found).needs


def test_a_named_zone_behind_white_label_name_servers_is_moved_to() -> None:
    harness = PlannerHarness()
    found = moving(harness)
    harness.dns.servers = WHITE
    for white, own in zip(sorted(WHITE), sorted(OTHER), strict=True):
        harness.dns.addresses[white] = harness.dns.addresses[own] = frozenset({f"192.0.2.{own[2]}"})
    plan = harness.plan(found)
    assert plan.zone is not None
    assert plan.zone.id == NEW.id
