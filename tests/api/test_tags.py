"""How a selector by tags is written: one short line, never the same for two selectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailegress.api import limits
from mailegress.api.tags import Tags, tags_label, tags_of
from mailegress.api.text import clean_text
from mailegress.api.types import parse_spec

TAGS = st.dictionaries(st.text(min_size=1, max_size=128), st.text(max_size=256), min_size=1, max_size=8)
REGIONS = st.sampled_from([None, "eu-west-1", "us-gov-west-1"])


def label(entry: dict[str, object]) -> str:
    return str(parse_spec({"hostname": "mta.example.com", "elasticIPs": [entry]}).elastic_ips[0])


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        ({"tags": {"use": "mail"}}, "tags=use=mail"),
        ({"tags": {"use": "mail", "env": "prod"}, "region": "eu-west-1"}, "tags=env=prod,use=mail@eu-west-1"),
        ({"natGatewayTags": {"Name": "Mail egress"}}, "natGatewayTags=Name=Mail egress"),
        ({"networkInterfaceID": "eni-0abc"}, "networkInterfaceID=eni-0abc"),
    ],
)
def test_the_usual_selectors_are_shown_as_they_are_written(entry: dict[str, object], shown: str) -> None:
    assert label(entry) == shown


def test_what_could_be_read_in_two_ways_has_a_hash() -> None:
    one, other = {"a": "b,c=d"}, {"a": "b", "c": "d"}
    assert tags_label("tags", tags_of(other), None) == "tags=a=b,c=d"
    assert tags_label("tags", tags_of(one), None).startswith("tags=a=b,c=d#")
    assert tags_label("tags", (("a", "b@eu-west-1"),), None) != tags_label("tags", (("a", "b"),), "eu-west-1")


def test_tags_that_differ_only_at_the_end_of_a_long_line_differ() -> None:
    labels = {tags_label("tags", (("k" * 128, "v" * 255 + end),), "eu-west-1") for end in "xy"}
    assert len(labels) == 2
    assert all(each.endswith("@eu-west-1") for each in labels)
    assert {len(each) for each in labels} == {limits.SELECTOR_LENGTH}


@given(one=TAGS, other=TAGS, region=REGIONS)
def test_a_label_fits_the_status_and_names_one_selector(
    one: dict[str, str], other: dict[str, str], region: str | None
) -> None:
    first, second = tags_of(one), tags_of(other)
    shown = tags_label("tags", first, region)
    # As it is read back from the status, so that an address is found by its selector again.
    assert clean_text(shown, limits.SELECTOR_LENGTH) == shown
    assert (shown == tags_label("tags", second, region)) == (first == second)


def test_the_order_in_the_spec_does_not_matter() -> None:
    pairs: Tags = (("a", "1"), ("b", "2"))
    assert tags_of(dict(reversed(pairs))) == pairs
