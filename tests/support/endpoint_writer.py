"""A writer of DNSEndpoints for planned reconciles: each change takes effect in the index at once."""

from __future__ import annotations

from mailegress.model.endpoints import ChangeEndpoint, DnsEndpoint
from mailegress.model.facts import WriteState
from mailegress.reconcile.endpoint_index import EndpointIndex


class FakeEndpointWriter:
    """Carries out a change of a DNSEndpoint at once."""

    def __init__(self, index: EndpointIndex) -> None:
        self._index = index
        self._version = 100

    def state(self, namespace: str, name: str) -> WriteState | None:
        return self._index.state(namespace, name)

    async def apply(self, key: str, change: ChangeEndpoint) -> None:
        self.carry_out(change, 0.0)

    def carry_out(self, change: ChangeEndpoint, at: float) -> None:
        known = self._index.get(change.namespace, change.name)
        assert known == change.before, "the endpoint is not what was read"
        self._version = max(self._version, int(known.resource_version) if known is not None else 0) + 1
        self._index.wrote(change, at)
        if not change.entries:
            self._index.drop(change.namespace, change.name, at_version=str(self._version))
            return
        generation = known.generation + 1 if known is not None else 1
        self._index.put(
            DnsEndpoint(
                change.namespace,
                change.name,
                f"uid of {change.name}",
                str(self._version),
                change.entries,
                change.owner,
                generation,
                generation,
            )
        )
