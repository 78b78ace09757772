"""An object whose answers in public DNS a test changes, reading by reading."""

from __future__ import annotations

from mailegress.api.conditions import READY
from mailegress.api.types import MailEgress
from mailegress.reconcile import summarise
from mailegress.reconcile.result import Finding, Plan
from tests.support.planner import ZONE, PlannerHarness, mine, obj

HOST, NEW = "mta.example.com", "out.example.com"
SERVERS = [f"ns-{n}.example.net" for n in range(1, 5)]
RESOLVERS = ("192.0.2.53", "192.0.2.54", "192.0.2.55")
OBSERVED = {"management": "Observed"}


def harness_with(ptr: str | None = HOST, *, observed: bool = False) -> tuple[PlannerHarness, MailEgress]:
    """One address in the A record, as four servers and three resolvers answer it."""
    harness = PlannerHarness()
    eip = harness.eip(1, ptr)
    harness.dns.servers = frozenset(SERVERS)
    harness.dns.resolvers = RESOLVERS
    harness.zones.servers[ZONE.id] = harness.dns.servers
    if observed:
        harness.dns.answers[HOST] = frozenset({eip.public_ip})
        return harness, obj(HOST, [eip], forward=OBSERVED)
    harness.records.put(HOST, [eip.public_ip], mine())
    harness.publish(HOST)
    return harness, obj(HOST, [eip])


def ready(*, observed: bool = False) -> tuple[PlannerHarness, MailEgress]:
    """The same, Ready, with its status stored."""
    harness, me = harness_with(observed=observed)
    if observed:
        # A record that others keep is read twice.
        harness.now = -120.0
        me, _ = reading(harness, me)
    me, _ = reading(harness, me, -harness.now)
    assert status(me, READY) == "True"
    return harness, me


def watched(ptr: str | None = HOST, *, observed: bool = False) -> tuple[PlannerHarness, MailEgress]:
    """As ``harness_with``, seen before by this process, which asked no resolver yet."""
    harness, me = harness_with(ptr, observed=observed)
    harness.dns.public_at = None
    me = harness.written(me, harness.plan(me))
    return harness, harness.written(me, harness.plan(me))


def status(me: MailEgress, kind: str) -> str:
    found = me.status.condition(kind)
    assert found is not None
    return found.status


def reading(harness: PlannerHarness, me: MailEgress, seconds: float = 60.0) -> tuple[MailEgress, Plan]:
    """Everything is read once more; the status that follows is stored."""
    harness.now += seconds
    harness.dns.at = harness.dns.public_at = harness.book.at = harness.records.at = harness.now
    plan = harness.plan(me)
    return harness.written(me, plan), plan


def shown(me: MailEgress, plan: Plan, kind: str) -> Finding:
    return summarise.verdicts(me, plan)[kind]
