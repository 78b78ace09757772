"""Worlds for the tests of the sandbox's AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from sandbox.aws.client import SandboxAws
from sandbox.aws.local import LocalAws, ServedAws
from sandbox.aws.model import Settings

REGION = "ap-northeast-1"


@pytest.fixture
def aws() -> LocalAws:
    """AWS's own delays and quotas, virtual time."""
    return LocalAws()


@pytest.fixture
def zone(aws: LocalAws) -> str:
    """The ID of a public zone example.com."""
    return aws.model.account().route53.add_zone("example.com").id


@pytest.fixture(scope="session")
def served() -> Iterator[ServedAws]:
    with ServedAws(Settings.for_tests()) as server:
        yield server


@pytest.fixture
def control(served: ServedAws) -> Iterator[SandboxAws]:
    """The control API of a running sandbox; faults and denials end with the test."""
    client = served.control
    yield client
    client.clear_faults()
    client.allow()
    client.settings(quotas=False)


@pytest.fixture(scope="session")
def make_client(served: ServedAws) -> Callable[..., Any]:
    """Unmodified boto3 clients of the running sandbox, one request per call."""

    def make(
        service: str,
        region: str = REGION,
        key: str = "AKIASANDBOX",
        token: str | None = None,
        read_timeout: float = 5,
    ) -> Any:
        session: Any = boto3.Session(
            aws_access_key_id=key, aws_secret_access_key="secret", aws_session_token=token, region_name=region
        )
        config = Config(
            retries={"total_max_attempts": 1}, read_timeout=read_timeout, proxies={}, connect_timeout=5
        )
        return session.client(service, endpoint_url=served.url, config=config)

    return make


@pytest.fixture(scope="session")
def ec2(make_client: Callable[..., Any]) -> Any:
    return make_client("ec2")


@pytest.fixture(scope="session")
def route53(make_client: Callable[..., Any]) -> Any:
    return make_client("route53")


def record(name: str, rtype: str, *values: str, ttl: int = 300, **more: Any) -> dict[str, Any]:
    return {
        "Name": name,
        "Type": rtype,
        "TTL": ttl,
        "ResourceRecords": [{"Value": value} for value in values],
        **more,
    }


@pytest.fixture
def change(aws: LocalAws, zone: str) -> Callable[..., Any]:
    """change(("CREATE", name, type, value, …), …): one batch on example.com."""

    def send(*changes: tuple[Any, ...], zone_id: str = zone) -> Any:
        batch = [
            {"Action": action, "ResourceRecordSet": rest[0] if isinstance(rest[0], dict) else record(*rest)}
            for action, *rest in changes
        ]
        aws.clock.advance(1)  # past the zone's processing of the batch before
        return aws.route53("ChangeResourceRecordSets", HostedZoneId=zone_id, ChangeBatch={"Changes": batch})

    return send
