"""What `kubectl mailegress import` and `orphans` make of an account or of a Terraform state."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailegress.model import ownership
from mailegress.model.aws import RecordSet, Zone
from mailegress.model.ownership import Mark
from mailegress.tools import terminal
from mailegress.tools.plugin import imports, terraform
from mailegress.tools.plugin.cluster import Problem
from mailegress.tools.plugin.inventory import Address, Inventory, Record
from mailegress.tools.plugin.orphans import orphans

HOST = "mta.example.com"
REGION = "eu-west-1"
ZONE = Zone("Z1", "example.com")
UID = "12345678-1234-1234-1234-123456789abc"


def address(number: int, ptr: str = HOST) -> Address:
    return Address(f"eipalloc-{number:017x}", f"203.0.113.{number}", REGION, ptr)


def record(*values: str, name: str = HOST, rtype: str = "A", **more: Any) -> Record:
    return Record("Z1", RecordSet(name, rtype, 60, tuple(sorted(values)), **more))


def only(*records: Record, addresses: tuple[Address, ...] = (address(1), address(2))) -> imports.Candidate:
    [found] = imports.candidates(Inventory(addresses, (ZONE,), records))
    return found


def test_what_is_right_is_adopted_as_it_is() -> None:
    found = only(record("203.0.113.1", "203.0.113.2"))
    assert found.problem == ""
    assert imports.manifest(found, REGION, "mail") == {
        "apiVersion": "mailegress.io/v1alpha1",
        "kind": "MailEgress",
        "metadata": {"name": "mta-example-com", "namespace": "mail"},
        "spec": {
            "hostname": HOST,
            "elasticIPs": [{"allocationID": a.allocation_id} for a in found.addresses],
            "forward": {"hostedZoneID": "Z1", "ttlSeconds": 60},
            "adoption": "Matching",
        },
    }
    assert imports.manifest(found, "us-east-1", None)["spec"]["elasticIPs"][0]["region"] == REGION


@pytest.mark.parametrize(
    ("records", "says"),
    [
        ([], "there is no A record"),
        ([record("203.0.113.1")], "lacks 203.0.113.2"),
        ([record("203.0.113.1", "203.0.113.2", "203.0.113.9")], "also has 203.0.113.9"),
        ([record("other.example.com", rtype="CNAME")], "is CNAME"),
        ([record(alias=True)], "is an alias"),
        ([record("203.0.113.1", "203.0.113.2", set_identifier="a")], "routing policy"),
    ],
)
def test_what_differs_is_reported_and_gets_no_manifest(records: list[Record], says: str) -> None:
    found = only(*records)
    assert says in found.problem
    assert imports.manifests([found], REGION, None) == ""


def test_what_an_operator_has_is_left_out() -> None:
    text = ownership.encode(Mark(False, "abc", UID))
    mark = record(text, name=f"_mailegress.{HOST}", rtype="TXT")
    found = only(record("203.0.113.1", "203.0.113.2"), mark)
    assert found.managed
    assert imports.manifests([found], REGION, None) == ""


def test_a_name_in_another_dns_is_observed() -> None:
    found = only(addresses=(address(1, "mta.example.net"),))
    assert imports.manifest(found, REGION, None)["spec"]["forward"] == {"management": "Observed"}


def test_too_many_addresses_and_names_that_are_no_hostnames() -> None:
    assert "at most 16" in only(addresses=tuple(address(n) for n in range(1, 18))).problem
    assert "no hostname" in only(addresses=(address(1, "a_b.example.com"),)).problem


def state(*resources: dict[str, Any], **modules: Any) -> dict[str, Any]:
    root = {"resources": list(resources), **modules}
    return {"format_version": "1.0", "values": {"root_module": root}}


def resource(where: str, mode: str = "managed", **values: Any) -> dict[str, Any]:
    kind = where.rpartition("module.mail.")[2].split(".")[0]
    return {"address": where, "mode": mode, "type": kind, "values": values}


EIP = resource(
    "aws_eip.mta",
    id="eipalloc-1",
    public_ip="203.0.113.1",
    arn=f"arn:aws:ec2:{REGION}:1:elastic-ip/eipalloc-1",
)
PTR = resource('aws_eip_domain_name.mta["a b"]', allocation_id="eipalloc-1", domain_name=f"{HOST}.")
A = resource(
    "module.mail.aws_route53_record.mta",
    zone_id="Z1",
    name="MTA",
    fqdn=HOST,
    type="A",
    ttl=60,
    records=["203.0.113.1"],
)


def read(tmp_path: Path, document: Any) -> Inventory:
    path = tmp_path / "state.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return terraform.read(path, "us-east-1")


def test_a_terraform_state_becomes_manifests_and_a_safe_order_of_removal(tmp_path: Path) -> None:
    """The PTR, which needs the A record, leaves Terraform first; the Elastic IP stays."""
    found = imports.candidates(read(tmp_path, state(EIP, PTR, child_modules=[{"resources": [A]}])))
    [document] = yaml.safe_load_all(imports.manifests(found, REGION, None))
    assert document["spec"]["elasticIPs"] == [{"allocationID": "eipalloc-1"}]
    assert document["spec"]["forward"] == {"hostedZoneID": "Z1", "ttlSeconds": 60}
    out = io.StringIO()
    terminal.show(imports.report(found, 0), out)
    lines = [line.strip() for line in out.getvalue().splitlines()]
    commands = [line for line in lines if line.startswith("terraform state rm ")]
    assert commands == [
        """terraform state rm 'aws_eip_domain_name.mta["a b"]'""",
        "terraform state rm module.mail.aws_route53_record.mta",
    ]
    assert "aws_eip.mta" not in out.getvalue()
    order = [next(i for i, line in enumerate(lines) if line.startswith(f"{n}.")) for n in (1, 2, 3, 4)]
    assert order == sorted(order)


def test_zones_of_a_state(tmp_path: Path) -> None:
    """A private zone does not count; a zone that is only looked up does."""
    inside = resource("aws_route53_zone.inside", zone_id="Z1", name="example.com", vpc=[{"vpc_id": "vpc-1"}])
    [found] = imports.candidates(read(tmp_path, state(EIP, PTR, A, inside)))
    assert found.observed
    looked_up = resource(
        "data.aws_route53_zone.it", "data", zone_id="Z1", name="example.com.", private_zone=False
    )
    looked_up["type"] = "aws_route53_zone"
    other = resource(
        "aws_route53_record.x", zone_id="Z1", fqdn="x.b.example.com", type="A", ttl=1, records=["192.0.2.1"]
    )
    for more in ((looked_up,), (other,)):
        [found] = imports.candidates(read(tmp_path, state(EIP, PTR, A, *more)))
        assert (found.problem, found.observed) == ("", False)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"values": 7}', '{"values": {"root_module": []}}', "[" * 100_000]
)
def test_what_is_no_state_has_a_remedy(tmp_path: Path, text: str) -> None:
    with pytest.raises(Problem, match="terraform show -json"):
        read(tmp_path, text)


def test_a_state_of_any_shape_is_read(tmp_path: Path) -> None:
    odd = {"address": 7, "mode": "managed", "type": "aws_eip", "values": {"id": 7, "arn": None}}
    assert read(tmp_path, state(odd, {"values": []}, 7)).addresses == ()  # type: ignore[arg-type]


def test_orphans_are_those_of_this_owner_without_an_object() -> None:
    def mark(name: str, owner: str, uid: str, *, adopted: bool = False) -> tuple[str, Record]:
        text = ownership.encode(Mark(adopted, owner, uid))
        return "example.com", record(text, name=f"_mailegress.{name}", rtype="TXT")

    gone = "00000000-0000-0000-0000-000000000001"
    records = [
        mark("kept.example.com", "mine", UID),
        mark("gone.example.com", "mine", gone),
        mark("theirs.example.com", "theirs", gone),
        ("example.com", record("203.0.113.1", name="gone.example.com")),
        ("example.com", record('"v=spf1 -all"', name="_mailegress.spf.example.com", rtype="TXT")),
    ]
    found, others = orphans(records, frozenset({"mine"}), frozenset({UID}))
    assert [(o.hostname, o.uid, o.adopted, o.values) for o in found] == [
        ("gone.example.com", gone, False, ("203.0.113.1",))
    ]
    assert others == 1
