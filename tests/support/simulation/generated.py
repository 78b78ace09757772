"""Specs drawn from the shipped CRD's schema. Texts are words that stand for things of the fuzzed world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from mailegress.api.types import parse_spec
from mailegress.api.validation import InvalidObject
from tests.support.simulation.crdschema import schema

HOSTS = ("mta.example.com", "out.example.com", "mta.sub.example.com", "mta.elsewhere.net")
"""Three of Route 53 and one of another provider. ``mta.nowhere.org`` has no zone at all."""
ELSEWHERE = (HOSTS[3], "out.elsewhere.net")
"""Names of the other provider. Their A records hold every EIP."""
EIPS = 6
"""Of these the last one is in the second region."""
SECOND_REGION = "eu-west-1"
MOST_ITEMS = 3
MOST_SECONDS = 900
"""Resolvers keep what they heard for a TTL; a world is only quiet once they have forgotten it."""

WORDS: Mapping[str, Sequence[str]] = {
    "hostname": (*HOSTS[:3] * 3, *ELSEWHERE, "mta.nowhere.org"),
    "elasticIPs.allocationID": (*(f"EIP{n}" for n in range(EIPS)),) * 2 + ("BALANCER", "eipalloc-0dead"),
    "elasticIPs.publicIP": tuple(f"IP{n}" for n in range(EIPS)),
    "elasticIPs.natGatewayID": ("NAT", "NAT", "REGIONAL", "REGIONAL", "nat-0dead"),
    "elasticIPs.instanceID": ("INSTANCE", "INSTANCE", "INSTANCE", "i-0dead"),
    "elasticIPs.networkInterfaceID": ("INTERFACE", "INTERFACE", "eni-0dead"),
    "elasticIPs.region": (*("ap-northeast-1",) * 6, *(SECOND_REGION,) * 3, "us-west-2"),
    "forward.hostedZoneID": ("ZONE0", "ZONE0", "ZONE1", "Z0NE"),
    "senderDomains": (HOSTS[0], "example.com", "shop.example.com"),
}
"""Values of every text field of the schema, more often such as can come true."""
TAGS: Mapping[str, Sequence[Mapping[str, str]]] = {
    "elasticIPs.tags": ({"use": "mail"}, {"use": "mail"}, {"use": "mail", "env": "a"}),
    "elasticIPs.natGatewayTags": ({"use": "mail"},),
}
"""Values of every field of tags. The world has tags that anybody may move."""
STAND_INS = {
    **{f"EIP{n}": f"eipalloc-{n:08x}" for n in range(EIPS)},
    **{f"IP{n}": f"203.0.113.{n + 1}" for n in range(EIPS)},
    "BALANCER": "eipalloc-000000ff", "NAT": "nat-01", "REGIONAL": "nat-02", "INSTANCE": "i-01", "INTERFACE": "eni-01",
    "ZONE0": "Z0", "ZONE1": "Z1",
}  # fmt: skip
"""For the validation of a spec that is not of any world yet."""
SELECTORS = (
    "allocationID", "publicIP", "natGatewayID", "instanceID", "networkInterfaceID", "tags", "natGatewayTags",
)  # fmt: skip
RARE = {"suspend": (False, False, False, False, True), "adoption": ("Matching", "Matching", "Never")}


def specs() -> st.SearchStrategy[dict[str, Any]]:
    """Valid specs: the schema's types and bounds, and the rules that CEL holds."""
    return _drawn(schema()["properties"]["spec"], "").filter(_valid)


def likely_specs() -> st.SearchStrategy[dict[str, Any]]:
    """Specs that come true if nothing is in the way."""
    selectors = [{"allocationID": f"EIP{n}"} for n in range(EIPS - 1)]
    selectors += [{"natGatewayID": "REGIONAL"}, {"networkInterfaceID": "INTERFACE"}]
    selectors += [{field.rsplit(".", 1)[-1]: dict(tags)} for field, values in TAGS.items() for tags in values]
    return st.fixed_dictionaries(
        {
            "hostname": st.sampled_from(HOSTS[:2]),
            "elasticIPs": st.lists(st.sampled_from(selectors), min_size=1, max_size=2),
        }
    ).filter(_valid)


def spec_fields() -> st.SearchStrategy[str]:
    return st.sampled_from(sorted(schema()["properties"]["spec"]["properties"]))


def translated(value: Any, words: Mapping[str, str]) -> Any:
    """The same with every word replaced by what it stands for."""
    if isinstance(value, dict):
        return {k: translated(v, words) for k, v in value.items()}
    if isinstance(value, list):
        return [translated(v, words) for v in value]
    return words.get(value, value) if isinstance(value, str) else value


def _valid(spec: dict[str, Any]) -> bool:
    try:
        parse_spec(translated(spec, STAND_INS))
    except InvalidObject:
        return False
    return True


def _drawn(node: Mapping[str, Any], path: str) -> st.SearchStrategy[Any]:
    """A strategy for one node of an OpenAPI schema. A text field without words is an error: the schema grew."""
    field = path.rsplit(".", 1)[-1]
    if field in RARE:
        assert node["type"] == "boolean" or set(RARE[field]) == set(node["enum"]), path
        return st.sampled_from(RARE[field])
    if path in TAGS:
        return st.sampled_from(TAGS[path]).map(dict)
    if "enum" in node:
        return st.sampled_from(node["enum"])
    match node["type"]:
        case "boolean":
            return st.booleans()
        case "integer":
            least = node["minimum"]
            return st.sampled_from((300, 300, least)) | st.integers(least, min(node["maximum"], MOST_SECONDS))
        case "string":
            return st.sampled_from(WORDS[path])
        case "array":
            most = min(node["maxItems"], MOST_ITEMS)
            distinct = node.get("x-kubernetes-list-type") == "set"
            least = node.get("minItems", 0)
            return st.lists(_drawn(node["items"], path), min_size=least, max_size=most, unique=distinct)
        case "object":
            return _object(node, path)
        case other:
            raise AssertionError(f"no values for {other} at {path}")


def _object(node: Mapping[str, Any], path: str) -> st.SearchStrategy[dict[str, Any]]:
    members = {
        name: _drawn(child, f"{path}.{name}".lstrip("."))
        for name, child in sorted(node["properties"].items())
    }
    required = set(node.get("required", ()))
    if set(SELECTORS) <= set(members):
        region = {k: v for k, v in members.items() if k not in SELECTORS}
        # Mostly without a region: one that is named is often not that of the address.
        return st.one_of(
            *(
                st.fixed_dictionaries({kind: members[kind]}, optional=rest)
                for rest in ({}, region)
                for kind in (*SELECTORS[:1] * 3, *SELECTORS, "tags")
            )
        )
    return st.fixed_dictionaries(
        {k: v for k, v in members.items() if k in required},
        optional={k: v for k, v in members.items() if k not in required},
    )
