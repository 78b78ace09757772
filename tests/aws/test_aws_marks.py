"""The ownership mark: what is written is what is read, and nothing else is."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailegress.model.ownership import MAX_MARK, Mark, encode, parse

OWNERS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,15}", fullmatch=True)


@given(st.booleans(), OWNERS, st.uuids())
def test_a_mark_is_read_as_it_was_written_and_is_short(adopted: bool, owner: str, uid: uuid.UUID) -> None:
    mark = Mark(adopted, owner, str(uid))
    text = encode(mark)
    assert len(text) <= MAX_MARK
    assert parse([text]) == mark


GOOD = encode(Mark(False, "prod", "0f8fad5b-d9cb-469f-a165-70867728950e"))


@pytest.mark.parametrize(
    "values",
    [
        [],
        [GOOD, GOOD],
        [GOOD, '"v=spf1 -all"'],
        [GOOD.strip('"')],
        [GOOD.replace("meg1", "meg2")],
        [GOOD.replace(" c ", " x ")],
        [GOOD.replace(" c ", "  c ")],
        [GOOD + " "],
        [GOOD + ' "more"'],
        [GOOD[:-2] + '"'],
        [GOOD[:-2] + 'B"'],
        [GOOD.replace("prod", "seventeen-letters")],
        [GOOD.replace("prod", "pr od")],
        ['"' + "x" * 100_000 + '"'],
        ['"meg1 c prod ' + "ä" * 22 + '"'],
    ],
)
def test_anything_else_is_nobodys_mark(values: list[str]) -> None:
    assert parse(values) is None


def test_owners_that_cannot_be_written_are_refused() -> None:
    for owner in ("", "a" * 17, "two words", 'q"uote'):
        with pytest.raises(ValueError, match="owner"):
            encode(Mark(False, owner, str(uuid.UUID(int=1))))
