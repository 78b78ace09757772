"""What happened, on one time line."""

from __future__ import annotations

import heapq
import itertools
import json
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from sandbox.aws.model.world import diff

Entry = tuple[int, float, str, tuple[Any, ...]]
LOOKS = 1000
"""Of what was read and answered only the last is kept: it goes on for as long as virtual days pass."""


class Trace:
    """Entries are kept as they come and put into words only when somebody wants to read them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._serial = itertools.count()
        self._deeds: list[Entry] = []
        self._looks: deque[Entry] = deque(maxlen=LOOKS)

    def note(self, kind: str, *what: Any) -> None:
        kept = self._looks if kind in ("read", "answer") else self._deeds
        kept.append((next(self._serial), self._clock(), kind, what))

    def forget(self, kept: int) -> None:
        """Keep only the last entries: a story of many days would else be mostly its own time line."""
        del self._deeds[:-kept]

    def lines(self) -> list[str]:
        """One line for each entry: virtual seconds, kind, text."""
        entries = heapq.merge(self._deeds, self._looks, key=lambda entry: entry[0])
        return [f"{at:10.3f}  {kind:<8}{_text(kind, what)}" for _, at, kind, what in entries]

    def tail(self, count: int = 150) -> str:
        return "\n".join(self.lines()[-count:])


def once_more(scenario: str, plan: object, impatient: bool) -> str:
    """The command that plays a run again and shows its whole time line, the operator's log included."""
    return f"make sim-story STORY={scenario} FAULT='{plan}'{' HASTY=1' if impatient else ''}"


def _text(kind: str, what: tuple[Any, ...]) -> str:
    if kind == "answer":
        server, name, rtype, reply = what
        if reply is None:
            return f"{name} {rtype} at {server}: silence"
        said = ", ".join(sorted(reply.values())) or (reply.rcode if reply.rcode != "NOERROR" else "nothing")
        return f"{name} {rtype} at {server}: {said}{'' if reply.aa or reply.ra else ', without authority'}"
    if kind != "status":
        return " ".join(map(str, what))
    namespace, name, old, new = what
    before = {c["type"]: c for c in (old.get("status") or {}).get("conditions", [])}
    status = new["status"]
    changes = []
    for c in status.get("conditions", []):
        b = before.pop(c["type"], None)
        if b is None or (b["status"], b["reason"]) != (c["status"], c["reason"]):
            changes.append(f"{c['type']}={c['status']}/{c['reason']}")
    changes += [f"-{kind}" for kind in before]
    ready: dict[str, Any] = next((c for c in status.get("conditions", []) if c["type"] == "Ready"), {})
    addresses = [
        f"{a.get('publicIP')}:{a.get('ptr')}:{a.get('ptrOrigin')}" for a in status.get("addresses", [])
    ]
    rest = [
        {k: v for k, v in each.items() if k != "conditions"} for each in (old.get("status") or {}, status)
    ]
    if not changes:
        # The messages of conditions are told by Ready's; what else differs is told field by field.
        changes = [line[:120] for line in diff(*rest)]
    return (
        f"{namespace}/{name} g{new['metadata']['generation']} seen {status.get('observedGeneration')} "
        f"{' '.join(changes)} A={json.dumps((status.get('forward') or {}).get('values'))} "
        f"addresses={addresses} | {ready.get('message', '')[:160]}"
    )


class LogToTrace(logging.Handler):
    """The operator's own log lines in the same time line."""

    def __init__(self, trace: Trace) -> None:
        super().__init__(logging.INFO)
        self._trace = trace

    def emit(self, record: logging.LogRecord) -> None:
        self._trace.note("log", record.getMessage()[:400])
