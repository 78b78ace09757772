"""Knobs: what is wrong with a server, for all names or for one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from sandbox.dns.values import absolute, is_within

RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")


@dataclass(frozen=True, slots=True)
class Knob:
    """One fault. It applies where every given condition matches; several that match add up.

    Conditions: ``server`` (address or name, ``*`` = all), ``name`` (exact; ``*.x.`` = everything below x),
    ``qtype``, ``transport`` (``udp``/``tcp``), ``client`` (``client`` = whoever is outside the sandbox's DNS,
    else the first label of the asking recursor's name), ``times`` (how many more queries).
    Effects: ``rcode`` with empty sections; ``silent``: no reply; ``truncate``: TC=1 and nothing else, over
    UDP; ``lame``: AA off; ``intercept``: a recursor in the middle answers outside clients (RA=1, AA=0);
    ``records``: type → [ttl, [values]] in place of the truth; ``delay`` in seconds.
    """

    server: str = "*"
    name: str | None = None
    qtype: str | None = None
    transport: str | None = None
    client: str | None = None
    times: int | None = None
    rcode: str | None = None
    silent: bool = False
    truncate: bool = False
    lame: bool = False
    intercept: bool = False
    records: Mapping[str, tuple[int, tuple[str, ...]]] | None = None
    delay: float = 0.0

    @classmethod
    def from_json(cls, args: Mapping[str, Any]) -> Knob:
        """From JSON values. Raises ValueError for an unknown field or response code."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(args) - known):
            raise ValueError(f"unknown knob fields {unknown}; known are {sorted(known)}")
        values = dict(args)
        if values.get("rcode") is not None and values["rcode"] not in RCODES:
            raise ValueError(f"unknown rcode {values['rcode']!r}; known are {list(RCODES)}")
        if values.get("transport") not in (None, "udp", "tcp"):
            raise ValueError(f"unknown transport {values['transport']!r}; known are udp and tcp")
        if values.get("records") is not None:
            values["records"] = {
                rtype.upper(): (int(ttl), tuple(texts)) for rtype, (ttl, texts) in values["records"].items()
            }
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """The fields that differ from their default."""
        return {f.name: value for f in fields(self) if (value := asdict(self)[f.name]) != f.default}

    def matches(self, servers: frozenset[str], qname: str, qtype: str, transport: str, client: str) -> bool:
        """Whether all conditions hold. ``servers``: the name and the address of the server that was asked."""
        return (
            (self.server == "*" or self.server in servers or absolute(self.server) in servers)
            and (self.name is None or _covers(absolute(self.name), qname))
            and self.qtype in (None, qtype)
            and self.transport in (None, transport)
            and self.client in (None, client)
        )


@dataclass(slots=True)
class KnobBoard:
    """The knobs that are on, by ID."""

    _knobs: dict[int, Knob] = field(default_factory=dict)
    _left: dict[int, int] = field(default_factory=dict)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def add(self, knob: Knob) -> int:
        """Turn a knob on; returns its ID."""
        number = next(self._ids)
        self._knobs[number] = knob
        if knob.times is not None:
            self._left[number] = knob.times
        return number

    def remove(self, number: int) -> bool:
        """Turn one off. True if it was on."""
        self._left.pop(number, None)
        return self._knobs.pop(number, None) is not None

    def clear(self) -> None:
        """Turn all off."""
        self._knobs.clear()
        self._left.clear()

    def all(self) -> dict[int, Knob]:
        """The knobs that are on."""
        return dict(self._knobs)

    def take(
        self, servers: frozenset[str], qname: str, qtype: str, transport: str, client: str
    ) -> list[Knob]:
        """The knobs for one query; each use counts against ``times``."""
        if not self._knobs:
            return []
        found = []
        for number, knob in list(self._knobs.items()):
            if knob.matches(servers, qname, qtype, transport, client):
                found.append(knob)
                if number in self._left:
                    self._left[number] -= 1
                    if self._left[number] <= 0:
                        self.remove(number)
        return found


def _covers(pattern: str, qname: str) -> bool:
    if pattern.startswith("*."):
        return qname != pattern[2:] and is_within(qname, pattern[2:])
    return pattern == qname
