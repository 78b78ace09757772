"""The witness sees each breach that it is there for: here they are committed with the AWS SDK."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sandbox.aws.client import EipInfo
from sandbox.aws.model import Settings
from sandbox.cloud import ACCESS_KEY, REGION, Cloud
from tests.support.process.witness import Witness
from tests.support.stories.story import record_change

HOST = "mta.example.com"


@dataclass
class Stage:
    witness: Witness
    cloud: Cloud
    zone_id: str
    eip: EipInfo

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.cloud.url,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key="sandbox",
        )

    def change(self, action: str, name: str = HOST) -> None:
        self.client("route53").change_resource_record_sets(
            HostedZoneId=self.zone_id,
            ChangeBatch={"Changes": [record_change(name, [self.eip.public_ip], "A", 300, action)]},
        )
        self.cloud.aws.advance(60.0)

    def point(self, name: str = HOST) -> None:
        self.client("ec2").modify_address_attribute(AllocationId=self.eip.allocation_id, DomainName=name)
        self.cloud.aws.advance(600.0)

    def reset(self) -> None:
        self.client("ec2").reset_address_attribute(
            AllocationId=self.eip.allocation_id, Attribute="domain-name"
        )
        self.cloud.aws.advance(600.0)

    def seen(self) -> set[str]:
        return {line.partition(":")[0] for line in self.witness.violations}


@pytest.fixture
def stage() -> Iterator[Stage]:
    witness = Witness(frozenset({HOST}))
    with Cloud(Settings(), populate=witness.populate) as cloud:
        zone = cloud.aws.create_zone("example.com")
        [eip] = cloud.aws.allocate(REGION, 1)
        yield Stage(witness, cloud, zone.id, eip)


def test_a_life_in_the_right_order_is_no_breach(stage: Stage) -> None:
    stage.change("CREATE")
    stage.point()
    stage.reset()
    stage.change("DELETE")
    assert stage.witness.violations == []
    assert (stage.witness.writes, stage.witness.redundant) == (4, 0)


def test_an_upsert(stage: Stage) -> None:
    stage.change("UPSERT")
    assert stage.seen() == {"S2"}


def test_a_name_that_nobody_wants(stage: Stage) -> None:
    stage.change("CREATE", "www.example.com")
    assert stage.seen() == {"S2"}


def test_a_ptr_before_every_server_has_the_record(stage: Stage) -> None:
    stage.cloud.aws.set_server_lag("ns-2.awsdns-sandbox.org", None)
    stage.change("CREATE")
    stage.point()
    assert "S1" in stage.seen()


def test_a_strangers_ptr(stage: Stage) -> None:
    stage.cloud.aws.force_ptr(stage.eip.allocation_id, "stranger.example.com")
    stage.witness.foreign = frozenset({stage.eip.public_ip})
    stage.reset()
    assert stage.seen() == {"S2"}


def test_a_record_that_goes_before_its_ptr(stage: Stage) -> None:
    stage.change("CREATE")
    stage.point()
    stage.change("DELETE")
    assert stage.seen() == {"S4"}
    with pytest.raises(ClientError):
        stage.point()
    assert {"S3", "S4"} <= stage.seen()


def test_a_write_by_whoever_was_replaced(stage: Stage) -> None:
    stage.witness.retired = frozenset({ACCESS_KEY})
    stage.change("CREATE")
    assert stage.seen() == {"S9"}


def test_what_was_done_for_nothing(stage: Stage) -> None:
    stage.change("CREATE")
    stage.point()
    stage.point()
    stage.reset()
    stage.reset()
    assert stage.witness.redundant == 2
