"""The pictures are what their script draws, and load nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts import pictures

FILES = sorted(pictures.PICTURES.iterdir())


@pytest.mark.parametrize("name", pictures.BENCH)
def test_a_plot_shows_the_results_of_the_benchmark(name: str) -> None:
    drawn = pictures.BENCH[name]()
    assert (pictures.PICTURES / name).read_text() == drawn, "run: python scripts/pictures.py bench"


def test_the_table_shows_the_results_of_the_benchmark() -> None:
    page = pictures.PAGE.read_text()
    assert page == pictures.with_table(page), "run: python scripts/pictures.py bench"


def test_every_scenario_is_drawn() -> None:
    assert {row["scenario"] for row in pictures.results()} == set(pictures.SCENARIOS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_picture_is_complete_and_loads_nothing(path: Path) -> None:
    text = path.read_text()
    ElementTree.fromstring(text)
    assert re.findall(r"(?:href|src)=|url\((?!#)", text) == []


def test_the_session_shows_its_commands() -> None:
    root = ElementTree.fromstring((pictures.PICTURES / "session.svg").read_text())
    shown = "\n".join(root.itertext()).replace("\xa0", " ")
    assert [command for command in pictures.COMMANDS if f"$ {command}" not in shown] == []


def test_the_screen_of_check_has_its_verdicts_in_colour() -> None:
    root = ElementTree.fromstring((pictures.PICTURES / "check.svg").read_text())
    style = "".join(root.itertext())
    shown = {
        (each.text or "").replace("\xa0", " ").strip(): each.get("class", "")
        for each in root.iter("{http://www.w3.org/2000/svg}text")
    }
    assert f"$ {pictures.CHECK}" in shown
    green = re.findall(r"\.(\S+) \{ fill: #98e024", style)
    assert green
    assert {shown["ok"], shown["spf=pass"]} <= set(green)


def test_every_picture_is_shown_on_a_page() -> None:
    pages = [pictures.ROOT / "README.md", *(pictures.ROOT / "docs").rglob("*.md")]
    shown = "".join(page.read_text() for page in pages)
    assert [path.name for path in FILES if f"pictures/{path.name})" not in shown] == []


def test_a_picture_is_made_by_the_script() -> None:
    assert {path.name for path in FILES} == {*pictures.BENCH, "session.svg", "check.svg"}


def test_the_output_of_check_is_shown_on_the_pages() -> None:
    """Both pages show the same run, with the columns that the command prints now."""
    shown = set()
    for page in pictures.SHOWN_ON:
        text = page.read_text()
        block = text.partition("<!-- shown: check -->")[2].partition("<!-- end of shown check -->")[0]
        shown.add(block)
        assert (
            pictures.with_check(text, block.strip().removeprefix("```console\n").removesuffix("\n```"))
            == text
        )
    [output] = shown
    lines = output.splitlines()
    assert f"$ {pictures.CHECK}" in lines
    assert "mta.example.com: PASS" in lines
    assert ["ASKED", "FOR", "ANSWER", "VERDICT"] in [line.split() for line in lines]
    with pytest.raises(ValueError, match="no place"):
        pictures.with_check("no marks", "x")
