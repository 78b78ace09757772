"""pytest plugin: what ``deploy/`` grants the operator is what the operator asks for, no more and no less.

``--rights=build`` compares, at the end of a run of the whole suite,

- ``deploy/base/rbac.yaml``, and ``deploy/components/policy/rbac.yaml`` for policies, with the audit logs of the
  stories' API servers: ``build/rbac.json``;
- the policies of ``deploy/iam`` with what the stories' AWS needed of them to allow the operator's calls, value by
  value of their actions, resources and conditions: ``build/iam.json``.

Each file holds two sorted lists, ``granted`` and ``used``. Where they differ the run fails. A request that was
refused counts as used if nothing granted covers it. (A story that takes a granted right away on purpose makes
requests that are refused and covered.)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.aws.client import SandboxAws
from sandbox.aws.model.iam import Use
from sandbox.controlplane import ControlPlane, ControlPlaneError
from sandbox.local import NAMESPACE, SERVICE_ACCOUNT
from sandbox.operator import REPO
from sandbox.shipped import DIRECTORY, POLICIES
from scripts.stories_check import fail_run, undecided

OPTION = "--rights"
RBAC = REPO / "deploy" / "base" / "rbac.yaml"
POLICY_RBAC = REPO / "deploy" / "components" / "policy" / "rbac.yaml"
"""In addition with --policy=Audit or Enforce."""
EXTERNAL_DNS_RBAC = REPO / "deploy" / "components" / "external-dns" / "rbac.yaml"
"""In addition with --external-dns=on."""
USER = f"system:serviceaccount:{NAMESPACE}:{SERVICE_ACCOUNT}"
_DECISION = "authorization.k8s.io/decision"


# ---------------------------------------------------------------- RBAC


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one resource. An empty name or namespace = all of them."""

    verb: str
    group: str
    resource: str
    name: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        what = f"{self.verb} {self.resource}{'.' if self.group else ''}{self.group}"
        named = f" {self.name}" if self.name else ""
        return what + named + (f" in {self.namespace}" if self.namespace else "")


def granted_rights(manifests: Iterable[Mapping[str, Any]]) -> set[Right]:
    """What the roles among the manifests grant, each rule taken apart. The kustomization sets their namespace."""
    return {
        Right(verb, group, resource, name, NAMESPACE if role["kind"] == "Role" else "")
        for role in manifests
        if role["kind"] in ("ClusterRole", "Role")
        for rule in role["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
    }


def shipped_rights() -> set[Right]:
    """What ``deploy/`` grants, with policies and with external-dns."""
    return {
        right
        for path in (RBAC, POLICY_RBAC, EXTERNAL_DNS_RBAC)
        for right in granted_rights(yaml.safe_load_all(path.read_text()))
    }


def asked_rights(events: Iterable[Mapping[str, Any]]) -> set[tuple[Right, bool]]:
    """Requests of an audit log for resources, and whether they were authorised. Discovery has no resource."""
    found = set()
    for event in events:
        target = event.get("objectRef")
        if target is None or _DECISION not in event.get("annotations", {}):
            continue
        part = f"/{target['subresource']}" if "subresource" in target else ""
        right = Right(
            event["verb"],
            target.get("apiGroup", ""),
            target["resource"] + part,
            target.get("name", ""),
            target.get("namespace", ""),
        )
        found.add((right, event["annotations"][_DECISION] == "allow"))
    return found


def used_rights(asked: Iterable[tuple[Right, bool]], granted: set[Right]) -> set[Right]:
    """The requests in the terms of the grants; one that nothing covers stands for itself."""
    used = set()
    for right, allowed in asked:
        covers = {replace(right, name=name, namespace=space) for name, space in _widths(right)} & granted
        if covers and allowed:
            used |= covers
        elif not covers:
            used.add(right)
    return used


def _widths(right: Right) -> list[tuple[str, str]]:
    return [(name, space) for name in (right.name, "") for space in (right.namespace, "")]


# ---------------------------------------------------------------- IAM


def granted_uses(policies: Mapping[str, Mapping[str, Any]]) -> dict[Use, str]:
    """Every value of every statement that allows, for each of its actions, and how it is written in the report."""
    return {
        Use(policy, number, action, part, place): f"{policy} {statement['Sid']}: {action}, {part} {value}"
        for policy, document in policies.items()
        for number, statement in enumerate(document["Statement"])
        if statement.get("Effect") != "Deny"
        for action in _list(statement["Action"])
        for part, values in _parts(statement, action).items()
        for place, value in values
    }


def _parts(statement: Mapping[str, Any], action: str) -> dict[str, list[tuple[int, str]]]:
    actions = _list(statement["Action"])
    parts = {
        "Action": [(actions.index(action), action)],
        "Resource": list(enumerate(_list(statement["Resource"]))),
    }
    for keys in statement.get("Condition", {}).values():
        parts |= {key: list(enumerate(_list(values))) for key, values in keys.items()}
    return parts


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


# ---------------------------------------------------------------- the run


class Rights:
    """Collects in the process that runs stories; pytest-xdist's controller gathers and judges."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._asked: set[tuple[Right, bool]] = set()
        self._uses: set[Use] = set()
        self._refused: set[str] = set()
        self._failures: set[str] = set()

    def watch(self, plane: ControlPlane) -> None:
        """Have a control plane that is not yet started write down what the operator asks."""
        if self._directory is not None:
            try:
                plane.audit(USER)
            except ControlPlaneError as error:
                self._failures.add(str(error))

    def read_audit(self, plane: ControlPlane) -> None:
        """What the operator asked of a control plane; before it stops."""
        for log in plane.audit_logs():
            with log.open() as lines:
                self._asked |= asked_rights(map(json.loads, lines))

    def read_aws(self, aws: SandboxAws) -> None:
        """What the operator's calls needed of its policies in one world."""
        self._uses |= {Use(**each) for each in aws.policy_uses()}
        self._refused |= set(aws.policy_refusals())

    def to_json(self) -> dict[str, Any]:
        return {
            "asked": [
                [r.verb, r.group, r.resource, r.name, r.namespace, allowed] for r, allowed in self._asked
            ],
            "uses": [[u.policy, u.statement, u.action, u.part, u.place] for u in self._uses],
            "refused": sorted(self._refused),
            "failures": sorted(self._failures),
        }

    def add(self, told: Mapping[str, Any]) -> None:
        """What :meth:`to_json` of another process told."""
        self._asked |= {(Right(*right), allowed) for *right, allowed in told["asked"]}
        self._uses |= {Use(*use) for use in told["uses"]}
        self._refused |= set(told["refused"])
        self._failures |= set(told["failures"])

    def reports(self) -> dict[str, tuple[set[str], set[str]]]:
        """Name → granted and used."""
        granted = shipped_rights()
        policies = {name: json.loads((DIRECTORY / name).read_text()) for name in POLICIES}
        written = granted_uses(policies)
        return {
            "rbac": (set(map(str, granted)), set(map(str, used_rights(self._asked, granted)))),
            "iam": (set(written.values()), {written[use] for use in self._uses} | self._refused),
        }

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self.add(getattr(node, "workeroutput", {}).get("rights") or Rights(None).to_json())

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["rights"] = self.to_json()
        elif self._directory is not None and not undecided(session):
            for failure in self._failures:
                fail_run(session, str(RBAC.relative_to(REPO)), failure)
            self._directory.mkdir(parents=True, exist_ok=True)
            for name, (granted, used) in self.reports().items():
                self._judge(session, self._directory / f"{name}.json", granted, used)

    def _judge(self, session: pytest.Session, path: Path, granted: set[str], used: set[str]) -> None:
        path.write_text(json.dumps({"granted": sorted(granted), "used": sorted(used)}, indent=1) + "\n")
        lines = [f"granted, never used: {each}" for each in sorted(granted - used)]
        lines += [f"used, not granted: {each}" for each in sorted(used - granted)]
        if lines:
            fail_run(
                session, str(path), "the operator's rights and its requests differ:\n" + "\n".join(lines)
            )


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        OPTION,
        metavar="DIRECTORY",
        type=Path,
        help="write rbac.json and iam.json there; fail unless the whole suite used exactly what deploy/ grants",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Rights(config.getoption("rights")), "rights")


@pytest.fixture(scope="session")
def rights(request: pytest.FixtureRequest) -> Rights:
    """Where stories tell what the operator asked for."""
    found = request.config.pluginmanager.get_plugin("rights")
    assert isinstance(found, Rights)
    return found
