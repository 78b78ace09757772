"""boto3 clients: one session per identity, one client per service and region, one request per call."""

from __future__ import annotations

import threading
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import NoCredentialsError

from mailegress.aws.settings import BotoSettings, RoleSettings
from mailegress.aws.slim import SlimFiles


class Clients:
    """Thread-safe. Clients are; sessions are not, hence the lock around their making."""

    def __init__(self, settings: BotoSettings) -> None:
        self._settings = settings
        self._config = Config(
            connect_timeout=settings.connect_timeout,
            read_timeout=settings.read_timeout,
            # Exactly one request per call: the SDK's own retry would report "already exists" about our own record.
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=max(10, settings.threads),
            user_agent_extra="mailegress",
        )
        self._lock = threading.Lock()
        self._sessions: dict[RoleSettings, botocore.session.Session] = {}
        self._clients: dict[tuple[RoleSettings, str, str], Any] = {}

    def get(self, role: RoleSettings, service: str, region: str) -> Any:
        """The client of ``service`` ("ec2", "route53", "sts") under a role."""
        key = (role, service, region)
        with self._lock:
            client = self._clients.get(key)
            if client is None:
                session = self._session(role)
                client = session.create_client(service, region_name=region, config=self._config)
                self._clients[key] = client
            return client

    def _session(self, role: RoleSettings) -> botocore.session.Session:
        session = self._sessions.get(role)
        if session is None:
            session = self._sessions[role] = self._assumed(role) if role.role_arn else _base_session()
        return session

    def _assumed(self, role: RoleSettings) -> botocore.session.Session:
        """A session whose credentials are the role's and refresh themselves (chained sessions last an hour)."""
        base = self._session(RoleSettings())
        source = base.get_credentials()
        if source is None:
            raise NoCredentialsError

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
        session = _base_session()
        credentials: Any = DeferredRefreshableCredentials(
            method="assume-role", refresh_using=fetcher.fetch_credentials
        )
        # botocore's public setter takes static keys only; boto3 users set this attribute for the same purpose.
        session._credentials = credentials  # type: ignore[attr-defined]
        return session


def _base_session() -> botocore.session.Session:
    session = botocore.session.get_session()
    session.get_component("data_loader").file_loader = SlimFiles()
    return session
