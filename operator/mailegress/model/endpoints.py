"""DNSEndpoints of external-dns (``externaldns.k8s.io/v1alpha1``): values only, no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class EndpointEntry:
    """One record that a DNSEndpoint asks external-dns for. ``ttl`` in seconds."""

    hostname: str
    targets: frozenset[str] = frozenset()
    ttl: int | None = None
    type: str = "A"
    plain: bool = True
    """It has nothing else: no set identifier, no provider-specific field. The operator writes only such entries."""


@dataclass(frozen=True, slots=True)
class DnsEndpoint:
    """A DNSEndpoint as last read."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    entries: tuple[EndpointEntry, ...] = ()
    owner: str | None = None
    """UID in the operator's label; None: it is not an endpoint of a MailEgress."""
    generation: int = 0
    observed_generation: int = 0
    """Of external-dns: which generation it has read."""
    changed_by: str = ""
    """Field manager of another writer that owns fields of the spec; empty: none does."""

    @property
    def behind(self) -> bool:
        """External-dns has not read this version yet."""
        return self.observed_generation < self.generation

    def entry(self, hostname: str) -> EndpointEntry | None:
        """The A record that it asks for at this hostname."""
        return next((e for e in self.entries if e.hostname == hostname and e.type == "A"), None)

    def names(self) -> frozenset[str]:
        """The hostnames of its A records."""
        return frozenset(e.hostname for e in self.entries if e.type == "A")

    def addresses(self, hostname: str) -> frozenset[str]:
        """The targets of the A record at this hostname."""
        entry = self.entry(hostname)
        return entry.targets if entry is not None else frozenset()


@dataclass(frozen=True, slots=True)
class ChangeEndpoint:
    """Create, change or delete the DNSEndpoint of the object."""

    namespace: str
    name: str
    entries: tuple[EndpointEntry, ...]
    """All that it is to ask for; empty: it is deleted."""
    owner: str | None
    """UID for the label; None: the label is removed, and the endpoint is left to others."""
    why: str
    before: DnsEndpoint | None = None
    """As it was read: anything else is not overwritten. None: it must not exist."""
    repairs: tuple[float, ...] | None = field(default=None, compare=False)
    """For a repair: when the endpoint was repaired within the last hour, with this repair."""
    only_lost: bool = False
    """It does nothing but take lost addresses out, so that it is carried out under ``suspend`` too."""

    @property
    def changes(self) -> frozenset[str]:
        """Hostnames whose records are not asked for as before."""
        before = self.before.entries if self.before is not None else ()
        return frozenset(entry.hostname for entry in set(before) ^ set(self.entries))

    def done(self, now: DnsEndpoint | None) -> bool:
        """Is this what the endpoint is now?"""
        if now is None:
            return not self.entries
        if self.owner is None:
            return now.owner is None
        return (by_hostname(now.entries), now.owner) == (by_hostname(self.entries), self.owner)


def by_hostname(entries: Iterable[EndpointEntry]) -> tuple[EndpointEntry, ...]:
    """In the one order in which the operator writes them."""
    return tuple(sorted(entries, key=lambda e: (e.hostname, e.type)))
