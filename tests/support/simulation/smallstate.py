"""The values that the small world is made of: hashable, so that equal states are one."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from mailegress.api.types import MailEgress
from mailegress.reconcile.memory import EditLimit, Memory
from tests.support.planner import OTHER_UID, UID, FakeDns

HOSTS = ("a.example.com", "b.example.com")
UIDS = (UID, OTHER_UID)
CREATED = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
NUMBERS = (1, 2)
SERVERS = tuple(sorted(FakeDns(None).servers))  # type: ignore[arg-type]
NOW = 0.0
LONG = -4000.0
"""Before every interval that planning waits for."""
MOST_ASKED = 3
"""Readings in a row that did not satisfy; more change nothing but the pace."""

Spec = tuple[int, tuple[int, ...]]
"""Hostname and EIPs, by their numbers."""
SPECS: tuple[Spec, ...] = tuple((h, e) for h in (0, 1) for e in ((0,), (1,), (0, 1)))


class Broken(AssertionError):
    """An invariant is broken."""


@dataclass(frozen=True, slots=True)
class Name:
    """One hostname: its record set and mark as stored, what each server answers, whether a change is on its way."""

    values: frozenset[str] = frozenset()
    mark: str = ""
    """UID of the owner."""
    adopted: bool = False
    served: tuple[frozenset[str], ...] = (frozenset(),) * len(SERVERS)
    pending: bool = False
    """The operator waits for INSYNC of a change that it remembers."""


@dataclass(frozen=True, slots=True)
class Reverse:
    """One EIP's PTR."""

    name: str | None = None
    pending: bool = False
    update: str | None = None
    setter: str = ""
    """UID of the object that it was set for."""
    cached: frozenset[str] = frozenset()
    """Names that receivers may still hold."""


@dataclass(frozen=True, slots=True)
class State:
    names: tuple[Name, ...] = (Name(), Name())
    ptrs: tuple[Reverse, ...] = (Reverse(), Reverse())
    objects: tuple[MailEgress | None, ...] = (None, None)
    unborn: frozenset[int] = frozenset((0, 1))
    memories: tuple[Any, ...] = (None, None)
    blocked: tuple[Any, ...] = ()
    actions: int = 0
    """Left to the user."""
    crashes: int = 0


# ---------------------------------------------------------------- memory to values and back


GROUPS = (Memory.__module__,)


def frozen(value: Any) -> Any:
    """A hashable equal of what a memory holds."""
    if dataclasses.is_dataclass(value) and type(value).__module__ in GROUPS:
        names = [
            f.name for f in dataclasses.fields(value) if not isinstance(getattr(value, f.name), EditLimit)
        ]
        return ("group", type(value), tuple((name, frozen(getattr(value, name))) for name in names))
    if isinstance(value, dict):
        return ("dict", frozenset((k, frozen(v)) for k, v in value.items()))
    if isinstance(value, list):
        return ("list", tuple(value))
    return ("set", frozenset(value)) if isinstance(value, set) else value


def thawed(value: Any) -> Any:
    if isinstance(value, tuple) and value and value[0] == "group":
        return value[1](**{name: thawed(item) for name, item in value[2]})
    if isinstance(value, tuple) and value and value[0] == "dict":
        return {k: thawed(v) for k, v in value[1]}
    if isinstance(value, tuple) and value and value[0] == "list":
        return list(value[1])
    return set(value[1]) if isinstance(value, tuple) and value and value[0] == "set" else value


def keep(memory: Memory) -> Any:
    """A memory as a value. Its times become 'now' and 'long ago'; the user is never too quick."""
    memory.first_seen = memory.progress.since = NOW
    unsatisfied = memory.dns.unsatisfied
    memory.dns.unsatisfied = {
        q: (min(count, MOST_ASKED), min(at, -1.0)) for q, (count, at) in unsatisfied.items()
    }
    return frozen(memory)


def recall(kept: Any) -> Memory:
    memory: Memory = thawed(kept)
    return memory


def aged(kept: Any) -> Any:
    """The same after a long time."""
    if kept is None:
        return None
    memory = recall(kept)
    memory.ptrs.ptr_since = dict.fromkeys(memory.ptrs.ptr_since, LONG)
    memory.dns.unsatisfied = {q: (count, LONG) for q, (count, _) in memory.dns.unsatisfied.items()}
    memory.ptrs.repairs.clear()
    memory.edits.generation_at = memory.edits.edit_at = LONG
    if memory.edits.deleting_at != float("-inf"):
        memory.edits.deleting_at = LONG
    return keep(memory)
