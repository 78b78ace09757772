"""ChangeResourceRecordSets: one batch, judged as a whole, applied as a whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .base import AwsFault, Params
from .names import name_problem, within
from .records import RecordSet, from_params, value_problems
from .zones import Delta, NameSets, Zone

MAX_RECORDS = 1_000
MAX_CHARACTERS = 32_000

Change = tuple[str, RecordSet]


def read_changes(batch: Params) -> list[Change]:
    """The batch's changes. Raises InvalidInput."""
    changes: Sequence[Params] = batch.get("Changes") or []
    if not changes:
        raise AwsFault("InvalidInput", "Invalid request: No changes in the change batch")
    out: list[Change] = []
    for change in changes:
        action = str(change["Action"])
        if action not in ("CREATE", "DELETE", "UPSERT"):
            raise AwsFault("InvalidInput", f"Invalid request: Unknown action '{action}'")
        out.append((action, from_params(action, change["ResourceRecordSet"])))
    return out


def cost(changes: Sequence[Change]) -> int:
    """Against the change-throughput bucket: CREATE and DELETE 1, UPSERT 2."""
    return sum(2 if action == "UPSERT" else 1 for action, _ in changes)


def evaluate(zone: Zone, changes: Sequence[Change], limit: int | None) -> list[Delta]:
    """What the batch does to the zone. Raises InvalidChangeBatch with every problem found; changes nothing.

    `limit` is the quota of record sets in a zone (None = no limit).
    """
    problems: list[str] = _repeated(changes)
    work: dict[str, NameSets] = {}
    for action, record_set in changes:
        found = _own_problems(zone, record_set) if action != "DELETE" else []
        if not within(record_set.name, zone.name):
            found = [f"RRSet with DNS name {record_set.name} is not permitted in zone {zone.name}"]
        if found:
            problems.extend(found)
            continue
        sets = work.get(record_set.name)
        if sets is None:
            sets = work[record_set.name] = dict(zone.live.at(record_set.name))
        problem = _step(zone, sets, action, record_set)
        if problem:
            problems.append(problem)
    if problems:
        raise AwsFault("InvalidChangeBatch", f"[{', '.join(dict.fromkeys(problems))}]")
    deltas = _deltas(zone, work)
    grown = len(zone.records) + sum(
        (1 if new is not None and key not in zone.records else 0) - (1 if new is None else 0)
        for key, new in deltas
    )
    if limit is not None and grown > limit and grown > len(zone.records):
        raise AwsFault(
            "InvalidChangeBatch",
            f"[Limits Exceeded: MAX_RRSETS_BY_ZONE={limit} - Cannot create more resource record sets.]",
        )
    return deltas


def check_size(changes: Sequence[Change]) -> None:
    """Raises InvalidChangeBatch for a batch over the limits of records or characters."""
    records = characters = 0
    for action, record_set in changes:
        factor = 2 if action == "UPSERT" else 1
        records += factor * max(len(record_set.values), 1)
        characters += factor * sum(len(value) for value in record_set.values)
    if records > MAX_RECORDS:
        raise AwsFault("InvalidChangeBatch", f"[Number of records limit of {MAX_RECORDS} exceeded.]")
    if characters > MAX_CHARACTERS:
        raise AwsFault("InvalidChangeBatch", f"[Number of characters limit of {MAX_CHARACTERS} exceeded.]")


def _repeated(changes: Sequence[Change]) -> list[str]:
    """A set may be in a batch once, or twice as DELETE then CREATE."""
    actions: dict[tuple[str, str, str], list[str]] = {}
    for action, record_set in changes:
        actions.setdefault(record_set.key, []).append(action)
    return [
        f"The request contains an invalid set of changes for a resource record set '{key[1]} {key[0]}'"
        for key, sequence in actions.items()
        if len(sequence) > 1 and sequence != ["DELETE", "CREATE"]
    ]


def _own_problems(zone: Zone, record_set: RecordSet) -> list[str]:
    problem = name_problem(record_set.name)
    out = [f"Invalid Resource Record Name: '{problem}'"] if problem else []
    out.extend(value_problems(record_set))
    if record_set.name == zone.name and record_set.type == "CNAME":
        out.append(
            f"RRSet of type CNAME with DNS name {zone.name} is not permitted at apex in zone {zone.name}"
        )
    return out


def _step(zone: Zone, sets: NameSets, action: str, record_set: RecordSet) -> str | None:
    """Apply one change to the sets at its name; the problem that forbids it, if any."""
    slot = (record_set.type, record_set.set_identifier)
    current = sets.get(slot)
    if action == "DELETE":
        if current is None:
            return f"Tried to delete resource record set {record_set.label()} but it was not found"
        if not current.same_as(record_set):
            return (
                f"Tried to delete resource record set {record_set.label()} "
                "but the values provided do not match the current values"
            )
        if zone.required(record_set.key):
            exact = "exactly one SOA record" if record_set.type == "SOA" else "at least one NS record"
            return f"A HostedZone must contain {exact} for the zone itself"
        del sets[slot]
        return None
    if action == "CREATE" and current is not None:
        return f"Tried to create resource record set {record_set.label()} but it already exists"
    problem = _conflict(zone, sets, record_set)
    if problem is None:
        sets[slot] = record_set
    return problem


def _conflict(zone: Zone, sets: NameSets, record_set: RecordSet) -> str | None:
    name, rtype, identifier = record_set.key
    types = {other_type for other_type, _ in sets}
    if rtype == "CNAME" and types - {"CNAME"}:
        return (
            f"RRSet of type CNAME with DNS name {name} is not permitted as it conflicts with other records "
            f"with the same DNS name in zone {zone.name}"
        )
    if rtype != "CNAME" and "CNAME" in types:
        return (
            f"RRSet of type {rtype} with DNS name {name} is not permitted because a conflicting RRSet of "
            f"type CNAME with the same DNS name already exists in zone {zone.name}"
        )
    others = [each for (other, other_id), each in sets.items() if other == rtype and other_id != identifier]
    if any(other.routing != record_set.routing for other in others):
        shown = f", SetIdentifier {identifier}" if identifier else ""
        return (
            f"RRSet with DNS name {name}, type {rtype}{shown} cannot be created "
            "as other RRSets exist with the same name and type"
        )
    if record_set.routing == "Weight" and any(other.ttl != record_set.ttl for other in others):
        return (
            f"RRSet with DNS name {name}, type {rtype}, SetIdentifier {identifier} must have the same TTL "
            "as the other weighted RRSets of its group"
        )
    return None


def _deltas(zone: Zone, work: dict[str, NameSets]) -> list[Delta]:
    deltas: list[Delta] = []
    for name, sets in work.items():
        before = zone.live.at(name)
        for rtype, identifier in before:
            if (rtype, identifier) not in sets:
                deltas.append(((name, rtype, identifier), None))
        for (rtype, identifier), record_set in sets.items():
            if before.get((rtype, identifier)) != record_set:
                deltas.append(((name, rtype, identifier), record_set))
    return deltas


def condition_facts(changes: Sequence[Change]) -> dict[str, Any]:
    """IAM's condition keys of this request (page "Using IAM policy conditions for fine-grained access")."""
    return {
        "names": sorted({record_set.name[:-1] for _, record_set in changes}),
        "types": sorted({record_set.type for _, record_set in changes}),
        "actions": sorted({action for action, _ in changes}),
    }
