"""DNSEndpoints put together: the index, its lists and watches, and the writer. Nothing is read with ``off``."""

from __future__ import annotations

import logging
from collections.abc import Awaitable

from mailegress.cli.dependencies import Dependencies
from mailegress.cli.lifecycle import Stop, until
from mailegress.cli.settings import Settings
from mailegress.engine.controller import Controller
from mailegress.engine.endpoints import EndpointSink
from mailegress.kube.client import KubeClient
from mailegress.kube.endpoints import EndpointClient, endpoints_of
from mailegress.kube.reflector import Reflector
from mailegress.reconcile.endpoint_index import EndpointIndex
from mailegress.reconcile.ports import KubeError
from mailegress.reconcile.write_guard import WriteGuard

_log = logging.getLogger(__name__)


class ExternalDnsParts:
    """What runs with ``--external-dns=on``."""

    def __init__(
        self,
        settings: Settings,
        controller: Controller,
        kube: KubeClient,
        guard: WriteGuard,
        dependencies: Dependencies,
    ) -> None:
        clock = dependencies.clock
        namespaces: tuple[str | None, ...] = settings.namespaces or (None,)
        self.index = EndpointIndex(namespaces, enabled=settings.external_dns)
        self.writer = EndpointClient(kube, self.index, guard, controller.wake, clock)
        self._reflectors = {
            f"DNSEndpoints of {namespace or 'all namespaces'}": Reflector(
                kube,
                endpoints_of(namespace),
                EndpointSink(self.index, controller, clock, namespace),
                sleep=dependencies.sleep,
            )
            for namespace in (namespaces if settings.external_dns else ())
        }

    async def know(self) -> None:
        """Read every DNSEndpoint before an object is reconciled. What cannot be read is tried again by the watches."""
        for what, reflector in self._reflectors.items():
            try:
                await reflector.once()
            except KubeError as error:
                _log.warning("%s cannot be read; it is tried again error=%s", what, error)

    def components(self, stop: Stop) -> dict[str, Awaitable[object]]:
        """What runs until the end."""
        return {what: until(stop, reflector.run()) for what, reflector in self._reflectors.items()}
