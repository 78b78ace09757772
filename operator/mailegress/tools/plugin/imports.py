"""``kubectl mailegress import``: from what exists to manifests, and a report of what can be adopted and what cannot."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailegress.api.limits import MAX_TTL_SECONDS, MIN_TTL_SECONDS
from mailegress.api.names import API_VERSION, KIND
from mailegress.api.tags import Tags
from mailegress.api.validation import is_hostname
from mailegress.tools import terminal
from mailegress.tools.plugin import terraform
from mailegress.tools.plugin.cluster import Problem
from mailegress.tools.plugin.inventory import Address, Inventory, Record
from mailegress.tools.terminal import Block, Cell, Row, Table, Text

MOST = 16
"""Addresses of one MailEgress."""


@dataclass(frozen=True, slots=True)
class Source:
    """What to import. ``state``: a file of ``terraform show -json``; without one the account is read."""

    regions: tuple[str, ...]
    tags: Tags = ()
    state: str | None = None
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One hostname and the addresses whose PTR it is. ``problem``: why it cannot be adopted as it is."""

    hostname: str
    addresses: tuple[Address, ...]
    problem: str = ""
    record: Record | None = None
    managed: bool = False
    """A MailEgress has it already."""
    observed: bool = False
    """The A record is in a DNS that cannot be seen from here."""

    @property
    def resources(self) -> tuple[str, ...]:
        """Terraform resources to be removed from its state, in a safe order: the PTRs, which need the record, first."""
        pointers = sorted(r for a in self.addresses for r in a.resources)
        return (
            *pointers,
            *([self.record.resource] if self.record is not None and self.record.resource else []),
        )


def candidates(found: Inventory) -> tuple[Candidate, ...]:
    """By hostname. Addresses without a PTR are no candidates."""
    names: dict[str, list[Address]] = {}
    for address in found.addresses:
        if address.ptr:
            names.setdefault(address.ptr, []).append(address)
    return tuple(_candidate(found, name, names[name]) for name in sorted(names))


def _candidate(found: Inventory, hostname: str, addresses: list[Address]) -> Candidate:
    ordered = tuple(sorted(addresses, key=lambda a: (a.region, a.allocation_id)))
    if not is_hostname(hostname):
        return Candidate(hostname, ordered, "the PTR is no hostname that a MailEgress takes; set another one")
    if len(ordered) > MOST:
        return Candidate(
            hostname, ordered, f"{len(ordered)} addresses have this PTR; one MailEgress takes at most {MOST}"
        )
    mark = found.mark(hostname)
    if mark is not None:
        text = f"nothing: it has an ownership record already (owner ID {mark.owner})"
        return Candidate(hostname, ordered, text, managed=True)
    if found.zone_of(hostname) is None:
        return Candidate(hostname, ordered, observed=True)
    at = found.at(hostname)
    odd = next((r for r in at if r.record_set.type != "A" or not r.record_set.simple), None)
    if odd is not None:
        kind = "an alias" if odd.record_set.alias else odd.record_set.type
        what = f"{kind} with a routing policy" if odd.record_set.set_identifier else kind
        return Candidate(
            hostname,
            ordered,
            f"the record set is {what}; make it a plain A record with the addresses first",
            odd,
        )
    if not at:
        return Candidate(hostname, ordered, "there is no A record; create it with the addresses first")
    wanted, values = {a.public_ip for a in ordered}, set(at[0].record_set.values)
    if wanted != values:
        return Candidate(hostname, ordered, _difference(wanted, values), at[0])
    return Candidate(hostname, ordered, record=at[0])


def _difference(wanted: set[str], values: set[str]) -> str:
    parts = []
    if more := sorted(values - wanted):
        parts.append(
            f"the A record also has {', '.join(more)}, whose PTR is not this name: set it, or remove them"
        )
    if missing := sorted(wanted - values):
        parts.append(f"the A record lacks {', '.join(missing)}: add them, or reset their PTR")
    return "; ".join(parts)


def manifest(candidate: Candidate, default_region: str, namespace: str | None) -> dict[str, Any]:
    """The object that adopts what is there."""
    meta: dict[str, Any] = {"name": candidate.hostname.replace(".", "-")[:63].rstrip("-")}
    if namespace:
        meta["namespace"] = namespace
    forward: dict[str, Any] = {}
    if candidate.observed:
        forward["management"] = "Observed"
    if candidate.record is not None:
        forward["hostedZoneID"] = candidate.record.zone_id
        ttl = candidate.record.record_set.ttl
        if ttl is not None and MIN_TTL_SECONDS <= ttl <= MAX_TTL_SECONDS:
            forward["ttlSeconds"] = ttl
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": meta,
        "spec": {
            "hostname": candidate.hostname,
            "elasticIPs": [
                {"allocationID": a.allocation_id}
                | ({} if a.region == default_region else {"region": a.region})
                for a in candidate.addresses
            ],
            "forward": forward,
            "adoption": "Matching",
        },
    }


def manifests(found: Sequence[Candidate], default_region: str, namespace: str | None) -> str:
    """One YAML document for each hostname that can be adopted."""
    import yaml

    good = [manifest(c, default_region, namespace) for c in found if not c.problem]
    return "".join("---\n" + yaml.safe_dump(document, sort_keys=False) for document in good)


def report(found: Sequence[Candidate], without_ptr: int) -> Iterator[Block]:
    """What is adopted, what is not and why, and how to remove it from Terraform."""
    good = [c for c in found if not c.problem]
    yield Text(f"{len(good)} of {len(found)} hostnames can be adopted as they are.", "head")
    if without_ptr:
        noun = "address has no PTR and is" if without_ptr == 1 else "addresses have no PTR and are"
        yield Text(f"{without_ptr} {noun} not imported.")
    rows: list[Row] = []
    for c in found:
        kind = Cell("conflict", "bad") if c.problem else Cell("Observed" if c.observed else "adopt", "good")
        kind = Cell("managed") if c.managed else kind
        note = c.problem or (
            "the A record is in another DNS: the operator waits for it" if c.observed else ""
        )
        rows.append((c.hostname, ", ".join(a.public_ip for a in c.addresses), kind, note))
    if rows:
        yield Text("")
        yield Table(("hostname", "addresses", "result", "what to do"), rows)
    if not good:
        return
    yield Text("")
    yield Text("Then, in this order:")
    yield Text(
        "  1. Apply the manifests: kubectl apply -f FILE. The operator adds an ownership record and changes nothing."
    )
    yield Text(
        "  2. Wait until every object is Ready: kubectl wait meg --all --for=condition=Ready --timeout=15m"
    )
    resources = [r for c in good for r in c.resources]
    if resources:
        yield Text(
            "  3. Take the resources out of Terraform's state. Nothing is destroyed; the aws_eip stay:"
        )
        for resource in resources:
            yield Text(f"     terraform state rm {shlex.quote(resource)}")
        yield Text("  4. Remove their blocks from the configuration. `terraform plan` must show no change.")
        yield Text("     Do not run `terraform apply` between 3 and 4: it would create them again.")


async def run(source: Source) -> int:
    """Manifests on standard output, the report on standard error. Errors: :class:`Problem`."""
    found = await _read(source)
    listed = candidates(found)
    if not listed:
        where = source.state or ", ".join(source.regions)
        raise Problem(
            f"no Elastic IP with a PTR is in {where}; name other regions with --region, or fewer --tag"
        )
    sys.stdout.write(manifests(listed, source.regions[0], source.namespace))
    sys.stdout.flush()
    terminal.show(report(listed, sum(not a.ptr for a in found.addresses)), sys.stderr)
    return 1 if any(c.problem and not c.managed for c in listed) else 0


async def _read(source: Source) -> Inventory:
    if source.state is not None:
        return terraform.read(Path(source.state), source.regions[0])
    # Imported late: a Terraform state is read without the SDK.
    from mailegress.tools.plugin import account

    async with account.account(source.regions[0]) as api:
        return await account.read(api, source.regions, source.tags)
