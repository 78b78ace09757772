"""One MailEgress in words: pure, from the object and its Events to blocks and to JSON.

An object is written by anybody who may write one; nothing of it reaches the terminal but as cleaned text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mailegress.api.conditions import FALSE, NEGATIVE, PENDING_TIME, READY, STALLED, TRUE
from mailegress.api.lenient import mapping
from mailegress.api.reasons import ALL_REASONS
from mailegress.api.status import AddressStatus, Advisory, Condition, Status
from mailegress.api.text import clean_text
from mailegress.tools.plugin.cluster import Json, event_time
from mailegress.tools.terminal import Block, Cell, Row, Table, Text

FORMAT = 1
"""Of the JSON document; it changes when a field is renamed or removed."""

_NAME = 253
_MESSAGE = 1024


@dataclass(frozen=True, slots=True)
class View:
    """One object at one moment."""

    namespace: str
    name: str
    hostname: str
    suspended: bool
    deleting: bool
    current: bool
    """The status is about the spec as it is."""
    status: Status
    events: tuple[Json, ...]
    now: datetime


def view(body: Json, events: Sequence[Json], now: datetime) -> View:
    """Whatever has an unexpected type counts as missing."""
    meta, spec = mapping(body.get("metadata")), mapping(body.get("spec"))
    status = Status.from_dict(body.get("status"))
    return View(
        namespace=_text(meta.get("namespace"), _NAME),
        name=_text(meta.get("name"), _NAME),
        hostname=_text(spec.get("hostname"), _NAME),
        suspended=spec.get("suspend") is True,
        deleting="deletionTimestamp" in meta,
        current=status.observed_generation == meta.get("generation"),
        status=status,
        events=tuple(events),
        now=now,
    )


# ---------------------------------------------------------------- sentences


def summary(seen: View) -> str:
    """The state in one sentence."""
    ready = seen.status.condition(READY)
    who = f"{seen.namespace}/{seen.name}"
    if ready is None or ready.last_transition_time == PENDING_TIME:
        return f"{who} was not processed by an operator yet"
    age = f"for {_age(ready.last_transition_time, seen.now)}"
    count = len(seen.status.public_ips)
    noun = "address" if count == 1 else "addresses"
    if seen.deleting:
        return f"{who} is being deleted: {_sentence(ready.message)}"
    if not seen.current:
        return f"{who} was changed, and the operator has not processed the change yet"
    if ready.status == TRUE:
        rest = ", suspended" if seen.suspended else ""
        return f"{who} is Ready {age}: A record and PTR of {seen.hostname} agree for {count} {noun}{rest}"
    word = "is not Ready" if ready.status == FALSE else "is not known to be Ready"
    return f"{who} {word} {age} ({ready.reason}): {_sentence(ready.message)}"


def to_do(seen: View) -> str:
    """What a person does next."""
    ready = seen.status.condition(READY)
    if ready is None or ready.last_transition_time == PENDING_TIME:
        return "See whether the operator runs: kubectl get pods -A -l app.kubernetes.io/name=mailegress"
    if seen.suspended:
        return f"Resume it when writes are wanted again: kubectl mailegress resume {seen.name} -n {seen.namespace}"
    if ready.status == TRUE:
        return f"Nothing. To see what receivers see: mailegress check {seen.hostname}"
    known = ALL_REASONS.get(ready.reason)
    remedy = known.remedy if known is not None else "Read the message of the condition Ready."
    if seen.status.condition(STALLED) is not None:
        return f"{remedy} Then: kubectl mailegress reconcile {seen.name} -n {seen.namespace}"
    return remedy


def _sentence(message: str) -> str:
    return clean_text(message, _MESSAGE).rstrip(".")


def _age(since: str, now: datetime) -> str:
    """As kubectl prints ages: the two largest units at most."""
    try:
        seconds = int((now - datetime.fromisoformat(since).astimezone(UTC)).total_seconds())
    except ValueError:
        return "?"
    seconds = max(0, seconds)
    if seconds < 120:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 120:
        return f"{minutes}m"
    hours = minutes // 60
    return f"{hours}h" if hours < 48 else f"{hours // 24}d"


# ---------------------------------------------------------------- for a person


def overview(views: Sequence[View]) -> Iterator[Block]:
    """A line for each object."""
    rows: list[Row] = []
    for seen in views:
        ready = seen.status.condition(READY)
        status = ready.status if ready is not None else "Unknown"
        rows.append(
            (
                seen.namespace,
                seen.name,
                seen.hostname,
                str(len(seen.status.public_ips)),
                _toned(status),
                ready.reason if ready is not None else "",
                _age(ready.last_transition_time, seen.now)
                if ready is not None and ready.last_transition_time != PENDING_TIME
                else "",
            )
        )
    good = sum(_is_ready(seen) for seen in views)
    noun = "MailEgress is" if len(views) == 1 else "MailEgresses are"
    yield Text(f"{good} of {len(views)} {noun} Ready.", "good" if good == len(views) else "bad")
    yield Text("")
    yield Table(("namespace", "name", "hostname", "addresses", "ready", "reason", "since"), rows)


def blocks(seen: View) -> Iterator[Block]:
    """Everything about one object."""
    yield Text(f"{summary(seen)}.", "good" if _is_ready(seen) else "bad")
    yield Text(f"To do: {to_do(seen)}")
    status = seen.status
    values = status.forward.values if status.forward is not None else ()
    zone = f" in zone {status.zone.name} ({status.zone.id})" if status.zone is not None else ""
    yield Text("")
    yield Text(f"A record of {seen.hostname}: {', '.join(values) or 'none'}{zone}")
    if status.addresses:
        yield Text("")
        yield Table(
            ("address", "selected by", "wanted ptr", "aws", "dns (iprev)", "reason"),
            [_address(entry, seen.hostname) for entry in status.addresses],
        )
    if status.conditions:
        yield Text("")
        yield Table(
            ("condition", "status", "reason", "since", "message"),
            [
                (
                    c.type,
                    _toned(c.status, negative=c.type in NEGATIVE),
                    c.reason,
                    "" if c.last_transition_time == PENDING_TIME else _age(c.last_transition_time, seen.now),
                    c.message,
                )
                for c in status.conditions
            ],
        )
    for advice in status.advisories:
        yield Text("")
        yield Text(f"{advice.code}: {advice.message}", "unsure")
    if seen.events:
        yield Text("")
        yield Table(("event", "reason", "age", "message"), [_event(e, seen.now) for e in seen.events])


def _is_ready(seen: View) -> bool:
    ready = seen.status.condition(READY)
    return ready is not None and ready.status == TRUE and seen.current


def _toned(status: str, *, negative: bool = False) -> Cell:
    tone = {TRUE: "bad" if negative else "good", FALSE: "bad"}.get(status, "unsure")
    return Cell(status, tone)


def _address(entry: AddressStatus, hostname: str) -> Row:
    aws = Cell(entry.ptr or "no PTR", "good" if entry.ptr == hostname else "bad")
    if entry.ptr_update:
        aws = Cell(f"{entry.ptr or 'no PTR'}, being set to {entry.ptr_update}", "unsure")
    if entry.public_ip is None:
        aws = Cell("")
    iprev = entry.iprev or "not asked"
    tone = {"pass": "good", "not asked": "unsure", "temperror": "unsure"}.get(iprev, "bad")
    return (
        entry.public_ip or "none",
        entry.selector,
        hostname,
        aws,
        Cell(iprev, tone),
        entry.reason or "",
    )


def _event(event: Json, now: datetime) -> Row:
    kind = _text(event.get("type"), 32)
    return (
        Cell(kind, "bad" if kind == "Warning" else ""),
        _text(event.get("reason"), 128),
        _age(event_time(event), now),
        _text(event.get("message"), _MESSAGE),
    )


# ---------------------------------------------------------------- for a program


def document(views: Sequence[View]) -> dict[str, Any]:
    """docs/cli.md describes it."""
    return {"format": FORMAT, "items": [_item(seen) for seen in views]}


def _item(seen: View) -> dict[str, Any]:
    status = seen.status
    ready = status.condition(READY)
    return {
        "namespace": seen.namespace,
        "name": seen.name,
        "hostname": seen.hostname,
        "ready": ready.status if ready is not None else "Unknown",
        "reason": ready.reason if ready is not None else "",
        "summary": clean_text(summary(seen), 2000),
        "toDo": to_do(seen),
        "suspended": seen.suspended,
        "deleting": seen.deleting,
        "current": seen.current,
        "record": {
            "values": list(status.forward.values) if status.forward is not None else [],
            "zone": status.zone.name if status.zone is not None else "",
            "zoneID": status.zone.id if status.zone is not None else "",
        },
        "addresses": [_address_item(entry, seen.hostname) for entry in status.addresses],
        "conditions": [_condition_item(condition) for condition in status.conditions],
        "advisories": [_advisory_item(advisory) for advisory in status.advisories],
        "events": [_event_item(event) for event in seen.events],
    }


def _address_item(entry: AddressStatus, hostname: str) -> dict[str, Any]:
    return {
        "publicIP": entry.public_ip or "",
        "selector": entry.selector,
        "wanted": hostname,
        "aws": entry.ptr or "",
        "awsUpdate": entry.ptr_update or "",
        "iprev": entry.iprev or "",
        "reason": entry.reason or "",
    }


def _condition_item(condition: Condition) -> dict[str, Any]:
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "since": condition.last_transition_time,
    }


def _advisory_item(advisory: Advisory) -> dict[str, Any]:
    return {
        "code": advisory.code,
        "severity": advisory.severity.value,
        "message": advisory.message,
        "addresses": list(advisory.addresses),
    }


def _event_item(event: Json) -> dict[str, Any]:
    return {
        "type": _text(event.get("type"), 32),
        "reason": _text(event.get("reason"), 128),
        "message": _text(event.get("message"), _MESSAGE),
        "time": _text(event_time(event), 40),
    }


def _text(value: object, limit: int) -> str:
    return clean_text(value, limit) if isinstance(value, str) else ""
