"""`kubectl mailegress import` and `orphans`: a round trip through manifests, and what a lost object leaves behind."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from sandbox.cloud import REGION
from tests.stories.test_dns_gate import HOST
from tests.stories.test_plugin import BIN, environ
from tests.support.stories.story import Meg, Story


def run(story: Story, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """With the user's kubeconfig and AWS credentials."""
    done = subprocess.run(
        [BIN / "kubectl-mailegress", *arguments],
        env=environ(story) | dict(story.cloud.aws_environ()),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("source", ["account", "terraform"])
def test_what_exists_becomes_manifests_that_write_ownership_records_only(
    story: Story, source: str, tmp_path: Path
) -> None:
    """Given two Elastic IPs with PTRs and their A record, when they are imported and the manifests applied, then the
    object is Ready, and nothing but the ownership record was written; the removal plan names the PTRs first."""
    zone, [first, second, bare] = story.zone(), story.eips(3)
    story.put_record(zone, HOST, [first.public_ip, second.public_ip], ttl=77)
    for eip in (first, second):
        story.aws.force_ptr(eip.public_ip, HOST)
    arguments = ["import", "--region", REGION, "-n", story.namespace]
    if source == "terraform":
        resources = [
            {"address": f"aws_eip.mta[{n}]", "mode": "managed", "type": "aws_eip",
             "values": {"id": e.allocation_id, "public_ip": e.public_ip, "region": REGION}}
            for n, e in enumerate((first, second, bare))
        ] + [
            {"address": f"aws_eip_domain_name.mta[{n}]", "mode": "managed", "type": "aws_eip_domain_name",
             "values": {"allocation_id": e.allocation_id, "domain_name": HOST}}
            for n, e in enumerate((first, second))
        ] + [
            {"address": "aws_route53_record.mta", "mode": "managed", "type": "aws_route53_record",
             "values": {"zone_id": zone.id, "fqdn": HOST, "type": "A", "ttl": 77,
                        "records": [first.public_ip, second.public_ip]}}
        ]  # fmt: skip
        state = tmp_path / "state.json"
        state.write_text(json.dumps({"values": {"root_module": {"resources": resources}}}))
        arguments += ["--terraform", str(state)]
    done = run(story, *arguments)
    assert "1 of 1 hostnames can be adopted" in done.stderr
    assert "1 address has no PTR" in done.stderr
    if source == "terraform":
        removed = [line.split()[-1] for line in done.stderr.splitlines() if "terraform state rm" in line]
        assert [name.strip("'") for name in removed] == [
            "aws_eip_domain_name.mta[0]", "aws_eip_domain_name.mta[1]", "aws_route53_record.mta",
        ]  # fmt: skip
    before = story.writes()
    story.plane.kubectl("apply", "-f", "-", stdin=done.stdout)
    meg = Meg(story, HOST.replace(".", "-"), story.namespace).wait()
    assert {a["ptrOrigin"] for a in meg.status["addresses"]} == {"Adopted"}
    assert story.writes() == before + 1
    [change] = story.calls("ChangeResourceRecordSets", outcome="ok")[-1]["params"]["ChangeBatch"]["Changes"]
    assert (change["Action"], change["ResourceRecordSet"]["Type"]) == ("CREATE", "TXT")
    if source == "account":
        assert "managed" in run(story, *arguments).stderr


def test_a_record_that_differs_is_reported_and_a_lost_object_is_an_orphan(story: Story) -> None:
    """Given a PTR whose A record lacks the address, then import says so and makes no manifest; given an object that was
    removed without its operator, then its ownership record is listed as an orphan."""
    zone, [first, second] = story.zone(), story.eips(2)
    story.put_record(zone, "other.example.com", ["198.51.100.9"])
    story.aws.force_ptr(second.public_ip, "other.example.com")
    done = run(story, "import", "--region", REGION, code=1)
    assert done.stdout == ""
    assert f"lacks {second.public_ip}" in done.stderr

    meg = story.meg("outbound", HOST, [first]).wait()
    shown = json.loads(run(story, "orphans", "--region", REGION, "-o", "json").stdout)
    assert shown["items"] == []
    uid = meg.uid()
    story.operator.stop()
    meg.patch({"metadata": {"finalizers": []}})
    meg.delete()
    found = run(story, "orphans", "--region", REGION, code=1).stdout
    for text in (HOST, uid, first.public_ip, "the operator"):
        assert text in found, found
