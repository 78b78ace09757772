"""Objects that the planner has brought to an end, and the effects of its writes."""

from __future__ import annotations

from dataclasses import replace

from mailegress.api.types import MailEgress
from mailegress.model.aws import Eip, Verb
from mailegress.reconcile.result import ChangeRecords, Plan, ResetPtr, SetPtr
from tests.support.planner import Desk, mine, obj, recorded

HOST, NEW = "mta.example.com", "out.example.com"


def converged(desk: Desk, *eips: Eip, host: str = HOST, **more: object) -> MailEgress:
    """An object that was Ready with these EIPs, its status written."""
    for eip in eips:
        desk.set_ptr(eip, host)
    desk.records.put(host, [e.public_ip for e in eips], mine())
    desk.publish(host)
    me = obj(host, eips, **{"status": recorded(host), **more})
    return desk.written(me, desk.plan(me))


def edited(me: MailEgress, eips: tuple[Eip, ...], host: str = HOST) -> MailEgress:
    """The same object with another spec, one generation on."""
    spec = obj(host, eips).spec
    return replace(me, spec=spec, meta=replace(me.meta, generation=me.meta.generation + 1))


def values(plan: Plan) -> tuple[str, ...]:
    """The A values that the step would create."""
    assert isinstance(plan.action, ChangeRecords)
    return next(
        (
            c.record_set.values
            for c in plan.action.changes
            if c.verb is Verb.CREATE and c.record_set.type == "A"
        ),
        (),
    )


def carry_out(desk: Desk, plan: Plan) -> None:
    """Let the write take effect at once, in Route 53 and DNS, or in EC2."""
    match plan.action:
        case ChangeRecords(zone_id, hostname, changes, _):
            desk.records.apply(zone_id, hostname, changes)
            desk.publish(hostname)
        case SetPtr(_, allocation_id, _, hostname, _):
            desk.set_ptr(desk.book.eips[allocation_id], hostname)
        case ResetPtr(_, allocation_id, _, _):
            desk.set_ptr(desk.book.eips[allocation_id], None)
        case _:
            raise AssertionError(f"nothing to carry out: {plan}")
