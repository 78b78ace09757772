"""The invariants that statuses and finalizers are held against, and those of the end of a story."""

from __future__ import annotations

import math
import re

from mailegress.api.names import FINALIZER, OWNERSHIP_LABEL
from mailegress.api.reasons import ALL_REASONS
from mailegress.telemetry.metrics import Metrics
from tests.support.simulation.apiwire import Object
from tests.support.simulation.facts import as_list, mark_of, name_of, ready_of
from tests.support.simulation.ledger import RE_LOOK, Ledger
from tests.support.simulation.world import CONTROL

VOLATILE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.I)
"""What differs from one request to the next."""

ENOUGH = 2
"""Servers that answer, while the PTRs are set: then one that gives no usable answer does not matter to Ready."""


IN_THE_WAY = ("HostnameConflict", "AddressConflict", "WaitingForRelease", "ClaimCycle")
"""Reasons of Stalled for another object's sake."""
STALLED_AFTER = 1800.0
"""Seconds without progress after which an object is Stalled, whatever the reason."""


def gets_nowhere(body: Object) -> float | None:
    """In how many seconds an object that is Stalled, and not for another object's sake, holds nothing by its age."""
    for c in body["status"].get("conditions", ()):
        if c["type"] == "Stalled" and c["status"] == "True" and c["reason"] not in IN_THE_WAY:
            return STALLED_AFTER if ALL_REASONS[c["reason"]].stalls_at_once else 0.0
    return None


class StatusChecks(Ledger):
    """Looked at with each write to the API server."""

    def _on_status(self, old: Object, new: Object) -> None:
        self._status_writes += 1
        status, meta = new["status"], new["metadata"]
        where = f"{meta['namespace']}/{meta['name']}"
        if (left := gets_nowhere(new)) is not None:
            key = meta["uid"], meta["generation"]
            self._hopeless[key] = min(self.world.clock() + left, self._hopeless.get(key, math.inf))
        if status.get("observedGeneration") != meta["generation"]:
            self.violated(
                "S6",
                f"{where}: observedGeneration {status.get('observedGeneration')} at generation {meta['generation']}",
            )
        text = repr([c.get("message") for c in status.get("conditions", [])])
        for c in status.get("conditions", []):
            if CONTROL.search(c["message"]) or CONTROL.search(c["reason"]):
                self.violated("S12", f"{where}: control characters in {text}")
            if c["observedGeneration"] != meta["generation"]:
                self.violated("S6", f"{where}: {c['type']} of generation {c['observedGeneration']}")
            if VOLATILE.search(c["message"]):
                self.violated("S12", f"{where}: a request's ID in {text}")
        for entry in status.get("addresses", ()):
            shown = (entry.get("ptrOrigin"), entry.get("ptr"))
            if shown == ("Adopted", new["spec"]["hostname"]):
                self._adopted.add((entry["publicIP"], meta["uid"]))
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
        if not self._of_rivals(hostname):
            self._check_record(where, hostname, addresses)
        for address in addresses:
            if not self._of_rivals(address):
                self._check_ptr(where, hostname, address)

    def _check_record(self, where: str, hostname: str, addresses: list[str]) -> None:
        answers = self.world.authorities(hostname)
        # Who failed a moment ago was still heard to agree by an operator that has not asked again.
        agreeing = sum(
            set(addresses) <= values if values is not None else self._ailing(server, RE_LOOK)
            for server, values in answers.items()
        )
        for server, values in answers.items():
            if values is None and (agreeing >= ENOUGH or self._ailing(server, RE_LOOK)):
                continue
            if (values is None or not set(addresses) <= values) and not self._touched(hostname):
                self.violated("S7", f"{where}: Ready, but {server} answers {as_list(values)} for {hostname}")
            heard = self._asked.get((hostname, "A"), {}).get(self.world.dns.address_of(server), -1.0)
            passed_over = agreeing > ENOUGH and self._healed(server)
            if heard < self._wrote.get(hostname, 0.0) and not passed_over:
                self.violated("S7", f"{where}: Ready, but {server} was not asked after the last write")

    def _check_ptr(self, where: str, hostname: str, address: str) -> None:
        eip = self.world.model.network.by_ip.get(address)
        if (eip is None or self.world.ptr(eip) != hostname) and not self._touched(address):
            self.violated("S7", f"{where}: Ready, but the PTR of {address} is {eip and self.world.ptr(eip)}")
        if eip is not None and self._read.get(eip.region, -1.0) < self._wrote.get(address, 0.0):
            self.violated("S7", f"{where}: Ready, but the PTR of {address} was not read after the last write")

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
        self._check_endpoint_left(meta["name"], meta["uid"])

    def _check_endpoint_left(self, name: str, uid: str) -> None:
        """See ``endpointchecks``."""

    def _check_left(self, name: str, uid: str) -> None:
        """S8, S5: nothing of this object is left when the finalizer goes."""
        if uid in self.api.forgotten:
            return
        for zone in self.world.model.zones():
            for record in zone.ordered():
                shown = record.to_params()
                if shown["Type"] == "TXT":
                    mark = mark_of(*(v["Value"] for v in shown.get("ResourceRecords", ())))
                    if mark is not None and mark.uid == uid:
                        self.violated(
                            "S8", f"finalizer of {name} goes while its mark stands at {shown['Name']}"
                        )
        if uid in self.api.lapsed:
            return
        for address, (ptr, owner) in self._set.items():
            eip = self.world.model.network.by_ip.get(address)
            if owner != uid or self.left_as_it_is(uid, ptr, address):
                continue
            if eip is not None and name_of(eip) == ptr:
                self.violated("S8", f"finalizer of {name} goes while {address} has its PTR {ptr}")
        self._check_told(name, uid)

    def _check_told(self, name: str, uid: str) -> None:
        """S8: a PTR that the operator set once, and that the status still calls the operator's, does not stay."""
        for entry in self._entries(uid):
            address, ptr = entry.get("publicIP"), entry.get("ptr")
            eip = self.world.model.network.by_ip.get(address)
            stays = eip is not None and ptr is not None and name_of(eip) == ptr
            ours = entry.get("ptrOrigin") == "Managed" and uid in self._setters.get((address, ptr), ())
            if not (stays and ours) or self._touched(address) or self.left_as_it_is(uid, ptr, address):
                continue
            if self._set.get(address, (ptr, uid))[1] == uid and self._mark_at(ptr) is None:
                self.violated(
                    "S8", f"finalizer of {name} goes and leaves {address} the PTR {ptr}, shown as Managed"
                )

    # ------------------------------------------------------------ in the end

    def texts(self) -> None:
        """S12 for Events."""
        for event in self.api.events:
            if CONTROL.search(event["note"]) or CONTROL.search(event["reason"]):
                self.violated("S12", f"control characters in the Event {event['note']!r}")

    def marks(self) -> None:
        """E2: whatever was wanted on the way, in the end a mark stands where its object wants it, and nowhere else."""
        for zone in self.world.model.zones():
            for record in zone.ordered():
                shown = record.to_params()
                mark = mark_of(*(v["Value"] for v in shown.get("ResourceRecords", ())))
                owner = self.api.by_uid(mark.uid) if mark is not None and shown["Type"] == "TXT" else None
                wanted = f"{OWNERSHIP_LABEL}.{owner['spec']['hostname']}" if owner is not None else ""
                if owner is not None and shown["Name"].rstrip(".") != wanted:
                    self.violated("E2", f"a mark of {owner['metadata']['name']} is left at {shown['Name']}")

    def labels(self, metrics: Metrics) -> None:
        """S13: no label tells of an object, a name or an address."""
        told = {
            o["metadata"][field] for o in self.api.ever.values() for field in ("name", "namespace", "uid")
        }
        told |= self._names() | {e.public_ip for e in self.world.all_eips()}
        told = {text for text in told if len(text) > 1}
        for family in metrics.registry.collect():
            for sample in family.samples:
                for label, value in sample.labels.items():
                    if any(text in value for text in told):
                        self.violated("S13", f"{sample.name} has the label {label}={value!r}")
