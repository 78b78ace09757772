"""``AwsApi`` over boto3's core: blocking calls in threads, replies parsed there."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from botocore import xform_name

from mailegress.api import reasons
from mailegress.aws.api import AwsError, Service
from mailegress.aws.endpoints import host_of
from mailegress.aws.errors import classify, doubts_credentials
from mailegress.aws.sdk.exceptions import CredentialsFailed, translate
from mailegress.aws.sdk.operations import Operations
from mailegress.aws.sdk.sessions import Clients
from mailegress.aws.sdk.threads import DaemonPool
from mailegress.aws.settings import BotoSettings, RoleSettings
from mailegress.reconcile.write_guard import SEND_BEFORE
from mailegress.telemetry.metrics import Metrics

T = TypeVar("T")

_log = logging.getLogger(__name__)

_CLIENT_SIDE = frozenset({reasons.CREDENTIALS_UNAVAILABLE.name, reasons.ENDPOINT_UNREACHABLE.name})
_MOST_CAUSES = 64
"""Causes of failures that are remembered as logged."""

_Target = tuple[RoleSettings, str, str]
"""What a call was for: role, service, region. A fetch of credentials is for no service and no region."""

_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,63}")


class BotoApi(Operations):
    """The ``AwsApi`` of production. Close it with :meth:`close`."""

    def __init__(
        self, settings: BotoSettings, metrics: Metrics, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._clients = Clients(settings, on_fetch=self._fetched, on_renewed=self._renewed)
        self._renewal_listeners: list[tuple[RoleSettings, Callable[[], None]]] = []
        self._logged: dict[str, set[_Target]] = {}
        self._known: dict[RoleSettings, str] = {}
        self._unknown: set[RoleSettings] = set()
        """Identities to be asked for and logged at their next call that works."""
        self._introduced = False
        self._logging = threading.Lock()
        self._pool = DaemonPool(settings.threads, "aws")

    def close(self) -> None:
        """Take no more calls; what is in flight is left to end by itself."""
        self._pool.shutdown(wait=False)

    # ---------------------------------------------------------------- who calls

    async def get_caller_identity(self, service: Service, region: str) -> str:
        role = self._role(service)

        def account(reply: Any) -> str:
            self._tell_identity(role, reply, region)
            return str(reply["Account"])

        return await self._call(Service.STS, "GetCallerIdentity", region, {}, account, service)

    def on_renewal(self, service: Service, listener: Callable[[], None]) -> None:
        """Call ``listener``, from any thread, when the service's calls begin to be made with other credentials."""
        self._renewal_listeners.append((self._role(service), listener))

    def introduce(self) -> None:
        """Log, in the background, as whom and where calls are made, or why that is not known."""
        self._introduced = True
        for services in self._services_by_role().values():
            self._pool.submit(self._ask_identity, services[0])

    def identities(self) -> list[tuple[str, str]]:
        """For each identity: the services that use it, and its ARN and account, or why they are not known. Blocks."""
        found = []
        for services in self._services_by_role().values():
            names = ", ".join(service.value for service in services)
            found.append((names, self._ask_identity(services[0])))
        return found

    def endpoints(self) -> dict[str, str]:
        """The endpoint host of each service in the default region. Raises :class:`AwsError`. Blocks."""
        return {
            service.value: self._endpoint(self._role(service), service, self._settings.region)
            for service in Service
        }

    def _services_by_role(self) -> dict[RoleSettings, list[Service]]:
        found: dict[RoleSettings, list[Service]] = {}
        for service in (Service.EC2, Service.ROUTE53):
            found.setdefault(self._role(service), []).append(service)
        return found

    def _ask_identity(self, service: Service) -> str:
        role, region = self._role(service), self._settings.region
        told: list[str] = []

        def read(reply: Any) -> None:
            self._tell_identity(role, reply, region)
            told.append(f"{reply['Arn']} in account {reply['Account']}")

        try:
            self._blocking(Service.STS, "GetCallerIdentity", region, {}, read, role, float("inf"))
        except AwsError as error:
            if self._introduced:
                self._unknown.add(role)
            return f"unknown: {classify(error).message}"
        return told[0]

    def _tell_identity(self, role: RoleSettings, reply: Any, region: str) -> None:
        arn = str(reply["Arn"])
        with self._logging:
            if self._known.get(role) == arn:
                return
            self._known[role] = arn
        services = self._services_by_role().get(role, [])
        hosts = {s.value: self._endpoint(role, s, region) for s in (*services, Service.STS)}
        _log.info(
            "AWS identity of %s: arn=%s account=%s endpoints=%s",
            ",".join(service.value for service in services),
            arn,
            reply["Account"],
            ",".join(sorted(set(hosts.values()))),
        )

    def _endpoint(self, role: RoleSettings, service: Service, region: str) -> str:
        try:
            return host_of(self._clients.get(role, service.value, region).meta.endpoint_url)
        except Exception as error:
            raise translate(service, "GetCallerIdentity", error) from error

    # ---------------------------------------------------------------- the call

    @property
    def _route53_region(self) -> str:
        return self._settings.region

    def _role(self, service: Service) -> RoleSettings:
        return self._settings.route53 if service is Service.ROUTE53 else self._settings.ec2

    async def _call(
        self,
        service: Service,
        operation: str,
        region: str,
        arguments: Mapping[str, Any],
        parsed: Callable[[Any], T],
        caller: Service | None = None,
    ) -> T:
        identity = self._role(caller or service)
        loop = asyncio.get_running_loop()
        before = SEND_BEFORE.get()
        return await loop.run_in_executor(
            self._pool, self._blocking, service, operation, region, arguments, parsed, identity, before
        )

    def _blocking(
        self,
        service: Service,
        operation: str,
        region: str,
        arguments: Mapping[str, Any],
        parsed: Callable[[Any], T],
        role: RoleSettings,
        before: float,
    ) -> T:
        began = self._clock()
        if began >= before:
            raise AwsError(service, operation, "TooLate", "the right to write has run out", sent=False)
        code = "OK"
        client: Any = None
        try:
            client = self._clients.get(role, service.value, region)
            reply = getattr(client, xform_name(operation))(**arguments)
            if not _is_from_aws(reply):
                text = f"{host_of(client.meta.endpoint_url)} answers, but not as AWS does"
                raise AwsError(service, operation, "NotAWS", text)
            self._worked(role, service, region)
            return parsed(reply)
        except Exception as error:
            if isinstance(error, AwsError):
                failure = error
            else:
                url = client.meta.endpoint_url if client is not None else ""
                failure = translate(service, operation, error, url)
            code = failure.code
            if doubts_credentials(failure):
                self._clients.failed(role, client, source=failure.operation != operation)
            self._log_once(failure, (role, service.value, region))
            raise failure from (None if failure is error else error)
        finally:
            label = code if _LABEL.fullmatch(code) else "Other"
            self._metrics.aws_call(service.value, operation, label, self._clock() - began)

    # ---------------------------------------------------------------- what becomes of credentials

    def _worked(self, role: RoleSettings, service: Service, region: str) -> None:
        self._clients.worked(role)
        self._forget_logged((role, service.value, region))
        if service is not Service.STS and role in self._unknown:
            self._unknown.discard(role)
            self._pool.submit(self._ask_identity, service)

    def _renewed(self, role: RoleSettings) -> None:
        if self._introduced:
            self._unknown.add(role)
        for concerned, listener in self._renewal_listeners:
            if concerned == role:
                listener()

    def _fetched(self, role: RoleSettings, failed: CredentialsFailed | None) -> None:
        target = (role, "", "")
        if failed is None:
            self._forget_logged(target)
        else:
            self._log_once(translate(Service.STS, "GetCredentials", failed), target)

    def _log_once(self, failure: AwsError, target: _Target) -> None:
        """Log what is wrong on this side of AWS, once for each cause until what failed works again."""
        fault = classify(failure)
        if fault.reason not in _CLIENT_SIDE:
            return
        cause = fault.message.removeprefix(f"{failure.operation}: ")
        with self._logging:
            known = cause in self._logged
            if known or len(self._logged) < _MOST_CAUSES:
                self._logged.setdefault(cause, set()).add(target)
        if not known:
            _log.warning("%s: %s", fault.reason, fault.message)

    def _forget_logged(self, target: _Target) -> None:
        if not self._logged:
            return
        with self._logging:
            for cause in [c for c, targets in self._logged.items() if target in targets]:
                self._logged[cause].discard(target)
                if not self._logged[cause]:
                    del self._logged[cause]


def _is_from_aws(reply: Any) -> bool:
    """False for a page that happens to be well-formed XML: it would be read as a list of nothing."""
    return len(reply) > 1 or bool(reply.get("ResponseMetadata", {}).get("RequestId"))
