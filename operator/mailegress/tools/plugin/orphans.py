"""``kubectl mailegress orphans``: ownership records whose MailEgress does not exist any more. Nothing is changed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mailegress.api.names import OWNERSHIP_LABEL
from mailegress.model import ownership
from mailegress.tools import terminal
from mailegress.tools.plugin import account
from mailegress.tools.plugin.cluster import reach
from mailegress.tools.plugin.inventory import Record
from mailegress.tools.terminal import Block, Table, Text

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Orphan:
    """An ownership record of this cluster without an object, and the A record that it speaks for."""

    hostname: str
    zone_id: str
    zone: str
    uid: str
    adopted: bool
    values: tuple[str, ...]


def orphans(
    records: Sequence[tuple[str, Record]], owners: frozenset[str], uids: frozenset[str]
) -> tuple[list[Orphan], int]:
    """Those of these owners, and how many records are of other owners. ``records``: each with its zone's name."""
    values = {
        (r.zone_id, r.record_set.name): r.record_set.values for _, r in records if r.record_set.type == "A"
    }
    found, others = [], 0
    for zone, record in records:
        name = record.record_set.name
        if record.record_set.type != "TXT" or not name.startswith(f"{OWNERSHIP_LABEL}."):
            continue
        mark = ownership.parse(record.record_set.values)
        if mark is None:
            continue
        if mark.owner not in owners:
            others += 1
        elif mark.uid not in uids:
            hostname = name.removeprefix(f"{OWNERSHIP_LABEL}.")
            a = values.get((record.zone_id, hostname), ())
            found.append(Orphan(hostname, record.zone_id, zone, mark.uid, mark.adopted, a))
    return sorted(found, key=lambda o: (o.zone, o.hostname)), others


def blocks(found: Sequence[Orphan], others: int) -> Iterator[Block]:
    noun = "ownership record has" if len(found) == 1 else "ownership records have"
    yield Text(f"{len(found)} {noun} no MailEgress in this cluster.", "bad" if found else "good")
    if others:
        yield Text(f"{others} more belong to other owner IDs; name one with --owner-id to look at it.")
    if found:
        yield Text("")
        yield Table(
            ("hostname", "zone", "A record", "made by", "uid of the object"),
            [
                (
                    o.hostname,
                    f"{o.zone} ({o.zone_id})",
                    ", ".join(o.values) or "none",
                    "somebody else (adopted)" if o.adopted else "the operator",
                    o.uid,
                )
                for o in found
            ],
        )
        yield Text("")
        yield Text(
            "To do: create a MailEgress with the hostname and the same addresses, which takes the record over; or "
            "delete the TXT record and, if the operator made it, the A record, after resetting the PTRs."
        )


async def run(
    owner_ids: Sequence[str], region: str, kubeconfig: str | None, context: str | None, *, as_json: bool
) -> int:
    """Exit code 1 if there are any. Errors: :class:`~mailegress.tools.plugin.cluster.Problem`."""
    async with reach(kubeconfig, context) as cluster:
        # Before and after: an object that is created or deleted meanwhile makes no orphan.
        before = await cluster.objects(None)
        async with account.account(region) as api:
            records = [
                (zone.name, record)
                for zone in await account.public_zones(api)
                for record in await account.records_of(api, zone)
            ]
        uids = frozenset(str(body["metadata"]["uid"]) for body in (*before, *await cluster.objects(None)))
        owners = frozenset(owner_ids) or frozenset({ownership.derived_owner(await cluster.uid())})
    found, others = orphans(records, owners, uids)
    if as_json:
        items = [
            {"hostname": o.hostname, "zone": o.zone, "zoneID": o.zone_id, "uid": o.uid, "adopted": o.adopted,
             "values": list(o.values)}
            for o in found
        ]  # fmt: skip
        sys.stdout.write(
            json.dumps({"format": FORMAT, "items": items, "otherOwners": others}, indent=2) + "\n"
        )
    else:
        terminal.show(blocks(found, others))
    return 1 if found else 0
