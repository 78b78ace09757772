"""Faults injected by rule: errors, throttles, cut connections, delays, hostile text."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from .base import AwsFault, ConnectionCut, Context, GarbageReply, Params

Effect = Literal[
    "error",  # the given code, message and status
    "throttle",  # what the service answers when a quota is used up
    "server_error",  # HTTP 5xx
    "cut_before",  # the connection ends; nothing happened
    "cut_after",  # the connection ends; the call took effect
    "delay",  # the reply comes late
    "hostile",  # an error whose text has control characters and is very long
    "garbage",  # a proxy's HTML page instead of a reply
]

HOSTILE_TEXT = "\x1b[31mALERT\x1b[0m\r\n\t\x00\x85\u2028\u202egnp.exe " + "A" * 70_000
"""Escape sequences, NUL, line separators, a right-to-left override, and far more than any status holds."""

Predicate = Callable[[Context, str, str, Params], bool]


@dataclass(slots=True)
class FaultRule:
    """Matched by patterns of service and operation, account, region, a text in the parameters as JSON, and
    `predicate`. `count` = how many times it strikes (None = until cleared); `skip` = let so many pass first;
    `share` = strike only this share of the calls, evenly spread (0.3 = three in ten).
    `delay` in seconds: before the reply, or before the cut."""

    effect: Effect
    service: str = "*"
    operation: str = "*"
    account: str = "*"
    region: str = "*"
    contains: str = ""
    count: int | None = None
    skip: int = 0
    share: float = 1.0
    code: str = "InternalError"
    message: str = "An internal error has occurred"
    status: int = 400
    delay: float = 0.0
    bare: bool = False
    predicate: Predicate | None = None
    struck: int = 0
    debt: float = 0.0

    def falls_due(self) -> bool:
        """Whether this call is one of the share."""
        self.debt += self.share
        if self.debt < 1.0 - 1e-9:
            return False
        self.debt -= 1.0
        return True

    def matches(self, context: Context, service: str, operation: str, params: Params) -> bool:
        return (
            fnmatch.fnmatchcase(service, self.service)
            and fnmatch.fnmatchcase(operation, self.operation)
            and self.account in ("*", context.account)
            and fnmatch.fnmatchcase(context.region, self.region)
            and (not self.contains or self.contains in json.dumps(params, default=str))
            and (self.predicate is None or self.predicate(context, service, operation, params))
        )


@dataclass(slots=True)
class Strike:
    """What the matching rules do to one call."""

    delay: float = 0.0
    cut_after: bool = False


@dataclass(slots=True)
class Faults:
    rules: dict[str, FaultRule] = field(default_factory=dict)
    _count: int = 0

    def add(self, rule: FaultRule) -> str:
        self._count += 1
        rule_id = f"fault-{self._count}"
        self.rules[rule_id] = rule
        return rule_id

    def clear(self, rule_id: str | None = None) -> None:
        if rule_id is None:
            self.rules.clear()
        else:
            self.rules.pop(rule_id, None)

    def strike(self, context: Context, service: str, operation: str, params: Params) -> Strike:
        """Raise the fault of the first rule that has one, or say what happens after the call."""
        out = Strike()
        for rule in list(self.rules.values()):
            if not rule.matches(context, service, operation, params):
                continue
            if rule.skip > 0:
                rule.skip -= 1
                continue
            if rule.count is not None and rule.struck >= rule.count:
                continue
            if not rule.falls_due():
                continue
            rule.struck += 1
            out.delay += rule.delay
            if rule.effect == "cut_after":
                out.cut_after = True
            elif rule.effect != "delay":
                _raise(rule, service, out.delay)
        return out


def _raise(rule: FaultRule, service: str, delay: float) -> None:
    if rule.effect == "cut_before":
        raise ConnectionCut(applied=False, after=delay)
    if rule.effect == "garbage":
        raise GarbageReply
    fault = _fault(rule, service)
    fault.delay = delay
    raise fault


def _fault(rule: FaultRule, service: str) -> AwsFault:
    if rule.effect == "throttle":
        if service == "ec2":
            return AwsFault("RequestLimitExceeded", "Request limit exceeded.", 503)
        return AwsFault("Throttling", "Rate exceeded")
    if rule.effect == "server_error":
        code = "InternalError" if service == "ec2" else "ServiceUnavailable"
        return AwsFault(code, "Service Unavailable", 503 if rule.status < 500 else rule.status)
    if rule.effect == "hostile":
        return AwsFault(rule.code, HOSTILE_TEXT, rule.status)
    return AwsFault(rule.code, rule.message, rule.status, bare=rule.bare)
