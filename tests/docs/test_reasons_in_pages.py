"""The words in code type on the pages for users exist, and the page on adoption names the reasons of the planner."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailegress.api.advisories import ALL_ADVISORIES
from mailegress.api.conditions import CONDITION_ORDER
from mailegress.api.policy import PolicyMode
from mailegress.api.reasons import ALL_REASONS
from tests.support.planned import HOST, NEW
from tests.support.planner import OTHER_UID, PlannerHarness, mine, obj

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        ROOT / "README.md",
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("docs/how-to/*.md"),
        *ROOT.glob("docs/runbooks/*.md"),
    ]
)
WORD = re.compile(r"`([A-Z](?=[A-Za-z]*[A-Z])(?=[A-Za-z]*[a-z])[A-Za-z]+)`")
OF_OTHERS = {
    # AWS
    "DelegationSet", "GetChange", "GetHostedZone", "ModifyAddressAttribute", "NoSuchHostedZone",
    "ResetAddressAttribute", "ServiceManaged", "UnsupportedOperation",
    # external-dns
    "DNSEndpoint",
    # the layers of the operator itself, in the page on its design
    "AwsApi", "DnsQuery",
}  # fmt: skip


def _schema_words(node: Any) -> Iterator[str]:
    """The kinds and the values that a field may have."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "enum" and isinstance(value, list):
                yield from map(str, value)
            elif key == "kind" and isinstance(value, str):
                yield value
            else:
                yield from _schema_words(value)
    elif isinstance(node, list):
        for value in node:
            yield from _schema_words(value)


def _known() -> set[str]:
    words = {*ALL_REASONS, *CONDITION_ORDER, *ALL_ADVISORIES, *PolicyMode, *OF_OTHERS}
    words |= {path.stem for path in ROOT.glob("docs/runbooks/MailEgress*.md")}
    for path in ROOT.glob("crds/*.yaml"):
        for document in yaml.safe_load_all(path.read_text()):
            words |= set(_schema_words(document))
    return words


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_names_a_reason_that_does_not_exist(path: Path) -> None:
    assert set(WORD.findall(path.read_text())) <= _known()


def test_the_pages_name_reasons() -> None:
    named = {word for path in PAGES for word in WORD.findall(path.read_text())}
    assert len(named & set(ALL_REASONS)) > 20


def _planned(situation: str, adoption: str) -> set[str]:
    """The reasons in the plan for a MailEgress that finds what a row of the page describes."""
    harness = PlannerHarness()
    eip = harness.eip(
        1, {"a PTR with another name": "mail.stranger.net", "the same PTR": HOST}.get(situation)
    )
    match situation:
        case "the same values":
            harness.records.put(HOST, [eip.public_ip])
        case "other values":
            harness.records.put(HOST, ["192.0.2.77"])
        case "an orphan's other values":
            harness.records.put(HOST, ["192.0.2.77"], mine(OTHER_UID))
        case "another operator's record":
            harness.records.put(HOST, [eip.public_ip], mine(OTHER_UID, owner="cluster-b"))
    plan = harness.plan(obj(HOST, [eip], adoption=adoption))
    return {finding.reason for finding in plan.findings.values()}


@pytest.mark.parametrize(
    ("row", "situation", "adoption", "reason"),
    [
        (0, "the same values", "Never", "RecordNotAdopted"),
        (0, "the same PTR", "Never", "PTRNotAdopted"),
        (1, "other values", "Matching", "RecordConflict"),
        (1, "other values", "Never", "RecordConflict"),
        (2, "a PTR with another name", "Matching", "PTRConflict"),
        (2, "a PTR with another name", "Never", "PTRConflict"),
        (4, "an orphan's other values", "Matching", "RecordConflict"),
        (4, "another operator's record", "Never", "RecordConflict"),
    ],
)
def test_the_page_on_adoption_names_the_reason_that_is_given(
    row: int, situation: str, adoption: str, reason: str
) -> None:
    lines = (ROOT / "docs/how-to/adopt.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("| ") and "adoption:" not in line]
    assert f"`{reason}`" in table[row]
    assert reason in _planned(situation, adoption)
    others = {"RecordNotAdopted", "PTRNotAdopted", "RecordConflict", "PTRConflict"} - set(
        WORD.findall(table[row])
    )
    assert not others & _planned(situation, adoption)


def test_a_name_that_is_free_is_no_case_of_adoption() -> None:
    harness = PlannerHarness()
    plan = harness.plan(obj(NEW, [harness.eip(1)]))
    assert not {f.reason for f in plan.findings.values()} & {
        "RecordNotAdopted",
        "RecordConflict",
        "PTRConflict",
    }
