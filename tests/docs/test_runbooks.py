"""Each alert has its runbook, and each runbook its alert; a runbook says what somebody at night needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailegress.api.reasons import ALL_REASONS

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for group in yaml.safe_load((ROOT / "deploy" / "observability" / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
}
PAGES = {path.stem: path.read_text() for path in RUNBOOKS.glob("*.md") if path.stem != "index"}
SECTIONS = ["Impact", "Diagnosis", "Remedy", "When it is harmless"]


def test_alerts_and_runbooks_are_the_same_set() -> None:
    assert set(PAGES) == set(ALERTS)


def test_the_address_of_a_runbook_is_its_page() -> None:
    assert {rule["annotations"]["runbook_url"].rsplit("/", 2)[1] for rule in ALERTS.values()} == set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_a_runbook_has_every_part(name: str) -> None:
    page = PAGES[name]
    title, meaning = page.split("\n", 2)[0], page.split("\n## ", 1)[0].splitlines()[1:]
    assert title == f"# {name}"
    assert len(" ".join(meaning)) > 80, "it does not say what the alert means"
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == SECTIONS
    for section in SECTIONS:
        text = page.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
        assert len(text.strip()) > 20, section


@pytest.mark.parametrize("name", PAGES)
def test_a_runbook_says_the_severity_of_its_alert(name: str) -> None:
    assert f"Severity: {ALERTS[name]['labels']['severity']}." in PAGES[name]


@pytest.mark.parametrize("name", PAGES)
def test_a_diagnosis_has_commands_to_run(name: str) -> None:
    diagnosis = PAGES[name].split("\n## Diagnosis\n", 1)[1].split("\n## Remedy\n", 1)[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", diagnosis, re.MULTILINE | re.DOTALL)
    assert any(re.search(r"^\s*(kubectl|aws|dig|curl|for) ", block, re.MULTILINE) for block in blocks)


@pytest.mark.parametrize("name", PAGES)
def test_reasons_in_a_runbook_exist(name: str) -> None:
    """Reasons are filtered for in commands; a misspelt one finds nothing."""
    sought = re.findall(r"grep (?:-E )?'?([A-Z][A-Za-z|]+)'?(?:\s|$)", PAGES[name])
    sought += re.findall(r'\.reason=="(\w+)"', PAGES[name])
    words = {word for text in sought for word in text.split("|")}
    assert words - set(ALL_REASONS) - {"Unauthorized", "Credentials"} == set()


def test_the_list_of_alerts_names_each_with_its_severity() -> None:
    text = (ROOT / "docs" / "observability.md").read_text()
    rows = dict(re.findall(r"^\| \[(\w+)\]\(runbooks/\1\.md\) \| (\w+) \|", text, re.MULTILINE))
    assert rows == {name: rule["labels"]["severity"] for name, rule in ALERTS.items()}


def test_the_index_leads_to_each() -> None:
    assert sorted(
        re.findall(r"^- \[(\w+)\]\(\1\.md\): .", (RUNBOOKS / "index.md").read_text(), re.MULTILINE)
    ) == sorted(PAGES)
