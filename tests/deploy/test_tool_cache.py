"""Tools on machines that lack something, and two processes that want the same one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sandbox.tools import NAMES, ToolError, tool
from sandbox.tools.cache import Cache
from sandbox.tools.gotool import PINS

ROOT = Path(__file__).resolve().parents[2]
GO_TOOLS = sorted(PINS)


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """A machine with an empty home and nothing on PATH."""
    (tmp_path / "bin").mkdir()
    return {"HOME": str(tmp_path / "home"), "PATH": str(tmp_path / "bin")}


def go(
    machine: dict[str, str], version: str = "go1.26.0", download: str = "exit 1", build: str = "exit 1"
) -> None:
    """A Go toolchain on that machine, of which only the answers matter."""
    script(
        Path(machine["PATH"], "go"),
        f'case "$1" in\nenv) echo {version};;\nmod) {download};;\nbuild) {build};;\nesac',
    )


def answer(**fields: str) -> str:
    return f"echo '{json.dumps(fields)}'"


@pytest.mark.parametrize("name", GO_TOOLS)
def test_without_go_the_error_names_the_remedy(machine: dict[str, str], name: str) -> None:
    with pytest.raises(ToolError, match=rf"{name} .*no `go` on PATH.*Install Go 1\.26"):
        tool(name, machine)


def test_an_old_go_is_refused(machine: dict[str, str]) -> None:
    go(machine, version="go1.24.3")
    with pytest.raises(ToolError, match=r"needs Go 1\.26 or newer; .* is go1\.24\.3"):
        tool("helm", machine)


def test_an_unreachable_proxy_is_named_with_the_remedy(machine: dict[str, str]) -> None:
    go(machine, download=answer(Error="dial tcp: connection refused") + "; exit 1")
    with pytest.raises(ToolError, match=r"helm\.sh/helm/v3@.*connection refused\n.*GOPROXY"):
        tool("helm", machine)


def test_a_module_that_is_not_the_pinned_one_is_not_built(machine: dict[str, str], tmp_path: Path) -> None:
    go(machine, download=answer(Dir=str(tmp_path), Sum="h1:other="), build="echo built >&2; exit 0")
    with pytest.raises(ToolError, match=r"has the hash h1:other=.*not used"):
        tool("helm", machine)


def test_a_failed_build_leaves_nothing_behind_and_shows_why(machine: dict[str, str], tmp_path: Path) -> None:
    go(
        machine,
        download=answer(Dir=str(tmp_path), Sum=PINS["helm"].source.sum),
        build="echo no space left; exit 1",
    )
    with pytest.raises(ToolError, match="no space left"):
        tool("helm", machine)
    left = [path for path in Path(machine["HOME"]).rglob("*") if path.is_file() and path.name != ".lock"]
    assert left == []


def test_a_built_tool_is_not_built_again(machine: dict[str, str], tmp_path: Path) -> None:
    made = 'while [ "$1" != -o ]; do shift; done; printf "#!/bin/sh\\n" > "$2"; /bin/chmod +x "$2"'
    go(machine, download=answer(Dir=str(tmp_path), Sum=PINS["helm"].source.sum), build=made)
    first = tool("helm", machine)
    assert first.is_relative_to(machine["HOME"])
    assert os.access(first, os.X_OK)
    go(machine)  # from now on every download fails
    assert tool("helm", machine) == first


@pytest.mark.parametrize(("name", "product"), [("promtool", "promtool"), ("knotd", "Knot DNS")])
def test_without_apt_and_without_the_program_the_error_says_so(
    machine: dict[str, str], name: str, product: str
) -> None:
    with pytest.raises(ToolError, match=rf"no {name} on PATH.*Install {product}"):
        tool(name, machine)
    present = script(Path(machine["PATH"], name), "exit 0")
    assert tool(name, machine) == present


def test_an_unknown_tool_is_refused(machine: dict[str, str]) -> None:
    with pytest.raises(ToolError, match=f"known: {', '.join(NAMES)}"):
        tool("hlem", machine)


def test_of_two_at_the_same_time_one_makes_it(tmp_path: Path) -> None:
    made, inside, go_on = [], threading.Event(), threading.Event()
    said: list[str] = []

    def make(scratch: Path) -> Path:
        made.append(scratch)
        inside.set()
        assert go_on.wait(30)
        return script(scratch / "tool", "exit 0")

    cache = Cache(tmp_path, lambda line: (said.append(line), go_on.set())[0])
    first = threading.Thread(target=cache.ensure, args=("tool", "v1", make))
    first.start()
    assert inside.wait(30)
    # The second finds the lock taken, says so, and that lets the first finish.
    assert os.access(cache.ensure("tool", "v1", make), os.X_OK)
    first.join(30)
    assert len(made) == 1
    assert said == ["another process makes tool-v1; waiting for it"]


def test_linting_on_a_machine_without_tools_fails_and_names_one(machine: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sandbox.tools.lint"],
        cwd=ROOT,
        env=machine,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("lint-deploy: kubeconform is a Go module, and there is no `go` on PATH.")
