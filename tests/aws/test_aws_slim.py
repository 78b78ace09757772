"""botocore's cut-down data behave as the whole ones for what is called."""

from __future__ import annotations

import inspect
import re

import botocore.session
import pytest

from mailegress.aws.sdk import operations
from mailegress.aws.sdk.sessions import Clients
from mailegress.aws.sdk.trimmed_loader import EC2_OPERATIONS, SlimFiles
from mailegress.aws.settings import BotoSettings, RoleSettings


def test_every_ec2_operation_that_is_called_is_there_and_no_other() -> None:
    called = set(re.findall(r'Service\.EC2,\s*"(\w+)"', inspect.getsource(operations)))
    assert called == EC2_OPERATIONS


@pytest.mark.parametrize("operation", sorted(EC2_OPERATIONS))
def test_an_operation_is_described_as_in_the_whole_model(operation: str) -> None:
    slim = (
        Clients(BotoSettings(region="eu-west-1")).get(RoleSettings(), "ec2", "eu-west-1").meta.service_model
    )
    whole = botocore.session.get_session().get_service_model("ec2")
    ours, theirs = slim.operation_model(operation), whole.operation_model(operation)
    assert ours.metadata == theirs.metadata
    assert _drawn(ours.input_shape) == _drawn(theirs.input_shape)
    assert _drawn(ours.output_shape) == _drawn(theirs.output_shape)
    assert len(slim.operation_names) == len(EC2_OPERATIONS)


@pytest.mark.parametrize("service", ["ec2", "route53", "sts", "sso", "portal.sso", "oidc", "signin"])
def test_a_service_has_the_endpoints_of_the_whole_data(service: str) -> None:
    slim, whole = botocore.session.get_session(), botocore.session.get_session()
    slim.get_component("data_loader").file_loader = SlimFiles()
    assert slim.get_available_partitions() == whole.get_available_partitions()
    assert whole.get_available_regions("s3")
    assert not slim.get_available_regions("s3"), "what is not called is left out"
    resolvers = [each.get_component("endpoint_resolver") for each in (slim, whole)]
    for partition in whole.get_available_partitions():
        regions = whole.get_available_regions("ec2", partition)
        assert slim.get_available_regions("ec2", partition) == regions
        assert slim.get_available_regions(service, partition) == whole.get_available_regions(
            service, partition
        )
        for region in (*regions, "xx-nowhere-1"):
            ours, theirs = (each.construct_endpoint(service, region, partition) for each in resolvers)
            assert ours == theirs


def _drawn(shape: object) -> object:
    """A shape with all that it is made of, as plain values."""
    kind = getattr(shape, "type_name", None)
    if kind == "structure":
        members = {name: _drawn(member) for name, member in shape.members.items()}  # type: ignore[attr-defined]
        return kind, shape.serialization, members  # type: ignore[attr-defined]
    if kind == "list":
        return kind, shape.serialization, _drawn(shape.member)  # type: ignore[attr-defined]
    return kind, getattr(shape, "enum", None)
