"""What every part of the model shares: faults, the call context, ID making."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Params = Mapping[str, Any]
"""Parameters of one call, in botocore's input-shape terms."""
Response = dict[str, Any]
"""Reply of one call, in botocore's output-shape terms."""
Clock = Callable[[], float]
"""Seconds since the epoch."""


class AwsFault(Exception):
    """An error that AWS answers. `bare` = Route 53's alternate error document without `<Error>`;
    `delay` = seconds the answer takes."""

    def __init__(
        self, code: str, message: str, status: int = 400, *, bare: bool = False, delay: float = 0.0
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.bare = bare
        self.delay = delay


class ConnectionCut(Exception):
    """The caller gets no reply: the connection ends. `applied` tells whether the call took effect."""

    def __init__(self, applied: bool, after: float = 0.0) -> None:
        super().__init__("connection cut " + ("after" if applied else "before") + " the call took effect")
        self.applied = applied
        self.after = after


class GarbageReply(Exception):
    """The caller gets something that is no AWS reply at all (a proxy's error page)."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: an account and the ARN that GetCallerIdentity shows."""

    account: str
    arn: str
    user_id: str
    access_key: str = ""
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """Facts of one call that are not parameters. `now` is in seconds since the epoch."""

    principal: Principal
    region: str
    now: float

    @property
    def account(self) -> str:
        return self.principal.account

    @property
    def partition(self) -> str:
        return partition_of(self.region)


def partition_of(region: str) -> str:
    """The partition of a region by its prefix (botocore's partitions.json)."""
    for prefix, partition in (
        ("us-gov-", "aws-us-gov"),
        ("cn-", "aws-cn"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-iso-", "aws-iso"),
        ("eusc-", "aws-eusc"),
    ):
        if region.startswith(prefix):
            return partition
    return "aws"


class Ids:
    """AWS-shaped identifiers from a seeded generator: two models with one seed make the same IDs."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def hex(self, prefix: str) -> str:
        """`prefix-` and 17 hexadecimal digits (EC2's long resource IDs)."""
        return f"{prefix}-0{self._rng.getrandbits(64):016x}"

    def upper(self, prefix: str, length: int) -> str:
        """`prefix` and `length` upper-case letters and digits (Route 53 IDs, access keys)."""
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        return prefix + "".join(self._rng.choices(alphabet, k=length))


def resource_id(value: str) -> str:
    """Route 53 takes IDs with or without their `/hostedzone/` or `/change/` path."""
    return value.rsplit("/", 1)[-1]
