"""The program ``kubectl_complete-mailegress``: kubectl runs it to complete ``kubectl mailegress …``.

kubectl gives the words after ``mailegress``, the unfinished one last, and reads one completion a line and ``:4`` at the
end (cobra's "no file completion").
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

COMMANDS = ("status", "reconcile", "suspend", "resume", "probe", "import", "orphans", "version")
OPTIONS = ("--namespace", "--kubeconfig", "--context", "--help")
STATUS_OPTIONS = (*OPTIONS, "--all-namespaces", "--watch", "--output")
PROBE_VALUES = (
    "--to",
    "--image",
    "--image-pull-secret",
    "--node",
    "--address-from",
    "--resolvers",
    "--timeout-seconds",
)
PROBE_OPTIONS = (*OPTIONS, "--output", *PROBE_VALUES)
_SECONDS = 3.0


def main() -> None:
    """Print the completions of the arguments."""
    for text in complete(sys.argv[1:]):
        print(text)
    print(":4")


def complete(words: Sequence[str]) -> list[str]:
    """What the last of the words may become."""
    *before, last = words or [""]
    if not before:
        return [command for command in COMMANDS if command.startswith(last)]
    if before[-1] in ("-o", "--output"):
        return [kind for kind in ("json", "text") if kind.startswith(last)]
    if last.startswith("-"):
        options = {"status": STATUS_OPTIONS, "probe": PROBE_OPTIONS}.get(before[0], OPTIONS)
        return [option for option in options if option.startswith(last)]
    if (
        before[0] not in COMMANDS
        or before[0] in ("import", "orphans", "version")
        or before[-1] in (*OPTIONS[:-1], *PROBE_VALUES, "-n")
    ):
        return []
    return [name for name in asyncio.run(_names(before)) if name.startswith(last)]


async def _names(before: Sequence[str]) -> list[str]:
    """The MailEgresses of the namespace; none if the cluster cannot be asked at once."""
    from mailegress.tools.plugin.cluster import Problem, reach

    try:
        async with (
            asyncio.timeout(_SECONDS),
            reach(_option(before, "--kubeconfig"), _option(before, "--context")) as cluster,
        ):
            namespace = _option(before, "-n", "--namespace") or cluster.namespace
            return [str(o["metadata"]["name"]) for o in await cluster.objects(namespace)]
    except (Problem, TimeoutError):
        return []


def _option(words: Sequence[str], *names: str) -> str | None:
    """The value of an option, given as a word of its own or after ``=``."""
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else words[index + 1] if index + 1 < len(words) else None
    return None
