"""An AWS account, read with the person's own credentials. Nothing is written."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from mailegress.api.tags import Tags, has_tags
from mailegress.api.text import clean_text
from mailegress.aws.api import AwsApi, AwsError, RecordCursor
from mailegress.aws.errors import classify
from mailegress.aws.sdk.client import BotoApi
from mailegress.aws.settings import BotoSettings
from mailegress.model.aws import Zone
from mailegress.telemetry.metrics import Metrics
from mailegress.tools.plugin.cluster import Problem
from mailegress.tools.plugin.inventory import Address, Inventory, Record, interesting

_RECORDS = 300
"""Record sets of one page, the most that Route 53 returns."""


@contextlib.asynccontextmanager
async def account(region: str) -> AsyncIterator[AwsApi]:
    """AWS as the SDK's own chain has it. Errors: :class:`Problem`."""
    with contextlib.closing(BotoApi(BotoSettings(region=region), Metrics())) as api:
        try:
            yield api
        except AwsError as error:
            found = classify(error)
            raise Problem(
                f"AWS cannot be read: {found.message}; see which identity `aws sts get-caller-identity` shows"
            ) from None


async def read(api: AwsApi, regions: Sequence[str], tags: Tags) -> Inventory:
    """Elastic IPs of the regions that have all the tags, and the public zones. Errors: :class:`AwsError`."""
    addresses: list[Address] = []
    for region in regions:
        pointers = await _pointers(api, region)
        addresses += [
            Address(row.allocation_id, row.public_ip, region, pointers.get(row.allocation_id, ""))
            for row in await api.describe_addresses(region)
            if has_tags(row.tags, tags)
        ]
    zones = await public_zones(api)
    records = [record for zone in zones for record in await records_of(api, zone)]
    return Inventory(tuple(addresses), zones, tuple(records))


async def _pointers(api: AwsApi, region: str) -> dict[str, str]:
    found: dict[str, str] = {}
    token = ""
    while True:
        page = await api.describe_addresses_attribute(region, token=token)
        found |= {row.allocation_id: clean_text(row.ptr.name or "", 253) for row in page.items}
        token = page.next
        if not token:
            return found


async def public_zones(api: AwsApi) -> tuple[Zone, ...]:
    """Every public hosted zone of the account. Errors: :class:`AwsError`."""
    zones: list[Zone] = []
    marker = ""
    while True:
        page = await api.list_hosted_zones(marker)
        zones += [zone for zone in page.items if not zone.private]
        marker = page.next
        if not marker:
            return tuple(zones)


async def records_of(api: AwsApi, zone: Zone) -> tuple[Record, ...]:
    """A zone's A, CNAME and TXT record sets. Errors: :class:`AwsError`."""
    found: list[Record] = []
    start: RecordCursor | None = None
    while True:
        page = await api.list_resource_record_sets(zone.id, start, _RECORDS)
        found += [Record(zone.id, record_set) for record_set in interesting(page.items)]
        start = page.next
        if start is None:
            return tuple(found)
