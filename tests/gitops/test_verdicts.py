"""One table of situations, three judges: kstatus (Flux, Helm), Argo CD's health script, ``kubectl wait``.

Each judge gets the object as the API server shows it, with the status that the operator's own code wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.controlplane import ControlPlane
from tests.support.gitops import argo
from tests.support.gitops.generate import DOCS, docs_with_table
from tests.support.gitops.gotool import ask
from tests.support.gitops.scene import Paper
from tests.support.gitops.situations import ALL, Situation, Verdict

ROOT = Path(__file__).resolve().parents[2]

Json = dict[str, Any]

KSTATUS = {
    "Current": Verdict.PASSES,
    "InProgress": Verdict.WAITS,
    # The object is on its way out; a rollout waits until it is gone.
    "Terminating": Verdict.WAITS,
    "Failed": Verdict.FAILS,
}
ARGO = {
    "Healthy": Verdict.PASSES,
    "Progressing": Verdict.WAITS,
    # A sync goes on to the next wave only when everything is Healthy.
    "Suspended": Verdict.WAITS,
    "Degraded": Verdict.FAILS,
}

each = pytest.mark.parametrize("situation", ALL, ids=lambda s: s.name)


@pytest.fixture(scope="session")
def kstatus(lived: Mapping[str, Json]) -> dict[str, Json]:
    """What kstatus says of each object."""
    return dict(zip(lived, ask("kstatus", list(lived.values())), strict=True))


def test_the_table_is_wide_enough() -> None:
    assert len(ALL) >= 25
    assert len({s.name for s in ALL}) == len(ALL)
    assert {s.verdict for s in ALL} == set(Verdict)


@each
def test_the_situation_is_the_one_that_it_says(situation: Situation, lived: Mapping[str, Json]) -> None:
    body = lived[situation.name]
    ready = next((c for c in body["status"]["conditions"] if c["type"] == "Ready"), {"reason": ""})
    assert ready["reason"] == situation.reason, ready
    assert ("deletionTimestamp" in body["metadata"]) == situation.deleting
    assert body["spec"]["suspend"] == situation.suspended


@each
def test_kstatus(situation: Situation, kstatus: Mapping[str, Json]) -> None:
    found = kstatus[situation.name]
    assert KSTATUS[found["status"]] is situation.verdict, found
    assert (found["status"] == "Terminating") == situation.deleting


@each
def test_argo_cd(situation: Situation, lived: Mapping[str, Json]) -> None:
    found = argo.health(lived[situation.name])
    assert ARGO[found["status"]] is situation.verdict, found
    if found["status"] == "Suspended":
        assert situation.suspended


@each
def test_argo_cds_own_interpreter_agrees(situation: Situation, lived: Mapping[str, Json]) -> None:
    body = lived[situation.name]
    [found] = ask("argolua", [{"script": argo.script("health.lua"), "object": body}])
    assert found == {"result": argo.run(argo.script("health.lua"), body)}


@each
def test_kubectl_wait(situation: Situation, lived: Mapping[str, Json], plane: ControlPlane) -> None:
    """Zero seconds = look once. Not met is not met, whether for the moment or for good."""
    assert situation.name in lived
    done = plane.kubectl(
        "-n", "mail", "wait", "--for=condition=Ready", "--timeout=0s", f"meg/{situation.name}", check=False
    )
    if done.returncode:
        # What kubectl 1.37 says, and what older ones say.
        assert "condition not met" in done.stderr or "timed out waiting for the condition" in done.stderr, (
            done.stderr
        )
    assert (done.returncode == 0) == (situation.verdict is Verdict.PASSES), done.stdout + done.stderr


@each
def test_the_message_names_the_reason(situation: Situation, lived: Mapping[str, Json]) -> None:
    """A user of Argo CD reads what a user of kubectl reads."""
    body = lived[situation.name]
    found = argo.health(body)
    if situation.deleting:
        assert found["message"] == "Pending deletion"
    elif body["status"]["observedGeneration"] != body["metadata"]["generation"]:
        assert found["message"].startswith("Waiting for the operator")
    else:
        ready = next(c for c in body["status"]["conditions"] if c["type"] == "Ready")
        assert found["message"].startswith(f"{ready['reason']}: {ready['message']}")


@each
def test_on_paper_it_is_the_same(situation: Situation, lived: Mapping[str, Json]) -> None:
    """What the test data of the health script are made from equals what the API server shows."""
    paper = Paper(situation.name)
    situation.enter(paper)
    body = lived[situation.name]
    assert paper.body["spec"] == body["spec"]
    assert paper.body["status"] == body["status"]
    assert paper.body["metadata"]["generation"] == body["metadata"]["generation"]
    assert set(paper.body["metadata"]) == set(body["metadata"]) - {"managedFields"}


def test_the_table_in_the_docs_is_this_one(
    lived: Mapping[str, Json], kstatus: Mapping[str, Json], plane: ControlPlane
) -> None:
    rows = {s.name: (kstatus[s.name]["status"], argo.health(lived[s.name])["status"]) for s in ALL}
    assert DOCS.read_text() == docs_with_table(rows), "run: python -m tests.support.gitops.generate"


COUNTED = {
    "mode": "Enforce",
    "namespaces": 1,
    "allowed": 12,
    "refused": 1,
    "problem": "spec.priority: found 1",
}


def test_no_rollout_waits_for_a_policy() -> None:
    """Neither before the operator counted nor after an edit that it has not seen."""
    body = {
        "apiVersion": "mailegress.io/v1alpha1",
        "kind": "MailEgressPolicy",
        "metadata": {"name": "team-a", "generation": 2},
        "spec": {"namespaces": {"names": ["team-a"]}},
    }
    found = ask("kstatus", [body, body | {"status": COUNTED}])
    assert [each["status"] for each in found] == ["Current", "Current"]
    [waits] = ask("kstatus", [body | {"status": COUNTED | {"observedGeneration": 1}}])
    assert waits["status"] == "InProgress", "so the CRD has no such field"
    crd = yaml.safe_load((ROOT / "crds" / "mailegress.io_mailegresspolicies.yaml").read_text())
    status = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    assert status["properties"].keys() == COUNTED.keys()
