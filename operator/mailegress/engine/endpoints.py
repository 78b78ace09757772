"""What happens when a DNSEndpoint changes: the index takes it in, and the objects that it concerns are woken.

Whatever the number of objects, a change wakes at most the owner and the first two in line for each hostname in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mailegress.api.names import endpoint_owner_name
from mailegress.engine.controller import Controller
from mailegress.kube.endpoints import fault_of, parse
from mailegress.reconcile.endpoint_index import EndpointIndex


class EndpointSink:
    """Implements :class:`mailegress.kube.reflector.Sink`, for one namespace or for all."""

    def __init__(
        self,
        index: EndpointIndex,
        controller: Controller,
        clock: Callable[[], float],
        namespace: str | None = None,
    ) -> None:
        self._index = index
        self._controller = controller
        self._clock = clock
        self._namespace = namespace

    def put(self, body: Mapping[str, Any]) -> None:
        """A new or changed DNSEndpoint."""
        endpoint = parse(body)
        self._wake(endpoint.namespace, endpoint.name, endpoint.owner, self._index.put(endpoint))

    def delete(self, name: str) -> None:
        """A DNSEndpoint is gone. ``name``: ``namespace/name``."""
        namespace, _, short = name.partition("/")
        known = self._index.get(namespace, short)
        self._wake(namespace, short, known.owner if known else None, self._index.drop(namespace, short))

    def known(self) -> set[str]:
        """All that were taken in, as ``namespace/name``."""
        return {f"{namespace}/{name}" for namespace, name in self._index.places(self._namespace)}

    def heard(self, *, listed: bool = False) -> None:
        """The view is current."""
        if listed or self._index.kind_of(self._namespace).value:
            self._became(exists=True)

    def unheard(self, fault: str, *, missing: bool = False) -> None:
        """A list or a watch failed. ``missing``: the cluster does not have the kind."""
        if missing:
            self._became(exists=False)
        else:
            self._index.unheard(fault_of(fault), self._clock(), self._namespace)

    def _became(self, *, exists: bool) -> None:
        before = self._index.kind_of(self._namespace)
        self._index.heard(self._clock(), self._namespace, exists=exists)
        if before.value is not exists or before.fault is not None:
            for key in self._controller.claims.with_endpoint():
                self._controller.wake(key)

    def _wake(self, namespace: str, name: str, owner: str | None, hostnames: frozenset[str]) -> None:
        keys = {key for hostname in hostnames for key in self._controller.claims.next_for(hostname)}
        if (own := endpoint_owner_name(name)) is not None:
            keys.add(f"{namespace}/{own}")
        if owner is not None and (key := self._controller.policies.key(owner)) is not None:
            keys.add(key)
        for key in keys:
            self._controller.wake(key)
