"""Reading custom resources: typed values from what the schema takes, never a crash from what is stored."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mailegress.api.status import Origin, Status
from mailegress.api.types import (
    Adoption,
    DeletionPolicy,
    EipSelector,
    Forward,
    Management,
    Meta,
    SelectorKind,
    Spec,
    parse_meta,
    parse_object,
    parse_spec,
)
from mailegress.api.validation import InvalidObject

TABLE = yaml.safe_load((Path(__file__).parents[1] / "crd" / "manifests.yaml").read_text())

METADATA = {
    "namespace": "mail",
    "name": "outbound",
    "uid": "2f6cbd1c-6d0f-4b3c-9a0c-3c4d4a0f6c11",
    "generation": 3,
    "resourceVersion": "17",
    "creationTimestamp": "2026-01-31T12:00:00Z",
}
SPEC = {"hostname": "mta.example.com", "elasticIPs": [{"natGatewayID": "nat-0123456789abcdef0"}]}

garbage = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *METADATA,
                    *SPEC,
                    "metadata",
                    "spec",
                    "status",
                    "forward",
                    "publicIP",
                    "region",
                    "annotations",
                ]
            )
            | st.text(max_size=4),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("case", TABLE["accepted"], ids=lambda case: case["name"])
def test_what_the_schema_accepts_is_parsed(case: dict[str, Any]) -> None:
    spec = parse_spec(case["spec"])
    assert spec.hostname == case["spec"]["hostname"]
    assert len(spec.elastic_ips) == len(case["spec"]["elasticIPs"])


@pytest.mark.parametrize("case", TABLE["refused"], ids=lambda case: case["name"])
def test_what_the_schema_refuses_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(InvalidObject, match="it must be") as refusal:
        parse_spec(case["spec"])
    assert refusal.value.field.startswith("spec.")
    assert refusal.value.value in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_spec_with_everything_is_read_whole() -> None:
    spec = parse_spec(
        {
            "hostname": "mta.example.com",
            "elasticIPs": [
                {"allocationID": "eipalloc-0abc", "region": "eu-west-1"},
                {"publicIP": "203.0.113.10"},
                {"natGatewayID": "nat-0abc"},
                {"instanceID": "i-0abc"},
            ],
            "forward": {"management": "Managed", "hostedZoneID": "Z0123", "ttlSeconds": 60},
            "adoption": "Never",
            "deletionPolicy": "Retain",
            "suspend": True,
        }
    )
    assert spec == Spec(
        hostname="mta.example.com",
        elastic_ips=(
            EipSelector(SelectorKind.ALLOCATION_ID, "eipalloc-0abc", "eu-west-1"),
            EipSelector(SelectorKind.PUBLIC_IP, "203.0.113.10"),
            EipSelector(SelectorKind.NAT_GATEWAY_ID, "nat-0abc"),
            EipSelector(SelectorKind.INSTANCE_ID, "i-0abc"),
        ),
        forward=Forward(Management.MANAGED, "Z0123", 60),
        adoption=Adoption.NEVER,
        deletion_policy=DeletionPolicy.RETAIN,
        suspend=True,
    )
    shown = [
        "allocationID=eipalloc-0abc@eu-west-1",
        "publicIP=203.0.113.10",
        "natGatewayID=nat-0abc",
        "instanceID=i-0abc",
    ]
    assert [str(selector) for selector in spec.elastic_ips] == shown


def test_what_is_left_out_has_the_documented_meaning() -> None:
    spec = parse_spec(SPEC)
    assert spec.forward == Forward(Management.MANAGED, None, None)
    assert (spec.adoption, spec.deletion_policy, spec.suspend) == (
        Adoption.MATCHING,
        DeletionPolicy.DELETE,
        False,
    )
    assert parse_spec(SPEC | {"suspend": None, "adoption": None, "forward": None}) == spec


def test_metadata_is_read() -> None:
    annotations = {"mailegress.io/reconcile-requested-at": "2026-02-01T00:00:00Z", "other": "x"}
    extra = {
        "deletionTimestamp": "2026-02-01T00:00:00Z",
        "finalizers": ["mailegress.io/cleanup", "other/x"],
        "annotations": annotations,
    }
    assert parse_meta({"metadata": METADATA | extra}) == Meta(
        namespace="mail",
        name="outbound",
        uid="2f6cbd1c-6d0f-4b3c-9a0c-3c4d4a0f6c11",
        generation=3,
        resource_version="17",
        creation_timestamp="2026-01-31T12:00:00Z",
        deletion_timestamp="2026-02-01T00:00:00Z",
        finalizers=("mailegress.io/cleanup", "other/x"),
        foreign_finalizers=1,
        reconcile_requested_at="2026-02-01T00:00:00Z",
    )
    bare = parse_meta({"metadata": METADATA})
    assert (bare.deletion_timestamp, bare.finalizers, bare.reconcile_requested_at) == (None, (), None)


def test_a_request_is_answered_with_the_value_it_is_compared_with() -> None:
    """Over-long or unprintable: what is stored as handled equals what is read, or it would never end."""
    annotations = {"mailegress.io/reconcile-requested-at": "now\x1b[31m\n" * 1000}
    requested = parse_meta({"metadata": METADATA | {"annotations": annotations}}).reconcile_requested_at
    stored = Status(last_handled_reconcile_at=requested).to_dict()["lastHandledReconcileAt"]
    assert stored == requested


@pytest.mark.parametrize("missing", sorted(METADATA))
def test_metadata_that_the_api_server_always_sets_is_required(missing: str) -> None:
    broken = {key: value for key, value in METADATA.items() if key != missing}
    with pytest.raises(InvalidObject) as refusal:
        parse_meta({"metadata": broken})
    assert refusal.value.field == f"metadata.{missing}"
    assert refusal.value.value == "nothing"


def test_an_object_with_a_broken_spec_still_has_its_metadata() -> None:
    body = {"metadata": METADATA, "spec": {"hostname": 7}}
    with pytest.raises(InvalidObject, match=r"spec\.hostname is 7; it must be a string"):
        parse_object(body)
    assert parse_meta(body).name == "outbound"


def test_a_refusal_shows_hostile_values_harmlessly() -> None:
    with pytest.raises(InvalidObject) as refusal:
        parse_spec(SPEC | {"hostname": "\x1b[2J\u202e" + "x" * 100_000})
    words = str(refusal.value)
    assert words.isprintable()
    assert len(words) < 250


@given(garbage)
def test_garbage_is_refused_and_never_crashes(body: object) -> None:
    with pytest.raises(InvalidObject):
        parse_object(body if isinstance(body, dict) else {"metadata": METADATA, "spec": body})


@given(garbage)
def test_any_status_is_taken(status: object) -> None:
    parsed = parse_object({"metadata": METADATA, "spec": SPEC, "status": status})
    assert parsed.meta.uid == METADATA["uid"]
    assert parsed.spec == parse_spec(SPEC)


@pytest.mark.parametrize(
    "status",
    [
        {"zone": {"id": "Z1", "name": "example.com"}},
        {"dnsEndpoint": {"name": "mailegress-a", "hostnames": ["mta.example.com"]}},
        {"forward": {"values": ["192.0.2.1"], "origin": "Managed"}},
        {"formerRecords": [{"zoneID": "Z1", "hostname": "old.example.com"}]},
    ],
    ids=lambda status: next(iter(status)),
)
def test_what_the_status_tells_of_counts_although_the_finalizer_was_removed(status: dict[str, Any]) -> None:
    spec = {"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "eipalloc-0123456789abcdef0"}]}
    meta = {
        "name": "a",
        "namespace": "mail",
        "uid": "u",
        "resourceVersion": "1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "generation": 1,
    }
    assert parse_object({"metadata": meta, "spec": spec, "status": {"hostname": "x.example.com"}}).untouched
    assert not parse_object({"metadata": meta, "spec": spec, "status": status}).untouched


HOST, FORMER = "mta.example.com", "former.example.com"


@pytest.mark.parametrize(
    ("update", "left"),
    [(None, (HOST, None)), (HOST, (HOST, Origin.MANAGED)), (FORMER, (None, Origin.MANAGED))],
)
def test_a_name_that_a_third_party_set_before_the_object_had_it_is_not_the_objects(
    update: str | None, left: tuple[str | None, Origin | None]
) -> None:
    """What the operator was about to set to another name then is still its own."""
    entry = {"selector": "s", "ptr": HOST, "ptrOrigin": "Managed", "ptrUpdate": update}
    status = {"observedGeneration": 1, "hostname": FORMER, "addresses": [entry]}
    (found,) = parse_object({"metadata": METADATA, "spec": SPEC, "status": status}).status.addresses
    assert (found.ptr, found.ptr_origin) == left
    assert found.ptr_update == update
