"""Selectors by tags, by the tags of NAT gateways, and by network interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from mailegress.api.conditions import ACCEPTED, FORWARD_READY
from mailegress.api.tags import tags_of
from mailegress.api.types import MailEgress, parse_object
from mailegress.model.aws import Absence, Eip, NatAddress, NatGateway
from mailegress.reconcile.claim_index import ClaimIndex
from mailegress.reconcile.result import ChangeRecords, NeedRegion, ResetPtr
from tests.support.planner import OTHER_UID, REGION, UID, PlannerHarness, body, mine, obj, verdict

HOST, OTHER_HOST = "mta.example.com", "mta2.example.com"
ELSEWHERE = "eu-west-1"
MAIL = {"use": "mail"}
BY_TAGS = [{"tags": MAIL}]


def selecting(selectors: Sequence[Mapping[str, Any]], hostname: str = HOST, **more: Any) -> MailEgress:
    return parse_object(body(hostname, selectors, **more))


def ready(harness: PlannerHarness, eips: Sequence[Eip], selectors: Sequence[Mapping[str, Any]]) -> MailEgress:
    """An object whose record and PTRs are as it wants them, with the status that says so."""
    harness.records.put(HOST, [e.public_ip for e in eips], mine())
    for eip in eips:
        harness.set_ptr(eip, HOST)
    harness.publish(HOST)
    me = selecting(selectors)
    plan = harness.plan(me)
    assert all(finding.ok for finding in plan.findings.values()), plan.findings
    return harness.written(me, plan)


def tag(harness: PlannerHarness, eip: Eip, **tags: str) -> None:
    """The address has these tags from now on, and no others."""
    harness.book.eips[eip.allocation_id] = replace(harness.book.eips[eip.allocation_id], tags=tags_of(tags))


def wanted(harness: PlannerHarness, me: MailEgress) -> list[str]:
    plan = harness.plan(me)
    return sorted(harness.book.eips[a].public_ip for _, a in plan.wanted)


def gateway(harness: PlannerHarness, number: int, eips: Sequence[Eip], **tags: str) -> None:
    """A NAT gateway with these addresses."""
    gateway_id = f"nat-{number}"
    has = tuple(NatAddress(e.allocation_id, e.public_ip, "succeeded") for e in eips)
    harness.book.gateways[gateway_id] = NatGateway(gateway_id, "available", has, tags_of(tags))
    for eip in eips:
        harness.book.eips[eip.allocation_id] = replace(
            harness.book.eips[eip.allocation_id], nat_gateway_id=gateway_id, nat_gateway_tags=tags_of(tags)
        )


# ---------------------------------------------------------------- what a selector means


def test_all_tags_must_match_in_the_region_of_the_entry() -> None:
    harness = PlannerHarness()
    harness.book.regions = (REGION, ELSEWHERE)
    harness.eip(1, tags={"use": "mail", "env": "prod", "Name": "a"})
    harness.eip(2, tags={"use": "mail"})
    harness.eip(3, tags={"use": "web", "env": "prod"})
    harness.eip(4, tags={"use": "mail", "env": "prod"}, region=ELSEWHERE)
    harness.eip(5)
    both = {"use": "mail", "env": "prod"}
    assert wanted(harness, selecting([{"tags": both}])) == ["203.0.113.1"]
    assert wanted(harness, selecting([{"tags": MAIL}])) == ["203.0.113.1", "203.0.113.2"]
    assert wanted(harness, selecting([{"tags": both, "region": ELSEWHERE}])) == ["203.0.113.4"]
    assert wanted(harness, selecting([{"tags": {"use": "Mail"}}])) == []


def test_the_status_shows_them_by_address_whatever_the_order_of_the_list() -> None:
    harness = PlannerHarness()
    for number in (20, 3, 100):
        harness.eip(number, tags=MAIL)
    shown = harness.plan(selecting(BY_TAGS)).addresses
    assert [a.public_ip for a in shown] == ["203.0.113.3", "203.0.113.20", "203.0.113.100"]


def test_tags_of_nat_gateways_mean_all_their_attached_addresses() -> None:
    harness = PlannerHarness()
    eips = [harness.eip(number) for number in range(1, 6)]
    gateway(harness, 1, eips[:2], use="mail", zone="a")
    gateway(harness, 2, eips[2:3], use="mail", zone="b")
    gateway(harness, 3, eips[3:4], use="web")
    found = harness.book.gateways["nat-2"]
    joining = NatAddress(eips[4].allocation_id, eips[4].public_ip, "associating")
    harness.book.gateways["nat-2"] = replace(found, addresses=(*found.addresses, joining))
    me = selecting([{"natGatewayTags": MAIL}])
    assert wanted(harness, me) == ["203.0.113.1", "203.0.113.2", "203.0.113.3"]
    del harness.book.gateways["nat-1"]
    harness.book.gateways["nat-2"] = replace(harness.book.gateways["nat-2"], addresses=(joining,))
    shown = verdict(harness.plan(me), FORWARD_READY)
    assert shown.reason == "AddressPending"
    assert shown.message.startswith("NAT gateway nat-2 is still attaching 203.0.113.5.")


def test_a_network_interface_means_its_addresses() -> None:
    harness = PlannerHarness()
    harness.eip(1, network_interface_id="eni-0abc", instance_id="i-0abc")
    harness.eip(2, network_interface_id="eni-0abd", instance_id="i-0abc")
    assert wanted(harness, selecting([{"networkInterfaceID": "eni-0abc"}])) == ["203.0.113.1"]


# ---------------------------------------------------------------- tags that move


def test_a_tag_that_moves_adds_the_new_address_before_the_old_one_goes() -> None:
    harness = PlannerHarness()
    old, new = harness.eip(1, tags=MAIL), harness.eip(2)
    me = ready(harness, [old], BY_TAGS)
    tag(harness, old)
    tag(harness, new, **MAIL)
    plan = harness.plan(me)
    assert {a for _, a in plan.wanted} == {new.allocation_id}
    assert plan.action is not None
    # The union: what is written first still has the old address, whose PTR shows the name.
    for change in plan.action.changes:  # type: ignore[union-attr]
        if change.verb.value == "CREATE" and change.record_set.type == "A":
            assert change.record_set.values == (old.public_ip, new.public_ip)


def test_a_tag_that_leaves_one_of_two_addresses_releases_its_ptr_first() -> None:
    harness = PlannerHarness()
    stays, leaves = harness.eip(1, tags=MAIL), harness.eip(2, tags=MAIL)
    me = ready(harness, [stays, leaves], BY_TAGS)
    tag(harness, leaves)
    plan = harness.plan(me)
    assert isinstance(plan.action, ResetPtr)
    assert plan.action.allocation_id == leaves.allocation_id


def test_when_no_address_has_the_tags_any_more_what_exists_is_held() -> None:
    harness = PlannerHarness()
    eips = [harness.eip(1, tags=MAIL), harness.eip(2, tags=MAIL)]
    me = ready(harness, eips, BY_TAGS)
    for eip in eips:
        tag(harness, eip)
    plan = harness.plan(me)
    assert plan.action is None
    assert {a for _, a in plan.wanted} == {e.allocation_id for e in eips}
    assert verdict(plan, FORWARD_READY).reason == "AddressNotFound"
    assert "tags=use=mail resolves to no Elastic IP" in verdict(plan, FORWARD_READY).message


def test_an_address_that_only_the_tag_named_is_held_beside_one_that_is_named_by_its_id() -> None:
    harness = PlannerHarness()
    tagged, named = harness.eip(1, tags=MAIL), harness.eip(2)
    me = ready(harness, [tagged, named], [*BY_TAGS, {"allocationID": named.allocation_id}])
    tag(harness, tagged)
    plan = harness.plan(me)
    assert plan.action is None
    assert {a for _, a in plan.wanted} == {tagged.allocation_id, named.allocation_id}
    assert verdict(plan, FORWARD_READY).reason == "AddressNotFound"


@pytest.mark.parametrize("count", [1, 2])
def test_a_held_address_that_another_object_has_is_given_up_without_a_conflict(count: int) -> None:
    """A third party set its PTR, so the PTR does not show whose the address is any more."""
    harness = PlannerHarness()
    eips = [harness.eip(number, tags=MAIL) for number in range(1, 1 + count)]
    me, taken = ready(harness, eips, BY_TAGS), eips[0]
    for eip in eips:
        tag(harness, eip)
    harness.take(obj(OTHER_HOST, [taken], uid=OTHER_UID))
    assert taken.allocation_id in {a for _, a in harness.plan(me).wanted}, "its PTR shows whose it is"
    harness.set_ptr(harness.book.eips[taken.allocation_id], "mail.stranger.net")
    plan = harness.plan(me)
    assert verdict(plan, ACCEPTED).ok, "the spec selects nothing that another object has"
    assert isinstance(plan.action, ChangeRecords), "it leaves the A record"
    assert plan.standing is not None
    assert plan.standing.able == (count == 2), "with no address left it holds nothing by its age"
    status = harness.written(me, plan).status
    named = [a for a in status.addresses if a.reason == "AddressNotFound"]
    assert [a.allocation_id for a in named] == ([eips[1].allocation_id] if count == 2 else [None])


def test_an_address_that_is_released_with_its_tag_is_lost_not_only_unselected() -> None:
    harness = PlannerHarness()
    stays, gone = harness.eip(1, tags=MAIL), harness.eip(2, tags=MAIL)
    me = ready(harness, [stays, gone], BY_TAGS)
    del harness.book.eips[gone.allocation_id]
    harness.book.absences[gone.allocation_id] = Absence.UNCHECKED
    assert harness.plan(me).action is None, "one list may lack a page"
    harness.book.absences[gone.allocation_id] = Absence.LOST
    assert harness.plan(me).action is not None


# ---------------------------------------------------------------- edits


def test_a_change_from_ids_to_tags_with_the_same_addresses_writes_nothing_and_no_condition_moves() -> None:
    harness = PlannerHarness()
    eips = [harness.eip(1, tags=MAIL), harness.eip(2, tags=MAIL)]
    me = ready(harness, eips, [{"allocationID": e.allocation_id} for e in eips])
    edited = replace(me, spec=selecting(BY_TAGS).spec, meta=replace(me.meta, generation=2))
    harness.now = 20.0
    plan = harness.plan(edited)
    assert NeedRegion(REGION, 20.0) in plan.needs, "others may have the tag since"
    assert plan.action is None
    assert all(finding.ok or finding.inconclusive for finding in plan.findings.values()), plan.findings
    assert {a.selector for a in plan.addresses} == {"tags=use=mail"}
    assert [a.public_ip for a in plan.addresses] == [e.public_ip for e in eips]


def test_a_list_from_before_the_edit_does_not_decide_who_has_the_tags() -> None:
    """The second address got its tag just before the edit: it must not be taken for one that leaves."""
    harness = PlannerHarness()
    eips = [harness.eip(1, tags=MAIL), harness.eip(2)]
    me = ready(harness, eips, [{"allocationID": e.allocation_id} for e in eips])
    edited = replace(me, spec=selecting(BY_TAGS).spec, meta=replace(me.meta, generation=2))
    harness.now = 20.0
    assert harness.plan(edited).action is None
    # As the status shows the first one by its tag from now on.
    assert harness.plan(harness.written(edited, harness.plan(edited))).action is None
    tag(harness, eips[1], **MAIL)
    harness.book.at = 21.0
    assert len(harness.plan(edited).wanted) == 2


def test_a_selector_that_stays_is_resolved_without_another_list() -> None:
    harness = PlannerHarness()
    me = ready(harness, [harness.eip(1, tags=MAIL)], BY_TAGS)
    harness.now = 500.0
    harness.memories.clear()
    assert not any(isinstance(need, NeedRegion) for need in harness.plan(me).needs)


def test_an_object_that_is_seen_before_the_first_list_asks_for_no_list_of_its_own() -> None:
    """Each of thousands would ask for one that is newer than the moment at which it was seen first."""
    harness = PlannerHarness()
    me = ready(harness, [harness.eip(1, tags=MAIL)], BY_TAGS)
    harness.now = 500.0
    harness.memories.clear()
    harness.book.at = None
    needs = [need for need in harness.plan(me).needs if isinstance(need, NeedRegion)]
    assert needs
    assert all(need.not_before < harness.now for need in needs)


@pytest.mark.parametrize("tagged", [False, True], ids=["leaves", "joins"])
def test_a_list_that_is_older_than_another_processes_status_moves_no_address(tagged: bool) -> None:
    """The other one has seen since that the second address got, or lost, the tag, and its PTR is there, or gone."""
    harness = PlannerHarness()
    eips = [harness.eip(1, tags=MAIL), harness.eip(2, tags=MAIL)]
    both = ready(harness, eips, BY_TAGS)
    one = replace(both, status=replace(both.status, addresses=both.status.addresses[:1]))
    seen, newer = (both, one) if tagged else (one, both)
    if not tagged:
        tag(harness, eips[1])
    harness.plan(seen)
    harness.now = 20.0
    plan = harness.plan(newer)
    assert NeedRegion(REGION, 20.0) in plan.needs
    assert plan.action is None
    harness.book.at = 20.0
    assert NeedRegion(REGION, 20.0) not in harness.plan(newer).needs
    assert wanted(harness, newer) == [e.public_ip for e in eips][: 1 + tagged]


# ---------------------------------------------------------------- too many


@pytest.mark.parametrize("count", [65, 3000])
def test_a_tag_on_too_many_addresses_is_refused_with_the_numbers(count: int) -> None:
    harness = PlannerHarness()
    for number in range(count):
        eip = Eip(
            f"eipalloc-{number:08x}",
            f"198.51.{number // 250}.{number % 250}",
            "1",
            REGION,
            tags=tags_of(MAIL),
        )
        harness.book.eips[eip.allocation_id] = eip
    plan = harness.plan(selecting([*BY_TAGS, {"allocationID": "eipalloc-00000000"}]))
    refused = verdict(plan, ACCEPTED)
    assert refused.reason == "TooManyAddresses"
    assert f"resolve to {count} Elastic IPs ({count} by tags=use=mail, 1 by allocationID=" in refused.message
    assert "at most 64 can share one hostname" in refused.message
    assert plan.action is None
    assert len(plan.wanted) == 64
    assert len(plan.addresses) <= 80
    assert plan.standing is not None
    assert not plan.standing.able, "it keeps no other object from an address by its age"


def test_when_a_tag_spreads_too_far_the_addresses_that_were_served_stay_as_they_are() -> None:
    harness = PlannerHarness()
    eips = [harness.eip(250, tags=MAIL), harness.eip(251, tags=MAIL)]
    me = ready(harness, eips, BY_TAGS)
    for number in range(70):
        harness.eip(number, tags=MAIL)
    plan = harness.plan(me)
    assert verdict(plan, ACCEPTED).reason == "TooManyAddresses"
    assert plan.action is None
    assert {e.allocation_id for e in eips} <= {a for _, a in plan.wanted}
    assert {a.public_ip for a in plan.addresses if a.ptr == HOST} == {e.public_ip for e in eips}


# ---------------------------------------------------------------- claims


def test_an_address_with_the_tag_that_another_object_has_is_a_conflict_without_its_details() -> None:
    harness = PlannerHarness()
    free, taken = harness.eip(1, tags=MAIL), harness.eip(2, OTHER_HOST, tags=MAIL)
    harness.records.put(OTHER_HOST, [taken.public_ip], mine(OTHER_UID))
    harness.take(obj(OTHER_HOST, [taken], uid=OTHER_UID))
    plan = harness.plan(selecting(BY_TAGS))
    refused = verdict(plan, ACCEPTED)
    assert refused.reason == "AddressConflict"
    assert refused.message.startswith("An Elastic IP with tags=use=mail belongs to another MailEgress")
    assert taken.public_ip not in str(plan.findings)
    assert taken.allocation_id not in str(plan.addresses)
    assert [a.public_ip for a in plan.addresses if a.public_ip] == [free.public_ip]


@pytest.mark.parametrize(
    "rival",
    [
        {"tags": MAIL},
        {"tags": {"use": "mail", "env": "prod"}},
        {"natGatewayTags": {"zone": "a"}},
        {"networkInterfaceID": "eni-0abc"},
        {"allocationID": "eipalloc-00000001"},
    ],
    ids=str,
)
def test_the_oldest_that_means_an_address_gets_it_however_it_names_it(rival: dict[str, Any]) -> None:
    harness = PlannerHarness()
    eip = harness.eip(
        1, tags={"use": "mail", "env": "prod"}, nat_gateway_id="nat-1", network_interface_id="eni-0abc"
    )
    gateway(harness, 1, [eip], zone="a")
    elder = selecting([rival], OTHER_HOST, uid=OTHER_UID, created="2025-01-01T00:00:00Z")
    harness.take(elder)
    assert verdict(harness.plan(selecting(BY_TAGS)), ACCEPTED).reason == "AddressConflict"
    assert verdict(harness.plan(elder), ACCEPTED).ok
    assert harness.claims.drop(OTHER_UID) is not None
    assert verdict(harness.plan(selecting(BY_TAGS)), ACCEPTED).ok


@pytest.mark.parametrize("other", [{"use": "web"}, {"use": "mail", "env": "test"}], ids=str)
def test_tags_that_the_address_does_not_have_claim_nothing(other: dict[str, str]) -> None:
    harness = PlannerHarness()
    harness.eip(1, tags={"use": "mail", "env": "prod"})
    harness.take(selecting([{"tags": other}], OTHER_HOST, uid=OTHER_UID, created="2025-01-01T00:00:00Z"))
    assert verdict(harness.plan(selecting(BY_TAGS)), ACCEPTED).ok


def test_tags_without_a_region_mean_the_default_region_only() -> None:
    """An object that uses the same tags in another region must not be kept from its addresses there."""
    claims = ClaimIndex(REGION)
    elder = selecting(BY_TAGS, created="2025-01-01T00:00:00Z")
    younger = selecting([{"tags": MAIL, "region": ELSEWHERE}], OTHER_HOST, uid=OTHER_UID)
    claims.put("mail/elder", elder)
    claims.put("mail/younger", younger)
    here, there = (
        Eip("eipalloc-1", "203.0.113.1", "1", region, tags=tags_of(MAIL)) for region in (REGION, ELSEWHERE)
    )
    assert [c.uid for c in claims.in_line_for(here)] == [UID]
    assert [c.uid for c in claims.in_line_for(there)] == [OTHER_UID]
    assert not claims.wants_eip(UID, there)


def test_a_claim_by_tags_ends_with_the_object_and_with_the_selector() -> None:
    claims = ClaimIndex(REGION)
    eip = Eip("eipalloc-1", "203.0.113.1", "1", REGION, tags=tags_of(MAIL))
    for uid in (UID, OTHER_UID):
        claims.put(uid, selecting(BY_TAGS, uid=uid))
    assert len(list(claims.in_line_for(eip))) == 2
    claims.put(UID, selecting([{"tags": {"use": "web"}}], uid=UID, generation=2))
    assert [c.uid for c in claims.in_line_for(eip)] == [OTHER_UID]
    claims.drop(OTHER_UID)
    assert list(claims.in_line_for(eip)) == []


def test_an_object_that_is_deleted_under_observed_keeps_its_tagged_address_until_it_is_done() -> None:
    claims = ClaimIndex(REGION)
    eip = Eip("eipalloc-1", "203.0.113.1", "1", REGION, tags=tags_of(MAIL))
    claims.put(UID, selecting(BY_TAGS, deleting=True, forward={"management": "Observed"}))
    leaving = claims.leaving_eip(eip, HOST)
    assert leaving is not None
    assert leaving.uid == UID


def test_a_selector_that_resolves_to_none_is_shown_with_the_reason() -> None:
    harness = PlannerHarness()
    harness.eip(1)
    plan = harness.plan(selecting(BY_TAGS))
    assert [(a.selector, a.reason) for a in plan.addresses] == [("tags=use=mail", "AddressNotFound")]
