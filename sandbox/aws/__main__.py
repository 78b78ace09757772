"""`python -m sandbox.aws`: the sandbox's AWS alone, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import signal

from .model import Delays, Settings
from .wire.server import AwsServer


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.aws", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 = any free port")
    parser.add_argument("--time-scale", type=float, default=1.0, help="factor of every delay (0.02 = fast)")
    parser.add_argument("--no-quotas", action="store_true", help="no throttling, no limit of records")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


async def serve(args: argparse.Namespace) -> None:
    settings = Settings(delays=Delays().scaled(args.time_scale), quotas=not args.no_quotas)
    server = AwsServer(settings, args.seed)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    url = await server.start(port=args.port)
    print(url, flush=True)
    await stop.wait()
    await server.stop()


if __name__ == "__main__":
    asyncio.run(serve(arguments()))
