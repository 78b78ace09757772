"""Puts the DNS layer together."""

from __future__ import annotations

import random

from mailegress.dns.authorities import Authorities
from mailegress.dns.counted_query import Asker, QueryMetrics
from mailegress.dns.mail import MailChecks
from mailegress.dns.query import DnsQuery
from mailegress.dns.readings import Clock, OnError, Sleep
from mailegress.dns.resolvers import Resolvers
from mailegress.dns.reverse import ReverseZones
from mailegress.dns.service import DnsService, log_error
from mailegress.dns.settings import DnsSettings
from mailegress.dns.udp import UdpQuery
from mailegress.dns.walk import Walker
from mailegress.reconcile.ports import Wake


def wire_query(settings: DnsSettings) -> UdpQuery:
    """The query that goes over the network."""
    return UdpQuery(
        timeout=settings.timeout_seconds,
        max_queries=settings.max_queries,
        tcp_retry=settings.tcp_retry,
    )


def build_dns(
    settings: DnsSettings,
    query: DnsQuery,
    wake: Wake,
    metrics: QueryMetrics,
    clock: Clock,
    sleep: Sleep,
    rng: random.Random,
    on_error: OnError = log_error,
) -> DnsService:
    """The ``Dns`` port over ``query`` (:func:`wire_query` in production). ``clock`` and ``sleep`` in seconds.

    ``on_error(name, error)`` is called with unexpected exceptions of background readings.
    """
    asker = Asker(query, metrics, settings, clock)
    walker = Walker(settings, asker, clock, rng)
    authorities = Authorities(walker, asker)
    return DnsService(
        settings,
        walker,
        authorities,
        Resolvers(settings.resolvers, asker),
        ReverseZones(authorities, sleep),
        MailChecks(settings.resolvers, asker, clock),
        wake=wake,
        clock=clock,
        sleep=sleep,
        rng=rng,
        on_error=on_error,
    )
