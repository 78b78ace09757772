"""What policies refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mailegress.api import reasons
from mailegress.api.policy import PolicyMode
from mailegress.api.status import Status
from mailegress.api.types import MailEgress, parse_object
from mailegress.model.aws import NatAddress, NatGateway
from mailegress.reconcile import summarise
from mailegress.reconcile.memory import Memory
from mailegress.reconcile.result import ChangeRecords, NeedAuthorities, failed
from tests.support.planned import HOST, NEW, converged, values
from tests.support.planner import (
    OTHER_UID,
    ZONE,
    PlannerHarness,
    body,
    mine,
    obj,
    policy,
    recorded,
    verdict,
)


@pytest.fixture
def harness() -> PlannerHarness:
    return PlannerHarness()


def refused(harness: PlannerHarness, me: MailEgress) -> str:
    """The reason of Accepted, and that nothing is done and nothing is asked."""
    plan = harness.plan(me)
    assert plan.action is None
    assert plan.needs == ()
    finding = verdict(plan, "Accepted")
    assert finding.status == "False"
    assert plan.policy is None
    return finding.reason


# ---------------------------------------------------------------- the object as a whole


def test_without_any_policy_nothing_is_done(harness: PlannerHarness) -> None:
    eip = harness.eip(1)
    harness.enforce()
    assert refused(harness, obj(HOST, [eip])) == "NoMatchingPolicy"


def test_a_policy_of_another_namespace_allows_nothing_here(harness: PlannerHarness) -> None:
    eip = harness.eip(1)
    harness.enforce(policy(namespaces={"names": ["web"]}))
    assert refused(harness, obj(HOST, [eip])) == "NoMatchingPolicy"


def test_a_refused_hostname_names_what_is_allowed_and_asks_nothing(harness: PlannerHarness) -> None:
    suffixes = [f"s{n}.example.com" for n in range(8)]
    harness.enforce(policy(hostnames={"suffixes": suffixes}))
    me = obj(HOST, [harness.eip(1)], finalizer=False)
    assert refused(harness, me) == "HostnameNotAllowed"
    message = verdict(harness.plan(me), "Accepted").message
    assert [suffix for suffix in suffixes if f"*.{suffix}" in message] == suffixes[:6]
    assert "and 2 more" in message


@pytest.mark.parametrize(
    "hostname", ["xa.example.com", "a.example.com", "a.example.com.evil.org", "example.com"]
)
def test_names_near_an_allowed_suffix_are_refused(harness: PlannerHarness, hostname: str) -> None:
    harness.enforce(policy(hostnames={"suffixes": ["a.example.com"]}))
    assert refused(harness, obj(hostname, [harness.eip(1)], finalizer=False)) == "HostnameNotAllowed"


@pytest.mark.parametrize("suffix", ["*", "com"])
def test_the_name_of_a_zone_needs_an_exact_name(harness: PlannerHarness, suffix: str) -> None:
    eip = harness.eip(1)
    harness.enforce(policy(hostnames={"suffixes": [suffix]}))
    apex = obj(ZONE.name, [eip], finalizer=False)
    assert refused(harness, apex) == "HostnameNotAllowed"
    assert "name of a zone" in verdict(harness.plan(apex), "Accepted").message
    harness.change(policy(hostnames={"suffixes": [suffix], "names": [ZONE.name]}))
    assert verdict(harness.plan(apex), "Accepted").ok


def test_under_observed_the_name_of_a_zone_is_recognised_in_public_dns(harness: PlannerHarness) -> None:
    harness.enforce(policy(management=["Observed"]))
    harness.dns.zone = "mta.customer.example"
    me = obj("mta.customer.example", [harness.eip(1)], forward={"management": "Observed"})
    assert refused(harness, me) == "HostnameNotAllowed"


def test_management_must_be_granted(harness: PlannerHarness) -> None:
    harness.enforce(policy())
    me = obj(HOST, [harness.eip(1)], forward={"management": "Observed"}, finalizer=False)
    assert refused(harness, me) == "ManagementNotAllowed"
    harness.change(policy(management=["Managed", "Observed"]))
    plan = harness.plan(me)
    assert verdict(plan, "Accepted").ok
    harness.dns.at = None
    assert any(isinstance(need, NeedAuthorities) for need in harness.plan(me).needs)


def test_a_zone_that_the_spec_names_is_judged_before_it_is_looked_for(harness: PlannerHarness) -> None:
    harness.enforce(policy(hostedZoneIDs=["Z9"]))
    harness.zones.zones = None
    me = obj(HOST, [harness.eip(1)], forward={"hostedZoneID": "Z1"}, finalizer=False)
    assert refused(harness, me) == "HostnameNotAllowed"


def test_the_zone_that_is_found_must_be_allowed(harness: PlannerHarness) -> None:
    harness.enforce(policy(hostedZoneIDs=["Z9"]))
    me = obj(HOST, [harness.eip(1)])
    plan = harness.plan(me)
    assert (verdict(plan, "Accepted").reason, plan.action) == ("HostnameNotAllowed", None)
    assert ZONE.id not in verdict(plan, "Accepted").message
    harness.change(policy(hostedZoneIDs=[ZONE.id]))
    assert isinstance(harness.plan(me).action, ChangeRecords)


def test_halves_of_two_policies_are_not_mixed(harness: PlannerHarness) -> None:
    mine_only, others = harness.eip(1), harness.eip(2)
    harness.enforce(
        policy("a", addresses={"allocationIDs": [mine_only.allocation_id]}),
        policy("b", addresses={"any": True}, hostnames={"suffixes": ["other.example.com"]}),
        policy("c", addresses={"any": True}, management=["Observed"]),
        policy("d", addresses={"any": True}, hostedZoneIDs=["Z9"]),
    )
    plan = harness.plan(obj(HOST, [mine_only, others]))
    assert values(plan) == (mine_only.public_ip,)
    assert verdict(plan, "Accepted").reason == "AddressNotAllowed"
    assert plan.policy == "a"


def test_addresses_may_come_from_several_policies(harness: PlannerHarness) -> None:
    first, second = harness.eip(1), harness.eip(2)
    harness.enforce(
        policy("a", addresses={"allocationIDs": [first.allocation_id]}),
        policy("b", addresses={"allocationIDs": [second.allocation_id]}),
    )
    plan = harness.plan(obj(HOST, [first, second]))
    assert values(plan) == (first.public_ip, second.public_ip)
    assert verdict(plan, "Accepted").ok
    assert plan.policy == "a"


def test_a_policy_that_is_not_understood_allows_nothing_and_is_named(harness: PlannerHarness) -> None:
    harness.enforce(policy("newer", notAfter="2030-01-01"))
    me = obj(HOST, [harness.eip(1)], finalizer=False)
    assert refused(harness, me) == "HostnameNotAllowed"
    assert "newer" in verdict(harness.plan(me), "Accepted").message


def test_the_oldest_are_served_up_to_the_greatest_limit(harness: PlannerHarness) -> None:
    harness.enforce(policy("a", maxMailEgresses=1), policy("b", maxMailEgresses=0))
    old = obj(HOST, [harness.eip(1)], created="2026-01-01T00:00:00Z")
    new = obj(NEW, [harness.eip(2)], uid=OTHER_UID, created="2026-01-02T00:00:00Z")
    harness.take(old)
    assert refused(harness, new) == "NamespaceLimit"
    assert verdict(harness.plan(old), "Accepted").ok
    moved = harness.policies.drop(old.meta.uid)
    assert moved == {new.meta.uid}
    assert verdict(harness.plan(new), "Accepted").ok


def test_an_object_that_is_being_deleted_counts_until_its_cleanup_is_done(harness: PlannerHarness) -> None:
    harness.enforce(policy(maxMailEgresses=1))
    harness.take(obj(HOST, [harness.eip(1)], deleting=True))
    new = obj(NEW, [harness.eip(2)], uid=OTHER_UID, created="2026-01-02T00:00:00Z")
    assert refused(harness, new) == "NamespaceLimit"
    harness.take(obj(HOST, [harness.eip(1)], deleting=True, finalizer=False))
    assert verdict(harness.plan(new), "Accepted").ok


def test_a_forged_status_allows_nothing(harness: PlannerHarness) -> None:
    eip = harness.eip(1, HOST)
    harness.enforce()
    harness.records.put(HOST, [eip.public_ip], mine())
    me = harness.written(obj(HOST, [eip]), replace(harness.plan(obj(HOST, [eip])), policy="mail"))
    assert me.status.policy == "mail"
    harness.set_ptr(eip, None)
    plan = harness.plan(me)
    assert (plan.action, plan.policy) == (None, None)
    assert verdict(plan, "Accepted").reason == "NoMatchingPolicy"


def test_a_restart_names_the_same_policy_before_the_addresses_are_read(harness: PlannerHarness) -> None:
    eip = harness.eip(1)
    harness.enforce(
        policy("a", addresses={"allocationIDs": ["eipalloc-0000beef"]}),
        policy("b", addresses={"allocationIDs": [eip.allocation_id]}),
    )
    me = converged(harness, eip)
    assert me.status.policy == "b"
    harness.book.at = None
    harness.memories.clear()
    assert harness.plan(me).policy == "b"
    harness.change(policy("a"))
    assert harness.plan(me).policy == "a"


# ---------------------------------------------------------------- addresses


def test_a_refused_address_and_one_that_does_not_exist_are_told_alike(harness: PlannerHarness) -> None:
    foreign = harness.eip(1)
    harness.enforce(policy(addresses={"matchTags": {"team": "a"}}))
    texts = []
    for allocation_id in (foreign.allocation_id, "eipalloc-0000dead"):
        me = obj(HOST, [replace(foreign, allocation_id=allocation_id)])
        plan = harness.plan(me)
        assert plan.action is None
        assert {finding.reason for kind, finding in plan.findings.items() if kind != "Resolved"} <= {
            "AddressNotAllowed",
            "Pending",
        }
        (entry,) = plan.addresses
        assert entry.to_dict().keys() == {"selector", "region", "reason"}
        texts.append(
            str((plan.findings, plan.addresses, plan.needs, float(plan.wait))).replace(allocation_id, "ID")
        )
    assert texts[0] == texts[1]


def test_whoever_may_use_every_address_is_told_that_one_does_not_exist(harness: PlannerHarness) -> None:
    harness.enforce(policy())
    plan = harness.plan(obj(HOST, [replace(harness.eip(1), allocation_id="eipalloc-0000dead")]))
    assert verdict(plan, "ForwardReady").reason == "AddressNotFound"
    assert verdict(plan, "Accepted").reason != "AddressNotAllowed"


def gateway(harness: PlannerHarness, *numbers: int, state: str = "succeeded") -> MailEgress:
    eips = [harness.eip(n, nat_gateway_id="nat-1", tags={"team": "a"} if n == 1 else {}) for n in numbers]
    addresses = tuple(
        NatAddress(e.allocation_id, e.public_ip, "succeeded" if e is eips[0] else state) for e in eips
    )
    harness.book.gateways = {"nat-1": NatGateway("nat-1", "available", addresses)}
    return obj_of({"natGatewayID": "nat-1"})


def obj_of(*selectors: dict[str, Any], **more: Any) -> MailEgress:
    return parse_object(body(HOST, selectors, **more))


def test_an_address_that_a_gateway_gets_from_others_does_not_join(harness: PlannerHarness) -> None:
    me = gateway(harness, 1, 2)
    harness.enforce(policy(addresses={"matchTags": {"team": "a"}}))
    plan = harness.plan(me)
    assert values(plan) == ("203.0.113.1",)
    assert verdict(plan, "Accepted").reason == "AddressNotAllowed"
    assert "203.0.113.2" not in str((plan.findings, plan.addresses))


def test_which_addresses_a_foreign_gateway_attaches_is_not_shown(harness: PlannerHarness) -> None:
    me = gateway(harness, 1, 2, state="associating")
    harness.enforce(policy(addresses={"matchTags": {"team": "a"}}))
    harness.records.put(HOST, ["203.0.113.1"], mine())
    harness.publish(HOST)
    shown = harness.plan(replace(me, status=Status.from_dict(recorded(HOST))))
    assert verdict(shown, "ForwardReady").reason == "AddressPending"
    assert "203.0.113.2" not in str(shown)
    harness.records.views.clear()
    harness.change(policy(addresses={"matchTags": {"team": "b"}}))
    plan = harness.plan(me)
    assert verdict(plan, "Accepted").reason == "AddressNotAllowed"
    assert "203.0.113" not in str((plan.findings, plan.addresses))


def test_an_allowed_gateway_allows_the_addresses_that_it_has(harness: PlannerHarness) -> None:
    me = gateway(harness, 1, 2)
    harness.enforce(policy(addresses={"natGatewayIDs": ["nat-1"]}))
    assert values(harness.plan(me)) == ("203.0.113.1", "203.0.113.2")


# ---------------------------------------------------------------- claims


def test_an_older_object_without_a_right_claims_neither_hostname_nor_address(harness: PlannerHarness) -> None:
    eip = harness.eip(1)
    harness.enforce(policy(namespaces={"names": ["mail"]}))
    evil = replace_namespace(obj(HOST, [eip], uid=OTHER_UID, created="2020-01-01T00:00:00Z"), "evil")
    harness.take(evil)
    me = obj(HOST, [eip])
    plan = harness.plan(me)
    assert values(plan) == (eip.public_ip,)
    assert verdict(plan, "Accepted").ok


def replace_namespace(me: MailEgress, namespace: str) -> MailEgress:
    return replace(me, meta=replace(me.meta, namespace=namespace))


def test_an_older_object_that_may_not_use_the_address_does_not_claim_it(harness: PlannerHarness) -> None:
    eip = harness.eip(1, tags={"team": "a"})
    harness.enforce(
        policy("mail", addresses={"matchTags": {"team": "a"}}),
        policy("evil", namespaces={"names": ["evil"]}, addresses={"matchTags": {"team": "evil"}}),
    )
    evil = replace_namespace(obj(NEW, [eip], uid=OTHER_UID, created="2020-01-01T00:00:00Z"), "evil")
    harness.plan(evil)
    assert values(harness.plan(obj(HOST, [eip]))) == (eip.public_ip,)


def test_what_a_revoked_object_still_holds_is_waited_for(harness: PlannerHarness) -> None:
    eip = harness.eip(1)
    harness.enforce(
        policy("mail", hostnames={"names": [NEW]}),
        policy("former", namespaces={"names": ["former"]}),
    )
    former = replace_namespace(
        obj(HOST, [eip], uid=OTHER_UID, created="2020-01-01T00:00:00Z", status=recorded(HOST)), "former"
    )
    harness.records.put(HOST, [eip.public_ip], mine(OTHER_UID))
    harness.set_ptr(eip, HOST)
    harness.plan(former)
    me = obj(NEW, [eip])
    assert verdict(harness.plan(me), "Accepted").reason == "AddressConflict"
    harness.change(policy("mail", hostnames={"names": [NEW]}))
    assert verdict(harness.plan(me), "Accepted").reason == "WaitingForRelease"
    assert harness.plan(me).action is None


def test_a_finalizer_that_a_tenant_wrote_does_not_hold_an_address(harness: PlannerHarness) -> None:
    eip = harness.eip(1, HOST)
    observed = {"forward": {"management": "Observed"}}
    harness.enforce(policy("mail", management=["Observed"]))
    evil = obj(HOST, [eip], uid=OTHER_UID, deleting=True, **observed, deletionPolicy="Retain")
    harness.take(replace_namespace(evil, "evil"))
    harness.dns.answers[HOST] = frozenset({eip.public_ip})
    assert verdict(harness.plan(obj(HOST, [eip], **observed)), "Accepted").ok


def test_refused_for_half_an_hour_does_not_cost_an_object_its_age() -> None:
    me = obj(HOST, [PlannerHarness().eip(1)])
    for reason in ("NO_MATCHING_POLICY", "HOSTNAME_NOT_ALLOWED", "MANAGEMENT_NOT_ALLOWED", "NAMESPACE_LIMIT"):
        assert not summarise.hopeless(me, failed(getattr(reasons, reason), ""), stuck=True)


# ---------------------------------------------------------------- audit, off


def test_audit_reports_and_changes_nothing(harness: PlannerHarness) -> None:
    eip = harness.eip(1)
    me = obj(HOST, [eip])
    off = harness.plan(me)
    harness.memories.clear()
    harness.enforce(policy(hostnames={"suffixes": ["other.example.com"]}), mode=PolicyMode.AUDIT)
    audit = harness.plan(me)
    assert (audit.action, audit.needs, audit.wait) == (off.action, off.needs, off.wait)
    accepted = verdict(audit, "Accepted")
    assert accepted.ok
    assert accepted.message.startswith(verdict(off, "Accepted").message)
    assert "under --policy=Enforce this MailEgress would be refused: HostnameNotAllowed" in accepted.message
    assert [notice.reason for notice in audit.notices] == ["HostnameNotAllowed"]
    assert audit.policy_report is not None
    assert audit.policy_report.refused == "HostnameNotAllowed"
    assert harness.plan(harness.written(me, audit)).notices == ()


def test_audit_reports_addresses_too(harness: PlannerHarness) -> None:
    first, second = harness.eip(1), harness.eip(2)
    harness.enforce(policy(addresses={"allocationIDs": [first.allocation_id]}), mode=PolicyMode.AUDIT)
    plan = harness.plan(obj(HOST, [first, second]))
    assert values(plan) == (first.public_ip, second.public_ip)
    assert (
        f"AddressNotAllowed: No MailEgressPolicy allows what allocationID={second.allocation_id}"
        in verdict(plan, "Accepted").message
    )


def test_off_reports_nothing(harness: PlannerHarness) -> None:
    plan = harness.plan(obj(HOST, [harness.eip(1)], deletionPolicy="Retain"))
    assert (plan.policy, plan.policy_report, plan.notices) == (None, None, ())
    assert "Policy" not in str(plan.findings)


def test_audit_leaves_claims_as_they_are(harness: PlannerHarness) -> None:
    eip = harness.eip(1)
    harness.enforce(mode=PolicyMode.AUDIT)
    harness.take(obj(HOST, [eip], uid=OTHER_UID, created="2020-01-01T00:00:00Z"))
    assert verdict(harness.plan(obj(HOST, [eip])), "Accepted").reason == "HostnameConflict"


def test_the_advice_about_other_addresses_of_a_gateway_shows_allowed_ones_only(
    harness: PlannerHarness,
) -> None:
    me = gateway(harness, 1, 2, 3)
    harness.book.eips["eipalloc-00000003"] = replace(
        harness.book.eips["eipalloc-00000003"], tags=(("team", "a"),)
    )
    harness.enforce(policy(addresses={"matchTags": {"team": "a"}}))
    one = converged(harness, harness.book.eips["eipalloc-00000001"])
    advice = str(harness.plan(one).advisories)
    assert me.spec.hostname == one.spec.hostname
    assert "203.0.113.3" in advice
    assert "203.0.113.2" not in advice


def test_a_refused_address_is_watched_and_not_used(harness: PlannerHarness) -> None:
    """A change of its tags wakes the object, and it does not count as an address that the object has."""
    harness.enforce(policy(addresses={"matchTags": {"team": "mail"}}))
    eip = harness.eip(1)
    me = obj(HOST, [eip])
    plan = harness.plan(me)
    assert verdict(plan, "Accepted").reason == "AddressNotAllowed"
    memory = Memory.first(me, harness.now)
    memory.record_plan(plan)
    assert (memory.watched, memory.used) == (frozenset({eip.allocation_id}), ())
