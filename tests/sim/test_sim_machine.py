"""Any sequence of edits, outside changes, faults, crashes and troubles: safe at every step, right in the end.

The short form plays the same examples every time. ``make fuzz MINUTES=30`` plays new ones for as long as it is told.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.simulation.machine import MailWorld
from tests.support.simulation.record import recording

EXAMPLES = {"quick": 40, "full": 400}
STEPS = 30


def form() -> settings:
    return settings(
        max_examples=EXAMPLES[os.environ["MAILEGRESS_SIM"]],
        stateful_step_count=STEPS,
        derandomize=True,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        verbosity=Verbosity.normal,
    )


def test_any_sequence_of_deeds() -> None:
    with recording("machine") as record:

        class Counted(MailWorld):
            pass

        Counted.record = record
        Counted.__name__ = Counted.__qualname__ = "MailWorld"
        run_state_machine_as_test(Counted, settings=form())
