"""Logs: one line per record, JSON or text, safe to print whatever AWS, DNS or a user wrote.

Control characters, escape sequences and invisible characters are shown escaped (a reader sees that they were
there), credentials are blanked, long texts are cut. Keys are stable: time, level, logger, message, object,
action, outcome, reason, then the fields of the line.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Mapping
from typing import IO, Any, Final

REDACTED: Final = "[redacted]"
_KEYS: Final = ("time", "level", "logger", "message", "object", "action", "outcome", "reason")
_RESERVED: Final = frozenset({"time", "level", "logger", "message", "exception"})
_FIELDS = "mailegress_fields"
_MESSAGE_LIMIT = 2048
_FIELD_LIMIT = 1024
_TRACE_LINES = 60
PATTERN_LIMIT: Final = 4096
"""Characters of an external text that any pattern is run over: patterns cost time per character."""
# Longer than any credential of which a part would not be recognised as one (a secret access key has 40).
_CUT_WORD = 128
_SEPARATORS = frozenset(" \t\r\n,;:&'\"<>{}[]()|")

# Libraries that log every step they take. Their warnings and errors still tell us something.
_CHATTER: Final = (
    "kopf",
    "aiohttp",
    "asyncio",
    "boto3",
    "botocore",
    "s3transfer",
    "urllib3",
    "charset_normalizer",
)

_SECRETS: Final = (
    # AWS: unique ID prefixes of access keys (IAM user guide, "IAM identifiers").
    (re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{12,124}\b"), REDACTED),
    # JSON Web Tokens: service-account and web-identity tokens.
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"), REDACTED),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {REDACTED}"),
    # name=value, name: value and "name": "value" of anything that is named like a credential.
    (
        re.compile(
            r"(?i)((?:secret[_-]?access[_-]?key|session[_-]?token|security[_-]?token|secretkey|sessiontoken"
            r"|web[_-]?identity[_-]?token(?!_file)|authorization[_-]?token(?!_file)|password|x-amz-signature|x-amz-credential"
            r"|signature|credential)[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;}<\]\[]+"
        ),
        rf"\g<1>{REDACTED}",
    ),
    # STS session tokens: base64 that starts with one of the known version bytes.
    (re.compile(r"\b(?:IQoJ|FwoG|FQoG|AQoD|AQoX)[\w+/=-]{60,}"), REDACTED),
    # Secret access keys: 40 characters of base64 with upper case, lower case and a digit (a SHA-1 has no
    # upper case).
    (
        re.compile(
            r"(?<![\w+/=-])(?=[A-Za-z0-9+/]*[A-Z])(?=[A-Za-z0-9+/]*[a-z])(?=[A-Za-z0-9+/]*\d)"
            r"[A-Za-z0-9+/]{40}(?![\w+/=-])"
        ),
        REDACTED,
    ),
)


def bounded(text: str, limit: int = PATTERN_LIMIT) -> str:
    """The first ``limit`` characters, for patterns to run over. A word that is cut in two is left out: half a
    credential would not be recognised as one.
    """
    if len(text) <= limit:
        return text
    end = limit
    while end > max(limit - _CUT_WORD, 0) and text[end - 1] not in _SEPARATORS:
        end -= 1
    return text[:end]


def redact(text: str) -> str:
    """Blank what looks like a credential. Only the beginning of a long text is kept (``PATTERN_LIMIT``)."""
    text = bounded(text)
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def printable(text: str, limit: int = _FIELD_LIMIT) -> str:
    """One line of printable characters without credentials, cut to ``limit`` characters.

    Redaction comes before the cut: half a credential would no longer be recognised.
    """
    text = redact(text)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else _escaped(c) for c in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def about(**fields: Any) -> dict[str, Any]:
    """The ``extra`` of a log call whose line carries ``fields`` as keys of their own.

    Every line about an object carries its key (``namespace/name``) as ``object``: users search for it.
    """
    return {_FIELDS: fields}


def decision(
    logger: logging.Logger,
    *,
    object: str,
    action: str,
    outcome: str,
    reason: str = "",
    level: int = logging.INFO,
    **fields: Any,
) -> None:
    """Log one decision in one line.

    ``object`` is ``namespace/name``; ``action`` what was decided (a verb or choke point); ``outcome`` what
    came of it.
    """
    if not logger.isEnabledFor(level):
        return
    named = {"object": object, "action": action, "outcome": outcome}
    if reason:
        named["reason"] = reason
    text = f"{action}: {outcome}" + (f" ({reason})" if reason else "")
    logger.log(level, "%s", text, extra=about(**named, **fields))


def _clean(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        # NaN and infinities are not JSON (RFC 8259 §6).
        return round(value, 6) if abs(value) < float("inf") else str(value)
    if isinstance(value, Mapping):
        return {printable(str(k), 128): _clean(v) for k, v in list(value.items())[:64]}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value[:64]]
    if isinstance(value, set | frozenset):
        return [_clean(item) for item in sorted(value, key=str)[:64]]
    return printable(str(value))


def _record_fields(record: logging.LogRecord) -> dict[str, Any]:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    line: dict[str, Any] = {
        "time": f"{stamp}.{int(record.msecs):03d}Z",
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": printable(_message(record), _MESSAGE_LIMIT),
    }
    given: Mapping[str, Any] = getattr(record, _FIELDS, {})
    for key in _KEYS[4:]:
        if key in given:
            line[key] = _clean(given[key])
    for key, value in given.items():
        if key not in _KEYS[4:]:
            line[f"{key}_" if key in _RESERVED else printable(key, 128)] = _clean(value)
    return line


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        # A library's format string that does not fit its arguments must not cost the line.
        return f"{record.msg!s} {record.args!r}"


def _trace(record: logging.LogRecord) -> list[str]:
    if record.exc_info and record.exc_info[0] is not None:
        text = "".join(traceback.format_exception(*record.exc_info))
    else:
        text = record.exc_text or record.stack_info or ""
    # The innermost frames and the error itself stand at the end.
    return [printable(line, _FIELD_LIMIT) for line in text.splitlines()[-_TRACE_LINES:]]


class JsonFormatter(logging.Formatter):
    """One JSON object per line; a traceback is the value of ``exception``."""

    def format(self, record: logging.LogRecord) -> str:
        line = _record_fields(record)
        trace = _trace(record)
        if trace:
            line["exception"] = "\n".join(trace)
        return json.dumps(line, ensure_ascii=False, separators=(", ", ": "))


class TextFormatter(logging.Formatter):
    """``time LEVEL logger message key=value …``; a traceback is indented, so none of it can pose as a
    record.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = _record_fields(record)
        head = f"{line.pop('time')} {line.pop('level').upper():<7} {line.pop('logger')} {line.pop('message')}"
        tail = "".join(f" {key}={_text_value(value)}" for key, value in line.items())
        return "\n    ".join([head + tail, *_trace(record)])


def _text_value(value: Any) -> str:
    if isinstance(value, str) and value and not re.search(r"[\s\"=]", value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _not_a_refused_refresh(record: logging.LogRecord) -> bool:
    """botocore logs a traceback whenever credentials cannot be fetched; the AWS layer reports the cause once."""
    return not str(record.msg).startswith("Refreshing temporary credentials failed")


def configure(
    log_format: str = "json", log_level: str = "info", stream: IO[str] | None = None
) -> logging.Handler:
    """Send every log record of the process to ``stream`` (standard error unless given) and return the
    handler.

    ``log_format``: json or text. Replaces the root logger's handlers. Library chatter is cut below warnings,
    and below errors for kopf's per-object logger: it speaks of handlers and patches, which this operator does
    not leave to kopf.
    """
    level = logging.getLevelNamesMapping()[log_level.upper()]
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(TextFormatter() if log_format == "text" else JsonFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _CHATTER:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.getLogger("kopf.objects").setLevel(max(level, logging.ERROR))
    logging.getLogger("botocore.credentials").addFilter(_not_a_refused_refresh)
    # An access log line per probe says nothing that a metric does not.
    logging.getLogger("aiohttp.access").setLevel(logging.ERROR)
    logging.captureWarnings(True)
    return handler
