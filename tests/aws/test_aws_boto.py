"""The boto3 implementation of the seam, against the sandbox's AWS over the wire."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore import exceptions as sdk
from prometheus_client import generate_latest

from mailegress.aws.api import AwsError, RecordCursor, Service
from mailegress.aws.sdk.client import BotoApi
from mailegress.aws.sdk.exceptions import translate
from mailegress.aws.sdk.threads import DaemonPool
from mailegress.aws.settings import BotoSettings, RoleSettings
from mailegress.kube.lease import LeaderGuard
from mailegress.model.aws import Change, Ptr, Verb
from mailegress.reconcile.write_guard import OpenGuard
from mailegress.telemetry.metrics import Metrics
from sandbox.aws.client import SandboxAws
from sandbox.aws.local import ServedAws
from tests.support.aws_world import a, claim, mark

REGION = "ap-northeast-1"
OTHER = "222222222222"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxAws]:
    with ServedAws() as aws:
        for name in ("AWS_PROFILE", "AWS_ROLE_ARN", "AWS_SESSION_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        yield SandboxAws(aws.url)


def api(metrics: Metrics | None = None, **settings: Any) -> BotoApi:
    return BotoApi(BotoSettings(region=REGION, **settings), metrics or Metrics())


async def test_record_sets_are_written_and_read_normalised(served: SandboxAws) -> None:
    aws = api()
    zone_id = served.run("create_zone", name="example.com")["id"]
    (zone,) = (await aws.list_hosted_zones()).items
    assert (zone.id, zone.name, zone.editable, zone.record_count) == (zone_id, "example.com", True, 2)
    servers = await aws.get_hosted_zone(zone_id)
    assert len(servers) == 4
    assert all(not name.endswith(".") for name in servers)
    info = await aws.change_resource_record_sets(zone_id, claim("mta.example.com"))
    assert info.status == "PENDING"
    assert not info.id.startswith("/")
    page = await aws.list_resource_record_sets(zone_id, RecordCursor("mta.example.com"), 20)
    assert page.items == (a("mta.example.com"), mark("mta.example.com"))
    first = await aws.list_resource_record_sets(zone_id, None, 1)
    assert first.next is not None
    following = await aws.list_resource_record_sets(zone_id, first.next, 1)
    assert following.items != first.items
    served.advance(60)
    assert (await aws.get_change(info.id)).status == "INSYNC"
    aws.close()


async def test_a_refused_batch_says_so_and_is_sent_once(served: SandboxAws) -> None:
    metrics = Metrics()
    aws = api(metrics)
    zone_id = served.run("create_zone", name="example.com")["id"]
    await aws.change_resource_record_sets(zone_id, claim("mta.example.com"))
    with pytest.raises(AwsError) as caught:
        await aws.change_resource_record_sets(
            zone_id, [Change(Verb.CREATE, a("mta.example.com", "192.0.2.9"))]
        )
    assert caught.value.code in ("InvalidChangeBatch", "PriorRequestNotComplete")
    served.add_fault("error", "route53", "ListHostedZones", code="Throttling", message="Rate exceeded")
    served.reset_log()
    with pytest.raises(AwsError) as caught:
        await aws.list_hosted_zones()
    assert (caught.value.service, caught.value.code) == (Service.ROUTE53, "Throttling")
    assert len(served.log(operation="ListHostedZones")) == 1, "the SDK must not retry by itself"
    text = generate_latest(metrics.registry).decode()
    assert (
        'mailegress_aws_calls_total{code="Throttling",operation="ListHostedZones",service="route53"} 1.0'
        in text
    )
    aws.close()


async def test_addresses_and_their_ptrs(served: SandboxAws) -> None:
    aws = api()
    made = served.run("allocate", region=REGION, count=3)
    ids = [eip["allocation_id"] for eip in made]
    zone_id = served.run("create_zone", name="example.com")["id"]
    record = a("mta.example.com", made[0]["public_ip"])
    await aws.change_resource_record_sets(zone_id, [Change(Verb.CREATE, record)])
    assert {row.allocation_id for row in await aws.describe_addresses(REGION)} == set(ids)
    some = await aws.describe_addresses(REGION, [ids[0], "eipalloc-0123456789abcdef0"])
    assert [row.allocation_id for row in some] == [ids[0]], "an unknown ID is simply missing"
    assert (await aws.describe_addresses_attribute(REGION)).items == ()
    assert (await aws.describe_nat_gateways(REGION)).items == ()

    served.advance(60)
    ptr = await aws.modify_address_attribute(REGION, ids[0], "mta.example.com")
    assert (ptr.update, ptr.pending) == ("mta.example.com", True)
    served.advance(150)
    (row,) = (await aws.describe_addresses_attribute(REGION, ids)).items
    assert row.ptr == Ptr("mta.example.com")
    assert (await aws.reset_address_attribute(REGION, ids[0])).pending
    with pytest.raises(AwsError) as caught:
        await aws.describe_addresses_attribute(REGION, [ids[1], "eipalloc-0123456789abcdef0"])
    assert caught.value.code == "InvalidAllocationID.NotFound"
    aws.close()


async def test_each_service_has_its_own_role_with_refreshing_credentials(served: SandboxAws) -> None:
    role = f"arn:aws:iam::{OTHER}:role/zones"
    served.run("put_role", arn=role, external_id="secret-word")
    zone_id = served.run("create_zone", name="example.com", account=OTHER)["id"]
    aws = api(route53=RoleSettings(role, "secret-word"))
    assert [zone.id for zone in (await aws.list_hosted_zones()).items] == [zone_id]
    assert await aws.get_caller_identity(Service.ROUTE53, REGION) == OTHER
    assert await aws.get_caller_identity(Service.EC2, REGION) != OTHER
    await asyncio.gather(*(aws.list_hosted_zones() for _ in range(5)))
    assert len(served.log(operation="AssumeRole")) == 1, "asked for again only when they run out"
    aws.close()

    stranger = api(route53=RoleSettings(role, "wrong-word"))
    with pytest.raises(AwsError) as caught:
        await stranger.list_hosted_zones()
    error = caught.value
    assert (error.service, error.operation, error.code, error.sent) == (
        Service.STS,
        "AssumeRole",
        "AccessDenied",
        False,
    )
    stranger.close()


async def test_a_connection_that_is_refused_was_certainly_not_sent(
    served: SandboxAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(AwsError) as caught:
            await api().modify_address_attribute(REGION, "eipalloc-1", "mta.example.com")
    assert (caught.value.code, caught.value.sent) == ("ConnectionError", False)


async def test_a_silent_server_times_out_with_an_unknown_outcome(
    served: SandboxAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(AwsError) as caught:
            await api(read_timeout=0.2).reset_address_attribute(REGION, "eipalloc-1")
    assert (caught.value.code, caught.value.sent) == ("Timeout", True)


async def test_without_credentials_nothing_is_sent(
    served: SandboxAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for role in (RoleSettings(), RoleSettings("arn:aws:iam::222222222222:role/zones")):
        with pytest.raises(AwsError) as caught:
            await api(route53=role).list_hosted_zones()
        assert (caught.value.code, caught.value.sent) == ("NoCredentials", False)


def test_the_alternate_root_element_is_still_a_refused_batch() -> None:
    reply: Any = {"Error": {}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    error = translate(
        Service.ROUTE53,
        "ChangeResourceRecordSets",
        sdk.ClientError(reply, "ChangeResourceRecordSets"),
    )
    assert error.code == "InvalidChangeBatch"


def test_the_pools_threads_do_not_outlive_the_interpreter() -> None:
    pool = DaemonPool(2, "test")
    assert [pool.submit(pow, n, 2).result(10) for n in range(5)] == [0, 1, 4, 9, 16]
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result(10)
    assert pool.submit(lambda: threading.current_thread().daemon).result(10)
    pool.shutdown()
    with pytest.raises(RuntimeError):
        pool.submit(int)


async def test_a_write_that_gets_its_thread_after_the_lease_ran_out_is_not_sent(served: SandboxAws) -> None:
    now = 0.0
    aws = BotoApi(BotoSettings(region=REGION, threads=1), Metrics(), clock=lambda: now)
    zone_id = served.run("create_zone", name="example.com")["id"]
    served.add_fault("delay", "route53", "ListHostedZones", delay=0.5, count=1)
    guard = LeaderGuard(OpenGuard(), lambda: now)
    guard.until = 10.0

    async def write() -> None:
        async with guard.point("route53.change"):
            await aws.change_resource_record_sets(zone_id, claim("mta.example.com"))

    reading, writing = asyncio.create_task(aws.list_hosted_zones()), asyncio.create_task(write())
    await asyncio.sleep(0)
    now = 10.0
    with pytest.raises(AwsError) as caught:
        await writing
    assert (caught.value.code, caught.value.sent) == ("TooLate", False)
    await reading
    assert served.log(operation="ChangeResourceRecordSets") == []
    aws.close()
