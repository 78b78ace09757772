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
    assert [path.name for path in WORKFLOWS] == ["ci.yaml", "nightly.yaml", "release.yaml"]


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


def test_the_nightly_run_has_the_long_checks() -> None:
    """Without it nothing runs the long searches and the whole benchmark."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "nightly.yaml").read_text())
    assert workflow[True]["schedule"]
    proofs = workflow["jobs"]["proofs"]
    long = ["test-sim", "fuzz MINUTES=60", "test-process", "bench", "e2e-upgrade"]
    assert proofs["strategy"]["matrix"]["target"] == long
    assert [step["run"] for step in proofs["steps"] if "run" in step] == ["make $TARGET"]
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {target.split()[0] for target in proofs["strategy"]["matrix"]["target"]} <= targets


def test_no_test_is_rerun() -> None:
    """A rerun hides a race of the test or of the operator."""
    text = "".join(
        (ROOT / name).read_text() for name in ("pyproject.toml", "requirements/dev.txt", "Makefile")
    )
    assert "rerun" not in text
    steps = [line.split() for line in (ROOT / ".ci" / "run").read_text().splitlines()]
    run = [words[1] for words in steps if len(words) == 2 and words[0] == "step"]
    assert len(run) > 10
    assert len(run) == len(set(run)), "a step that runs twice"


def test_a_release_publishes_the_image_that_the_manifests_name(root: Path) -> None:
    release = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yaml").read_text())
    deployment = (root / "deploy" / "base" / "deployment.yaml").read_text()
    assert f"image: {release['env']['IMAGE']}:{__version__}" in deployment


RELEASE = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yaml").read_text())


def scripts_of(job: str) -> str:
    """Everything that a release job runs, with what its steps are given."""
    return "\n".join(str(step.get("run", "")) for step in RELEASE["jobs"][job]["steps"])


def test_what_may_publish_installs_no_development_packages() -> None:
    """A package of the 100 that the tests need would run beside the rights to publish image, chart and release."""
    may_write = {
        name for name, job in RELEASE["jobs"].items() if "write" in job.get("permissions", {}).values()
    }
    assert may_write == {"publish"}
    assert RELEASE["jobs"]["publish"]["needs"] == "prepare"
    assert not re.search(r"\b(make|pip|pipx|uv|python3?|npm|go)\b", scripts_of("publish"))
    assert not any("setup-python" in step.get("uses", "") for step in RELEASE["jobs"]["publish"]["steps"])
    assert "make venv" in scripts_of("prepare")


def test_the_images_that_are_built_on_are_named_by_their_digests() -> None:
    named = next(s for s in RELEASE["jobs"]["prepare"]["steps"] if s.get("id") == "images")["run"]
    assert "sha256:[0-9a-f]{64}" in named
    image = next(s for s in RELEASE["jobs"]["publish"]["steps"] if s.get("id") == "image")
    dockerfile = (ROOT / "Dockerfile").read_text()
    stages = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    assert stages == ["${PYTHON_IMAGE}", "${BUILD_IMAGE}", "base"]
    for argument, output in (("PYTHON_IMAGE", "base"), ("BUILD_IMAGE", "build")):
        assert f"ARG {argument}={RELEASE['env'][argument]}\n" in dockerfile
        assert f'pinned {output} "${argument}"' in named
        assert image["env"][argument] == f"${{{{ needs.prepare.outputs.{output} }}}}"
        assert f'--build-arg "{argument}=${argument}"' in image["run"]


def test_the_image_is_built_for_both_architectures() -> None:
    assert RELEASE["env"]["PLATFORMS"].split(",") == ["linux/amd64", "linux/arm64"]
    assert '--platform "$PLATFORMS"' in scripts_of("publish")
    emulated = [s for s in RELEASE["jobs"]["publish"]["steps"] if "setup-qemu-action" in s.get("uses", "")]
    assert [s["with"]["platforms"] for s in emulated] == ["arm64"]


def test_image_and_chart_are_attested() -> None:
    steps = RELEASE["jobs"]["publish"]["steps"]
    attested = [s["with"] for s in steps if "attest-build-provenance" in s.get("uses", "")]
    assert [(a["subject-name"], a["subject-digest"], a["push-to-registry"]) for a in attested] == [
        ("${{ env.IMAGE }}", "${{ steps.image.outputs.digest }}", True),
        ("${{ env.CHARTS }}/mailegress", "${{ steps.chart.outputs.digest }}", True),
    ]


DIGEST = "sha256:" + "0123456789abcdef" * 4


def pinned(tmp_path: Path, digest: str) -> subprocess.CompletedProcess[str]:
    """Runs scripts/pin-image on a copy of what it changes."""
    for name in ("deploy/helm/mailegress/values.yaml", "deploy/install.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text())
    command = [str(ROOT / "scripts/pin-image"), RELEASE["env"]["IMAGE"], __version__, digest, str(tmp_path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_chart_and_install_yaml_name_the_image_by_its_digest(tmp_path: Path) -> None:
    steps = [str(s.get("run", "")) for s in RELEASE["jobs"]["publish"]["steps"]]
    pin = next(i for i, run in enumerate(steps) if "scripts/pin-image" in run)
    assert all(pin < i for i, run in enumerate(steps) if "helm package" in run or "gh release" in run)
    assert pinned(tmp_path, DIGEST).returncode == 0
    values = yaml.safe_load((tmp_path / "deploy/helm/mailegress/values.yaml").read_text())
    assert values["image"]["digest"] == DIGEST
    installed = yaml.safe_load_all((tmp_path / "deploy/install.yaml").read_text())
    (deployment,) = [each for each in installed if each and each["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"{RELEASE['env']['IMAGE']}:{__version__}@{DIGEST}"


@pytest.mark.parametrize("digest", ["", "latest", DIGEST[:-1], DIGEST + "0"])
def test_what_is_no_digest_is_refused(tmp_path: Path, digest: str) -> None:
    done = pinned(tmp_path, digest)
    assert done.returncode != 0
    assert "is no digest" in done.stderr
    assert 'digest: ""' in (tmp_path / "deploy/helm/mailegress/values.yaml").read_text()


def test_a_bot_proposes_updates_of_all_that_is_pinned() -> None:
    bot = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())
    assert {(each["package-ecosystem"], each["directory"]) for each in bot["updates"]} == {
        ("github-actions", "/"), ("pip", "/requirements"), ("docker", "/"),
    }  # fmt: skip


def test_sources_and_workflows_are_searched_for_weaknesses_in_ci() -> None:
    assert "step audit\n" in (ROOT / ".ci" / "run").read_text()
    lock = (ROOT / "requirements" / "audit.txt").read_text()
    for tool in ("bandit", "zizmor"):
        assert re.search(rf"^{tool}==\S+ .*\n(?: +--hash=sha256:[0-9a-f]{{64}}.*\n)+", lock, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert "--require-hashes" in makefile[makefile.index("build/audit/.installed:") :]
