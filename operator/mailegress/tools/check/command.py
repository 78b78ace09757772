"""The command: subjects in, a report and an exit code out."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Sequence
from typing import TextIO

from mailegress.dns.lookups import Lookups
from mailegress.dns.settings import DnsSettings
from mailegress.dns.wiring import wire_query
from mailegress.tools import terminal
from mailegress.tools.check import report
from mailegress.tools.check.checking import Checker
from mailegress.tools.check.result import Checked, worst
from mailegress.tools.check.subjects import Subject

AT_ONCE = 4
"""Subjects that are checked at the same time."""


def run(
    subjects: Sequence[Subject],
    settings: DnsSettings,
    *,
    as_json: bool,
    sender_domains: frozenset[str] = frozenset(),
    out: TextIO | None = None,
) -> int:
    """Print what was found; the exit code."""
    stream = out or sys.stdout
    results = asyncio.run(check_all(subjects, settings, sender_domains))
    if as_json:
        stream.write(json.dumps(report.document(results), indent=2) + "\n")
    else:
        terminal.show(report.blocks(results), stream)
    return worst(tuple(result.verdict.outcome for result in results)).code


async def check_all(
    subjects: Sequence[Subject], settings: DnsSettings, sender_domains: frozenset[str] = frozenset()
) -> tuple[Checked, ...]:
    """In the order of the subjects."""
    lookups = Lookups(
        settings,
        wire_query(settings),
        asyncio.get_running_loop().time,
        asyncio.sleep,
        random.Random(),
    )
    checker = Checker(lookups, len(settings.resolvers), sender_domains)
    places = asyncio.Semaphore(AT_ONCE)

    async def one(subject: Subject) -> Checked:
        async with places:
            return await checker.check(subject)

    return tuple(await asyncio.gather(*(one(subject) for subject in subjects)))
