"""External-dns's plan, registry and provider (``packages/main.go``), one synchronization at a time."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.externaldns.knot import KEY, SECRET, Knot
from tests.support.gitops.gotool import built


class ExternalDnsPackages:
    """A context manager with the interface of :class:`sandbox.externaldns.model.ExternalDnsModel`."""

    def __init__(self, knot: Knot, policy: str = "sync") -> None:
        self._knot, self._policy = knot, policy
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        program = built("packages", Path(__file__).parent)
        knot = self._knot
        self._process = subprocess.Popen(
            [program, knot.address, str(knot.port), knot.zone, KEY, SECRET, self._policy],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.communicate(timeout=20)

    def synchronize(self, endpoints: Iterable[Mapping[str, Any]]) -> list[str]:
        """Make the records as these DNSEndpoints ask. What was changed comes back, in words."""
        entries = [
            {**entry, "resource": f"crd/{endpoint['metadata']['namespace']}/{endpoint['metadata']['name']}"}
            for endpoint in endpoints
            for entry in (endpoint.get("spec") or {}).get("endpoints") or ()
        ]
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(entries) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert answer["error"] == "", answer
        changes: list[str] = answer["changes"]
        return changes
