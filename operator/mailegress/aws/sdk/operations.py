"""What the operator asks of AWS: the operations by botocore's names, their arguments, and who reads their replies.

How a request travels is left to :meth:`Operations._call`: over boto3 in production, into the sandbox's model in tests.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from mailegress.aws.api import AddressRow, ChangeInfo, Page, PtrRow, RecordCursor, RecordPage, Service
from mailegress.aws.sdk import replies
from mailegress.model.aws import Change, NatGateway, Ptr, Zone

T = TypeVar("T")

_PAGE = 1000
_ZONE_PAGE = 100
_FILTER_VALUES = 200


class Operations(abc.ABC):
    """The ``AwsApi``, over one way to send a request."""

    @property
    @abc.abstractmethod
    def _route53_region(self) -> str:
        """For Route 53, which has one endpoint in a partition."""

    @abc.abstractmethod
    async def _call(
        self,
        service: Service,
        operation: str,
        region: str,
        arguments: Mapping[str, Any],
        parsed: Callable[[Any], T],
        caller: Service | None = None,
    ) -> T:
        """Send one request and return the reply as ``parsed`` reads it. ``caller``: whose credentials, if not the
        service's. Raises :class:`~mailegress.aws.api.AwsError`.
        """

    async def get_caller_identity(self, service: Service, region: str) -> str:
        return await self._call(Service.STS, "GetCallerIdentity", region, {}, _account, service)

    # ---------------------------------------------------------------- EC2

    async def describe_addresses(
        self, region: str, allocation_ids: Sequence[str] | None = None
    ) -> tuple[AddressRow, ...]:
        if allocation_ids is None:
            return await self._call(Service.EC2, "DescribeAddresses", region, {}, replies.addresses)
        found: tuple[AddressRow, ...] = ()
        for start in range(0, len(allocation_ids), _FILTER_VALUES):
            some = list(allocation_ids[start : start + _FILTER_VALUES])
            arguments = {"Filters": [{"Name": "allocation-id", "Values": some}]}
            found += await self._call(Service.EC2, "DescribeAddresses", region, arguments, replies.addresses)
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
        return await self._call(
            Service.EC2, "DescribeAddressesAttribute", region, arguments, replies.ptr_page
        )

    async def describe_nat_gateways(
        self, region: str, ids: Sequence[str] | None = None, token: str = ""
    ) -> Page[NatGateway]:
        arguments: dict[str, Any] = {"MaxResults": _PAGE}
        if ids is not None:
            arguments["Filter"] = [{"Name": "nat-gateway-id", "Values": list(ids)}]
        if token:
            arguments["NextToken"] = token
        return await self._call(Service.EC2, "DescribeNatGateways", region, arguments, replies.nat_page)

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
        return await self._route53("ListHostedZones", arguments, replies.zone_page)

    async def get_hosted_zone(self, zone_id: str) -> frozenset[str]:
        return await self._route53("GetHostedZone", {"Id": zone_id}, replies.name_servers)

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
        return await self._route53("ListResourceRecordSets", arguments, replies.record_page)

    async def change_resource_record_sets(self, zone_id: str, changes: Sequence[Change]) -> ChangeInfo:
        arguments = {"HostedZoneId": zone_id, "ChangeBatch": replies.change_batch(changes)}
        return await self._route53("ChangeResourceRecordSets", arguments, replies.change_info)

    async def get_change(self, change_id: str) -> ChangeInfo:
        return await self._route53("GetChange", {"Id": change_id}, replies.change_info)

    async def _route53(self, operation: str, arguments: Mapping[str, Any], parsed: Callable[[Any], T]) -> T:
        return await self._call(Service.ROUTE53, operation, self._route53_region, arguments, parsed)


def _account(reply: Any) -> str:
    return str(reply["Account"])


def _ptr_reply(reply: Any) -> Ptr:
    return replies.ptr(reply.get("Address") or {})
