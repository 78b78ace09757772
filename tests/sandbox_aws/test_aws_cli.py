"""The real `aws` command line against the sandbox, and the sandbox as a command of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.aws.client import SandboxAws

ROOT = Path(__file__).resolve().parents[2]
AWS = Path(sys.executable).with_name("aws")


class Cli:
    """`aws …` with the sandbox as its only endpoint; JSON out."""

    def __init__(self, url: str, home: Path) -> None:
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "AKIASANDBOX",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "ap-northeast-1",
            "AWS_DEFAULT_REGION": "ap-northeast-1",
            "AWS_MAX_ATTEMPTS": "1",
            "NO_PROXY": "*",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(AWS), *arguments, "--output", "json"],
            env=self._env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def __call__(self, *arguments: str) -> Any:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None


def test_a_world_set_up_read_and_torn_down_from_the_shell(tmp_path: Path) -> None:
    """AWS CLI reference; AWS_ENDPOINT_URL is all it needs. The sandbox runs by `python -m sandbox.aws`."""
    command = [sys.executable, "-m", "sandbox.aws", "--port", "0", "--time-scale", "0.001", "--no-quotas"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        _story(Cli(url, tmp_path), SandboxAws(url), tmp_path)
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0


def _story(aws: Cli, control: SandboxAws, tmp_path: Path) -> None:
    made = aws("route53", "create-hosted-zone", "--name", "example.com", "--caller-reference", "one")
    zone = made["HostedZone"]["Id"]
    eip = aws("ec2", "allocate-address")
    record = {
        "Name": "mta.example.com",
        "Type": "A",
        "TTL": 60,
        "ResourceRecords": [{"Value": eip["PublicIp"]}],
    }
    batch = tmp_path / "batch.json"
    batch.write_text(json.dumps({"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}))
    change = ("route53", "change-resource-record-sets", "--hosted-zone-id", zone)
    aws(*change, "--change-batch", f"file://{batch}")
    refused = aws.run(*change, "--change-batch", f"file://{batch}")
    assert refused.returncode != 0
    assert "InvalidChangeBatch" in refused.stderr
    assert "but it already exists" in refused.stderr
    address = ("--allocation-id", eip["AllocationId"])
    shown = aws("ec2", "modify-address-attribute", *address, "--domain-name", "mta.example.com")["Address"]
    assert shown["PtrRecordUpdate"]["Status"] == "PENDING"
    control.advance(1)
    swept = aws("ec2", "describe-addresses-attribute", "--attribute", "domain-name")["Addresses"]
    assert [each["PtrRecord"] for each in swept] == ["mta.example.com."]
    assert "InvalidAddress.PtrSet" in aws.run("ec2", "release-address", *address).stderr
    resource = ("--resources", eip["AllocationId"])
    aws("ec2", "create-tags", *resource, "--tags", "Key=use,Value=mail", "Key=env,Value=test")
    aws("ec2", "delete-tags", *resource, "--tags", "Key=env")
    assert aws("ec2", "describe-addresses")["Addresses"][0]["Tags"] == [{"Key": "use", "Value": "mail"}]


@pytest.mark.parametrize("flag", ["--port=x", "--nonsense"])
def test_wrong_flags_are_refused(flag: str) -> None:
    """A typing error must not start a sandbox with other settings than meant."""
    done = subprocess.run(
        [sys.executable, "-m", "sandbox.aws", flag],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert flag.split("=")[0] in done.stderr
