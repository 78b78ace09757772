"""Watches every AWS call while operators run, and says which invariant it breaks.

It stands behind AWS's call log, so it looks at the world in the moment of each call and knows by its access key which
replica made it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.aws.model import AwsModel, Context
from sandbox.aws.model.eip import Eip
from sandbox.aws.model.zones import Zone
from sandbox.dns.model import DnsWorld

CHANGE, SET, RESET = "ChangeResourceRecordSets", "ModifyAddressAttribute", "ResetAddressAttribute"
WRITES = (CHANGE, SET, RESET)
MARK = "_mailegress."


@dataclass
class Witness:
    """``populate`` goes into the sandbox. All else is read and set from the test's thread."""

    hostnames: frozenset[str]
    """Names that any object ever wants; everything else is somebody else's."""
    violations: list[str] = field(default_factory=list)
    writes: int = 0
    refused: int = 0
    redundant: int = 0
    reads: int = 0
    retired: frozenset[str] = frozenset()
    """Access keys of replicas that another one has replaced: they must not write."""
    foreign: frozenset[str] = frozenset()
    """Addresses whose PTR is somebody else's."""
    wrote: dict[str, int] = field(default_factory=dict)
    """Access key -> writes."""
    _set: dict[str, str] = field(default_factory=dict)
    """Address -> name of a PTR that an operator set and did not reset."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def populate(self, model: AwsModel, dns: DnsWorld) -> None:
        """Begin to watch this world."""
        self._model, self._dns = model, dns
        record = model.log.record

        def watched(
            context: Context,
            service: str,
            operation: str,
            params: Mapping[str, Any],
            outcome: str,
            applied: bool,
        ) -> None:
            record(context, service, operation, params, outcome, applied)
            with self._lock:
                self._heard(context.principal.access_key, operation, params, outcome, applied)

        model.log.record = watched  # type: ignore[method-assign]

    def violated(self, invariant: str, text: str) -> None:
        line = f"{invariant}: {text}"
        if line not in self.violations:
            self.violations.append(line)

    # ------------------------------------------------------------ calls

    def _heard(
        self, key: str, operation: str, params: Mapping[str, Any], outcome: str, applied: bool
    ) -> None:
        if operation not in WRITES:
            self.reads += 1
            if self.reads % 25 == 0:
                self._continuity()
            return
        self.writes += 1
        self.wrote[key] = self.wrote.get(key, 0) + 1
        if key in self.retired:
            self.violated("S9", f"{operation} by a replica that another one has replaced: {params}")
        if operation == CHANGE:
            self.refused += outcome == "InvalidChangeBatch"
            self._changed(params, applied)
        else:
            self._pointed(operation, params, applied)
        self._continuity()

    def _changed(self, params: Mapping[str, Any], applied: bool) -> None:
        left: dict[str, set[str]] = {}
        for change in params["ChangeBatch"]["Changes"]:
            verb, record = change["Action"], change["ResourceRecordSet"]
            name, rtype = record["Name"].rstrip("."), record["Type"]
            if verb not in ("CREATE", "DELETE"):
                self.violated("S2", f"{verb} of {name} {rtype}")
            own = rtype == "A" and name in self.hostnames
            mark = rtype == "TXT" and name.removeprefix(MARK) in self.hostnames and name.startswith(MARK)
            if not own and not mark:
                self.violated("S2", f"{verb} of {name} {rtype}, which is nobody's wish")
            if rtype == "A":
                values = {value["Value"] for value in record["ResourceRecords"]}
                if verb == "DELETE":
                    left[name] = left.get(name, set()) | values
                else:
                    left[name] = left.get(name, set()) - values
        if applied:
            for name, addresses in left.items():
                for eip in self._eips():
                    if eip.public_ip in addresses and name in (_bare(eip.ptr), _coming(eip)):
                        self.violated("S4", f"{eip.public_ip} leaves the record of {name}, its PTR")

    def _pointed(self, operation: str, params: Mapping[str, Any], applied: bool) -> None:
        eip = next(e for e in self._eips() if e.allocation_id == params["AllocationId"])
        address = eip.public_ip
        if address in self.foreign:
            self.violated("S2", f"{operation} of {address}, whose PTR is somebody else's")
        if operation == RESET:
            ours = self._set.pop(address, None) if applied else self._set.get(address)
            self.redundant += ours is None
            return
        name = str(params["DomainName"]).rstrip(".")
        # (With the call applied, the update on its way is this one.)
        self.redundant += self._set.get(address) == name
        zone = self._zone(name)
        written = self._written(zone, name)
        for server in zone.name_servers:
            answered = self._answer(server, name)
            if answered != written or address not in answered:
                self.violated(
                    "S1",
                    f"PTR {name} of {address}; {server} answers {sorted(answered)}, written {sorted(written)}",
                )
        if applied:
            self._set[address] = name

    def _continuity(self) -> None:
        """S3: a PTR that is there, and not being given up, is confirmed by every server."""
        for eip in self._eips():
            name = _bare(eip.ptr)
            if name is None or name not in self.hostnames or (eip.update and eip.update.value is None):
                continue
            for server in self._zone(name).name_servers:
                if eip.public_ip not in self._answer(server, name):
                    self.violated(
                        "S3", f"{eip.public_ip} has the PTR {name}, which {server} does not confirm"
                    )

    # ------------------------------------------------------------ the world

    def _eips(self) -> list[Eip]:
        now, lock = self._model.now(), self._model.settings.delays.release_lock
        found = list(self._model.network.by_ip)
        eips = [self._model.eip(address) for address in found]
        for eip in eips:
            eip.settle(now, lock)
        return eips

    def _zone(self, name: str) -> Zone:
        fitting = [z for z in self._model.zones() if f".{name}.".endswith(f".{z.name}")]
        return max(fitting, key=lambda z: len(z.name))

    def _written(self, zone: Zone, name: str) -> frozenset[str]:
        for found in zone.ordered():
            shown = found.to_params()
            if shown["Name"].rstrip(".") == name and shown["Type"] == "A":
                return frozenset(v["Value"] for v in shown["ResourceRecords"])
        return frozenset()

    def _answer(self, server: str, name: str) -> frozenset[str]:
        # Not as an outside client: a silence that is staged for the operators is none for the witness.
        reply = self._dns.query(server, name, "A", client="witness")
        return frozenset(reply.values("A")) if reply is not None and reply.aa else frozenset()


def _bare(name: str | None) -> str | None:
    return name.rstrip(".") if name else None


def _coming(eip: Eip) -> str | None:
    return _bare(eip.update.value) if eip.update is not None else None
