"""The states of a MailEgress that a GitOps tool can meet, and the verdict that each tool must reach.

``passes``: a rollout continues; ``waits``: it waits for a change; ``fails``: it ends, because a person must act.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from mailegress.aws.api import AwsError, Service
from mailegress.aws.errors import classify
from mailegress.model.aws import Absence
from mailegress.model.dns import AnswerKind
from mailegress.model.endpoints import DnsEndpoint, EndpointEntry
from mailegress.model.facts import Fact, Fault, WritePhase, WriteState
from mailegress.reconcile.result import SetPtr
from tests.support.gitops.scene import HOST, NEW_HOST, Scene
from tests.support.planner import OTHER_UID, ZONE, mine, obj

OLDER = "2020-01-01T00:00:00Z"


class Verdict(enum.StrEnum):
    PASSES = "passes"
    WAITS = "waits"
    FAILS = "fails"


@dataclass(frozen=True)
class Situation:
    """``name``: the file name of its manifest; ``told``: its line in docs/gitops.md; ``reason``: that of Ready."""

    name: str
    told: str
    reason: str
    verdict: Verdict
    deleting: bool
    suspended: bool
    enter: Callable[[Scene], None]


ALL: list[Situation] = []


def situation(
    told: str, reason: str, verdict: Verdict, *, deleting: bool = False, suspended: bool = False
) -> Callable[[Callable[[Scene], None]], Callable[[Scene], None]]:
    def add(enter: Callable[[Scene], None]) -> Callable[[Scene], None]:
        name = enter.__name__.replace("_", "-")
        ALL.append(Situation(name, told, reason, verdict, deleting, suspended, enter))
        return enter

    return add


def denied(operation: str = "ListHostedZones", service: Service = Service.ROUTE53) -> Fault:
    return classify(
        AwsError(
            service,
            operation,
            "AccessDenied",
            "User is not authorized to perform this action because no identity-based policy allows it",
            403,
        )
    )


def throttled() -> Fault:
    return classify(AwsError(Service.EC2, "DescribeAddresses", "RequestLimitExceeded", "Rate exceeded.", 503))


# ---------------------------------------------------------------- on the way up


@situation("applied, not processed by an operator yet", "Pending", Verdict.WAITS)
def never_seen(s: Scene) -> None:
    s.apply(s.harness.eip(1), finalizer=False)


@situation("first reconcile, nothing read yet", "Progressing", Verdict.WAITS)
def first_look(s: Scene) -> None:
    s.apply(s.harness.eip(1), finalizer=False)
    s.harness.book.at = None
    s.harness.zones.zones = None
    s.look()


@situation("the A record is being created", "ChangePending", Verdict.WAITS)
def record_under_way(s: Scene) -> None:
    s.apply(s.harness.eip(1))
    s.look()


@situation("Route 53 publishes the A record", "ChangePending", Verdict.WAITS)
def change_pending(s: Scene) -> None:
    eip = s.harness.eip(1)
    s.apply(eip)
    s.has_record(eip)
    s.harness.writer.states[(ZONE.id, HOST)] = WriteState(WritePhase.APPLIED, 0.0, change_id="C1")
    s.look()


@situation("one name server does not return the record yet", "AuthoritiesDisagree", Verdict.WAITS)
def authorities_disagree(s: Scene) -> None:
    eip = s.harness.eip(1)
    s.apply(eip)
    s.has_record(eip)
    s.harness.dns.kinds["ns-2.example.net"] = AnswerKind.NXDOMAIN
    s.look()


@situation("AWS is setting the PTR", "PTRPending", Verdict.WAITS)
def ptr_pending(s: Scene) -> None:
    eip = s.harness.eip(1)
    s.apply(eip)
    s.has_record(eip)
    s.pending_ptr(eip)
    s.look()


@situation("public resolvers do not return the record yet", "NotPropagated", Verdict.WAITS)
def not_propagated(s: Scene) -> None:
    eip = s.harness.eip(1)
    s.apply(eip)
    s.is_right(eip)
    for resolver in s.harness.dns.resolvers:
        s.harness.dns.kinds[resolver] = AnswerKind.NXDOMAIN
    s.look()


@situation("management Observed, the A record is not written yet", "WaitingForForward", Verdict.WAITS)
def observed_waiting(s: Scene) -> None:
    s.apply(s.harness.eip(1), forward={"management": "Observed"})
    s.look()


# ---------------------------------------------------------------- Ready


@situation("forward and reverse DNS match", "Ready", Verdict.PASSES)
def ready(s: Scene) -> None:
    s.ready()


@situation("forward and reverse DNS match, three addresses", "Ready", Verdict.PASSES)
def ready_three_addresses(s: Scene) -> None:
    s.ready(3)


@situation("forward and reverse DNS match, no public resolvers are configured", "Ready", Verdict.PASSES)
def ready_without_resolvers(s: Scene) -> None:
    s.harness.dns.resolvers = ()
    s.ready()


@situation("forward and reverse DNS match, management Observed", "Ready", Verdict.PASSES)
def observed_ready(s: Scene) -> None:
    eip = s.harness.eip(1, HOST)
    s.apply(eip, forward={"management": "Observed"})
    s.harness.dns.answers[HOST] = frozenset({eip.public_ip})
    s.look()
    # An observed record must be read twice.
    s.harness.now = s.harness.dns.at = s.harness.dns.public_at = 5.0
    s.look()


@situation(
    "the new hostname is Ready, the records of the old one are being removed",
    "RetiringOldName",
    Verdict.PASSES,
)
def retiring_old_name(s: Scene) -> None:
    s.ready()
    s.edit(hostname=NEW_HOST)
    s.advance()


@situation("Ready, AWS throttles the operator", "Ready", Verdict.PASSES)
def ready_while_throttled(s: Scene) -> None:
    s.ready()
    view = s.harness.book.get("ap-northeast-1").value
    s.harness.book.get = lambda region: Fact(view, 0.0, throttled(), 1, 1.0)  # type: ignore[method-assign]
    s.look()


@situation("Ready, a reconcile was requested", "Ready", Verdict.PASSES)
def ready_look_requested(s: Scene) -> None:
    s.ready()
    s.request_look()


# ---------------------------------------------------------------- an edit


@situation("edited while Ready, not processed since", "Ready", Verdict.WAITS)
def edited_not_seen(s: Scene) -> None:
    s.ready()
    s.edit(hostname=NEW_HOST)


@situation("edited while Ready, the new A record is being created", "ChangePending", Verdict.WAITS)
def rename_under_way(s: Scene) -> None:
    s.ready()
    s.edit(hostname=NEW_HOST)
    s.look()


@situation("status removed by hand, not processed since", "", Verdict.WAITS)
def status_wiped(s: Scene) -> None:
    s.ready()
    s.store({"observedGeneration": -1, "conditions": []})


# ---------------------------------------------------------------- waits for a change outside the operator


@situation("no hosted zone for the hostname", "ZoneNotFound", Verdict.WAITS)
def zone_missing(s: Scene) -> None:
    s.harness.zones.zones = ()
    s.apply(s.harness.eip(1))
    s.look()


@situation("no hosted zone for the hostname, for 30 minutes", "ZoneNotFound", Verdict.FAILS)
def zone_missing_for_long(s: Scene) -> None:
    zone_missing(s)
    s.look(stuck=True)


@situation("the Elastic IP does not exist", "AddressNotFound", Verdict.WAITS)
def address_missing(s: Scene) -> None:
    eip = s.harness.eip(1)
    s.apply(eip)
    del s.harness.book.eips[eip.allocation_id]
    s.harness.book.absences[eip.allocation_id] = Absence.LOST
    s.look()


@situation("AWS denies the operator a call", "AccessDenied", Verdict.WAITS)
def access_denied(s: Scene) -> None:
    s.apply(s.harness.eip(1))
    s.harness.zones.get = lambda: Fact(fault=denied(), misses=1, tried_at=0.0)  # type: ignore[method-assign]
    s.look()


@situation("AWS denies the operator a call, for 30 minutes", "AccessDenied", Verdict.FAILS)
def access_denied_for_long(s: Scene) -> None:
    access_denied(s)
    s.look(stuck=True)


@situation("AWS denies setting the PTR, the A record exists", "AccessDenied", Verdict.WAITS)
def ptr_denied(s: Scene) -> None:
    eip = s.harness.eip(1)
    s.apply(eip)
    s.has_record(eip)
    assert isinstance(s.look().action, SetPtr)
    fault = denied("ModifyAddressAttribute", Service.EC2)
    s.harness.ptrs.states[eip.allocation_id] = WriteState(WritePhase.FAILED, 0.0, fault, attempts=1)
    s.look()


@situation("half of the account's addresses are missing at once", "MassLossSuspected", Verdict.WAITS)
def mass_loss(s: Scene) -> None:
    [eip] = s.ready()
    del s.harness.book.eips[eip.allocation_id]
    s.harness.book.absences[eip.allocation_id] = Absence.MASS
    s.look()


@situation("one of two addresses was released", "AddressLost", Verdict.WAITS)
def address_lost(s: Scene) -> None:
    _, eip = s.ready(2)
    del s.harness.book.eips[eip.allocation_id]
    s.harness.book.absences[eip.allocation_id] = Absence.LOST
    s.advance()


@situation("another object is releasing the hostname", "WaitingForRelease", Verdict.WAITS)
def waiting_for_release(s: Scene) -> None:
    s.harness.take(obj("other.example.com", [s.harness.eip(2)], uid=OTHER_UID, created=OLDER))
    eip = s.harness.eip(1)
    s.apply(eip)
    s.harness.records.put(HOST, [eip.public_ip], mine(OTHER_UID))
    s.look()


# ---------------------------------------------------------------- a person must act


@situation(
    "the hostname has a record set that this operator does not manage", "RecordConflict", Verdict.FAILS
)
def foreign_record(s: Scene) -> None:
    s.apply(s.harness.eip(1))
    s.foreign_record()
    s.look()


@situation("a third party replaced the A record of a Ready object", "RecordConflict", Verdict.FAILS)
def drift(s: Scene) -> None:
    s.ready()
    s.foreign_record()
    s.look()


@situation("another MailEgress holds the hostname", "HostnameConflict", Verdict.FAILS)
def hostname_conflict(s: Scene) -> None:
    s.harness.take(obj(HOST, [s.harness.eip(2)], uid=OTHER_UID, created=OLDER))
    s.apply(s.harness.eip(1))
    s.look()


@situation("another MailEgress holds the address", "AddressConflict", Verdict.FAILS)
def address_conflict(s: Scene) -> None:
    eip = s.harness.eip(1)
    s.harness.take(obj("other.example.com", [eip], uid=OTHER_UID, created=OLDER))
    s.apply(eip)
    s.look()


@situation("the address has a PTR that this operator does not manage", "PTRConflict", Verdict.FAILS)
def foreign_ptr(s: Scene) -> None:
    s.apply(s.harness.eip(1, "mail.example.net"))
    s.look()


@situation("an A record with the wanted values exists, adoption is Never", "RecordNotAdopted", Verdict.FAILS)
def not_adopted(s: Scene) -> None:
    eip = s.harness.eip(1)
    s.apply(eip, adoption="Never")
    s.harness.records.put(HOST, [eip.public_ip])
    s.harness.publish(HOST)
    s.look()


@situation("GovCloud: only AWS Support can set the PTR", "ReverseUnsupported", Verdict.FAILS)
def reverse_unsupported(s: Scene) -> None:
    eip = s.harness.eip(1)
    s.harness.book.supported = False
    s.apply(eip)
    s.has_record(eip)
    s.look()


@situation("restored from another cluster whose owner ID is not accepted", "RecordConflict", Verdict.FAILS)
def owner_not_accepted(s: Scene) -> None:
    eip = s.harness.eip(1, HOST)
    # RecordConflict goes first: resetting the PTR, as PTRNotAdopted advises, would stop the mail.
    s.apply(eip, adoption="Never")
    s.harness.records.put(HOST, [eip.public_ip], mine(OTHER_UID, owner="cluster-b"))
    s.look()


# ---------------------------------------------------------------- management ExternalDNS


@situation(
    "management ExternalDNS, external-dns did not write the A record yet", "WaitingForForward", Verdict.WAITS
)
def external_waiting(s: Scene) -> None:
    s.external()
    s.advance()
    s.harness.dns.at = s.harness.now
    s.look()


@situation("forward and reverse DNS match, management ExternalDNS", "Ready", Verdict.PASSES)
def external_ready(s: Scene) -> None:
    s.external_ready()


@situation(
    "management ExternalDNS, the operator runs without --external-dns=on",
    "ExternalDNSDisabled",
    Verdict.WAITS,
)
def external_disabled(s: Scene) -> None:
    s.external(enabled=False)
    s.look()


@situation("management ExternalDNS, the CRD of external-dns is missing", "ExternalDNSMissing", Verdict.WAITS)
def external_missing(s: Scene) -> None:
    s.external(exists=False)
    s.look()


@situation(
    "management ExternalDNS, the CRD of external-dns is missing, for 30 minutes",
    "ExternalDNSMissing",
    Verdict.FAILS,
)
def external_missing_long(s: Scene) -> None:
    s.external(exists=False)
    s.look(stuck=True)


@situation("a DNSEndpoint of others has the hostname", "DNSEndpointConflict", Verdict.FAILS)
def external_conflict(s: Scene) -> None:
    s.external()
    entry = EndpointEntry(HOST, frozenset({"203.0.113.99"}), 300)
    s.harness.endpoints.put(DnsEndpoint(s.namespace, "web", "uid of web", "7", (entry,)))
    s.look()


# ---------------------------------------------------------------- suspended


@situation("suspended, forward and reverse DNS match", "Ready", Verdict.PASSES, suspended=True)
def suspended_ready(s: Scene) -> None:
    s.ready()
    s.edit(suspend=True)
    s.look()


@situation("suspended before anything was written", "Suspended", Verdict.WAITS, suspended=True)
def suspended_new(s: Scene) -> None:
    s.apply(s.harness.eip(1), finalizer=False, suspend=True)
    s.look()


@situation("suspended, then edited", "Suspended", Verdict.WAITS, suspended=True)
def suspended_edited(s: Scene) -> None:
    s.ready()
    s.edit(suspend=True, hostname=NEW_HOST)
    s.look()


@situation("suspended, the hosted zone is missing", "ZoneNotFound", Verdict.WAITS, suspended=True)
def suspended_zone_missing(s: Scene) -> None:
    s.harness.zones.zones = ()
    s.apply(s.harness.eip(1), suspend=True)
    s.look()


@situation(
    "suspended, the hostname has a record set that this operator does not manage",
    "RecordConflict",
    Verdict.FAILS,
    suspended=True,
)
def suspended_foreign_record(s: Scene) -> None:
    s.apply(s.harness.eip(1), suspend=True)
    s.foreign_record()
    s.look()


# ---------------------------------------------------------------- deletion


@situation("deleted while Ready, not processed since", "Ready", Verdict.WAITS, deleting=True)
def deleted_not_seen(s: Scene) -> None:
    s.ready()
    s.delete()


@situation("deleted, the PTR is being reset", "Deleting", Verdict.WAITS, deleting=True)
def deleting(s: Scene) -> None:
    s.ready()
    s.delete()
    s.look()


@situation("deleted, AWS denies the cleanup", "DeletionBlocked", Verdict.WAITS, deleting=True)
def deletion_blocked(s: Scene) -> None:
    s.ready()
    s.delete()
    s.harness.zones.get = lambda: Fact(fault=denied(), misses=1, tried_at=0.0)  # type: ignore[method-assign]
    s.look()


@situation("deleted, AWS denies the cleanup, for 30 minutes", "DeletionBlocked", Verdict.WAITS, deleting=True)
def deletion_blocked_for_long(s: Scene) -> None:
    deletion_blocked(s)
    s.look(stuck=True)


@situation("deleted, external-dns did not remove the A record yet", "Deleting", Verdict.WAITS, deleting=True)
def deleting_external(s: Scene) -> None:
    s.external_ready()
    s.delete()
    s.harness.now += 1
    s.harness.book.at = s.harness.now
    s.advance()
