"""Two namespaces under --policy=Enforce: hostnames, management and the number of objects."""

from __future__ import annotations

import time

import pytest

from tests.support.stories.policies import Tenants, refused, told
from tests.support.stories.story import Meg

OURS, THEIRS = "mail.a.example.com", "mail.b.example.com"
MTA = f"mta.{OURS}"
OBSERVED = {"management": "Observed"}


def enforced(tenants: Tenants) -> None:
    tenants.story.start_operator(policy="Enforce")


def test_a_hostname_that_no_policy_of_the_namespace_allows(tenants: Tenants) -> None:
    """Given older objects of another namespace that name ours, the apex, and names that only look allowed, then each
    is refused without a write, holds nothing, and ours becomes Ready."""
    story = tenants.story
    zone, [ours, *spare] = story.zone(), story.eips(6)
    tenants.allow(tenants.ours, OURS)
    tenants.allow(tenants.theirs, THEIRS)
    before = story.world()
    names = [MTA, "example.com", f"x{THEIRS}", THEIRS, f"{THEIRS}.evil.org"]
    evil = [
        story.meg(f"evil-{n}", name, [eip], namespace=tenants.theirs)
        for n, (name, eip) in enumerate(zip(names, spare, strict=True))
    ]
    enforced(tenants)
    for meg, name in zip(evil, names, strict=True):
        message = refused(meg, "HostnameNotAllowed")
        assert name in message
        assert THEIRS in message, "the message names what is allowed"
        assert OURS not in message.replace(name, ""), "and nothing of other namespaces"
        assert "policy" not in meg.status
    assert story.writes() == 0
    mine = story.meg("outbound", MTA, [ours]).wait()
    assert mine.status["policy"] == f"for-{tenants.ours}"
    assert story.records(zone, MTA) == (ours.public_ip,)
    assert not [eip for eip in spare if tenants.touched(eip)]
    assert all(meg.condition("Accepted")[1] == "HostnameNotAllowed" for meg in evil)
    mine.delete()
    for meg in evil:
        meg.delete()
    story.assert_world(before)


@pytest.mark.parametrize("how", ["suspended", "unresolvable", "observed"])
def test_an_older_object_that_is_not_allowed_holds_nothing(tenants: Tenants, how: str) -> None:
    """Given an older object of another namespace for our name and address, in each form that could claim by its age,
    then ours is Ready as if it did not exist."""
    story = tenants.story
    story.zone()
    [eip] = story.eips()
    tenants.allow(tenants.ours, OURS)
    tenants.allow(tenants.theirs, THEIRS, management=["Managed", "Observed"])
    before = story.world()
    more: dict[str, object] = {"suspend": True} if how == "suspended" else {}
    more |= {"forward": OBSERVED} if how == "observed" else {}
    selectors = [{"allocationID": "eipalloc-0deadbeef"}] if how == "unresolvable" else [eip]
    evil = story.meg("evil", MTA, selectors, namespace=tenants.theirs, **more)
    enforced(tenants)
    refused(evil, "HostnameNotAllowed")
    mine = story.meg("outbound", MTA, [eip]).wait()
    assert story.ptr(eip) == MTA
    mine.delete()
    evil.delete()
    story.assert_world(before)


def test_observed_must_be_granted(tenants: Tenants) -> None:
    """Given Observed without the right, then no DNS question is asked for it and the PTR stays; with the right it is
    Ready."""
    story = tenants.story
    [eip] = story.eips()
    host = "mta.example.net"
    story.cloud.dns("zone-put", zone="example.net")
    story.cloud.dns("record-put", zone="example.net", name=host, type="A", values=[eip.public_ip], ttl=300)
    name = tenants.allow(tenants.theirs, "example.net")
    before = story.world()
    enforced(tenants)
    evil = story.meg("evil", host, [eip], namespace=tenants.theirs, forward=OBSERVED)
    assert "Observed" in refused(evil, "ManagementNotAllowed")
    asked = [q for q in story.cloud.dns("log", client="client")["queries"] if host in q["name"]]
    assert asked == []
    assert story.ptr(eip) is None
    tenants.edit(name, management=["Managed", "Observed"])
    evil.wait()
    assert story.ptr(eip) == host
    evil.delete()
    story.assert_world(before)


def test_parts_of_two_policies_are_not_combined(tenants: Tenants) -> None:
    """Given one policy with the hostname and another with the address, then the object is refused; one with both
    allows it."""
    story = tenants.story
    story.zone()
    mine, other = story.eips(2)
    by_id = {"allocationIDs": [mine.allocation_id]}
    tenants.allow(tenants.ours, OURS, name="hostname", addresses={"allocationIDs": [other.allocation_id]})
    tenants.allow(tenants.ours, THEIRS, name="address", addresses=by_id)
    before = story.world()
    enforced(tenants)
    meg = story.meg("outbound", MTA, [mine])
    refused(meg, "AddressNotAllowed")
    assert story.writes() == 0
    tenants.allow(tenants.ours, OURS, name="both", addresses=by_id)
    meg.wait()
    assert meg.status["policy"] == "both"
    meg.delete()
    story.assert_world(before)


def test_the_limit_of_a_namespace(tenants: Tenants) -> None:
    """Given a limit of two, then the youngest of three is refused whatever it names; the deletion of one lets it in."""
    story = tenants.story
    story.zone()
    eips = story.eips(3)
    tenants.allow(tenants.ours, OURS, maxMailEgresses=2)
    before = story.world()
    enforced(tenants)
    megs: list[Meg] = []
    for n, eip in enumerate(eips):
        if megs:
            # Creation times count in whole seconds.
            megs[-1].wait("Accepted")
            created = megs[-1].get()["metadata"]["creationTimestamp"]
            story.until(lambda c=created: _now() > c, "the next second")  # type: ignore[misc]
        megs.append(story.meg(f"m{n}", f"mta{n}.{OURS}", [eip]))
    first, second, third = megs
    assert "2" in refused(third, "NamespaceLimit")
    first.wait()
    second.wait()
    assert tenants.touched(eips[2]) == []
    first.delete()
    third.wait()
    assert second.condition("Ready")[0] == "True"
    second.delete()
    third.delete()
    story.assert_world(before)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def test_a_refused_object_is_told_about_its_own_policies_only(tenants: Tenants) -> None:
    """Given a refused object, then its status and Events name no policy, namespace or hostname of others."""
    story = tenants.story
    story.zone()
    [eip] = story.eips()
    tenants.allow(tenants.ours, OURS, name="secret-policy-of-ours")
    tenants.allow(tenants.theirs, THEIRS)
    enforced(tenants)
    evil = story.meg("evil", "mta.elsewhere.example.com", [eip], namespace=tenants.theirs)
    refused(evil, "HostnameNotAllowed")
    text = told(evil)
    for secret in (OURS, tenants.ours, "secret-policy-of-ours", eip.public_ip):
        assert secret not in text
    evil.delete()
