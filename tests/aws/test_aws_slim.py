"""The cut-down model of EC2 behaves as the whole one for what is called."""

from __future__ import annotations

import inspect
import re

import botocore.session
import pytest

from mailegress.aws.sdk import operations
from mailegress.aws.sdk.sessions import Clients
from mailegress.aws.sdk.trimmed_loader import EC2_OPERATIONS
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


def _drawn(shape: object) -> object:
    """A shape with all that it is made of, as plain values."""
    kind = getattr(shape, "type_name", None)
    if kind == "structure":
        members = {name: _drawn(member) for name, member in shape.members.items()}  # type: ignore[attr-defined]
        return kind, shape.serialization, members  # type: ignore[attr-defined]
    if kind == "list":
        return kind, shape.serialization, _drawn(shape.member)  # type: ignore[attr-defined]
    return kind, getattr(shape, "enum", None)
