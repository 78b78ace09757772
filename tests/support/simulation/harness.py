"""Runs whole operators in one process on virtual time: crashes, restarts, patience with a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from kopf._cogs.aiokits.aiotasks import Scheduler

from mailegress.cli.dependencies import Dependencies
from mailegress.cli.lifecycle import Stop
from mailegress.cli.loading import load_settings
from mailegress.cli.run import Operator
from mailegress.cli.settings import Settings
from mailegress.kube.transport import Transport
from mailegress.telemetry.metrics import Metrics
from sandbox.aws.model.eip import Eip
from tests.support.simulation.apiserver import ApiServer
from tests.support.simulation.apisession import SERVER, now_from
from tests.support.simulation.apiwire import ApiError, Object
from tests.support.simulation.checks import Checks
from tests.support.simulation.faults import FaultSchedule, Plan
from tests.support.simulation.trace import LogToTrace, Trace
from tests.support.simulation.world import REGION, START, SimAws, SimDns, World
from tests.support.virtual_loop import TURNS, Deadlock, Runaway, VirtualLoop

NAMESPACE = "mail"
RESTART = 1.0
"""Virtual seconds from the end of a process to the start of the next one."""
PATIENCE = 4 * 3600.0
"""Virtual seconds that a story waits for anything."""

_owner: contextvars.ContextVar[Process | None] = contextvars.ContextVar("owner", default=None)


def owner_of(handle: asyncio.Handle | None) -> Process | None:
    """To which process a callback of the loop belongs; None = the running one."""
    # The context of a handle is not public, and nothing else tells whose it is.
    return _owner.get() if handle is None else handle._context.get(_owner)  # type: ignore[attr-defined,no-any-return]


class Violation(AssertionError):
    """An invariant was broken; the text holds the time line."""


@lru_cache(maxsize=8)
def sim_settings(**flags: str) -> Settings:
    """The operator's defaults, and a few workers instead of many."""
    base = {
        "regions": REGION,
        "dns_roots": "127.0.53.1",
        "dns_extra_ranges": "127.0.53.0/24",
        "dns_resolvers": "127.0.53.101,127.0.53.102",
        "workers": "4",
        "http_address": "127.0.0.1:0",
    }
    return load_settings({**base, **flags}, {})


class _NoProbes:
    async def start(self) -> None:
        """Nobody asks."""

    async def stop(self) -> None:
        """Nobody asked."""


class Process:
    """One operator process: everything it starts belongs to it and dies with it."""

    def __init__(self, sim: Sim, number: int, settings: Settings) -> None:
        self.sim, self.number, self.started = sim, number, sim.clock()
        self.dead = self.listed = False
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.schedulers: list[Scheduler] = []
        self.stop = Stop()
        self.metrics: Metrics | None = None
        dependencies = Dependencies(
            aws=lambda *_: contextlib.nullcontext(SimAws(sim.world, self.gate, sim.schedule.take)),
            query=lambda _: SimDns(sim.world, self.gate),
            probes=self._probes,
            wall=sim.wall,
            rng=random.Random(sim.seed * 1000 + number),
            guard=sim.schedule.guard(self.crash, self.gate),
            identity=f"operator-{number}",
        )
        transport = Transport(sim.api.session(self.gate, sim.schedule.take), SERVER)
        context = contextvars.copy_context()
        context.run(_owner.set, self)
        self.main = asyncio.get_running_loop().create_task(
            self._run(settings, transport, dependencies), name=f"operator-{number}", context=context
        )

    def _probes(self, settings: Settings, metrics: Metrics, *_: object) -> _NoProbes:
        self.metrics = metrics
        counted = metrics.reconcile

        def reconciled(outcome: str, seconds: float) -> None:
            counted(outcome, seconds)
            if not self.dead and not self.sim.checks.pauses(self.number):
                # Virtual time would hardly move any more: the run ends without this process.
                self.dead = True
                for task in list(self.tasks):
                    task.cancel()

        metrics.reconcile = reconciled  # type: ignore[method-assign]
        return _NoProbes()

    async def _run(self, settings: Settings, transport: Transport, dependencies: Dependencies) -> None:
        try:
            code = await Operator(settings, transport, dependencies).run(self.stop)
            self.sim.trace.note("process", f"operator-{self.number} ended with {code}")
        except Exception as error:
            self.sim.trace.note("process", f"operator-{self.number} failed: {error!r}")
        if not self.dead:
            self.dead = True
            self.sim.ended(self)

    def gate(self) -> None:
        """Nothing that a dead process still does has an effect."""
        if self.dead:
            raise asyncio.CancelledError

    def crash(self) -> None:
        """SIGKILL."""
        if not self.dead:
            self.dead = True
            self.sim.trace.note("process", f"operator-{self.number} crashed")
            self.sim.crashed(self)

    async def bury(self) -> None:
        """Cancel what is left until nothing is."""
        for _ in range(200):
            left = [t for t in self.tasks if not t.done()]
            if not left:
                self._drop_unstarted()
                return
            for task in left:
                task.cancel()
            await asyncio.sleep(0.001)
        raise AssertionError(f"tasks of a dead operator would not end: {left}")

    def _drop_unstarted(self) -> None:
        """What kopf was about to start when the process died never runs. Python warns of it unless it is closed."""
        for scheduler in self.schedulers:
            waiting = scheduler._pending_coros
            while not waiting.empty():
                waiting.get_nowait().coro.close()


class Sim:
    """One story: an API server, a world, and one operator (or more)."""

    def __init__(
        self,
        seed: int = 1,
        plans: Sequence[Plan] = (),
        *,
        impatient: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.seed = seed
        self.clock = loop.time
        self.trace = Trace(self.clock)
        self.wall = now_from(START, self.clock)
        self.world = World(self.clock, self.trace.note, seed)
        self.api = ApiServer(self.clock, self.wall, random.Random(seed), self.trace.note)
        self.schedule = FaultSchedule(self.clock, self.trace.note, list(plans))
        self.checks = Checks(self.world, self.api, self.trace.note)
        self.impatient = impatient
        """A crashed operator stays down until the user's next act, and the user does not wait meanwhile."""
        self.settings = sim_settings(**(settings or {}))
        self.processes: list[Process] = []
        self.checks.alone, self.checks.caller = lambda: len(self.processes) < 2, _owner.get
        self.api.listed = self._listed
        self.crashes = 0
        self.exits = 0
        self.closing = False
        self._started = 0
        self._restarting = 0
        loop.set_exception_handler(self._unhandled)
        self._down: list[Process] = []
        self._base = contextvars.copy_context()
        self._own: list[asyncio.Task[Any]] = []
        loop.set_task_factory(_owned_task)

    # ------------------------------------------------------------ processes

    def start(self) -> Process:
        """One more operator."""
        self._started += 1
        process = Process(self, self._started, self.settings)
        self.processes.append(process)
        return process

    def crashed(self, process: Process) -> None:
        self.crashes += 1
        self.checks.restarted()
        self._later(process)

    def _listed(self) -> None:
        process = owner_of(None)
        if process is not None and not process.listed:
            process.listed = True
            self.checks.listed()

    def ended(self, process: Process) -> None:
        self.exits += 1
        self._later(process)

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What a killed process leaves behind is nobody's concern; all else is a bug."""
        if not self.crashes and not self.closing:
            self.checks.violated("log", f"{context.get('message')}: {context.get('exception')!r}")

    def beside(self, task: Coroutine[Any, Any, None]) -> None:
        """Run what is not the operator's until the end of the story."""
        self._own.append(asyncio.get_running_loop().create_task(task, context=self._base.copy()))

    def _later(self, process: Process) -> None:
        self.processes.remove(process)
        self._restarting += not self.impatient
        loop = asyncio.get_running_loop()
        self._own.append(loop.create_task(self._succeed(process), context=self._base.copy()))

    async def _succeed(self, process: Process) -> None:
        await process.bury()
        if self.impatient:
            self._down.append(process)
            return
        await asyncio.sleep(RESTART)
        self._restarting -= 1
        self.start()

    @property
    def operators(self) -> int:
        """Processes that run or will start by themselves."""
        return len(self.processes) + self._restarting

    async def restart(self) -> None:
        """SIGKILL for every operator, and new ones."""
        for process in list(self.processes):
            process.crash()
        await asyncio.sleep(RESTART + 1)

    async def retire_one(self) -> None:
        """Retire one of two operators when both run."""
        await self.until(lambda: len(self.processes) == self.operators, "every operator runs")
        await self.retire(self.processes[0])

    async def retire(self, process: Process) -> None:
        """An operator is killed and has no successor."""
        self.crashes += 1
        self.processes.remove(process)
        process.dead = True
        self.trace.note("process", f"operator-{process.number} retired")
        await process.bury()

    def _acted(self) -> None:
        """The user did something: what was down comes back."""
        for _ in range(len(self._down)):
            self._down.pop()
            self.start()

    async def close(self) -> None:
        self.closing = True
        for process in list(self.processes):
            process.dead = True
            await process.bury()
        for task in self._own:
            task.cancel()
        await asyncio.gather(*self._own, return_exceptions=True)

    # ------------------------------------------------------------ the user

    def meg(self, name: str, hostname: str, eips: Sequence[Eip | Mapping[str, Any]], **spec: Any) -> None:
        """Create a MailEgress; EIPs by allocation ID, or selectors as in a manifest."""
        body = {"hostname": hostname, "elasticIPs": _selectors(eips), **spec}
        self.api.create(NAMESPACE, name, body)
        self._acted()

    def edit(self, name: str, eips: Sequence[Eip | Mapping[str, Any]] | None = None, **fields: Any) -> None:
        if eips is not None:
            fields["elasticIPs"] = _selectors(eips)
        self.api.edit(NAMESPACE, name, **fields)
        self._acted()

    def delete(self, name: str) -> None:
        self.api.delete(NAMESPACE, name)
        self._acted()

    def find(self, name: str) -> Object | None:
        return self.api.objects.get((NAMESPACE, name))

    def on_status(self, heard: Callable[[Object], object]) -> None:
        """Call ``heard`` with each object whose status is written, from now on."""
        checked = self.api.on_status

        def both(old: Object, new: Object) -> None:
            heard(new)
            checked(old, new)

        self.api.on_status = both

    def condition(self, name: str, kind: str = "Ready") -> tuple[str, str]:
        """(status, reason) for the present generation; empty if there is none for it."""
        found = self.find(name) or {}
        generation = found.get("metadata", {}).get("generation")
        for c in (found.get("status") or {}).get("conditions", []):
            if c["type"] == kind and c.get("observedGeneration") == generation:
                return c["status"], c["reason"]
        return "", ""

    def restore(self, saved: Mapping[tuple[str, str], Object], bump: int) -> None:
        """The cluster's state goes back in time, the world's does not."""
        bodies = (*self.api.ever.values(), *saved.values())
        touched = {o["spec"]["hostname"] for o in bodies} | {e.public_ip for e in self.world.all_eips()}
        self.world.outside("an old backup of the cluster is restored", *sorted(touched))
        self.api.restore(saved, bump)

    # ------------------------------------------------------------ waiting

    async def until(
        self, holds: Callable[[], object], what: str, patience: float = PATIENCE, invariant: str = "E1"
    ) -> None:
        """Until something holds. An impatient user goes on when the operator is down."""
        deadline = self.clock() + patience
        while not holds():
            if self._down:
                return
            if self.clock() > deadline:
                raise Violation(
                    f"{invariant} violated at {self.clock():.3f}: after {patience:g} virtual seconds still not: {what}"
                )
            await asyncio.sleep(1.0)

    async def ready(self, *names: str) -> None:
        for name in names:
            await self.until(lambda n=name: self.condition(n)[0] == "True", f"{name} Ready")  # type: ignore[misc]

    async def reason(self, name: str, reason: str, kind: str = "Ready") -> None:
        """Until a condition has a reason; an impatient user does not wait to see it."""
        if self.impatient and self.crashes:
            return
        await self.until(lambda: self.condition(name, kind)[1] == reason, f"{name} {kind} {reason}")

    async def gone(self, *names: str) -> None:
        for name in names:
            await self.until(lambda n=name: self.find(n) is None, f"{name} gone")  # type: ignore[misc]

    async def sleep(self, seconds: float) -> None:
        if not self._down:
            await asyncio.sleep(seconds)

    async def drain(self, still: float = 1000.0, patience: float = 6 * 3600.0) -> None:
        """Until nobody wrote anything for ``still`` seconds and nothing is being deleted."""
        self.impatient = False
        self._acted()
        deadline = self.clock() + patience
        seen, since = self.checks.writes(), self.clock()
        while True:
            await asyncio.sleep(20.0)
            if (now := self.checks.writes()) != seen or self.schedule.ailing:
                seen, since = now, self.clock()
            deleting = any("deletionTimestamp" in o["metadata"] for o in self.api.objects.values())
            if self.clock() - since >= still and not deleting:
                return
            if self.clock() > deadline:
                what = "E1" if deleting else "E3"
                raise Violation(
                    f"{what} violated at {self.clock():.3f}: no rest within {patience:g} virtual seconds"
                )

    async def stay_quiet(self, seconds: float) -> None:
        """E1 and E3: nothing is written any more."""
        before = self.checks.writes()
        versions = {key: o["metadata"]["resourceVersion"] for key, o in self.api.objects.items()}
        await asyncio.sleep(seconds)
        if self.checks.writes() != before:
            self.checks.violated(
                "E3", f"writes in {seconds:g} quiet seconds: {before} -> {self.checks.writes()}"
            )
        after = {key: o["metadata"]["resourceVersion"] for key, o in self.api.objects.items()}
        if versions != after:
            self.checks.violated("E3", "resourceVersions move although nothing happens")


def _selectors(eips: Sequence[Eip | Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"allocationID": e.allocation_id} if isinstance(e, Eip) else dict(e) for e in eips]


def _owned_task(loop: asyncio.AbstractEventLoop, coro: Any, **more: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **more)
    context = more.get("context")
    owner = context.get(_owner) if context is not None else _owner.get()
    if owner is not None:
        if getattr(coro, "cr_code", None) is Scheduler._task_spawner.__code__:
            owner.schedulers.append(coro.cr_frame.f_locals["self"])
        owner.tasks[task] = None
        task.add_done_callback(lambda t: owner.tasks.pop(t, None))
    return task


class Errors(logging.Handler):
    """ERROR lines of the operator: a pass that raised, a background task that crashed."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        owner = _owner.get()
        if owner is not None and owner.dead:
            return
        if "started afresh" in record.getMessage():
            # An exit is a normal way out of a trouble with the API server; stories without one allow none.
            return
        self.seen.append(record.getMessage())


@contextlib.contextmanager
def logging_of(trace: Trace | None) -> Iterator[Errors]:
    logger = logging.getLogger("mailegress")
    errors = Errors()
    handlers: list[logging.Handler] = [errors]
    if trace is not None:
        handlers.append(LogToTrace(trace))
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO if trace is not None else logging.ERROR)
    logger.propagate = False
    # kopf logs a success for every event of every object, and an error for each failure that the story asks for.
    for name in ("kopf.objects", "kopf.activities", "aiohttp.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
    kopf = logging.getLogger("kopf")
    kopf_level = kopf.level
    kopf.setLevel(logging.CRITICAL)
    for handler in handlers:
        logger.addHandler(handler)
    try:
        yield errors
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate
        kopf.setLevel(kopf_level)


Story = Callable[[Sim], Awaitable[Any]]


def simulate(
    story: Story, *, verbose: bool = False, longest: float = 3 * 86400.0, turns: int = TURNS, **options: Any
) -> Sim:
    """Run a story in a world of its own; the simulation comes back for inspection.

    Raises :class:`Violation` with the time line if an invariant was broken on the way.
    """
    sims: list[Sim] = []

    async def run() -> None:
        sim = Sim(**options)
        sims.append(sim)
        with logging_of(sim.trace if verbose else None) as errors:
            try:
                await story(sim)
            except ApiError as error:
                raise Violation(f"the story itself was refused: {error}") from error
            finally:
                for text in errors.seen:
                    sim.checks.violated("log", text)
                await sim.close()

    loop = VirtualLoop(longest=longest, turns=turns)
    # A collection in the midst of a run costs as much as the run; between runs there is little to collect.
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(run())
    except (Violation, Runaway, Deadlock) as error:
        broken = sims[0].checks.violations if sims else []
        said = str(error) if isinstance(error, Violation) else f"E1 violated: {error}"
        raise Violation("\n".join([said, *broken, sims[0].trace.tail() if sims else ""])) from None
    finally:
        gc.enable()
    sim = sims[0]
    if sim.checks.violations:
        raise Violation("\n".join([*sim.checks.violations, sim.trace.tail()]))
    return sim
