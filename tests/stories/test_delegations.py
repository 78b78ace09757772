"""Who answers for the zone: white-label names, a second DNS, a stale server, a deeper delegation, two NS sets."""

from __future__ import annotations

import pytest

from sandbox.aws.client import ZoneInfo
from tests.support.stories.story import Meg, Story

HOST = "mta.example.com"
APEX = "example.com"
OTHER_NS = ["ns1.otherdns-sandbox.net", "ns2.otherdns-sandbox.net"]


def white_label(story: Story, zone: ZoneInfo) -> list[str]:
    """ns1 to ns4.example.com in the zone, with the addresses of its own name servers; the names come back."""
    names = []
    for number, server in enumerate(zone.name_servers, 1):
        names.append(name := f"ns{number}.{APEX}")
        story.put_record(zone, name, [address_of(story, server)])
    return names


def address_of(story: Story, server: str) -> str:
    address: str = story.cloud.dns("servers")["servers"]["route53"][f"{server}."]
    return address


def delegate(story: Story, names: list[str], zone: ZoneInfo) -> None:
    """The parent delegates to these white-label names, with glue."""
    glue = {n: [address_of(story, s)] for n, s in zip(names, zone.name_servers, strict=True)}
    story.cloud.dns("delegate", zone=APEX, ns=names, glue=glue)


def assert_no_ptr(story: Story, meg: Meg) -> None:
    story.passes(meg)
    assert not story.calls("ModifyAddressAttribute")


@pytest.mark.parametrize("where", ["parent", "both"])
def test_white_label_name_servers(story: Story, where: str) -> None:
    """Given a parent that delegates to ns1 to ns4.example.com, which have the addresses of the zone's own servers, then
    it is Ready, whichever names the zone's own NS set has, and a deletion leaves the world as it was."""
    zone = story.zone()
    names = white_label(story, zone)
    if where == "both":
        story.put_record(zone, APEX, [f"{n}." for n in names], "NS", ttl=172800)
    delegate(story, names, zone)
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait()
    assert meg.status["zone"]["id"] == zone.id
    meg.delete()
    story.assert_world(before)


def test_a_white_label_name_that_leads_elsewhere(story: Story) -> None:
    """Given white-label names of which one has a foreign address at the parent, then that name is singled out and no
    PTR is asked for; when its glue is corrected, it is Ready without an edit."""
    zone = story.zone()
    names = white_label(story, zone)
    glue = {n: [address_of(story, s)] for n, s in zip(names, zone.name_servers, strict=True)}
    foreign = story.cloud.dns("servers")["servers"]["providers"][f"{OTHER_NS[0]}."]
    story.cloud.dns("delegate", zone=APEX, ns=names, glue={**glue, names[2]: [foreign]})
    [eip] = story.eips()
    meg = story.meg("outbound", HOST, [eip]).wait(status="False", reason="ZoneNotDelegated")
    assert f"also delegates to {names[2]}," in meg.condition("ForwardReady")[2]
    assert_no_ptr(story, meg)
    story.cloud.dns("delegate", zone=APEX, ns=names, glue=glue)
    meg.wait()


def test_a_second_dns_beside_route_53(story: Story) -> None:
    """Given a parent that names two servers of the zone and two of another DNS which serves it too, then Managed is
    held back with Observed as the way out; when the spec says Observed and both have the record, it is Ready."""
    zone = story.zone()
    story.cloud.dns("zone-put", zone=APEX, delegate=False)
    story.cloud.dns("delegate", zone=APEX, ns=[*zone.name_servers[:2], *OTHER_NS])
    [eip] = story.eips()
    meg = story.meg("outbound", HOST, [eip]).wait(status="False", reason="ZoneNotDelegated")
    message = meg.condition("ForwardReady")[2]
    assert f"also delegates to {', '.join(OTHER_NS)}, not a name server of the hosted zone" in message
    assert "set spec.forward.management to Observed and write the A record in both" in message
    assert "four name servers" not in message
    assert_no_ptr(story, meg)
    meg.spec(forward={"management": "Observed"})
    story.cloud.dns("record-put", zone=APEX, name=HOST, type="A", values=[eip.public_ip])
    meg.wait()
    assert story.records(zone, HOST) == (eip.public_ip,)


def test_a_server_of_a_deleted_zone_at_the_registrar(story: Story) -> None:
    """Given the zone's four servers and a fifth that does not know the zone, then the fifth alone is named; when it is
    removed at the registrar, it is Ready."""
    gone = story.zone()
    zone = story.zone()
    stale = next(s for s in gone.name_servers if s not in zone.name_servers)
    story.boto("route53").delete_hosted_zone(Id=gone.id)
    story.cloud.dns("delegate", zone=APEX, ns=[*zone.name_servers, stale])
    [eip] = story.eips()
    meg = story.meg("outbound", HOST, [eip]).wait(status="False", reason="ZoneNotDelegated")
    message = meg.condition("ForwardReady")[2]
    assert f"also delegates to {stale}, not a name server of the hosted zone" in message
    assert f"Remove {stale} at the parent domain or registrar" in message
    assert_no_ptr(story, meg)
    story.cloud.dns("delegate", zone=APEX, ns=list(zone.name_servers))
    meg.wait()


def test_a_name_below_a_deeper_delegation(story: Story) -> None:
    """Given out.example.com delegated by an NS record set of our zone to another DNS, then the remedy for a name below
    it speaks of that NS set, of its zone and of Observed, not of the registrar; a deletion leaves nothing."""
    zone = story.zone()
    story.put_record(zone, "out.example.com", [f"{n}." for n in OTHER_NS], "NS", action="CREATE")
    story.cloud.dns("zone-put", zone="out.example.com", delegate=False)
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", "mta.out.example.com", [eip]).wait(status="False", reason="ZoneNotDelegated")
    message = meg.condition("ForwardReady")[2]
    assert f"out.example.com is delegated away from example.com, to {', '.join(OTHER_NS)}" in message
    assert "remove the NS record set out.example.com from zone example.com" in message
    assert "hostedZoneID" in message
    assert "Observed" in message
    assert "registrar" not in message
    assert_no_ptr(story, meg)
    meg.delete()
    story.assert_world(before)


@pytest.mark.parametrize("management", ["Managed", "Observed"])
def test_a_server_that_only_the_zones_own_ns_set_names(story: Story, management: str) -> None:
    """Given a right delegation and a zone whose own NS set names one more server, which lacks the A record, then it is
    not Ready, because resolvers follow that set; the message says which set is wrong; when it is corrected, Ready."""
    zone = story.zone()
    story.cloud.dns("zone-put", zone=APEX, servers=OTHER_NS[:1], delegate=False)
    right = [f"{n}." for n in zone.name_servers]
    story.put_record(zone, APEX, [*right, f"{OTHER_NS[0]}."], "NS", ttl=172800)
    [eip] = story.eips()
    if management == "Observed":
        story.put_record(zone, HOST, [eip.public_ip])
    meg = story.meg("outbound", HOST, [eip], forward={"management": management})
    reason = "AuthoritiesDisagree" if management == "Managed" else "WaitingForForward"
    meg.wait(status="False", reason=reason)
    said = f"only the zone's own NS record set names {OTHER_NS[0]}, the parent does not"
    # Before that, the zone's own servers may not have the record yet.
    meg.until(lambda: said in meg.condition("ForwardReady")[2], "the message to name the set that is wrong")
    message = meg.condition("ForwardReady")[2]
    assert f"remove it from the NS record set of {APEX}" in message
    assert_no_ptr(story, meg)
    story.put_record(zone, APEX, right, "NS", ttl=172800)
    meg.wait()


def test_a_wildcard_stands_before_the_name(story: Story) -> None:
    """Given wildcard A and TXT records that answer for the name and for its ownership name, and resolvers that hold
    these answers, then this is no conflict: the record is made and it is Ready when the caches run out; a deletion
    leaves the wildcards as they were."""
    zone = story.zone()
    story.put_record(zone, f"*.{APEX}", ["198.51.100.9"], ttl=1)
    story.put_record(zone, f"*.{APEX}", ['"v=spf1 -all"'], "TXT", ttl=1)
    resolvers = story.cloud.dns("servers")["servers"]["recursors"]

    def answered() -> bool:
        said = [story.cloud.dns("query", server=r, name=HOST, rd=True)["reply"] for r in resolvers]
        return all(r is not None and "198.51.100.9" in str(r["answer"]) for r in said)

    story.until(answered, "the wildcard to be answered for the name by every resolver")
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait()
    assert story.records(zone, HOST) == (eip.public_ip,)
    assert story.mark(zone, HOST).startswith("meg1 c ")
    assert "RecordConflict" not in {r for _, r in meg.events()}
    meg.delete()
    story.assert_world(before)
