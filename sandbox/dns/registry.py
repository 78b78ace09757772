"""The registries: which zone is delegated to which name servers.

A hosted zone is invisible to the world until its parent names its servers. The first public zone created for
a name is delegated by itself (as if its owner had told the registrar); a twin created later is not, which is
how two zones of one name look in reality.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from sandbox.dns.source import PublicZone
from sandbox.dns.values import ROOT, absolute, ancestors, labels


@dataclass(frozen=True, slots=True)
class Delegation:
    """The parent's view of a zone. ``zone_id`` is set where the sandbox delegated by itself.

    ``ttl``: seconds, of the NS set; None = as of all parents.
    """

    name: str
    ns_names: tuple[str, ...]
    glue: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    zone_id: str | None = None
    ttl: int | None = None


class Registry:
    """Delegations by zone name, and the top-level domains that exist."""

    def __init__(
        self,
        zones: Callable[[], tuple[PublicZone, ...]],
        tlds: Iterable[str],
        *,
        auto_delegate: bool = True,
    ) -> None:
        self.auto_delegate = auto_delegate
        self._zones = zones
        self._fixed_tlds = frozenset(absolute(tld) for tld in tlds)
        self._tlds = set(self._fixed_tlds)
        self._delegations: dict[str, Delegation] = {}
        self._withheld: set[str] = set()
        self._seen: tuple[PublicZone, ...] = ()

    def delegate(
        self,
        zone_name: str,
        ns_names: Iterable[str],
        glue: Mapping[str, Iterable[str]] | None = None,
        ttl: int | None = None,
    ) -> Delegation:
        """Delegate, or re-delegate, a zone. ``glue``: addresses of name servers inside the zone itself.

        ``ttl``: seconds, of the NS set, where it is not that of all parents.
        Raises ValueError without any name server, or for the root.
        """
        name = absolute(zone_name)
        servers = tuple(absolute(ns) for ns in ns_names)
        if name == ROOT or not servers:
            raise ValueError(
                f"cannot delegate {name!r} to {list(servers)!r}: a zone and its name servers are needed"
            )
        hosts = {absolute(host): tuple(ips) for host, ips in (glue or {}).items()}
        self._withheld.discard(name)
        return self._put(Delegation(name, servers, hosts, ttl=ttl))

    def undelegate(self, zone_name: str) -> bool:
        """Take a zone out of its parent, and keep it out. True if it was there."""
        self.sync()
        name = absolute(zone_name)
        self._withheld.add(name)
        return self._delegations.pop(name, None) is not None

    def release(self, zone_name: str) -> None:
        """Forget what was decided by hand for a name, so that automatic delegation may act again."""
        self._withheld.discard(absolute(zone_name))
        self._delegations.pop(absolute(zone_name), None)
        self._seen = ()

    def set_auto_delegate(self, on: bool) -> None:
        """Switch automatic delegation; turning it on also covers zones that exist already."""
        self.auto_delegate = on
        self._seen = ()

    def delegations(self) -> dict[str, Delegation]:
        """All present delegations by zone name."""
        self.sync()
        return dict(self._delegations)

    def get(self, name: str) -> Delegation | None:
        """The delegation of exactly this name."""
        return self._delegations.get(name)

    def tlds(self) -> set[str]:
        """Top-level domains with a registry: the usual ones and those of every delegated zone."""
        return self._tlds

    def below(self, name: str) -> bool:
        """Whether any delegated zone lies below ``name``."""
        suffix = "." + name
        return any(zone.endswith(suffix) for zone in self._delegations)

    def sync(self) -> None:
        """Let automatic delegation catch up with the zones that exist now.

        An automatic delegation goes away with the last zone of its name. If its own zone is deleted while a
        twin stands, it dangles, as it does in reality; the next zone created for the name takes it over.
        """
        zones = self._zones()
        if zones is self._seen or zones == self._seen:
            return
        known = {zone.zone_id for zone in self._seen}
        self._seen = zones
        if not self.auto_delegate:
            return
        alive = {zone.zone_id for zone in zones}
        names = {absolute(zone.name) for zone in zones}
        for name, delegation in list(self._delegations.items()):
            if delegation.zone_id is not None and name not in names:
                del self._delegations[name]
        for zone in zones:
            name = absolute(zone.name)
            held = self._delegations.get(name)
            dangling = held is not None and held.zone_id is not None and held.zone_id not in alive
            if name in self._withheld or (held is not None and not dangling):
                continue
            if dangling and zone.zone_id in known:
                continue
            if held is None and self._has_delegated_parent(name):
                continue  # the delegation belongs into the parent zone, as NS records written by its owner
            servers = tuple(absolute(ns) for ns in zone.ns_names)
            self._put(Delegation(name, servers, zone_id=zone.zone_id))

    def _has_delegated_parent(self, name: str) -> bool:
        return any(parent in self._delegations for parent in ancestors(name)[1:-1])

    def _put(self, delegation: Delegation) -> Delegation:
        self._delegations[delegation.name] = delegation
        self._tlds.add(labels(delegation.name)[-1] + ".")
        return delegation
