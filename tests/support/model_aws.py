"""``AwsApi`` over the sandbox's model of AWS: the requests and replies of the boto3 implementation, without boto3."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from mailegress.aws.api import AddressRow, ChangeInfo, Page, PtrRow, RecordCursor, RecordPage, Service
from mailegress.aws.sdk import replies
from mailegress.model.aws import Change, NatGateway, Ptr, Zone

T = TypeVar("T")

ROUTE53_REGION = "us-east-1"


class ModelAws(abc.ABC):
    """Who derives from it says how one request travels."""

    @abc.abstractmethod
    async def _call(
        self,
        service: Service,
        operation: str,
        region: str,
        params: Mapping[str, Any],
        parsed: Callable[[Any], T],
        caller: Service | None = None,
    ) -> T:
        """One request, named as botocore names it. ``caller``: whose credentials, if not the service's.

        Raises AwsError.
        """

    async def get_caller_identity(self, service: Service, region: str) -> str:
        return await self._call(
            Service.STS, "GetCallerIdentity", region, {}, lambda r: str(r["Account"]), service
        )

    async def describe_addresses(
        self, region: str, allocation_ids: Sequence[str] | None = None
    ) -> tuple[AddressRow, ...]:
        params: dict[str, Any] = {}
        if allocation_ids is not None:
            params["Filters"] = [{"Name": "allocation-id", "Values": list(allocation_ids)}]
        return await self._call(Service.EC2, "DescribeAddresses", region, params, replies.addresses)

    async def describe_addresses_attribute(
        self, region: str, allocation_ids: Sequence[str] | None = None, token: str = ""
    ) -> Page[PtrRow]:
        params: dict[str, Any] = {"Attribute": "domain-name"}
        if allocation_ids is None:
            params["MaxResults"] = 1000
        else:
            params["AllocationIds"] = list(allocation_ids)
        if token:
            params["NextToken"] = token
        return await self._call(Service.EC2, "DescribeAddressesAttribute", region, params, replies.ptr_page)

    async def describe_nat_gateways(
        self, region: str, ids: Sequence[str] | None = None, token: str = ""
    ) -> Page[NatGateway]:
        params: dict[str, Any] = {"MaxResults": 1000}
        if ids is not None:
            params["Filter"] = [{"Name": "nat-gateway-id", "Values": list(ids)}]
        if token:
            params["NextToken"] = token
        return await self._call(Service.EC2, "DescribeNatGateways", region, params, replies.nat_page)

    async def modify_address_attribute(self, region: str, allocation_id: str, domain_name: str) -> Ptr:
        params = {"AllocationId": allocation_id, "DomainName": domain_name}
        return await self._call(Service.EC2, "ModifyAddressAttribute", region, params, _ptr_reply)

    async def reset_address_attribute(self, region: str, allocation_id: str) -> Ptr:
        params = {"AllocationId": allocation_id, "Attribute": "domain-name"}
        return await self._call(Service.EC2, "ResetAddressAttribute", region, params, _ptr_reply)

    async def list_hosted_zones(self, marker: str = "") -> Page[Zone]:
        params = {"MaxItems": "100"} | ({"Marker": marker} if marker else {})
        return await self._route53("ListHostedZones", params, replies.zone_page)

    async def get_hosted_zone(self, zone_id: str) -> frozenset[str]:
        return await self._route53("GetHostedZone", {"Id": zone_id}, replies.name_servers)

    async def list_resource_record_sets(
        self, zone_id: str, start: RecordCursor | None, max_items: int
    ) -> RecordPage:
        params: dict[str, Any] = {"HostedZoneId": zone_id, "MaxItems": str(max_items)}
        if start is not None:
            params["StartRecordName"] = start.name
            if start.type:
                params["StartRecordType"] = start.type
            if start.identifier:
                params["StartRecordIdentifier"] = start.identifier
        return await self._route53("ListResourceRecordSets", params, replies.record_page)

    async def change_resource_record_sets(self, zone_id: str, changes: Sequence[Change]) -> ChangeInfo:
        params = {"HostedZoneId": zone_id, "ChangeBatch": replies.change_batch(changes)}
        return await self._route53("ChangeResourceRecordSets", params, replies.change_info)

    async def get_change(self, change_id: str) -> ChangeInfo:
        return await self._route53("GetChange", {"Id": change_id}, replies.change_info)

    async def _route53(self, operation: str, params: Mapping[str, Any], parsed: Callable[[Any], T]) -> T:
        return await self._call(Service.ROUTE53, operation, ROUTE53_REGION, params, parsed)


def _ptr_reply(reply: Any) -> Ptr:
    return replies.ptr(reply.get("Address") or {})
