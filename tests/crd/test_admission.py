"""What the API server takes and what it refuses, and in which words."""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailegress.api.validation import is_hostname, is_public_ipv4
from sandbox.controlplane import ControlPlane

TABLE = yaml.safe_load((Path(__file__).parent / "manifests.yaml").read_text())


def manifest(spec: dict[str, Any], name: str = "subject") -> dict[str, Any]:
    return {
        "apiVersion": "mailegress.io/v1alpha1",
        "kind": "MailEgress",
        "metadata": {"name": name},
        "spec": spec,
    }


def dry_run(api: ControlPlane, body: dict[str, Any]) -> tuple[bool, str]:
    """Ask the API server whether it would take this object; its words if not."""
    done = api.kubectl(
        "create", "--dry-run=server", "--namespace=default", "-f", "-", stdin=json.dumps(body), check=False
    )
    return done.returncode == 0, done.stderr


@pytest.mark.parametrize("case", TABLE["accepted"], ids=lambda case: case["name"])
def test_a_right_spec_is_accepted(api: ControlPlane, case: dict[str, Any]) -> None:
    accepted, words = dry_run(api, manifest(case["spec"]))
    assert accepted, words


@pytest.mark.parametrize("case", TABLE["refused"], ids=lambda case: case["name"])
def test_a_wrong_spec_is_refused_with_the_value_and_the_fix(api: ControlPlane, case: dict[str, Any]) -> None:
    accepted, words = dry_run(api, manifest(case["spec"]))
    assert not accepted
    for part in case["says"]:
        assert part in words


def test_one_mistake_gives_one_message(api: ControlPlane) -> None:
    """A user who made one slip in a name reads one sentence, not the output of every rule."""
    slips = [
        "Mta.example.com",
        "mta.example.com.",
        "*.example.com",
        "m_a.example.com",
        "203.0.113.10",
        "localhost",
    ]
    slips += ["mta.example.1", "mta..example.com", "-a.example.com", "a" * 64 + ".example.com"]
    for slip in slips:
        spec = {"hostname": slip, "elasticIPs": [{"natGatewayID": "nat-0123456789abcdef0"}]}
        _, words = dry_run(api, manifest(spec))
        assert len(re.findall(r"spec\.hostname", words)) == 1, words


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"hostName": "mta.example.com"}, "spec.hostName"),
        ({"elasticIPs": [{"natGatewayId": "nat-0123456789abcdef0"}]}, "spec.elasticIPs[0].natGatewayId"),
        ({"forward": {"ttl": 300}}, "spec.forward.ttl"),
        ({"roleARN": "arn:aws:iam::123456789012:role/other"}, "spec.roleARN"),
    ],
)
def test_kubectl_refuses_unknown_fields(api: ControlPlane, spec: dict[str, Any], named: str) -> None:
    whole = {"hostname": "mta.example.com", "elasticIPs": [{"natGatewayID": "nat-0123456789abcdef0"}]} | spec
    accepted, words = dry_run(api, manifest(whole))
    assert not accepted
    assert f'unknown field "{named}"' in words


def test_a_client_that_does_not_check_is_warned_and_the_field_dropped(api: ControlPlane) -> None:
    body = manifest(
        {"hostname": "mta.example.com", "elasticIPs": [{"instanceID": "i-0123456789abcdef0"}], "ttl": 5}
    )
    done = api.kubectl(
        *("create", "--validate=warn", "--dry-run=server", "--namespace=default", "-o", "json", "-f", "-"),
        stdin=json.dumps(body),
    )
    assert 'unknown field "spec.ttl"' in done.stderr
    assert "ttl" not in json.loads(done.stdout)["spec"]


def test_an_object_without_spec_is_refused(api: ControlPlane) -> None:
    body = manifest({})
    del body["spec"]
    accepted, words = dry_run(api, body)
    assert not accepted
    assert "spec: Required value" in words


LABELS = [
    "a",
    "mta",
    "xn--a",
    "a1",
    "1a",
    "1",
    "a-b",
    "a" * 63,
    "a" * 64,
    "-a",
    "a-",
    "",
    "a_b",
    "*",
    "Ab",
    "a.",
    "com",
    "net",
]
OCTETS = [
    0,
    1,
    9,
    10,
    11,
    15,
    16,
    17,
    18,
    19,
    31,
    32,
    63,
    64,
    100,
    127,
    128,
    168,
    169,
    172,
    192,
    198,
    223,
    224,
    254,
    255,
    256,
]


def test_the_api_server_and_the_model_judge_alike(api: ControlPlane) -> None:
    """Names and addresses, at random, of parts that lie at the edges of the rules; one kubectl for all."""
    chance = random.Random(20260131)
    hostnames = [".".join(chance.choices(LABELS, k=chance.choice([1, 2, 2, 3]))) for _ in range(150)]
    addresses = [
        ".".join(map(str, chance.choices(OCTETS, k=chance.choice([3, 4, 4, 4, 5])))) for _ in range(150)
    ]
    specs = [{"hostname": name, "elasticIPs": [{"instanceID": "i-0123456789abcdef0"}]} for name in hostnames]
    specs += [{"hostname": "mta.example.com", "elasticIPs": [{"publicIP": address}]} for address in addresses]
    by_model = [*map(is_hostname, hostnames), *map(is_public_ipv4, addresses)]
    items = [manifest(spec, f"n{index}") for index, spec in enumerate(specs)]
    done = api.kubectl(
        *("create", "--dry-run=server", "--namespace=default", "-o", "name", "-f", "-"),
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}),
        check=False,
    )
    taken = {line.rpartition("/")[2] for line in done.stdout.splitlines()}
    by_server = [f"n{index}" in taken for index in range(len(specs))]
    assert [spec for spec, a, b in zip(specs, by_server, by_model, strict=True) if a is not b] == []
    for verdicts in (by_model[:150], by_model[150:]):
        assert 10 < sum(verdicts) < 140
