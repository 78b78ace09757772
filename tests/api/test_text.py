"""Foreign text is made harmless before it is stored or printed."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailegress.api.text import clean_text


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("", ""),
        ("PTR is mta.example.com", "PTR is mta.example.com"),
        ("  two  spaces ", "two spaces"),
        ("line\nline\r\nline\ttab", "line line line tab"),
        ("nul\x00bell\x07del\x7f", "nul bell del"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[1;1Hscreen", "screen"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPpayload\x1b\\after", "after"),
        ("\x9b31mred", "red"),
        ("\x1bcreset", "reset"),
        ("lone \x1b", "lone"),
        ("user\u202egnp.exe", "usergnp.exe"),
        ("\u2066isolate\u2069", "isolate"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("line\u2028paragraph\u2029end", "line paragraph end"),
        ("no\u00a0break", "no break"),
        ("surrogate \ud800 end", "surrogate end"),
        ("private\ue000\U0010ffff", "private"),
        ("tag\U000e0041", "tag"),
        ("grüße 日本", "grüße 日本"),
    ],
)
def test_text_becomes_one_printable_line(raw: str, clean: str) -> None:
    assert clean_text(raw, 100) == clean


def test_text_is_cut_with_an_ellipsis_within_the_limit() -> None:
    assert clean_text("abcdef", 6) == "abcdef"
    assert clean_text("abcdefg", 6) == "abcde…"
    assert clean_text("abcd efg", 6) == "abcd…"
    assert clean_text("abc", 1) == "…"


@pytest.mark.parametrize(
    "raw",
    [
        "x" * 100_000,
        "\x00" * 100_000,
        "\x1b[31m" * 20_000,
        "\x1b]" * 50_000,
        "\u202eé" * 50_000,
        "\x1b[" + "1;" * 50_000,
    ],
)
def test_a_hundred_kilobytes_are_cut(raw: str) -> None:
    assert len(clean_text(raw, 1024)) <= 1024


def test_text_behind_much_noise_is_still_shown() -> None:
    assert clean_text("\x1b[31m" * 200 + "AccessDenied", 64) == "AccessDenied"


@given(st.text(), st.integers(min_value=1, max_value=40))
def test_nothing_unprintable_is_left_and_twice_is_once(raw: str, limit: int) -> None:
    cleaned = clean_text(raw, limit)
    assert len(cleaned) <= limit
    assert cleaned.isprintable()
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in cleaned)
    cleaned.encode()
    assert clean_text(cleaned, limit) == cleaned
