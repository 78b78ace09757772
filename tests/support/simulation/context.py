"""What a story that faults are injected into is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.aws.model.eip import Eip
from tests.support.simulation.harness import Sim

HOST = "mta.example.com"
OTHER = "out.example.com"


@dataclass
class Stage:
    """What a story works with. ``expect``: name -> Ready's (status, reason) in the end."""

    sim: Sim
    eips: list[Eip] = field(default_factory=list)
    expect: dict[str, tuple[str, str]] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """``prepare`` runs before the operator starts; ``act`` are the user's and the outsiders' deeds.

    ``leftover``: what outsiders changed for good, applied to the first dump before it is compared with the last.
    """

    name: str
    prepare: Callable[[Stage], None]
    act: Callable[[Stage], Awaitable[None]]
    leftover: Callable[[Stage, dict[str, Any]], None] = lambda stage, dump: None
    still: float = 1000.0
    """Virtual seconds without a write after which the story counts as over."""
    hasty: bool = True
    """Whether it ends the same if the user's and the outsiders' deeds come while the operator is down."""
    big: bool = False
    """So many objects that faults come at the first passage of each choke point only."""
    settings: Mapping[str, str] = field(default_factory=dict)


def with_eips(count: int) -> Callable[[Stage], None]:
    def prepare(stage: Stage) -> None:
        stage.sim.world.zone()
        stage.eips = stage.sim.world.eips(count)

    return prepare


def all_ready(stage: Stage, *names: str) -> None:
    stage.expect = dict.fromkeys(names, ("True", "Ready"))
