"""One sweep of an account's region: EIPs, their PTRs and the NAT gateways, in three calls as a rule."""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from mailegress.aws.api import AddressRow, AwsError, Page, Service
from mailegress.aws.errors import says_no_such_operation
from mailegress.aws.identity import Identity
from mailegress.aws.rate_limit import Priority
from mailegress.aws.runtime import Runtime
from mailegress.model.aws import Eip, NatGateway, Ptr, RegionView
from mailegress.model.facts import NEVER

T = TypeVar("T")

_SETTLED_NAT_STATUS = "succeeded"

_OTHER_PARTITIONS = re.compile(r"us-gov-|eusc-|[a-z]{2}-iso[a-z]?-")
"""Regions of GovCloud, the European Sovereign Cloud and the ISO partitions."""


def may_lack_ptr_api(region: str) -> bool:
    """Whether EC2's answer decides if a region has reverse DNS. All commercial and China regions have it."""
    return _OTHER_PARTITIONS.match(region) is not None


class Sweeper:
    """Reads one region. NAT gateways and "no PTRs here" are remembered between sweeps, to keep the calls few."""

    def __init__(self, runtime: Runtime, region: str, identity: Identity) -> None:
        self._rt = runtime
        self._region = region
        self._identity = identity
        self._gateways: dict[str, NatGateway] = {}
        self._gateways_at = NEVER
        self._associations: int | None = None
        """Hash of what was attached where; a set of ten thousand would be kept for nothing."""
        self._unsupported_at = NEVER

    async def sweep(self, demand: Callable[[], float]) -> RegionView:
        """``demand``: the newest moment that somebody wants everything to be read after."""
        account = functools.partial(self._identity.account, self._region)
        try:
            return await self._identity.steadily(account, functools.partial(self._sweep, demand))
        except AwsError as error:
            self._identity.note(error)
            raise

    async def _sweep(self, demand: Callable[[], float], account: str) -> RegionView:
        began = self._rt.clock()
        rows = await self._call(functools.partial(self._rt.api.describe_addresses, self._region))
        ptrs = await self._ptrs(began)
        gateways = await self._nat_gateways(rows, began, demand())
        holder = {
            address.allocation_id: gateway
            for gateway in gateways.values()
            if gateway.state not in ("deleted", "failed")
            for address in gateway.addresses
            if address.allocation_id
        }
        nowhere = NatGateway("", "")
        eips = {
            row.allocation_id: Eip(
                allocation_id=row.allocation_id,
                public_ip=row.public_ip,
                account_id=account,
                region=self._region,
                ptr=(ptrs or {}).get(row.allocation_id, Ptr()),
                instance_id=row.instance_id,
                network_interface_id=row.network_interface_id,
                nat_gateway_id=holder.get(row.allocation_id, nowhere).id,
                tags=row.tags,
                nat_gateway_tags=holder.get(row.allocation_id, nowhere).tags,
                service_managed=row.service_managed,
            )
            for row in rows
            if row.allocation_id
        }
        return RegionView(self._region, account, eips, gateways, ptr_supported=ptrs is not None)

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        return await self._rt.read(Service.EC2, Priority.SWEEP, self._region, call)

    async def _ptrs(self, began: float) -> dict[str, Ptr] | None:
        """Every PTR of the region; None where its partition has no API for them.

        In a partition that has the API the same answer is a failed reading: one refusal must not turn every address
        of the region into one that only AWS Support can serve.
        """
        if began - self._unsupported_at < self._rt.settings.unsupported_retry:
            return None
        found: dict[str, Ptr] = {}
        token = ""
        while True:
            call = functools.partial(self._rt.api.describe_addresses_attribute, self._region, None, token)
            try:
                page = await self._call(call)
            except AwsError as error:
                if says_no_such_operation(error) and may_lack_ptr_api(self._region):
                    self._unsupported_at = began
                    return None
                raise
            found.update((row.allocation_id, row.ptr) for row in page.items)
            token = page.next
            if not token:
                self._unsupported_at = NEVER
                return found

    async def _nat_gateways(
        self, rows: Iterable[AddressRow], began: float, demand: float
    ) -> dict[str, NatGateway]:
        """As remembered, unless they are old, moving, wanted fresh, or an address changed its place."""
        settings = self._rt.settings
        places = frozenset((r.allocation_id, r.network_interface_id, r.instance_id) for r in rows)
        associations = hash(places)
        moving = any(
            gateway.state in ("pending", "deleting")
            or any(address.status != _SETTLED_NAT_STATUS for address in gateway.addresses)
            for gateway in self._gateways.values()
        )
        wanted_fresh = demand > self._gateways_at and demand >= began - settings.fresh_window
        old = began - self._gateways_at > settings.nat_max_age
        if not (moving or wanted_fresh or old or associations != self._associations):
            return self._gateways
        found: dict[str, NatGateway] = {}
        token = ""
        while True:
            call = functools.partial(self._rt.api.describe_nat_gateways, self._region, None, token)
            page: Page[NatGateway] = await self._call(call)
            found.update((gateway.id, gateway) for gateway in page.items)
            token = page.next
            if not token:
                break
        self._gateways, self._gateways_at, self._associations = found, began, associations
        return found
