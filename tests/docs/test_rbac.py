"""Each rule of the RBAC manifests states what each of its verbs is for and which function uses it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "operator" / "mailegress"
MANIFESTS = [
    ROOT / "deploy" / name
    for name in (
        "base/rbac.yaml",
        "components/policy/rbac.yaml",
        "components/external-dns/rbac.yaml",
        "helm/mailegress/templates/rbac.yaml",
    )
]
_RULE = re.compile(r"((?:^ +#.*\n)*)^  - apiGroups: .*\n(?:^    .*\n)*?^    verbs: \[(.*)\]\n", re.MULTILINE)
_USE = re.compile(r"kube/\w+\.py(?:::\w+)?")


def rules(manifest: Path) -> list[tuple[str, list[str]]]:
    """The comment above each rule, and the rule's verbs."""
    return [(comment, verbs.split(", ")) for comment, verbs in _RULE.findall(manifest.read_text())]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.parts[-2])
def test_each_verb_is_explained_at_its_rule(manifest: Path) -> None:
    found = rules(manifest)
    assert len(found) == manifest.read_text().count("    verbs: ")
    assert [
        (verb, comment)
        for comment, verbs in found
        for verb in verbs
        if not re.search(rf"\b{verb}\b", comment)
    ] == []


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.parts[-2])
def test_each_rule_names_functions_that_exist(manifest: Path) -> None:
    for comment, _ in rules(manifest):
        uses = _USE.findall(comment)
        assert uses, comment
        for use in uses:
            path, _, function = use.partition("::")
            assert not function or f"def {function}(" in (PACKAGE / path).read_text(), use
            assert (PACKAGE / path).exists(), use
