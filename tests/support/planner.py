"""The views that planning reads, set up by hand from plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mailegress.api.names import FINALIZER
from mailegress.api.policy import PolicyMode
from mailegress.api.status import Status
from mailegress.api.tags import tags_of
from mailegress.api.types import MailEgress, parse_object
from mailegress.model import ownership
from mailegress.model.aws import (
    Absence,
    Change,
    Eip,
    NameView,
    NatGateway,
    Ptr,
    RecordSet,
    RegionView,
    Verb,
    Zone,
    ZoneLook,
)
from mailegress.model.dns import (
    AnswerKind,
    AuthorityReport,
    Delegation,
    Iprev,
    IprevResult,
    Listed,
    PointerAnswer,
    ResolverAnswer,
    ResolverReport,
    ServerAnswer,
)
from mailegress.model.facts import Fact, Fault, WriteState
from mailegress.model.mail import MailReport
from mailegress.model.ownership import Mark
from mailegress.reconcile import rules, summarise
from mailegress.reconcile.claim_index import ClaimIndex, Standing
from mailegress.reconcile.endpoint_index import EndpointIndex
from mailegress.reconcile.memory import Memory
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.policy_index import PolicyIndex, Source
from mailegress.reconcile.ports import Ports, Views
from mailegress.reconcile.result import Finding, Plan
from mailegress.reconcile.rules.record_changes import mark_set
from mailegress.reconcile.settings import ReconcileSettings
from tests.support.endpoint_writer import FakeEndpointWriter
from tests.support.needs import is_known

REGION = "ap-northeast-1"
ACCOUNT = "111122223333"
OWNER = "cluster-a"
ZONE = Zone("Z1", "example.com", account_id=ACCOUNT)
SERVERS = frozenset({"ns-1.example.net", "ns-2.example.net"})
UID = "00000000-0000-4000-8000-000000000001"
OTHER_UID = "00000000-0000-4000-8000-000000000002"


class FakeBook:
    """EIPs by hand; every reading is as of ``at``."""

    def __init__(self) -> None:
        self.regions: Sequence[str] = (REGION,)
        self.account = ACCOUNT
        self.eips: dict[str, Eip] = {}
        self.gateways: dict[str, NatGateway] = {}
        self.supported = True
        self.at: float | None = 0.0
        self.absences: dict[str, Absence] = {}
        self.failing: dict[str, tuple[Fault, int]] = {}
        """Region -> the fault of its last list, and how many failed in a row."""
        self.refused: dict[str, Fault] = {}
        """Allocation ID -> why its PTR was not shown when it was looked at last."""

    def get(self, region: str) -> Fact[RegionView]:
        if self.at is None:
            return Fact()
        eips = {a: e for a, e in self.eips.items() if e.region == region}
        view = RegionView(region, self.account, eips, dict(self.gateways), self.supported)
        fault, misses = self.failing.get(region, (None, 0))
        return Fact(view, self.at, fault, misses, tried_at=self.at)

    def ptr(self, region: str, allocation_id: str) -> Fact[Ptr]:
        eip = self.eips.get(allocation_id)
        return Fact(eip.ptr, self.at or 0.0, self.refused.get(allocation_id)) if eip is not None else Fact()

    def watch_absence(self, key: str, region: str, allocation_id: str) -> Absence:
        return self.absences.get(allocation_id, Absence.SUSPECTED)


class FakePtrs:
    def __init__(self) -> None:
        self.states: dict[str, WriteState] = {}

    def state(self, region: str, allocation_id: str) -> WriteState | None:
        return self.states.get(allocation_id)


class FakeZones:
    def __init__(self) -> None:
        self.zones: tuple[Zone, ...] | None = (ZONE,)
        self.servers: dict[str, frozenset[str]] = {ZONE.id: SERVERS}
        self.looks: dict[str, ZoneLook] = {}
        self.looked_at = 0.0
        self.at = 0.0

    def get(self) -> Fact[tuple[Zone, ...]]:
        return Fact(self.zones, self.at) if self.zones is not None else Fact()

    def name_servers(self, zone_id: str) -> Fact[frozenset[str]]:
        found = self.servers.get(zone_id)
        return Fact(found, 0.0) if found is not None else Fact()

    def look(self, zone_id: str) -> Fact[ZoneLook]:
        found = self.looks.get(zone_id)
        return Fact(found, self.looked_at) if found is not None else Fact()


class FakeRecords:
    """Record sets by (zone, hostname). A name never put is known to be empty, unless ``unread``."""

    def __init__(self) -> None:
        self.views: dict[tuple[str, str], NameView] = {}
        self.unread: set[str] = set()
        self.swept = True
        self.at = 0.0

    def get(self, zone_id: str, hostname: str) -> Fact[NameView]:
        if hostname in self.unread:
            return Fact()
        return Fact(self.views.get((zone_id, hostname), NameView(hostname)), self.at)

    def marked(self, uid: str) -> Sequence[tuple[str, str]]:
        found = []
        for place, view in self.views.items():
            mark = ownership.parse(view.mark.values) if view.mark else None
            if mark is not None and mark.uid == uid and place[1] not in self.unread:
                found.append(place)
        return found

    def holder(self, hostname: str) -> Sequence[tuple[str, NameView]]:
        return [
            (z, v) for (z, h), v in self.views.items() if h == hostname and v.mark and h not in self.unread
        ]

    def all_swept(self) -> Fact[bool]:
        return Fact(True, 0.0) if self.swept else Fact()

    def put(
        self,
        hostname: str,
        values: Iterable[str] = (),
        mark: Mark | None = None,
        zone_id: str = ZONE.id,
        ttl: int = 300,
    ) -> None:
        records = (RecordSet(hostname, "A", ttl, tuple(sorted(values))),) if values else ()
        self.views[(zone_id, hostname)] = NameView(
            hostname, records, mark_set(hostname, mark) if mark else None
        )

    def apply(self, zone_id: str, hostname: str, changes: Sequence[Change]) -> None:
        """What Route 53 would hold afterwards; DELETE must be exact, CREATE must be new (both are asserted)."""
        view = self.views.get((zone_id, hostname), NameView(hostname))
        sets = {(r.name, r.type): r for r in (*view.records, *((view.mark,) if view.mark else ()))}
        for change in changes:
            place = (change.record_set.name, change.record_set.type)
            if change.verb is Verb.DELETE:
                assert sets.pop(place) == change.record_set
            else:
                assert place not in sets
                sets[place] = change.record_set
        own = tuple(r for (n, _), r in sets.items() if n == hostname)
        mark = next((r for (n, _), r in sets.items() if n != hostname), None)
        self.views[(zone_id, hostname)] = NameView(hostname, own, mark)


class FakeWriter:
    def __init__(self) -> None:
        self.states: dict[tuple[str, str], WriteState] = {}

    def state(self, zone_id: str, hostname: str) -> WriteState | None:
        return self.states.get((zone_id, hostname))


class FakeDns:
    """Authorities and resolvers that say what ``hears`` and the book say; None = not asked yet."""

    def __init__(self, book: FakeBook) -> None:
        self._book = book
        self.resolvers: Sequence[str] = ("192.0.2.53", "192.0.2.54")
        self.answers: dict[str, frozenset[str]] = {}
        self.kinds: dict[str, AnswerKind] = {}
        """What a server or resolver gives instead of its answer."""
        self.odd: dict[str, frozenset[str]] = {}
        """Other addresses that a server or resolver answers with."""
        self.names: dict[str, tuple[str, ...]] = {}
        """Address -> the PTRs that resolvers see, where they are not those of AWS."""
        self.pointers: dict[str, dict[str, tuple[str, ...] | AnswerKind]] = {}
        """Address -> what each server of its reverse zone answers; nothing: they cannot be asked."""
        self.fault: Fault | None = None
        """The last reading of the authorities failed."""
        self.public_fault: Fault | None = None
        self.misses = 0
        self.at: float | None = 0.0
        self.public_at: float | None = 0.0
        self.tried_at: float | None = None
        """When a failed reading began, if later than ``at``."""
        self.mailed: Fact[MailReport] = Fact()
        """What was read for advice about mail."""
        self.zone = ZONE.name
        self.ns_ttl = 0
        self.servers = SERVERS
        self.addresses: dict[str, frozenset[str]] = {}
        """By name server; one that is not named here has an address of its own."""
        self.unknown_servers: frozenset[str] = frozenset()
        self.listed: dict[str, Listed] = {}

    def _answer(self, server: str, hostname: str) -> ServerAnswer:
        found = self.odd.get(server, self.answers.get(hostname, frozenset()))
        kind = self.kinds.get(server, AnswerKind.ANSWER if found else AnswerKind.NXDOMAIN)
        shown = found if kind is AnswerKind.ANSWER else frozenset()
        return ServerAnswer(server, kind, shown, 300, listed=self.listed.get(server, Listed.BOTH))

    def authorities(self, hostname: str) -> Fact[AuthorityReport]:
        if self.at is None:
            return Fact()
        answers = tuple(self._answer(s, hostname) for s in sorted(self.servers))
        report = AuthorityReport(hostname, self.zone, self.servers, answers, self.ns_ttl)
        return Fact(
            report,
            self.at,
            self.fault,
            self.misses if self.fault else 0,
            (self.tried_at if self.fault else None) or self.at,
        )

    def sample_authority(self, hostname: str) -> Fact[ServerAnswer]:
        return Fact()

    def delegation(self, zone: str) -> Fact[Delegation]:
        return Fact(Delegation(zone, self.servers), 0.0)

    def server_addresses(self, name: str) -> Fact[frozenset[str]]:
        if name in self.unknown_servers:
            return Fact()
        return Fact(self.addresses.get(name, frozenset({f"address of {name}"})), 0.0, tried_at=0.0)

    def public(self, hostname: str) -> Fact[ResolverReport]:
        if self.public_at is None:
            return Fact()
        reverse = {}
        for eip in self._book.eips.values():
            names = self.names.get(eip.public_ip, (eip.ptr.name,) if eip.ptr.name else ())
            fits = hostname in names or names == (eip.ptr.name,)
            word = Iprev.PERMERROR if not names else Iprev.PASS if fits else Iprev.FAIL
            reverse[eip.public_ip] = IprevResult(word, names)
        answers = tuple(ResolverAnswer(r, self._answer(r, hostname), reverse) for r in self.resolvers)
        return Fact(
            ResolverReport(hostname, frozenset(reverse), answers, self._pointers()),
            self.public_at,
            self.public_fault,
            self.misses if self.public_fault else 0,
            self.tried_at if self.public_fault and self.tried_at else self.public_at,
        )

    def mail(self, hostname: str) -> Fact[MailReport]:
        return self.mailed

    def _pointers(self) -> dict[str, tuple[PointerAnswer, ...]]:
        return {
            ip: tuple(
                PointerAnswer(server, said)
                if isinstance(said, AnswerKind)
                else PointerAnswer(server, AnswerKind.ANSWER if said else AnswerKind.NXDOMAIN, said)
                for server, said in servers.items()
            )
            for ip, servers in self.pointers.items()
        }


@dataclass
class PlannerHarness:
    """A planner's harness: one object and its world, at a moment."""

    now: float = 0.0
    settings: ReconcileSettings = field(default_factory=lambda: ReconcileSettings(OWNER))
    book: FakeBook = field(default_factory=FakeBook)
    ptrs: FakePtrs = field(default_factory=FakePtrs)
    zones: FakeZones = field(default_factory=FakeZones)
    records: FakeRecords = field(default_factory=FakeRecords)
    writer: FakeWriter = field(default_factory=FakeWriter)
    claims: ClaimIndex = field(default_factory=ClaimIndex)
    policies: PolicyIndex = field(default_factory=PolicyIndex)
    endpoints: EndpointIndex = field(default_factory=EndpointIndex)
    memories: dict[str, Memory] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.dns = FakeDns(self.book)

    @property
    def views(self) -> Views:
        return Views(*self._fakes)

    @property
    def ports(self) -> Ports:
        """For a whole reconcile, by a test that has the commands replaced."""
        return Ports(*self._fakes, FakeEndpointWriter(self.endpoints))

    @property
    def _fakes(self) -> Any:
        return (
            self.book,
            self.ptrs,
            self.zones,
            self.records,
            self.writer,
            self.dns,
            self.claims,
            self.policies,
            self.endpoints,
        )

    def eip(
        self,
        number: int,
        ptr: Ptr | str | None = None,
        region: str = REGION,
        tags: Mapping[str, str] | None = None,
        **more: str,
    ) -> Eip:
        """203.0.113.<number>, in the account."""
        shown = ptr if isinstance(ptr, Ptr) else Ptr(name=ptr)
        account = more.pop("account_id", ACCOUNT)
        pairs = tags_of(tags or {})
        eip = Eip(f"eipalloc-{number:08x}", f"203.0.113.{number}", account, region, shown, tags=pairs, **more)
        self.book.eips[eip.allocation_id] = eip
        return eip

    def set_ptr(self, eip: Eip, name: str | None) -> None:
        self.book.eips[eip.allocation_id] = replace(eip, ptr=Ptr(name=name))

    def publish(self, hostname: str) -> None:
        """DNS says what Route 53 holds."""
        view = self.records.views.get((ZONE.id, hostname), NameView(hostname))
        self.dns.answers[hostname] = frozenset(v for r in view.of_type("A") for v in r.values)

    def enforce(self, *policies: Mapping[str, Any], mode: PolicyMode = PolicyMode.ENFORCE) -> None:
        """Judge by these policies from now on; all that is needed for it is known."""
        self.settings = replace(self.settings, policy=mode)
        self.policies = PolicyIndex(mode)
        for source in Source:
            self.policies.heard(source, self.now, listed=True)
        self.change(*policies)

    def change(self, *policies: Mapping[str, Any]) -> None:
        """These are all policies now; the objects are judged anew."""
        names = {policy["metadata"]["name"] for policy in policies}
        gone = [known.name for known in self.policies.policies() if known.name not in names]
        affected = {n for policy in policies for n in self.policies.put_policy(policy)}
        affected |= {n for name in gone for n in self.policies.drop_policy(name)}
        for uid in self.policies.objects(affected):
            if self.policies.rejudge(uid):
                self.claims.entitle(uid, self.policies.entitled(uid))

    def take(self, obj: MailEgress) -> MailEgress:
        key = f"{obj.meta.namespace}/{obj.meta.name}"
        for uid in self.policies.put(key, obj):
            self.claims.entitle(uid, self.policies.entitled(uid))
        self.claims.put(key, obj, entitled=self.policies.entitled(obj.meta.uid))
        if self.claims.standing(obj.meta.uid) is None:
            # As after a pass over an object whose addresses are there.
            self.claims.stand(obj.meta.uid, Standing())
        return obj

    def plan(self, obj: MailEgress) -> Plan:
        """One planned step; the object's memory is kept from call to call."""
        plan = rules.plan(self.observed(obj))
        known = [need for need in plan.needs if is_known(need, self.views)]
        assert not known, f"asked for although it is known: {known}"
        self.memories[obj.meta.uid].record_plan(plan)
        return plan

    def observed(self, obj: MailEgress) -> Observed:
        self.take(obj)
        memory = self.memories.setdefault(obj.meta.uid, Memory.first(obj, self.now))
        memory.observe(obj, self.views, self.now, self.settings)
        absences = {
            (a.region or "", a.allocation_id or ""): self.book.watch_absence(
                "", a.region or "", a.allocation_id or ""
            )
            for a in obj.status.addresses
            if a.allocation_id and a.allocation_id not in self.book.eips
        }
        return Observed(self.now, obj, memory, self.views, self.settings, absences)

    def written(self, obj: MailEgress, plan: Plan) -> MailEgress:
        """The object with the status that this step would write."""
        status = summarise.compose(
            obj, plan, summarise.verdicts(obj, plan), "2026-01-01T00:00:00Z", stuck=False, handled=None
        )
        return replace(obj, status=Status.from_dict(status.to_dict()))


def mine(uid: str = UID, *, adopted: bool = False, owner: str = OWNER) -> Mark:
    return Mark(adopted, owner, uid)


def recorded(hostname: str, zone: Zone = ZONE) -> dict[str, Any]:
    """A status that names the place of the object's own record, as the operator writes it before its first write."""
    return {"hostname": hostname, "zone": {"id": zone.id, "name": zone.name}}


def body(
    hostname: str = "mta.example.com",
    selectors: Sequence[Mapping[str, str]] = (),
    *,
    uid: str = UID,
    created: str = "2026-01-01T00:00:00Z",
    finalizer: bool = True,
    deleting: bool = False,
    generation: int = 1,
    status: Mapping[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """An API object."""
    meta: dict[str, Any] = {
        "name": f"meg-{uid[-1]}",
        "namespace": "mail",
        "uid": uid,
        "generation": generation,
        "resourceVersion": "1",
        "creationTimestamp": created,
        "finalizers": [FINALIZER] if finalizer else [],
    }
    if deleting:
        meta["deletionTimestamp"] = "2026-01-02T00:00:00Z"
    return {
        "metadata": meta,
        "spec": {"hostname": hostname, "elasticIPs": [dict(s) for s in selectors], **spec},
        "status": dict(status or {}),
    }


def obj(hostname: str = "mta.example.com", eips: Sequence[Eip] = (), **more: Any) -> MailEgress:
    """A typed object that selects EIPs by allocation ID."""
    return parse_object(body(hostname, [{"allocationID": e.allocation_id} for e in eips], **more))


def stored_entry(eip: Eip, **fields: str) -> dict[str, str]:
    """The entry of an address in a stored status, with these fields too."""
    place = {"publicIP": eip.public_ip, "allocationID": eip.allocation_id, "region": eip.region}
    return {"selector": f"allocationID={eip.allocation_id}", **place, **fields}


def policy(name: str = "mail", **changes: Any) -> dict[str, Any]:
    """A policy that allows everything to namespace ``mail``, with other fields in the spec; None removes one."""
    spec: dict[str, Any] = {
        "namespaces": {"names": ["mail"]},
        "hostnames": {"suffixes": ["*"]},
        "addresses": {"any": True},
    }
    spec = {field: value for field, value in (spec | changes).items() if value is not None}
    return {"metadata": {"name": name}, "spec": spec}


def verdict(plan: Plan, condition: str) -> Finding:
    return plan.findings[condition]
