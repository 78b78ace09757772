"""What the pages show can be followed: links lead somewhere, examples are accepted, names exist."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from mailegress.api.policy import parse_policy
from mailegress.api.types import parse_spec
from mailegress.api.validation import InvalidObject
from mailegress.cli.settings import settings_table
from sandbox.aws.client import SandboxAws
from sandbox.cloud import Cloud
from scripts import reference

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")


def each(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    return _BLOCK.sub("", path.read_text())


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for path in PAGES:
        for number, (kind, text) in enumerate(_BLOCK.findall(path.read_text())):
            if kind == language:
                yield f"{each(path)}[{number}]", text


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    heads = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", PAGES, ids=each)
def test_links_within_the_repository_lead_somewhere(path: Path) -> None:
    broken = []
    for link in _LINK.findall(prose(path)):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        there = (path.parent / target).resolve() if target else path
        if not there.exists() or not there.is_relative_to(ROOT) or (anchor and anchor not in anchors(there)):
            broken.append(link)
    assert broken == []


def test_the_check_of_anchors_can_fail() -> None:
    assert "limits" in anchors(ROOT / "README.md")
    assert "no-such-heading" not in anchors(ROOT / "README.md")


# ---------------------------------------------------------------- examples


def closed(node: Any) -> Any:
    """The CRD's schema as kubectl applies it: unknown fields are refused. CEL, which JSON Schema lacks, is left out."""
    if isinstance(node, list):
        return [closed(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    made = {key: closed(value) for key, value in node.items() if not str(key).startswith("x-kubernetes-")}
    if isinstance(made.get("properties"), dict) and made.get("type") == "object":
        made["additionalProperties"] = False
    return made


PLURALS = {"MailEgress": "mailegresses", "MailEgressPolicy": "mailegresspolicies"}


def validate(manifest: dict[str, Any]) -> None:
    schema = closed(reference.version_of(PLURALS[manifest["kind"]])["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"]["additionalProperties"] = True
    jsonschema.Draft7Validator(schema).validate(manifest)
    if manifest["kind"] == "MailEgress":
        parse_spec(manifest["spec"])
    else:
        assert not parse_policy(manifest).problem


def manifests() -> list[tuple[str, dict[str, Any]]]:
    shown = list(blocks("yaml"))
    shown += [(each(path), path.read_text()) for path in sorted((ROOT / "deploy" / "samples").glob("*.yaml"))]
    return [
        (where, document)
        for where, text in shown
        for document in yaml.safe_load_all(text)
        if document and document.get("kind") in PLURALS
    ]


@pytest.mark.parametrize("manifest", [pytest.param(m, id=where) for where, m in manifests()])
def test_a_manifest_that_is_shown_is_accepted(manifest: dict[str, Any]) -> None:
    validate(manifest)


def test_the_readme_shows_both_shapes() -> None:
    kinds = [
        set(entry)
        for where, m in manifests()
        if where.startswith("README") and m["kind"] == "MailEgress"
        for entry in m["spec"]["elasticIPs"]
    ]
    assert {"natGatewayID"} in kinds
    assert {"instanceID"} in kinds


def test_the_first_manifest_selects_by_tags() -> None:
    """It can be in Git without an ID of an AWS account."""
    first = next(m for where, m in manifests() if where.startswith("README"))
    assert [set(entry) for entry in first["spec"]["elasticIPs"]] == [{"tags"}]


def test_the_terraform_page_names_the_tag_that_it_sets() -> None:
    page = (ROOT / "docs/how-to/terraform.md").read_text()
    [named] = re.findall(r"- tags:\n +(\w+): (\w+)\n", page)
    assert re.findall(r"tags += \{ (\w+) = \"(\w+)\" \}", page) == [named]


@pytest.mark.parametrize(
    "change",
    [
        {"hostName": "mta.example.com"},
        {"elasticIPs": []},
        {"adoption": "Always"},
        {"hostname": "MTA.example.com"},
    ],
    ids=str,
)
def test_a_manifest_with_a_slip_would_be_noticed(change: dict[str, Any]) -> None:
    _, manifest = manifests()[0]
    with pytest.raises((jsonschema.ValidationError, InvalidObject)):
        validate({**manifest, "spec": {**manifest["spec"], **change}})


@pytest.mark.parametrize("text", [pytest.param(t, id=where) for where, t in blocks("yaml")])
def test_yaml_that_is_shown_is_yaml(text: str) -> None:
    documents = list(yaml.safe_load_all(text))
    assert all(isinstance(document, dict) for document in documents)
    chart = json.loads((ROOT / "deploy/helm/mailegress/values.schema.json").read_text())
    for values in (document for document in documents if "kind" not in document):
        jsonschema.Draft7Validator(chart).validate(values)


@pytest.mark.parametrize("text", [pytest.param(t, id=where) for where, t in blocks("json")])
def test_a_policy_that_is_shown_is_one_that_is_shipped(text: str) -> None:
    shipped = [json.loads(path.read_text()) for path in (ROOT / "deploy" / "iam").glob("*.json")]
    assert json.loads(text) in shipped


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("path", PAGES, ids=each)
def test_variables_that_are_named_exist(path: Path) -> None:
    known = {row.env for row in settings_table()} | reference.command_variables()
    sources = (source for folder in ("sandbox", "tests") for source in (ROOT / folder).rglob("*.py"))
    sandbox = "".join(source.read_text() for source in sources)
    named = set(re.findall(r"\b(?:MAILEGRESS|SANDBOX)_[A-Z0-9_]+\b", path.read_text()))
    assert {name for name in named - known if f'"{name}"' not in sandbox} == set()


@pytest.mark.parametrize("path", PAGES, ids=each)
def test_metrics_that_are_named_exist(path: Path) -> None:
    known = set(re.findall(r"^\| `(mailegress_\w+)`", reference.metrics(), re.MULTILINE))
    assert set(re.findall(r"\bmailegress_[a-z_]+\b", path.read_text())) <= known


@pytest.mark.parametrize("path", PAGES, ids=each)
def test_flags_of_the_operator_that_are_named_exist(path: Path) -> None:
    """Flags in prose that are not those of another command on the same line."""
    known = {row.flag for row in settings_table()} | reference.command_flags()
    others = {
        "--no-deps",
        "--check",
        "--json",
        "--strict",
        "--allocation-ids",
        "--nat-gateway-ids",
        "--hosted-zone-id",
        "--build-arg",
        "--set",
        # Of external-dns.
        "--managed-record-types",
        "--events",
        "--interval",
        "--registry",
        "--source",
        "--rfc2136-min-ttl",
        "--ns1-min-ttl",
    }
    named = set(re.findall(r"`(--[a-z0-9-]+)(?: [^`]*)?`", prose(path)))
    assert named - others <= known


def test_commands_of_the_sandbox_that_are_named_exist() -> None:
    text = (ROOT / "docs" / "sandbox.md").read_text()
    commands = set(re.findall(r"cloud\.aws\.(\w+)", text))
    assert {"add_fault", "create_zone"} <= commands
    assert [name for name in sorted(commands) if not hasattr(SandboxAws, name)] == []
    operations = set(re.findall(r'cloud\.dns\("([a-z-]+)"', text))
    with Cloud() as cloud, pytest.raises(KeyError) as refused:
        cloud.dns("no-such-operation")
    assert operations
    assert [name for name in sorted(operations) if f"'{name}'" not in str(refused.value)] == []


def test_python_that_is_shown_is_python() -> None:
    shown = list(blocks("python"))
    assert shown
    for _, text in shown:
        ast.parse(text)


def test_targets_of_make_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        name
        for path in PAGES
        for name in re.findall(r"\bmake ([a-z0-9]+(?:-[a-z0-9]+)*)", "\n".join(code(path)))
    }
    assert {"demo", "test", "sandbox"} <= named
    assert named <= targets


def code(path: Path) -> list[str]:
    text = path.read_text()
    return [*re.findall(r"`([^`\n]+)`", prose(path)), *(block for _, block in _BLOCK.findall(text))]


def test_the_changelog_has_a_place_for_what_comes() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]\n" in text
    assert "### Added\n" in text
