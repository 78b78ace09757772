"""Log lines: stable, one per decision, and safe whatever the world wrote into them."""

from __future__ import annotations

import io
import json
import logging
import unicodedata
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailegress.telemetry import logs

pytestmark = pytest.mark.usefixtures("restored_logging")

HOSTILE = 'x\n{"level": "error"}\r\x1b[31mred\x1b[0m\x00\x07\u202emoc.live\u200b\u2028end\x85\x9b2J'
KEY_ID = "AKIA" + "IOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY"
SESSION_TOKEN = "IQoJb3JpZ2luX2Vj" + "EJr//////////wEaCXVzLWVhc3QtMSJHMEUCIQDexample" * 4
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"


def lines(write: Any, log_format: str = "json", log_level: str = "info") -> list[str]:
    stream = io.StringIO()
    logs.configure(log_format, log_level, stream)
    write()
    return stream.getvalue().splitlines()


def one(write: Any, log_level: str = "info") -> dict[str, Any]:
    (line,) = lines(write, log_level=log_level)
    parsed = json.loads(line)
    assert isinstance(parsed, dict)
    return parsed


def test_a_decision_is_one_line_with_stable_keys_in_a_stable_order() -> None:
    def write() -> None:
        logs.decision(
            logging.getLogger("mailegress.reconcile"),
            object="mail/outbound",
            action="route53.change",
            outcome="accepted",
            reason="ForwardPending",
            names=2,
            zone="Z0123",
        )

    line = one(write)
    assert list(line) == [
        "time", "level", "logger", "message", "object", "action", "outcome", "reason", "names", "zone",
    ]  # fmt: skip
    assert line["level"] == "info"
    assert line["logger"] == "mailegress.reconcile"
    assert line["object"] == "mail/outbound"
    assert line["message"] == "route53.change: accepted (ForwardPending)"
    assert line["names"] == 2
    assert line["time"].endswith("Z")


def test_a_field_cannot_replace_the_time_or_the_message() -> None:
    def write() -> None:
        logs.decision(
            logging.getLogger("t"),
            object="a/b",
            action="x",
            outcome="y",
            time="never",
            message="forged",
        )

    line = one(write)
    assert line["time"] != "never"
    assert line["message"] == "x: y"
    assert (line["time_"], line["message_"]) == ("never", "forged")


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_hostile_text_stays_one_printable_line(log_format: str) -> None:
    def write() -> None:
        logger = logging.getLogger("mailegress.t")
        logger.warning("AWS says: %s", HOSTILE)
        logs.decision(
            logger, object=HOSTILE, action="a", outcome="o", answer=HOSTILE, more={HOSTILE: [HOSTILE]}
        )

    found = lines(write, log_format)
    assert len(found) == 2
    for line in found:
        assert line.isprintable()
        assert "moc.live" in line
    if log_format == "json":
        for value in json.loads(found[1]).values():
            assert json.dumps(value, ensure_ascii=False).isprintable()


@given(st.text(max_size=300))
def test_printable_is_printable_bounded_and_stable(text: str) -> None:
    once = logs.printable(text, 100)
    assert once.isprintable()
    assert len(once) <= 100
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in once)
    assert logs.printable(once, 100) == once


def test_a_100_kb_message_is_cut() -> None:
    line = one(lambda: logging.getLogger("t").info("%s", "a" * 100_000))
    assert len(line["message"]) == 2048


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"InvalidClientTokenId for {KEY_ID}", KEY_ID),
        (f"ASIA{KEY_ID[4:]}", f"ASIA{KEY_ID[4:]}"),
        (f"signed with {SECRET_KEY}.", SECRET_KEY),
        (f"aws_secret_access_key = {SECRET_KEY}", SECRET_KEY),
        (f'{{"SecretAccessKey": "{SECRET_KEY}"}}', SECRET_KEY),
        (f"AWS_SESSION_TOKEN={SESSION_TOKEN}", SESSION_TOKEN),
        (f"token {SESSION_TOKEN} expired", SESSION_TOKEN),
        (f"<SessionToken>{SESSION_TOKEN}</SessionToken>", SESSION_TOKEN),
        (f"X-Amz-Security-Token={SESSION_TOKEN[:40]}&X-Amz-Date=1", SESSION_TOKEN[:40]),
        (f"WebIdentityToken={JWT}", JWT),
        (f"Authorization: Bearer {JWT}", JWT),
        ("Authorization: Bearer opaque-token-0123456789", "opaque-token-0123456789"),
        (
            "AWS4-HMAC-SHA256 Credential=AB/2026/x, Signature=fe5f80f77d5fa3beca038a248ff027",
            "fe5f80f77d5fa3beca",
        ),
    ],
)
def test_credentials_never_reach_the_log(text: str, secret: str) -> None:
    def write() -> None:
        logger = logging.getLogger("t")
        logger.info(text)
        logs.decision(logger, object="a/b", action="x", outcome="y", detail=text)
        try:
            raise RuntimeError(text)
        except RuntimeError:
            logger.exception("failed")

    found = "\n".join(lines(write))
    assert found.count("\n") == 2
    assert secret not in found
    assert found.count(logs.REDACTED) >= 3


@pytest.mark.parametrize(
    "text",
    [
        "eipalloc-0123456789abcdef0 at 203.0.113.7 for mta.example.com",
        "change C0123456789ABCDEFGHIJ in zone Z0123456789ABCDEFGHIJ",
        "commit 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
        "arn:aws:iam::111122223333:role/mailegress-zone",
        "uid 0b5cf3f0-6f7a-4c1c-9a52-0a4a9f6f3a11",
        '"meg1 c 0123456789abcdef AbCdEfGhIjKlMnOpQrStUv"',
        "/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
    ],
)
def test_what_operators_need_is_not_blanked(text: str) -> None:
    assert logs.printable(text) == text


def test_a_credential_at_the_cut_is_gone_not_halved() -> None:
    assert "AKIA" not in logs.printable("x" * 94 + " " + KEY_ID, 100)


def test_a_traceback_is_part_of_its_line_in_json_and_indented_in_text() -> None:
    def write() -> None:
        try:
            raise ValueError("first\n2026-01-01T00:00:00Z ERROR forged line")
        except ValueError:
            logging.getLogger("t").exception("the pass failed")

    line = one(write)
    assert line["exception"].startswith("Traceback")
    text = lines(write, "text")
    assert "the pass failed" in text[0]
    assert all(following.startswith("    ") for following in text[1:])


def test_a_format_string_that_does_not_fit_costs_no_line() -> None:
    assert "two" in one(lambda: logging.getLogger("t").info("%d", "two"))["message"]


def test_library_chatter_is_off_its_warnings_are_on_and_kopfs_object_warnings_are_off() -> None:
    def write() -> None:
        for name in (
            "kopf._core.reactor.running",
            "botocore.credentials",
            "aiohttp.client",
            "urllib3.connectionpool",
        ):
            logging.getLogger(name).info("chatter")
            logging.getLogger(name).warning("worth knowing: %s", name)
        logging.getLogger("botocore.credentials").warning(
            "Refreshing temporary credentials failed during %s", "x"
        )
        logging.getLogger("kopf.objects").warning("Patching failed with inconsistencies")
        logging.getLogger("kopf.objects").error("broken")
        logging.getLogger("aiohttp.access").warning("GET /livez")

    found = [json.loads(line) for line in lines(write, log_level="debug")]
    assert [line["message"].partition(":")[0] for line in found] == ["worth knowing"] * 4 + ["broken"]


def test_the_level_holds_for_libraries_too() -> None:
    def write() -> None:
        logging.getLogger("botocore").warning("no")
        logging.getLogger("mailegress.x").warning("no")
        logging.getLogger("mailegress.x").error("yes")

    assert [json.loads(line)["message"] for line in lines(write, log_level="error")] == ["yes"]


def test_python_warnings_become_log_lines() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        line = one(lambda: warnings.warn("old call", DeprecationWarning, stacklevel=1))
    assert line["logger"] == "py.warnings"
    assert "old call" in line["message"]


def test_numbers_that_json_lacks_and_sets_are_written_readably() -> None:
    def write() -> None:
        logs.decision(
            logging.getLogger("t"),
            object="a/b",
            action="x",
            outcome="y",
            seconds=float("inf"),
            values={"b", "a"},
            none=None,
            ok=True,
        )

    line = one(write)
    assert (line["seconds"], line["values"], line["none"], line["ok"]) == ("inf", ["a", "b"], None, True)


def test_text_lines_quote_what_needs_it() -> None:
    def write() -> None:
        logs.decision(logging.getLogger("t"), object="a/b", action="x", outcome="not yet", n=1)

    (line,) = lines(write, "text")
    assert line.endswith('INFO    t x: not yet object=a/b action=x outcome="not yet" n=1')
