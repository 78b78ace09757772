"""The chart's files fit each other and their sources; read as files, without helm."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from mailegress import __version__
from mailegress.api.policy import PolicyMode
from mailegress.cli.settings import specs

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "mailegress"


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    return dict(yaml.safe_load((CHART / "values.yaml").read_text()))


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return dict(json.loads((CHART / "values.schema.json").read_text()))


def test_what_is_generated_is_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "chart.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_check_sees_a_change(tmp_path: Path) -> None:
    """In a copy, in which one sentence of the values has changed."""
    for name in ("crds", "deploy", "scripts"):
        subprocess.run(["cp", "-r", ROOT / name, tmp_path / name], check=True)
    edited = tmp_path / "deploy" / "helm" / "mailegress" / "values.yaml"
    edited.write_text(edited.read_text().replace("# -- Affinity.", "# -- Where it likes to be."))
    done = subprocess.run(
        [sys.executable, tmp_path / "scripts" / "chart.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == "deploy/helm/mailegress/README.md is out of date: python scripts/chart.py\n"


def test_the_version_is_the_operators() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == __version__
    (image,) = yaml.safe_load(chart["annotations"]["artifacthub.io/images"])
    assert image["image"].endswith(f":{__version__}")


@pytest.mark.parametrize("kind", ["MailEgress", "MailEgressPolicy"])
def test_the_crds_that_artifact_hub_shows_are_ours_and_the_examples_valid(kind: str) -> None:
    notes = yaml.safe_load((CHART / "Chart.yaml").read_text())["annotations"]
    shown = {each["kind"]: each for each in yaml.safe_load(notes["artifacthub.io/crds"])}
    examples = {each["kind"]: each for each in yaml.safe_load(notes["artifacthub.io/crdsExamples"])}
    assert shown.keys() == examples.keys() == {"MailEgress", "MailEgressPolicy"}
    crd = yaml.safe_load(
        (ROOT / "crds" / f"mailegress.io_{shown[kind]['name'].split('.')[0]}.yaml").read_text()
    )
    (version,) = crd["spec"]["versions"]
    assert (kind, shown[kind]["name"], shown[kind]["version"]) == (
        crd["spec"]["names"]["kind"],
        crd["metadata"]["name"],
        version["name"],
    )
    jsonschema.validate(examples[kind]["spec"], version["schema"]["openAPIV3Schema"]["properties"]["spec"])


def test_every_setting_of_the_operator_is_a_value(values: Mapping[str, Any]) -> None:
    names = {spec.name.replace("_", "") for spec in specs()} - {"policy", "externaldns"}
    assert {name.lower() for name in values["settings"]} == names
    assert len(values["settings"]) == len(specs()) - 2
    # With it the chart grants rights too.
    assert values["policy"] == {"mode": PolicyMode.OFF.value}
    assert values["externalDNS"] == {"enabled": False}


def missing(values: Mapping[str, Any], schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Values without a schema and the other way round."""
    known = schema.get("properties")
    if known is None:
        return
    yield from (f"{path}{name}" for name in values.keys() ^ (known.keys() - {"global"}))
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from missing(value, known.get(name, {}), f"{path}{name}.")


def test_the_schema_knows_the_values_and_nothing_else(
    values: Mapping[str, Any], schema: Mapping[str, Any]
) -> None:
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(values, schema)
    # Parts that the API allows and the chart does not set.
    more = {
        "resources.claims",
        "startupProbe.initialDelaySeconds",
        "startupProbe.successThreshold",
        "livenessProbe.initialDelaySeconds",
        "livenessProbe.successThreshold",
        "readinessProbe.initialDelaySeconds",
        "readinessProbe.successThreshold",
    }
    assert set(missing(values, schema)) == more


def leaves(values: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def test_every_value_is_in_the_readme(values: Mapping[str, Any]) -> None:
    readme = (CHART / "README.md").read_text()
    for path in leaves(values):
        parents = [path.rsplit(".", cut)[0] for cut in range(path.count(".") + 1)]
        assert any(f"| `{each}` |" in readme for each in parents), path
