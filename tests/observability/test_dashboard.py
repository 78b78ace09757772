"""The Grafana dashboard: every query is PromQL, and names only what a real page serves."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.observability.exposition import Exposition
from tests.support.observability.running import Run

FOLDER = Path(__file__).parents[2] / "deploy" / "observability"
BOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]

VARIABLES = {"$__rate_interval": "5m", "$namespace": ".*", "$job": ".*"}
"""What Grafana puts in before it asks Prometheus."""


def filled(text: str) -> str:
    for variable, value in VARIABLES.items():
        text = text.replace(variable, value)
    return text


def queries() -> Iterator[tuple[str, str]]:
    for panel in PANELS:
        for target in panel["targets"]:
            yield f"{panel['title']}-{target['refId']}", filled(target["expr"])
    for variable in BOARD["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.*), (\w+)\)", filled(variable["query"]["query"]))
            assert found
            yield f"variable {variable['name']}", f"count by ({found[2]}) ({found[1]})"


QUERIES = [pytest.param(query, id=where) for where, query in queries()]


@pytest.mark.parametrize("query", QUERIES)
def test_a_panel_names_only_what_a_real_page_serves(query: str, page: Exposition) -> None:
    assert "$" not in query
    assert page.misses(query) == []


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_a_legend_names_only_labels_that_the_query_leaves(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        grouped = re.findall(r"\bby \(([^)]*)\)", target["expr"])
        left = {label.strip() for labels in grouped for label in labels.split(",")} if grouped else {"pod"}
        assert shown <= left


def rules(expressions: list[str]) -> str:
    recorded = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(expressions)]
    return yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]})


def test_prometheus_takes_every_query(promtool: Callable[..., Run], tmp_path: Path) -> None:
    every = [query for _, query in queries()]
    (tmp_path / "queries.yaml").write_text(rules(every))
    checked = promtool("check", "rules", tmp_path / "queries.yaml")
    assert checked.code == 0, checked.text
    assert f"{len(every)} rules found" in checked.text


def test_prometheus_would_not_take_a_broken_one(promtool: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "queries.yaml").write_text(rules([f"{QUERIES[0].values[0]} +"]))
    assert promtool("check", "rules", tmp_path / "queries.yaml").code != 0


def test_the_file_is_what_its_source_makes() -> None:
    spec = importlib.util.spec_from_file_location("dashboard_source", FOLDER / "dashboard.py")
    assert spec is not None
    assert spec.loader is not None
    source = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = source
    spec.loader.exec_module(source)
    assert source.dashboard() == BOARD, "run: python deploy/observability/dashboard.py"


def test_every_panel_asks_the_source_that_the_user_chose() -> None:
    assert BOARD["templating"]["list"][0]["type"] == "datasource"
    for panel in PANELS:
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert {source["uid"] for source in sources} == {"${datasource}"}


def test_panels_have_room_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        area = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not area & taken, panel["title"]
        assert max(x for x, _ in area) < 24
        taken |= area
    numbers = [panel["id"] for panel in BOARD["panels"]]
    assert len(numbers) == len(set(numbers))
