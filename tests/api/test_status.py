"""The stored status: within the schema whatever goes in, one form for one meaning, and read leniently."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mailegress.api.advisories import ALL_ADVISORIES, Severity
from mailegress.api.conditions import CONDITION_ORDER, PENDING_TIME
from mailegress.api.status import (
    AddressStatus,
    Advisory,
    Condition,
    EndpointStatus,
    FormerRecord,
    ForwardStatus,
    Origin,
    Status,
    ZoneStatus,
    format_time,
    initial_status,
)

CRD = yaml.safe_load((Path(__file__).parents[2] / "crds" / "mailegress.io_mailegresses.yaml").read_text())
SCHEMA: dict[str, Any] = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with unknown fields refused, as the API server prunes them."""
    out = dict(schema)
    if "properties" in schema:
        out["properties"] = {name: strict(child) for name, child in schema["properties"].items()}
        out["additionalProperties"] = False
    if "items" in schema:
        out["items"] = strict(schema["items"])
    return out


VALIDATOR = jsonschema.Draft202012Validator(strict(SCHEMA))

TIME = "2026-01-31T12:00:00Z"
text = st.text(max_size=300) | st.sampled_from(["", "\x1b[31mred", "x" * 5000, "\n", "\u202e"])
numbers = st.integers(min_value=-(2**70), max_value=2**70)
maybe = st.none() | text
zones = st.builds(ZoneStatus, text, text, maybe)
forwards = st.builds(ForwardStatus, st.lists(text, max_size=5).map(tuple), st.none() | numbers, maybe)
entries = st.builds(
    AddressStatus,
    text,
    maybe,
    maybe,
    maybe,
    maybe,
    maybe,
    maybe,
    st.none() | st.sampled_from(Origin),
    maybe,
    maybe,
)
conditions = st.builds(
    Condition,
    st.sampled_from(CONDITION_ORDER) | text,
    st.sampled_from(["True", "False", "Unknown"]) | text,
    text,
    text,
    numbers,
    st.just(TIME) | text,
)
advisories = st.builds(
    Advisory,
    st.sampled_from(sorted(ALL_ADVISORIES)) | text,
    st.sampled_from(Severity),
    text,
    st.lists(text, max_size=5).map(tuple),
)
statuses = st.builds(
    Status,
    numbers,
    maybe,
    st.lists(text, max_size=5).map(tuple),
    st.none() | zones,
    st.none() | forwards,
    st.lists(st.builds(FormerRecord, text, text, maybe), max_size=4).map(tuple),
    st.lists(entries, max_size=4).map(tuple),
    maybe,
    st.lists(conditions, max_size=12).map(tuple),
    st.lists(advisories, max_size=18).map(tuple),
    maybe,
    st.none() | st.builds(EndpointStatus, text, st.lists(text, max_size=5).map(tuple)),
)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.floats(allow_nan=False) | text,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(sorted(SCHEMA["properties"])) | st.text(max_size=5), inner, max_size=5
        )
        | st.dictionaries(
            st.sampled_from(["type", "status", "id", "selector", "values", "ttlSeconds"]), inner, max_size=5
        )
    ),
    max_leaves=25,
)


@given(statuses)
def test_whatever_goes_in_the_schema_takes_what_comes_out(status: Status) -> None:
    VALIDATOR.validate(status.to_dict())


@given(statuses)
def test_what_was_stored_reads_back_as_the_same_status(status: Status) -> None:
    stored = status.to_dict()
    assert Status.from_dict(stored).to_dict() == stored
    assert Status.from_dict(stored).matches(stored)


@given(json_values)
def test_anything_can_be_read(value: object) -> None:
    VALIDATOR.validate(Status.from_dict(value).to_dict())


def test_lists_are_cut_to_their_bounds() -> None:
    ips = tuple(f"203.0.113.{n}" for n in range(256))
    status = Status(
        public_ips=ips,
        forward=ForwardStatus(ips),
        addresses=tuple(AddressStatus(selector=f"publicIP={ip}") for ip in ips),
        conditions=tuple(Condition(f"Type{n:02}", "True", "R", "m", 1, TIME) for n in range(20)),
    )
    stored: dict[str, Any] = status.to_dict()
    assert stored["publicIPs"] == list(ips[:64])
    assert stored["forward"]["values"] == list(ips[:128])
    assert [a["selector"] for a in stored["addresses"]] == [f"publicIP={ip}" for ip in ips[:80]]
    assert [c["type"] for c in stored["conditions"]] == [f"Type{n:02}" for n in range(8)]
    VALIDATOR.validate(stored)


def test_the_hostnames_of_a_dnsendpoint_are_whole_and_at_most_64() -> None:
    names = tuple(f"{'a' * 60}.{'b' * 60}.{'c' * 60}.{n:04}.example.com" for n in range(80))
    stored: dict[str, Any] = Status(dns_endpoint=EndpointStatus("mailegress-a", names)).to_dict()
    assert stored["dnsEndpoint"] == {"name": "mailegress-a", "hostnames": list(names[:64])}
    VALIDATOR.validate(stored)
    assert Status.from_dict(stored).dns_endpoint == EndpointStatus("mailegress-a", names[:64])


def test_conditions_come_in_order_and_once() -> None:
    mixed = ["Stalled", "Resolved", "Ready", "Accepted", "Zeta", "ReverseReady", "Ready", "ForwardReady"]
    status = Status(
        conditions=tuple(Condition(kind, "True", f"R{n}", "m", 1, TIME) for n, kind in enumerate(mixed))
    )
    stored: Any = status.to_dict()["conditions"]
    order = ["Ready", "Accepted", "ForwardReady", "ReverseReady", "Resolved", "Stalled", "Zeta"]
    assert [c["type"] for c in stored] == order
    assert stored[0]["reason"] == "R2"


def test_empty_fields_are_left_out() -> None:
    assert Status().to_dict() == {"observedGeneration": -1, "display": {"ptr": "unknown"}}
    empty = Status(
        3, "", (), ZoneStatus("", ""), ForwardStatus(), (FormerRecord("", ""),), (AddressStatus(""),), "", ()
    )
    assert empty.to_dict() == {"observedGeneration": 3, "display": {"ptr": "unknown"}}
    assert ForwardStatus(ttl_seconds=0).to_dict() == {"ttlSeconds": 0}


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        (None, Status()),
        ([], Status()),
        ("Ready", Status()),
        ({"observedGeneration": "7"}, Status()),
        ({"observedGeneration": True}, Status()),
        ({"observedGeneration": 7.5}, Status()),
        ({"observedGeneration": 999}, Status(999)),
        ({"hostname": ["a"], "publicIPs": "203.0.113.10"}, Status()),
        ({"publicIPs": ["203.0.113.10", 7, None, ""]}, Status(public_ips=("203.0.113.10",))),
        ({"zone": "Z1"}, Status()),
        ({"zone": {"id": 1, "name": "example.com"}}, Status(zone=ZoneStatus("", "example.com"))),
        ({"forward": {"ttlSeconds": "300", "values": {}}}, Status()),
        ({"forward": {"ttlSeconds": -5, "changeID": "C1"}}, Status(forward=ForwardStatus(change_id="C1"))),
        ({"addresses": [7, {}, {"ptrOrigin": "Stolen"}]}, Status()),
        (
            {"addresses": [{"selector": "s", "ptrOrigin": "Adopted", "ptr": 3}]},
            Status(addresses=(AddressStatus("s", ptr_origin=Origin.ADOPTED),)),
        ),
        ({"conditions": {"type": "Ready"}}, Status()),
        (
            {"conditions": [{"type": "Ready"}, {"status": "True"}, {"type": "Ready", "status": "Maybe"}]},
            Status(),
        ),
        (
            {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "yesterday"}]},
            Status(conditions=(Condition("Ready", "True", "", "", -1, PENDING_TIME),)),
        ),
    ],
)
def test_a_wrong_type_is_a_missing_value(stored: object, read: Status) -> None:
    assert Status.from_dict(stored) == read


def test_an_injected_field_is_a_difference() -> None:
    status = initial_status()
    stored = status.to_dict()
    assert status.matches(stored)
    assert not status.matches(stored | {"injected": "x"})
    assert not status.matches(stored | {"observedGeneration": 999})
    assert not status.matches(None)


def test_a_condition_is_found_by_type() -> None:
    ready = initial_status().condition("Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == ("Unknown", "Pending")
    assert initial_status().condition("Stalled") is None


def test_a_condition_that_was_never_observed_has_no_generation() -> None:
    assert "observedGeneration" not in Condition("Ready", "True", "Ready", "m", -1, TIME).to_dict()
    assert Condition("Ready", "True", "Ready", "m", 0, TIME).to_dict()["observedGeneration"] == 0


def test_times_are_written_as_kubernetes_writes_them() -> None:
    moment = datetime(2026, 1, 31, 14, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    assert format_time(moment) == "2026-01-31T12:00:00Z"
    assert format_time(datetime(1970, 1, 1, tzinfo=UTC)) == PENDING_TIME
