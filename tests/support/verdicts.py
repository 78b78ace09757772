"""An object whose answers in public DNS a test changes, reading by reading."""

from __future__ import annotations

from mailegress.api.conditions import READY
from mailegress.api.types import MailEgress
from mailegress.reconcile import summarise
from mailegress.reconcile.result import Finding, Plan
from tests.support.planner import ZONE, Desk, mine, obj

HOST, NEW = "mta.example.com", "out.example.com"
SERVERS = [f"ns-{n}.example.net" for n in range(1, 5)]
RESOLVERS = ("192.0.2.53", "192.0.2.54", "192.0.2.55")
OBSERVED = {"management": "Observed"}


def desk_with(ptr: str | None = HOST, *, observed: bool = False) -> tuple[Desk, MailEgress]:
    """One address in the A record, as four servers and three resolvers answer it."""
    desk = Desk()
    eip = desk.eip(1, ptr)
    desk.dns.servers = frozenset(SERVERS)
    desk.dns.resolvers = RESOLVERS
    desk.zones.servers[ZONE.id] = desk.dns.servers
    if observed:
        desk.dns.answers[HOST] = frozenset({eip.public_ip})
        return desk, obj(HOST, [eip], forward=OBSERVED)
    desk.records.put(HOST, [eip.public_ip], mine())
    desk.publish(HOST)
    return desk, obj(HOST, [eip])


def ready(*, observed: bool = False) -> tuple[Desk, MailEgress]:
    """The same, Ready, with its status stored."""
    desk, me = desk_with(observed=observed)
    if observed:
        # A record that others keep is read twice.
        desk.now = -120.0
        me, _ = reading(desk, me)
    me, _ = reading(desk, me, -desk.now)
    assert status(me, READY) == "True"
    return desk, me


def watched(ptr: str | None = HOST, *, observed: bool = False) -> tuple[Desk, MailEgress]:
    """As ``desk_with``, seen before by this process, which asked no resolver yet."""
    desk, me = desk_with(ptr, observed=observed)
    desk.dns.public_at = None
    me = desk.written(me, desk.plan(me))
    return desk, desk.written(me, desk.plan(me))


def status(me: MailEgress, kind: str) -> str:
    found = me.status.condition(kind)
    assert found is not None
    return found.status


def reading(desk: Desk, me: MailEgress, seconds: float = 60.0) -> tuple[MailEgress, Plan]:
    """Everything is read once more; the status that follows is stored."""
    desk.now += seconds
    desk.dns.at = desk.dns.public_at = desk.book.at = desk.records.at = desk.now
    plan = desk.plan(me)
    return desk.written(me, plan), plan


def shown(me: MailEgress, plan: Plan, kind: str) -> Finding:
    return summarise.verdicts(me, plan)[kind]
