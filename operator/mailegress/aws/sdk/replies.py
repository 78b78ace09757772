"""boto3's replies into the contract's values. Pure; runs in the caller's thread, off the event loop."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from mailegress.api.names import normalise_name
from mailegress.api.tags import Tags
from mailegress.aws.api import AddressRow, ChangeInfo, Page, PtrRow, RecordCursor, RecordPage
from mailegress.model.aws import Change, NatAddress, NatGateway, Ptr, RecordSet, Zone

Reply = Mapping[str, Any]


def ptr(item: Reply) -> Ptr:
    """An AddressAttribute. Names come fully qualified, with the dot."""
    update = item.get("PtrRecordUpdate") or {}
    return Ptr(
        name=normalise_name(item.get("PtrRecord") or "") or None,
        update=normalise_name(update.get("Value") or "") or None,
        status=update.get("Status") or "",
        reason=update.get("Reason") or "",
    )


def ptr_page(reply: Reply) -> Page[PtrRow]:
    rows = tuple(
        PtrRow(item.get("AllocationId", ""), item.get("PublicIp", ""), ptr(item))
        for item in reply.get("Addresses", ())
    )
    return Page(rows, reply.get("NextToken") or "")


class _TagReader:
    """Reads the tags of one reply. Equal keys, pairs and sets of tags are kept once: a tag such as ``team=mail`` is
    on thousands of addresses.
    """

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}
        self._pairs: dict[tuple[str, str], tuple[str, str]] = {}
        self._sets: dict[Tags, Tags] = {}

    def read(self, item: Reply) -> Tags:
        found = item.get("Tags")
        if not found:
            return ()
        tags = tuple(sorted(self._pair(tag.get("Key") or "", tag.get("Value") or "") for tag in found))
        return self._sets.setdefault(tags, tags)

    def _pair(self, key: str, value: str) -> tuple[str, str]:
        pair = (self._keys.setdefault(key, key), value)
        return self._pairs.setdefault(pair, pair)


def addresses(reply: Reply) -> tuple[AddressRow, ...]:
    tags = _TagReader()
    return tuple(
        AddressRow(
            allocation_id=item["AllocationId"],
            public_ip=item.get("PublicIp", ""),
            instance_id=item.get("InstanceId") or "",
            network_interface_id=item.get("NetworkInterfaceId") or "",
            tags=tags.read(item),
            service_managed=sys.intern(item.get("ServiceManaged") or ""),
        )
        for item in reply.get("Addresses", ())
        if item.get("AllocationId")
    )


def nat_page(reply: Reply) -> Page[NatGateway]:
    tags = _TagReader()
    found = tuple(_nat(item, tags) for item in reply.get("NatGateways", ()))
    return Page(found, reply.get("NextToken") or "")


def _nat(item: Reply, tags: _TagReader) -> NatGateway:
    # Replies of old gateways carry no Status beside an address: it is attached then.
    found = tuple(
        NatAddress(
            a["AllocationId"],
            a.get("PublicIp", ""),
            a.get("Status") or "succeeded",
            a.get("AvailabilityZone") or a.get("AvailabilityZoneId") or "",
            a.get("FailureMessage") or "",
        )
        for a in item.get("NatGatewayAddresses", ())
        if a.get("AllocationId")
    )
    regional = item.get("AvailabilityMode") == "regional"
    if regional:
        # Compared from minute to minute: the order in which AWS lists them must not look like a change.
        found = tuple(sorted(found, key=lambda address: address.allocation_id))
    return NatGateway(
        item["NatGatewayId"],
        item.get("State", ""),
        found,
        tags.read(item),
        regional=regional,
        automatic="enabled" in (item.get("AutoScalingIps"), item.get("AutoProvisionZones")),
    )


def zone_page(reply: Reply) -> Page[Zone]:
    found = tuple(
        Zone(
            id=item["Id"].removeprefix("/hostedzone/"),
            name=normalise_name(item["Name"]),
            private=bool((item.get("Config") or {}).get("PrivateZone")),
            linked_service=(item.get("LinkedService") or {}).get("ServicePrincipal") or "",
            record_count=int(item.get("ResourceRecordSetCount") or 0),
        )
        for item in reply.get("HostedZones", ())
    )
    return Page(found, (reply.get("NextMarker") or "") if reply.get("IsTruncated") else "")


def name_servers(reply: Reply) -> frozenset[str]:
    servers = (reply.get("DelegationSet") or {}).get("NameServers", ())
    return frozenset(map(normalise_name, servers))


def record_page(reply: Reply) -> RecordPage:
    following = None
    if reply.get("IsTruncated"):
        following = RecordCursor(
            # A cursor, not a name to compare: it goes back as it came.
            reply["NextRecordName"],
            reply.get("NextRecordType") or "",
            reply.get("NextRecordIdentifier") or "",
        )
    return RecordPage(tuple(map(_record, reply.get("ResourceRecordSets", ()))), following)


def _record(item: Reply) -> RecordSet:
    ttl = item.get("TTL")
    return RecordSet(
        name=normalise_name(item["Name"]),
        type=item["Type"],
        ttl=None if ttl is None else int(ttl),
        values=tuple(sorted(value["Value"] for value in item.get("ResourceRecords", ()))),
        set_identifier=item.get("SetIdentifier"),
        alias="AliasTarget" in item,
    )


def change_info(reply: Reply) -> ChangeInfo:
    info = reply["ChangeInfo"]
    return ChangeInfo(info["Id"].removeprefix("/change/"), info["Status"])


def change_batch(changes: Iterable[Change]) -> dict[str, Any]:
    """The request's ChangeBatch."""
    out = []
    for change in changes:
        record = change.record_set
        item: dict[str, Any] = {
            "Name": f"{record.name}.",
            "Type": record.type,
            "ResourceRecords": [{"Value": value} for value in record.values],
        }
        if record.ttl is not None:
            item["TTL"] = record.ttl
        if record.set_identifier is not None:
            item["SetIdentifier"] = record.set_identifier
        out.append({"Action": change.verb.value, "ResourceRecordSet": item})
    return {"Changes": out}
