"""What external-dns v0.15 does with the DNSEndpoints that it reads, without I/O.

As its code shows, with the source ``crd`` and the registry ``txt``:

- ``source/crd.go``: every DNSEndpoint is listed; an A record without targets, or with a target that ends in a dot, is
  left out; ``status.observedGeneration`` is set when it is read, before anything is written.
- ``plan/conflict.go``: of several DNSEndpoints with the same name, the one from which the record was made keeps it; if
  none is, the one with the fewest targets, then with the lowest, has it.
- ``plan/plan.go``, ``registry/txt.go``: a name with a record that this external-dns does not own is left alone. The
  TTL is compared only if the DNSEndpoint has one.
- ``plan/policy.go``: ``upsert-only`` never deletes, ``create-only`` never changes either.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Any, Protocol

POLICIES = ("sync", "upsert-only", "create-only")
_TTL = 300
"""Of a provider, for a DNSEndpoint without one."""

RecordSets = Mapping[str, tuple[int, tuple[str, ...]]]
"""Type -> TTL and values."""


class Synchronizer(Protocol):
    """One run of the loop of external-dns."""

    def synchronize(self, endpoints: Iterable[Mapping[str, Any]]) -> list[str]:
        """Make the records as these DNSEndpoints ask. What was changed comes back, in words."""


class Provider(Protocol):
    """One zone of a DNS provider."""

    def serves(self, name: str) -> bool:
        """Is the name in the zone?"""

    def at(self, name: str) -> RecordSets:
        """The record sets at a name."""

    def put(self, name: str, ttl: int, values: tuple[str, ...]) -> None:
        """Create or replace the A record."""

    def remove(self, name: str) -> None:
        """Delete the A record."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    resource: str
    targets: tuple[str, ...]
    ttl: int

    @property
    def order(self) -> tuple[int, list[tuple[int, int | str]]]:
        return len(self.targets), [_rank(target) for target in self.targets]


class ExternalDnsModel:
    """One external-dns. ``synchronize`` is one run of its loop."""

    def __init__(self, provider: Provider, policy: str = "sync") -> None:
        if policy not in POLICIES:
            raise ValueError(f"policy {policy!r}; known are {POLICIES}")
        self._provider = provider
        self._policy = policy
        self.owned: dict[str, str] = {}
        """The registry: name -> DNSEndpoint from which the A record was made, as ``crd/namespace/name``."""

    def synchronize(self, endpoints: Iterable[Mapping[str, Any]]) -> list[str]:
        """Make the records as these DNSEndpoints ask. What was changed comes back, in words."""
        wanted: dict[str, list[_Candidate]] = defaultdict(list)
        for endpoint in endpoints:
            meta = endpoint["metadata"]
            for entry in (endpoint.get("spec") or {}).get("endpoints") or ():
                name, targets = entry.get("dnsName", "").lower().rstrip("."), entry.get("targets") or ()
                usable = (
                    entry.get("recordType") == "A" and targets and not any(t.endswith(".") for t in targets)
                )
                if usable and self._provider.serves(name):
                    found = _Candidate(
                        f"crd/{meta['namespace']}/{meta['name']}",
                        tuple(sorted(targets, key=_rank)),
                        entry.get("recordTTL") or 0,
                    )
                    wanted[name].append(found)
        done = [text for name in sorted(wanted) if (text := self._make(name, wanted[name]))]
        for name in sorted(set(self.owned) - set(wanted)):
            if "A" not in self._provider.at(name):
                del self.owned[name]
            elif self._policy == "sync":
                self._provider.remove(name)
                del self.owned[name]
                done.append(f"delete {name}")
        return done

    def _make(self, name: str, candidates: list[_Candidate]) -> str:
        present = {
            kind: found for kind, found in self._provider.at(name).items() if kind in ("A", "AAAA", "CNAME")
        }
        first = min(candidates, key=lambda c: c.order)
        if not present:
            self._put(name, first)
            return f"create {name} {first.targets}"
        if "A" not in present or name not in self.owned:
            return ""
        made_from = self.owned[name]
        chosen = min((c for c in candidates if c.resource == made_from), key=lambda c: c.order, default=first)
        ttl, values = present["A"]
        same = tuple(sorted(values, key=_rank)) == chosen.targets and chosen.ttl in (0, ttl)
        if same or self._policy == "create-only":
            return ""
        self._put(name, chosen)
        return f"update {name} {chosen.targets}"

    def _put(self, name: str, chosen: _Candidate) -> None:
        self._provider.put(name, chosen.ttl or _TTL, chosen.targets)
        self.owned[name] = chosen.resource


def read(endpoint: Mapping[str, Any]) -> int | None:
    """The ``status.observedGeneration`` that it sets when it reads this DNSEndpoint; None: it is set already."""
    generation: int = endpoint["metadata"]["generation"]
    return None if (endpoint.get("status") or {}).get("observedGeneration") == generation else generation


def _rank(target: str) -> tuple[int, int | str]:
    """Addresses before names, in the order of their numbers."""
    try:
        return 0, int(IPv4Address(target))
    except AddressValueError:
        return 1, target
