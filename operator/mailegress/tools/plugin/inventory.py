"""What an account, or a Terraform state, has: addresses with their PTRs, zones and record sets. Values without I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mailegress.api.names import is_within, ownership_name
from mailegress.model import ownership
from mailegress.model.aws import RecordSet, Zone
from mailegress.model.ownership import Mark


@dataclass(frozen=True, slots=True)
class Address:
    """An Elastic IP. ``ptr``: its PTR, normalised; empty if it has none."""

    allocation_id: str
    public_ip: str
    region: str
    ptr: str = ""
    resources: tuple[str, ...] = ()
    """The Terraform resources that set the PTR."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record set in a hosted zone. ``resource``: the Terraform resource that makes it."""

    zone_id: str
    record_set: RecordSet
    resource: str = ""


@dataclass(frozen=True, slots=True)
class Inventory:
    addresses: tuple[Address, ...]
    zones: tuple[Zone, ...]
    """Public ones only."""
    records: tuple[Record, ...]

    def zone_of(self, hostname: str) -> Zone | None:
        """The zone that the operator would choose: the longest name, label by label."""
        return max(
            (z for z in self.zones if is_within(hostname, z.name)), key=lambda z: len(z.name), default=None
        )

    def at(self, hostname: str) -> tuple[Record, ...]:
        """The A and CNAME record sets at a hostname in its zone."""
        zone = self.zone_of(hostname)
        return tuple(
            r
            for r in self.records
            if zone is not None
            and r.zone_id == zone.id
            and r.record_set.name == hostname
            and r.record_set.type in ("A", "CNAME")
        )

    def mark(self, hostname: str) -> Mark | None:
        """Whose hostname it is according to the ownership record."""
        zone, owner = self.zone_of(hostname), ownership_name(hostname)
        for record in self.records:
            found = record.record_set
            if zone is not None and record.zone_id == zone.id and found.name == owner and found.type == "TXT":
                return ownership.parse(found.values)
        return None


def interesting(records: Iterable[RecordSet]) -> Iterable[RecordSet]:
    """Of a zone's record sets those that this package looks at."""
    return (r for r in records if r.type in ("A", "CNAME", "TXT"))
