"""What happened, on one time line."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from sandbox.aws.world import diff


class Trace:
    """Entries are kept as they come and put into words only when somebody wants to read them."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: list[tuple[float, str, tuple[Any, ...]]] = []

    def note(self, kind: str, *what: Any) -> None:
        self._entries.append((self._clock(), kind, what))

    def lines(self) -> list[str]:
        """One line for each entry: virtual seconds, kind, text."""
        return [f"{at:10.3f}  {kind:<8}{_text(kind, what)}" for at, kind, what in self._entries]

    def tail(self, count: int = 150) -> str:
        return "\n".join(self.lines()[-count:])


def _text(kind: str, what: tuple[Any, ...]) -> str:
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
    if not changes:
        changes = [line[:200] for line in diff(old.get("status") or {}, status)]
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
