"""The stateful fuzz with new examples, for as long as it is told: ``make fuzz MINUTES=60 SEED=1``."""

from __future__ import annotations

import random
import sys
import time

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.simulation.machine import MailWorld

ROUND = 50
"""Examples between two looks at the clock."""
STEPS = 40


def main(arguments: list[str]) -> int:
    """1 if an example failed, 2 if it was called wrongly."""
    try:
        minutes = float(arguments[0])
        number = int(arguments[1]) if len(arguments) > 1 else random.SystemRandom().randrange(2**32)
    except (IndexError, ValueError):
        print("usage: python -m tests.support.simulation.fuzz MINUTES [SEED]", file=sys.stderr)
        return 2
    until, examples = time.monotonic() + minutes * 60, 0
    while time.monotonic() < until:
        print(f"fuzz: seed {number}, {examples} examples so far", flush=True)
        try:
            _round(number)
        except Exception as error:
            _tell(error, number)
            return 1
        examples += ROUND
        number += 1
    print(f"fuzz: {examples} examples in {minutes:g} minutes, no promise was broken")
    return 0


def _round(number: int) -> None:
    class Seeded(MailWorld):
        pass

    Seeded.__name__ = Seeded.__qualname__ = MailWorld.__name__
    form = settings(
        max_examples=ROUND,
        stateful_step_count=STEPS,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        print_blob=False,
    )
    run_state_machine_as_test(seed(number)(Seeded), settings=form)


def _tell(error: BaseException, number: int) -> None:
    notes = "\n".join(getattr(error, "__notes__", ()))
    print(
        f"{error}\n\n{notes}\n\nThis is seed {number}. To keep it, add a test to tests/sim/test_sim_regressions.py: a "
        "function named after what went wrong,\nwith the steps above (from 'state = MailWorld()' on) "
        "as its body. Then fix the cause.",
        file=sys.stderr,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
