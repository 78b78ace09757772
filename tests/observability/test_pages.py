"""What the runbooks and the page on observability tell somebody to ask can be asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import jmespath
import pytest
import yaml

from tests.support.observability.exposition import Exposition
from tests.support.observability.living import Lived
from tests.support.observability.promql import selectors
from tests.support.observability.running import Run, run

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "observability.md", *sorted((DOCS / "runbooks").glob("*.md"))]


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for text in re.findall(
            rf"^ *```{language}\n(.*?)^ *```$", page.read_text(), re.MULTILINE | re.DOTALL
        ):
            yield page.stem, text


def commands(start: str) -> list[tuple[str, str]]:
    """(page, command) of each command that begins so; a line that ends in a backslash goes on."""
    found = []
    for page, text in blocks("sh"):
        for line in re.sub(r"\\\n\s*", " ", text).splitlines():
            command = re.sub(r"\s+#.*$", "", line.strip())
            if command.startswith(start):
                found.append((page, command))
    return found


# ---------------------------------------------------------------- PromQL


def queries() -> Iterator[tuple[str, str]]:
    """An indented line continues the one before."""
    for page, text in blocks("promql"):
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        for query in re.split(r"\n(?! )", "\n".join(lines)):
            yield page, query


QUERIES = list(queries())


def kube_state_metrics() -> dict[str, set[str]]:
    """Metrics of the shipped configuration, with their labels."""
    config = yaml.safe_load((DOCS.parent / "deploy/observability/kube-state-metrics.yaml").read_text())
    [resource] = config["spec"]["resources"]
    every = set(resource["labelsFromPath"])
    return {
        f"{resource['metricNamePrefix']}_{metric['name']}": every
        | {label for part in metric["each"].values() if part for label in labels(part)}
        for metric in resource["metrics"]
    }


def labels(part: object) -> set[str]:
    return set(part.get("labelsFromPath", {})) if isinstance(part, dict) else set()


def test_prometheus_takes_every_query_that_is_shown(promtool: Callable[..., Run], tmp_path: Path) -> None:
    rules = [{"record": f"page:{number}", "expr": query} for number, (_, query) in enumerate(QUERIES)]
    told = tmp_path / "queries.yaml"
    told.write_text(yaml.safe_dump({"groups": [{"name": "pages", "rules": rules}]}))
    checked = promtool("check", "rules", told)
    assert checked.code == 0, checked.text
    assert len(QUERIES) > 10


@pytest.mark.parametrize(("where", "query"), QUERIES)
def test_a_query_that_is_shown_names_only_what_is_served(where: str, query: str, page: Exposition) -> None:
    known = kube_state_metrics()
    ours = [s for s in selectors(query) if s.metric not in known]
    if ours:
        assert page.misses(query) == []
        return
    for selector in selectors(query):
        assert {label for label, _ in selector.values()} <= known[selector.metric]


def test_the_table_of_kube_state_metrics_is_the_configuration() -> None:
    rows = re.findall(
        r"^\| (`kube_mailegress_.*?) \| (.*?) ?\| ", (DOCS / "observability.md").read_text(), re.M
    )
    told = {
        name: set(re.findall(r"`(\w+)`", shown))
        for names, shown in rows
        for name in re.findall(r"`(\w+)`", names)
    }
    assert told == {name: has - {"namespace", "name"} for name, has in kube_state_metrics().items()}


# ---------------------------------------------------------------- commands

READS = [
    (page, command)
    for page, command in commands("kubectl ")
    if re.search(r"\bmeg\b|\bmailegress/outbound|auth can-i|get crd", command)
    and not re.search(r" (patch|delete|-w)\b| NAME ", command)
]


@pytest.mark.parametrize(("where", "command"), READS)
def test_kubectl_takes_a_command_that_reads(where: str, command: str, lived: Lived) -> None:
    """As it stands, in the namespace and with the name of the examples; a grep may find nothing."""
    asked, _, _ = command.partition(" | ")
    done = run("bash", "-c", asked, env=lived.story.plane.environ())
    assert done.code == 0, done.text
    assert done.text.strip()
    if "auth can-i" in asked:
        assert done.text.strip().splitlines()[-1] == "yes"


def test_there_are_commands_to_try() -> None:
    assert len(READS) > 15


def test_filters_of_the_aws_cli_are_well_formed() -> None:
    found = re.findall(r"--query (?:'([^']+)'|\"([^\"]+)\"|(\S+))", "\n".join(c for _, c in commands("")))
    assert len(found) > 5
    for parts in found:
        jmespath.compile("".join(parts))


def test_shell_that_is_shown_is_shell() -> None:
    for where, text in blocks("sh"):
        checked = run("bash", "-n", "-c", text)
        assert checked.code == 0, (where, checked.text)
