"""IAM policy documents: as much of them as the operator's own policies use, and nothing guessed.

Source: IAM user guide, "Policy evaluation logic" and "IAM JSON policy elements: Condition operators". What is
not understood is refused when the document is read, so that no policy passes for want of a check.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Values = Mapping[str, Sequence[str]]
"""Condition keys (any case) of one request → their values."""


def _like(value: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))


def _arn_like(value: str, pattern: str) -> bool:
    """A wildcard does not reach over the ARN's colons ("IAM JSON policy elements: Resource"); ``*`` is all."""
    if pattern == "*":
        return True
    values, patterns = value.split(":", 5), pattern.split(":", 5)
    return len(values) == len(patterns) and all(map(_like, values, patterns))


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringLike": _like,
    "ArnLike": _arn_like,
}
_SETS = ("ForAllValues", "ForAnyValue")


@dataclass(frozen=True, slots=True)
class Condition:
    """One key of one operator. `quantifier` is "", ForAllValues or ForAnyValue."""

    quantifier: str
    operator: str
    key: str
    wanted: tuple[str, ...]

    def _present(self, values: Values) -> Sequence[str]:
        return {key.lower(): found for key, found in values.items()}.get(self.key.lower(), ())

    def holds(self, values: Values) -> bool:
        match = _OPERATORS[self.operator]
        hits = [any(match(value, wanted) for wanted in self.wanted) for value in self._present(values)]
        if self.quantifier == "ForAllValues":
            return all(hits)  # also for a key that is not there
        return any(hits)

    def hit(self, values: Values) -> Iterator[int]:
        """Places of those wanted values that a value of the request matches, by the first that does."""
        match = _OPERATORS[self.operator]
        for value in self._present(values):
            yield from [n for n, wanted in enumerate(self.wanted) if match(value, wanted)][:1]


@dataclass(frozen=True, slots=True)
class Use:
    """One value of a policy that a call needed: `place` in the list `part` (Action, Resource, a condition key)."""

    policy: str
    statement: int
    action: str
    part: str
    place: int


@dataclass(frozen=True, slots=True)
class Statement:
    """`policy` and `number` tell where it stands."""

    policy: str
    number: int
    allow: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[Condition, ...]

    def applies(self, action: str, resource: str, values: Values) -> bool:
        return (
            any(_like(action.lower(), pattern.lower()) for pattern in self.actions)
            and any(_arn_like(resource, pattern) for pattern in self.resources)
            and all(condition.holds(values) for condition in self.conditions)
        )

    def uses(self, action: str, resource: str, values: Values) -> Iterator[Use]:
        """What a call to which it applies needs of it."""
        parts = {
            "Action": [n for n, each in enumerate(self.actions) if _like(action.lower(), each.lower())],
            "Resource": [n for n, each in enumerate(self.resources) if _arn_like(resource, each)],
            **{condition.key: list(condition.hit(values)) for condition in self.conditions},
        }
        for part, places in parts.items():
            for place in places:
                yield Use(self.policy, self.number, action, part, place)


def read_document(document: Mapping[str, Any], name: str = "") -> tuple[Statement, ...]:
    """The statements of an identity policy. Raises ValueError for an element that is not understood."""
    unknown = set(document) - {"Version", "Id", "Statement"}
    if unknown or document.get("Version") != "2012-10-17":
        raise ValueError(f"policy version or elements not understood: {sorted(unknown)}")
    return tuple(_statement(each, name, n) for n, each in enumerate(_list(document["Statement"])))


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _statement(statement: Mapping[str, Any], policy: str, number: int) -> Statement:
    unknown = set(statement) - {"Sid", "Effect", "Action", "Resource", "Condition"}
    if unknown or statement.get("Effect") not in ("Allow", "Deny"):
        raise ValueError(f"statement not understood: {sorted(unknown) or statement.get('Effect')}")
    conditions: list[Condition] = []
    for name, keys in (statement.get("Condition") or {}).items():
        quantifier, _, operator = str(name).rpartition(":")
        if operator not in _OPERATORS or quantifier not in ("", *_SETS):
            raise ValueError(f"condition operator not understood: {name}")
        for key, wanted in keys.items():
            conditions.append(Condition(quantifier, operator, str(key), tuple(map(str, _list(wanted)))))
    return Statement(
        policy,
        number,
        statement["Effect"] == "Allow",
        tuple(map(str, _list(statement["Action"]))),
        tuple(map(str, _list(statement["Resource"]))),
        tuple(conditions),
    )


def allows(statements: Sequence[Statement], action: str, resource: str, values: Values) -> bool:
    """An explicit Deny wins; without an Allow the answer is no."""
    applying = [each for each in statements if each.applies(action, resource, values)]
    return any(each.allow for each in applying) and all(each.allow for each in applying)
