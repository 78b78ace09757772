"""Users edit while operators are killed and stopped, and while what they stand on goes away and comes back."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sandbox.aws.client import EipInfo, ZoneInfo
from tests.support.process.replicas import Replicas, patiently
from tests.support.stories.story import GROUP, PLURAL, VERSION, Meg, manifest

SECONDS = float(os.environ.get("MAILEGRESS_PROCESS_SECONDS", "0"))
SEED = int(os.environ.get("MAILEGRESS_PROCESS_SEED") or random.SystemRandom().randrange(10**6))
HEALED = 240.0
"""Seconds until everything must be right when nothing goes wrong any more."""
MERGE = "application/merge-patch+json"


@dataclass
class Wish:
    """What a user wants of one object; its hostnames and addresses are nobody else's."""

    name: str
    hostnames: tuple[str, ...]
    eips: list[EipInfo]
    spec: dict[str, Any] | None = None
    """None = no object."""


@dataclass
class Chaos:
    pair: Replicas
    zone: ZoneInfo
    rng: random.Random
    wishes: list[Wish]
    foreign: list[EipInfo]
    until: float
    said: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(f"{time.monotonic() - self.until + SECONDS:7.1f}  {text}")

    def pause(self, longest: float) -> None:
        """A user's, or a node's: nothing is waited for."""
        threading.Event().wait(self.rng.uniform(0.0, longest))

    # ------------------------------------------------------------ the users

    def edit(self) -> None:
        """One random edit of one random object."""
        story = self.pair.story
        wish = self.rng.choice(self.wishes)
        if wish.spec is None:
            self.create(wish)
            return
        self.pair.figures.edits += 1
        where = (GROUP, VERSION, story.namespace, PLURAL)
        kind = self.rng.choice(("rename", "rename", "addresses", "addresses", "delete"))
        if kind == "delete":
            wish.spec = None
            self.say(f"delete {wish.name}")
            patiently(
                lambda: story.objects.delete_namespaced_custom_object(*where, wish.name), "a deletion", 404
            )
            return
        if kind == "rename":
            wish.spec["hostname"] = self.rng.choice(wish.hostnames)
        else:
            wish.spec["elasticIPs"] = self.selectors(wish)
        patch = {"spec": dict(wish.spec)}
        self.say(f"edit {wish.name} {wish.spec}")
        patiently(
            lambda: story.objects.patch_namespaced_custom_object(
                *where, wish.name, patch, _content_type=MERGE
            ),
            "an edit",
        )

    def create(self, wish: Wish) -> None:
        """Unless the old one is still going, which may take until something is healed."""
        story = self.pair.story
        if patiently(Meg(story, wish.name, story.namespace).exists, "a look"):
            return
        self.pair.figures.edits += 1
        hostname, selectors = self.rng.choice(wish.hostnames), self.selectors(wish)
        wish.spec = {"hostname": hostname, "elasticIPs": selectors}
        body = manifest(wish.name, story.namespace, hostname, selectors)
        self.say(f"create {wish.name} {wish.spec}")
        where = (GROUP, VERSION, story.namespace, PLURAL)
        patiently(lambda: story.objects.create_namespaced_custom_object(*where, body), "a creation", 409)

    def selectors(self, wish: Wish) -> list[dict[str, str]]:
        chosen = self.rng.sample(wish.eips, self.rng.randint(1, len(wish.eips)))
        return [{"allocationID": eip.allocation_id} for eip in chosen]

    def edits(self) -> None:
        for _ in range(self.rng.randint(1, 3)):
            self.edit()
            self.pause(1.0)

    # ------------------------------------------------------------ what goes wrong

    def kill(self) -> None:
        """A process dies under edits, and its successor has its name."""
        name = self.rng.choice([self.pair.leader(), *self.pair.all])
        self.pause(3.0)
        self.say(f"kill {name}")
        self.pair.kill(name)

    def kill_for_good(self) -> None:
        name = self.pair.leader()
        self.pause(3.0)
        self.say(f"kill {name} and leave it")
        self.edit()
        self.pair.kill_and_leave(name)
        self.pair.revive(name)

    def stop(self) -> None:
        name = self.pair.leader()
        self.pause(3.0)
        self.say(f"stop {name}")
        self.pair.freeze(name)
        self.edits()
        self.say(f"let {name} go on")
        self.pair.thaw(name)
        self.pair.revive(name)

    def terminate(self) -> None:
        name = self.pair.leader()
        self.pause(2.0)
        self.say(f"terminate {name}")
        self.pair.terminate(name)
        self.pair.revive(name)

    def etcd(self) -> None:
        self.pause(2.0)
        self.say("restart etcd")
        self.pair.story.plane.restart_etcd()
        self.pair.figures.etcd_restarts += 1

    def apiserver(self) -> None:
        self.pause(2.0)
        self.say("restart the API server")
        self.pair.story.plane.restart_apiserver()
        self.pair.figures.api_restarts += 1

    def silence(self) -> None:
        """One name server of the zone, or all, say nothing for a while."""
        cloud = self.pair.story.cloud
        servers = self.rng.choice(
            (self.zone.name_servers[:1], self.zone.name_servers[1:3], self.zone.name_servers)
        )
        self.say(f"silence of {servers}")
        knobs = [cloud.dns("knob-add", server=s, silent=True, client="client")["id"] for s in servers]
        self.pair.figures.dns_silences += 1
        self.edits()
        self.pause(8.0)
        for knob in knobs:
            cloud.dns("knob-remove", id=knob)

    def actions(self) -> Iterator[Callable[[], None]]:
        """Until the time is over and each kind was there: every kind before any comes again, shuffled by the seed."""
        kinds = [
            self.kill,
            self.kill_for_good,
            self.stop,
            self.terminate,
            self.etcd,
            self.apiserver,
            self.silence,
        ]
        done: set[str] = set()
        while True:
            bag = [self.kill] * 2 + [self.terminate] + kinds
            self.rng.shuffle(bag)
            for action in bag:
                yield action
                done.add(action.__name__)
                if time.monotonic() >= self.until and len(done) == len(kinds):
                    return

    # ------------------------------------------------------------ looking

    def look(self) -> None:
        """S6 and S7: what an object that is Ready says is so."""
        story, witness = self.pair.story, self.pair.witness
        for item in self.listed():
            meta, status = item["metadata"], item.get("status") or {}
            if status.get("observedGeneration", -1) > meta["generation"]:
                witness.violated("S6", f"{meta['name']} observed a generation that is yet to come")
            ready: dict[str, Any] = next(
                (c for c in status.get("conditions", []) if c["type"] == "Ready"), {}
            )
            if ready.get("status") != "True" or ready.get("observedGeneration") != meta["generation"]:
                continue
            wrong = self.wrong(item["spec"]["hostname"], sorted(status["publicIPs"]))
            again = patiently(lambda n=meta["name"]: Meg(story, n, story.namespace).get(), "a look", 404)
            if wrong and again and again["metadata"]["resourceVersion"] == meta["resourceVersion"]:
                witness.violated("S7", f"{meta['name']} is Ready, but {wrong}")

    def listed(self) -> list[dict[str, Any]]:
        objects = self.pair.story.objects
        found = patiently(lambda: objects.list_cluster_custom_object(GROUP, VERSION, PLURAL), "a list")
        assert found is not None
        items: list[dict[str, Any]] = found["items"]
        return items

    def wrong(self, hostname: str, addresses: list[str]) -> str:
        records, ptrs = shown(self.pair.story.world(), self.zone)
        if (found := records.get(f"{hostname}. A", [])) != addresses:
            return f"the A record of {hostname} is {found}, not {addresses}"
        others = {address: ptrs[address] for address in addresses if ptrs[address] != f"{hostname}."}
        return f"PTRs are {others}, not {hostname}" if others else ""

    # ------------------------------------------------------------ the end

    def settled(self) -> bool:
        """Whether every object is Ready, or gone, as its user wants."""
        self.pair.keep()
        objects = {item["metadata"]["name"]: item for item in self.listed()}
        if objects.keys() != {wish.name for wish in self.wishes if wish.spec is not None}:
            return False
        for found in objects.values():
            ready: dict[str, Any] = next(
                (c for c in found["status"]["conditions"] if c["type"] == "Ready"), {}
            )
            if (ready["status"], ready.get("observedGeneration")) != (
                "True",
                found["metadata"]["generation"],
            ):
                return False
            # RetiringOldName: right, with something still to be tidied.
            if ready["reason"] != "Ready":
                return False
        return True

    def compare(self, before: Any) -> None:
        """E1: the world is what the specs say and nothing else, ownership marks included."""
        wanted, ptrs_before = shown(before, self.zone)
        pointed = dict(ptrs_before)
        for wish in self.wishes:
            if wish.spec is not None:
                hostname = wish.spec["hostname"]
                chosen = {s["allocationID"] for s in wish.spec["elasticIPs"]}
                addresses = sorted(e.public_ip for e in wish.eips if e.allocation_id in chosen)
                wanted[f"{hostname}. A"] = addresses
                wanted[f"_mailegress.{hostname}. TXT"] = []
                pointed |= dict.fromkeys(addresses, f"{hostname}.")
        records, ptrs = shown(self.pair.story.world(), self.zone)
        marks = {name: values for name, values in records.items() if name.startswith("_mailegress.")}
        assert all(len(values) == 1 and values[0].startswith('"meg1 c ') for values in marks.values()), marks
        assert records | {name: [] for name in marks} == wanted
        assert ptrs == pointed


def shown(world: Any, zone: ZoneInfo) -> tuple[dict[str, list[str]], dict[str, str | None]]:
    """Values by "name type" of a zone, and PTRs by address, of a world's dump."""
    accounts = world["accounts"].values()
    [found] = [z for a in accounts for name, z in a.get("zones", {}).items() if name.endswith(f" {zone.id}")]
    records = {name: sorted(record["Values"]) for name, record in found["record_sets"].items()}
    regions = [region for account in accounts for region in account.get("regions", {}).values()]
    return records, {ip: eip["ptr"] for region in regions for ip, eip in region["addresses"].items()}


def test_whatever_happens_to_them_everything_is_right_in_the_end(pair: Replicas) -> None:
    """Given two replicas and users who edit without a pause, whatever is killed, stopped or restarted meanwhile, then
    no invariant is broken on the way, everything is right afterwards, and deleting all leaves the world as it was."""
    story, witness, figures = pair.story, pair.witness, pair.figures
    figures.seed = SEED
    print(f"\nchaos for {SECONDS:g} s; again with MAILEGRESS_PROCESS_SEED={SEED}")
    zone = story.zone()
    names = sorted(witness.hostnames)
    eips = story.eips(len(names))
    [foreign] = story.eips(1)
    story.put_record(zone, "www.example.com", ["192.0.2.80"])
    story.put_record(zone, "stranger.example.com", [foreign.public_ip])
    story.aws.force_ptr(foreign.allocation_id, "stranger.example.com")
    before = story.world()
    witness.foreign = frozenset({foreign.public_ip})
    wishes = [
        Wish(f"m{n}", (names[2 * n], names[2 * n + 1]), eips[2 * n : 2 * n + 2])
        for n in range(len(names) // 2)
    ]
    pair.start()
    chaos = Chaos(pair, zone, random.Random(SEED), wishes, [foreign], time.monotonic() + SECONDS)
    try:
        for wish in wishes[1:]:
            chaos.create(wish)
        for action in chaos.actions():
            chaos.edits()
            pair.keep()
            action()
            pair.keep()
            chaos.look()
        while not any(wish.spec for wish in wishes):
            chaos.edit()
        chaos.say("healed")
        deadline = time.monotonic() + HEALED
        while not chaos.settled():
            assert time.monotonic() < deadline, "not everything became right"
            chaos.pause(0.5)
        chaos.look()
        chaos.compare(before)
        written, reads = witness.writes, witness.reads
        story.until(lambda: witness.reads >= reads + 20, "the operator to look again and again")
        assert witness.writes == written, "writes although everything is right"
        for wish in wishes:
            if wish.spec is not None:
                Meg(story, wish.name, story.namespace).delete(wait=False)
                wish.spec = None
        story.until(chaos.settled, "all objects to be gone")
        story.assert_world(before)
        troubles = (
            figures.kills
            + figures.stops
            + figures.terminations
            + figures.api_restarts
            + figures.etcd_restarts
        )
        assert witness.refused <= troubles, "more refused change batches than the faults explain"
        assert witness.redundant <= troubles, "more PTR writes for nothing than the faults explain"
        assert witness.violations == []
    except BaseException:
        print("\n".join([f"seed {SEED}", *chaos.said, *witness.violations]))
        for process in pair.all.values():
            print(f"--- {process.name}\n{process.log_tail(200)}")
        raise
