"""The IAM policies of ``deploy/iam`` as a user fills them in, on the operator of one world."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.aws.client import SandboxAws
from sandbox.aws.model.base import partition_of
from sandbox.operator import REPO

DIRECTORY = REPO / "deploy" / "iam"
ZONE_POLICY, EIP_POLICY = "zone-account.json", "eip-account.json"
TAGGED_POLICY, ASSUME_POLICY = "eip-account-tagged.json", "operator-assume-roles.json"
POLICIES = (ZONE_POLICY, EIP_POLICY, TAGGED_POLICY, ASSUME_POLICY)
"""All that can be attached to an identity; the others of the directory say who may assume it."""

ZONE_ID, ZONE_NAME, ACCOUNT = "Z0123456789ABCDEFGHIJ", "example.com", "111122223333"
EIP_ROLE = "arn:aws:iam::111122223333:role/mailegress-eip"
ZONE_ROLE = "arn:aws:iam::444455556666:role/mailegress-zone"
"""What a user replaces in the files."""


def fill(policy: str, partition: str = "aws", **values: str) -> dict[str, Any]:
    """A policy with another ``zone_id``, ``zone_name``, ``account``, ``region``, ``eip_role`` or
    ``zone_role``."""
    text = (DIRECTORY / policy).read_text()
    known = {
        "eip_role": EIP_ROLE,
        "zone_role": ZONE_ROLE,
        "zone_id": ZONE_ID,
        "zone_name": ZONE_NAME,
        "account": ACCOUNT,
    }
    # The roles' ARNs hold an account of their own: they go first.
    for name, placeholder in known.items():
        text = text.replace(placeholder, values.get(name, placeholder))
    # The worlds' regions are many, and the user's list of them is not what is shown here.
    text = text.replace("arn:aws:ec2:eu-west-1:", f"arn:aws:ec2:{values.get('region', '*')}:")
    document: dict[str, Any] = json.loads(text.replace("arn:aws:", f"arn:{partition}:"))
    return document


@dataclass(frozen=True, slots=True)
class Identity:
    """Who makes one service's calls: a pattern of its ARN."""

    pattern: str
    account: str
    partition: str


class ShippedPolicies:
    """Attaches what each identity of the operator needs, and nothing else. One zone policy for each zone."""

    def __init__(self, aws: SandboxAws, operator: str) -> None:
        """``operator``: ARN of the operator's own identity."""
        self._aws = aws
        self._operator = operator
        self._zones: list[tuple[str, str, str]] = []
        """ID, name and account of each zone that the operator may write to."""
        self._writers: set[Identity] = set()
        self._attached: set[tuple[Identity, str]] = set()
        # The world's own generator must make the same world with and without policies.
        self._random = random.Random(0)
        self.eip_policy = EIP_POLICY
        """Which policy operators started from now on have for EC2."""

    def serve(self, settings: Mapping[str, str], region: str) -> None:
        """Attach the policies for an operator with these settings; ``region`` is its first."""
        partition = partition_of(region)
        zone, eip = settings.get("zone_role_arn", ""), settings.get("eip_role_arn", "")
        if zone or eip:
            roles = {name: arn for name, arn in (("zone_role", zone), ("eip_role", eip)) if arn}
            self._attach(self._identity("", partition), ASSUME_POLICY, **roles)
        reader = self._identity(eip, partition)
        self._attach(reader, self.eip_policy, account=reader.account)
        writer = self._identity(zone, partition)
        self._attach(writer, ZONE_POLICY)
        if writer not in self._writers:
            self._writers.add(writer)
            for each in self._zones:
                self._open(writer, *each)

    def zone(self, name: str, account: str | None = None) -> str:
        """The ID that a zone must get so that the operator may work in it, from its first moment on."""
        zone_id = "Z" + "".join(self._random.choices(string.ascii_uppercase + string.digits, k=20))
        made = (zone_id, name, account or ACCOUNT)
        self._zones.append(made)
        for writer in self._writers:
            self._open(writer, *made)
        return zone_id

    def _identity(self, role: str, partition: str) -> Identity:
        if not role:
            return Identity(self._operator, ACCOUNT, partition)
        account, name = role.split(":")[4], role.rpartition("/")[2]
        return Identity(f"arn:{partition}:sts::{account}:assumed-role/{name}/*", account, partition)

    def _open(self, writer: Identity, zone_id: str, name: str, account: str) -> None:
        if writer.account == account:
            document = fill(ZONE_POLICY, writer.partition, zone_id=zone_id, zone_name=name)
            self._aws.attach_policy(writer.pattern, document, ZONE_POLICY)

    def _attach(self, identity: Identity, policy: str, **values: str) -> None:
        if (identity, policy) not in self._attached:
            self._attached.add((identity, policy))
            self._aws.attach_policy(identity.pattern, fill(policy, identity.partition, **values), policy)
