"""Objects that the planner has brought to an end, and the effects of its writes."""

from __future__ import annotations

from dataclasses import replace

from mailegress.api.types import MailEgress
from mailegress.model.aws import Eip, Verb
from mailegress.reconcile.result import ChangeRecords, Plan, ResetPtr, SetPtr
from tests.support.planner import PlannerHarness, mine, obj, recorded

HOST, NEW = "mta.example.com", "out.example.com"


def converged(harness: PlannerHarness, *eips: Eip, host: str = HOST, **more: object) -> MailEgress:
    """An object that was Ready with these EIPs, its status written."""
    for eip in eips:
        harness.set_ptr(eip, host)
    harness.records.put(host, [e.public_ip for e in eips], mine())
    harness.publish(host)
    me = obj(host, eips, **{"status": recorded(host), **more})
    return harness.written(me, harness.plan(me))


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


def carry_out(harness: PlannerHarness, plan: Plan) -> None:
    """Let the write take effect at once, in Route 53 and DNS, or in EC2."""
    match plan.action:
        case ChangeRecords(zone_id, hostname, changes, _):
            harness.records.apply(zone_id, hostname, changes)
            harness.publish(hostname)
        case SetPtr(_, allocation_id, _, hostname, _):
            harness.set_ptr(harness.book.eips[allocation_id], hostname)
        case ResetPtr(_, allocation_id, _, _):
            harness.set_ptr(harness.book.eips[allocation_id], None)
        case _:
            raise AssertionError(f"nothing to carry out: {plan}")
