"""Route 53 of one account: hosted zones, changes, listings."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .base import AwsFault, Context, Ids, Params, Response, resource_id
from .changebatch import check_size, cost, evaluate, read_changes
from .names import name_problem, normalize, sort_key
from .settings import Settings
from .throttle import Buckets
from .zones import OrderKey, Zone

MAX_PAGE = 300
MAX_ZONES_PAGE = 100
SERVICE_ENDED = "The resource is managed by another service"


@dataclass(slots=True)
class ChangeRecord:
    id: str
    zone_id: str
    submitted: float
    comment: str = ""


class Route53:
    """The operations take and give botocore's shapes. `choose_servers` picks a delegation set for a name;
    `is_elsewhere` tells whether another account has a zone."""

    def __init__(
        self,
        account: str,
        settings: Settings,
        ids: Ids,
        buckets: Buckets,
        choose_servers: Callable[[str], tuple[str, ...]],
        is_elsewhere: Callable[[str], bool] = lambda zone_id: False,
    ) -> None:
        self.account = account
        self.zones: dict[str, Zone] = {}
        self.changes: dict[str, ChangeRecord] = {}
        self._settings = settings
        self._ids = ids
        self._buckets = buckets
        self._choose_servers = choose_servers
        self._is_elsewhere = is_elsewhere
        self.operations: dict[str, Callable[[Context, Params], Response]] = {
            "CreateHostedZone": self.create_hosted_zone,
            "DeleteHostedZone": self.delete_hosted_zone,
            "GetHostedZone": self.get_hosted_zone,
            "ListHostedZones": self.list_hosted_zones,
            "ListHostedZonesByName": self.list_hosted_zones_by_name,
            "ListResourceRecordSets": self.list_resource_record_sets,
            "ChangeResourceRecordSets": self.change_resource_record_sets,
            "GetChange": self.get_change,
        }

    def zone(self, value: str) -> Zone:
        """Raises NoSuchHostedZone (HTTP 404), or AccessDenied for another account's if the settings say so."""
        zone_id = resource_id(value)
        if zone_id not in self.zones:
            if self._settings.foreign_zone == "AccessDenied" and self._is_elsewhere(zone_id):
                raise AwsFault(
                    "AccessDenied",
                    f"User is not authorized to access this resource: hostedzone/{zone_id}",
                    403,
                )
            raise AwsFault("NoSuchHostedZone", f"No hosted zone found with ID: {zone_id}", 404)
        return self.zones[zone_id]

    # -- zones ------------------------------------------------------------------------------------------

    def add_zone(
        self,
        name: str,
        *,
        private: bool = False,
        reference: str = "",
        comment: str = "",
        linked_service: str = "",
        name_servers: tuple[str, ...] | None = None,
        vpcs: tuple[tuple[str, str], ...] = (),
        zone_id: str | None = None,
    ) -> Zone:
        """Make a zone outside of the API, for setting worlds up."""
        zone = Zone(
            id=zone_id or self._ids.upper("Z", 20),
            name=normalize(name),
            account=self.account,
            private=private,
            name_servers=name_servers or self._choose_servers(normalize(name)),
            caller_reference=reference or self._ids.upper("ref-", 12),
            comment=comment,
            linked_service=linked_service,
            vpcs=vpcs,
        )
        self.zones[zone.id] = zone
        return zone

    def create_hosted_zone(self, context: Context, params: Params) -> Response:
        name = normalize(str(params["Name"]))
        problem = name_problem(name)
        if problem or name == ".":
            raise AwsFault("InvalidDomainName", problem or "The domain name is empty")
        reference = str(params["CallerReference"])
        if any(zone.caller_reference == reference for zone in self.zones.values()):
            raise AwsFault(
                "HostedZoneAlreadyExists",
                f"A hosted zone has already been created with the specified caller reference {reference}",
                409,
            )
        config: Params = params.get("HostedZoneConfig") or {}
        vpc: Params = params.get("VPC") or {}
        if config.get("PrivateZone") and not vpc:
            raise AwsFault(
                "InvalidInput", "When you're creating a private hosted zone, you must specify a VPC"
            )
        zone = self.add_zone(
            name,
            private=bool(vpc),
            reference=reference,
            comment=str(config.get("Comment") or ""),
            vpcs=((str(vpc.get("VPCRegion")), str(vpc.get("VPCId"))),) if vpc else (),
        )
        change = self._new_change(zone, context.now)
        out = self._zone_detail(zone)
        out["ChangeInfo"] = self._change_info(change, context.now)
        out["Location"] = f"https://route53.amazonaws.com/2013-04-01/hostedzone/{zone.id}"
        return out

    def delete_hosted_zone(self, context: Context, params: Params) -> Response:
        zone = self.zone(params["Id"])
        if any(not zone.required(key) for key in zone.records):
            raise AwsFault(
                "HostedZoneNotEmpty",
                "The specified hosted zone contains non-required resource record sets and so cannot be "
                "deleted.",
            )
        del self.zones[zone.id]
        return {"ChangeInfo": self._change_info(self._new_change(zone, context.now), context.now)}

    def get_hosted_zone(self, context: Context, params: Params) -> Response:
        return self._zone_detail(self.zone(params["Id"]))

    def list_hosted_zones(self, context: Context, params: Params) -> Response:
        size = _page_size(params, MAX_ZONES_PAGE)
        ids = sorted(self.zones)
        marker = str(params.get("Marker") or "")
        if marker and marker not in self.zones:
            raise AwsFault("NoSuchHostedZone" if marker.startswith("Z") else "InvalidInput", "Invalid marker")
        kept = [zone_id for zone_id in ids if zone_id >= marker]
        if params.get("HostedZoneType") == "PrivateHostedZone":
            kept = [zone_id for zone_id in kept if self.zones[zone_id].private]
        out: Response = {
            "HostedZones": [self._zone_summary(self.zones[zone_id]) for zone_id in kept[:size]],
            "IsTruncated": len(kept) > size,
            "MaxItems": str(size),
        }
        if marker:
            out["Marker"] = marker
        if len(kept) > size:
            out["NextMarker"] = kept[size]
        return out

    def list_hosted_zones_by_name(self, context: Context, params: Params) -> Response:
        size = _page_size(params, MAX_ZONES_PAGE)
        zone_id = resource_id(str(params.get("HostedZoneId") or ""))
        name = params.get("DNSName")
        if zone_id and not name:
            raise AwsFault("InvalidInput", "HostedZoneId requires DNSName")
        start = (sort_key(normalize(str(name))), zone_id) if name else ("", "")
        keyed = sorted((sort_key(zone.name), zone.id) for zone in self.zones.values())
        kept = [key for key in keyed if key >= start]
        out: Response = {
            "HostedZones": [self._zone_summary(self.zones[key[1]]) for key in kept[:size]],
            "IsTruncated": len(kept) > size,
            "MaxItems": str(size),
        }
        if name:
            out["DNSName"] = name
        if zone_id:
            out["HostedZoneId"] = zone_id
        if len(kept) > size:
            following = self.zones[kept[size][1]]
            out["NextDNSName"], out["NextHostedZoneId"] = following.name, following.id
        return out

    def _zone_summary(self, zone: Zone) -> Response:
        config: Response = {"PrivateZone": zone.private}
        if zone.comment:
            config["Comment"] = zone.comment
        out: Response = {
            "Id": f"/hostedzone/{zone.id}",
            "Name": zone.name,
            "CallerReference": zone.caller_reference,
            "Config": config,
            "ResourceRecordSetCount": len(zone.records),
        }
        if zone.linked_service:
            out["LinkedService"] = {"ServicePrincipal": zone.linked_service, "Description": SERVICE_ENDED}
        return out

    def _zone_detail(self, zone: Zone) -> Response:
        out: Response = {"HostedZone": self._zone_summary(zone)}
        if zone.private:
            vpcs = [{"VPCRegion": region, "VPCId": vpc} for region, vpc in zone.vpcs]
            out["VPCs"], out["VPC"] = vpcs, (vpcs[0] if vpcs else {})
        else:
            out["DelegationSet"] = {"NameServers": list(zone.name_servers)}
        return out

    # -- record sets ------------------------------------------------------------------------------------

    def list_resource_record_sets(self, context: Context, params: Params) -> Response:
        zone = self.zone(params["HostedZoneId"])
        size = _page_size(params, MAX_PAGE)
        name, rtype = params.get("StartRecordName"), params.get("StartRecordType")
        identifier = params.get("StartRecordIdentifier")
        if rtype and not name:
            raise AwsFault("InvalidInput", "If you specify StartRecordType, you must specify StartRecordName")
        if identifier and not rtype:
            raise AwsFault(
                "InvalidInput", "If you specify StartRecordIdentifier, you must specify StartRecordType"
            )
        start: OrderKey | None = None
        if name:
            start = (sort_key(normalize(str(name))), str(rtype or ""), str(identifier or ""))
        found = zone.ordered(start, size + 1)
        out: Response = {
            "ResourceRecordSets": [record_set.to_params() for record_set in found[:size]],
            "IsTruncated": len(found) > size,
            "MaxItems": str(size),
        }
        if len(found) > size:
            following = found[size]
            out["NextRecordName"], out["NextRecordType"] = following.name, following.type
            if following.set_identifier:
                out["NextRecordIdentifier"] = following.set_identifier
        return out

    def change_resource_record_sets(self, context: Context, params: Params) -> Response:
        zone = self.zone(params["HostedZoneId"])
        batch: Params = params["ChangeBatch"]
        changes = read_changes(batch)
        check_size(changes)
        if context.now < zone.busy_until:
            raise AwsFault(
                "PriorRequestNotComplete",
                "The request was rejected because Route 53 was still processing a prior request.",
            )
        if zone.linked_service:
            raise AwsFault("AccessDenied", "The resource hostedzone is managed by a linked service", 403)
        limit = self._settings.records_per_zone if self._settings.quotas else None
        if self._settings.quotas and not self._buckets.take(
            (self.account, "changes"), context.now, 1500, 100, cost(changes)
        ):
            raise AwsFault("Throttling", "Rate exceeded")
        zone.commit(evaluate(zone, changes, limit), context.now)
        zone.busy_until = context.now + self._settings.delays.change_processing
        change = self._new_change(zone, context.now, str(batch.get("Comment") or ""))
        return {"ChangeInfo": self._change_info(change, context.now)}

    def get_change(self, context: Context, params: Params) -> Response:
        change = self.changes.get(resource_id(params["Id"]))
        if change is None:
            raise AwsFault(
                "NoSuchChange", f"Could not find resource with ID: {resource_id(params['Id'])}", 404
            )
        return {"ChangeInfo": self._change_info(change, context.now)}

    def _new_change(self, zone: Zone, now: float, comment: str = "") -> ChangeRecord:
        change = ChangeRecord(self._ids.upper("C", 20), zone.id, now, comment)
        self.changes[change.id] = change
        return change

    def _change_info(self, change: ChangeRecord, now: float) -> dict[str, Any]:
        done = now >= change.submitted + self._settings.delays.insync
        out: dict[str, Any] = {
            "Id": f"/change/{change.id}",
            "Status": "INSYNC" if done else "PENDING",
            "SubmittedAt": datetime.datetime.fromtimestamp(change.submitted, datetime.UTC),
        }
        if change.comment:
            out["Comment"] = change.comment
        return out


def _page_size(params: Params, most: int) -> int:
    raw = params.get("MaxItems")
    if raw in (None, ""):
        return most
    try:
        size = int(str(raw))
    except ValueError:
        raise AwsFault("InvalidInput", f"MaxItems '{raw}' is not a number") from None
    if size < 1:
        raise AwsFault("InvalidInput", "MaxItems must be at least 1")
    return min(size, most)
