"""The least that AWS's quotas allow: calls and seconds. ``docs/performance.md`` explains the arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass

RECORDS_PER_BATCH = 1000
"""ResourceRecord elements in one ChangeResourceRecordSets ("Quotas", Route 53 Developer Guide)."""
PAGE_RECORD_SETS = 300
"""Record sets in one reply of ListResourceRecordSets."""
PAGE_PTRS = 1000
"""PTRs in one reply of DescribeAddressesAttribute."""
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Rates:
    """What the operator may spend a second, and what it may have saved up: its settings' defaults."""

    changes: float = 100.0
    change_burst: float = 1500.0
    ptrs: float = 4.0
    ptr_burst: float = 8.0
    route53: float = 4.0
    route53_burst: float = 25.0


@dataclass(frozen=True, slots=True)
class World:
    """AWS's delays, in seconds."""

    insync: float = 30.0
    ptr: float = 120.0


def change_calls(names: int) -> int:
    """A name costs two records: the A record and its ownership TXT."""
    return math.ceil(2 * names / RECORDS_PER_BATCH)


def insync_seconds(names: int, rates: Rates, world: World) -> float:
    """Until every A record is INSYNC: the burst of changed records is free, the others come at the refill rate."""
    return max(0.0, 2 * names - rates.change_burst) / rates.changes + world.insync


def ready_seconds(names: int, rates: Rates, world: World) -> float:
    """Until every PTR is settled: the first INSYNC, then one modification each at its rate, and the last one's time.

    A PTR can only be set when its name is INSYNC; the rate of PTRs is the narrower one from a few names on.
    """
    queue = max(0.0, names - rates.ptr_burst) / rates.ptrs
    last = insync_seconds(names, rates, world)
    return max(world.insync + queue, last) + world.ptr


def record_pages(names: int) -> int:
    """Pages of a zone with two record sets of each name, SOA and NS."""
    return math.ceil((2 * names + 2) / PAGE_RECORD_SETS)


def restart_seconds(names: int, rates: Rates) -> float:
    """Until a zone is listed: its pages, the list of zones and the zone itself; no other list takes as long."""
    return max(0.0, record_pages(names) + 2 - rates.route53_burst) / rates.route53


def route53_idle_calls(names: int, sweep_seconds: float, hours: float = 1.0) -> float:
    """A sweep reads the zone list and every record set once."""
    return hours * HOUR / sweep_seconds * (record_pages(names) + 1)


def ec2_idle_calls(eips: int, sweep_seconds: float, hours: float = 1.0) -> float:
    """A sweep is one DescribeAddresses and the pages of PTRs; NAT gateways are read once an hour."""
    return hours * HOUR / sweep_seconds * (1 + math.ceil(eips / PAGE_PTRS)) + hours
