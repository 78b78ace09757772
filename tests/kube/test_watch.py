"""What the adapter relies on in kopf, and what it promises to the engine."""

from __future__ import annotations

import asyncio
import getpass
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import kopf
import pytest
from kopf._cogs.aiokits import aiotasks

from mailegress.api.names import FINALIZER
from mailegress.kube.client import KubeClient
from mailegress.kube.transport import LastContact, Transport
from mailegress.kube.watch import WatchEnded, WatchSettings, watch
from tests.support.http_api import HttpApi
from tests.support.simulation.apiwire import Fault

SHORT = WatchSettings(
    server_timeout=20,
    client_timeout=25.0,
    connect_timeout=5.0,
    inactivity_timeout=5.0,
    reconnect_backoff=0.01,
    request_timeout=5.0,
    error_backoffs=(0.01, 0.01),
    idle_timeout=0.05,
    exit_timeout=0.5,
    chunk_size=2,
    login_backoff_most=0.05,
)


class Seen:
    """What was delivered."""

    def __init__(self, api: HttpApi) -> None:
        self.api = api
        self.events: list[tuple[str | None, str, str]] = []
        self.poison = ""

    def __call__(self, kind: str | None, body: Mapping[str, Any]) -> None:
        name = body["metadata"]["name"]
        self.events.append((kind, name, body["spec"]["hostname"].partition(".")[0]))
        self.api.poke()
        if name == self.poison:
            raise RuntimeError("a bug in the engine")

    async def until(self, *wanted: tuple[str | None, str, str]) -> None:
        await self.api.until(lambda: all(event in self.events for event in wanted))


@asynccontextmanager
async def watching(
    transport: Transport, seen: Seen, settings: WatchSettings = SHORT, **options: Any
) -> AsyncIterator[asyncio.Task[None]]:
    stop = asyncio.Event()
    task = asyncio.create_task(watch(transport, seen, stop, settings=settings, **options))
    task.add_done_callback(lambda _: seen.api.poke())
    try:
        await seen.api.until(lambda: seen.api.watches > 0 or task.done())
        yield task
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await asyncio.wait([task])
        if not task.cancelled() and task.exception() and not isinstance(task.exception(), WatchEnded):
            raise task.exception() or AssertionError


@pytest.fixture
def seen(api: HttpApi) -> Seen:
    return Seen(api)


async def test_a_user_without_a_name_is_enough(
    api: HttpApi, transport: Transport, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the image: a number that no /etc/passwd knows, and no variable that names a user."""

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 65532")

    monkeypatch.setattr(getpass, "getuser", nameless)
    api.put("one")
    async with watching(transport, seen):
        await seen.until((None, "one", "mta"))


async def test_nothing_is_ever_written_and_our_finalizer_survives(
    api: HttpApi, transport: Transport, seen: Seen
) -> None:
    ours = api.put("ours")
    ours["metadata"]["finalizers"] = [FINALIZER, "somebody.else/finalizer"]
    dying = api.put("dying")
    dying["metadata"] |= {"finalizers": [FINALIZER], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    for start, before in (("first", "mta"), ("second", "first")):
        seen.events.clear()
        async with watching(transport, seen):
            await seen.until((None, "ours", before), (None, "dying", "mta"))
            api.put("ours", note=start)
            api.put(f"new-{start}")
            await seen.until(("MODIFIED", "ours", start), ("ADDED", f"new-{start}", "mta"))
    assert api.writes == []
    assert api.object("ours")["metadata"]["finalizers"] == [FINALIZER, "somebody.else/finalizer"]
    assert "annotations" not in api.object("ours")["metadata"]


async def test_the_initial_list_is_paged_and_complete(api: HttpApi, transport: Transport, seen: Seen) -> None:
    for number in range(5):
        api.put(f"n{number}")
    async with watching(transport, seen):
        await seen.until(*[(None, f"n{number}", "mta") for number in range(5)])
    assert api.count("GET", "continue=") == 2
    asked = [path for _, path in api.requests]
    assert not any(
        "customresourcedefinitions" in path or path.startswith("/api/v1/namespaces") for path in asked
    )


async def test_a_deletion_is_delivered(api: HttpApi, transport: Transport, seen: Seen) -> None:
    api.put("a")
    async with watching(transport, seen):
        await seen.until((None, "a", "mta"))
        api.server.delete("mail", "a")
        await seen.until(("DELETED", "a", "mta"))


async def test_namespaces_are_watched_one_by_one_without_asking_for_them(
    api: HttpApi, transport: Transport, seen: Seen
) -> None:
    api.put("mine", namespace="one")
    api.put("mine-too", namespace="two")
    api.put("foreign", namespace="three")
    async with watching(transport, seen, namespaces=("one", "two")):
        await seen.until((None, "mine", "mta"), (None, "mine-too", "mta"))
    assert "foreign" not in [name for _, name, _ in seen.events]


@pytest.mark.parametrize("code", [500, 429])
async def test_a_fatal_error_in_the_watch_ends_it_instead_of_leaving_it_deaf(
    api: HttpApi, transport: Transport, seen: Seen, code: int
) -> None:
    async with watching(transport, seen) as task:
        api.server.watch_error(code)
        with pytest.raises(WatchEnded, match="WatchingError"):
            async with asyncio.timeout(5):
                await task


async def test_lists_that_stay_forbidden_end_it(api: HttpApi, transport: Transport, seen: Seen) -> None:
    api.server.faults.append(Fault("GET", "/mailegresses?", 403, times=10_000))
    async with watching(transport, seen) as task:
        with pytest.raises(WatchEnded, match="injected"):
            async with asyncio.timeout(5):
                await task


async def test_a_silent_stream_is_left_and_nothing_is_missed(
    api: HttpApi, transport: Transport, seen: Seen
) -> None:
    settings = WatchSettings(**{**_fields(SHORT), "inactivity_timeout": 0.2})
    async with watching(transport, seen, settings):
        # The connection stays open, but what happens now is not sent on it.
        api.server.deaf = True
        api.put("a")
        api.server.deaf = False
        await seen.until(("ADDED", "a", "mta"))
        assert api.watches >= 2
    assert api.count("GET", "limit=") == 1


async def test_a_version_too_old_means_a_new_list(api: HttpApi, transport: Transport, seen: Seen) -> None:
    api.put("a")
    async with watching(transport, seen):
        await seen.until((None, "a", "mta"))
        api.server.watch_error(410)
        await api.until(lambda: seen.events.count((None, "a", "mta")) == 2)
    assert api.writes == []


async def test_the_watch_begins_where_a_list_of_the_caller_ended(
    api: HttpApi, transport: Transport, seen: Seen
) -> None:
    """Nothing is read twice, and no change between the list and the watch is missed."""
    api.put("a")
    api.put("gone")
    client = KubeClient(transport, clock=time.monotonic)
    assert [len(page) async for page in client.list_all()] == [2]
    before = api.count("GET", "limit=")
    api.server.delete("mail", "gone")
    api.put("b")
    async with watching(transport, seen, listed=client.listed):
        await seen.until(("ADDED", "b", "mta"))
    assert seen.events == [("DELETED", "gone", "mta"), ("ADDED", "b", "mta")]
    assert api.count("GET", "limit=") == before


async def test_a_list_of_the_caller_that_is_too_old_is_read_again(
    api: HttpApi, transport: Transport, seen: Seen
) -> None:
    api.put("a")
    client = KubeClient(transport, clock=time.monotonic)
    assert [len(page) async for page in client.list_all()] == [1]
    api.put("a", note="later")
    api.server.expire()
    before = api.count("GET", "limit=")
    async with watching(transport, seen, listed=client.listed):
        await api.until(lambda: api.watches > 1)
        assert api.count("GET", "limit=") == before + 1
        assert seen.events == [(None, "a", "later")]


async def test_a_broken_connection_is_resumed_without_a_new_list(
    api: HttpApi, transport: Transport, seen: Seen
) -> None:
    async with watching(transport, seen):
        api.put("a")
        await seen.until(("ADDED", "a", "mta"))
        api.server.break_watches()
        await api.until(lambda: api.watches == 2 and len(api.server.watches) == 1)
        api.put("a", note="later")
        await seen.until(("MODIFIED", "a", "later"))
    assert api.count("GET", "limit=") == 1
    assert seen.events.count(("ADDED", "a", "mta")) == 1


async def test_one_failing_handler_harms_no_other(
    api: HttpApi, transport: Transport, seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    seen.poison = "poisoned"
    api.put("poisoned")
    api.put("sane")
    async with watching(transport, seen) as task:
        await seen.until((None, "poisoned", "mta"), (None, "sane", "mta"))
        api.put("healthy")
        await seen.until(("ADDED", "healthy", "mta"))
        api.put("poisoned", note="again")
        await seen.until(("MODIFIED", "poisoned", "again"))
        assert not task.done()
    assert api.writes == []
    assert "a bug in the engine" in caplog.text


async def test_stopping_is_quick_and_leaves_our_own_tasks_alone(
    api: HttpApi, transport: Transport, seen: Seen
) -> None:
    stop = asyncio.Event()
    started = asyncio.Event()
    settings = WatchSettings(
        **{**_fields(SHORT), "server_timeout": 600, "client_timeout": 600.0, "inactivity_timeout": 600.0}
    )
    running = asyncio.create_task(watch(transport, seen, stop, settings=settings, on_started=started.set))
    await api.until(lambda: api.watches > 0)
    assert started.is_set()
    ours = asyncio.create_task(asyncio.Event().wait())
    stop.set()
    # The stream would last ten minutes.
    async with asyncio.timeout(20):
        await running
    assert not ours.done()
    ours.cancel()


async def test_kopf_runs_no_worker_for_a_listed_object(
    api: HttpApi, transport: Transport, seen: Seen
) -> None:
    """A watch event behind the list of 10,000 objects would wait for all of them."""
    for number in range(5):
        api.put(f"n{number}")
    async with watching(transport, seen):
        await seen.until(*[(None, f"n{number}", "mta") for number in range(5)])
        await api.until(lambda: len(api.server.watches) == 1)
        assert _workers() == []
        api.put("n0", note="changed")
        await seen.until(("MODIFIED", "n0", "changed"))
        assert len(_workers()) == 1


async def test_what_kopf_meets_while_it_is_stopped_is_not_logged_as_an_error(
    api: HttpApi, transport: Transport, seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    """A task of kopf that fails because it is told to stop logs a traceback at error level; before and after the stop
    such a failure is told."""

    async def cut_off() -> None:
        raise RuntimeError("Session is closed")

    async def fail() -> None:
        logger = logging.getLogger("kopf._core.reactor.running")
        with pytest.raises(RuntimeError):
            await aiotasks.guard(cut_off(), "a task", logger=logger)

    stop = asyncio.Event()
    running = asyncio.create_task(watch(transport, seen, stop, settings=SHORT))
    await api.until(lambda: api.watches > 0)
    await fail()
    assert [r.levelname for r in caplog.records if r.name.startswith("kopf")] == ["ERROR"]
    caplog.clear()
    stop.set()
    await asyncio.sleep(0)
    await fail()
    async with asyncio.timeout(5):
        await running
    assert [r for r in caplog.records if r.name.startswith("kopf") and r.levelno >= logging.WARNING] == []
    await fail()
    assert [r.levelname for r in caplog.records if r.name.startswith("kopf")] == ["ERROR"]


@pytest.mark.parametrize("end", ["stop", "failure", "cancel"])
async def test_no_task_of_kopf_outlives_it(api: HttpApi, transport: Transport, seen: Seen, end: str) -> None:
    api.put("a")
    stop = asyncio.Event()
    running = asyncio.create_task(watch(transport, seen, stop, settings=SHORT))
    await seen.until((None, "a", "mta"))
    await api.until(lambda: len(api.server.watches) == 1)
    assert _of_kopf()
    if end == "stop":
        stop.set()
    elif end == "failure":
        api.server.watch_error(500)
    else:
        running.cancel()
    async with asyncio.timeout(3):
        await asyncio.wait([running])
        await asyncio.gather(*_of_kopf(), return_exceptions=True)
    assert _of_kopf() == []


def _workers() -> list[asyncio.Task[Any]]:
    return [task for task in _of_kopf() if getattr(task.get_coro(), "__name__", "") == "worker"]


def _of_kopf() -> list[asyncio.Task[Any]]:
    home = str(Path(kopf.__file__).parent)
    codes = [(task, getattr(task.get_coro(), "cr_code", None)) for task in asyncio.all_tasks()]
    return [task for task, code in codes if code is not None and code.co_filename.startswith(home)]


async def test_one_of_two_in_a_loop_can_end_without_the_other(api: HttpApi, transport: Transport) -> None:
    first, second = Seen(api), Seen(api)
    async with watching(transport, first) as staying:
        async with watching(transport, second):
            await api.until(lambda: len(api.server.watches) == 2)
        api.put("a")
        await first.until(("ADDED", "a", "mta"))
        assert not staying.done()
    assert second.events == []


async def test_cancelling_ends_it_at_once(api: HttpApi, transport: Transport, seen: Seen) -> None:
    async with watching(transport, seen) as task:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(3):
                await task


async def test_refused_credentials_are_retried_with_pauses(
    api: HttpApi, transport: Transport, seen: Seen
) -> None:
    api.put("a")
    api.server.faults.append(Fault("GET", "/mailegresses?", 401, times=6))
    began = time.monotonic()
    async with watching(transport, seen):
        await seen.until((None, "a", "mta"))
    # Six pauses of 0.05 s, the most that these settings allow.
    assert time.monotonic() - began >= 0.3
    assert api.count("GET", "limit=") == 7


async def test_bookmarks_are_signs_of_life(api: HttpApi, transport: Transport, seen: Seen) -> None:
    beats: list[float] = []

    def clock() -> float:
        beats.append(0.0)
        api.poke()
        return 0.0

    life = LastContact(clock)
    async with watching(transport, seen, life=life):
        await api.until(lambda: len(api.server.watches) == 1)
        before = len(beats)
        for stream in api.server.watches:
            stream.push(api.server.bookmark())
        await api.until(lambda: len(beats) > before)
    assert seen.events == []


def _fields(settings: WatchSettings) -> dict[str, Any]:
    getter: Callable[[str], Any] = settings.__getattribute__
    return {name: getter(name) for name in WatchSettings.__slots__}
