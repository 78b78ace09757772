"""The generated parts of the pages are what the code says now, and say enough."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mailegress.api import conditions, names
from mailegress.api.reasons import ALL_REASONS, Reason
from mailegress.cli.settings import settings_table
from scripts import reference

ROOT = Path(__file__).parents[2]
PARTS_OF_THE_REFERENCE = {"spec", "status", "columns", "conditions", "reasons", "settings", "metrics", "rbac"}
PARTS_OF_THE_REFERENCE |= {"policy-spec", "policy-status", "policy-columns", "advisories"}


def page(name: str) -> str:
    return (ROOT / name).read_text()


def rows(text: str) -> list[list[str]]:
    """The cells of a page's tables."""
    return [
        [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The pages, where a test may spoil them."""
    for name in reference.PAGES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("name", reference.PAGES)
def test_a_page_is_up_to_date(name: str) -> None:
    assert page(name) == reference.render(page(name)), "run: python scripts/reference.py"


def test_nothing_is_left_out() -> None:
    assert set(reference.parts_of(page("docs/reference.md"))) == PARTS_OF_THE_REFERENCE
    policies = {f"iam-{path.name}" for path in (ROOT / "deploy" / "iam").glob("*.json")}
    assert set(reference.parts_of(page("docs/iam.md"))) == policies
    assert {"short-reasons", "iam-zone-account.json", "iam-eip-account-tagged.json"} == set(
        reference.parts_of(page("README.md"))
    )


def test_a_page_that_is_out_of_date_is_noticed_and_renewed(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Given a reason changed on the page only, --check names the page and fails; without it the page is put right."""
    stale = copied / "docs/reference.md"
    stale.write_text(stale.read_text().replace("| `ZoneNotFound` |", "| `ZoneMissing` |"))
    assert reference.main(["--check"], copied) == 1
    assert "docs/reference.md" in capsys.readouterr().out
    assert "`ZoneMissing`" in stale.read_text()
    assert reference.main([], copied) == 0
    assert stale.read_text() == page("docs/reference.md")
    assert reference.main(["--check"], copied) == 0


def test_a_part_that_nothing_makes_is_an_error() -> None:
    with pytest.raises(KeyError, match="nonsense"):
        reference.render("<!-- generated: nonsense -->\n<!-- end of nonsense -->")


@pytest.mark.parametrize("reason", ALL_REASONS.values(), ids=str)
def test_every_reason_says_when_it_is_set_and_what_to_do(reason: Reason) -> None:
    found = [row for row in rows(page("docs/reference.md")) if row[0] == f"`{reason.name}`" and len(row) == 5]
    assert [row[3:] for row in found] == [[reason.when, reason.remedy]]
    assert len(reason.when) > 20
    assert reason.remedy.endswith(".")


def needs_somebody(reason: Reason) -> bool:
    return reason.stalls_at_once or not reason.remedy.startswith(("No action required", "Wait."))


def test_every_reason_that_needs_somebody_has_its_line_in_troubleshooting() -> None:
    told = {row[0].strip("`") for row in rows(page("docs/troubleshooting.md")) if len(row) == 2}
    missing = {r.name for r in ALL_REASONS.values() if needs_somebody(r)} - told
    assert not missing


def test_troubleshooting_knows_no_reason_that_does_not_exist() -> None:
    text = page("docs/troubleshooting.md")
    tables = text[text.index("## By reason") : text.index("## Uninstall")]
    told = {row[0].strip("`") for row in rows(tables) if row[0].startswith("`")}
    assert told
    assert told <= set(ALL_REASONS)


def test_every_condition_says_what_true_means() -> None:
    meanings = {row[0]: row[1] for row in rows(page("docs/reference.md")) if len(row) == 2}
    assert [kind for kind in conditions.CONDITION_ORDER if not meanings.get(f"`{kind}`")] == []


def test_every_setting_has_one_row() -> None:
    flags = [row[0] for row in rows(page("docs/reference.md")) if row[0].startswith("`--")]
    assert flags == [f"`{row.flag}`" for row in settings_table()]


def test_names_that_users_write_or_meet_are_told() -> None:
    text = page("docs/reference.md")
    for name in (
        names.FINALIZER,
        names.RECONCILE_ANNOTATION,
        names.OWNERSHIP_LABEL,
        names.SHORT_NAME,
        names.CATEGORY,
        names.PLURAL,
        *("/livez", "/readyz", "/metrics"),
    ):
        assert name in text
