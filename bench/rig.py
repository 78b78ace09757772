"""One scenario's world: its own AWS, DNS, namespace and operator over the common API server."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from bench.floors import Rates, World
from bench.kube import Api, Watcher
from bench.seeding import ZONE_ID, One, Template, bare_world, clear, create_converged, make_namespace
from sandbox.cloud import Populate
from sandbox.controlplane import ControlPlane
from sandbox.local import Sandbox
from sandbox.operator import OperatorProcess
from sandbox.waiting import wait_until

RECORDS_PER_ZONE = 25_000
CHANGE = "ChangeResourceRecordSets"
AS_IN_THE_IMAGE = """\
import runpy, sys
sys.modules["kubernetes"] = None
runpy.run_module("mailegress", run_name="__main__", alter_sys=True)
"""
"""kopf imports a Kubernetes client that it finds, 19 MB; the image has none, a developer's environment does."""
WRITES = (CHANGE, "ModifyAddressAttribute", "ResetAddressAttribute")


@dataclass(frozen=True, slots=True)
class Pace:
    """How time runs. ``scale`` 1: AWS's own delays and quotas. Below 1 every delay of the world and of the operator's
    waits for it shrinks by it, the operator's rates grow by it, and the quotas, which do not scale, are off.
    """

    scale: float = 1.0

    @property
    def limits_on(self) -> bool:
        return self.scale >= 1

    @property
    def world(self) -> World:
        return World(30.0 * self.scale, 120.0 * self.scale)

    @property
    def rates(self) -> Rates:
        return Rates(100.0 / self.scale, 1500.0, 4.0 / self.scale, 8.0, 4.0 / self.scale)

    def settings(self) -> dict[str, str]:
        """The operator's: defaults, if time runs as it does."""
        if self.limits_on:
            return {}
        shorter = {
            "insync_poll_seconds": 2.0,
            # Less often than the rest: with quick polls the machine's speed would decide how many there are.
            "ptr_poll_seconds": 10.0,
            "ptr_ttl_seconds": 300.0,
            "retry_seconds": 5.0,
            "blocked_seconds": 60.0,
            "retry_max_seconds": 300.0,
        }
        faster = {
            "route53_rate": 4.0,
            "route53_changes_rate": 100.0,
            "ec2_write_rate": 4.0,
            "ec2_read_rate": 10.0,
        }
        return {k: f"{v * self.scale:g}" for k, v in shorter.items()} | {
            k: f"{v / self.scale:g}" for k, v in faster.items()
        }


@dataclass(slots=True)
class Usage:
    """The operator's process. ``cpu`` seconds so far; megabytes (10^6 bytes): ``rss`` now, ``peak`` since the first
    start, ``most`` in the newest window.
    """

    cpu: float = 0.0
    rss: float = 0.0
    peak: float = 0.0
    most: float = 0.0


class Rig:
    """A context manager. ``template``: the MailEgresses exist and are converged; without it there are none yet."""

    def __init__(
        self,
        plane: ControlPlane,
        namespace: str,
        ones: Sequence[One],
        pace: Pace,
        template: Template | None = None,
        say: Callable[[str], None] = lambda line: None,
        **settings: str,
    ) -> None:
        self.api = Api(plane.kubeconfig)
        self.namespace, self.ones, self.pace = namespace, ones, pace
        make_namespace(self.api, namespace)
        seeded: list[dict[str, Any]] = []
        populate: Populate = bare_world(ones)
        if template is not None:
            say(f"seeding {len(ones)} converged MailEgresses")
            seeded, populate = create_converged(self.api, namespace, ones, template)
        operator_settings = pace.settings() | {"namespaces": namespace, "log_level": "warning"} | settings
        self.sandbox = Sandbox(
            scale=pace.scale, operator=False, plane=plane, populate=populate, settings=operator_settings
        )
        self.operator: OperatorProcess | None = None
        self.usage = Usage()
        self.started_at = 0.0
        self._seeded = seeded
        self._sampling = threading.Event()
        self._sampler: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.sandbox.__enter__()
        self.aws = self.sandbox.cloud.aws
        self.aws.settings(records_per_zone=RECORDS_PER_ZONE, log_size=200_000)
        self.sandbox.cloud.dns("delegations")
        _, version = self.api.list_all(self.namespace)
        self.watcher = Watcher(self.api, self.namespace, version)
        self.watcher.take(self._seeded)
        self._seeded = []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sampling.set()
        if self._sampler is not None:
            self._sampler.join(10)
        self.watcher.stop()
        if self.operator is not None and kind is None:
            self.operator.stop(30.0)
        self.sandbox.__exit__(kind, error, trace)
        clear(self.api, self.namespace)

    # -- the operator

    def start_operator(self) -> None:
        """Start it; returns when it is ready. ``started_at`` is the moment before."""
        self.operator = self.sandbox.new_operator(self.namespace)
        self.operator.program = ("-c", AS_IN_THE_IMAGE)
        self.started_at = time.monotonic()
        self.operator.start()
        self._sampler = threading.Thread(target=self._sample, name="sampler", daemon=True)
        self._sampler.start()

    def metrics(self) -> dict[str, float]:
        """The operator's metrics by full name with labels."""
        assert self.operator is not None
        if not self.operator.running:
            raise RuntimeError(f"the operator ended; its log ends with:\n{self.operator.log_tail()}")
        status, text = self.operator.get("/metrics")
        if status != 200:
            return {}
        pairs = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def _sample(self) -> None:
        while not self._sampling.wait(2.0):
            try:
                self.measure()
            except RuntimeError:
                return

    def measure(self) -> Usage:
        """CPU and memory of the operator's process, as the kernel counts them."""
        found = self.metrics()
        if found:
            self.usage.cpu = found["process_cpu_seconds_total"]
            self.usage.rss = found["process_resident_memory_bytes"] / 1e6
            self.usage.peak = max(self.usage.peak, self.usage.rss)
            self.usage.most = max(self.usage.most, self.usage.rss)
        return self.usage

    # -- waiting

    def until(self, holds: Callable[[], object], timeout: float, what: str) -> None:
        wait_until(holds, timeout, what, self._scene, every=0.25)

    def _scene(self) -> str:
        not_ready = [(n, s.positive) for n, s in list(self.watcher.objects.items()) if not s.ready][:5]
        log = self.operator.log_tail(20) if self.operator is not None else ""
        return f"{self.watcher.ready} of {len(self.ones)} Ready; among the others {not_ready}\n{log}"

    def wait_ready(self, count: int, timeout: float) -> None:
        self.until(lambda: self.watcher.ready >= count, timeout, f"{count} to be Ready")

    # -- what the sandbox counted

    def calls(self) -> dict[str, int]:
        """Calls by operation since the last reset, whatever came of them."""
        found: Counter[str] = Counter()
        for key, count in self.aws.counts().items():
            found[key.split(":")[1]] += count
        return dict(found)

    def changes(self) -> list[dict[str, Any]]:
        """The change calls, oldest first."""
        return self.aws.log(operation=CHANGE)

    def aws_time(self) -> float:
        """What separates the sandbox's clock from the monotonic one, seconds."""
        return time.time() - time.monotonic()

    @contextmanager
    def window(self) -> Iterator[Window]:
        """Count what happens inside."""
        window = Window(self)
        yield window
        window.close()


class Window:
    """Calls, writes to the API server, CPU and time between two moments."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        rig.aws.reset_log()
        rig.usage.most = 0.0
        self._writes = rig.watcher.status_writes
        self._others = rig.watcher.other_writes
        self._cpu = rig.measure().cpu if rig.operator is not None else 0.0
        self._began = time.monotonic()
        self.calls: dict[str, int] = {}
        self.status_writes = self.other_writes = 0
        self.cpu = self.seconds = 0.0

    def close(self) -> None:
        self.seconds = time.monotonic() - self._began
        self.calls = self._rig.calls()
        self.cpu = self._rig.measure().cpu - self._cpu
        self.status_writes = self._rig.watcher.status_writes - self._writes
        self.other_writes = self._rig.watcher.other_writes - self._others

    @property
    def aws_writes(self) -> int:
        return sum(self.calls.get(name, 0) for name in WRITES)


def route53(calls: Mapping[str, int]) -> int:
    return sum(
        n for name, n in calls.items() if name.startswith(("List", "Change", "GetHosted", "GetChange"))
    )


def ec2(calls: Mapping[str, int]) -> int:
    return sum(n for name, n in calls.items() if name.startswith("Describe") or "AddressAttribute" in name)


__all__ = ["CHANGE", "WRITES", "ZONE_ID", "Pace", "Rig", "Usage", "Window", "ec2", "route53"]
