"""As whom and where the operator calls AWS, for ``mailegress check-config``."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

from mailegress.aws.api import AwsError
from mailegress.aws.errors import classify
from mailegress.aws.sdk.client import BotoApi
from mailegress.cli import layer_settings
from mailegress.cli.settings import Settings
from mailegress.telemetry.metrics import Metrics

PATIENCE = 3.0
"""Seconds to wait for a connection, and as long for an answer."""


def identity_lines(settings: Settings) -> Iterator[str]:
    """A line for each endpoint and each identity. What is not known is said with its cause."""
    boto = dataclasses.replace(
        layer_settings.boto_settings(settings), connect_timeout=PATIENCE, read_timeout=PATIENCE, threads=1
    )
    with contextlib.closing(BotoApi(boto, Metrics())) as api:
        try:
            for service, host in api.endpoints().items():
                yield f"AWS endpoint of {service}: {host}"
        except AwsError as error:
            yield f"AWS endpoints: unknown: {classify(error).message}"
        for services, identity in api.identities():
            yield f"AWS identity for {services}: {identity}"
