"""The DNSEndpoints of the cluster, as last read, and the operator's last write to each of its own.

The list and watch of the kind feed this index (``engine/endpoints.py``). The rules read it as
:class:`~mailegress.reconcile.ports.EndpointView`. Versions are compared, because the reply to a write arrives before
the watch shows the write.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from mailegress.api.versions import newer
from mailegress.model.endpoints import ChangeEndpoint, DnsEndpoint
from mailegress.model.facts import NEVER, Fact, Fault, WritePhase, WriteState

Place = tuple[str, str]
"""(namespace, name) of a DNSEndpoint."""
KEPT_SECONDS = 3600.0
"""How long the last write to a DNSEndpoint that does not exist any more is remembered."""


class EndpointIndex:
    """Implements :class:`mailegress.reconcile.ports.EndpointView`. ``enabled``: the setting ``--external-dns``.

    ``scopes``: the namespaces that are listed, each by itself; None: one list of all namespaces.
    """

    def __init__(self, scopes: Sequence[str | None] = (None,), *, enabled: bool = False) -> None:
        self.enabled = enabled
        self._kinds: dict[str | None, Fact[bool]] = {scope: Fact() for scope in scopes}
        self._endpoints: dict[Place, DnsEndpoint] = {}
        self._names: dict[str, set[Place]] = defaultdict(set)
        self._writes: dict[Place, WriteState] = {}
        self._changed: dict[tuple[str, str, str], float] = {}
        self._gone: dict[Place, str] = {}
        """Deleted by the operator itself at this version: an older event does not bring it back."""
        self._pruned_at = NEVER

    # ------------------------------------------------ reading

    def kind(self) -> Fact[bool]:
        """True: every DNSEndpoint is known. False: the cluster does not have the kind. No value: not read yet.

        Of several lists the one that shows the least counts: a hostname may be in any of them.
        """
        return min(self._kinds.values(), key=_certainty)

    def kind_of(self, scope: str | None) -> Fact[bool]:
        """The same of one list."""
        return self._kinds[scope]

    def get(self, namespace: str, name: str) -> DnsEndpoint | None:
        """One DNSEndpoint, whoever it belongs to."""
        return self._endpoints.get((namespace, name))

    def naming(self, hostname: str) -> Sequence[DnsEndpoint]:
        """Every DNSEndpoint with a record at this hostname, in a fixed order."""
        return [self._endpoints[place] for place in sorted(self._names.get(hostname, ()))]

    def state(self, namespace: str, name: str) -> WriteState | None:
        """The operator's last write to this DNSEndpoint."""
        return self._writes.get((namespace, name))

    def changed_at(self, namespace: str, name: str, hostname: str) -> float:
        """When the operator last changed the record of a hostname in it, or may have; if never, minus infinity."""
        return self._changed.get((namespace, name, hostname), NEVER)

    def __len__(self) -> int:
        return len(self._endpoints)

    def places(self, namespace: str | None = None) -> set[Place]:
        """All that are known, or those of one namespace."""
        return {place for place in self._endpoints if namespace in (None, place[0])}

    # ------------------------------------------------ taking in

    def heard(self, at: float, scope: str | None = None, *, exists: bool = True) -> None:
        """A list is complete or a watch is current; or the kind is missing."""
        if not exists:
            for place in self.places(scope):
                self._remove(place)
        self._kinds[scope] = Fact(exists, at, tried_at=at)

    def unheard(self, fault: Fault, at: float, scope: str | None = None) -> None:
        """A list or a watch failed. What was known stays."""
        known = self._kinds[scope]
        self._kinds[scope] = Fact(known.value, known.at, fault, known.misses + 1, at)

    def put(self, endpoint: DnsEndpoint) -> frozenset[str]:
        """Take in a version. The hostnames that it concerns come back; none if it is not new."""
        place = (endpoint.namespace, endpoint.name)
        old = self._endpoints.get(place)
        known = old.resource_version if old is not None else self._gone.get(place)
        if known is not None and not newer(endpoint.resource_version, known):
            return frozenset()
        before = self._remove(place)
        self._endpoints[place] = endpoint
        after = _all_names([endpoint])
        for name in after:
            self._names[name].add(place)
        return before | after

    def drop(self, namespace: str, name: str, *, at_version: str | None = None) -> frozenset[str]:
        """It is gone. ``at_version``: it was deleted by a request of the operator, when this was its version."""
        place = (namespace, name)
        if at_version is not None:
            self._gone[place] = at_version
        return self._remove(place)

    def wrote(self, change: ChangeEndpoint, at: float, fault: Fault | None = None) -> None:
        """The outcome of a write."""
        namespace, name = change.namespace, change.name
        self._changed |= {(namespace, name, hostname): at for hostname in change.changes}
        before = self._writes.get((namespace, name))
        attempts = before.attempts + 1 if fault is not None and before is not None else int(fault is not None)
        phase = WritePhase.APPLIED if fault is None else WritePhase.FAILED
        self._writes[namespace, name] = WriteState(phase, at, fault, attempts=attempts)
        self._prune(at)

    def _prune(self, now: float) -> None:
        """Forget old writes to DNSEndpoints that do not exist, so that memory does not grow with deleted objects."""
        if now - self._pruned_at < KEPT_SECONDS / 4:
            return
        self._pruned_at = now
        old = {
            place
            for place, state in self._writes.items()
            if place not in self._endpoints and now - state.at > KEPT_SECONDS
        }
        for place in old:
            del self._writes[place]
            self._gone.pop(place, None)
        self._changed = {where: at for where, at in self._changed.items() if where[:2] not in old}

    def _remove(self, place: Place) -> frozenset[str]:
        old = self._endpoints.pop(place, None)
        if old is None:
            return frozenset()
        names = _all_names([old])
        for name in names:
            self._names[name].discard(place)
            if not self._names[name]:
                del self._names[name]
        return names


def _certainty(kind: Fact[bool]) -> tuple[bool, bool, bool, float]:
    """Ascending: not read, missing, with a fault, by age."""
    return kind.value is not None, bool(kind.value), kind.fault is None, kind.at


def _all_names(endpoints: Iterable[DnsEndpoint]) -> frozenset[str]:
    return frozenset(e.hostname for endpoint in endpoints for e in endpoint.entries)
