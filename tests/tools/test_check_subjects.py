"""What `mailegress check` takes, and what it says of everything else."""

from __future__ import annotations

import pytest

from mailegress.tools.check.subjects import MOST, Subject, SubjectError, subject, subjects


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("mta.example.com", Subject("mta.example.com", hostname="mta.example.com")),
        ("MTA.Example.COM", Subject("mta.example.com", hostname="mta.example.com")),
        ("xn--mil-ela.example.com", Subject("xn--mil-ela.example.com", hostname="xn--mil-ela.example.com")),
        ("203.0.113.1", Subject("203.0.113.1", address="203.0.113.1")),
        ("203-0-113-1.example.com", Subject("203-0-113-1.example.com", hostname="203-0-113-1.example.com")),
    ],
)
def test_names_and_addresses(text: str, wanted: Subject) -> None:
    assert subject(text) == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "give a hostname or an IPv4 address"),
        ("   ", "give a hostname or an IPv4 address"),
        ("mta.example.com.", "ends with a dot; give mta.example.com"),
        (".", "root"),
        ("mta.example.com\n", "control characters"),
        ("\x1b[31mmta.example.com", "control characters"),
        ("mta.\u202eexample.com", "control characters"),
        ("mta example.com", "spaces"),
        ("mäil.example.com", "xn--"),
        ("٢٠٣.0.113.1", "xn--"),
        ("203.0.113.0/24", "range"),
        ("2001:db8::/32", "range"),
        ("2001:db8::1", "IPv6"),
        ("[2001:db8::1]", "IPv6"),
        ("fe80::1%eth0", "IPv6"),
        ("203.0.113.1:25", "port; give 203.0.113.1 "),
        ("mta.example.com:25", "port; give mta.example.com "),
        ("10.0.0.1", "not a public address"),
        ("127.0.0.1", "not a public address"),
        ("203.0.113", "four numbers"),
        ("203.0.113.256", "four numbers"),
        ("203.0.113.01", "four numbers"),
        ("mta", "single label"),
        ("https://mta.example.com/", "URL"),
        ("postmaster@example.com", "mail address"),
        ("_dmarc.example.com", "`_`"),
        ("*.example.com", "`*`"),
        ("mta..example.com", "neither a hostname"),
        ("-mta.example.com", "neither a hostname"),
        (f"{'a' * 64}.example.com", "63"),
        (f"{'a.' * 130}com", "241"),
    ],
)
def test_anything_else_has_a_remedy(text: str, says: str) -> None:
    """The message shows the text without its control characters, says what is wrong and what to give."""
    with pytest.raises(SubjectError) as raised:
        subject(text)
    message = str(raised.value)
    assert says in message
    assert message.isprintable()


def test_each_is_checked_once_and_the_number_is_bounded() -> None:
    assert [s.text for s in subjects(["b.example.com", "a.example.com", "B.example.com"])] == [
        "b.example.com",
        "a.example.com",
    ]
    with pytest.raises(SubjectError, match="at most 16"):
        subjects([f"m{n}.example.com" for n in range(MOST + 1)])
