"""IAM policy documents: as much of them as the operator's own policies use, and nothing guessed.

Source: IAM user guide, "Policy evaluation logic" and "IAM JSON policy elements: Condition operators". What is
not understood is refused when the document is read, so that no policy passes for want of a check.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Values = Mapping[str, Sequence[str]]
"""Condition keys (any case) of one request → their values."""


def _like(value: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(value, pattern.replace("[", "[[]"))


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringLike": _like,
    "ArnLike": _like,
}
_SETS = ("ForAllValues", "ForAnyValue")


@dataclass(frozen=True, slots=True)
class Condition:
    """One key of one operator. `quantifier` is "", ForAllValues or ForAnyValue."""

    quantifier: str
    operator: str
    key: str
    wanted: tuple[str, ...]

    def holds(self, values: Values) -> bool:
        present = {key.lower(): found for key, found in values.items()}.get(self.key.lower())
        match = _OPERATORS[self.operator]
        hits = [any(match(value, wanted) for wanted in self.wanted) for value in present or ()]
        if self.quantifier == "ForAllValues":
            return all(hits)  # also for a key that is not there
        return any(hits)


@dataclass(frozen=True, slots=True)
class Statement:
    allow: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[Condition, ...]

    def applies(self, action: str, resource: str, values: Values) -> bool:
        return (
            any(_like(action.lower(), pattern.lower()) for pattern in self.actions)
            and any(_like(resource, pattern) for pattern in self.resources)
            and all(condition.holds(values) for condition in self.conditions)
        )


def read_document(document: Mapping[str, Any]) -> tuple[Statement, ...]:
    """The statements of an identity policy. Raises ValueError for an element that is not understood."""
    unknown = set(document) - {"Version", "Id", "Statement"}
    if unknown or document.get("Version") != "2012-10-17":
        raise ValueError(f"policy version or elements not understood: {sorted(unknown)}")
    return tuple(_statement(each) for each in _list(document["Statement"]))


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _statement(statement: Mapping[str, Any]) -> Statement:
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
        statement["Effect"] == "Allow",
        tuple(map(str, _list(statement["Action"]))),
        tuple(map(str, _list(statement["Resource"]))),
        tuple(conditions),
    )


def allows(statements: Sequence[Statement], action: str, resource: str, values: Values) -> bool:
    """An explicit Deny wins; without an Allow the answer is no."""
    applying = [each for each in statements if each.applies(action, resource, values)]
    return any(each.allow for each in applying) and all(each.allow for each in applying)
