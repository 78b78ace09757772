"""What happens when a policy or the labels of a namespace change: the objects that it concerns are judged anew.

A change can concern every object of the cluster. So they are judged a few at a time, and only those whose grant changes
are woken. The rules read the policies as they are known now, so nothing is allowed meanwhile that was just revoked.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mailegress.api.text import clean_text
from mailegress.engine.controller import Controller
from mailegress.engine.queue import Priority
from mailegress.kube.reflector import Sink
from mailegress.reconcile.policy_index import PolicyIndex, Source
from mailegress.reconcile.ports import KubeError
from mailegress.telemetry.policy_counts import PolicyCounts

_log = logging.getLogger(__name__)

_AT_ONCE = 50
"""Objects judged in one turn of the event loop: 3 ms."""
_NAMESPACES_AT_ONCE = 10
"""Namespaces compared with all policies in one turn of the event loop: 5 ms with 350 policies."""
_MESSAGE_LENGTH = 500
_PATIENCE = 10
"""Rounds after which the status of policies is written although not every object was judged."""


class Policies:
    """Takes in policies and namespaces, and judges the objects that a change concerns."""

    def __init__(self, controller: Controller, clock: Callable[[], float]) -> None:
        self._controller = controller
        self._index = controller.policies
        self._clock = clock
        self._todo: deque[str] = deque()
        self._waiting: set[str] = set()
        self._some = asyncio.Event()

    @property
    def policy_sink(self) -> Sink:
        """For the list and watch of MailEgressPolicies."""
        return _PolicySink(self, self._index, self._clock)

    @property
    def namespace_sink(self) -> Sink:
        """For the list and watch of namespaces."""
        return _NamespaceSink(self, self._index, self._clock)

    def changed(self, namespaces: set[str]) -> None:
        """Judge the objects of these namespaces anew, soon."""
        for uid in self._index.objects(namespaces):
            if uid not in self._waiting:
                self._waiting.add(uid)
                self._todo.append(uid)
        if self._todo:
            self._some.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._some.wait()
            for _ in range(min(_AT_ONCE, len(self._todo))):
                self._judge(self._todo.popleft())
            if not self._todo:
                self._some.clear()
            await asyncio.sleep(0)

    def _judge(self, uid: str) -> None:
        self._waiting.discard(uid)
        if not self._index.rejudge(uid):
            return
        for key in self._controller.regrant([uid]):
            # What a user edits goes before what a policy changes for many.
            self._controller.queue.add(key, Priority.RESYNC)


class _Heard:
    """The part that both sinks share."""

    source: Source

    def __init__(self, policies: Policies, index: PolicyIndex, clock: Callable[[], float]) -> None:
        self._policies = policies
        self._index = index
        self._clock = clock

    def heard(self, *, listed: bool = False) -> None:
        self._index.heard(self.source, self._clock(), listed=listed)

    def unheard(self, fault: str, *, missing: bool = False) -> None:
        self._index.unheard(self.source, clean_text(fault, _MESSAGE_LENGTH))


class _PolicySink(_Heard):
    source = Source.POLICIES

    def put(self, body: Mapping[str, Any]) -> None:
        self._policies.changed(self._index.put_policy(body))

    def delete(self, name: str) -> None:
        self._policies.changed(self._index.drop_policy(name))

    def known(self) -> set[str]:
        return {policy.name for policy in self._index.policies()}


class _NamespaceSink(_Heard):
    source = Source.NAMESPACES

    def put(self, body: Mapping[str, Any]) -> None:
        meta = body["metadata"]
        labels = meta.get("labels")
        found = labels if isinstance(labels, Mapping) else {}
        kept = {key: value for key, value in found.items() if isinstance(value, str)}
        self._policies.changed(self._index.put_namespace(str(meta["name"]), kept))

    def delete(self, name: str) -> None:
        self._policies.changed(self._index.drop_namespace(name))

    def known(self) -> set[str]:
        return set(self._index.namespaces())


class PolicyStatus:
    """Writes how many objects each policy allows and refuses into its status, for ``kubectl get megp -o wide``.

    One round in ``interval`` seconds, and in it a write for each policy whose numbers changed, whatever the number of
    objects. Compared is what this process wrote last, so two operators that serve different namespaces do not write
    against each other.
    """

    def __init__(
        self,
        index: PolicyIndex,
        counts: PolicyCounts,
        write: Callable[[str, Mapping[str, Any]], Awaitable[None]],
        active: Callable[[], bool],
        *,
        sleep: Callable[[float], Awaitable[None]],
        interval: float = 30.0,
        spacing: float = 0.1,
    ) -> None:
        self._index = index
        self._counts = counts
        self._write = write
        self._active = active
        self._sleep = sleep
        self._interval = interval
        self._spacing = spacing
        self._written: dict[str, Mapping[str, Any]] = {}
        self._rounds = 0

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._sleep(self._interval)
            if not self._active():
                continue
            self._rounds += 1
            # While objects are still being judged for the first time, the numbers are too small. One whose spec is
            # invalid is never judged.
            if len(self._counts) >= self._index.alive() or self._rounds > _PATIENCE:
                await self.once()

    async def once(self) -> None:
        """Write what changed."""
        wanted = await self._statuses()
        self._written = {name: known for name, known in self._written.items() if name in wanted}
        for name, status in wanted.items():
            if self._written.get(name, self._index.stored(name)) == status:
                self._written[name] = status
                continue
            try:
                await self._write(name, {**status, "problem": status.get("problem")})
            except KubeError as error:
                _log.warning("the status of a policy is not written policy=%s error=%s", name, error)
                return
            self._written[name] = status
            await self._sleep(self._spacing)

    async def _statuses(self) -> dict[str, dict[str, Any]]:
        """The status of each policy, as it should be. Namespaces are counted a few in one turn of the event loop."""
        found: dict[str, dict[str, Any]] = {
            policy.name: {
                "mode": self._index.mode.value,
                "namespaces": 0,
                "allowed": self._counts.allowed(policy.name),
                "refused": 0,
                **({"problem": policy.problem} if policy.problem else {}),
            }
            for policy in self._index.policies()
        }
        for number, namespace in enumerate(tuple(self._index.namespaces()), start=1):
            for policy in self._index.selected(namespace).policies:
                # One that came meanwhile is counted in the next round.
                if (status := found.get(policy.name)) is not None:
                    status["namespaces"] += 1
                    status["refused"] += self._counts.refused_in(namespace)
            if number % _NAMESPACES_AT_ONCE == 0:
                await asyncio.sleep(0)
        return found
