"""Names of DNS in one normal form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailegress.api.names import is_within, normalise_name, ownership_name


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("mta.example.com", "mta.example.com"),
        ("MTA.Example.COM.", "mta.example.com"),
        (r"\052.example.com.", "*.example.com"),
        (r"a\100b.example.com", "a@b.example.com"),
        (r"\101.example.com", "a.example.com"),
        (r"a\056b.example.com", r"a\056b.example.com"),
        (r"a\134052.example.com", r"a\134052.example.com"),
        (r"a\999.example.com", r"a\999.example.com"),
        (".", ""),
        ("", ""),
    ],
)
def test_a_name_has_one_normal_form(name: str, normal: str) -> None:
    assert normalise_name(name) == normal


@given(st.text(alphabet="abAB0123456789\\.*_-", max_size=30))
def test_normalising_twice_is_normalising_once(name: str) -> None:
    once = normalise_name(name)
    if not once.endswith("."):  # `a..` is no name; what is left of it is not looked at
        assert normalise_name(once) == once


def test_the_ownership_record_stands_below_the_hostname() -> None:
    assert ownership_name("MTA.example.com.") == "_mailegress.mta.example.com"


@pytest.mark.parametrize(
    ("name", "zone", "within"),
    [
        ("mta.example.com", "example.com.", True),
        ("example.com", "example.com", True),
        ("notexample.com", "example.com", False),
        ("example.com", "mta.example.com", False),
        ("MTA.EXAMPLE.COM", "Example.Com", True),
        (r"a\056example.com", "example.com", False),
        ("mta.example.com", ".", True),
    ],
)
def test_a_zone_holds_names_label_by_label(name: str, zone: str, within: bool) -> None:
    assert is_within(name, zone) is within
