"""A process with the operator's life cycle, for the stories in test_lifecycle: one mode per story.

Arguments: the mode and ``shutdown_seconds``. Prints ``started`` once signals are handled.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable

from mailegress.cli import lifecycle
from mailegress.telemetry import logs


async def obedient(stop: asyncio.Event) -> None:
    await stop.wait()
    print("stopped cleanly", flush=True)


async def deaf(stop: asyncio.Event) -> None:
    await asyncio.Event().wait()


async def stubborn(stop: asyncio.Event) -> None:
    """Swallows every cancellation."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


async def thread_bound(stop: asyncio.Event) -> None:
    """Waits in a thread of the loop's pool for ever, as a call to a silent server would."""
    await asyncio.to_thread(threading.Event().wait)


async def failing(stop: asyncio.Event) -> None:
    raise RuntimeError("the watch is gone")


async def ending(stop: asyncio.Event) -> None:
    return None


async def late_failure(stop: asyncio.Event) -> None:
    await stop.wait()
    raise RuntimeError("failed while stopping")


async def starting_up(stop: asyncio.Event) -> int:
    """Is still connecting when the signal comes: nothing watches ``stop`` yet."""
    print("started", flush=True)
    await asyncio.Event().wait()
    return 0


MODES = {f.__name__: f for f in (deaf, stubborn, thread_bound, failing, ending, late_failure)}


async def main(stop: asyncio.Event) -> int:
    components: dict[str, Awaitable[object]] = {"obedient": obedient(stop)}
    if sys.argv[1] in MODES:
        components[sys.argv[1]] = MODES[sys.argv[1]](stop)
    asyncio.get_running_loop().call_soon(lambda: print("started", flush=True))
    return await lifecycle.supervise(stop, components, shutdown_seconds=float(sys.argv[2]))


if __name__ == "__main__":
    logs.configure("text", "info", sys.stdout)
    entry = starting_up if sys.argv[1] == "starting_up" else main
    sys.exit(lifecycle.run(entry, shutdown_seconds=float(sys.argv[2])))
