"""Who may do what: denials that a test switches on and off, and IAM policy documents.

A caller that no document is attached to may do everything that no rule denies.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .base import AwsFault, Context, Params, resource_id
from .iam import Statement, Use, Values, allows, read_document

Hook = Callable[[Context, str, str], bool]
"""(context, action, resource ARN) → True to deny."""


@dataclass(frozen=True, slots=True)
class DenyRule:
    """`action` like `route53:Change*`; `resource`, `principal`: ARN patterns; `account` exact or `*`."""

    action: str
    resource: str = "*"
    principal: str = "*"
    account: str = "*"

    def hits(self, context: Context, action: str, resource: str) -> bool:
        return (
            fnmatch.fnmatchcase(action, self.action)
            and fnmatch.fnmatchcase(resource, self.resource)
            and fnmatch.fnmatchcase(context.principal.arn, self.principal)
            and self.account in ("*", context.account)
        )


@dataclass(slots=True)
class Policy:
    rules: dict[str, DenyRule] = field(default_factory=dict)
    hook: Hook | None = None
    attached: dict[str, tuple[Statement, ...]] = field(default_factory=dict)
    """Pattern of a principal's ARN → the statements of all documents attached to it."""
    used: set[Use] = field(default_factory=set)
    """What the allowed calls needed of the attached documents."""
    refused: list[str] = field(default_factory=list)
    """Calls that no attached document allows, in words."""
    _count: int = 0

    def attach(self, principal: str, document: Mapping[str, Any], name: str = "") -> None:
        """From now on callers whose ARN fits `principal` may only do what their documents allow."""
        self.attached[principal] = self.attached.get(principal, ()) + read_document(document, name)

    def detach(self) -> None:
        """Take all documents away."""
        self.attached.clear()

    def deny(self, rule: DenyRule) -> str:
        """Add a rule; its ID, for `allow`."""
        self._count += 1
        rule_id = f"deny-{self._count}"
        self.rules[rule_id] = rule
        return rule_id

    def allow(self, rule_id: str | None = None) -> None:
        """Take one rule away, or all."""
        if rule_id is None:
            self.rules.clear()
        else:
            self.rules.pop(rule_id, None)

    def check(
        self, context: Context, service: str, operation: str, params: Params, values: Values | None = None
    ) -> None:
        """Raises what the service answers to a caller without the permission: AccessDenied from Route 53 and
        STS, UnauthorizedOperation from EC2. `values` = the request's condition keys."""
        action = f"{service}:{operation}"
        documents = [
            statements
            for pattern, statements in self.attached.items()
            if fnmatch.fnmatchcase(context.principal.arn, pattern)
        ]
        statements = [statement for document in documents for statement in document]
        # GetCallerIdentity needs no permission (API_GetCallerIdentity).
        limited = bool(documents) and operation not in ("GetCallerIdentity", "AssumeRoleWithWebIdentity")
        for resource in resources_of(context, service, operation, params):
            allowed = not limited or self._judge(statements, action, resource, values or {})
            denied = any(rule.hits(context, action, resource) for rule in self.rules.values())
            if allowed and not denied and not (self.hook and self.hook(context, action, resource)):
                continue
            who = f"User: {context.principal.arn} is not authorized to perform: {action}"
            if service == "ec2":
                raise AwsFault(
                    "UnauthorizedOperation",
                    f"You are not authorized to perform this operation. {who} on resource: {resource} "
                    "because no identity-based policy allows the action. "
                    "Encoded authorization failure message: c2FuZGJveA",
                    403,
                )
            raise AwsFault(
                "AccessDenied",
                f"{who} on resource: {resource} because no identity-based policy allows the {action} action",
                403,
            )

    def _judge(self, statements: list[Statement], action: str, resource: str, values: Values) -> bool:
        if allows(statements, action, resource, values):
            for statement in statements:
                if statement.applies(action, resource, values):
                    self.used.update(statement.uses(action, resource, values))
            return True
        self.refused.append(f"{action} on {resource} {dict(values)}")
        return False


def resources_of(context: Context, service: str, operation: str, params: Mapping[str, Any]) -> list[str]:
    """The ARNs that IAM would judge (service authorization reference); `*` for list actions."""
    partition = context.partition
    if service == "route53":
        if operation == "GetChange":
            return [f"arn:{partition}:route53:::change/{resource_id(str(params.get('Id') or ''))}"]
        zone = params.get("HostedZoneId") if operation.endswith("ResourceRecordSets") else params.get("Id")
        return [f"arn:{partition}:route53:::hostedzone/{resource_id(str(zone))}"] if zone else ["*"]
    if service == "sts":
        return [str(params.get("RoleArn") or "*")]
    if not operation.startswith("Describe") and params.get("AllocationId"):
        owner = f"{context.region}:{context.account}"
        return [f"arn:{partition}:ec2:{owner}:elastic-ip/{params['AllocationId']}"]
    return ["*"]
