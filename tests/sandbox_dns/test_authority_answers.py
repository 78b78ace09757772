"""What root, parents, Route 53's servers and reverse servers say, one by one."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.dns.values import RRSet

ROOT, PARENT, REVERSE = "127.0.53.1", "127.0.53.2", "127.0.53.5"
NS1, NS5 = "127.0.53.11", "127.0.53.15"


def test_the_root_refers_to_the_parents_with_glue(stage: Any) -> None:
    reply = stage.ask(ROOT, "mta.example.com.")
    assert (reply.rcode, reply.aa, reply.answer) == ("NOERROR", False, ())
    assert reply.authority == (
        RRSet("com.", "NS", 300, ("tld-1.dns-sandbox.net.", "tld-2.dns-sandbox.net.")),
    )
    assert {(r.name, r.values) for r in reply.additional} == {
        ("tld-1.dns-sandbox.net.", ("127.0.53.2",)),
        ("tld-2.dns-sandbox.net.", ("127.0.53.3",)),
    }


def test_a_parent_refers_to_the_zones_servers_with_glue(stage: Any, servers: Any) -> None:
    reply = stage.ask(PARENT, "mta.example.com.")
    assert not reply.aa
    assert reply.authority == (RRSet("example.com.", "NS", 300, servers(1)),)
    assert [r.values[0] for r in reply.additional] == [f"127.0.53.{i}" for i in (11, 12, 13, 14)]


def test_a_parent_denies_an_unknown_zone_with_its_soa(stage: Any) -> None:
    reply = stage.ask(PARENT, "nobody.com.")
    assert (reply.rcode, reply.aa) == ("NXDOMAIN", True)
    assert [(r.name, r.rtype, r.ttl) for r in reply.authority] == [("com.", "SOA", 900)]


def test_the_root_denies_an_unknown_top_level_domain(stage: Any) -> None:
    assert stage.ask(ROOT, "a.nosuchtld.").rcode == "NXDOMAIN"


def test_the_zones_servers_answer_with_aa_and_keep_the_case(stage: Any) -> None:
    stage.source.put("ZONE", "mta.example.com", "A", ["192.0.2.10", "192.0.2.11"], ttl=60)
    reply = stage.ask(NS1, "MTA.Example.com")
    assert (reply.rcode, reply.aa, reply.ra) == ("NOERROR", True, False)
    assert reply.qname == "MTA.Example.com."
    assert reply.answer == (RRSet("MTA.Example.com.", "A", 60, ("192.0.2.10", "192.0.2.11")),)


def test_a_server_outside_the_delegation_set_refuses(stage: Any) -> None:
    reply = stage.ask(NS5, "mta.example.com.")
    assert (reply.rcode, reply.aa) == ("REFUSED", False)


def test_nxdomain_nodata_and_empty_nonterminal_carry_route53s_soa(stage: Any) -> None:
    stage.source.put("ZONE", "a.b.example.com", "A", ["192.0.2.1"])
    for name, rtype, rcode in (
        ("x.example.com.", "A", "NXDOMAIN"),
        ("a.b.example.com.", "TXT", "NOERROR"),
        ("b.example.com.", "A", "NOERROR"),
    ):
        reply = stage.ask(NS1, name, rtype)
        assert (reply.rcode, reply.aa, reply.answer) == (rcode, True, ())
        soa = reply.authority[0]
        assert (soa.name, soa.rtype, soa.ttl) == ("example.com.", "SOA", 900)
        assert soa.values[0].endswith(" 7200 900 1209600 86400")


def test_soa_and_ns_at_the_apex(stage: Any, servers: Any) -> None:
    assert stage.ask(NS1, "example.com.", "SOA").answer[0].ttl == 900
    assert stage.ask(NS1, "example.com.", "NS").answer[0].values == servers(1)


def test_cname_is_followed_inside_the_zone_and_left_open_outside(stage: Any) -> None:
    stage.source.put("ZONE", "alias.example.com", "CNAME", ["mta.example.com."])
    stage.source.put("ZONE", "mta.example.com", "A", ["192.0.2.10"])
    stage.source.put("ZONE", "away.example.com", "CNAME", ["mta.example.org."])
    stage.source.put("ZONE", "dead.example.com", "CNAME", ["gone.example.com."])
    assert [r.rtype for r in stage.ask(NS1, "alias.example.com.").answer] == ["CNAME", "A"]
    away = stage.ask(NS1, "away.example.com.")
    assert (away.rcode, [r.rtype for r in away.answer]) == ("NOERROR", ["CNAME"])
    dead = stage.ask(NS1, "dead.example.com.")
    assert (dead.rcode, [r.rtype for r in dead.answer]) == ("NXDOMAIN", ["CNAME"])
    assert [r.rtype for r in stage.ask(NS1, "alias.example.com.", "CNAME").answer] == ["CNAME"]


def test_cname_loop_ends(stage: Any) -> None:
    stage.source.put("ZONE", "a.example.com", "CNAME", ["b.example.com."])
    stage.source.put("ZONE", "b.example.com", "CNAME", ["a.example.com."])
    assert len(stage.ask(NS1, "a.example.com.").answer) == 2
    assert stage.recurse("a.example.com.").rcode == "SERVFAIL"


def test_wildcard_covers_missing_names_only(stage: Any) -> None:
    stage.source.put("ZONE", "*.example.com", "A", ["192.0.2.99"])
    stage.source.put("ZONE", "x.there.example.com", "TXT", ['"x"'])
    assert stage.ask(NS1, "any.example.com.").answer == (
        RRSet("any.example.com.", "A", 300, ("192.0.2.99",)),
    )
    assert stage.ask(NS1, "deep.any.example.com.").values() == {"192.0.2.99"}
    assert stage.ask(NS1, "there.example.com.").values() == set()  # an empty non-terminal exists
    assert stage.ask(NS1, "y.there.example.com.").rcode == "NXDOMAIN"  # its closest encloser has no wildcard


def test_one_server_lags_behind(stage: Any, servers: Any) -> None:
    stage.source.freeze("ZONE", servers(1)[2])
    stage.source.put("ZONE", "mta.example.com", "A", ["192.0.2.10"])
    seen = [stage.ask(f"127.0.53.{i}", "mta.example.com.").rcode for i in (11, 12, 13, 14)]
    assert seen == ["NOERROR", "NOERROR", "NXDOMAIN", "NOERROR"]
    stage.source.thaw("ZONE", servers(1)[2])
    assert stage.ask("127.0.53.13", "mta.example.com.").values() == {"192.0.2.10"}


def test_ptr_is_answered_from_the_elastic_ips(stage: Any) -> None:
    stage.source.set_ptr("203.0.113.25", "mta.example.com", ttl=300)
    reply = stage.ask(REVERSE, "25.113.0.203.in-addr.arpa.", "PTR")
    assert reply.aa
    assert reply.answer == (RRSet("25.113.0.203.in-addr.arpa.", "PTR", 300, ("mta.example.com.",)),)
    gone = stage.ask(REVERSE, "26.113.0.203.in-addr.arpa.", "PTR")
    assert (gone.rcode, gone.authority[0].rtype) == ("NXDOMAIN", "SOA")
    assert (
        stage.ask(PARENT, "25.113.0.203.in-addr.arpa.", "PTR").authority[0].name == "113.0.203.in-addr.arpa."
    )
    assert stage.ask(PARENT, "0.203.in-addr.arpa.", "PTR").rcode == "NOERROR"
    assert stage.ask(PARENT, "999.203.in-addr.arpa.", "PTR").rcode == "NXDOMAIN"


@pytest.mark.parametrize("name", [r"a\.b.example.com.", r"\200\255.example.com.", "*.example.com."])
def test_odd_names_do_not_upset_a_server(stage: Any, name: str) -> None:
    assert stage.ask(NS1, name).rcode == "NXDOMAIN"
    assert stage.recurse(name).rcode == "NXDOMAIN"


def test_ds_is_answered_by_the_parent_side(stage: Any) -> None:
    reply = stage.ask(PARENT, "example.com.", "DS")
    assert (reply.rcode, reply.aa, reply.authority[0].rtype) == ("NOERROR", True, "SOA")
