"""The columns of ``kubectl get`` that are derived from the status."""

from __future__ import annotations

import pytest

from mailegress.api import limits
from mailegress.api.advisories import ALL_ADVISORIES, Severity
from mailegress.api.display import addresses_column, advisories_column, ptr_column
from mailegress.api.status import AddressStatus, Advisory, Status

HOST = "mta.example.com"


@pytest.mark.parametrize(
    ("count", "column"),
    [
        (0, ""),
        (1, "203.0.113.100"),
        (2, "203.0.113.100,203.0.113.101"),
        (3, "203.0.113.100,203.0.113.101,203.0.113.102"),
        (4, "203.0.113.100,203.0.113.101,203.0.113.102,+1"),
        (64, "203.0.113.100,203.0.113.101,203.0.113.102,+61"),
    ],
)
def test_at_most_three_addresses_are_printed(count: int, column: str) -> None:
    assert addresses_column([f"203.0.113.{100 + n}" for n in range(count)]) == column
    assert len(column) <= limits.DISPLAY_ADDRESSES_LENGTH


@pytest.mark.parametrize(
    ("pointers", "column"),
    [
        ([], "unknown"),
        ([(HOST, "pass")], "set"),
        ([(HOST, None), (HOST, "temperror")], "set"),
        ([(HOST, None), (None, None)], "1/2"),
        ([(HOST, None), ("old.example.com", None)], "1/2"),
        ([("old.example.com", None)], "other-name"),
        ([("old.example.com", None), (None, None)], "not-set"),
        ([(None, "permerror")], "not-set"),
        ([(None, "pass")], "set"),
        ([("old.example.com", "pass")], "other-name"),
        ([(HOST, None)] * 63 + [(None, None)], "63/64"),
    ],
)
def test_the_ptr_column_counts_addresses(pointers: list[tuple[str | None, str | None]], column: str) -> None:
    assert ptr_column(HOST, pointers) == column
    assert len(column) <= limits.WORD_LENGTH


def test_only_addresses_of_the_object_are_counted() -> None:
    """An address that leaves, or one that another object holds, is no address of this object."""
    mine = AddressStatus("eipalloc-a", public_ip="203.0.113.10", ptr=HOST)
    leaving = AddressStatus("eipalloc-b", public_ip="203.0.113.11", ptr="old.example.com")
    taken = AddressStatus("eipalloc-c", reason="AddressConflict")
    status = Status(hostname=HOST, public_ips=("203.0.113.10",), addresses=(mine, leaving, taken))
    assert status.to_dict()["display"] == {"addresses": "203.0.113.10", "ptr": "set"}


def test_without_an_address_the_ptr_is_unknown() -> None:
    assert Status(hostname=HOST).to_dict()["display"] == {"ptr": "unknown"}


def test_what_is_stored_is_not_read_back() -> None:
    stored = Status(hostname=HOST, public_ips=("203.0.113.10",)).to_dict()
    forged = {**stored, "display": {"addresses": "192.0.2.1", "ptr": "set"}}
    assert Status.from_dict(forged).to_dict() == stored


def test_the_codes_of_all_advisories_fit_into_the_column() -> None:
    column = advisories_column([*ALL_ADVISORIES, *ALL_ADVISORIES])
    assert column.split(",") == list(ALL_ADVISORIES), "each once"
    assert len(column) <= limits.DISPLAY_ADVISORIES_LENGTH
    advised = Status(hostname=HOST, advisories=(Advisory("GenericName", Severity.WARNING, "text"),))
    assert advised.to_dict()["display"] == {"ptr": "unknown", "advisories": "GenericName"}
