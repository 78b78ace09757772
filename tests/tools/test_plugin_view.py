"""What `kubectl mailegress status` says of an object, from the object alone."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from mailegress.tools import terminal
from mailegress.tools.plugin import view
from mailegress.tools.plugin.completion import complete

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
HOST = "mta.example.com"


def condition(kind: str, status: str, reason: str, message: str, since: str = "2026-01-01T11:00:00Z") -> Any:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": since,
        "observedGeneration": 2,
    }


def body(**changes: Any) -> dict[str, Any]:
    """A Ready object with one address."""
    status = {
        "observedGeneration": 2,
        "hostname": HOST,
        "publicIPs": ["203.0.113.10"],
        "zone": {"id": "Z1", "name": "example.com"},
        "forward": {"values": ["203.0.113.10"], "ttlSeconds": 300},
        "addresses": [
            {"selector": "eipalloc-1", "publicIP": "203.0.113.10", "ptr": HOST, "iprev": "pass"},
        ],
        "conditions": [condition("Ready", "True", "Ready", "All is well.")],
    } | changes.pop("status", {})
    spec = {"hostname": HOST} | changes.pop("spec", {})
    meta = {"name": "outbound", "namespace": "mail", "uid": "u", "generation": 2} | changes
    return {"metadata": meta, "spec": spec, "status": status}


def text_of(seen: view.View) -> str:
    out = io.StringIO()
    terminal.show(view.blocks(seen), out)
    return out.getvalue()


def not_ready(reason: str = "ZoneNotDelegated", **more: Any) -> dict[str, Any]:
    return body(
        status={
            "conditions": [
                condition("Ready", "False", reason, "The parent delegates elsewhere."),
                *more.values(),
            ]
        }
    )


def test_a_ready_object() -> None:
    shown = text_of(view.view(body(), (), NOW))
    first, second = shown.splitlines()[:2]
    assert first == f"mail/outbound is Ready for 60m: A record and PTR of {HOST} agree for 1 address."
    assert second == f"To do: Nothing. To see what receivers see: mailegress check {HOST}"
    assert "A record of mta.example.com: 203.0.113.10 in zone example.com (Z1)" in shown


def test_what_is_wrong_and_what_to_do() -> None:
    seen = view.view(not_ready(), (), NOW)
    assert view.summary(seen) == (
        "mail/outbound is not Ready for 60m (ZoneNotDelegated): The parent delegates elsewhere"
    )
    assert "name servers" in view.to_do(seen)
    stalled = condition("Stalled", "True", "ZoneNotDelegated", "x")
    assert "kubectl mailegress reconcile outbound -n mail" in view.to_do(
        view.view(not_ready(stalled=stalled), (), NOW)
    )


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (body(status={"conditions": []}), "was not processed by an operator yet"),
        (
            body(
                status={"conditions": [condition("Ready", "Unknown", "Pending", "x", "1970-01-01T00:00:00Z")]}
            ),
            "was not processed by an operator yet",
        ),
        (body(generation=3), "was changed, and the operator has not processed the change yet"),
        (body(deletionTimestamp="2026-01-01T11:00:00Z"), "is being deleted"),
        (body(spec={"suspend": True}), ", suspended"),
        (
            body(status={"conditions": [condition("Ready", "Unknown", "Throttled", "x")]}),
            "is not known to be Ready",
        ),
    ],
)
def test_states(changed: dict[str, Any], says: str) -> None:
    assert says in view.summary(view.view(changed, (), NOW))


def test_an_address_says_what_is_wanted_what_aws_has_and_what_dns_answers() -> None:
    entries = [
        {"selector": "eipalloc-1", "publicIP": "203.0.113.10", "ptr": "old.example.com", "iprev": "fail"},
        {"selector": "eipalloc-2", "publicIP": "203.0.113.11", "ptrUpdate": HOST},
        {"selector": "eipalloc-3", "reason": "AddressNotFound"},
    ]
    lines = [
        line.split("   ")
        for line in text_of(view.view(body(status={"addresses": entries}), (), NOW)).splitlines()
    ]
    cells = [[c.strip() for c in line if c.strip()] for line in lines if len(line) > 1]
    assert ["203.0.113.10", "eipalloc-1", HOST, "old.example.com", "fail"] in cells
    assert ["203.0.113.11", "eipalloc-2", HOST, f"no PTR, being set to {HOST}", "not asked"] in cells
    assert ["none", "eipalloc-3", HOST, "not asked", "AddressNotFound"] in cells


HOSTILE = "\x1b]0;owned\x07\x1b[2Jred\r\n\u202egnp.exe\u200b"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def hostile(value: Any) -> Any:
    """Every text of an object, with control characters in it."""
    if isinstance(value, Mapping):
        return {
            k: v if k in ("type", "status", "severity", "lastTransitionTime") else hostile(v)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [hostile(v) for v in value]
    return HOSTILE + value if isinstance(value, str) else value


@pytest.mark.parametrize("seen_by", ["pipe", "terminal"])
def test_no_control_character_of_an_object_reaches_the_terminal(seen_by: str) -> None:
    event = {
        "type": "Warning",
        "reason": "PTRConflict",
        "message": "m",
        "lastTimestamp": "2026-01-01T11:00:00Z",
    }
    advisory = {"code": "GenericName", "severity": "Info", "message": "m"}
    spoiled = hostile(body(status={"advisories": [advisory]}))
    seen = view.view(spoiled, [hostile(event)], NOW)
    out = Terminal() if seen_by == "terminal" else io.StringIO()
    terminal.show([*view.overview([seen]), *view.blocks(seen)], out)
    shown = out.getvalue()
    assert "red" in shown
    for text in ("\x1b]", "\x1b[2J", "\x07", "\r", "\u202e", "\u200b"):
        assert text not in shown, repr(text)
    assert json.dumps(view.document([seen])).isprintable()


def test_an_object_of_any_shape_is_shown() -> None:
    """Whatever was stored by whomever."""
    for spoiled in (
        {"metadata": {"name": "a", "namespace": "b"}},
        {"metadata": {"name": "a", "namespace": "b"}, "spec": [], "status": "x"},
        {
            "metadata": {"name": "a", "namespace": "b"},
            "spec": {"hostname": 7},
            "status": {"advisories": [7, {}]},
        },
    ):
        seen = view.view(spoiled, [{"series": None}, {"type": 7}], NOW)
        assert "b/a" in text_of(seen)
        json.dumps(view.document([seen]))


@pytest.mark.parametrize(
    ("since", "age"),
    [("2026-01-01T11:59:00Z", "60s"), ("2026-01-01T10:30:00Z", "90m"), ("2025-12-31T12:00:00Z", "24h"),
     ("2025-12-25T12:00:00Z", "7d"), ("2026-01-01T13:00:00Z", "0s")],
)  # fmt: skip
def test_ages_are_those_of_kubectl(since: str, age: str) -> None:
    ready = condition("Ready", "True", "Ready", "x", since)
    assert f"is Ready for {age}:" in view.summary(view.view(body(status={"conditions": [ready]}), (), NOW))


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["s"], ["status", "suspend"]),
        ([], ["status", "reconcile", "suspend", "resume", "probe", "import", "orphans", "version"]),
        (["status", "--w"], ["--watch"]),
        (["resume", "--w"], []),
        (["status", "-o", "j"], ["json"]),
        (["status", "-n", "m"], []),
        (["version", ""], []),
    ],
)
def test_completions_that_need_no_cluster(words: list[str], wanted: list[str]) -> None:
    assert complete(words) == wanted
