"""Argo CD: scripts in its repository's format, run as it runs those of argocd-cm, and the ConfigMap made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.controlplane import ControlPlane
from tests.support.gitops import argo
from tests.support.gitops.generate import action_testdata, config_map, health_test, testdata
from tests.support.gitops.gotool import ask
from tests.support.gitops.live import Live
from tests.support.gitops.scene import HOST
from tests.support.gitops.situations import ALL

Json = dict[str, Any]
ACTIONS = argo.ARGOCD / "actions"
HEALTH_TESTS = yaml.safe_load((argo.ARGOCD / "health_test.yaml").read_text())["tests"]
ACTION_TESTS = yaml.safe_load((ACTIONS / "action_test.yaml").read_text())
REWRITE = "run: python -m tests.support.gitops.generate"


def load(path: Path) -> Json:
    found: Json = yaml.safe_load(path.read_text())
    return found


# ---------------------------------------------------------------- health


@pytest.mark.parametrize("case", HEALTH_TESTS, ids=lambda c: Path(c["inputPath"]).stem)
def test_health(case: Json) -> None:
    """As Argo CD's repository tests a health script; and the interpreter of Argo CD says the same."""
    obj = load(argo.ARGOCD / case["inputPath"])
    script = argo.script("health.lua")
    assert argo.run(script, obj) == case["healthStatus"]
    assert ask("argolua", [{"script": script, "object": obj}]) == [{"result": case["healthStatus"]}]


def test_every_health_word_that_a_script_should_use_is_tested() -> None:
    assert {c["healthStatus"]["status"] for c in HEALTH_TESTS} == {
        "Healthy",
        "Progressing",
        "Degraded",
        "Suspended",
    }
    assert {c["inputPath"] for c in HEALTH_TESTS} == {
        f"testdata/{s.name}.yaml" for s in ALL if not s.deleting
    }


@pytest.mark.parametrize(
    "status",
    [None, {}, {"conditions": []}, {"observedGeneration": 1}, {"observedGeneration": 1, "conditions": []}],
    ids=str,
)
def test_half_a_status_is_progressing(status: Json | None) -> None:
    """Whatever stands there, the script neither fails nor calls it healthy."""
    obj: Json = {"metadata": {"generation": 1}, "spec": {}}
    if status is not None:
        obj["status"] = status
    assert argo.health(obj)["status"] == "Progressing"


# ---------------------------------------------------------------- actions


@pytest.mark.parametrize("case", ACTION_TESTS["discoveryTests"], ids=lambda c: Path(c["inputPath"]).stem)
def test_which_actions_are_offered(case: Json) -> None:
    obj = load(ACTIONS / case["inputPath"])
    assert argo.actions(obj) == {r["name"]: r["disabled"] for r in case["result"]}
    [theirs] = ask("argolua", [{"script": argo.script("actions/discovery.lua"), "object": obj}])
    assert theirs == {"result": argo.run(argo.script("actions/discovery.lua"), obj)}


@pytest.mark.parametrize("case", ACTION_TESTS["actionTests"], ids=lambda c: c["action"])
def test_what_an_action_changes(case: Json) -> None:
    obj = load(ACTIONS / case["inputPath"])
    assert argo.act(case["action"], obj) == load(ACTIONS / case["expectedOutputPath"])
    script = argo.script(f"actions/{case['action']}/action.lua")
    [theirs] = ask("argolua", [{"script": script, "object": obj}])
    assert theirs == {"result": argo.run(script, obj)}


def test_actions_are_tested_all() -> None:
    on_disk = {path.parent.name for path in ACTIONS.glob("*/action.lua")}
    assert on_disk == {c["action"] for c in ACTION_TESTS["actionTests"]}
    offered = {r["name"] for c in ACTION_TESTS["discoveryTests"] for r in c["result"]}
    assert offered == on_disk


def test_actions_work_on_an_object_in_a_cluster(plane: ControlPlane) -> None:
    """What the scripts return is sent as a merge patch: the API server takes it, and the operator answers it."""
    scene = Live(plane, "acted-upon")
    [_] = scene.ready()

    def act(name: str) -> None:
        before = scene.body
        after = argo.act(name, before)
        assert not argo.actions(before)[name], "offered"
        plane.kubectl(
            "-n", "mail", "patch", "meg/acted-upon", "--type=merge", "-p", json.dumps(changed(before, after))
        )

    act("suspend")
    assert scene.body["spec"]["suspend"] is True
    scene.look()
    assert argo.health(scene.body)["status"] == "Healthy"
    act("resume")
    assert scene.body["spec"]["suspend"] is False
    act("reconcile")
    scene.look()
    token = scene.body["metadata"]["annotations"]["mailegress.io/reconcile-requested-at"]
    assert scene.body["status"]["lastHandledReconcileAt"] == token
    assert scene.body["spec"]["hostname"] == HOST


def changed(before: Json, after: Json) -> Json:
    """The merge patch from one object to another, as Argo CD computes it; nothing is ever removed here."""
    patch: Json = {}
    for key, value in after.items():
        old = before.get(key)
        if value == old:
            continue
        patch[key] = changed(old, value) if isinstance(value, dict) and isinstance(old, dict) else value
    return patch


# ---------------------------------------------------------------- what is made from the code


def contents(folder: Path) -> Mapping[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.yaml")}


def test_the_test_data_are_the_operators_own() -> None:
    """Statuses in the test data are those that this version of the operator writes."""
    assert contents(argo.ARGOCD / "testdata") == testdata(), REWRITE
    assert contents(ACTIONS / "testdata") == action_testdata(), REWRITE
    assert (argo.ARGOCD / "health_test.yaml").read_text() == health_test(), REWRITE


def test_the_config_map_holds_the_scripts_to_the_letter() -> None:
    shown = argo.ARGOCD / "argocd-cm.yaml"
    assert shown.read_text() == config_map(), REWRITE
    data = load(shown)["data"]
    assert data["resource.customizations.health.mailegress.io_MailEgress"] == argo.script("health.lua")
    offered = yaml.safe_load(data["resource.customizations.actions.mailegress.io_MailEgress"])
    assert offered["discovery.lua"] == argo.script("actions/discovery.lua")
    assert {d["name"]: d["action.lua"] for d in offered["definitions"]} == {
        path.parent.name: path.read_text() for path in ACTIONS.glob("*/action.lua")
    }


def test_the_patch_adds_to_argocd_cm_and_takes_nothing_away(plane: ControlPlane) -> None:
    """Both ways that the docs name, on a ConfigMap with somebody else's settings."""
    plane.kubectl("create", "namespace", "argocd")
    others = {"url": "https://argocd.example.com", "admin.enabled": "false"}
    literals = [f"--from-literal={key}={value}" for key, value in others.items()]
    plane.kubectl("-n", "argocd", "create", "configmap", "argocd-cm", *literals)
    plane.kubectl("-n", "argocd", "label", "configmap", "argocd-cm", "app.kubernetes.io/part-of=argocd")
    path = argo.ARGOCD / "argocd-cm.yaml"
    wanted = others | load(path)["data"]

    def stored() -> Json:
        found: Json = json.loads(
            plane.kubectl("-n", "argocd", "get", "configmap", "argocd-cm", "-o", "json").stdout
        )
        assert found["metadata"]["labels"] == {"app.kubernetes.io/part-of": "argocd"}
        data: Json = found["data"]
        return data

    plane.kubectl("-n", "argocd", "patch", "configmap", "argocd-cm", "--patch-file", str(path))
    assert stored() == wanted
    plane.kubectl("apply", "--server-side", "--field-manager=mailegress", "-f", str(path))
    assert stored() == wanted


# ---------------------------------------------------------------- the tests' own sandbox


@pytest.mark.parametrize(
    "script",
    [
        "return { status = string.upper('healthy'), message = '' }",
        "return { status = ('healthy'):upper(), message = '' }",
        "return { status = 'Healthy', message = os.date('!%Y') }",
        "return { status = math.floor(1), message = '' }",
        "io.open('/etc/hostname')",
        "require('io')",
        "require('string')",
        "debug.sethook()",
        "return 1",
        "error('x')",
        "return {",
        "while true do end",
    ],
)
def test_what_argo_cd_refuses_is_refused(script: str) -> None:
    """Both interpreters: a script that works in the tests does not fail in Argo CD."""
    with pytest.raises(argo.LuaFailure):
        argo.run(script, {})
    [theirs] = ask("argolua", [{"script": script, "object": {}}])
    assert theirs.keys() == {"error"}, theirs


def test_no_way_out_of_the_sandbox() -> None:
    """Not one global is there besides the base library's harmless part, `table`, `require` and the object."""
    found = argo.run(
        "local names = {} for name in pairs(_G) do table.insert(names, name) end return names", {"a": 1}
    )
    assert set(found) <= {
        "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "print", "rawequal", "rawget", "rawset",
        "select", "setmetatable", "table", "tonumber", "tostring", "type", "unpack", "xpcall", "_G", "_VERSION",
        "require", "obj",
    }  # fmt: skip
