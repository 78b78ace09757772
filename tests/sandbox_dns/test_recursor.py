"""Caching recursors on a virtual clock."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.dns.knobs import Knob
from sandbox.dns.layout import Timing

NAME = "mta.example.com."
SECOND = "127.0.53.102"


def test_asking_too_early_poisons_for_the_negative_ttl(stage: Any) -> None:
    early = stage.recurse(NAME)
    assert (early.rcode, early.ra, early.aa, early.authority[0].ttl) == ("NXDOMAIN", True, False, 900)
    stage.source.put("ZONE", NAME, "A", ["192.0.2.10"])
    assert stage.ask("127.0.53.11", NAME).values() == {"192.0.2.10"}
    stage.now += 899.5
    late = stage.recurse(NAME)
    assert (late.rcode, late.authority[0].ttl) == ("NXDOMAIN", 1)
    assert stage.recurse(NAME, server=SECOND).values() == {"192.0.2.10"}  # it had not been asked before
    stage.now += 0.5
    assert stage.recurse(NAME).values() == {"192.0.2.10"}


def test_nxdomain_covers_all_types_and_nodata_only_its_own(stage: Any) -> None:
    assert stage.recurse(NAME, "TXT").rcode == "NXDOMAIN"
    stage.source.put("ZONE", NAME, "TXT", ['"x"'])
    assert stage.recurse(NAME, "A").rcode == "NXDOMAIN"
    stage.now += 900
    assert stage.recurse(NAME, "A").rcode == "NOERROR"
    stage.source.put("ZONE", NAME, "A", ["192.0.2.10"])
    assert stage.recurse(NAME, "A").values() == set()
    assert stage.recurse(NAME, "TXT").values() == {'"x"'}


def test_a_positive_answer_ages_and_is_then_fetched_again(stage: Any) -> None:
    stage.source.put("ZONE", NAME, "A", ["192.0.2.10"], ttl=60)
    assert stage.recurse(NAME).answer[0].ttl == 60
    stage.source.put("ZONE", NAME, "A", ["192.0.2.11"], ttl=60)
    stage.now += 45
    aged = stage.recurse(NAME)
    assert (aged.values(), aged.answer[0].ttl) == ({"192.0.2.10"}, 15)
    stage.now += 15
    assert stage.recurse(NAME).values() == {"192.0.2.11"}


def test_ttl_scale_shortens_caching(make_stage: Any) -> None:
    stage = make_stage(timing=Timing(ttl_scale=0.01))
    assert stage.recurse(NAME).rcode == "NXDOMAIN"
    stage.source.put("ZONE", NAME, "A", ["192.0.2.10"])
    stage.now += 8.9
    assert stage.recurse(NAME).rcode == "NXDOMAIN"
    stage.now += 0.2
    assert stage.recurse(NAME).values() == {"192.0.2.10"}


def test_flush_forgets_a_name_or_everything(stage: Any) -> None:
    stage.recurse(NAME)
    stage.source.put("ZONE", NAME, "A", ["192.0.2.10"])
    recursor = stage.world.recursor("recursor-1")
    assert recursor.flush("other.example.com") == 0
    assert stage.recurse(NAME).rcode == "NXDOMAIN"
    assert recursor.flush(NAME) == 1
    assert stage.recurse(NAME).values() == {"192.0.2.10"}
    assert recursor.flush() > 1
    assert recursor.cached() == []


def test_without_recursion_desired_only_the_cache_answers(stage: Any) -> None:
    stage.source.put("ZONE", NAME, "A", ["192.0.2.10"])
    cold = stage.ask("127.0.53.101", NAME)
    assert (cold.rcode, cold.answer, cold.authority[0].name) == ("NOERROR", (), ".")
    stage.recurse(NAME)
    assert stage.ask("127.0.53.101", NAME).values() == {"192.0.2.10"}


def test_one_bad_server_is_worked_around_and_four_bad_ones_are_servfail(stage: Any) -> None:
    stage.source.put("ZONE", NAME, "A", ["192.0.2.10"], ttl=0)
    faults = [
        Knob("ns-1", rcode="SERVFAIL"),
        Knob("ns-2", silent=True),
        Knob("ns-3", lame=True),
    ]
    for fault in faults:
        stage.world.knobs.add(fault)
    for _ in range(4):
        assert stage.recurse(NAME).values() == {"192.0.2.10"}
    last = stage.world.knobs.add(Knob("ns-4", rcode="REFUSED"))
    failed = stage.recurse(NAME)
    assert (failed.rcode, failed.answer) == ("SERVFAIL", ())
    assert failed.delay == pytest.approx(0.4)  # what the silent one cost
    stage.world.knobs.remove(last)
    assert stage.recurse(NAME).rcode == "SERVFAIL"  # failures are remembered for a second
    stage.now += 1
    assert stage.recurse(NAME).values() == {"192.0.2.10"}


def test_truncated_upstream_replies_are_fetched_over_tcp(stage: Any) -> None:
    stage.source.put("ZONE", NAME, "A", ["192.0.2.10"])
    for server in ("ns-1", "ns-2", "ns-3", "ns-4"):
        stage.world.knobs.add(Knob(server, truncate=True))
    assert stage.recurse(NAME).values() == {"192.0.2.10"}
    asked = stage.world.journal.queries(client="recursor-1", qname=NAME)
    assert [q.transport for q in asked][-2:] == ["udp", "tcp"]


def test_a_reverse_lookup_goes_through_the_tree(stage: Any) -> None:
    stage.source.set_ptr("203.0.113.25", "mta.example.com", ttl=300)
    assert stage.recurse("25.113.0.203.in-addr.arpa.", "PTR").values() == {NAME}
    way = [q.server for q in stage.world.journal.queries(client="recursor-1")]
    assert way[0] == "127.0.53.1"
    assert way[1] in ("127.0.53.2", "127.0.53.3")  # a parent
    assert way[-1] in ("127.0.53.5", "127.0.53.6")  # a reverse server
    stage.source.set_ptr("203.0.113.25", "new.example.com")
    stage.now += 299
    assert stage.recurse("25.113.0.203.in-addr.arpa.", "PTR").values() == {NAME}
    stage.now += 1
    assert stage.recurse("25.113.0.203.in-addr.arpa.", "PTR").values() == {"new.example.com."}


def test_aws_asks_again_over_tcp_when_the_reply_is_truncated(stage: Any) -> None:
    stage.source.put("ZONE", NAME, "A", ["192.0.2.10"])
    stage.world.knobs.add(Knob(truncate=True))
    assert stage.world.resolve_a("mta.example.com") == {"192.0.2.10"}


def test_aws_asks_afresh_unless_told_to_cache(stage: Any) -> None:
    assert stage.world.resolve_a("mta.example.com") == set()
    stage.source.put("ZONE", NAME, "A", ["192.0.2.10", "192.0.2.11"])
    assert stage.world.resolve_a("mta.example.com") == {"192.0.2.10", "192.0.2.11"}
    stage.world.recursor("aws").caching = True
    assert stage.world.resolve_a("new.example.com") == set()
    stage.source.put("ZONE", "new.example.com", "A", ["192.0.2.12"])
    assert stage.world.resolve_a("new.example.com") == set()
    assert stage.world.resolve_a("new.example.com", via="recursor-2") == {"192.0.2.12"}
    stage.now += 900
    assert stage.world.resolve_a("new.example.com") == {"192.0.2.12"}
