"""The world of the samples: every ID that ``deploy/samples`` names exists, and the scale fits the operator."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailegress.cli.settings import Settings
from sandbox.aws.local import VirtualClock
from sandbox.aws.model import AwsModel
from sandbox.aws.model.publish import Publisher
from sandbox.dns.aws_source import AwsSource
from sandbox.dns.model import DnsWorld
from sandbox.pace import operator_settings
from sandbox.seed import HOME, REGIONS, seed_samples
from sandbox.shell import SAMPLES, exports, sample_files

DOCUMENTATION = [ipaddress.ip_network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]


@pytest.fixture
def world() -> tuple[AwsModel, DnsWorld]:
    clock = VirtualClock()
    model = AwsModel(clock)
    dns = DnsWorld(AwsSource(Publisher(model)), clock)
    seed_samples(model, dns)
    return model, dns


def _selected(model: AwsModel, selector: dict[str, Any]) -> list[str]:
    """The addresses that a selector of a manifest stands for."""
    region = model.account().region(selector.get("region", HOME))
    eips = region.addresses.eips.values()
    ways: dict[str, Any] = {
        "allocationID": lambda eip, value: eip.allocation_id == value,
        "publicIP": lambda eip, value: eip.public_ip == value,
        "natGatewayID": lambda eip, value: eip.nat_gateway == value,
        "instanceID": lambda eip, value: eip.instance == value,
        "tags": lambda eip, value: value.items() <= eip.tags.items(),
    }
    [(kind, value)] = [(kind, value) for kind, value in selector.items() if kind != "region"]
    return [eip.public_ip for eip in eips if ways[kind](eip, value)]


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_what_a_sample_names_exists(world: tuple[AwsModel, DnsWorld], sample: Path) -> None:
    model, dns = world
    spec = yaml.safe_load(sample.read_text())["spec"]
    for selector in spec["elasticIPs"]:
        assert selector.get("region", HOME) in REGIONS
        assert _selected(model, selector), selector
    forward = spec.get("forward", {})
    host = f"{spec['hostname']}."
    if forward.get("management") == "Observed":
        addresses = {ip for selector in spec["elasticIPs"] for ip in _selected(model, selector)}
        assert dns.resolve_a(host) == addresses
    else:
        zones = [zone for zone in model.zones() if host.endswith(f".{zone.name}")]
        assert [zone.id for zone in zones] == [forward.get("hostedZoneID", zones[0].id)]
        assert zones[0].name in dns.registry.delegations()


def test_an_address_belongs_to_one_sample_and_nobody(world: tuple[AwsModel, DnsWorld]) -> None:
    model, _ = world
    claimed = [
        ip
        for sample in SAMPLES.glob("*.yaml")
        for selector in yaml.safe_load(sample.read_text())["spec"]["elasticIPs"]
        for ip in _selected(model, selector)
    ]
    assert len(claimed) == len(set(claimed))
    assert all(any(ipaddress.ip_address(ip) in net for net in DOCUMENTATION) for ip in model.network.by_ip)


def test_samples_are_chosen_by_name() -> None:
    assert [path.stem for path in sample_files("nat-gateway,instance")] == ["nat-gateway", "instance"]
    assert sample_files("all") == sorted(SAMPLES.glob("*.yaml"))
    assert sample_files("") == []


@pytest.mark.parametrize("scale", [0.01, 0.1, 0.5])
def test_the_operator_takes_its_settings_at_every_scale(scale: float) -> None:
    fields = {field.name: field for field in dataclasses.fields(Settings)}
    for name, text in operator_settings(scale).items():
        value = fields[name].metadata["parse"](text)
        default = getattr(Settings(), name)
        assert value > default if name.endswith("_rate") else value < default
    assert operator_settings(1) == {}


def test_the_pasted_lines_make_the_same_environment() -> None:
    """Given a user's shell, when the lines are pasted, then it has the session's variables and no others."""
    present = {"PATH": os.environ["PATH"], "AWS_PROFILE": "production", "HOME": "/home/user", "KEPT": "yes"}
    wanted = {
        "PATH": f"/a tool's:/bin:{os.environ['PATH']}",
        "HOME": "/home/user",
        "KEPT": "yes",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1?a=$HOME&b",
    }
    script = "\n".join([*exports(wanted, present), "env -0"])
    done = subprocess.run(["sh", "-c", script], env=present, capture_output=True, text=True, check=True)
    got = dict(entry.split("=", 1) for entry in done.stdout.split("\0") if entry)
    assert {k: v for k, v in got.items() if k not in ("PWD", "OLDPWD", "SHLVL", "_")} == wanted
