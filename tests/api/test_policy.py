"""Reading MailEgressPolicies: what they allow, and that one which is not understood allows nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailegress.api.policy import Addresses, Hostnames, NamespaceSelector, Policy, parse_policy
from mailegress.api.types import Management

SPEC: dict[str, Any] = {
    "namespaces": {"names": ["team-a"]},
    "hostnames": {"suffixes": ["mail.a.example.com"], "names": ["mta.example.com"]},
    "addresses": {"matchTags": {"team": "a"}},
}


def policy(**changes: Any) -> Policy:
    spec = {name: value for name, value in (SPEC | changes).items() if value is not None}
    return parse_policy({"metadata": {"name": "team-a"}, "spec": spec})


def test_what_is_not_given_has_the_defaults_of_the_schema() -> None:
    read = policy()
    assert (read.problem, read.name, read.terms.name) == ("", "team-a", "team-a")
    assert read.management == {Management.MANAGED}
    assert (read.maximum, read.terms.allow_retain, read.terms.zone_ids) == (50, False, frozenset())


@pytest.mark.parametrize(
    ("hostname", "allowed"),
    [
        ("out.mail.a.example.com", True),
        ("a.b.mail.a.example.com", True),
        ("mta.example.com", True),
        ("mail.a.example.com", False),
        ("a.example.com", False),
        ("xmail.a.example.com", False),
        ("out.xmail.a.example.com", False),
        ("mail.a.example.com.evil.org", False),
        ("out.mta.example.com", False),
        ("example.com", False),
        ("com", False),
        ("", False),
    ],
)
def test_a_suffix_allows_what_is_strictly_below_it_and_a_name_itself(hostname: str, allowed: bool) -> None:
    assert policy().hostnames.allows(hostname, ()) is allowed


def test_only_an_exact_name_allows_the_name_of_a_zone() -> None:
    zones = {"example.com", "team.mail.a.example.com"}
    every = Hostnames(every=True)
    assert every.allows("mta.example.com", zones)
    assert not every.allows("example.com", zones)
    assert not policy().hostnames.allows("team.mail.a.example.com", zones)
    assert Hostnames(every=True, names=frozenset({"example.com"})).allows("example.com", zones)


def test_an_address_is_allowed_by_any_of_the_lists_within_the_regions() -> None:
    rule = Addresses(
        allocation_ids=frozenset({"eipalloc-1"}),
        nat_gateway_ids=frozenset({"nat-1"}),
        tags=(("env", "prod"), ("team", "a")),
        regions=frozenset({"eu-west-1"}),
    )
    assert rule.allows("eipalloc-1", "eu-west-1", "", ())
    assert rule.allows("eipalloc-2", "eu-west-1", "nat-1", ())
    assert rule.allows(
        "eipalloc-2",
        "eu-west-1",
        "",
        (
            ("team", "a"),
            ("env", "prod"),
            ("more", "x"),
        ),
    )
    assert not rule.allows("eipalloc-2", "eu-west-1", "", (("team", "a"),))
    assert not rule.allows(
        "eipalloc-2",
        "eu-west-1",
        "",
        (
            ("team", "a"),
            ("env", "test"),
        ),
    )
    assert not rule.allows(
        "eipalloc-1",
        "us-east-1",
        "nat-1",
        (
            ("team", "a"),
            ("env", "prod"),
        ),
    )
    assert not Addresses(regions=frozenset({"eu-west-1"})).allows("eipalloc-1", "eu-west-1", "", ())
    assert Addresses(every=True).allows("eipalloc-1", "us-east-1", "", ())


def test_namespaces_are_selected_by_name_or_by_all_labels_and_never_by_nothing() -> None:
    assert NamespaceSelector(every=True).selects("any", {})
    assert policy().namespaces.selects("team-a", {})
    assert not policy().namespaces.selects("team-b", {})
    labelled = policy(namespaces={"matchLabels": {"tenant": "a", "env": "prod"}}).namespaces
    assert labelled.selects("x", {"tenant": "a", "env": "prod", "more": "y"})
    assert not labelled.selects("x", {"tenant": "a"})
    assert not NamespaceSelector().selects("team-a", {})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"namespaces": {}}, "spec.namespaces"),
        ({"namespaces": {"names": []}}, "spec.namespaces"),
        ({"namespaces": {"names": ["a"], "matchLabels": {"a": "b"}}}, "spec.namespaces"),
        ({"namespaces": {"names": ["*", "a"]}}, "spec.namespaces.names"),
        ({"namespaces": {"matchLabels": {"a": 1}}}, "spec.namespaces.matchLabels"),
        ({"namespaces": {"names": ["a"], "notNames": ["b"]}}, "spec.namespaces.notNames"),
        ({"hostnames": {}}, "spec.hostnames"),
        ({"hostnames": {"suffixes": [".example.com"]}}, "spec.hostnames"),
        ({"hostnames": {"suffixes": ["*.example.com"]}}, "spec.hostnames"),
        ({"hostnames": {"names": ["*"]}}, "spec.hostnames.names"),
        ({"hostnames": {"names": ["MTA.example.com"]}}, "spec.hostnames"),
        ({"hostnames": {"suffixes": "example.com"}}, "spec.hostnames.suffixes"),
        ({"addresses": None}, "spec.addresses"),
        ({"addresses": {}}, "spec.addresses"),
        ({"addresses": {"any": False, "regions": ["eu-west-1"]}}, "spec.addresses"),
        ({"addresses": {"any": True, "allocationIDs": ["eipalloc-1"]}}, "spec.addresses"),
        ({"addresses": {"any": "yes"}}, "spec.addresses.any"),
        ({"hostedZoneIDs": "Z1"}, "spec.hostedZoneIDs"),
        ({"management": ["Else"]}, "spec.management"),
        ({"allowRetain": "true"}, "spec.allowRetain"),
        ({"maxMailEgresses": -1}, "spec.maxMailEgresses"),
        ({"maxMailEgresses": True}, "spec.maxMailEgresses"),
    ],
)
def test_a_policy_that_is_not_understood_names_the_field_and_allows_nothing(
    changes: dict[str, Any], named: str
) -> None:
    read = policy(**changes)
    assert read.problem.startswith(f"{named} is "), read.problem
    assert not read.hostnames.allows("out.mail.a.example.com", ())
    assert not read.terms.addresses.allows("eipalloc-1", "eu-west-1", "", (("team", "a"),))
    assert (read.management, read.maximum, read.terms.allow_retain) == (frozenset(), 0, False)
    assert read.namespaces.selects("team-a", {}) is ("namespaces" not in changes)


def test_an_unknown_field_may_be_a_restriction() -> None:
    read = policy(notAfter="2027-01-01T00:00:00Z")
    assert read.problem.startswith("spec.notAfter is ")
    assert not read.hostnames.allows("out.mail.a.example.com", ())


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(
    inner, max_size=3
) | st.dictionaries(st.sampled_from((*SPEC, "names", "any", "x")), inner, max_size=3)))  # fmt: skip
def test_no_stored_policy_stops_the_operator(spec: object) -> None:
    read = parse_policy({"metadata": {"name": "p"}, "spec": spec})
    assert read.name == "p"
