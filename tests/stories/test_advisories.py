"""Advice about mail delivery, on a real API server."""

from __future__ import annotations

from typing import Any

from tests.stories.test_gitops import kubectl
from tests.support.stories.story import Meg, Story


def advice(meg: Meg) -> dict[str, dict[str, Any]]:
    """The advisories in the status, by code."""
    return {advisory["code"]: advisory for advisory in meg.status.get("advisories", [])}


def test_advice_is_shown_and_ready_does_not_depend_on_it(story: Story) -> None:
    """Given a name that filters score and an address attached to nothing, the object is Ready, and the status, the
    wide column, the metric and one Event each show the advice.
    """
    story.zone()
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", "mail-nat-1.example.com", [eip]).wait()
    meg.until(lambda: "HeloSPF" in advice(meg), "the advice about SPF")
    assert list(advice(meg)) == ["GenericName", "AddressNotAttached", "HeloSPF"]
    assert 'rspamd adds 3.0 to the spam score for "nat"' in advice(meg)["GenericName"]["message"]
    assert advice(meg)["AddressNotAttached"]["addresses"] == [eip.public_ip]
    wide = kubectl(story, "get", "meg", "-o", "wide").splitlines()
    assert "ADVISORIES" in wide[0]
    assert "GenericName,AddressNotAttached,HeloSPF" in wide[1]
    meg.told("Warning", "GenericName")
    meg.told("Normal", "AddressNotAttached")
    meg.told("Normal", "Ready")
    codes = [reason for _, reason in meg.events()]
    assert (codes.count("GenericName"), codes.count("AddressNotAttached")) == (1, 1)
    assert 'mailegress_advisories{code="GenericName"} 1.0' in story.operator.get("/metrics")[1]
    meg.delete()
    story.assert_world(before)


def test_an_address_of_the_gateway_that_nobody_selects_is_reported_until_it_is_selected(story: Story) -> None:
    """Given a NAT gateway with two addresses of which one is selected, the other is reported. Selecting the gateway
    ends it.
    """
    story.zone()
    eips = story.eips(2)
    gateway = story.nat_gateway(eips)
    before = story.world()
    meg = story.meg("outbound", "mta.example.com", [eips[0]]).wait()
    sibling = advice(meg)["SiblingAddress"]
    assert (sibling["severity"], sibling["addresses"]) == ("Warning", [eips[1].public_ip])
    assert f"{gateway} also has {eips[1].public_ip}" in sibling["message"]
    meg.spec(elasticIPs=[{"natGatewayID": gateway}]).wait()
    meg.until(lambda: set(advice(meg)) == {"HeloSPF"}, "the advice about the other address to go")
    meg.delete()
    story.assert_world(before)


def test_turned_off_there_is_no_advice(bare_story: Story) -> None:
    """Given --advisories=off, the status of a generic name has no advice, and what an operator with advice stored is
    removed.
    """
    story = bare_story
    story.zone()
    [eip] = story.eips()
    before = story.world()
    operator = story.start_operator()
    meg = story.meg("outbound", "mail-nat-1.example.com", [eip]).wait()
    assert advice(meg)
    operator.stop()
    story.start_operator("silent", advisories="off")
    meg.until(lambda: "advisories" not in meg.status, "the advice to be removed")
    assert "advisories" not in meg.status.get("display", {})
    meg.delete()
    story.assert_world(before)


def test_spf_dmarc_and_ipv6_are_reported_until_they_are_corrected(story: Story) -> None:
    """Given sender domains, the advice names what SPF and DMARC lack, and goes with the next round of the public
    resolvers after the records are corrected. Ready stays True, and nothing in AWS is written for it.
    """
    zone, [eip] = story.zone(), story.eips()
    story.nat_gateway([eip])
    before = story.world()
    story.put_record(zone, "shop.example.com", ['"v=spf1 ip4:198.51.100.0/24 ~all"'], "TXT")
    meg = story.meg("outbound", "mta.example.com", [eip], senderDomains=["shop.example.com"]).wait()
    meg.until(lambda: set(advice(meg)) == {"HeloSPF", "SenderSPF", "SenderDMARC"}, "the advice about mail")
    assert "SPF is softfail" in advice(meg)["SenderSPF"]["message"]
    assert advice(meg)["HeloSPF"]["addresses"] == [eip.public_ip]
    writes, ready = story.writes(), meg.condition("Ready")
    story.put_record(zone, "mta.example.com", ['"v=spf1 a -all"'], "TXT")
    story.put_record(zone, "mta.example.com", ["2001:db8::25"], "AAAA")
    story.put_record(zone, "shop.example.com", ['"v=spf1 a:mta.example.com ~all"'], "TXT")
    story.put_record(zone, "_dmarc.example.com", ['"v=DMARC1; p=none"'], "TXT")
    meg.until(lambda: set(advice(meg)) == {"HostnameHasAAAA"}, "only the advice about IPv6")
    assert (story.writes(), meg.condition("Ready")) == (writes, ready)
    for name, rtype in (("mta", "TXT"), ("mta", "AAAA"), ("shop", "TXT"), ("_dmarc", "TXT")):
        story.drop_record(zone, f"{name}.example.com", rtype)
    meg.delete()
    story.assert_world(before)
