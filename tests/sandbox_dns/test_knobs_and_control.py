"""Faults by server and name, and the JSON control over them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.dns.control import DnsControl
from sandbox.dns.knobs import Knob

NAME = "mta.example.com."
NS1, NS2 = "127.0.53.11", "127.0.53.12"


@pytest.fixture
def world(stage: Any) -> Any:
    stage.source.put("ZONE", NAME, "A", ["192.0.2.10"])
    return stage.world


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "NXDOMAIN", "FORMERR"])
def test_a_server_answers_with_an_error(stage: Any, world: Any, rcode: str) -> None:
    world.knobs.add(Knob(NS1, rcode=rcode))
    reply = stage.ask(NS1, NAME)
    assert (reply.rcode, reply.answer) == (rcode, ())
    assert stage.ask(NS2, NAME).values() == {"192.0.2.10"}


def test_silence_is_no_reply_and_is_counted(stage: Any, world: Any) -> None:
    world.knobs.add(Knob("ns-1", silent=True, transport="udp"))
    assert world.query(NS1, NAME, "A") is None
    assert world.query(NS1, NAME, "A", transport="tcp").values() == {"192.0.2.10"}
    assert world.journal.counters() == {(NS1, NAME, "A", "TIMEOUT"): 1, (NS1, NAME, "A", "NOERROR"): 1}


def test_truncation_is_for_udp_only(stage: Any, world: Any) -> None:
    world.knobs.add(Knob(NS1, truncate=True))
    short = stage.ask(NS1, NAME)
    assert (short.tc, short.answer) == (True, ())
    assert world.query(NS1, NAME, "A", transport="tcp").values() == {"192.0.2.10"}


def test_lame_data_comes_without_aa(stage: Any, world: Any) -> None:
    world.knobs.add(Knob(NS1, lame=True))
    reply = stage.ask(NS1, NAME)
    assert (reply.aa, reply.ra, reply.values()) == (False, False, {"192.0.2.10"})


def test_interception_looks_like_a_recursor_with_right_or_wrong_data(stage: Any, world: Any) -> None:
    number = world.knobs.add(Knob("*", intercept=True))
    right = stage.ask(NS1, NAME)
    assert (right.aa, right.ra, right.values()) == (False, True, {"192.0.2.10"})
    assert stage.ask("ns-9", NAME).values() == {"192.0.2.10"}  # no zone there, but someone else replies
    world.knobs.remove(number)
    world.knobs.add(Knob(NS1, intercept=True, records={"A": (30, ("10.0.0.1",))}))
    wrong = stage.ask(NS1, NAME)
    assert (wrong.aa, wrong.ra, wrong.values()) == (False, True, {"10.0.0.1"})


def test_split_horizon_on_one_recursor_for_one_name(stage: Any, world: Any) -> None:
    world.knobs.add(Knob("recursor-2", name=NAME, records={"A": (60, ("10.0.0.5",))}))
    assert stage.recurse(NAME, server="127.0.53.102").values() == {"10.0.0.5"}
    assert stage.recurse(NAME, server="127.0.53.102").aa is False
    assert stage.recurse(NAME).values() == {"192.0.2.10"}
    stage.source.put("ZONE", "b.example.com", "A", ["192.0.2.20"])
    assert stage.recurse("b.example.com.", server="127.0.53.102").values() == {"192.0.2.20"}


def test_a_knob_for_a_few_queries_of_one_type(stage: Any, world: Any) -> None:
    world.knobs.add(Knob(NS1, name="*.example.com", qtype="A", rcode="SERVFAIL", times=2))
    assert stage.ask(NS1, "example.com.", "SOA").rcode == "NOERROR"
    assert [stage.ask(NS1, NAME).rcode for _ in range(3)] == ["SERVFAIL", "SERVFAIL", "NOERROR"]
    assert world.knobs.all() == {}


def test_delays_add_up_along_the_way(stage: Any, world: Any) -> None:
    world.knobs.add(Knob("127.0.53.1", delay=0.2))
    world.knobs.add(Knob("recursor-1", delay=0.05))
    assert stage.recurse(NAME).delay == pytest.approx(0.25)
    assert stage.recurse(NAME).delay == pytest.approx(0.05)  # cached now


def test_control_speaks_json(stage: Any, world: Any) -> None:
    control = DnsControl(world)

    def do(op: str, **args: Any) -> Any:
        return json.loads(json.dumps(control.control(op, json.loads(json.dumps(args)))))

    number = do("knob-add", server="ns-1", rcode="SERVFAIL", delay=0.1)["id"]
    assert do("knobs") == {"knobs": {str(number): {"server": "ns-1", "rcode": "SERVFAIL", "delay": 0.1}}}
    assert do("query", server="ns-1", name=NAME)["reply"]["rcode"] == "SERVFAIL"
    assert do("counters")["counters"] == [
        {"server": NS1, "name": NAME, "type": "A", "rcode": "SERVFAIL", "count": 1}
    ]
    assert do("knob-remove", id=number) == {"removed": True}
    assert do("zone-put", zone="other.net")["ns"][0] == "ns1.otherdns-sandbox.net."
    do("record-put", zone="other.net", name="a.other.net", type="A", values=["192.0.2.5"])
    assert do("record-get", zone="other.net", name="a.other.net") == {"records": {"A": [300, ["192.0.2.5"]]}}
    assert do("record-get", zone="other.net", name="b.other.net") == {"records": {}}
    asked = do("query", server="recursor-1", name="a.other.net", rd=True)["reply"]
    assert asked["answer"][0]["values"] == ["192.0.2.5"]
    assert [row["name"] for row in do("cache", server="recursor-1")["entries"]].count("a.other.net.") == 1
    assert do("flush", server="recursor-1", name="a.other.net") == {"dropped": 1}
    assert do("record-remove", zone="other.net", name="a.other.net") == {"removed": True}
    assert do("query", server="recursor-1", name="a.other.net", rd=True)["reply"]["rcode"] == "NXDOMAIN"
    do("zone-remove", zone="other.net")
    ns = [f"ns-{i}.awsdns-sandbox.org." for i in (5, 6)]
    assert do("delegate", zone="example.com", ns=ns)["ns"] == ns
    assert do("delegations")["delegations"]["example.com."]["ns"] == ns
    assert do("undelegate", zone="example.com") == {"removed": True}
    do("release", zone="example.com")
    assert do("auto-delegate", on=False) == {"on": False}
    assert do("recursor", server="aws", caching=True, ttl_scale=0.5) == {"caching": True, "ttl_scale": 0.5}
    assert do("log", last=1)["queries"][0]["qname"] == "a.other.net."
    do("log-clear")
    assert do("log") == {"queries": []}
    assert do("servers")["servers"]["root"] == {"root.dns-sandbox.net.": "127.0.53.1"}
    do("knob-add", server="*", silent=True)
    do("knob-clear")
    assert do("knobs") == {"knobs": {}}


@pytest.mark.parametrize(
    ("op", "args", "error"),
    [
        ("nonsense", {}, "unknown operation"),
        ("knob-add", {"servr": "x"}, "unknown knob fields"),
        ("knob-add", {"rcode": "OOPS"}, "unknown rcode"),
        ("knob-add", {"transport": "quic"}, "unknown transport"),
        ("knob-add", {"server": "ns-99"}, "no DNS server"),
        ("query", {"server": "8.8.8.8", "name": "x"}, "no DNS server"),
        ("recursor", {"server": "aws", "ttl_scale": -1}, "must not be negative"),
        ("record-put", {"zone": "example.com"}, "example.com"),
    ],
)
def test_control_names_what_is_wrong(world: Any, op: str, args: dict[str, Any], error: str) -> None:
    with pytest.raises((KeyError, ValueError), match=error):
        DnsControl(world).control(op, args)
