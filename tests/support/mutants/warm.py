"""Runs one selection of stories and tests after the other, each in a forked process over a copy of the code.

The libraries are imported once, the code under test in each child: a planted bug costs a third of a second instead of
four. One job is one line of JSON on standard input, ``{"folder": …, "runs": […], "tests": […]}``, its result one line
on standard output, ``{"outcome": "green" | "red" | "error", "said": […]}``.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import select
import sys
import time
import traceback
from pathlib import Path
from typing import Any

PATIENCE = 300.0
"""Seconds for one job."""
LIBRARIES = (
    "aiohttp", "attrs", "boto3", "botocore.loaders", "botocore.session", "dns.message", "dns.resolver", "jsonschema",
    "hypothesis", "kopf", "prometheus_client", "pytest", "pytest_asyncio", "typer", "yaml",
)  # fmt: skip
PROMISE = re.compile(r"^([SE]\d+)(?: violated|:)")


def main() -> None:
    """Serve until standard input ends."""
    for name in LIBRARIES:
        importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(_in_child(json.loads(line))), flush=True)


def _in_child(job: dict[str, Any]) -> dict[str, Any]:
    inlet, outlet = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(inlet)
        with contextlib.suppress(BaseException):
            os.write(outlet, json.dumps(_job(job)).encode())
        os._exit(0)
    os.close(outlet)
    text, deadline = b"", time.monotonic() + PATIENCE
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([inlet], [], [], left)[0]:
            break
        part = os.read(inlet, 65536)
        if not part:
            break
        text += part
    os.close(inlet)
    if not text:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, 9)
    os.waitpid(child, 0)
    if not text:
        return {"outcome": "error", "said": [f"no result within {PATIENCE:g} s"]}
    result: dict[str, Any] = json.loads(text)
    return result


def _job(job: dict[str, Any]) -> dict[str, Any]:
    folder = Path(job["folder"])
    os.chdir(folder)
    with open(folder / "output.txt", "w") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    # The one place that sets the path of imports: these are the copy, and not the code that this process came from.
    sys.path[:0] = [str(folder), str(folder / "operator")]  # noqa: TID251
    os.environ["PYTHONPATH"] = f"{folder}:{folder / 'operator'}"
    said: list[str] = []
    try:
        for run in job["runs"]:
            said += _play(run)
        if job["tests"]:
            said += _test(job["tests"])
        import mailegress

        if not str(mailegress.__file__).startswith(str(folder)):
            raise RuntimeError(f"{mailegress.__file__} was tested instead of the copy")
    except BaseException:
        printed = (folder / "output.txt").read_text()[-1000:]
        return {"outcome": "error", "said": [*said, printed, traceback.format_exc()[-2000:]]}
    return {"outcome": "red" if said else "green", "said": said}


def _play(run: dict[str, Any]) -> list[str]:
    """The promises that a story found broken, one line each; whatever else is wrong comes last, as it is."""
    runs = importlib.import_module("tests.support.simulation.runs")
    faults = importlib.import_module("tests.support.simulation.faults")
    harness = importlib.import_module("tests.support.simulation.harness")
    try:
        if run["fault"] is None:
            runs.calm(run["scenario"])
        else:
            runs.play_faulted(run["scenario"], faults.Plan(*run["fault"]), impatient=run["hasty"])
    except harness.Violation as violation:
        lines = str(violation).splitlines()
        return [line[:300] for line in lines if PROMISE.match(line)] or [lines[0][:300]]
    return []


class _Verdicts:
    """Failures by assertion of pytest's tests; anything else that fails is an error."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.wrong: list[str] = []

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
        import pytest

        if call.excinfo is None:
            return
        if call.when == "call" and issubclass(call.excinfo.type, AssertionError | pytest.fail.Exception):
            self.failed.append(item.nodeid)
        else:
            self.wrong.append(f"{item.nodeid}: {call.excinfo.exconly()}")


def _test(tests: list[str]) -> list[str]:
    import pytest

    verdicts = _Verdicts()
    code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *tests], plugins=[verdicts])
    if verdicts.wrong or code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"pytest ended with {code!r}: {'; '.join(verdicts.wrong)}")
    return verdicts.failed


if __name__ == "__main__":
    main()
