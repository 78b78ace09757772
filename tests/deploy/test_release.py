"""Releases: one version everywhere, a true bill of materials, workflows that run what they were reviewed with."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailegress import __version__

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))


# ---------------------------------------------------------------- the version


def test_the_version_is_a_semantic_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(-[0-9a-z.]+)?", __version__)


def test_every_mention_of_an_image_names_this_version() -> None:
    """Manifests, chart and documents: whoever copies a line gets the version that the page is about."""
    mentions: dict[str, set[str]] = {}
    for folder, pattern in (("deploy", "**/*"), ("docs", "**/*.md"), (".", "*.md")):
        for path in (ROOT / folder).glob(pattern):
            # What an older version looked like, its change log says.
            if path.is_file() and path.name != "CHANGELOG.md":
                found = re.findall(r"ghcr\.io/mailegress/mailegress:v?([0-9][\w.+-]*)", path.read_text())
                if found:
                    mentions[str(path.relative_to(ROOT))] = set(found)
    assert "deploy/base/deployment.yaml" in mentions
    assert {name: found for name, found in mentions.items() if found != {__version__}} == {}


def test_the_chart_has_the_operators_version() -> None:
    chart = yaml.safe_load((ROOT / "deploy" / "helm" / "mailegress" / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_the_images_label_is_the_version_it_is_built_with() -> None:
    """The label comes from a build argument, which the build holds against the package that it installs."""
    text = (ROOT / "Dockerfile").read_text()
    assert 'org.opencontainers.image.version="${VERSION}"' in text
    assert not re.search(rf"\b{re.escape(__version__)}\b", text), "no second place that states it"


def test_the_change_log_knows_this_version_or_what_comes_next() -> None:
    titles = re.findall(r"^## \[?([^\]\s]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert titles[0].lower() == "unreleased" or titles[0] == __version__
    assert {"unreleased", __version__} & {title.lower() for title in titles}


# ---------------------------------------------------------------- the bill of materials


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    target = tmp_path_factory.mktemp("sbom") / "sbom.cdx.json"
    subprocess.run([sys.executable, str(ROOT / "scripts" / "sbom.py"), str(target)], check=True)
    loaded: dict[str, Any] = json.loads(target.read_text())
    return loaded


def test_the_bill_lists_exactly_the_locked_packages_with_their_hashes(bill: dict[str, Any]) -> None:
    lock = (ROOT / "requirements" / "run.txt").read_text().replace("\\\n", " ")
    locked = {}
    for line in lock.splitlines():
        pinned = re.match(r"([A-Za-z0-9._-]+)==(\S+)", line)
        if pinned:
            locked[pinned.groups()] = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
    assert len(locked) > 20
    listed = {
        (c["name"], c["version"]): {
            each["content"] for reference in c["externalReferences"] for each in reference.get("hashes", [])
        }
        for c in bill["components"]
    }
    assert listed == locked
    assert all(c["purl"] == f"pkg:pypi/{c['name']}@{c['version']}" for c in bill["components"])


def test_the_bill_is_of_this_version_and_knows_what_it_asks_for_itself(bill: dict[str, Any]) -> None:
    root = bill["metadata"]["component"]
    assert (root["name"], root["version"], root["type"]) == ("mailegress", __version__, "application")
    names = {c["bom-ref"]: c["name"] for c in bill["components"]}
    [own] = [d for d in bill["dependencies"] if d["ref"] == root["bom-ref"]]
    needed = {names[ref] for ref in own["dependsOn"]}
    assert {"aiohttp", "boto3", "dnspython", "kopf"} <= needed
    assert "botocore" not in needed, "it comes with boto3"


# ---------------------------------------------------------------- the workflows


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text())["jobs"]
    return found


def test_there_are_workflows() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yaml", "release.yaml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_commit_and_says_which_version_that_is(path: Path) -> None:
    """A tag can be moved to other code; a commit cannot."""
    text = path.read_text()
    used = [line for line in text.splitlines() if re.search(r"\buses:", line)]
    assert len(used) == sum("uses" in step for job in jobs(path).values() for step in job["steps"])
    for line in used:
        assert re.search(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line
    assert not any("uses" in job for job in jobs(path).values()), (
        "a called workflow would be pinned here as well"
    )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_read_and_its_jobs_say_what_more(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for job in jobs(path).values():
        assert job.get("permissions") != "write-all"
        assert job["timeout-minutes"] <= 120
        for step in job["steps"]:
            if "actions/checkout@" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False, (
                    "later steps need no token of the repository"
                )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_step_runs_text_that_an_outsider_can_choose(path: Path) -> None:
    """A branch's name or a title that stands in a script is a script ("Security hardening for GitHub Actions")."""
    triggers = yaml.safe_load(path.read_text())[True]  # YAML 1.1 reads `on` as a truth
    assert "pull_request_target" not in triggers
    for job in jobs(path).values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")


def test_pull_requests_get_no_right_to_write() -> None:
    assert all("permissions" not in job for job in jobs(ROOT / ".github" / "workflows" / "ci.yaml").values())


def test_the_public_check_is_the_check() -> None:
    """No second list of steps that could forget one."""
    steps = [
        step for job in jobs(ROOT / ".github" / "workflows" / "ci.yaml").values() for step in job["steps"]
    ]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    assert any("helm/kind-action@" in step.get("uses", "") for step in steps)


def test_a_release_publishes_the_image_that_the_manifests_name(root: Path) -> None:
    release = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yaml").read_text())
    deployment = (root / "deploy" / "base" / "deployment.yaml").read_text()
    assert f"image: {release['env']['IMAGE']}:{__version__}" in deployment
