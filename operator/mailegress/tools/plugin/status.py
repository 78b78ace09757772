"""``kubectl mailegress status``: read, print, and with ``--watch`` again when something changed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from mailegress.tools import terminal
from mailegress.tools.plugin import view
from mailegress.tools.plugin.cluster import Cluster, reach
from mailegress.tools.terminal import Block, Text

SETTLE_SECONDS = 0.2
"""After a change, before it is read: several often come together."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to show; without a name all of the namespace, or of all namespaces."""

    name: str | None
    namespace: str | None
    everywhere: bool


async def show(
    wanted: Wanted, kubeconfig: str | None, context: str | None, *, watch: bool, as_json: bool
) -> int:
    """The exit code. Errors: :class:`~mailegress.tools.plugin.cluster.Problem`."""
    async with reach(kubeconfig, context) as cluster:
        if not watch:
            _print(await _read(cluster, wanted), as_json=as_json, one=wanted.name is not None)
            return 0
        async with cluster.changes(_namespace(cluster, wanted), wanted.name) as changed:
            await _follow(cluster, wanted, changed, as_json=as_json)
    return 0


async def _follow(cluster: Cluster, wanted: Wanted, changed: asyncio.Event, *, as_json: bool) -> None:
    """Until it is cancelled or the cluster cannot be read."""
    printed = ""
    while True:
        # Before the reading: what changes while it is made counts as a change after it.
        changed.clear()
        views = await _read(cluster, wanted)
        # What is the same but for its age is not printed again.
        state = json.dumps(view.document(views))
        if state != printed:
            if printed and not as_json:
                terminal.show((Text(""),))
            printed = state
            _print(views, as_json=as_json, one=wanted.name is not None)
        await changed.wait()
        await asyncio.sleep(SETTLE_SECONDS)


def _namespace(cluster: Cluster, wanted: Wanted) -> str | None:
    """None: all."""
    return None if wanted.everywhere else wanted.namespace or cluster.namespace


async def _read(cluster: Cluster, wanted: Wanted) -> list[view.View]:
    namespace = _namespace(cluster, wanted)
    now = datetime.now(UTC)
    if wanted.name is None or namespace is None:
        return [view.view(body, (), now) for body in await cluster.objects(namespace)]
    body = await cluster.object(namespace, wanted.name)
    events = await cluster.events(namespace, str(body["metadata"]["uid"]))
    return [view.view(body, events, now)]


def _print(views: list[view.View], *, as_json: bool, one: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(view.document(views), indent=2) + "\n")
    elif one:
        terminal.show(view.blocks(views[0]))
    else:
        terminal.show(_list(views))
    sys.stdout.flush()


def _list(views: list[view.View]) -> Iterable[Block]:
    if not views:
        return (Text("There is no MailEgress. List all namespaces with -A."),)
    return view.overview(views)
