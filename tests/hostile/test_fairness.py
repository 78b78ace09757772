"""Hundreds of objects of one namespace have silent name servers: how soon is another namespace's object Ready?

The whole operator is a process of its own. Its API server is the tests' double, AWS and DNS are the sandbox's, and the
silent name servers take questions over UDP and TCP: all of it over real sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.seeding import One, bare_world, some
from sandbox.aws.model import Settings
from sandbox.cloud import Cloud
from sandbox.local import FAST
from sandbox.operator import OperatorProcess
from tests.hostile.conftest import FULL, Bound, kubeconfig
from tests.support.http_api import HttpApi
from tests.support.simulation.apiwire import Object

OBJECTS = 400
"""With silent name servers, in one namespace."""
SAMPLES = 7 if FULL else 5
"""Objects of another namespace, one after the other: before, and beside the others."""
ATTEMPTS = 3
"""A busy machine makes one of the two slow by chance; a namespace that holds up others does so each time."""
SERVERS = 16
"""Of each silent zone."""
ADDRESSES = [f"127.0.54.{number}" for number in range(1, 241)]
"""So many that the operator has forgotten that one was silent when it asks that one again."""
SCALE = 0.01
SETTINGS = {**FAST, "dns_timeout_seconds": "2"}
"""The time limit of one question is the default; AWS's delays are a hundredth."""
PATIENCE = 60.0
"""Seconds for one object."""


@contextlib.contextmanager
def silent_servers(port: int) -> Iterator[None]:
    """They take questions and connections, and say nothing."""
    with contextlib.ExitStack() as sockets:
        for address in ADDRESSES:
            sockets.enter_context(socket.socket(type=socket.SOCK_DGRAM)).bind((address, port))
            stream = sockets.enter_context(socket.socket())
            stream.bind((address, port))
            stream.listen(64)
        yield


def operator_environ(cloud: Cloud, folder: Path, server: str) -> dict[str, str]:
    """Of an operator that may ask the silent servers. ``server``: the URL of its API server."""
    return {
        **cloud.operator_environ(),
        **{f"MAILEGRESS_{name.upper()}": value for name, value in SETTINGS.items()},
        "MAILEGRESS_DNS_EXTRA_RANGES": ",".join([*cloud.dns_ranges, "127.0.54.0/24"]),
        "KUBECONFIG": str(kubeconfig(folder / "kubeconfig", server.rstrip("/"))),
        "MAILEGRESS_OWNER_ID": "test",
    }


class Cluster(HttpApi):
    """With MailEgresses of several namespaces."""

    def create(self, namespace: str, one: One, hostname: str = "", **spec: Any) -> None:
        wanted = one.manifest(namespace)["spec"] | {"hostname": hostname or one.hostname, **spec}
        self.server.create(namespace, one.name, wanted)
        # Without the CRD's default status the operator writes its first one at once instead of holding it back.
        self.server.meddle(namespace, one.name, lambda body: body.pop("status"))

    def ready(self, namespace: str, one: One) -> tuple[str, str]:
        """Status and reason of Ready, empty until the operator has written them."""
        found: Object = self.server.objects[namespace, one.name].get("status", {})
        for condition in found.get("conditions", ()):
            if condition["type"] == "Ready":
                return condition["status"], condition["reason"]
        return "", ""

    async def seconds_to_ready(self, ones: Sequence[One]) -> float:
        """The median of objects that are created one after the other."""
        taken = []
        for one in ones:
            began = time.monotonic()
            self.create("tenant", one)
            with contextlib.suppress(TimeoutError):
                await self.until(lambda one=one: self.ready("tenant", one)[0] == "True", PATIENCE)  # type: ignore[misc]
            taken.append(time.monotonic() - began)
        return statistics.median(taken)


async def test_silent_name_servers_of_one_namespace_do_not_hold_up_another(
    tmp_path: Path, bound: Bound
) -> None:
    ones = some(OBJECTS + SAMPLES * (1 + ATTEMPTS))
    hostile, others = ones[:OBJECTS], iter(ones[OBJECTS:])
    cluster = Cluster()
    async with cluster.serving():
        with (
            Cloud(Settings.for_tests(SCALE), scale=SCALE, populate=bare_world(ones)) as cloud,
            silent_servers(cloud.dns_port),
        ):
            environ = operator_environ(cloud, tmp_path, cluster.url)
            cloud.dns("delegations")
            for number in range(OBJECTS):
                zone = f"z{number}.test"
                names = [f"ns{i}.{zone}" for i in range(SERVERS)]
                glue = {
                    name: [ADDRESSES[(number * SERVERS + i) % len(ADDRESSES)]] for i, name in enumerate(names)
                }
                cloud.dns("delegate", zone=zone, ns=names, glue=glue)
            process = OperatorProcess(environ, tmp_path / "operator.log")
            try:
                await asyncio.to_thread(process.start)
                quiet = await cluster.seconds_to_ready([next(others) for _ in range(SAMPLES)])
                for number, one in enumerate(hostile):
                    cluster.create("hostile", one, f"mta.z{number}.test", forward={"management": "Observed"})
                await cluster.until(
                    lambda: all(cluster.ready("hostile", one)[0] for one in hostile), PATIENCE
                )
                beside = quiet * 100
                for _ in range(ATTEMPTS):
                    beside = min(
                        beside, await cluster.seconds_to_ready([next(others) for _ in range(SAMPLES)])
                    )
                    if beside < 2 * quiet:
                        break
                told = sum(cluster.ready("hostile", one)[1] == "AuthoritiesUnreachable" for one in hostile)
            finally:
                await asyncio.to_thread(process.kill)
    assert told < OBJECTS / 2, "most of them are still waiting for their turn"
    bound(
        f"fair DNS: seconds until an object is Ready beside {OBJECTS} with silent servers, twice its quiet time",
        limit=2 * quiet,
        seen=beside,
    )
