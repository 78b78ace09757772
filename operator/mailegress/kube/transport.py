"""The one channel to the API server, shared by our own requests and by kopf's.

A *session* is anything with aiohttp's ``request`` coroutine, so that a simulation can hand in its own. The
transport adds the credentials to every request, because a projected service-account token is replaced on disk
long before the process ends (Kubernetes documentation, "Configure Service Accounts for Pods": reload the
token at least every few minutes).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aiohttp

from mailegress.kube.credentials import Credentials

_log = logging.getLogger(__name__)


class Response(Protocol):
    """What is used of ``aiohttp.ClientResponse``."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def content(self) -> Any:
        """A stream with ``iter_chunked(size)``."""

    async def text(self) -> str: ...

    def close(self) -> None: ...


class Session(Protocol):
    """What is used of ``aiohttp.ClientSession``: ``await session.request(method, url, json=…, headers=…,
    timeout=…)``.
    """

    @property
    def request(self) -> Callable[..., Any]: ...


class LastContact:
    """When the API server was last heard of, by the watch or by a list. ``clock``: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._at = clock()

    def beat(self) -> None:
        self._at = self._clock()

    def age(self) -> float:
        """Seconds since the last contact."""
        return self._clock() - self._at


class Transport:
    """A session, the server's address and the credentials that go with each request."""

    def __init__(self, session: Session, server: str, credentials: Credentials | None = None) -> None:
        self.server = server.rstrip("/")
        self._session = session
        self._credentials = credentials

    async def request(
        self,
        method: str,
        url: str,
        *,
        json: object | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> Any:
        """One request; ``url`` is absolute or a path. Returns the session's response, whatever its status.

        Raises ``aiohttp.ClientConnectionError`` for a redirect.
        """
        if "://" not in url:
            url = f"{self.server}/{url.lstrip('/')}"
        merged = dict(headers or {})
        more: dict[str, Any] = {}
        if self._credentials is not None:
            merged.update(await self._credentials.headers())
            more |= self._credentials.options()
        if timeout is not None:
            more["timeout"] = timeout
        response = await self._session.request(
            method, url, json=json, headers=merged, allow_redirects=False, **more
        )
        if 300 <= response.status < 400:
            # To follow it would send objects, and to the same host the token, where nobody configured it.
            response.close()
            raise aiohttp.ClientConnectionError(
                f"{self.server} answers with a redirect ({response.status}), which is not followed; "
                "configure the API server's own address"
            )
        return response

    def refused(self) -> None:
        """The server answered 401: discard cached credentials."""
        if self._credentials is not None:
            self._credentials.discard()


@asynccontextmanager
async def connect(credentials: Credentials, user_agent: str = "mailegress") -> AsyncIterator[Transport]:
    """A transport over a session of its own, closed on leaving."""
    for warning in credentials.warnings():
        _log.warning(warning)
    connector = aiohttp.TCPConnector(limit=0, ssl=credentials.ssl_context() or True)
    async with aiohttp.ClientSession(connector=connector, headers={"User-Agent": user_agent}) as session:
        yield Transport(session, credentials.server, credentials)
