"""The invariants, looked at whenever something happens. Each message begins with the invariant's name."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from simulation.apiserver import ApiServer
from simulation.apiwire import Object
from simulation.facts import Batch, as_list, bare, mark_of, name_of, ready_of, targets
from simulation.world import CONTROL, REGION, World

from mailegress.api.names import FINALIZER, OWNERSHIP_LABEL
from mailegress.aws.settings import AwsSettings
from mailegress.reconcile.marks import Mark
from sandbox.aws.model.eip import Eip
from sandbox.aws.service import Call

PTR_TTL = 300.0
"""How long receivers may hold a PTR."""
OUTSIDE_GRACE = 1800.0
"""How long after an outsider's act a broken promise may be the outsider's."""
PUBLISHING = (12.1, 16.1, 20.1, 24.1, 30.1, 31.0)
"""Seconds after a change batch at which one more name server has it (see the AWS model), looked at each time."""


@dataclass
class Checks:
    world: World
    api: ApiServer
    note: Callable[..., None]
    violations: list[str] = field(default_factory=list)
    applied: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """What took effect: (CREATE or DELETE, type, name), (set, address, name), (reset, address)."""
    _sent: int = 0
    _status_writes: int = 0
    _finalizer_writes: int = 0
    _rate: dict[str, deque[float]] = field(default_factory=dict)
    _unknown: dict[tuple[str, str], float] = field(default_factory=dict)
    """Write target -> when its caller was left without an answer."""
    _set: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Address -> (name, UID) of a PTR that the operator set and nobody replaced."""
    _claimed: set[str] = field(default_factory=set)
    """Hostnames that any change batch was about."""
    _giving: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The same of a PTR that was last being reset: a second operator may ask for that once more."""
    _shown: dict[str, dict[str, float]] = field(default_factory=dict)
    """Address -> name -> when its PTR was last seen to be that."""
    _joined: set[str] = field(default_factory=set)
    _wrote: dict[str, float] = field(default_factory=dict)
    """Hostname or address -> the last write's time."""
    _asked: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    """(name, type) -> server -> when the last answered question began."""
    _read: dict[str, float] = field(default_factory=dict)
    """Zone ID or region -> when the last answered read began."""
    _pending: list[Batch] = field(default_factory=list)
    _released: dict[str, float] = field(default_factory=dict)
    """Hostname -> when its object was seen deleted."""

    def __post_init__(self) -> None:
        calls, api = self.world.calls, self.api
        calls.sent, calls.before, calls.after = self._on_sent, self._before, self._after
        calls.unknown, calls.read, calls.question = self._on_unknown, self._on_read, self._on_question
        api.on_status, api.on_finalizers = self._on_status, self._on_finalizers

    def violated(self, invariant: str, text: str) -> None:
        line = f"{invariant} violated at {self.world.clock():.3f}: {text}"
        if line not in self.violations:
            self.violations.append(line)
            self.note("VIOLATED", line)

    def writes(self) -> tuple[int, int, int, int]:
        """AWS writes sent, status writes, finalizer writes, Events."""
        return self._sent, self._status_writes, self._finalizer_writes, len(self.api.events)

    # ------------------------------------------------------------ calls

    def _on_sent(self, call: Call) -> None:
        settings = AwsSettings()
        kinds = []
        if call.service == "route53":
            kinds.append(("route53", settings.route53_rate + settings.route53_burst))
        if call.operation in ("ModifyAddressAttribute", "ResetAddressAttribute"):
            kinds.append(("ec2-writes", settings.ec2_write_rate + settings.ec2_write_burst))
        now = self.world.clock()
        for kind, most in kinds:
            recent = self._rate.setdefault(kind, deque())
            recent.append(now)
            while recent[0] <= now - 1.0:
                recent.popleft()
            if len(recent) > most:
                self.violated("S11", f"{len(recent)} {kind} calls within a second, {most:g} are allowed")

    def _on_unknown(self, call: Call) -> None:
        for target in targets(call):
            self._unknown[target] = self.world.clock()

    def _on_read(self, call: Call, began: float) -> None:
        if call.operation == "ListResourceRecordSets":
            self._read[str(call.params["HostedZoneId"])] = began
            self._known("zone", str(call.params["HostedZoneId"]), began)
        elif call.operation == "DescribeAddressesAttribute":
            self._read[call.region] = began
            for allocation in call.params.get("AllocationIds") or [
                e.allocation_id for e in self.world.all_eips()
            ]:
                self._known("eip", allocation, began)

    def _known(self, kind: str, target: str, began: float) -> None:
        for place, at in list(self._unknown.items()):
            if place[0] == kind and place[1].split(" ")[0] == target and began >= at:
                del self._unknown[place]

    def _on_question(self, server: str, name: str, rtype: str, began: float) -> None:
        self._asked.setdefault((name, rtype), {})[server] = began

    def _before(self, call: Call) -> None:
        self._sent += 1
        for target in targets(call):
            if target in self._unknown:
                self.violated(
                    "S10", f"{call.operation} again for {target} without reading what became of the last"
                )
        if call.operation == "ChangeResourceRecordSets":
            self._pending = list(self._batches(call))
            for batch in self._pending:
                self._check_batch_order(batch)
        else:
            self._before_ptr(call)
        self._continuity()

    def _after(self, call: Call) -> None:
        now = self.world.clock()
        if call.operation == "ChangeResourceRecordSets":
            for batch in self._pending:
                self._check_ownership(batch)
                self._claimed.add(batch.hostname)
                if "A" in batch.deletes or "A" in batch.creates:
                    self._wrote[batch.hostname] = now
            self._pending = []
            loop = asyncio.get_running_loop()
            for delay in PUBLISHING:
                loop.call_later(delay, self._continuity)
        else:
            eip = self.world.model.eip(str(call.params["AllocationId"]))
            self._wrote[eip.public_ip] = now
            if call.operation == "ModifyAddressAttribute":
                name = str(call.params["DomainName"]).rstrip(".")
                holder = self._holder(name)
                uid = holder["metadata"]["uid"] if holder else ""
                self._set[eip.public_ip] = (name, uid)
                self.applied["set", eip.public_ip, name] += 1
            else:
                ours = self._set.pop(eip.public_ip, None)
                if ours is not None:
                    self._giving[eip.public_ip] = ours
                self._shown.pop(eip.public_ip, None)
                self.applied["reset", eip.public_ip] += 1
            if eip.update is not None:
                delay = eip.update.settles - self.world.model.now()
                asyncio.get_running_loop().call_later(delay + 0.01, self._continuity)

    # ------------------------------------------------------------ S1, S2 for PTRs, S8

    def _before_ptr(self, call: Call) -> None:
        try:
            eip = self.world.model.eip(str(call.params["AllocationId"]))
        except KeyError:
            return
        shown = name_of(eip)
        if call.operation == "ResetAddressAttribute":
            ours = self._set.get(eip.public_ip) or self._giving.get(eip.public_ip)
            if (ours is None or ours[0] != shown) and not self._touched(eip.public_ip):
                self.violated(
                    "S2",
                    f"reset of the PTR {shown} of {eip.public_ip}, which the operator did not set ({ours})",
                )
            self._finalized(self._uid_of_ptr(eip), f"reset of {eip.public_ip}")
            owner = self.api.by_uid(self._uid_of_ptr(eip) or "")
            now = ready_of(owner) if owner is not None else None
            if (
                owner is not None
                and now is not None
                and now["status"] == "True"
                and owner["spec"]["hostname"] == shown
            ):
                self.violated("S3", f"the PTR {shown} of {eip.public_ip} is reset while its object is Ready")
            return
        name = str(call.params["DomainName"]).rstrip(".")
        self._check_gate(eip, name)
        if shown not in (None, name) and eip.public_ip not in self._set and eip.public_ip not in self._joined:
            self.violated(
                "S2", f"PTR {shown} of {eip.public_ip} is overwritten with {name} although it is foreign"
            )
        holder = self._holder(name)
        if holder is None:
            self.violated("S8", f"PTR {name} is set for no live object")
        else:
            self._finalized(holder["metadata"]["uid"], f"PTR {name} of {eip.public_ip}")

    def _check_gate(self, eip: Eip, name: str) -> None:
        """S1: every authoritative server answers, with exactly the set that was written, and the EIP is in it."""
        answers = self.world.authorities(name)
        holder = self._holder(name)
        observed = (
            holder is not None and (holder["spec"].get("forward") or {}).get("management") == "Observed"
        )
        zone = self.world.zone_of(name)
        stored = self.world.record(zone, name, "A") if zone is not None else None
        wanted = frozenset(stored[1]) if stored is not None else frozenset()
        for server, values in answers.items():
            if values is None:
                self.violated("S1", f"PTR {name} of {eip.public_ip} although {server} does not answer")
            elif eip.public_ip not in values or (
                not observed and values != wanted and not self._touched(name)
            ):
                self.violated(
                    "S1",
                    f"PTR {name} of {eip.public_ip}, but {server} answers {as_list(values)}, written {as_list(wanted)}",
                )

    def _finalized(self, uid: str | None, what: str) -> None:
        """S8: the finalizer stands before any external write."""
        found = self.api.by_uid(uid) if uid else None
        if found is None:
            self.violated("S8", f"{what} for an object that is not there")
        elif FINALIZER not in (found["metadata"].get("finalizers") or []):
            self.violated("S8", f"{what} without the finalizer")

    def _uid_of_ptr(self, eip: Eip) -> str | None:
        ours = self._set.get(eip.public_ip) or self._giving.get(eip.public_ip)
        return ours[1] if ours else None

    def _holder(self, hostname: str) -> Object | None:
        """The live object whose mark stands at the name, else the oldest one that wants it."""
        zone = self.world.zone_of(hostname)
        mark = mark_of(self.world.mark(zone, hostname)) if zone is not None else None
        if mark is not None and (found := self.api.by_uid(mark.uid)) is not None:
            return found
        wanting = [o for o in self.api.objects.values() if o["spec"]["hostname"] == hostname]
        return min(
            wanting, key=lambda o: (o["metadata"]["creationTimestamp"], o["metadata"]["uid"]), default=None
        )

    # ------------------------------------------------------------ S2, S4, S5, S9 for records

    def _batches(self, call: Call) -> Iterable[Batch]:
        zone = self.world.model.zone(str(call.params["HostedZoneId"]))
        parts: dict[str, tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]] = {}
        for change in call.params["ChangeBatch"]["Changes"]:
            record = change["ResourceRecordSet"]
            hostname = record["Name"].rstrip(".").removeprefix(f"{OWNERSHIP_LABEL}.")
            deletes, creates = parts.setdefault(hostname, ({}, {}))
            values = tuple(sorted(v["Value"] for v in record["ResourceRecords"]))
            if change["Action"] not in ("CREATE", "DELETE"):
                self.violated("S2", f"{change['Action']} of {record['Name']} {record['Type']}")
            (creates if change["Action"] == "CREATE" else deletes)[record["Type"]] = values
        for hostname, (deletes, creates) in parts.items():
            before = self.world.record(zone, hostname, "A")
            mark = mark_of(self.world.mark(zone, hostname))
            yield Batch(
                zone, hostname, deletes, creates, mark, frozenset(before[1]) if before else frozenset()
            )

    def _check_batch_order(self, batch: Batch) -> None:
        """S4, S5: an address leaves the record only after its PTR."""
        gone = frozenset(batch.deletes.get("A", ())) - frozenset(batch.creates.get("A", ()))
        for address in sorted(gone):
            ours = self._set.get(address)
            eip = self.world.model.network.by_ip.get(address)
            if eip is None or ours is None or ours[0] != batch.hostname:
                continue
            eip = self.world.model.eip(address)
            if bare(eip.ptr) == batch.hostname or (eip.update and bare(eip.update.value) == batch.hostname):
                self.violated(
                    "S5", f"{address} leaves the A record of {batch.hostname} while its PTR is {name_of(eip)}"
                )

    def _check_ownership(self, batch: Batch) -> None:
        """S2, S9: what took effect concerned our own things only."""
        name = batch.hostname
        for rtype in batch.deletes:
            self.applied["DELETE", rtype, name] += 1
        for rtype in batch.creates:
            self.applied["CREATE", rtype, name] += 1
        if set(batch.deletes) | set(batch.creates) > {"A", "TXT"}:
            self.violated("S2", f"other types than A and TXT at {name}")
        created = mark_of(*batch.creates.get("TXT", ()))
        mark = batch.mark
        if (
            "A" in batch.deletes
            and (mark is None or mark.uid not in self.api.ever)
            and not self._touched(name)
        ):
            self.violated("S2", f"A of {name} is changed or deleted without a mark of ours beside it")
        if "A" in batch.deletes and "A" not in batch.creates and mark is not None and mark.adopted:
            self.violated("S2", f"the adopted A of {name} is deleted")
        if "A" in batch.creates and created is None and (mark is None or "TXT" in batch.deletes):
            self.violated("S2", f"A of {name} is created without a mark")
        if "TXT" in batch.deletes and mark is None and not self._touched(name):
            self.violated("S2", f"a foreign TXT at {name} is deleted")
        if (
            created is not None
            and mark is not None
            and created.uid != mark.uid
            and self.api.by_uid(mark.uid) is not None
        ):
            self.violated("S9", f"{name} is taken over from a live object")
        values = frozenset(batch.creates.get("A", ()))
        ours = {n for n, u in self._set.values() if created is not None and u == created.uid} | {name}
        ours |= {
            n
            for n in self._names()
            if created is not None and (m := self._mark_at(n)) and m.uid == created.uid
        }
        for address in sorted(values - batch.values - self._joined):
            eip = self.world.model.network.by_ip.get(address)
            if eip is None:
                self.violated("S2", f"{address}, which is no EIP of anybody, joins {name}")
            elif name_of(eip) is not None and name_of(eip) not in ours and not self._touched(address):
                self.violated("S2", f"{address} with the foreign PTR {name_of(eip)} joins {name}")
        self._joined |= values

    def _names(self) -> set[str]:
        """Every hostname that any object ever wanted."""
        return {o["spec"]["hostname"] for o in self.api.ever.values()} | self._claimed

    def _mark_at(self, hostname: str) -> Mark | None:
        zone = self.world.zone_of(hostname)
        return mark_of(self.world.mark(zone, hostname)) if zone is not None else None

    # ------------------------------------------------------------ S3

    def _continuity(self) -> None:
        """S3: every name that receivers may hold for an address of ours is answered with the address."""
        now = self.world.clock()
        for eip in self.world.all_eips():
            address = eip.public_ip
            current = self.world.ptr(eip)
            shown = self._shown.setdefault(address, {})
            if current is not None and not (eip.update is not None and eip.update.value is None):
                # (A name that is being given up is not promised to anybody any more.)
                shown[current] = now
            ours = self._set.get(address)
            if ours is None or self._touched(address):
                continue
            names = {current} if current is not None else set()
            if current == ours[0]:
                names |= {n for n, at in shown.items() if now - at < PTR_TTL}
            owner = self.api.by_uid(ours[1])
            if owner is None or "deletionTimestamp" in owner["metadata"]:
                continue
            for name in sorted(names):
                if self._touched(name):
                    continue
                for server, values in self.world.authorities(name).items():
                    if values is None or address not in values:
                        self.violated(
                            "S3",
                            f"receivers may see the PTR {name} of {address}, but {server} answers {as_list(values)}",
                        )

    def _touched(self, what: str) -> bool:
        at = self.world.touched.get(what)
        return at is not None and self.world.clock() - at < OUTSIDE_GRACE

    # ------------------------------------------------------------ the API server

    def _on_status(self, old: Object, new: Object) -> None:
        self._status_writes += 1
        status, meta = new["status"], new["metadata"]
        where = f"{meta['namespace']}/{meta['name']}"
        if status.get("observedGeneration") != meta["generation"]:
            self.violated(
                "S6",
                f"{where}: observedGeneration {status.get('observedGeneration')} at generation {meta['generation']}",
            )
        text = repr([c.get("message") for c in status.get("conditions", [])])
        for c in status.get("conditions", []):
            if CONTROL.search(c["message"]) or CONTROL.search(c["reason"]):
                self.violated("S12", f"{where}: control characters in {text}")
        was, now = ready_of(old), ready_of(new)
        for c in status.get("conditions", []):
            before = next(
                (b for b in (old.get("status") or {}).get("conditions", []) if b["type"] == c["type"]), None
            )
            moved = before is not None and before["lastTransitionTime"] != c["lastTransitionTime"]
            if (
                before is not None
                and moved
                and before["status"] == c["status"]
                and before["reason"] != "Pending"
            ):
                self.violated("S7", f"{where}: lastTransitionTime of {c['type']} moved without a flip")
        if now is not None and now["status"] == "True":
            if now["observedGeneration"] != meta["generation"]:
                self.violated("S6", f"{where}: Ready=True of generation {now['observedGeneration']}")
            if was is None or was["status"] != "True" or was["observedGeneration"] != meta["generation"]:
                self._check_ready(where, new)
            self._check_winner(where, new)

    def _check_ready(self, where: str, body: Object) -> None:
        """S6, S7: what Ready says is true, and it was read after the last write."""
        hostname, status = body["spec"]["hostname"], body["status"]
        # An entry with a reason is an old address that is still to be tidied.
        addresses = [
            a["publicIP"] for a in status.get("addresses", []) if not a.get("reason") and a.get("publicIP")
        ]
        if not addresses:
            self.violated("S7", f"{where}: Ready without an address")
        for server, values in self.world.authorities(hostname).items():
            if (values is None or not set(addresses) <= values) and not self._touched(hostname):
                self.violated("S7", f"{where}: Ready, but {server} answers {as_list(values)} for {hostname}")
            heard = self._asked.get((hostname, "A"), {}).get(self.world.dns.address_of(server), -1.0)
            if heard < self._wrote.get(hostname, 0.0):
                self.violated("S7", f"{where}: Ready, but {server} was not asked after the last write")
        for address in addresses:
            eip = self.world.model.network.by_ip.get(address)
            if (eip is None or self.world.ptr(eip) != hostname) and not self._touched(address):
                self.violated(
                    "S7", f"{where}: Ready, but the PTR of {address} is {eip and self.world.ptr(eip)}"
                )
            if self._read.get(REGION, -1.0) < self._wrote.get(address, 0.0):
                self.violated(
                    "S7", f"{where}: Ready, but the PTR of {address} was not read after the last write"
                )

    def _check_winner(self, where: str, body: Object) -> None:
        mine = set(body["status"].get("publicIPs") or [])
        for other in self.api.objects.values():
            if other["metadata"]["uid"] == body["metadata"]["uid"]:
                continue
            ready = ready_of(other)
            if (
                ready is None
                or ready["status"] != "True"
                or ready["observedGeneration"] != other["metadata"]["generation"]
            ):
                continue
            theirs = set(other["status"].get("publicIPs") or [])
            if other["spec"]["hostname"] == body["spec"]["hostname"] or mine & theirs:
                self.violated(
                    "S9", f"{where} and {other['metadata']['name']} are both Ready for the same thing"
                )

    def _on_finalizers(self, old: Object, new: Object) -> None:
        self._finalizer_writes += 1
        meta = new["metadata"]
        had = FINALIZER in (old["metadata"].get("finalizers") or [])
        if not had or FINALIZER in (meta.get("finalizers") or []):
            return
        if "deletionTimestamp" not in meta:
            self.violated("S8", f"finalizer of {meta['name']} taken off a live object")
        if new["spec"].get("deletionPolicy") == "Retain":
            return
        self._check_left(meta["name"], meta["uid"])

    def _check_left(self, name: str, uid: str) -> None:
        """S8, S5: nothing that is ours is left when the finalizer goes."""
        for zone in self.world.model.zones():
            for record in zone.ordered():
                shown = record.to_params()
                if shown["Type"] == "TXT":
                    mark = mark_of(*(v["Value"] for v in shown.get("ResourceRecords", ())))
                    if mark is not None and mark.uid == uid:
                        self.violated(
                            "S8", f"finalizer of {name} goes while its mark stands at {shown['Name']}"
                        )
        for address, (ptr, owner) in self._set.items():
            eip = self.world.model.network.by_ip.get(address)
            if owner == uid and eip is not None and name_of(eip) == ptr:
                self.violated("S8", f"finalizer of {name} goes while {address} has its PTR {ptr}")

    # ------------------------------------------------------------ in the end

    def texts(self) -> None:
        """S12 for Events."""
        for event in self.api.events:
            if CONTROL.search(event["note"]) or CONTROL.search(event["reason"]):
                self.violated("S12", f"control characters in the Event {event['note']!r}")
