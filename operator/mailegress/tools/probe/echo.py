"""A service that answers an HTTP request with the address of its caller, asked only if a person names one."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import aiohttp

from mailegress.api.text import clean_text
from mailegress.tools.probe.report import Echo
from mailegress.tools.probe.smtp import TEXT

_READ = 1024
"""Octets of an answer: an address has 15."""


async def ask_echo(url: str, seconds: float) -> Echo:
    """One request over IPv4, without a proxy: behind one, the address would be the proxy's."""
    try:
        async with (
            asyncio.timeout(seconds),
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(family=socket.AF_INET)) as session,
            session.get(url, allow_redirects=False, headers={"Accept": "text/plain"}) as response,
        ):
            if response.status != 200:
                return Echo(problem=f"it answers with status {response.status}")
            said = (await response.content.read(_READ)).decode("ascii", errors="replace").strip()
    except TimeoutError:
        return Echo(problem=f"no answer in {seconds:g} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Echo(problem=clean_text(str(error) or type(error).__name__, TEXT))
    try:
        return Echo(str(ipaddress.IPv4Address(said)))
    except ValueError:
        return Echo(problem=f"its answer is no IPv4 address: {clean_text(said, 80)!r}")
