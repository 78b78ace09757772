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
class ScenarioContext:
    """What a story works with. ``expect``: name -> Ready's (status, reason) in the end."""

    sim: Sim
    eips: list[Eip] = field(default_factory=list)
    expect: dict[str, tuple[str, str]] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scenario:
    """``prepare`` runs before the operator starts; ``act`` are the user's and the outsiders' actions.

    ``leftover``: what outsiders changed for good, applied to the first dump before it is compared with the last.
    """

    name: str
    prepare: Callable[[ScenarioContext], None]
    act: Callable[[ScenarioContext], Awaitable[None]]
    leftover: Callable[[ScenarioContext, dict[str, Any]], None] = lambda context, dump: None
    still: float = 1000.0
    """Virtual seconds without a write after which the story counts as over."""
    hasty: bool = True
    """Whether it ends the same if the user's and the outsiders' actions come while the operator is down."""
    big: bool = False
    """So many objects that faults come at the first passage of each choke point only."""
    settings: Mapping[str, str] = field(default_factory=dict)
    reads_a_minute: int = 0
    """Reads that the story allows each minute in the quiet time, besides the usual ones."""


def with_eips(count: int) -> Callable[[ScenarioContext], None]:
    def prepare(context: ScenarioContext) -> None:
        context.sim.world.zone()
        context.eips = context.sim.world.eips(count)

    return prepare


def all_ready(context: ScenarioContext, *names: str) -> None:
    context.expect = dict.fromkeys(names, ("True", "Ready"))
