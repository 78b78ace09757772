"""Events as ``kubectl describe`` and ``kubectl events`` show them (events.k8s.io/v1)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, datetime
from typing import Any

from mailegress.api.names import API_VERSION, GROUP, KIND
from mailegress.api.text import clean_text

CONTROLLER = f"{GROUP}/operator"

# Bounds of events.k8s.io/v1 (its API reference): note 1 kB, the others 128 characters.
_NOTE_BYTES = 1024
_WORD = 128
_REMEMBERED = 5_000


class Recent:
    """Remembers which Events were sent recently: a restart, or a condition that changes often, must not flood
    ``kubectl describe``.
    """

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._said: OrderedDict[Hashable, float] = OrderedDict()

    def seen(self, identity: Hashable) -> bool:
        """Was an Event with this ``identity`` sent within ``seconds``? If not, it counts as sent now."""
        now = self._clock()
        while self._said and (
            len(self._said) >= _REMEMBERED or next(iter(self._said.values())) + self._seconds <= now
        ):
            self._said.popitem(last=False)
        if identity in self._said:
            return True
        self._said[identity] = now
        return False


def event_body(
    involved: Mapping[str, Any],
    *,
    warning: bool,
    reason: str,
    message: str,
    action: str,
    instance: str,
    now: datetime,
) -> dict[str, Any]:
    """The Event to create. Its texts are cut to the limits of the API, which refuses an Event that exceeds them."""
    meta = involved["metadata"]
    name = str(meta["name"])
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        # The server appends five characters; a name has at most 253 (RFC 1123 subdomain). Of trailing
        # punctuation it accepts a dash only.
        "metadata": {"generateName": f"{name[:240].rstrip('.-')}-", "namespace": meta["namespace"]},
        "eventTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:_WORD],
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": meta["namespace"],
            "name": name,
            "uid": meta["uid"],
            "resourceVersion": meta.get("resourceVersion", ""),
        },
        "type": "Warning" if warning else "Normal",
        "reason": clean_text(reason, _WORD),
        "action": clean_text(action, _WORD),
        "note": _fit(clean_text(message, _NOTE_BYTES), _NOTE_BYTES),
    }


def _fit(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` bytes of UTF-8."""
    raw = text.encode()
    return text if len(raw) <= limit else raw[: limit - 3].decode(errors="ignore") + "…"
