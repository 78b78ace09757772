"""Is what a plan asks for known already? Whoever asks for that is woken at once, and plans the same again (S11)."""

from __future__ import annotations

from typing import Any

from mailegress.model.facts import Fact
from mailegress.reconcile.ports import Views
from mailegress.reconcile.result import (
    Need,
    NeedAuthorities,
    NeedDelegation,
    NeedName,
    NeedNameServers,
    NeedPtr,
    NeedPublic,
    NeedRegion,
    NeedSampleAuthority,
    NeedServerAddresses,
    NeedSweep,
    NeedZoneLook,
    NeedZones,
)


def is_known(need: Need, views: Views) -> bool:
    """A reading that is new enough is there, so that asking for it wakes the object without a reading."""
    match need:
        case NeedSweep():
            return bool(views.records.all_swept().value)
        case NeedPtr(region, allocation_id, not_before):
            fact = views.addresses.ptr(region, allocation_id)
            # While AWS is changing it, the poll decides when.
            return fact.value is not None and fact.fresh(not_before) and not fact.value.pending
        case NeedPublic(hostname, addresses, not_before):
            report = views.dns.public(hostname)
            return (
                report.value is not None and report.fresh(not_before) and addresses <= report.value.addresses
            )
    return _fact(need, views).fresh(need.not_before)


def _fact(need: Any, views: Views) -> Fact[Any]:
    match need:
        case NeedRegion(region):
            return views.addresses.get(region)
        case NeedZones():
            return views.zones.get()
        case NeedNameServers(zone_id):
            return views.zones.name_servers(zone_id)
        case NeedZoneLook(zone_id):
            return views.zones.look(zone_id)
        case NeedName(zone_id, hostname):
            return views.records.get(zone_id, hostname)
        case NeedAuthorities(hostname):
            return views.dns.authorities(hostname)
        case NeedSampleAuthority(hostname):
            return views.dns.sample_authority(hostname)
        case NeedDelegation(zone):
            return views.dns.delegation(zone)
        case NeedServerAddresses(name):
            return views.dns.server_addresses(name)
    raise AssertionError(f"what is {need}?")
