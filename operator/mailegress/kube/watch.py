"""kopf lists and watches MailEgresses, nothing else: every change reaches ``on_change``, and kopf writes nothing.

kopf is a requirement of this project. It only lists and watches because its handlers retry per object and store their
progress in annotations, while this operator needs a queue of its own, shared readings and batches, and must write the
status and the finalizer itself, each with the resourceVersion that it read.

This module is the only one that imports kopf. ``tests/kube/test_watch.py`` checks what it relies on: no write at all,
the operator's finalizer left alone, an exit on a fatal watch error, reconnection after silence, a new list after 410,
DELETED delivered, a failing handler that affects no other, a quick stop.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import kopf

from mailegress.aio.backoff import backoff_seconds
from mailegress.api.names import GROUP, PLURAL, VERSION
from mailegress.api.text import clean_text
from mailegress.kube.pages import PLAIN, read_list, slim_event
from mailegress.kube.transport import LastContact, Transport

_log = logging.getLogger(__name__)

_MESSAGE_LENGTH = 500

OnChange = Callable[[str | None, Mapping[str, Any]], None]
"""Type of the event (ADDED, MODIFIED, DELETED; None: from a list) and the object."""


class WatchEnded(Exception):
    """kopf gave up. The process must end too: kopf's tasks cannot be trusted to have left everything in
    order.
    """


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """Times in seconds. The defaults are for production; tests shorten them."""

    server_timeout: int = 300
    client_timeout: float = 310.0
    connect_timeout: float = 30.0
    inactivity_timeout: float = 70.0
    """The API server sends a bookmark about once a minute; a stream that is silent for longer is dead."""
    reconnect_backoff: float = 1.0
    request_timeout: float = 30.0
    error_backoffs: tuple[float, ...] = (1, 1, 2, 3, 5, 8, 13, 21)
    """After these kopf gives up and the process is restarted."""
    idle_timeout: float = 1.0
    exit_timeout: float = 1.0
    chunk_size: int = 100
    login_backoff_most: float = 30.0


class _NoProgress(kopf.ProgressStorage):
    """Nothing is stored on the object; without change handlers kopf needs nothing."""

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        return None

    def purge(self, **_: Any) -> None:
        return None

    def touch(self, **_: Any) -> None:
        return None

    def clear(self, *, essence: Any) -> Any:
        # kopf's own deep-copies here, twice per event.
        return essence


class _NoDiffBase(kopf.DiffBaseStorage):
    """Every object looks unchanged: no cause to handle, and no deep copy of each body."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> Any:
        return {}

    def store(self, **_: Any) -> None:
        return None


class _Heard:
    """A watch's body, event by event and slim, that tells of every chunk.

    kopf's handlers never see bookmarks, signs of life too; and kopf holds on to each event for a while.
    """

    def __init__(self, content: Any, life: LastContact | None) -> None:
        self._content = content
        self._life = life

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> Any:
        rest = b""
        async for chunk in self._content.iter_chunked(size):
            if self._life is not None:
                self._life.beat()
            rest += chunk
            *lines, rest = rest.split(b"\n")
            for line in lines:
                yield slim_event(line + b"\n")
        if rest:
            yield rest


class _Listed:
    """What kopf takes for the reply to a list: no object, and where the watch begins."""

    status = 200

    def __init__(self, version: str) -> None:
        self._version = version

    async def __aenter__(self) -> _Listed:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def json(self) -> dict[str, Any]:
        return {"metadata": {"resourceVersion": self._version}, "items": []}


class _KopfSession:
    """What kopf takes for an aiohttp session: the shared transport, which kopf must not close.

    The objects of a list are delivered from here, and kopf gets the list without them: for each object it would run a
    worker of its own and keep a memory for good, and a watch event behind the list would wait for all of them.
    """

    def __init__(
        self,
        transport: Transport,
        on_change: OnChange,
        life: LastContact | None,
        listed: MutableMapping[str, str],
    ) -> None:
        self.headers = {"User-Agent": "mailegress-watch"}
        self.closed = False
        self._transport = transport
        self._on_change = on_change
        self._life = life
        self._listed = listed

    async def request(self, method: str, url: str, **options: Any) -> Any:
        if self.closed:
            raise RuntimeError("Session is closed")  # what aiohttp says, and kopf understands
        options["headers"] = {**self.headers, **(options.get("headers") or {})}
        listing = f"/{PLURAL}" in url
        if listing and "watch=true" not in url and (version := self._listed.pop(urlsplit(url).path, "")):
            return _Listed(version)
        if listing:
            options["headers"] |= PLAIN
        response = await self._transport.request(method, url, **options)
        if response.status >= 400:
            return response
        if self._life is not None:
            self._life.beat()
        if "watch=true" in url:
            response.content = _Heard(response.content, self._life)
        elif listing:
            content = response.content
            # kopf reads a page of a list with `json()`, whole.
            response.json = lambda **_: self._list(content)
        return response

    async def _list(self, content: Any) -> dict[str, Any]:
        page = await read_list(content)
        items, page["items"] = page.get("items", []), []
        for item in items:
            try:
                self._on_change(None, item)
            except Exception:
                _log.exception("an object of a list was not taken in")
        return page

    async def close(self) -> None:
        self.closed = True


class _Login:
    """kopf asks for a new session after every 401; without a pause it would do so in a tight loop."""

    def __init__(
        self,
        transport: Transport,
        session: Callable[[], Any],
        sleep: Callable[[float], Awaitable[None]],
        clock: Callable[[], float],
        most: float,
    ) -> None:
        self._transport = transport
        self._session = session
        self._sleep = sleep
        self._clock = clock
        self._most = most
        self._failures = 0
        self._last: float | None = None

    async def __call__(self, **_: Any) -> kopf.AiohttpSession:
        if self._last is not None:
            self._transport.refused()
            calm = self._clock() - self._last > 2 * self._most
            self._failures = 1 if calm else self._failures + 1
            delay = backoff_seconds(self._failures, 1.0, self._most)
            _log.warning("the API server refused our credentials, trying again retry_in_s=%g", delay)
            await self._sleep(delay)
        self._last = self._clock()
        return kopf.AiohttpSession(server=self._transport.server, aiohttp_session=self._session())


_KOPF_LOGGERS = ("kopf", "kopf.objects", "kopf.activities")

_IDENTITY: Any = "mailegress"
"""Nobody reads it without peering. Left to itself kopf makes one from the user's name, which a numeric user in a
container does not have (KeyError, and the watch never starts), and from look-ups of the host's name."""


class _Everything:
    """The tasks that kopf must neither wait for nor cancel after its own root tasks have ended: all.

    kopf takes every task created after its start for one of its own (`kopf.run_tasks`): our workers too, and
    in a simulation the tasks of another operator. Its root tasks wait for what they began; a test holds them
    to it.
    """

    def __contains__(self, task: object) -> bool:
        return True


async def watch(
    transport: Transport,
    on_change: OnChange,
    stop: asyncio.Event,
    *,
    namespaces: Sequence[str] = (),
    listed: Mapping[str, str] | None = None,
    life: LastContact | None = None,
    settings: WatchSettings | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    on_started: Callable[[], None] | None = None,
) -> None:
    """Deliver every change until ``stop`` is set. Raises :class:`WatchEnded` if kopf ends before.

    ``listed``: the resourceVersions of lists that the caller has just taken in, by path. The watch begins there, and
    kopf's own first list, which would read every object once more, is not sent.

    The CRD must exist: kopf, which is set not to scan, waits for ever for a resource that it does not find at the
    start. ``on_started`` is called when kopf has started: kopf takes SIGINT and SIGTERM for itself, and
    whoever wants to stop the workers first must install handlers then.
    """
    chosen = settings or WatchSettings()
    session = functools.partial(_KopfSession, transport, on_change, life, dict(listed or {}))
    login = _Login(transport, session, sleep, asyncio.get_running_loop().time, chosen.login_backoff_most)
    registry = _registry(login, on_change, life)
    flag = asyncio.Event()
    levels = {name: logging.getLogger(name).level for name in _KOPF_LOGGERS}
    relay = asyncio.create_task(_relay(stop, flag), name="stop-relay")
    try:
        tasks = await kopf.spawn_tasks(
            registry=registry,
            settings=_kopf_settings(chosen),
            standalone=True,
            clusterwide=not namespaces,
            namespaces=list(namespaces),
            stop_flag=flag,
            identity=_IDENTITY,
        )
        if on_started is not None:
            on_started()
        ignored: Any = _Everything()
        await kopf.run_tasks(tasks, ignored=ignored)
    except Exception as error:
        if stop.is_set():
            _log.warning("the watch ended with an error while stopping error=%r", error)
            return
        text = clean_text(str(error), _MESSAGE_LENGTH)
        raise WatchEnded(f"the watch ended: {type(error).__name__}: {text}") from error
    finally:
        relay.cancel()
        flag.set()
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
    if not stop.is_set():
        raise WatchEnded("the watch ended without an error")


def _registry(login: _Login, on_change: OnChange, life: LastContact | None) -> kopf.OperatorRegistry:
    """What kopf calls: how it logs in, and what happens with an event."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def credentials(**_: Any) -> kopf.AiohttpSession:
        return await login()

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def observe(event: Mapping[str, Any], **_: Any) -> None:
        if life is not None:
            life.beat()
        on_change(event["type"], event["object"])

    return registry


async def _relay(stop: asyncio.Event, flag: asyncio.Event) -> None:
    """Tell kopf to stop. What its tasks meet from now on (a connection that is cut, a request that is cancelled) is the
    end that was asked for: kopf would log it as an error, with a traceback; the outcome is logged here instead."""
    await stop.wait()
    for name in _KOPF_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    flag.set()


def _kopf_settings(chosen: WatchSettings) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    # Whatever this name is, kopf removes it from every object it sees: it must not be ours.
    settings.persistence.finalizer = f"kopf.{GROUP}/unused"
    settings.persistence.progress_storage = _NoProgress()
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.posting.enabled = False
    # No list and watch of CRDs and namespaces: neither needed nor permitted.
    settings.scanning.disabled = True
    settings.process.ultimate_exiting_timeout = None
    settings.watching.server_timeout = chosen.server_timeout
    settings.watching.client_timeout = chosen.client_timeout
    settings.watching.connect_timeout = chosen.connect_timeout
    settings.watching.inactivity_timeout = chosen.inactivity_timeout
    settings.watching.reconnect_backoff = chosen.reconnect_backoff
    # initial_streaming stays off: a break in the middle of it makes kopf skip the rest of the objects.
    settings.watching.chunk_size = chosen.chunk_size
    settings.networking.request_timeout = chosen.request_timeout
    settings.networking.connect_timeout = chosen.connect_timeout
    settings.networking.error_backoffs = chosen.error_backoffs
    # One worker per object for this long after its last event; no worker_limit, or throughput is limit /
    # idle_timeout.
    settings.queueing.idle_timeout = chosen.idle_timeout
    settings.queueing.exit_timeout = chosen.exit_timeout
    return settings
