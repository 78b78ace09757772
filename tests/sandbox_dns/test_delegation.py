"""Which zone the world sees: delegation, twins, moves, sub-zones, another provider."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.dns.layout import Timing
from sandbox.dns.values import RRSet

PARENT = "127.0.53.2"


def test_the_first_of_two_twins_is_the_worlds(stage: Any, servers: Any) -> None:
    stage.source.add_zone("TWIN", "example.com", servers(5))
    stage.source.put("TWIN", "mta.example.com", "A", ["198.51.100.1"])
    assert stage.ask(PARENT, "example.com.").authority[0].values == servers(1)
    assert stage.ask("127.0.53.15", "mta.example.com.").values() == {"198.51.100.1"}
    assert stage.recurse("mta.example.com.").rcode == "NXDOMAIN"


def test_a_moved_delegation_is_seen_when_the_old_ns_set_has_expired(stage: Any, servers: Any) -> None:
    stage.source.put("ZONE", "mta.example.com", "A", ["192.0.2.1"], ttl=10)
    stage.source.add_zone("TWIN", "example.com", servers(5))
    stage.source.put("TWIN", "mta.example.com", "A", ["192.0.2.2"], ttl=10)
    assert stage.recurse("mta.example.com.").values() == {"192.0.2.1"}
    stage.world.registry.delegate("example.com", servers(5))
    assert stage.ask(PARENT, "example.com.").authority[0].values == servers(5)
    stage.now += 299
    assert stage.recurse("mta.example.com.").values() == {"192.0.2.1"}
    stage.now += 12
    assert stage.recurse("mta.example.com.").values() == {"192.0.2.2"}


def test_undelegated_stays_undelegated_until_delegated_again(stage: Any, servers: Any) -> None:
    assert stage.world.registry.undelegate("example.com")
    stage.source.add_zone("TWIN", "example.com", servers(5))
    assert stage.ask(PARENT, "example.com.").rcode == "NXDOMAIN"
    stage.world.registry.release("example.com")
    assert stage.ask(PARENT, "example.com.").authority[0].values == servers(1)


def test_without_automatic_delegation_only_the_registrar_counts(stage: Any, servers: Any) -> None:
    stage.world.registry.set_auto_delegate(False)
    stage.source.add_zone("NET", "example.net", servers(5))
    assert stage.ask(PARENT, "example.net.").rcode == "NXDOMAIN"
    stage.world.registry.delegate("example.net", servers(5))
    assert stage.ask(PARENT, "example.net.").authority[0].values == servers(5)


def test_a_deleted_zone_leaves_its_delegation_dangling_only_while_a_twin_stands(
    stage: Any, servers: Any
) -> None:
    stage.source.add_zone("TWIN", "example.com", servers(5))
    assert stage.ask(PARENT, "example.com.").authority[0].values == servers(1)
    stage.source.remove_zone("ZONE")
    assert stage.ask(PARENT, "example.com.").authority[0].values == servers(1)
    assert stage.recurse("mta.example.com.").rcode == "SERVFAIL"
    stage.source.add_zone("NEW", "example.com", servers(9))
    assert stage.ask(PARENT, "example.com.").authority[0].values == servers(9)


def test_a_zone_that_comes_back_is_delegated_to_its_new_servers(stage: Any, servers: Any) -> None:
    assert stage.recurse("example.com.", "SOA").values()
    stage.source.remove_zone("ZONE")
    assert stage.ask(PARENT, "example.com.").rcode == "NXDOMAIN"
    stage.source.add_zone("AGAIN", "example.com", servers(5))
    assert stage.ask(PARENT, "example.com.").authority[0].values == servers(5)


def test_a_sub_zone_is_delegated_by_its_parents_ns_records(stage: Any, servers: Any) -> None:
    stage.ask(PARENT, "example.com.")
    stage.source.add_zone("SUB", "mail.example.com", servers(5))
    stage.source.put("SUB", "mta.mail.example.com", "A", ["192.0.2.7"])
    assert list(stage.world.registry.delegations()) == ["example.com."]
    assert stage.recurse("mta.mail.example.com.").rcode == "NXDOMAIN"
    stage.source.put("ZONE", "mail.example.com", "NS", servers(5), ttl=60)
    stage.now += 901
    referral = stage.ask("127.0.53.11", "mta.mail.example.com.")
    assert (referral.rcode, referral.aa, referral.answer) == ("NOERROR", False, ())
    assert referral.authority == (RRSet("mail.example.com.", "NS", 60, servers(5)),)
    assert stage.recurse("mta.mail.example.com.").values() == {"192.0.2.7"}


def test_a_server_that_holds_both_zones_answers_from_the_lower(stage: Any, servers: Any) -> None:
    stage.source.add_zone("SUB", "mail.example.com", servers(1))
    stage.source.put("SUB", "mta.mail.example.com", "A", ["192.0.2.7"])
    reply = stage.ask("127.0.53.11", "mta.mail.example.com.")
    assert reply.aa
    assert reply.values() == {"192.0.2.7"}


def test_a_zone_without_delegated_parent_is_found_below_the_top_level(stage: Any, servers: Any) -> None:
    stage.source.add_zone("UK", "mail.example.co.uk", servers(5))
    stage.source.put("UK", "mta.mail.example.co.uk", "A", ["192.0.2.8"])
    assert stage.recurse("mta.mail.example.co.uk.").values() == {"192.0.2.8"}
    assert stage.ask(PARENT, "co.uk.").rcode == "NOERROR"


def test_another_providers_zone_and_a_cname_into_it(stage: Any) -> None:
    zone = stage.world.add_zone("other.net")
    zone.put("mta.other.net", "A", ["192.0.2.50"])
    stage.source.put("ZONE", "mta.example.com", "CNAME", ["mta.other.net."])
    assert stage.ask("127.0.53.201", "mta.other.net.").aa
    assert stage.ask("127.0.53.11", "mta.other.net.").rcode == "REFUSED"
    reply = stage.recurse("mta.example.com.")
    assert [(r.rtype, r.values) for r in reply.answer] == [
        ("CNAME", ("mta.other.net.",)),
        ("A", ("192.0.2.50",)),
    ]
    stage.world.remove_zone("other.net")
    assert stage.ask(PARENT, "other.net.").rcode == "NXDOMAIN"


def test_vanity_servers_inside_the_zone_need_glue(stage: Any) -> None:
    stage.world.registry.delegate("vanity.org", ["ns1.vanity.org"])
    assert stage.recurse("www.vanity.org.").rcode == "SERVFAIL"
    zone = stage.world.add_zone("vanity.org", ["ns1.otherdns-sandbox.net"], delegate=False)
    zone.put("www.vanity.org", "A", ["192.0.2.60"])
    stage.world.registry.delegate("vanity.org", ["ns1.vanity.org"], {"ns1.vanity.org": ["127.0.53.201"]})
    stage.world.recursor("recursor-1").flush()
    assert stage.recurse("www.vanity.org.").values() == {"192.0.2.60"}


@pytest.mark.timeout(10)
def test_many_servers_without_glue_end_soon_even_if_no_failure_is_remembered(make_stage: Any) -> None:
    stage = make_stage(timing=Timing(failure_ttl=0.0))
    stage.world.registry.delegate("vanity.org", [f"ns{i}.vanity.org" for i in range(13)])
    assert stage.recurse("www.vanity.org.").rcode == "SERVFAIL"
    assert len(stage.world.journal.queries(client="recursor-1")) <= 64


def test_a_reverse_zone_can_belong_to_someone_else(stage: Any) -> None:
    zone = stage.world.add_zone("2.0.192.in-addr.arpa")
    zone.put("9.2.0.192.in-addr.arpa", "PTR", ["own.example.com."])
    assert stage.recurse("9.2.0.192.in-addr.arpa.", "PTR").values() == {"own.example.com."}


@pytest.mark.parametrize(("zone", "ns"), [(".", ["ns-1.awsdns-sandbox.org"]), ("example.com", [])])
def test_nonsense_delegations_are_refused(stage: Any, zone: str, ns: list[str]) -> None:
    with pytest.raises(ValueError, match="cannot delegate"):
        stage.world.registry.delegate(zone, ns)


def test_the_list_of_zones_may_be_looked_at_less_often(make_stage: Any, servers: Any) -> None:
    stage = make_stage(timing=Timing(zone_refresh=5.0))
    assert stage.ask("127.0.53.15", "example.net.", "SOA").rcode == "REFUSED"
    stage.source.add_zone("NET", "example.net", servers(5))
    stage.now += 4.9
    assert stage.ask("127.0.53.15", "example.net.", "SOA").rcode == "REFUSED"
    assert stage.ask(PARENT, "example.net.").rcode == "NXDOMAIN"
    stage.now += 0.1
    assert stage.ask("127.0.53.15", "example.net.", "SOA").aa
    assert stage.ask(PARENT, "example.net.").authority[0].values == servers(5)
