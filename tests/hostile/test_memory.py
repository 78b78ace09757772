"""Objects with as many annotations as the API server allows: start, work and restart within the chart's memory limit.

The operator is a process of its own; the peak of its resident memory is read from Linux (``VmHWM``). The API server is
the tests' double, over real sockets; AWS and DNS are the sandbox's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from sandbox.cloud import Cloud
from sandbox.operator import REPO, OperatorProcess
from tests.hostile.conftest import FULL, Bound, kubeconfig
from tests.support.http_api import HttpApi

OBJECTS = 2000 if FULL else 200
CHANGED = OBJECTS // 4
"""Of them change all at once."""
EXTRA = 24
"""MiB that the annotations may add in the short form, where the chart's limit would never be reached."""
ANNOTATIONS = 250_000
"""Bytes for each object; the API server takes 262,144."""
PIECES = 10

HELM_VALUES = REPO / "deploy/helm/mailegress/values.yaml"


def memory_limit() -> int:
    """MiB that the chart gives the operator."""
    text = yaml.safe_load(HELM_VALUES.read_text())["resources"]["limits"]["memory"]
    assert text.endswith("Mi")
    return int(text[:-2])


def peak(process: OperatorProcess) -> float:
    """MiB of resident memory at most so far."""
    assert process._process is not None
    status = Path(f"/proc/{process._process.pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


class Crowded(HttpApi):
    """Many objects, each with large annotations of others and of our own prefix, labels and finalizers."""

    def fill(self, *, heavy: bool) -> None:
        foreign = {f"example.com/note-{n}": "x" * (ANNOTATIONS // PIECES // 2) for n in range(PIECES)}
        ours = {f"mailegress.io/note-{n}": "y" * (ANNOTATIONS // PIECES // 2) for n in range(PIECES)}
        wide = {"mailegress.io/wide": "\N{LARGE RED CIRCLE}" * 1000}
        for number in range(OBJECTS):
            self.server.objects.pop(("mail", f"n{number}"), None)
            created = self.put(
                f"n{number}",
                hostname=f"n{number}.example.com",
                elasticIPs=[{"allocationID": f"eipalloc-{number:017x}"}],
            )
            created["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
            if not heavy:
                continue
            created["metadata"] |= {
                "annotations": foreign | ours | wide,
                "labels": {f"example.com/label-{n}": "y" * 60 for n in range(100)},
                "finalizers": [f"example.com/hold-{n}" for n in range(50)],
            }

    def said(self) -> int:
        """Objects that have a status of the operator's."""
        return sum(1 for item in self.server.objects.values() if item["status"]["observedGeneration"] >= 0)

    def touch(self, value: str) -> None:
        """Ask for a reconcile of many objects, all at once."""
        for namespace, name in list(self.server.objects)[:CHANGED]:
            self.server.merge(namespace, name, {"metadata": {"annotations": {REQUESTED: value}}})

    def handled(self, value: str) -> int:
        """Objects whose request was acted upon."""
        return sum(
            1
            for item in self.server.objects.values()
            if item["status"].get("lastHandledReconcileAt") == value
        )


REQUESTED = "mailegress.io/reconcile-requested-at"


@pytest.fixture
async def crowded() -> AsyncIterator[Crowded]:
    api = Crowded()
    async with api.serving():
        yield api


async def known(process: OperatorProcess) -> int:
    """Objects that the running operator has in its store."""
    _, text = await asyncio.to_thread(process.get, "/metrics")
    found = re.search(r"^mailegress_known_objects (\S+)$", text, re.MULTILINE)
    return int(float(found[1])) if found else 0


async def test_large_annotations_fit_into_the_memory_limit(
    crowded: Crowded, tmp_path: Path, bound: Bound
) -> None:
    with Cloud(scale=0.01) as cloud:
        environ = {
            **cloud.operator_environ(),
            "KUBECONFIG": str(kubeconfig(tmp_path / "kubeconfig", crowded.url)),
            "MAILEGRESS_OWNER_ID": "test",
        }
        process = OperatorProcess(environ, tmp_path / "operator.log")
        try:
            limit = float(memory_limit())
            if not FULL:
                crowded.fill(heavy=False)
                await asyncio.to_thread(process.start)
                await crowded.until(lambda: crowded.said() == OBJECTS, 300.0)
                limit = peak(process) + EXTRA
                await asyncio.to_thread(process.stop)
            crowded.fill(heavy=True)
            await asyncio.to_thread(process.start)
            await crowded.until(lambda: crowded.said() == OBJECTS, 300.0)
            bound(f"memory: MiB at start, {OBJECTS} objects of 250 kB", limit=limit, seen=peak(process))
            crowded.touch("once")
            await crowded.until(lambda: crowded.handled("once") == CHANGED, 300.0)
            bound(
                f"memory: MiB while {CHANGED} of {OBJECTS} objects of 250 kB change",
                limit=limit,
                seen=peak(process),
            )
            await asyncio.to_thread(process.stop)
            watches = crowded.watches
            await asyncio.to_thread(process.start)
            await crowded.until(lambda: crowded.watches > watches, 120.0)
            assert await known(process) == OBJECTS
            bound(
                f"memory: MiB after a restart, {OBJECTS} objects of 250 kB", limit=limit, seen=peak(process)
            )
        finally:
            await asyncio.to_thread(process.kill)
