"""The world that the stateful fuzz plays in, and everything that anybody does to it, as plain methods."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Mapping
from typing import Any

from mailegress.api.names import FINALIZER, RECONCILE_ANNOTATION, ownership_name
from mailegress.api.types import parse_spec
from mailegress.api.validation import InvalidObject
from sandbox.aws.model.eip import Eip
from sandbox.dns.knobs import Knob
from tests.support.simulation.apiwire import ApiError, Fault, Object
from tests.support.simulation.faults import Kind, Plan, When
from tests.support.simulation.generated import EIPS, ELSEWHERE, HOSTS, SECOND_REGION, translated
from tests.support.simulation.harness import NAMESPACE, Sim, sim_settings
from tests.support.simulation.ledger import OUTSIDE_GRACE
from tests.support.simulation.stepped import Stepped
from tests.support.simulation.world import REGION

NAMES = ("a", "b", "c")
BOTH_REGIONS = f"{REGION},{SECOND_REGION}"
OTHER_ACCOUNT, OTHER_KEY = "444455556666", "AKIAOTHERACCOUNT"
RESOLVERS = ("127.0.53.101", "127.0.53.102")
HIDDEN = 45.0
"""Seconds; two look-ups at least 60 seconds apart would believe a loss."""
SIGHTS = (
    "second-region", "first-region", "ec2-account", "zone-account", "upper-zone", "lower-zone", "ec2-denied",
    "route53-denied", "second-region-down", "credentials", "resolvers", "one-address",
    "zones-page", "zones-page-odd", "zones-page-even", "addresses-page", "addresses-page-odd", "addresses-page-even",
)  # fmt: skip
LACKS = {"page": 0, "page-odd": 1, "page-even": 2}
TAG_VALUES = {"use": "mail", "env": "a"}
MOST_REGIONAL = 5
"""Addresses of the regional gateway."""
STRANGER = "192.0.2.66"
FOREIGN = "mail.stranger.net"
BUMP = 1_000_000
"""How far a restored etcd moves its revision on, so that no old watch goes on (etcdutl --bump-revision)."""


class FuzzWorld:
    """Two zones (one below the other), another provider's zone, five EIPs in the first region, one of them a NAT
    gateway's, one an instance's, one EIP in the second region, a regional NAT gateway, a load balancer's address, and
    one operator.

    A action that makes no sense at the moment does nothing, so that any sequence may be replayed.
    """

    def __init__(self, seed: int = 1) -> None:
        self.stepped = Stepped(seed)
        self.sim: Sim = self.stepped.sim
        self.words: Mapping[str, str] = {}
        self.backup: dict[tuple[str, str], Object] | None = None
        self.names: dict[str, set[str]] = {}
        """UID -> every hostname that the object ever wanted."""
        self.bared: set[str] = set()
        """UIDs of objects that were deleted while they had no finalizer."""
        self.out_of_sight = False
        self.deafened = False
        """Something may have happened that no watch told of."""
        self.unlisted = False
        """Somebody changed a record by hand, or a NAT gateway, which only the next list of them tells."""
        self.suspended: dict[str, float] = {}
        """UID of each suspended object -> since when; one that was created so is not in it."""
        self.hidden: set[str] = set()
        """Addresses that EC2 does not show at the moment."""
        self.silenced: list[int] = []
        """Knobs that keep the public resolvers silent."""
        self.unmarked: set[str] = set()
        """Hostnames whose mark somebody removed or garbled."""
        self.handed_over: set[str] = set()
        """Hostnames whose A record was somebody else's affair at some time (management Observed)."""
        self.stepped.do(self._prepare)

    def _prepare(self, sim: Sim) -> None:
        world = sim.world
        upper, lower = world.zone(), world.zone("sub.example.com")
        delegation = {
            "Name": "sub.example.com", "Type": "NS", "TTL": 300,
            "ResourceRecords": [{"Value": f"{server}."} for server in lower.name_servers],
        }  # fmt: skip
        world.control.put_records(upper.id, [{"Action": "CREATE", "ResourceRecordSet": delegation}])
        self.eips = [*world.eips(EIPS - 1), *world.eips(1, region=SECOND_REGION)]
        sim.settings = sim_settings(regions=BOTH_REGIONS)
        world.control.register_key(OTHER_KEY, OTHER_ACCOUNT)
        elsewhere = world.dns.add_zone("elsewhere.net.")
        for name in ELSEWHERE:
            elsewhere.put(f"{name}.", "A", [e.public_ip for e in self.eips], 300)
        self.words = {
            **{f"EIP{n}": e.allocation_id for n, e in enumerate(self.eips)},
            **{f"IP{n}": e.public_ip for n, e in enumerate(self.eips)},
            "NAT": world.nat_gateway([self.eips[3]]),
            "INSTANCE": world.instance(self.eips[4]),
            "INTERFACE": self.eips[4].network_interface,
            "REGIONAL": world.control.create_regional_nat_gateway(REGION, ["zone-a"])["id"],
            "BALANCER": world.control.allocate(REGION, service_managed="alb")[0]["allocation_id"],
            "ZONE0": upper.id,
            "ZONE1": lower.id,
        }
        for word in ("EIP0", "EIP1", "REGIONAL"):
            world.control.set_tags(self.words[word], {"use": "mail"})
        self.servers = (*upper.name_servers, *lower.name_servers)
        self.first = copy.deepcopy(world.dump())
        sim.start()

    # ------------------------------------------------------------ the user

    def create(self, name: str, spec: Mapping[str, Any]) -> None:
        if (NAMESPACE, name) not in self.sim.api.objects:
            self._user(lambda sim: sim.api.create(NAMESPACE, name, translated(dict(spec), self.words)))

    def edit(self, name: str, field: str, spec: Mapping[str, Any]) -> None:
        """One field of the spec becomes that of another spec; if that one lacks it, it goes."""
        found = self.sim.find(name)
        if found is None:
            return
        value = translated(spec.get(field), self.words)
        whole = {**found["spec"], field: value}
        try:
            parse_spec({k: v for k, v in whole.items() if v is not None})
        except InvalidObject:
            return
        self._user(lambda sim: sim.api.edit(NAMESPACE, name, **{field: value}))
        if field == "suspend" and found["spec"].get("suspend") and not value:
            self._taken_up(self.suspended.pop(found["metadata"]["uid"], 0.0))
        elif field == "suspend" and value:
            self.suspended.setdefault(found["metadata"]["uid"], self.sim.clock())

    def _taken_up(self, since: float) -> None:
        """What others did since then, or not long before, may be noticed only now."""
        touched, now = self.sim.world.touched, self.sim.clock()
        touched.update({what: now for what, at in touched.items() if since - at < OUTSIDE_GRACE})

    def rename(self, name: str, hostname: str, observed: bool, restarts: bool) -> None:
        """The user edits who keeps the A record, then the hostname. A second later every operator dies, or none."""
        self.edit(name, "forward", {"forward": {"management": "Observed" if observed else "Managed"}})
        self.edit(name, "hostname", {"hostname": hostname})
        if restarts:
            self.stepped.advance(1.0)
            self.crash()

    def delete(self, name: str) -> None:
        found = self.sim.find(name)
        if found is not None:
            if not found["metadata"].get("finalizers"):
                self.bared.add(found["metadata"]["uid"])
            self._user(lambda sim: sim.api.delete(NAMESPACE, name))

    def meddle(self, name: str, what: str) -> None:
        """A user takes off the finalizer of a live object, throws its status away, asks for a reconcile."""
        found = self.sim.find(name)
        if found is None or "deletionTimestamp" in found["metadata"]:
            return

        def change(body: Object) -> None:
            meta = body["metadata"]
            if what == "finalizer":
                meta["finalizers"] = [f for f in meta.get("finalizers", []) if f != FINALIZER]
                if self.sim.api.deaf:
                    self.sim.api.unheard.add(meta["uid"])
            elif what == "status":
                body.pop("status", None)
                self.sim.api.stripped.add(meta["uid"])
                if self.out_of_sight:
                    self.sim.api.forgotten.add(meta["uid"])
            else:
                meta.setdefault("annotations", {})[RECONCILE_ANNOTATION] = str(self.sim.clock())

        self._user(lambda sim: sim.api.meddle(NAMESPACE, name, change))

    def _user(self, act: Callable[[Sim], object]) -> None:
        def guarded(sim: Sim) -> None:
            try:
                act(sim)
            except ApiError as error:
                sim.trace.note("user", f"refused: {error}")
            self._remember(sim)

        self.stepped.do(guarded)

    def _remember(self, sim: Sim) -> None:
        for body in sim.api.objects.values():
            hostname = body["spec"]["hostname"]
            self.names.setdefault(body["metadata"]["uid"], set()).add(hostname)
            if (body["spec"].get("forward") or {}).get("management") == "Observed":
                self.handed_over |= self.names[body["metadata"]["uid"]]

        self._robbed(sim)

    def _robbed(self, sim: Sim) -> None:
        """Whose status and mark are both gone has nothing left that tells what was its own."""
        sim.api.lapsed |= {uid for uid in sim.api.stripped if self.names.get(uid, set()) & self.unmarked}

    # ------------------------------------------------------------ outsiders

    def change_record(self, host: int, what: str) -> None:
        """Somebody works on a name by hand."""
        name = HOSTS[host]
        world = self.sim.world
        zone = world.zone_of(name)
        if zone is None:
            return
        self.unlisted = True
        mark = ownership_name(name)
        if what.endswith("mark"):
            self.unmarked.add(name)
            self._robbed(self.sim)
        match what:
            case "drop-a":
                self.stepped.do(lambda sim: world.drop_record(name))
            case "drop-mark":
                self.stepped.do(lambda sim: world.drop_record(mark, "TXT"))
            case "foreign-a":
                self.stepped.do(lambda sim: world.put_record(name, [STRANGER]))
            case "right-a":
                self.stepped.do(lambda sim: world.put_record(name, [self.eips[0].public_ip]))
            case "garble-mark":
                self.stepped.do(lambda sim: world.put_record(mark, ['"meg1 c garbled"'], "TXT"))

    def change_ptr(self, eip: int, name: str) -> None:
        target = self.eips[eip]
        if self._there(target):
            self.stepped.do(lambda sim: sim.world.force_ptr(target, name or None))

    def lose_eip(self, eip: int) -> None:
        target = self.eips[eip]
        if self._there(target):
            self.stepped.do(lambda sim: sim.world.lose(target))

    def retag(self, what: str, key: str, present: bool) -> None:
        """An address or the regional gateway gets or loses a tag."""
        eip = self.eips[int(what.removeprefix("EIP"))] if what.startswith("EIP") else None
        if eip is not None and not self._there(eip):
            return
        resource, value = self.words[what], TAG_VALUES[key]
        self.unlisted = self.unlisted or what == "REGIONAL"

        def move(sim: Sim) -> None:
            sim.world.outside(f"{what} {'gets' if present else 'loses'} the tag {key}={value}")
            if eip is not None:
                sim.world.retagged[eip.public_ip] = sim.clock()
            if present:
                sim.world.control.set_tags(resource, {key: value})
            else:
                sim.world.control.remove_tags(resource, [key])

        self.stepped.do(move)

    def scale(self, what: str) -> None:
        """AWS changes the addresses of the regional gateway: it adds one, lets one drain, or releases one."""
        self.unlisted = True

        def change(sim: Sim) -> None:
            control, gateway = sim.world.control, self.words["REGIONAL"]
            held = [a.eip for a in sim.world.model.gateway(gateway)[1].addresses]
            if what == "add" and len(held) < MOST_REGIONAL:
                made = control.add_nat_address(gateway, "zone-b")
                sim.world.outside(f"AWS adds {made['public_ip']}")
            elif what == "drain" and held:
                sim.world.outside(f"AWS disassociates {held[0].public_ip}")
                control.set_nat_address_status(gateway, held[0].public_ip, "disassociating")
            elif what == "release" and held:
                sim.world.outside(f"AWS releases {held[0].public_ip}", held[0].public_ip)
                control.remove_nat_address(gateway, held[0].public_ip)

        self.stepped.do(change)

    def refuse_ptrs(self, refuse: bool) -> None:
        """AWS takes no PTR for the addresses of the regional gateway, or takes them again."""

        def turn(sim: Sim) -> None:
            sim.trace.note("outside", f"PTRs of regional gateways are {'refused' if refuse else 'accepted'}")
            sim.world.control.settings(rnat_ptr="refuse" if refuse else "accept")

        self.stepped.do(turn)

    def _there(self, eip: Eip) -> bool:
        return eip.public_ip not in self.hidden and eip.public_ip in self.sim.world.model.network.by_ip

    # ------------------------------------------------------------ DNS

    def trouble_dns(self, server: int, what: str) -> None:
        """``lag``: one of a zone's servers stands still; else a knob, until :meth:`heal_dns`."""
        place = self.servers[server % len(self.servers)]

        def turn(sim: Sim) -> None:
            sim.trace.note("dns", f"{place} {what}")
            if what == "lag":
                sim.world.control.set_server_lag(place, 600.0)
            else:
                knob = Knob(place, silent=True) if what == "silent" else Knob(place, rcode=what)
                sim.world.dns.knobs.add(knob)
                sim.world.ailing.setdefault(place, sim.clock())

        self.stepped.do(turn)

    def heal_dns(self) -> None:
        def heal(sim: Sim) -> None:
            sim.trace.note("dns", "all healed")
            sim.world.dns.knobs.clear()
            sim.world.healed.update(dict.fromkeys(sim.world.ailing, sim.clock()))
            sim.world.ailing.clear()
            for server in self.servers:
                sim.world.control.set_server_lag(server, 0.0)

        self.stepped.do(heal)

    # ------------------------------------------------------------ views that vanish

    def blind(self, what: str) -> None:
        """Something is out of the operator's sight until :meth:`unblind`. It is there all the same."""
        self.stepped.do(lambda sim: self._blind(sim, what))

    def _blind(self, sim: Sim, what: str) -> None:
        sim.trace.note("sight", f"lost: {what}")
        if sim.world.unseen_since is None:
            sim.world.unseen_since = sim.world.clock()
        self.out_of_sight = True
        for body in sim.api.objects.values():
            uid = body["metadata"]["uid"]
            if uid in sim.api.stripped and not (body.get("status") or {}).get("forward"):
                # Somebody deleted the status a moment ago, and it does not tell of the record yet.
                sim.api.forgotten.add(uid)
        world, control = sim.world, sim.world.control
        match what:
            case "second-region" | "first-region":
                sim.settings = sim_settings(regions=REGION if what == "second-region" else SECOND_REGION)
                self._restart(sim)
            case "ec2-account" | "zone-account":
                world.use_key("ec2" if what == "ec2-account" else "route53", OTHER_KEY)
            case "upper-zone" | "lower-zone":
                world.hidden[self.words["ZONE0" if what == "upper-zone" else "ZONE1"]] = "AccessDenied"
            case "ec2-denied":
                control.deny(action="ec2:Describe*")
            case "route53-denied":
                control.deny(action="route53:*")
            case "second-region-down":
                control.add_fault(effect="server_error", service="ec2", region=SECOND_REGION)
            case "credentials":
                control.add_fault(
                    effect="error", code="ExpiredToken", message="The token is expired.", status=403
                )
            case "resolvers":
                for resolver in RESOLVERS:
                    self.silenced.append(world.dns.knobs.add(Knob(resolver, silent=True, client="client")))
            case "zones-page" | "zones-page-odd" | "zones-page-even":
                world.short["ListHostedZones"] = LACKS[what.removeprefix("zones-")]
            case "addresses-page" | "addresses-page-odd" | "addresses-page-even":
                world.short["DescribeAddresses"] = LACKS[what.removeprefix("addresses-")]
            case "one-address":
                self._hide(sim, self.eips[0].public_ip)
            case _:
                raise AssertionError(what)

    def _hide(self, sim: Sim, address: str) -> None:
        """One address is missing from what EC2 shows, for less time than a loss takes to be believed."""
        eip = sim.world.model.network.by_ip.get(address)
        if eip is None or eip.nat_gateway or address in self.hidden:
            return
        self.hidden.add(address)
        sim.world.control.hide_eip(address)
        asyncio.get_running_loop().call_later(HIDDEN, self._show, sim, address)

    def _show(self, sim: Sim, address: str) -> None:
        self.hidden.discard(address)
        sim.world.control.show_eip(address)

    def unblind(self) -> None:
        self.stepped.do(self._unblind)

    def _unblind(self, sim: Sim) -> None:
        sim.trace.note("sight", "all visible again")
        self.out_of_sight = False
        if (since := sim.world.unseen_since) is not None:
            self._taken_up(since)
            sim.world.unseen_since = None
            sim.world.retagged = {eip.public_ip: sim.clock() for eip in sim.world.all_eips()}
        for service in ("ec2", "route53"):
            sim.world.use_key(service, None)
        sim.world.hidden.clear()
        sim.world.short.clear()
        sim.world.control.allow()
        sim.world.control.clear_faults()
        for number in self.silenced:
            sim.world.dns.knobs.remove(number)
        both = sim_settings(regions=BOTH_REGIONS)
        if sim.settings != both:
            sim.settings = both
            self._restart(sim)

    def _restart(self, sim: Sim) -> None:
        for process in list(sim.processes):
            process.crash()

    # ------------------------------------------------------------ faults, processes

    def strike(self, point: str, ahead: int, when: When, kind: Kind) -> None:
        """One of the next passages of a choke point goes wrong."""
        schedule = self.sim.schedule
        schedule.plans.append(Plan(point, schedule.passed[point] + ahead, when, kind))

    def crash(self) -> None:
        """Every operator dies; each has a successor."""
        self.stepped.do(self._restart)

    def second_operator(self) -> None:
        if self.sim.operators == 1:
            self.stepped.do(lambda sim: sim.start())

    def retire_second(self) -> None:
        if self.sim.operators > 1:
            self.stepped.run(lambda sim: sim.retire_one())

    # ------------------------------------------------------------ the API server

    def trouble_api(self, what: str, times: int) -> None:
        api = self.sim.api
        match what:
            case "watch-break":
                self.stepped.do(lambda sim: api.break_watches())
            case "watch-error":
                self.stepped.do(lambda sim: api.watch_error(500))
            case "watch-410":
                self.stepped.do(lambda sim: (api.expire(), api.break_watches()))
            case "repeated":
                self.stepped.do(lambda sim: api.repeat_events(times))
            case "deaf":
                api.deaf = self.deafened = True
            case _:
                method, part, code, applied = API_FAULTS[what]
                api.faults.append(Fault(method, part, code, times, applied))

    def heal_api(self) -> None:
        self.sim.api.faults.clear()
        self.sim.api.deaf = False

    def take_backup(self) -> None:
        self.backup = copy.deepcopy(self.sim.api.objects)

    def restore_backup(self) -> None:
        if self.backup is not None:
            saved, self.backup = self.backup, None
            self.stepped.do(lambda sim: sim.restore(saved, BUMP))


API_FAULTS: Mapping[str, tuple[str, str, int | None, bool]] = {
    "status-409": ("PUT", "/status", 409, False),
    "status-429": ("PUT", "/status", 429, False),
    "status-500": ("PUT", "/status", 500, False),
    "status-lost": ("PUT", "/status", None, True),
    "finalizer-500": ("PATCH", "mailegresses", 500, False),
    "finalizer-lost": ("PATCH", "mailegresses", None, True),
    "list-429": ("GET", "mailegresses?", 429, False),
    "list-500": ("GET", "mailegresses?", 500, False),
}
"""Request method, part of its URL, status code (None: the connection breaks), whether it is carried out first."""
