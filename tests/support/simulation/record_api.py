"""Plays the cases at a real API server and writes its answers to ``tests/sim/golden``.

.venv/bin/python -m tests.support.simulation.record_api
"""

from __future__ import annotations

import asyncio

from mailegress.kube.credentials import kubeconfig
from mailegress.kube.transport import Transport, connect
from sandbox.controlplane import ControlPlane, find_or_build
from sandbox.externaldns import crd
from sandbox.local import CRDS
from tests.support.simulation.apicases import CASES, ENDPOINTS
from tests.support.simulation.apiplay import ENDING, GOLDEN, NAMESPACES, Object, path_of, play, text_of


class RealServer:
    """The API server of a control plane, with the CRDs in it."""

    def __init__(self, plane: ControlPlane, transport: Transport) -> None:
        self._plane = plane
        self.transport = transport

    async def namespaces(self, *names: str) -> None:
        for name in names:
            await asyncio.to_thread(self._plane.kubectl, "create", "namespace", name)
        # A definition is published before its storage takes requests (429 until then).
        async with asyncio.timeout(60.0):
            for path in (path_of(), ENDPOINTS):
                while (response := await self.transport.request("GET", path)).status != 200:
                    response.close()
                    await asyncio.sleep(0.1)
                response.close()

    async def end(self, name: str) -> None:
        await asyncio.to_thread(self._plane.kubectl, "delete", "namespace", name, "--wait=false")

    async def close(self, *names: str) -> None:
        """Nothing of ours stays."""
        release = {"metadata": {"finalizers": None}}
        headers = {"Content-Type": "application/merge-patch+json"}
        (
            await self.transport.request("PATCH", path_of(ENDING, "holds"), json=release, headers=headers)
        ).close()
        await asyncio.to_thread(self._plane.kubectl, "delete", "namespace", "--ignore-not-found", *names)


async def record(plane: ControlPlane) -> dict[str, list[Object]]:
    """Every case's answers at the real API server, the product's CRDs being installed."""
    plane.install_crds(crd())
    answers: dict[str, list[Object]] = {}
    async with connect(kubeconfig(plane.kubeconfig)) as transport:
        server = RealServer(plane, transport)
        await server.namespaces(*NAMESPACES)
        try:
            # It takes a quarter of a minute, in a namespace of its own.
            slow = asyncio.create_task(play(CASES["bookmarks"], server))
            for name, case in CASES.items():
                answers[name] = await (slow if name == "bookmarks" else play(case, server))
        finally:
            await server.close(*NAMESPACES)
    return answers


def main() -> None:
    with find_or_build() as plane:
        plane.install_crds(CRDS)
        answers = asyncio.run(record(plane))
    GOLDEN.mkdir(exist_ok=True)
    for old in GOLDEN.glob("*.json"):
        old.unlink()
    for name, kept in answers.items():
        (GOLDEN / f"{name}.json").write_text(text_of(kept), encoding="utf-8")
        print(f"{name}: {len(kept)} answers")


if __name__ == "__main__":
    main()
