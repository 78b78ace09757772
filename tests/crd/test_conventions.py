"""The Kubernetes API conventions, as far as schemas can keep them, and the schema's equality with the model.

The rules are those of the API conventions (sig-architecture) and of kube-api-linter. No API server is needed.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailegress.api import conditions, limits, names
from mailegress.api.status import (
    AddressStatus,
    Advisory,
    Condition,
    FormerRecord,
    ForwardStatus,
    Status,
    ZoneStatus,
    initial_status,
)
from mailegress.api.types import Adoption, DeletionPolicy, Forward, Management, SelectorKind, Spec

Schema = dict[str, Any]

CRDS = Path(__file__).parents[2] / "crds"
CRD: Schema = yaml.safe_load((CRDS / "mailegress.io_mailegresses.yaml").read_text())
POLICY_CRD: Schema = yaml.safe_load((CRDS / "mailegress.io_mailegresspolicies.yaml").read_text())
VERSION: Schema = CRD["spec"]["versions"][0]
ROOT: Schema = VERSION["schema"]["openAPIV3Schema"]
SPEC: Schema = ROOT["properties"]["spec"]
STATUS: Schema = ROOT["properties"]["status"]


def walk(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from walk(schema["additionalProperties"], f"{path}[]")


def policy_nodes() -> Iterator[tuple[str, Schema]]:
    (version,) = POLICY_CRD["spec"]["versions"]
    for part in ("spec", "status"):
        yield from walk(version["schema"]["openAPIV3Schema"]["properties"][part], f"policy.{part}")


NODES = [*walk(SPEC, "spec"), *walk(STATUS, "status")]
EVERY = [*NODES, *policy_nodes()]
node = pytest.mark.parametrize(("path", "schema"), EVERY, ids=[path for path, _ in EVERY])


MAPS = {
    "spec.elasticIPs[].tags",
    "spec.elasticIPs[].natGatewayTags",
    "policy.spec.namespaces.matchLabels",
    "policy.spec.addresses.matchTags",
}
"""Objects whose keys users choose. Their length is bounded by a rule."""


@node
def test_every_value_is_bounded(path: str, schema: Schema) -> None:
    kind = schema["type"]
    if kind == "string":
        assert schema["maxLength"] > 0
    elif kind == "array":
        assert schema["maxItems"] > 0
        assert schema["x-kubernetes-list-type"] in {"atomic", "map", "set"}
    elif kind == "integer":
        assert schema["format"] in {"int32", "int64"}
        # Generations are bounded by their 64 bits.
        assert "minimum" in schema
        assert "maximum" in schema or path.endswith("observedGeneration")
    elif kind == "boolean":
        assert path in {"spec.suspend", "policy.spec.addresses.any", "policy.spec.allowRetain"}
    else:
        assert kind == "object"
        assert schema.get("properties") or schema["maxProperties"] > 0


@node
def test_every_field_is_described_with_an_example(path: str, schema: Schema) -> None:
    if schema["type"] == "string" and path.endswith("[]"):
        return  # the items of a list of strings; their list is described
    description, separator, example = schema["description"].partition("Example: ")
    assert separator
    assert example
    assert description.strip()


@node
def test_nothing_is_loose(path: str, schema: Schema) -> None:
    loose = {
        "nullable",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-int-or-string",
    }
    assert not loose & set(schema)
    assert ("additionalProperties" in schema) == (path in MAPS)


@node
def test_names_follow_the_conventions(path: str, schema: Schema) -> None:
    name = path.rpartition(".")[2].removesuffix("[]")
    assert re.fullmatch(r"[a-z]+([A-Z][a-z]+|IP|IPs|ID|IDs)*", name)
    assert "timestamp" not in name.lower()
    assert not name.endswith("Id")
    assert not name.endswith("Duration")


@node
def test_defaults_are_where_they_do_no_harm(path: str, schema: Schema) -> None:
    """Inside an absent object a default vanishes; inside a list item it breaks server-side apply."""
    allowed = {"spec.adoption", "spec.deletionPolicy", "spec.suspend", "status", "status.observedGeneration"}
    allowed |= {f"policy.spec.{name}" for name in ("management", "allowRetain", "maxMailEgresses")}
    assert ("default" in schema) == (path in allowed)


@node
def test_every_rule_tells_the_user_something(path: str, schema: Schema) -> None:
    for rule in schema.get("x-kubernetes-validations", []):
        assert len(rule["message"]) > 30
        # FieldValueDuplicate and FieldValueRequired are printed without the message or without the value.
        assert rule.get("reason", "FieldValueForbidden") == "FieldValueForbidden"


@node
def test_only_our_own_words_are_enumerated_in_status(path: str, schema: Schema) -> None:
    if path.startswith(("status", "policy.status")):
        assert "pattern" not in schema
        assert "x-kubernetes-validations" not in schema
        ours = {"status.addresses[].ptrOrigin", "status.forward.origin", "status.conditions[].status"}
        assert ("enum" in schema) == (path in ours)


def test_status_fields_are_optional() -> None:
    required = [path for path, schema in walk(STATUS, "status") if "required" in schema]
    assert required == ["status.conditions[]"]


def test_conditions_have_the_standard_shape() -> None:
    schema = STATUS["properties"]["conditions"]
    assert schema["x-kubernetes-list-type"] == "map"
    assert schema["x-kubernetes-list-map-keys"] == ["type"]
    item = schema["items"]
    assert set(item["required"]) == {"type", "status", "reason", "message", "lastTransitionTime"}
    assert set(item["properties"]) == {*item["required"], "observedGeneration"}
    assert item["properties"]["lastTransitionTime"]["format"] == "date-time"
    assert schema["maxItems"] >= len(conditions.CONDITION_ORDER)


def test_the_default_status_is_the_models_initial_status() -> None:
    assert initial_status().matches(STATUS["default"])
    assert [c["type"] for c in STATUS["default"]["conditions"]] == list(conditions.POSITIVE)


def test_the_resource_is_named_as_in_the_code() -> None:
    spec = CRD["spec"]
    assert CRD["metadata"]["name"] == f"{names.PLURAL}.{names.GROUP}"
    assert spec["group"] == names.GROUP
    assert VERSION["name"] == names.VERSION
    assert spec["names"] == {
        "kind": names.KIND,
        "listKind": names.LIST_KIND,
        "plural": names.PLURAL,
        "singular": names.SINGULAR,
        "shortNames": [names.SHORT_NAME],
        "categories": [names.CATEGORY],
    }
    assert names.CATEGORY != names.SINGULAR
    assert VERSION["subresources"] == {"status": {}}
    assert VERSION["selectableFields"] == [{"jsonPath": ".spec.hostname"}]


def test_the_policy_is_of_the_cluster_and_of_the_same_group_and_version() -> None:
    spec, (version,) = POLICY_CRD["spec"], POLICY_CRD["spec"]["versions"]
    assert (spec["scope"], spec["group"], version["name"]) == ("Cluster", names.GROUP, names.VERSION)
    assert spec["names"]["categories"] == [names.CATEGORY]
    assert spec["names"]["shortNames"] == ["megp"]
    assert version["subresources"] == {"status": {}}


def test_what_a_policy_names_is_bounded_as_in_a_mailegress() -> None:
    """What the one takes, the other can name: same rules for IDs, regions and hostnames."""
    mine, (version,) = SPEC["properties"], POLICY_CRD["spec"]["versions"]
    policy = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    selectors, addresses = mine["elasticIPs"]["items"]["properties"], policy["addresses"]["properties"]
    for ours, theirs in (
        (mine["forward"]["properties"]["hostedZoneID"], policy["hostedZoneIDs"]["items"]),
        (selectors["allocationID"], addresses["allocationIDs"]["items"]),
        (selectors["natGatewayID"], addresses["natGatewayIDs"]["items"]),
        (selectors["region"], addresses["regions"]["items"]),
    ):
        assert theirs["maxLength"] == ours["maxLength"]
        assert theirs["x-kubernetes-validations"] == ours["x-kubernetes-validations"]
    assert policy["management"]["items"]["enum"] == mine["forward"]["properties"]["management"]["enum"]
    assert policy["management"]["maxItems"] == len(policy["management"]["items"]["enum"])


def test_the_group_is_explained_in_every_annotation_and_finalizer() -> None:
    assert names.FINALIZER.startswith(f"{names.GROUP}/")
    assert names.RECONCILE_ANNOTATION.startswith(f"{names.GROUP}/")


def camel(name: str) -> str:
    """The API's spelling of a Python field name: `public_ip` is `publicIP`."""
    head, *tail = name.split("_")
    initials = {"id": "ID", "ip": "IP", "ips": "IPs"}
    return head + "".join(initials.get(part, part.capitalize()) for part in tail)


def model_fields(model: type) -> set[str]:
    assert is_dataclass(model)
    return {camel(field.name) for field in fields(model)}


SELECTOR_FIELDS = {kind.value for kind in SelectorKind} | {"region"}


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        (SPEC, model_fields(Spec)),
        (SPEC["properties"]["elasticIPs"]["items"], SELECTOR_FIELDS),
        (SPEC["properties"]["forward"], model_fields(Forward)),
        (STATUS, model_fields(Status) | {"display"}),
        (STATUS["properties"]["display"], {"addresses", "ptr", "advisories"}),
        (STATUS["properties"]["zone"], model_fields(ZoneStatus)),
        (STATUS["properties"]["forward"], model_fields(ForwardStatus)),
        (STATUS["properties"]["formerRecords"]["items"], model_fields(FormerRecord)),
        (STATUS["properties"]["addresses"]["items"], model_fields(AddressStatus)),
        (STATUS["properties"]["conditions"]["items"], model_fields(Condition)),
        (STATUS["properties"]["advisories"]["items"], model_fields(Advisory)),
    ],
    ids=[
        "spec",
        "elasticIPs[]",
        "forward",
        "status",
        "status.display",
        "status.zone",
        "status.forward",
        "formerRecords[]",
        "addresses[]",
        "conditions[]",
        "advisories[]",
    ],
)
def test_the_schema_and_the_model_have_the_same_fields(schema: Schema, wanted: set[str]) -> None:
    assert set(schema["properties"]) == wanted


def test_the_schema_and_the_model_have_the_same_words() -> None:
    forward, origin = SPEC["properties"]["forward"]["properties"], STATUS["properties"]["addresses"]["items"]
    assert forward["management"]["enum"] == [*Management]
    assert SPEC["properties"]["adoption"]["enum"] == [*Adoption]
    assert SPEC["properties"]["deletionPolicy"]["enum"] == [*DeletionPolicy]
    assert origin["properties"]["ptrOrigin"]["enum"] == ["Managed", "Adopted"]
    fresh = Spec("mta.example.com", ())
    assert SPEC["properties"]["adoption"]["default"] == fresh.adoption
    assert SPEC["properties"]["deletionPolicy"]["default"] == fresh.deletion_policy
    assert SPEC["properties"]["suspend"]["default"] is fresh.suspend


BOUNDS = {
    "spec.hostname": limits.DNS_NAME_LENGTH,
    "spec.elasticIPs": limits.SELECTORS,
    "spec.elasticIPs[].allocationID": limits.IDENTIFIER_LENGTH,
    "spec.elasticIPs[].publicIP": limits.IDENTIFIER_LENGTH,
    "spec.elasticIPs[].natGatewayID": limits.IDENTIFIER_LENGTH,
    "spec.elasticIPs[].instanceID": limits.IDENTIFIER_LENGTH,
    "spec.elasticIPs[].networkInterfaceID": limits.IDENTIFIER_LENGTH,
    "spec.elasticIPs[].tags": limits.SELECTOR_TAGS,
    "spec.elasticIPs[].natGatewayTags": limits.SELECTOR_TAGS,
    "spec.elasticIPs[].tags[]": limits.TAG_VALUE_LENGTH,
    "spec.elasticIPs[].natGatewayTags[]": limits.TAG_VALUE_LENGTH,
    "spec.elasticIPs[].region": limits.IDENTIFIER_LENGTH,
    "spec.forward.management": limits.WORD_LENGTH,
    "spec.forward.hostedZoneID": limits.IDENTIFIER_LENGTH,
    "spec.forward.ttlSeconds": limits.MAX_TTL_SECONDS,
    "spec.adoption": limits.WORD_LENGTH,
    "spec.deletionPolicy": limits.WORD_LENGTH,
    "spec.senderDomains": limits.SENDER_DOMAINS,
    "spec.senderDomains[]": limits.DNS_NAME_LENGTH,
    "status.hostname": limits.DNS_NAME_LENGTH,
    "status.policy": limits.DNS_NAME_LENGTH,
    "status.publicIPs": limits.ADDRESSES,
    "status.publicIPs[]": limits.IDENTIFIER_LENGTH,
    "status.display.addresses": limits.DISPLAY_ADDRESSES_LENGTH,
    "status.display.ptr": limits.WORD_LENGTH,
    "status.display.advisories": limits.DISPLAY_ADVISORIES_LENGTH,
    "status.advisories": limits.ADVISORIES,
    "status.advisories[].code": limits.REASON_LENGTH,
    "status.advisories[].severity": limits.WORD_LENGTH,
    "status.advisories[].message": limits.MESSAGE_LENGTH,
    "status.advisories[].addresses": limits.ADDRESSES,
    "status.advisories[].addresses[]": limits.IDENTIFIER_LENGTH,
    "status.zone.id": limits.IDENTIFIER_LENGTH,
    "status.zone.name": limits.STATUS_NAME_LENGTH,
    "status.zone.accountID": limits.IDENTIFIER_LENGTH,
    "status.forward.values": limits.FORWARD_VALUES,
    "status.forward.values[]": limits.IDENTIFIER_LENGTH,
    "status.forward.ttlSeconds": limits.MAX_STATUS_TTL_SECONDS,
    "status.forward.changeID": limits.IDENTIFIER_LENGTH,
    "status.formerRecords": limits.FORMER_RECORDS,
    "status.dnsEndpoint.name": limits.STATUS_NAME_LENGTH,
    "status.dnsEndpoint.hostnames": limits.ENDPOINT_HOSTNAMES,
    "status.dnsEndpoint.hostnames[]": limits.STATUS_NAME_LENGTH,
    "status.formerRecords[].zoneID": limits.IDENTIFIER_LENGTH,
    "status.formerRecords[].hostname": limits.DNS_NAME_LENGTH,
    "status.formerRecords[].accountID": limits.IDENTIFIER_LENGTH,
    "status.addresses": limits.STATUS_ADDRESSES,
    "status.addresses[].selector": limits.SELECTOR_LENGTH,
    "status.addresses[].publicIP": limits.IDENTIFIER_LENGTH,
    "status.addresses[].allocationID": limits.IDENTIFIER_LENGTH,
    "status.addresses[].accountID": limits.IDENTIFIER_LENGTH,
    "status.addresses[].region": limits.IDENTIFIER_LENGTH,
    "status.addresses[].attachedTo": limits.ATTACHED_TO_LENGTH,
    "status.addresses[].ptr": limits.STATUS_NAME_LENGTH,
    "status.addresses[].ptrUpdate": limits.STATUS_NAME_LENGTH,
    "status.addresses[].ptrOrigin": limits.WORD_LENGTH,
    "status.forward.origin": limits.WORD_LENGTH,
    "status.addresses[].iprev": limits.WORD_LENGTH,
    "status.addresses[].reason": limits.REASON_LENGTH,
    "status.lastHandledReconcileAt": limits.RECONCILE_REQUEST_LENGTH,
    "status.conditions": limits.CONDITIONS,
    "status.conditions[].type": limits.REASON_LENGTH,
    "status.conditions[].status": limits.WORD_LENGTH,
    "status.conditions[].reason": limits.REASON_LENGTH,
    "status.conditions[].message": limits.MESSAGE_LENGTH,
    "status.conditions[].lastTransitionTime": limits.IDENTIFIER_LENGTH,
}


POLICY_BOUNDS = {
    "namespaces.names": limits.POLICY_NAMESPACES,
    "namespaces.names[]": limits.IDENTIFIER_LENGTH,
    "namespaces.matchLabels": limits.POLICY_LABELS,
    "namespaces.matchLabels[]": limits.IDENTIFIER_LENGTH,
    "hostnames.suffixes": limits.POLICY_SUFFIXES,
    "hostnames.suffixes[]": limits.DNS_NAME_LENGTH,
    "hostnames.names": limits.POLICY_NAMES,
    "hostnames.names[]": limits.DNS_NAME_LENGTH,
    "hostedZoneIDs": limits.POLICY_ZONES,
    "hostedZoneIDs[]": limits.IDENTIFIER_LENGTH,
    "addresses.allocationIDs": limits.POLICY_ALLOCATIONS,
    "addresses.allocationIDs[]": limits.IDENTIFIER_LENGTH,
    "addresses.natGatewayIDs": limits.POLICY_GATEWAYS,
    "addresses.natGatewayIDs[]": limits.IDENTIFIER_LENGTH,
    "addresses.matchTags": limits.POLICY_LABELS,
    "addresses.matchTags[]": 256,  # of AWS: "Tag restrictions" in the EC2 user guide
    "addresses.regions": limits.POLICY_REGIONS,
    "addresses.regions[]": limits.IDENTIFIER_LENGTH,
    "management": len(Management),
    "management[]": limits.WORD_LENGTH,
    "maxMailEgresses": limits.POLICY_MAXIMUM,
}


def bounds(nodes: Iterable[tuple[str, Schema]]) -> dict[str, int]:
    return {
        path: bound
        for path, schema in nodes
        for keyword in ("maxLength", "maxItems", "maxProperties", "maximum")
        if (bound := schema.get(keyword)) is not None
    }


def test_the_schemas_bounds_are_those_of_the_code() -> None:
    assert bounds(NODES) == BOUNDS
    policy = bounds(node for node in policy_nodes() if node[0].startswith("policy.spec"))
    assert policy == {f"policy.spec.{path}": bound for path, bound in POLICY_BOUNDS.items()}
    assert SPEC["properties"]["forward"]["properties"]["ttlSeconds"]["minimum"] == limits.MIN_TTL_SECONDS


def test_the_hostname_leaves_room_for_the_ownership_record() -> None:
    longest = "a" * limits.HOSTNAME_LENGTH
    assert len(names.ownership_name(longest)) == limits.DNS_NAME_LENGTH
    assert f"size(self) <= {limits.HOSTNAME_LENGTH}" in [
        rule["rule"] for rule in SPEC["properties"]["hostname"]["x-kubernetes-validations"]
    ]
