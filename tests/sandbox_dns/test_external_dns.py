"""The model of external-dns does what external-dns's own packages do in the zone of a real name server."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.externaldns.model import ExternalDnsModel, RecordSets, Synchronizer, read
from tests.support.externaldns.knot import Knot
from tests.support.externaldns.run import ExternalDnsPackages

NAME, ZONE = "mta.example.net", "example.net"
ADDRESS = "127.0.53.240"


class Zone:
    """In memory, for the model."""

    def __init__(self) -> None:
        self.records: dict[str, RecordSets] = {}

    def serves(self, name: str) -> bool:
        return name.endswith(f".{ZONE}")

    def at(self, name: str) -> RecordSets:
        return self.records.get(name, {})

    def put(self, name: str, ttl: int, values: tuple[str, ...], rtype: str = "A") -> None:
        self.records[name] = {**self.at(name), rtype: (ttl, values)}

    def remove(self, name: str) -> None:
        self.records[name] = {kind: found for kind, found in self.at(name).items() if kind != "A"}


class Provider:
    """A zone, and an external-dns that writes into it."""

    def __init__(self, zone: Zone | Knot, start: Callable[[str], Synchronizer]) -> None:
        self.zone, self.start = zone, start

    def at(self) -> RecordSets:
        """What is at the name, without external-dns's registry."""
        return {kind: found for kind, found in self.zone.at(NAME).items() if kind != "TXT"}

    def values(self) -> list[str]:
        return sorted(self.at().get("A", (0, ()))[1])


def free_port() -> int:
    with socket.socket() as found:
        found.bind((ADDRESS, 0))
        return int(found.getsockname()[1])


@pytest.fixture(params=["model", "packages"])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Provider]:
    if request.param == "model":
        zone = Zone()
        yield Provider(zone, lambda policy: ExternalDnsModel(zone, policy))
        return
    with contextlib.ExitStack() as stack:
        knot = stack.enter_context(Knot(tmp_path, ZONE, {"ns1.example.net.": ADDRESS}, free_port()))
        yield Provider(knot, lambda policy: stack.enter_context(ExternalDnsPackages(knot, policy)))


def endpoint(*targets: str, name: str = "a", dns: str = NAME, **more: Any) -> dict[str, Any]:
    entry = {"dnsName": dns, "recordType": "A", "targets": list(targets), **more}
    return {
        "metadata": {"namespace": "mail", "name": name, "generation": 2},
        "spec": {"endpoints": [entry]},
    }


def test_it_creates_changes_and_deletes_its_own_record(provider: Provider) -> None:
    external = provider.start("sync")
    external.synchronize([endpoint("192.0.2.9", "192.0.2.10", recordTTL=60)])
    assert (provider.at()["A"][0], provider.values()) == (60, ["192.0.2.10", "192.0.2.9"])
    assert external.synchronize([endpoint("192.0.2.10", "192.0.2.9", recordTTL=60)]) == []
    external.synchronize([endpoint("192.0.2.9", recordTTL=120)])
    assert provider.at() == {"A": (120, ("192.0.2.9",))}
    external.synchronize([])
    assert provider.at() == {}


@pytest.mark.parametrize(
    ("kind", "value"), [("A", "192.0.2.1"), ("AAAA", "2001:db8::1"), ("CNAME", "x.example.net.")]
)
def test_a_name_with_a_record_of_others_is_left_alone(provider: Provider, kind: str, value: str) -> None:
    provider.zone.put(NAME, 300, (value,), kind)
    external = provider.start("sync")
    assert external.synchronize([endpoint("192.0.2.9")]) == []
    assert external.synchronize([]) == []
    assert provider.at() == {kind: (300, (value,))}


def test_a_record_that_others_change_or_delete_is_restored(provider: Provider) -> None:
    external = provider.start("sync")
    external.synchronize([endpoint("192.0.2.9")])
    provider.zone.put(NAME, 300, ("192.0.2.66",))
    external.synchronize([endpoint("192.0.2.9")])
    assert provider.values() == ["192.0.2.9"]
    provider.zone.remove(NAME)
    external.synchronize([endpoint("192.0.2.9")])
    assert provider.values() == ["192.0.2.9"]


def test_the_endpoint_from_which_the_record_was_made_keeps_the_name(provider: Provider) -> None:
    external = provider.start("sync")
    first, second = endpoint("192.0.2.9", "192.0.2.10"), endpoint("192.0.2.1", name="b")
    external.synchronize([first])
    external.synchronize([second, first])
    assert provider.values() == ["192.0.2.10", "192.0.2.9"]
    external.synchronize([second])
    assert provider.values() == ["192.0.2.1"]


def test_of_two_new_endpoints_the_one_with_fewer_and_lower_targets_has_the_name(provider: Provider) -> None:
    provider.start("sync").synchronize(
        [
            endpoint("192.0.2.1", "192.0.2.2"),
            endpoint("192.0.2.10", name="b"),
            endpoint("192.0.2.9", name="c"),
        ]
    )
    assert provider.values() == ["192.0.2.9"]


@pytest.mark.parametrize(
    ("policy", "changed", "deleted"),
    [
        ("sync", "192.0.2.10", []),
        ("upsert-only", "192.0.2.10", ["192.0.2.10"]),
        ("create-only", "192.0.2.9", ["192.0.2.9"]),
    ],
)
def test_a_policy_limits_what_is_done(
    provider: Provider, policy: str, changed: str, deleted: list[str]
) -> None:
    external = provider.start(policy)
    external.synchronize([endpoint("192.0.2.9")])
    external.synchronize([endpoint("192.0.2.10")])
    assert provider.values() == [changed]
    external.synchronize([])
    assert provider.values() == deleted


def test_another_zone_and_what_the_source_refuses_are_left_out(provider: Provider) -> None:
    refused = [endpoint(), endpoint("mta.example.org."), endpoint("192.0.2.9", dns="mta.example.com")]
    assert provider.start("sync").synchronize(refused) == []
    assert provider.at() == {}


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="policy"):
        ExternalDnsModel(Zone(), "never")


def test_the_generation_is_noted_once() -> None:
    known = endpoint("192.0.2.9")
    assert read(known) == 2
    assert read({**known, "status": {"observedGeneration": 2}}) is None
