"""Putting on the operator's finalizer, and taking it off, beside those of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from mailegress.api.names import FINALIZER
from mailegress.api.slim import slim
from mailegress.api.types import parse_object
from mailegress.reconcile.executor import Executor
from mailegress.reconcile.memory import Memory
from mailegress.reconcile.result import Action, AddFinalizer, Plan, RemoveFinalizer
from tests.support.planner import body

OTHERS = ["example.com/first", "example.com/second"]


class Stored:
    """An API server with one object, and a store with its slim copy."""

    def __init__(self, finalizers: Sequence[str]) -> None:
        self.full = body(selectors=[{"publicIP": "203.0.113.1"}])
        self.full["metadata"]["finalizers"] = list(finalizers)
        self.written: list[str] = []
        self.reads = 0

    async def read(self, namespace: str, name: str) -> Mapping[str, Any]:
        self.reads += 1
        return self.full

    async def set_finalizers(
        self, namespace: str, name: str, version: str, finalizers: Sequence[str]
    ) -> Mapping[str, Any]:
        self.written = list(finalizers)
        return self.full

    def seen(self, body: Mapping[str, Any]) -> None:
        return None


async def act(stored: Stored, action: Action) -> None:
    item = parse_object(slim(stored.full))
    anything: Any = stored
    memory = Memory.first(item, 0.0)
    await Executor(anything, anything, anything, anything, lambda key: None, anything).act(
        "mail/a", item, Plan(findings={}, action=action), memory
    )


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        (AddFinalizer(), OTHERS, [*OTHERS, FINALIZER]),
        (RemoveFinalizer("done"), [OTHERS[0], FINALIZER, OTHERS[1]], OTHERS),
    ],
)
async def test_the_finalizers_of_others_are_read_before_the_list_is_replaced(
    action: Action, before: list[str], after: list[str]
) -> None:
    stored = Stored(before)
    await act(stored, action)
    assert stored.written == after


async def test_without_finalizers_of_others_nothing_is_read() -> None:
    stored = Stored([])
    await act(stored, AddFinalizer())
    assert (stored.written, stored.reads) == ([FINALIZER], 0)
