"""The versions that are tested are the versions that are promised."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from sandbox.controlplane.pins import minor_of, read_pins
from scripts.test_kubernetes import modules, stories

ROOT = Path(__file__).resolve().parents[2]
NIGHTLY = yaml.safe_load((ROOT / ".github" / "workflows" / "nightly.yaml").read_text())["jobs"]


def test_every_minor_from_the_oldest_that_is_promised_to_the_newest_has_pins() -> None:
    found = re.search(r"Kubernetes 1\.(\d+) or newer", (ROOT / "README.md").read_text())
    newest = minor_of(read_pins().kubernetes)
    assert found is not None
    assert newest is not None
    assert list(modules()) == [f"1.{minor}" for minor in range(int(found[1]), newest[1] + 1)]


@pytest.mark.parametrize("minor", modules())
def test_the_pins_of_a_minor_are_of_that_minor_and_of_one_release(minor: str) -> None:
    module = modules()[minor]
    release = read_pins(module).kubernetes
    assert release.startswith(f"v{minor}.")
    replaced = re.findall(r"^\s+(\S+) => (\S+) (\S+)$", (module / "go.mod").read_text(), re.MULTILINE)
    assert len(replaced) > 25
    assert {(old == new, version) for old, new, version in replaced} == {
        (True, release.replace("v1", "v0", 1))
    }


def test_twenty_stories_run_on_every_minor_and_all_of_them_exist() -> None:
    assert len(set(stories())) == 20
    for story in stories():
        path, _, name = story.partition("::")
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE), story


def test_every_night_every_minor_and_every_python_is_tested() -> None:
    assert NIGHTLY["kubernetes"]["strategy"]["matrix"]["version"] == list(modules())
    assert NIGHTLY["python"]["strategy"]["matrix"]["version"] == ["3.11", "3.12", "3.13", "3.14"]


def test_the_page_has_a_row_for_every_minor() -> None:
    page = (ROOT / "docs" / "compatibility.md").read_text()
    assert re.findall(r"^\| (1\.\d+) \| v1\.\d+\.\d+ \|", page, re.MULTILINE) == list(modules())
    for module in modules().values():
        assert f"| {read_pins(module).kubernetes} |" in page
