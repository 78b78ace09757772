"""The invariants, looked at whenever something happens. Each message begins with the invariant's name."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from mailegress.api.names import OWNERSHIP_LABEL
from mailegress.aws.settings import AwsSettings
from mailegress.model.ownership import Mark
from sandbox.aws.model.eip import Eip
from sandbox.aws.service import Call
from tests.support.simulation.apiwire import Object
from tests.support.simulation.endpointchecks import EndpointChecks
from tests.support.simulation.facts import (
    RECEIVING,
    Batch,
    as_list,
    bare,
    mark_of,
    name_of,
    ready_of,
    targets,
)
from tests.support.simulation.ledger import FORMER_GRACE, GATE, OUTSIDE_GRACE
from tests.support.simulation.world import WRITES

PTR_TTL = 300.0
"""How long receivers may hold a PTR."""
PUBLISHING = (12.1, 16.1, 20.1, 24.1, 30.1, 31.0)
"""Seconds after a change batch at which one more name server has it (see the AWS model), looked at each time."""


def _age(body: Object) -> tuple[str, str]:
    """Oldest first."""
    return body["metadata"]["creationTimestamp"], body["metadata"]["uid"]


RECONCILES = 100
"""Of one object within a second; the stories need 24 at most."""


@dataclass
class Checks(EndpointChecks):
    """All of them; hears of calls and of writes to the API server."""

    def __post_init__(self) -> None:
        calls, api = self.world.calls, self.api
        calls.sent, calls.before, calls.after = self._on_sent, self._before, self._after
        calls.unknown, calls.read, calls.question = self._on_unknown, self._on_read, self._on_question
        calls.forced = self._on_forced
        api.on_status, api.on_finalizers = self._on_status, self._on_finalizers
        api.endpoints.before_write = self._before_endpoint

    # ------------------------------------------------------------ calls

    def _on_sent(self, call: Call) -> None:
        settings = AwsSettings()
        self.reads += call.operation not in WRITES
        self._sent_at[id(call)] = self.world.clock()
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

    def pauses(self, process: int) -> bool:
        """S11, at each reconcile: no object is reconciled without a pause, whatever it waits for."""
        second = int(self.world.clock())
        last, count = self._reconciles.get(process, (second, 0))
        count = count + 1 if last == second else 1
        self._reconciles[process] = (second, count)
        if count <= RECONCILES * (len(self.api.objects) + 1):
            return True
        self.violated("S11", f"{count} reconciles of {len(self.api.objects)} objects within a second")
        return False

    def _on_forced(self, address: str, name: str | None) -> None:
        """An outsider's PTR is not the operator's, unless it is the same and the status does not say that it was
        removed before."""
        ours = self._set.get(address)
        if name is None or (
            ours is not None and name == ours[0] and not self._known_removed(ours[1], address)
        ):
            return
        if (mark := self._mark_at(name)) is not None:
            record = self.world.record(self.world.zone_of(name), name, "A")
            if not mark.adopted and record is not None and address in record[1]:
                self._setters.setdefault((address, name), set()).add(mark.uid)
            else:
                self._held_without[address, name] = mark.uid
        self._set.pop(address, None)
        self._strange.setdefault(address, set()).add(name)

    def _has_joined(self, holder: Object | None, eip: Eip, name: str) -> bool:
        """Was the address in the A record, or (under Observed) its PTR this name, set by the operator or adopted?"""
        if eip.public_ip in self._joined or self._setters.get((eip.public_ip, name)):
            return True
        if holder is not None and (eip.public_ip, holder["metadata"]["uid"]) in self._adopted:
            return True
        return holder is not None and self._put_back(holder, eip, name)

    def _explained(self, name: str | None) -> bool:
        """Somebody threw away the status that told whose the PTR is, or restored an older one.

        Beside its own record it is the operator's.
        """
        mark = self._mark_at(name) if name is not None else None
        return mark is not None and not mark.adopted and mark.uid in self.api.stripped | self.api.lapsed

    def _put_back(self, holder: Object, eip: Eip, name: str) -> bool:
        """Is a PTR restored that the object had adopted, and that was set by somebody else before it?"""
        uid = holder["metadata"]["uid"]
        others = self._setters.get((eip.public_ip, name), set()) - {uid}
        if not others and name not in self._strange.get(eip.public_ip, set()):
            return False
        return any(e.get("ptrOrigin") == "Adopted" for e in self._told(uid, eip.public_ip))

    def _on_unknown(self, call: Call) -> None:
        for target in targets(call):
            self._unknown[target] = (self.world.clock(), self.caller())

    def _on_read(self, call: Call, began: float) -> None:
        if call.operation == "ListResourceRecordSets":
            self._read[str(call.params["HostedZoneId"])] = began
            self._known("zone", str(call.params["HostedZoneId"]), began)
        elif call.operation == "DescribeAddressesAttribute":
            self._read[call.region] = began
            for allocation in call.params.get("AllocationIds") or [
                e.allocation_id for e in self.world.all_eips() if e.region == call.region
            ]:
                self._known("eip", allocation, began)
                self._read_ptr[allocation] = began

    def _known(self, kind: str, target: str, began: float) -> None:
        for place, (at, _) in list(self._unknown.items()):
            if place[0] == kind and place[1].split(" ")[0] == target and began >= at:
                del self._unknown[place]

    def _on_question(self, server: str, name: str, rtype: str, began: float) -> None:
        self._asked.setdefault((name, rtype), {})[server] = began

    def _before(self, call: Call) -> None:
        self._sent += 1
        sent = self._sent_at.pop(id(call))
        for target in targets(call):
            if self._repeated(target, sent):
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
        if call.operation == "ChangeResourceRecordSets":
            for batch in self._pending:
                self._check_ownership(batch)
                self._claimed.add(batch.hostname)
                asked = batch.zone is self.world.zone_of(batch.hostname)
                if asked and ("A" in batch.deletes or "A" in batch.creates):
                    self._wrote_now(batch.hostname)
            self._pending = []
            loop = asyncio.get_running_loop()
            for delay in PUBLISHING:
                loop.call_later(delay, self._continuity)
        else:
            eip = self.world.model.eip(str(call.params["AllocationId"]))
            self._wrote_now(eip.public_ip)
            if call.operation == "ModifyAddressAttribute":
                name = str(call.params["DomainName"]).rstrip(".")
                holder = self._holder(name, eip)
                uid = holder["metadata"]["uid"] if holder else ""
                if holder is not None and self._put_back(holder, eip, name):
                    self._set.pop(eip.public_ip, None)
                else:
                    self._set[eip.public_ip] = (name, uid)
                self._setters.setdefault((eip.public_ip, name), set()).add(uid)
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
            known = (ours is not None and ours[0] == shown) or self._explained(shown)
            known = known or self._counts_as(eip.public_ip, shown) is not None
            if not known and not self._touched(eip.public_ip):
                self.violated(
                    "S2",
                    f"reset of the PTR {shown} of {eip.public_ip}, which the operator did not set ({ours})",
                )
            uid = self._uid_of_ptr(eip)
            if uid is not None or not self._unread(eip):
                # (An outsider's name that was not read yet does not say for whom it is reset.)
                self._finalized(uid, f"reset of {eip.public_ip}")
            owner = self.api.by_uid(uid or "")
            # A status of another operator, or from a backup, is not this one's.
            theirs = not self.alone() or self._of_rivals(shown or "")
            for body in () if theirs else self.api.objects.values():
                now = ready_of(body) if body["metadata"]["uid"] not in self.api.lapsed else None
                shows = eip.public_ip in body["status"].get("publicIPs", [])
                relies = shows and body["spec"]["hostname"] == shown
                if relies and now is not None and now["status"] == "True":
                    who = body["metadata"]["name"]
                    self.violated("S3", f"the PTR {shown} of {eip.public_ip} is reset while {who} is Ready")
            if owner is not None and owner["spec"]["hostname"] == shown:
                self._check_successors(owner, eip)
            return
        name = str(call.params["DomainName"]).rstrip(".")
        self._check_gate(eip, name)
        holder = self._holder(name, eip)
        known = eip.public_ip in self._set or self._has_joined(holder, eip, name) or self._unread(eip)
        mark = self._mark_at(shown) if shown not in (None, name) else None
        own_name = mark is not None and holder is not None and mark.uid == holder["metadata"]["uid"]
        if shown not in (None, name) and not known and not own_name:
            self.violated(
                "S2", f"PTR {shown} of {eip.public_ip} is overwritten with {name} although it is foreign"
            )
        if holder is None:
            if not self._touched(name):
                self.violated("S8", f"PTR {name} is set for no live object")
        else:
            self._finalized(holder["metadata"]["uid"], f"PTR {name} of {eip.public_ip}")
        loser = self.api.by_uid(mark.uid) if mark is not None else None
        if (
            loser is not None
            and loser is not holder
            and self._wants(loser, eip)
            and not self._touched(eip.public_ip)
        ):
            whose = loser["metadata"]["name"]
            self.violated("S9", f"the PTR {shown} of {eip.public_ip} is taken from {whose}, which wants it")

    def _check_successors(self, owner: Object, leaving: Eip) -> None:
        """S4: an address gives its PTR up only once those that take its place have theirs."""
        if "deletionTimestamp" in owner["metadata"]:
            return
        for eip in self.world.all_eips():
            if (
                self._wants(owner, eip)
                and not self._touched(eip.public_ip)
                and bare(eip.ptr) != owner["spec"]["hostname"]
            ):
                self.violated(
                    "S4",
                    f"the PTR of {leaving.public_ip} is reset while that of {eip.public_ip} is {bare(eip.ptr)}",
                )

    def _check_gate(self, eip: Eip, name: str) -> None:
        """S1: every authoritative server answers, with exactly the set that was written, and the EIP is in it."""
        answers = self.world.authorities(name)
        holder = self._holder(name, eip)
        management = (holder["spec"].get("forward") or {}).get("management") if holder is not None else None
        observed = management == "Observed"
        zone = self.world.zone_of(name)
        stored = self.world.record(zone, name, "A") if zone is not None else None
        wanted = frozenset(stored[1]) if stored is not None else frozenset()
        if management == "ExternalDNS":
            wanted = self.api.endpoints.asked(name)
        for server, values in answers.items():
            if values is None:
                if self._ailing(server, GATE):
                    continue
                self.violated("S1", f"PTR {name} of {eip.public_ip} although {server} does not answer")
            elif self._touched(name, within=max(PUBLISHING) + GATE) or self._of_rivals(name):
                # What an outsider or another operator wrote a moment ago reached this server after it was asked.
                continue
            elif eip.public_ip not in values or (
                not observed and values != wanted and not self._touched(name)
            ):
                self.violated(
                    "S1",
                    f"PTR {name} of {eip.public_ip}, but {server} answers {as_list(values)}, written {as_list(wanted)}",
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
            ours = self._set.get(address) or self._giving.get(address)
            eip = self.world.model.network.by_ip.get(address)
            if eip is None or ours is None or ours[0] != batch.hostname:
                continue
            if ours[1] in self.api.lapsed | self.api.forgotten:
                continue
            served = self.world.zone_of(batch.hostname)
            stands = self.world.record(served, batch.hostname, "A")
            if served != batch.zone and stands is not None and address in stands[1]:
                continue  # Of a former zone; S3 says when.
            eip = self.world.model.eip(address)
            if bare(eip.ptr) == batch.hostname or (eip.update and bare(eip.update.value) == batch.hostname):
                self.violated(
                    "S4" if "A" in batch.creates else "S5",
                    f"{address} leaves the A record of {batch.hostname} while its PTR is {name_of(eip)}",
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
        if created is not None:
            self._finalized(created.uid, f"a claim on {name}")
        if created is not None and mark is not None and created.uid != mark.uid:
            # Taken over from an object that is gone: with the name go its PTRs, as far as its record tells of them.
            told = batch.values if name in self.world.touched else self._set
            for address, owned in list(self._set.items()):
                if owned == (name, mark.uid) and address in told:
                    self._set[address] = (name, created.uid)
        owner = self.api.by_uid(created.uid) if created is not None else None
        if (
            owner is not None
            and mark is None
            and batch.values
            and name not in self._claimed
            and owner["spec"].get("adoption") == "Never"
        ):
            self.violated("S2", f"the A of {name} is adopted although the object says Never")
        values = frozenset(batch.creates.get("A", ()))
        ours = {n for n, u in self._set.values() if created is not None and u == created.uid} | {name}
        ours |= {
            n
            for n in self._names()
            if created is not None and (m := self._mark_at(n)) and m.uid == created.uid
        }
        for address in sorted(values - batch.values - self._joined):
            eip = self.world.model.network.by_ip.get(address)
            if eip is not None and eip.service_managed in RECEIVING:
                self.violated("E8", f"{address}, from which no mail leaves, joins {name}")
            if eip is None:
                # (Released a moment ago: what was read was true.)
                if not self._touched(address):
                    self.violated("S2", f"{address}, which is no EIP of anybody, joins {name}")
            elif (
                (shown := name_of(eip)) not in ours | {None}
                and not self._touched(address)
                and not (created is not None and self._adopted_before(created.uid, address, shown))
            ):
                self.violated("S2", f"{address} with the foreign PTR {shown} joins {name}")
            else:
                self._check_rivals(created, eip, name)
        self._joined |= values

    def _nameless(self, body: Object) -> bool:
        """Another object has its hostname, or comes before it in line for it: an address alone would be of no use."""
        name, uid = body["spec"]["hostname"], body["metadata"]["uid"]
        mark = self._mark_at(name)
        holder = self.api.by_uid(mark.uid) if mark is not None else None
        if holder is None:
            wanting = [o for o in self.api.objects.values() if o["spec"]["hostname"] == name]
            able = [
                o for o in wanting if "deletionTimestamp" not in o["metadata"] and not self._without_age(o)
            ]
            holder = min(able, key=_age, default=body)
        return holder["metadata"]["uid"] != uid and holder["spec"]["hostname"] == name

    def _check_rivals(self, mark: Mark | None, eip: Eip, name: str) -> None:
        """S9: an address that an older object wants as well does not join the record of a younger one."""
        owner = self.api.by_uid(mark.uid) if mark is not None else None
        if owner is None or (name_of(eip) == name and self._touched(eip.public_ip)):
            # (An outsider gave it the PTR of the marked name: it is held by that, whoever is older.)
            return
        if not self._is_listed(eip):
            # The older one could not see it a moment ago, and stands behind those that can until it looks again.
            return
        for other in self.api.objects.values():
            if other["metadata"]["uid"] in self.api.lapsed:
                # It came back from a backup: nobody could know of it at that moment.
                continue
            if (
                self._wants(other, eip)
                and _age(other) < _age(owner)
                and not self._without_age(other)
                and not self._nameless(other)
            ):
                self.violated(
                    "S9",
                    f"{eip.public_ip} joins {name} although {other['metadata']['name']} is older and wants it",
                )

    # ------------------------------------------------------------ S3

    def record_changed(self) -> None:
        """External-dns changed a record."""
        self._continuity()

    def _continuity(self) -> None:
        """S3: every name that receivers may hold for an address of ours is answered with the address."""
        now = self.world.clock()
        for eip in self.world.all_eips():
            address = eip.public_ip
            current = self.world.ptr(eip)
            if current is not None and current.endswith(".amazonaws.com"):
                current = None  # AWS's own name for an address belongs to nobody.
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
            # A stranger's name was never promised to anybody.
            names -= self._strange.get(address, set()) - {ours[0]}
            owner = self.api.by_uid(ours[1])
            if owner is None or "deletionTimestamp" in owner["metadata"] or self._forgotten(*ours):
                continue
            for name in sorted(names):
                # The record of a former hostname is seen with the next list.
                grace = OUTSIDE_GRACE if name == owner["spec"]["hostname"] else FORMER_GRACE
                if self._touched(name, grace) or self._left_by_outsiders(name, owner):
                    continue
                for server, values in self.world.authorities(name).items():
                    if values is None and server in self.world.ailing:
                        continue
                    if values is None or address not in values:
                        self.violated(
                            "S3",
                            f"receivers may see the PTR {name} of {address}, but {server} answers {as_list(values)}",
                        )
