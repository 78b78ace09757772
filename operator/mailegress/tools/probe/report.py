"""What the probe's pod reports: one JSON object, small enough for a termination message."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mailegress.api.text import clean_text
from mailegress.model.mail import NoRoute
from mailegress.tools.probe.smtp import TEXT, Connection, Conversation, Reply

FORMAT = 1
BYTES = 4096
"""The kubelet keeps so much of a termination message (kubernetes.io, "Determine the Reason for Pod Failure")."""
_SHARE = 800
"""Bytes of each of the four texts in it."""
_NAME = 255
_ADDRESSES = 4


class NoReport(ValueError):
    """The text is no report; the message says why."""


@dataclass(frozen=True, slots=True)
class Echo:
    """What a service that answers with its caller's address said; ``problem`` if it gave none."""

    address: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """``no_route`` and ``problem``: why there was no connection, or why it ended early."""

    host: str
    address: str
    conversation: Conversation
    no_route: NoRoute | None = None
    echo: Echo | None = None

    def to_text(self) -> str:
        """At most :data:`BYTES` bytes of UTF-8."""
        talk = self.conversation
        stored: dict[str, Any] = {
            "format": FORMAT,
            "host": self.host[:_NAME],
            "address": self.address,
            "connection": talk.connection.value,
            "noRoute": self.no_route.value if self.no_route is not None else None,
            "problem": _short(talk.problem),
            "seen": list(talk.seen[:_ADDRESSES]),
            "banner": _stored(talk.banner),
            "ehlo": _stored(talk.ehlo),
            "echo": None
            if self.echo is None
            else {"address": self.echo.address, "problem": _short(self.echo.problem)},
        }
        return json.dumps(stored, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Report:
        """Every text in it is cleaned again: who wrote it is not known. Errors: :class:`NoReport`."""
        try:
            stored = json.loads(text)
        except (ValueError, RecursionError):
            raise NoReport("it is no JSON") from None
        if not isinstance(stored, Mapping) or stored.get("format") != FORMAT:
            raise NoReport(f"it is no JSON object of format {FORMAT}")
        try:
            connection = Connection(_string(stored.get("connection")))
            no_route = NoRoute(stored["noRoute"]) if stored.get("noRoute") is not None else None
        except ValueError as error:
            raise NoReport(str(error)) from None
        seen = stored.get("seen")
        talk = Conversation(
            connection,
            _reply(stored.get("banner")),
            _reply(stored.get("ehlo")),
            clean_text(_string(stored.get("problem")), TEXT),
            tuple(address for address in map(_address, seen) if address)[:_ADDRESSES]
            if isinstance(seen, list)
            else (),
        )
        echo = stored.get("echo")
        return cls(
            clean_text(_string(stored.get("host")), _NAME),
            _address(stored.get("address")),
            talk,
            no_route,
            Echo(_address(echo.get("address")), clean_text(_string(echo.get("problem")), TEXT))
            if isinstance(echo, Mapping)
            else None,
        )


def _short(text: str) -> str:
    """Cleaned, and cut to its share of the report as it is stored: characters may have four bytes, or be escaped."""
    kept = clean_text(text, TEXT)
    while len(json.dumps(kept, ensure_ascii=False).encode()) > _SHARE:
        kept = kept[:-1]
    return kept


def _stored(reply: Reply | None) -> dict[str, Any] | None:
    return None if reply is None else {"code": reply.code, "text": _short(reply.text)}


def _reply(value: object) -> Reply | None:
    if not isinstance(value, Mapping):
        return None
    code = value.get("code")
    if not isinstance(code, int) or isinstance(code, bool) or not 200 <= code <= 599:
        return None
    return Reply(code, clean_text(_string(value.get("text")), TEXT))


def _address(value: object) -> str:
    """An IPv4 address, else empty."""
    try:
        return str(ipaddress.IPv4Address(value)) if isinstance(value, str) else ""
    except ValueError:
        return ""


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
