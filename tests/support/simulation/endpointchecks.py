"""The invariants that the operator's writes to DNSEndpoints are held against."""

from __future__ import annotations

from mailegress.api.names import ENDPOINT_LABEL, endpoint_name
from tests.support.simulation.apiwire import Object
from tests.support.simulation.facts import bare, name_of
from tests.support.simulation.statuschecks import StatusChecks

Records = dict[str, frozenset[str]]


def records(body: Object | None) -> Records:
    """Hostname -> targets of its A records."""
    entries = body["spec"]["endpoints"] if body is not None else ()
    return {e["dnsName"]: frozenset(e["targets"]) for e in entries if e["recordType"] == "A"}


def owner(body: Object | None) -> str | None:
    """UID in the operator's label."""
    found: str | None = (body or {}).get("metadata", {}).get("labels", {}).get(ENDPOINT_LABEL)
    return found


class EndpointChecks(StatusChecks):
    """Looked at before each write to a DNSEndpoint."""

    def _before_endpoint(self, old: Object | None, new: Object | None) -> None:
        self._endpoint_writes += 1
        meta = (new or old or {})["metadata"]
        where = f"DNSEndpoint {meta['namespace']}/{meta['name']}"
        if old is not None and owner(old) not in self.api.ever:
            self.violated("S2", f"{where} is changed or deleted, and belongs to no MailEgress")
        uid = owner(new) or owner(old)
        mine = self.api.by_uid(uid or "")
        if mine is None or (mine["metadata"]["namespace"], endpoint_name(mine["metadata"]["name"])) != (
            meta["namespace"],
            meta["name"],
        ):
            self.violated("S2", f"{where} is written for {uid}, whose it is not")
        if old is not None and owner(old) != uid and self.api.by_uid(owner(old) or "") is not None:
            self.violated("S9", f"{where} is taken over from a live object")
        self._finalized(uid, where)
        before, after = records(old), records(new)
        for hostname in sorted(before.keys() | after.keys()):
            values = after.get(hostname, frozenset())
            if values != before.get(hostname, frozenset()):
                said = ",".join(sorted(values)) or "none"
                self.applied["endpoint", hostname, said] += 1
                self._wrote_now(hostname)
                self._claimed.add(hostname)
                self._check_leaving(where, hostname, before.get(hostname, frozenset()) - values)
                self._joined |= values
        if owner(new) is None and new is not None:
            self.applied["endpoint", meta["name"], "handed over"] += 1

    def _check_leaving(self, where: str, hostname: str, gone: frozenset[str]) -> None:
        """S4, S5: an address leaves the DNSEndpoint only after its PTR, unless Route 53 has the record now."""
        zone = self.world.zone_of(hostname)
        stored = self.world.record(zone, hostname, "A") if zone is not None else None
        for address in sorted(gone - frozenset(stored[1] if stored is not None else ())):
            ours = self._set.get(address) or self._giving.get(address)
            eip = self.world.model.network.by_ip.get(address)
            if eip is None or ours is None or ours[0] != hostname:
                continue
            if hostname in (bare(eip.ptr), name_of(eip)):
                self.violated(
                    "S4", f"{address} leaves {where} for {hostname} while its PTR is {name_of(eip)}"
                )

    def _check_endpoint_left(self, name: str, uid: str) -> None:
        """S8: no DNSEndpoint of the object is left when the finalizer goes."""
        for (_, endpoint), body in self.api.endpoints.objects.items():
            if owner(body) == uid:
                self.violated("S8", f"finalizer of {name} goes while DNSEndpoint {endpoint} is there")
