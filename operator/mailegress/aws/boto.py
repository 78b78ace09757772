"""``AwsApi`` over boto3's core: blocking calls in threads, replies parsed there."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from botocore import exceptions as sdk
from botocore import xform_name

from mailegress.aws import parse
from mailegress.aws.api import (
    AddressRow,
    AwsError,
    ChangeInfo,
    Page,
    PtrRow,
    RecordCursor,
    RecordPage,
    Service,
)
from mailegress.aws.pool import DaemonPool
from mailegress.aws.sessions import Clients
from mailegress.aws.settings import BotoSettings, RoleSettings
from mailegress.reconcile.choke import SEND_BEFORE
from mailegress.reconcile.model import Change, NatGateway, Ptr, Zone
from mailegress.telemetry.metrics import Metrics

T = TypeVar("T")

_PAGE = 1000
_ZONE_PAGE = 100
_FILTER_VALUES = 200
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9.]{0,63}")

_NOT_SENT: tuple[type[Exception], ...] = (
    sdk.ConnectTimeoutError,
    sdk.EndpointConnectionError,
    sdk.ProxyConnectionError,
)
_NO_CREDENTIALS: tuple[type[Exception], ...] = (
    sdk.NoCredentialsError,
    sdk.PartialCredentialsError,
    sdk.CredentialRetrievalError,
    sdk.MetadataRetrievalError,
    sdk.RefreshWithMFAUnsupportedError,
    sdk.InvalidConfigError,
    sdk.ProfileNotFound,
)


def translate(service: Service, operation: str, error: Exception) -> AwsError:
    """The SDK's exception as the seam's. What cannot be told to be unsent counts as sent."""
    if isinstance(error, sdk.ClientError):
        details = error.response.get("Error", {})
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code, message = str(details.get("Code") or ""), str(details.get("Message") or "")
        if error.operation_name != operation:
            # Credentials are fetched inside the call: AssumeRole or AssumeRoleWithWebIdentity was refused.
            return AwsError(Service.STS, error.operation_name, code, message, status, sent=False)
        if not code and operation == "ChangeResourceRecordSets" and status == 400:
            # botocore parses the alternate root element <InvalidChangeBatch> as an empty code and message.
            code = "InvalidChangeBatch"
        return AwsError(service, operation, code, message, status)
    if isinstance(error, _NOT_SENT):
        return AwsError(service, operation, "ConnectionError", str(error), sent=False)
    if isinstance(error, sdk.ReadTimeoutError):
        return AwsError(service, operation, "Timeout", str(error))
    if isinstance(error, _NO_CREDENTIALS):
        return AwsError(service, operation, "NoCredentials", str(error), sent=False)
    if isinstance(error, sdk.ParamValidationError):
        return AwsError(service, operation, "ParamValidation", str(error), sent=False)
    if isinstance(error, sdk.HTTPClientError):
        return AwsError(service, operation, "ConnectionError", str(error))
    return AwsError(service, operation, "InvalidResponse", f"{type(error).__name__}: {error}")


class BotoApi:
    """The ``AwsApi`` of production. Close it with :meth:`close`."""

    def __init__(
        self, settings: BotoSettings, metrics: Metrics, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._clients = Clients(settings)
        self._pool = DaemonPool(settings.threads, "aws")

    def close(self) -> None:
        """Take no more calls; what is in flight is left to end by itself."""
        self._pool.shutdown(wait=False)

    # ---------------------------------------------------------------- STS

    async def get_caller_identity(self, service: Service, region: str) -> str:
        return await self._call(
            Service.STS, "GetCallerIdentity", region, {}, lambda r: str(r["Account"]), self._role(service)
        )

    # ---------------------------------------------------------------- EC2

    async def describe_addresses(
        self, region: str, allocation_ids: Sequence[str] | None = None
    ) -> tuple[AddressRow, ...]:
        if allocation_ids is None:
            return await self._call(Service.EC2, "DescribeAddresses", region, {}, parse.addresses)
        found: tuple[AddressRow, ...] = ()
        for start in range(0, len(allocation_ids), _FILTER_VALUES):
            some = list(allocation_ids[start : start + _FILTER_VALUES])
            arguments = {"Filters": [{"Name": "allocation-id", "Values": some}]}
            found += await self._call(Service.EC2, "DescribeAddresses", region, arguments, parse.addresses)
        return found

    async def describe_addresses_attribute(
        self, region: str, allocation_ids: Sequence[str] | None = None, token: str = ""
    ) -> Page[PtrRow]:
        # Without Attribute, whether PTRs are returned is not documented: always send it.
        arguments: dict[str, Any] = {"Attribute": "domain-name"}
        if allocation_ids is None:
            arguments["MaxResults"] = _PAGE
        else:
            arguments["AllocationIds"] = list(allocation_ids)
        if token:
            arguments["NextToken"] = token
        return await self._call(Service.EC2, "DescribeAddressesAttribute", region, arguments, parse.ptr_page)

    async def describe_nat_gateways(
        self, region: str, ids: Sequence[str] | None = None, token: str = ""
    ) -> Page[NatGateway]:
        arguments: dict[str, Any] = {"MaxResults": _PAGE}
        if ids is not None:
            arguments["Filter"] = [{"Name": "nat-gateway-id", "Values": list(ids)}]
        if token:
            arguments["NextToken"] = token
        return await self._call(Service.EC2, "DescribeNatGateways", region, arguments, parse.nat_page)

    async def modify_address_attribute(self, region: str, allocation_id: str, domain_name: str) -> Ptr:
        arguments = {"AllocationId": allocation_id, "DomainName": domain_name}
        return await self._call(Service.EC2, "ModifyAddressAttribute", region, arguments, _ptr_reply)

    async def reset_address_attribute(self, region: str, allocation_id: str) -> Ptr:
        arguments = {"AllocationId": allocation_id, "Attribute": "domain-name"}
        return await self._call(Service.EC2, "ResetAddressAttribute", region, arguments, _ptr_reply)

    # ---------------------------------------------------------------- Route 53

    async def list_hosted_zones(self, marker: str = "") -> Page[Zone]:
        arguments: dict[str, Any] = {"MaxItems": str(_ZONE_PAGE)}
        if marker:
            arguments["Marker"] = marker
        return await self._route53("ListHostedZones", arguments, parse.zone_page)

    async def get_hosted_zone(self, zone_id: str) -> frozenset[str]:
        return await self._route53("GetHostedZone", {"Id": zone_id}, parse.name_servers)

    async def list_resource_record_sets(
        self, zone_id: str, start: RecordCursor | None, max_items: int
    ) -> RecordPage:
        arguments: dict[str, Any] = {"HostedZoneId": zone_id, "MaxItems": str(max_items)}
        if start is not None:
            arguments["StartRecordName"] = start.name
            if start.type:
                arguments["StartRecordType"] = start.type
            if start.identifier:
                arguments["StartRecordIdentifier"] = start.identifier
        return await self._route53("ListResourceRecordSets", arguments, parse.record_page)

    async def change_resource_record_sets(self, zone_id: str, changes: Sequence[Change]) -> ChangeInfo:
        arguments = {"HostedZoneId": zone_id, "ChangeBatch": parse.change_batch(changes)}
        return await self._route53("ChangeResourceRecordSets", arguments, parse.change_info)

    async def get_change(self, change_id: str) -> ChangeInfo:
        return await self._route53("GetChange", {"Id": change_id}, parse.change_info)

    # ---------------------------------------------------------------- the call

    async def _route53(self, operation: str, arguments: dict[str, Any], parsed: Callable[[Any], T]) -> T:
        return await self._call(Service.ROUTE53, operation, self._settings.region, arguments, parsed)

    def _role(self, service: Service) -> RoleSettings:
        return self._settings.route53 if service is Service.ROUTE53 else self._settings.ec2

    async def _call(
        self,
        service: Service,
        operation: str,
        region: str,
        arguments: dict[str, Any],
        parsed: Callable[[Any], T],
        role: RoleSettings | None = None,
    ) -> T:
        identity = self._role(service) if role is None else role
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
        arguments: dict[str, Any],
        parsed: Callable[[Any], T],
        role: RoleSettings,
        before: float,
    ) -> T:
        began = self._clock()
        if began >= before:
            raise AwsError(service, operation, "TooLate", "the right to write has run out", sent=False)
        code = "OK"
        try:
            client = self._clients.get(role, service.value, region)
            return parsed(getattr(client, xform_name(operation))(**arguments))
        except Exception as error:
            failure = translate(service, operation, error)
            code = failure.code
            raise failure from error
        finally:
            label = code if _LABEL.fullmatch(code) else "Other"
            self._metrics.aws_call(service.value, operation, label, self._clock() - began)


def _ptr_reply(reply: Any) -> Ptr:
    return parse.ptr(reply.get("Address") or {})
