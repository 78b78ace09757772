"""The stateful fuzz: any sequence of actions, with time passing in between; a failure prints a replayable one."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.simulation.faults import Kind, When
from tests.support.simulation.fuzzworld import API_FAULTS, FOREIGN, NAMES, SIGHTS, FuzzWorld
from tests.support.simulation.generated import EIPS, ELSEWHERE, HOSTS, likely_specs, spec_fields, specs
from tests.support.simulation.record import Record
from tests.support.simulation.settled import settle

names = st.sampled_from(NAMES)
eips = st.integers(0, EIPS - 1)
POINTS = ("kube.status", "kube.finalizer", "kube.event", "route53.change", "ec2.set_ptr", "ec2.reset_ptr")
KINDS: tuple[Kind, ...] = ("crash", "crash", "5xx", "timeout", "throttle", "denied")
SIDES: tuple[When, ...] = ("before", "after")
JUMPS = (0.01, 0.5, 3.0, 10.0, 31.0, 60.0, 60.0, 310.0, 310.0, 1000.0, 4000.0)


class MailWorld(RuleBasedStateMachine):
    """Each rule is one action; its arguments are all there is to it, so that the printed steps can be replayed."""

    record: Record | None = None
    """Where runs are counted, if anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.world = FuzzWorld()

    @initialize(spec=likely_specs(), seconds=st.sampled_from((0.0, 31.0, 310.0, 310.0)))
    def begin(self, spec: dict[str, Any], seconds: float) -> None:
        """An object that is served, or soon will be: most of what is drawn at random cannot come true."""
        self.world.create(NAMES[0], spec)
        self.world.stepped.advance(seconds)

    # ------------------------------------------------------------ the user

    @rule(name=names, spec=specs())
    def create(self, name: str, spec: dict[str, Any]) -> None:
        self.world.create(name, spec)

    @rule(name=names, field=spec_fields() | st.sampled_from(("hostname", "elasticIPs")), spec=specs())
    def edit(self, name: str, field: str, spec: dict[str, Any]) -> None:
        self.world.edit(name, field, spec)

    @rule(
        name=names,
        hostname=st.sampled_from((*HOSTS[:3], *ELSEWHERE)),
        observed=st.booleans(),
        restarts=st.booleans(),
    )
    def rename(self, name: str, hostname: str, observed: bool, restarts: bool) -> None:
        self.world.rename(name, hostname, observed, restarts)

    @rule(name=names)
    def delete(self, name: str) -> None:
        self.world.delete(name)

    @rule(name=names, what=st.sampled_from(("finalizer", "status", "request")))
    def meddle(self, name: str, what: str) -> None:
        self.world.meddle(name, what)

    # ------------------------------------------------------------ time

    @rule(seconds=st.sampled_from(JUMPS))
    def wait(self, seconds: float) -> None:
        self.world.stepped.advance(seconds)

    @rule(seconds=st.sampled_from(JUMPS[4:]))
    def wait_longer(self, seconds: float) -> None:
        self.world.stepped.advance(seconds)

    # ------------------------------------------------------------ outsiders and DNS

    @rule(
        host=st.integers(0, len(HOSTS) - 1),
        what=st.sampled_from(("drop-a", "drop-mark", "foreign-a", "right-a", "garble-mark")),
    )
    def change_record(self, host: int, what: str) -> None:
        self.world.change_record(host, what)

    @rule(eip=eips, name=st.sampled_from(("", FOREIGN, *HOSTS[:2])))
    def change_ptr(self, eip: int, name: str) -> None:
        self.world.change_ptr(eip, name)

    @rule(eip=eips)
    def lose_eip(self, eip: int) -> None:
        self.world.lose_eip(eip)

    @rule(
        what=st.sampled_from((*(f"EIP{n}" for n in range(EIPS)), "REGIONAL", "BALANCER")),
        key=st.sampled_from(("use", "use", "env")),
        present=st.booleans(),
    )
    def retag(self, what: str, key: str, present: bool) -> None:
        self.world.retag(what, key, present)

    @rule(what=st.sampled_from(("add", "add", "drain", "release")))
    def scale(self, what: str) -> None:
        self.world.scale(what)

    @rule(refuse=st.booleans())
    def refuse_ptrs(self, refuse: bool) -> None:
        self.world.refuse_ptrs(refuse)

    @rule(server=st.integers(0, 7), what=st.sampled_from(("lag", "silent", "SERVFAIL", "REFUSED")))
    def trouble_dns(self, server: int, what: str) -> None:
        self.world.trouble_dns(server, what)

    @rule()
    def heal_dns(self) -> None:
        self.world.heal_dns()

    # ------------------------------------------------------------ views that vanish

    @rule(what=st.sampled_from(SIGHTS))
    def blind(self, what: str) -> None:
        self.world.blind(what)

    @rule()
    def unblind(self) -> None:
        self.world.unblind()

    # ------------------------------------------------------------ faults and processes

    @rule(
        point=st.sampled_from(POINTS),
        ahead=st.integers(0, 2),
        when=st.sampled_from(SIDES),
        kind=st.sampled_from(KINDS),
    )
    def strike(self, point: str, ahead: int, when: When, kind: Kind) -> None:
        self.world.strike(point, ahead, when, kind)

    @rule()
    def crash(self) -> None:
        self.world.crash()

    @rule()
    def second_operator(self) -> None:
        self.world.second_operator()

    @precondition(lambda self: self.world.sim.operators > 1)
    @rule()
    def retire_second(self) -> None:
        self.world.retire_second()

    # ------------------------------------------------------------ the API server

    @rule(
        what=st.sampled_from((*API_FAULTS, "watch-break", "watch-error", "watch-410", "repeated", "deaf")),
        times=st.integers(1, 8),
    )
    def trouble_api(self, what: str, times: int) -> None:
        self.world.trouble_api(what, times)

    @rule()
    def heal_api(self) -> None:
        self.world.heal_api()

    @rule()
    def take_backup(self) -> None:
        self.world.take_backup()

    @precondition(lambda self: self.world.backup is not None)
    @rule()
    def restore_backup(self) -> None:
        self.world.restore_backup()

    # ------------------------------------------------------------ what must hold

    @invariant()
    def safe(self) -> None:
        """S: at every instant of the step that was just made."""
        self.world.stepped.check()

    def teardown(self) -> None:
        """E: once it is healed and quiet, and once everything is deleted."""
        try:
            self.world.stepped.check()
            settle(self.world)
        finally:
            if self.record is not None:
                schedule = self.world.sim.schedule
                self.record.run("fuzz", schedule.reached, len(schedule.struck))
            self.world.stepped.close()
