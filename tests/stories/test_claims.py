"""One hostname and one EIP belong to one object at a time; never by luck, and tenants stay strangers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from kubernetes import client as k8s

from sandbox.aws.client import EipInfo
from tests.support.stories.story import Meg, Story
from tests.support.stories.watch_recorder import condition, recorded_watch

H1, H2, H3 = "mta1.example.com", "mta2.example.com", "mta3.example.com"
TENANT = "another-tenant-of-this-cluster"


@pytest.fixture
def tenant(bare_story: Story) -> Iterator[str]:
    """A second namespace."""
    bare_story.core.create_namespace({"metadata": {"name": TENANT}})
    yield TENANT
    for item in bare_story.objects.list_namespaced_custom_object(
        "mailegress.io", "v1alpha1", TENANT, "mailegresses"
    )["items"]:
        Meg(bare_story, item["metadata"]["name"], TENANT).patch({"metadata": {"finalizers": None}})
    bare_story.core.delete_namespace(TENANT)
    bare_story.until(lambda: not _namespace_exists(bare_story, TENANT), "the namespace to be gone")


def _namespace_exists(story: Story, name: str) -> bool:
    try:
        story.core.read_namespace(name)
    except k8s.ApiException as error:
        if error.status == 404:
            return False
        raise
    return True


def a_second_younger(story: Story, than: Meg) -> None:
    """Creation times count in whole seconds: let the next object be truly younger."""
    created = than.get()["metadata"]["creationTimestamp"]
    clock = lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())  # noqa: E731
    story.until(lambda: clock() > created, "the next second")


def assert_lost(meg: Meg, reason: str, *secrets: str) -> None:
    """A human is called at once, and not one word of the other's identity is told."""
    conditions = meg.conditions()
    assert (conditions["Accepted"]["status"], conditions["Accepted"]["reason"]) == ("False", reason)
    assert conditions["Stalled"]["reason"] == reason
    assert "Reconciling" not in conditions
    events = k8s.EventsV1Api(meg.story.api).list_namespaced_event(meg.namespace).items
    told = json.dumps(meg.status) + "".join(str(e.note) for e in events if e.regarding.name == meg.name)
    for secret in secrets:
        assert secret not in told, told


def test_the_older_of_two_on_one_hostname_wins(bare_story: Story, tenant: str) -> None:
    """Given two new objects with one hostname, then the older becomes Ready and the younger is told so at once, writes
    nothing, and does not learn who the other is."""
    story = bare_story
    zone = story.zone()
    mine, theirs = story.eips(2)
    before = story.world()
    older = story.meg("the-winner", H1, [mine], namespace=tenant)
    a_second_younger(story, older)
    with recorded_watch(story) as recorder:
        younger = story.meg("a-loser", H1, [theirs])
        story.start_operator()
        older.wait()
        younger.wait("Accepted", "False", "HostnameConflict")
        younger.wait(status="False", reason="HostnameConflict")
        story.passes(younger, 2)
    assert_lost(younger, "HostnameConflict", "the-winner", tenant, older.uid())
    assert H1 in younger.condition("Ready")[2]
    for version in recorder.of(younger):
        if condition(version, "Ready")["reason"] == "HostnameConflict":
            assert condition(version, "Stalled"), "Stalled comes with the verdict"
    assert story.records(zone, H1) == (mine.public_ip,)
    assert story.ptr(theirs) is None
    for name in ("ChangeResourceRecordSets", "ModifyAddressAttribute"):
        assert not story.calls(name, contains=theirs.public_ip)
        assert not story.calls(name, contains=theirs.allocation_id)
    younger.delete()
    assert older.condition("Ready")[0] == "True"
    older.delete()
    story.assert_world(before)


def test_the_older_of_two_on_one_eip_wins(bare_story: Story, tenant: str) -> None:
    """Given one EIP named by its ID and through its NAT gateway, then it belongs to the older object, and the younger
    is told so and leaves the PTR alone."""
    story = bare_story
    zone = story.zone()
    [eip] = story.eips()
    gateway = story.nat_gateway([eip])
    story.until(lambda: story.nat_statuses(gateway) == ["succeeded"], "the NAT gateway")
    before = story.world()
    older = story.meg("the-winner", H1, [{"natGatewayID": gateway}], namespace=tenant)
    a_second_younger(story, older)
    younger = story.meg("a-loser", H2, [eip])
    story.start_operator()
    older.wait()
    younger.wait("Accepted", "False", "AddressConflict")
    younger.wait(status="False", reason="AddressConflict")
    story.passes(younger, 2)
    assert_lost(younger, "AddressConflict", "the-winner", tenant, older.uid())
    assert eip.allocation_id in younger.condition("Ready")[2]
    assert story.ptr(eip) == H1
    assert story.records(zone, H2) == ()
    assert not story.calls("ModifyAddressAttribute", contains=H2)
    assert not story.calls("ChangeResourceRecordSets", contains=H2)
    older.delete()
    younger.wait()
    assert story.ptr(eip) == H2
    younger.delete()
    story.assert_world(before)


@pytest.mark.parametrize("how", ["deleted", "edited away"])
@pytest.mark.parametrize("what", ["hostname", "EIP"])
def test_the_loser_takes_over_when_the_winner_goes(story: Story, what: str, how: str) -> None:
    """Given a lost claim, when the winner is deleted or edited to want something else, then the loser gets what it
    waited for, without an edit of its own, and only after the winner's traces are gone."""
    zone = story.zone()
    first, second, spare = story.eips(3)
    before = story.world()
    winner = story.meg("winner", H1, [first]).wait()
    if what == "hostname":
        loser = story.meg("loser", H1, [second]).wait(status="False", reason="HostnameConflict")
    else:
        loser = story.meg("loser", H2, [first]).wait(status="False", reason="AddressConflict")
    if how == "deleted":
        winner.delete(wait=False)
    elif what == "hostname":
        winner.spec(hostname=H3)
    else:
        winner.spec(elasticIPs=[{"allocationID": spare.allocation_id}])
    loser.wait()
    assert loser.get()["metadata"]["generation"] == 1
    hostname, eip = (H1, second) if what == "hostname" else (H2, first)
    assert story.records(zone, hostname) == (eip.public_ip,)
    assert story.ptr(eip) == hostname
    if how == "deleted":
        winner.wait_gone()
    else:
        winner.wait(reason="Ready")
        winner.delete()
    loser.delete()
    story.assert_world(before)
    assert story.aws.upserts() == 0


def test_waiting_for_a_release_is_no_reason_to_call_a_human(bare_story: Story) -> None:
    """Given a holder that has changed its hostname but keeps the old name until receivers have forgotten it, then the
    next in line says WaitingForRelease while Reconciling, is never Stalled from then on, and gets the name."""
    story = bare_story
    story.start_operator(ptr_ttl_seconds="4")
    zone = story.zone()
    first, second = story.eips(2)
    holder = story.meg("holder", H1, [first]).wait()
    heir = story.meg("heir", H1, [second]).wait(status="False", reason="HostnameConflict")
    with recorded_watch(story) as recorder:
        holder.spec(hostname=H2)
        heir.wait_reason("WaitingForRelease")
        assert heir.condition("Accepted")[:2] == ("False", "WaitingForRelease")
        assert "Reconciling" in heir.conditions()
        assert "Stalled" not in heir.conditions()
        assert story.records(zone, H1) == (first.public_ip,), "still the holder's"
        heir.wait()
    reasons = [reason for _, reason in recorder.seen(heir)]
    assert "HostnameConflict" not in reasons[reasons.index("WaitingForRelease") :]
    assert "Stalled" not in {
        c["type"]
        for v in recorder.of(heir)[1:]
        if condition(v, "Ready")["reason"] == "WaitingForRelease"
        for c in v["status"]["conditions"]
    }
    assert story.records(zone, H1) == (second.public_ip,)


def _exchange(story: Story, what: str, eips: list[EipInfo]) -> tuple[Meg, Meg, EipInfo, EipInfo, EipInfo]:
    a, b, spare = eips
    one = story.meg("one", H1, [a]).wait()
    two = story.meg("two", H2, [b]).wait()
    if what == "hostnames":
        one.spec(hostname=H2)
        two.spec(hostname=H1)
    else:
        one.spec(elasticIPs=[{"allocationID": b.allocation_id}])
        two.spec(elasticIPs=[{"allocationID": a.allocation_id}])
    return one, two, a, b, spare


@pytest.mark.parametrize("what", ["hostnames", "EIPs"])
def test_an_exchange_is_named_and_ends_when_one_steps_aside(story: Story, what: str) -> None:
    """Given two objects that want each other's, then both say ClaimCycle, keep what they have, and call a human; when
    one takes something free, both become Ready."""
    zone = story.zone()
    eips = story.eips(3)
    before = story.world()
    one, two, a, b, spare = _exchange(story, what, eips)
    for meg in (one, two):
        meg.wait("Accepted", "False", "ClaimCycle")
        meg.wait(status="False", reason="ClaimCycle")
    for meg, other in ((one, two), (two, one)):
        assert_lost(meg, "ClaimCycle", f'"{other.name}"', other.uid())
    _restart_moves_nothing(story, one, two)
    assert story.records(zone, H1) == (a.public_ip,)
    assert story.records(zone, H2) == (b.public_ip,)
    assert story.ptr(a) == H1
    assert story.ptr(b) == H2

    if what == "hostnames":
        one.spec(hostname=H3)
    else:
        one.spec(elasticIPs=[{"allocationID": spare.allocation_id}])
    one.wait()
    two.wait()
    if what == "hostnames":
        assert story.records(zone, H3) == (a.public_ip,)
        assert story.records(zone, H1) == (b.public_ip,)
    else:
        assert story.records(zone, H1) == (spare.public_ip,)
        assert story.records(zone, H2) == (a.public_ip,)
    one.wait(reason="Ready").delete()
    two.wait(reason="Ready").delete()
    story.assert_world(before)


def test_the_holder_of_the_mark_keeps_it_over_a_restart(story: Story) -> None:
    """Given a younger object that holds the mark and an older one that came to want its name, when the operator starts
    anew without memory, then nothing moves: no write, no condition, no event."""
    story.zone()
    first, second = story.eips(2)
    older = story.meg("older", H1, [first]).wait()
    a_second_younger(story, older)
    younger = story.meg("younger", H2, [second]).wait(reason="Ready")
    older.spec(hostname=H2).wait(status="False", reason="HostnameConflict")
    older.told("Warning", "HostnameConflict")
    _restart_moves_nothing(story, older, younger)


def _restart_moves_nothing(story: Story, *megs: Meg) -> None:
    """An operator without memory writes nothing, moves no condition and tells nothing twice."""
    for meg in megs:
        story.passes(meg)
    story.operator.kill()
    shown = {m.name: (m.status["conditions"], m.events()) for m in megs}
    writes = story.writes()
    with recorded_watch(story) as recorder:
        story.start_operator("anew")
        for meg in megs:
            story.passes(meg, 3)
    assert story.writes() == writes
    for meg in megs:
        conditions, events = shown[meg.name]
        for version in recorder.of(meg):
            assert version["status"]["conditions"] == conditions, f"{meg.name} flaps at a restart"
        assert meg.events() == events
