"""boto3 clients: one session per identity, one client per service and region, one request per call.

Credentials that come later or change are picked up without a restart: a session is made anew when a file that it was
made from changed, and, with a back-off, after its credentials were missing, expired or refused.
"""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    Credentials,
    DeferredRefreshableCredentials,
    RefreshableCredentials,
)
from botocore.exceptions import NoCredentialsError
from botocore.loaders import Loader

from mailegress.aio.backoff import Backoff
from mailegress.aws.endpoints import host_of, unencrypted
from mailegress.aws.sdk.exceptions import CredentialsFailed, InsecureEndpoint, MalformedCredentials
from mailegress.aws.sdk.trimmed_loader import SlimFiles
from mailegress.aws.settings import BotoSettings, RoleSettings

FILES_CHECKED_EVERY = 1.0
"""Seconds between two looks at the files' times."""
REBUILD_BASE, REBUILD_CAP = 1.0, 60.0
"""A session whose credentials fail is made anew at most so often, in seconds: doubled each time."""

OWN = RoleSettings()
"""The pod's own identity."""

_Stamp = tuple[tuple[int, int, int] | None, ...]
_UNUSABLE = re.compile(r"[^\x21-\x7e]")


@dataclass(slots=True)
class _Identity:
    """A session, or why there is none, and what was made from it."""

    session: botocore.session.Session | None
    stamp: _Stamp
    error: CredentialsFailed | MalformedCredentials | None = None
    clients: dict[tuple[str, str], Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Renewal:
    """When a failing identity may be made anew."""

    backoff: Backoff
    not_before: float = float("-inf")
    made: int = 0


class Clients:
    """Thread-safe. Clients are; sessions are not, hence the lock around their making."""

    def __init__(
        self,
        settings: BotoSettings,
        clock: Callable[[], float] = time.monotonic,
        on_fetch: Callable[[RoleSettings, CredentialsFailed | None], None] = lambda role, failed: None,
        on_renewed: Callable[[RoleSettings], None] = lambda role: None,
    ) -> None:
        """``on_fetch``: temporary credentials were fetched, or could not be, also while the old ones still serve.
        ``on_renewed``: the next calls are made with credentials that may be another account's.
        """
        self._settings = settings
        self._clock = clock
        self._on_fetch = on_fetch
        self._on_renewed = on_renewed
        self._config = Config(
            connect_timeout=settings.connect_timeout,
            read_timeout=settings.read_timeout,
            # Exactly one request per call: the SDK's own retry would report "already exists" about our own record.
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=max(10, settings.threads),
            user_agent_extra="mailegress",
        )
        self._lock = threading.Lock()
        self._rng = random.Random()
        self._identities: dict[RoleSettings, _Identity] = {}
        self._renewals: dict[RoleSettings, _Renewal] = {}
        self._loader: Loader | None = None
        self._stamp: _Stamp = ()
        self._stamped_at = float("-inf")

    def get(self, role: RoleSettings, service: str, region: str) -> Any:
        """The client of ``service`` ("ec2", "route53", "sts") under a role.

        Raises what kept the credentials from being found; that is not tried again before its back-off ends.
        """
        key = (service, region)
        with self._lock:
            identity = self._identity(role)
            client = identity.clients.get(key)
            if client is None:
                if identity.error is not None:
                    raise identity.error.with_traceback(None)
                assert identity.session is not None
                client = self._client(identity.session, service, region)
                identity.clients[key] = client
            return client

    def failed(self, role: RoleSettings, client: Any, *, source: bool) -> None:
        """A call failed for its credentials. Make them anew, unless that was done a moment ago.

        ``client``: the one that failed, None = there was none. ``source``: the credentials with which the role is
        assumed may be the cause.
        """
        with self._lock:
            identity = self._identities.get(role)
            if identity is None or (client is not None and client not in identity.clients.values()):
                return
            renewal = self._renewal(role)
            if self._clock() < renewal.not_before:
                return
            renewal.not_before = self._clock() + renewal.backoff.next()
            del self._identities[role]
            if source and role != OWN:
                self._identities.pop(OWN, None)

    def worked(self, role: RoleSettings) -> None:
        """A call was answered: the credentials are accepted."""
        renewal = self._renewals.get(role)
        # Not at once: another service or region of the same identity may go on failing.
        if (
            renewal is not None
            and renewal.backoff.failures
            and self._clock() > renewal.not_before + REBUILD_CAP
        ):
            renewal.backoff.reset()

    # ---------------------------------------------------------------- with the lock held

    def _identity(self, role: RoleSettings) -> _Identity:
        now = self._clock()
        if now - self._stamped_at >= FILES_CHECKED_EVERY:
            self._stamp, self._stamped_at = _stamp(), now
        identity = self._identities.get(role)
        if identity is not None and identity.stamp != self._stamp:
            # A changed file changes the pod's own identity, and with it every role that is assumed from there.
            self._identities.clear()
            identity = None
        renewal = self._renewal(role)
        if identity is not None and identity.error is not None and now >= renewal.not_before:
            identity = None
        if identity is None:
            identity = self._identities[role] = self._make(role, renewal)
        return identity

    def _make(self, role: RoleSettings, renewal: _Renewal) -> _Identity:
        renewal.made += 1
        if renewal.made > 1:
            self._on_renewed(role)
        try:
            session = self._assumed(role) if role.role_arn else self._own()
        except (CredentialsFailed, MalformedCredentials) as error:
            renewal.not_before = self._clock() + renewal.backoff.next()
            return _Identity(None, self._stamp, error)
        return _Identity(session, self._stamp)

    def _renewal(self, role: RoleSettings) -> _Renewal:
        found = self._renewals.get(role)
        if found is None:
            found = self._renewals[role] = _Renewal(Backoff(REBUILD_BASE, REBUILD_CAP, self._rng))
        return found

    def _client(self, session: botocore.session.Session, service: str, region: str) -> Any:
        client = session.create_client(service, region_name=region, config=self._config)
        url = client.meta.endpoint_url
        if unencrypted(url) and not self._settings.allow_http:
            # The variables were judged at start; this one comes from a configuration file.
            raise InsecureEndpoint(
                f"the endpoint {host_of(url)} of {service} is not encrypted (http://); "
                "give an https:// URL in the AWS configuration file"
            )
        return client

    def _own(self) -> botocore.session.Session:
        """The pod's own identity, from the SDK's chain."""
        session = self._session()
        try:
            credentials = session.get_credentials()
        except Exception as error:
            raise CredentialsFailed("", error) from error
        if isinstance(credentials, RefreshableCredentials):
            self._tell_of_failures(OWN, credentials)
        elif isinstance(credentials, Credentials):
            _examine(credentials)
        return session

    def _assumed(self, role: RoleSettings) -> botocore.session.Session:
        """A session whose credentials are the role's and refresh themselves (chained sessions last an hour)."""
        own = self._identity(OWN)
        if own.error is not None:
            raise own.error.with_traceback(None)
        assert own.session is not None
        base = own.session
        source = base.get_credentials()
        if source is None:
            raise CredentialsFailed("", NoCredentialsError())

        def create_client(service: str, **arguments: Any) -> Any:
            # The regional STS endpoint, with our timeouts.
            arguments["config"] = self._config
            return base.create_client(service, region_name=self._settings.region, **arguments)

        extra = {"RoleSessionName": self._settings.session_name}
        if role.external_id:
            extra["ExternalId"] = role.external_id
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=create_client,
            source_credentials=source,
            role_arn=role.role_arn,
            extra_args=extra,
        )
        session = self._session()
        credentials: Any = DeferredRefreshableCredentials(
            method="assume-role", refresh_using=fetcher.fetch_credentials
        )
        self._tell_of_failures(role, credentials)
        # botocore's public setter takes static keys only; boto3 users set this attribute for the same purpose.
        session._credentials = credentials  # type: ignore[attr-defined]
        return session

    def _tell_of_failures(self, role: RoleSettings, credentials: Any) -> None:
        """What goes wrong while these credentials are fetched is raised as such, so that it is not taken for a failure
        of the call that needed them.
        """
        fetch, method = credentials._refresh_using, credentials.method

        def fetch_or_tell() -> Any:
            try:
                fetched = fetch()
            except CredentialsFailed:
                raise  # of the credentials with which the role is assumed
            except Exception as error:
                failed = CredentialsFailed(method, error)
                self._on_fetch(role, failed)
                raise failed from error
            self._on_fetch(role, None)
            return fetched

        credentials._refresh_using = fetch_or_tell

    def _session(self) -> botocore.session.Session:
        session = botocore.session.get_session()
        if self._loader is None:
            self._loader = session.get_component("data_loader")
            self._loader.file_loader = SlimFiles()
        # Models are read once, however many sessions follow each other.
        session.register_component("data_loader", self._loader)
        # botocore itself reads AWS_DEFAULT_REGION only. The STS that is asked for web identity depends on it.
        session.set_config_variable("region", self._settings.region)
        session.set_config_variable("sts_regional_endpoints", "regional")
        session.set_default_client_config(self._config)
        return session


def _stamp() -> _Stamp:
    """What changes when a file with credentials is replaced or rewritten."""
    return tuple(map(_file_stamp, credential_files()))


def credential_files() -> tuple[Path, ...]:
    """The files that the SDK reads static keys and profiles from."""
    home = Path("~/.aws").expanduser() if os.environ.get("HOME") else Path("/nonexistent")
    return (
        Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials").expanduser(),
        Path(os.environ.get("AWS_CONFIG_FILE") or home / "config").expanduser(),
    )


def _file_stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _examine(credentials: Credentials) -> None:
    """Refuse keys with characters that no request header can carry: usually a line break from a Secret."""
    place = {
        "env": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    }.get(credentials.method, ("aws_access_key_id", "aws_secret_access_key", "aws_session_token"))
    source = "" if credentials.method == "env" else f" ({credentials.method})"
    for name, value in zip(
        place, (credentials.access_key, credentials.secret_key, credentials.token), strict=True
    ):
        bad = _UNUSABLE.search(value or "")
        if bad is not None:
            what = "a line break" if bad[0] in "\r\n" else "a space" if bad[0] in " \t" else "a character"
            where = "at its end" if bad.end() == len(value or "") else "in it"
            raise MalformedCredentials(f"{name}{source} has {what} {where}, which no HTTP header can carry")
