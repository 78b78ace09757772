"""Writes what is made from the code: test data of the health script, the ConfigMap of Argo CD, the table in the docs.

python -m tests.support.gitops.generate
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mailegress.api.names import RECONCILE_ANNOTATION
from tests.support.gitops import argo
from tests.support.gitops.gotool import ask
from tests.support.gitops.scene import TOKEN, Paper
from tests.support.gitops.situations import ALL, Verdict

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs" / "gitops.md"
CONFIG_MAP_HEAD = """\
# Made from the scripts in this folder: python -m tests.support.gitops.generate
#
#   kubectl -n argocd patch configmap argocd-cm --patch-file deploy/argocd/argocd-cm.yaml
#
# adds the two keys and leaves all others alone. With Argo CD's Helm chart they go under `configs.cm`.
"""
ASKED = [situation for situation in ALL if not situation.deleting]
"""Of an object that is being deleted Argo CD does not ask the script."""
_TABLE = re.compile(r"(<!-- generated: verdicts -->\n).*?(<!-- end of verdicts -->)", re.DOTALL)
_KUBECTL = {Verdict.PASSES: "met", Verdict.WAITS: "not met", Verdict.FAILS: "not met"}


def testdata() -> dict[str, str]:
    """File name -> manifest with status, as Argo CD's repository wants them."""
    made = {}
    for situation in ASKED:
        paper = Paper(situation.name)
        situation.enter(paper)
        made[f"{situation.name}.yaml"] = argo.dump(paper.body)
    return made


testdata.__test__ = False  # type: ignore[attr-defined]


def action_testdata() -> dict[str, str]:
    """File name -> manifest, before and after the actions of a user."""
    ready = _ready()
    suspended = copy.deepcopy(ready)
    suspended["spec"]["suspend"] = True
    looked = copy.deepcopy(ready)
    looked["metadata"]["annotations"] = {RECONCILE_ANNOTATION: TOKEN}
    deleting = copy.deepcopy(ready)
    deleting["metadata"] |= {"deletionTimestamp": "2026-01-31T11:30:00Z", "deletionGracePeriodSeconds": 0}
    shown = {"ready": ready, "suspended": suspended, "look-requested": looked, "deleting": deleting}
    return {f"{name}.yaml": argo.dump(body) for name, body in shown.items()}


def _ready() -> dict[str, Any]:
    paper = Paper("ready")
    paper.ready()
    return paper.body


def config_map() -> str:
    return CONFIG_MAP_HEAD + argo.dump(argo.config_map())


def health_test() -> str:
    """The list of tests in the format of Argo CD's repository."""
    tests = []
    for situation in ASKED:
        paper = Paper(situation.name)
        situation.enter(paper)
        tests.append(
            {"healthStatus": argo.health(paper.body), "inputPath": f"testdata/{situation.name}.yaml"}
        )
    return argo.dump({"tests": tests})


def docs_with_table(rows: Mapping[str, tuple[str, str]]) -> str:
    """The page with the table of verdicts: situation -> (kstatus, Argo CD)."""
    lines = [
        "| situation | Ready's reason | Flux, Helm (kstatus) | Argo CD | `kubectl wait` |",
        "|---|---|---|---|---|",
    ]
    for s in ALL:
        kstatus, health = rows[s.name]
        reason = f"`{s.reason}`" if s.reason else ""
        lines.append(f"| {s.told} | {reason} | {kstatus} | {health} | {_KUBECTL[s.verdict]} |")
    table = "\n".join(lines) + "\n"
    return _TABLE.sub(lambda found: found[1] + table + found[2], DOCS.read_text())


def fill(folder: Path, made: Mapping[str, str]) -> None:
    """Write these files and remove others."""
    folder.mkdir(exist_ok=True)
    for old in set(folder.glob("*.yaml")) - {folder / name for name in made}:
        old.unlink()
    for name, text in made.items():
        (folder / name).write_text(text)


def main() -> None:
    fill(argo.ARGOCD / "testdata", testdata())
    fill(argo.ARGOCD / "actions" / "testdata", action_testdata())
    (argo.ARGOCD / "health_test.yaml").write_text(health_test())
    (argo.ARGOCD / "argocd-cm.yaml").write_text(config_map())
    bodies = {}
    for situation in ALL:
        paper = Paper(situation.name)
        situation.enter(paper)
        bodies[situation.name] = paper.body
    verdicts = ask("kstatus", list(bodies.values()))
    rows = {
        name: (verdict["status"], argo.health(body)["status"])
        for (name, body), verdict in zip(bodies.items(), verdicts, strict=True)
    }
    DOCS.write_text(docs_with_table(rows))


if __name__ == "__main__":
    main()
