"""Objects of many namespaces have silent name servers: how many sockets does the operator open to them?

The whole operator is a process of its own; its sockets are read from Linux (``/proc``). The API server is the tests'
double, AWS and DNS are the sandbox's, and the silent name servers take questions over UDP and TCP.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections import Counter
from pathlib import Path

from aiohttp.test_utils import TestServer

from bench.seeding import bare_world, some
from sandbox.aws.model import Settings
from sandbox.cloud import Cloud
from sandbox.operator import OperatorProcess
from tests.hostile.conftest import Bound
from tests.hostile.test_fairness import ADDRESSES, SCALE, Cluster, operator_environ, silent_servers

ALL, EACH = 256, 16
"""Sockets for DNS questions at once: of all namespaces, and of one."""
MANY = ALL * 3 // 4
NAMESPACES = 20
"""Together they would have more than ``ALL``."""
ZONES = 4
"""Of each namespace, each with an object; as many checks may be in progress."""
OWN = len(ADDRESSES) // NAMESPACES
"""Addresses that only one namespace's zones use, so that a socket tells for whom it is open."""
SERVERS = 16
SECONDS = 5.0
"""For which the sockets are counted once there are many. A silent server is waited for over UDP and then over TCP, 2
seconds each.
"""
PATIENCE = 90.0
"""Seconds until there are many."""


def sockets_of(pid: int) -> set[str]:
    """Inodes of the process's sockets."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            target = str(entry.readlink())
            if target.startswith("socket:["):
                found.add(target[8:-1])
    return found


def open_to_silent(pid: int) -> Counter[int]:
    """Sockets of the process that are open at the same time, by namespace."""
    before = sockets_of(pid)
    remotes: dict[str, str] = {}
    for kind in ("udp", "tcp"):
        for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
            fields = line.split()
            remotes[fields[9]] = socket.inet_ntoa(struct.pack("=I", int(fields[2].partition(":")[0], 16)))
    # The tables are read one after the other; what is there before and after was open all the time.
    own = before & sockets_of(pid)
    return Counter(
        ADDRESSES.index(remote) // OWN
        for inode, remote in remotes.items()
        if inode in own and remote in ADDRESSES
    )


async def test_silent_name_servers_of_many_namespaces_hold_a_bounded_number_of_sockets(
    tmp_path: Path, bound: Bound
) -> None:
    ones = some(NAMESPACES * ZONES)
    cluster = Cluster()
    async with TestServer(cluster.app()) as running:
        with (
            Cloud(Settings.for_tests(SCALE), scale=SCALE, populate=bare_world(ones)) as cloud,
            silent_servers(cloud.dns_port),
        ):
            environ = operator_environ(cloud, tmp_path, str(running.make_url("")))
            cloud.dns("delegations")
            for number in range(len(ones)):
                zone, first = f"z{number}.test", number // ZONES * OWN
                glue = {f"ns{i}.{zone}": [ADDRESSES[first + i % OWN]] for i in range(SERVERS)}
                cloud.dns("delegate", zone=zone, ns=list(glue), glue=glue)
            process = OperatorProcess(environ, tmp_path / "operator.log")
            try:
                await asyncio.to_thread(process.start)
                assert process._process is not None
                for number, one in enumerate(ones):
                    cluster.create(
                        f"n{number // ZONES}", one, f"z{number}.test", forward={"management": "Observed"}
                    )
                most, most_of_one, until = 0, 0, time.monotonic() + PATIENCE
                while time.monotonic() < until:
                    found = await asyncio.to_thread(open_to_silent, process._process.pid)
                    print(
                        round(until - time.monotonic(), 1),
                        found.total(),
                        max(found.values(), default=0),
                    )
                    if most <= MANY < found.total():
                        until = time.monotonic() + SECONDS
                    most = max(most, found.total())
                    most_of_one = max(most_of_one, *found.values(), 0)
                    await asyncio.sleep(0.05)
            finally:
                await asyncio.to_thread(process.kill)

    assert most > MANY, "the silent servers are asked"
    bound(f"DNS sockets open at once, {NAMESPACES} namespaces with silent servers", limit=ALL, seen=most)
    bound("DNS sockets open at once for one namespace with silent servers", limit=EACH, seen=most_of_one)
