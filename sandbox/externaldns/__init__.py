"""External-dns in the sandbox: it reads DNSEndpoints, and something that synchronizes makes their A records.

That is the model of external-dns (``model.py``) with a zone of the sandbox's DNS, or external-dns's own packages in a
test. The API server is asked as the administrator, not with the operator's rights.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from sandbox.controlplane import ControlPlane
from sandbox.externaldns.model import RecordSets, Synchronizer, read
from sandbox.tools.gotool import GoModule, download, find_go

MODULE = GoModule(
    "external-dns",
    "sigs.k8s.io/external-dns",
    "v0.15.0",
    "h1:4NCSLHONsTmJXD8KReb4hubSz9Cx4goCHz3Dl+pGR+Q=",
)
"""Its release whose behaviour the model has, and whose CRD the sandbox applies."""
_INTERVAL = 0.3


def crd() -> Path:
    """The CRD of external-dns, from its published module.

    Raises:
        ToolError: there is no Go, or the module cannot be fetched.
    """
    source = download(MODULE, find_go(MODULE.name, os.environ), os.environ)
    return source / "charts" / "external-dns" / "crds" / "dnsendpoint.yaml"


class ExternalDns:
    """A context manager. ``namespace``: None = all. ``interval``: seconds between two synchronizations."""

    def __init__(
        self,
        plane: ControlPlane,
        synchronizer: Synchronizer,
        *,
        namespace: str | None = None,
        interval: float = _INTERVAL,
    ) -> None:
        self._plane = plane
        self._synchronizer = synchronizer
        self._where = ("--namespace", namespace) if namespace is not None else ("--all-namespaces",)
        self._interval = interval
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._failure: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    @property
    def paused(self) -> threading.Lock:
        """While it is held nothing is synchronized."""
        return self._lock

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            with self._lock:
                try:
                    self._synchronize()
                except Exception as error:
                    self._failure = error
                    return

    def _synchronize(self) -> None:
        got = self._plane.kubectl("get", "dnsendpoints", *self._where, "-o", "json", check=False)
        if got.returncode:
            # The kind is not there yet, or not any more.
            return
        items = json.loads(got.stdout)["items"]
        for item in items:
            self._observe(item)
        self._synchronizer.synchronize(items)

    def _observe(self, item: dict[str, Any]) -> None:
        meta = item["metadata"]
        if (generation := read(item)) is None:
            return
        status = json.dumps({"status": {"observedGeneration": generation}})
        # It may be deleted meanwhile.
        self._plane.kubectl(
            "patch", "dnsendpoint", meta["name"], "--namespace", meta["namespace"],
            "--subresource=status", "--type=merge", "--patch", status,
            check=False,
        )  # fmt: skip


class SandboxZone:
    """A zone of the sandbox's other DNS provider. ``dns``: the control operations of the sandbox's DNS."""

    def __init__(self, dns: Callable[..., Any], zone: str) -> None:
        self._dns = dns
        self._zone = zone

    def serves(self, name: str) -> bool:
        return f".{name}".endswith(f".{self._zone}")

    def at(self, name: str) -> RecordSets:
        found = self._dns("record-get", zone=self._zone, name=name)["records"]
        return {rtype: (ttl, tuple(values)) for rtype, (ttl, values) in found.items()}

    def put(self, name: str, ttl: int, values: tuple[str, ...]) -> None:
        self._dns("record-put", zone=self._zone, name=name, type="A", values=list(values), ttl=ttl)

    def remove(self, name: str) -> None:
        self._dns("record-remove", zone=self._zone, name=name, type="A")
