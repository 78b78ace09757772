"""Two replicas of the operator, the Lease between them, and what befalls them."""

from __future__ import annotations

import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import urllib3
from kubernetes import client as k8s

from sandbox.cloud import OPERATOR_USER
from sandbox.controlplane import ControlPlane
from sandbox.local import NAMESPACE, Sandbox
from sandbox.operator import OperatorProcess
from sandbox.waiting import wait_until
from tests.support.process.figures import Failover, Figures
from tests.support.process.witness import Witness
from tests.support.stories.story import Story

T = TypeVar("T")

LEASE = "mailegress"
SCALE = 1 / 60
"""INSYNC after half a second, a PTR after one or two."""
NAMES = tuple(f"m{number}-{letter}.example.com" for number in range(5) for letter in "ab")
TAKEOVER = 60.0
"""Seconds within which a standby must have the Lease of a dead leader, on a machine of whatever load."""


def patiently(call: Callable[[], T], what: str, *fine: int) -> T | None:
    """A user's command, repeated while the API server is away; ``fine``: refusals that mean that it is done."""
    results: list[T | None] = []

    def done() -> bool:
        try:
            results.append(call())
        except k8s.ApiException as error:
            if error.status in fine:
                results.append(None)
            elif error.status and error.status not in (429, *range(500, 600)):
                raise
        except (urllib3.exceptions.HTTPError, OSError):
            return False
        return bool(results)

    wait_until(done, 60.0, what)
    return results[0]


class Replicas:
    """``left`` and ``right``; a replica that ends by itself is started again, as Kubernetes does."""

    def __init__(self, story: Story, witness: Witness, figures: Figures) -> None:
        self.story, self.witness, self.figures = story, witness, figures
        self.all: dict[str, OperatorProcess] = {}
        self.keys: dict[str, str] = {}
        self._coordination: Any = k8s.CoordinationV1Api(story.api)

    def start(self) -> None:
        """Both, one after the other, until one leads."""
        for number, name in enumerate(("left", "right")):
            process = self.story.sandbox.new_operator(name, leader_elect="on")
            self.keys[name] = f"AKIASANDBOXREPLICA0{number}"
            account = (
                process.environ["AWS_ACCESS_KEY_ID"] and self.story.cloud.aws.settings()["default_account"]
            )
            self.story.aws.run(
                "register_key", access_key=self.keys[name], account=account, user=OPERATOR_USER
            )
            process.environ["AWS_ACCESS_KEY_ID"] = self.keys[name]
            self.all[name] = process
            self.story.operators.append(process)
            process.start()
        self.story.until(lambda: self.holder() in self.all, "a leader")

    def holder(self) -> str:
        """Who the Lease names; empty if nobody."""
        lease = patiently(
            lambda: self._coordination.read_namespaced_lease(LEASE, NAMESPACE), "the lease", 404
        )
        return (lease.spec.holder_identity or "") if lease is not None else ""

    def renewed(self) -> datetime:
        """When the holder of the Lease renewed it last, by its own clock."""
        lease = patiently(lambda: self._coordination.read_namespaced_lease(LEASE, NAMESPACE), "the lease")
        assert lease is not None
        when: datetime = lease.spec.renew_time
        return when

    def other(self, name: str) -> str:
        return next(each for each in self.all if each != name)

    def leader(self) -> str:
        """The replica that holds the Lease and runs; waited for."""
        self.keep()
        self.story.until(lambda: self.holder() in self.all and self.all[self.holder()].running, "a leader")
        return self.holder()

    def keep(self) -> None:
        """Start again what ended by itself; that it ended with 0 is a violation."""
        for name, process in self.all.items():
            if not process.running:
                if process.wait_exit(1) == 0:
                    self.witness.violated("exit", f"{name} ended with 0 although nobody asked it to")
                self.figures.exits += 1
                self.revive(name)

    def revive(self, name: str) -> None:
        """A new process in the place of one that ended."""
        self.witness.retired -= {self.keys[name]}
        self.all[name].start()

    def taken_over(self, name: str, after: str, began: float) -> float:
        """Until another replica has the Lease; seconds since ``began`` (monotonic)."""
        wait_until(
            lambda: self.holder() == self.other(name),
            TAKEOVER,
            f"{self.other(name)} to lead after {after} of {name}",
            lambda: f"the lease names {self.holder()!r}\n{self.all[self.other(name)].log_tail()}",
            every=0.05,
        )
        return time.monotonic() - began

    def told(self, after: str, seconds: float) -> float:
        """Keep the figure."""
        self.figures.failovers.append(Failover(after, seconds))
        return seconds

    # ------------------------------------------------------------ what befalls them

    def kill(self, name: str) -> None:
        """SIGKILL, and a new process at once."""
        self.all[name].kill()
        self.figures.kills += 1
        self.revive(name)

    def kill_and_leave(self, name: str) -> float:
        """SIGKILL; the other one must wait until the Lease has run out. Seconds."""
        began = time.monotonic()
        self.all[name].kill()
        self.figures.kills += 1
        return self.told("kill", self.taken_over(name, "kill", began))

    def terminate(self, name: str) -> float:
        """SIGTERM, as in a rollout. Seconds until the other one leads."""
        began = time.monotonic()
        self.all[name].send(signal.SIGTERM)
        self.figures.terminations += 1
        seconds = self.taken_over(name, "terminate", began)
        code = self.all[name].wait_exit(10.0)
        last_life = self.all[name].log_tail(500).rpartition("started version=")[2]
        if code and "started afresh" in last_life:
            # It had just lost the Lease by itself: its API server was away for too long.
            self.figures.exits += 1
            return self.told("loss", seconds)
        if code:
            self.witness.violated("exit", f"{name} ended with {code} when it was told to go")
        return self.told("terminate", seconds)

    def freeze(self, name: str) -> float:
        """SIGSTOP until the other one leads. Seconds. From now on a write of the stopped one is a violation."""
        began = time.monotonic()
        self.all[name].send(signal.SIGSTOP)
        self.figures.stops += 1
        seconds = self.told("stop", self.taken_over(name, "stop", began))
        self.witness.retired |= {self.keys[name]}
        return seconds

    def thaw(self, name: str) -> None:
        """SIGCONT: it must see that it was replaced, and end with an error."""
        self.all[name].send(signal.SIGCONT)
        if self.all[name].wait_exit(30.0) == 0:
            self.witness.violated("exit", f"{name} ended with 0 although it lost the lease")


@contextmanager
def replicas(plane: ControlPlane, figures: Figures) -> Iterator[Replicas]:
    """A world of their own; in the end the figures have what its witness saw."""
    witness = Witness(frozenset(NAMES))
    with Sandbox(
        scale=SCALE, operator=False, plane=plane, shipped_policies=True, populate=witness.populate
    ) as sandbox:
        story = Story(sandbox, f"process-{uuid.uuid4().hex[:8]}")
        pair = Replicas(story, witness, figures)
        try:
            yield pair
        finally:
            figures.writes += witness.writes
            figures.refused += witness.refused
            figures.redundant += witness.redundant
            figures.violations += witness.violations
            for process in pair.all.values():
                if process.running:
                    process.send(signal.SIGCONT)
            story.close()
