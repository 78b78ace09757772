"""Which backend runs the scenario, and what is said where none can."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox.e2e.choice import VARIABLE, NoBackend, choose, node_reason
from sandbox.e2e.report import Result, Step, Steps
from sandbox.e2e.values import chart_values
from sandbox.packages import INSTALL, missing, need_programs


def answers(kind: str = "", node: str = "") -> dict[str, object]:
    return {"kind": lambda environ: kind, "node": lambda environ: node}


def test_kind_where_an_engine_runs_else_the_node() -> None:
    assert choose({}, answers()) == "kind"  # type: ignore[arg-type]
    assert choose({}, answers(kind="no engine")) == "node"  # type: ignore[arg-type]
    assert choose({VARIABLE: "node"}, answers()) == "node"  # type: ignore[arg-type]


def test_none_possible_says_why_for_each() -> None:
    with pytest.raises(NoBackend) as told:
        choose({}, answers(kind="no engine", node="no root"))  # type: ignore[arg-type]
    assert str(told.value).splitlines()[1:] == ["  kind: no engine", "  node: no root"]


def test_the_named_one_is_not_replaced_by_another() -> None:
    with pytest.raises(NoBackend, match="no engine"):
        choose({VARIABLE: "kind"}, answers(kind="no engine"))  # type: ignore[arg-type]
    with pytest.raises(NoBackend, match="minikube is none of auto, kind, node"):
        choose({VARIABLE: "minikube"}, answers())  # type: ignore[arg-type]


def test_a_node_needs_linux_root_and_unshare(tmp_path: Path) -> None:
    assert "darwin" in node_reason({}, system="darwin", user=0)
    assert "root" in node_reason({}, system="linux", user=1000)
    assert "no unshare and no mount" in node_reason({"PATH": str(tmp_path)}, system="linux", user=0)
    for name in ("unshare", "mount"):
        (tmp_path / name).touch(0o755)
    assert node_reason({"PATH": str(tmp_path)}, system="linux", user=0) == ""


def test_missing_programs_are_named_with_the_command_that_brings_them(tmp_path: Path) -> None:
    programs = {"no-such-buildah": "buildah", str(tmp_path / "bridge"): "plugins", "sh": "dash"}
    assert missing(programs, os.environ).keys() == {"no-such-buildah", str(tmp_path / "bridge")}
    said: list[str] = []
    with pytest.raises(
        RuntimeError, match=f"apt-get install --no-install-recommends buildah plugins.*{INSTALL}=1"
    ):
        need_programs(programs, "build", {"PATH": os.environ["PATH"]}, said.append)
    assert said == []


def test_the_chart_is_told_what_the_sandbox_tells_its_operator() -> None:
    environ = {
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://192.0.2.254:1",
        "AWS_PAGER": "",
        "MAILEGRESS_DNS_ROOTS": "192.0.2.1:53,192.0.2.2:53",
        "MAILEGRESS_DNS_AUTHORITY_PORT": "5353",
    }
    values = chart_values(environ, {"retry_seconds": "0.25", "regions": "eu-west-1,eu-west-2"})
    assert values == {
        "aws": {"region": "eu-west-1"},
        "settings": {
            "dnsRoots": "192.0.2.1:53,192.0.2.2:53",
            "dnsAuthorityPort": 5353,
            "retrySeconds": 0.25,
            "regions": "eu-west-1,eu-west-2",
            "allowHttpEndpoints": True,
        },
        "extraEnv": [{"name": "AWS_ENDPOINT_URL", "value": "http://192.0.2.254:1"}],
    }


def test_a_result_is_read_as_it_was_written_and_ends_in_one_line(tmp_path: Path) -> None:
    result = Result("node", (Step("install", 1.5, {"pods": 1}),), 0, 0)
    result.write(tmp_path / "deep" / "e2e.json")
    assert Result.read(tmp_path / "deep" / "e2e.json") == result
    assert result.last_line() == "E2E OK backend=node world_diff=0"


def test_a_step_that_fails_is_not_counted_as_done() -> None:
    said: list[str] = []
    times = iter([0.0, 2.0, 10.0])
    steps = Steps(said.append, lambda: next(times))
    with steps.step("one") as facts:
        facts["rss_mb"] = 90
    with pytest.raises(ValueError, match="broken"), steps.step("two"):
        raise ValueError("broken")
    assert steps.done == [Step("one", 2.0, {"rss_mb": 90})]
    assert said == ["== one", "   2.0 s, rss mb 90", "== two"]
