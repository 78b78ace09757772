"""Which of these tests run when.

``MAILEGRESS_SIM`` unset: the stories under single faults and the API server's troubles. ``quick`` or ``full``: also the
stateful fuzz, pairs of faults, the small world, the soak and the stories of the remaining promises; ``full`` plays more
of each.
"""

import os

LONG = (
    "test_sim_machine.py",
    "test_sim_pairs.py",
    "test_sim_promises.py",
    "test_sim_regressions.py",
    "test_sim_regressions_observed.py",
    "test_sim_small_world.py",
    "test_sim_soak.py",
)
FORM = os.environ.get("MAILEGRESS_SIM", "")
if FORM not in ("", "quick", "full"):
    raise ValueError(f"MAILEGRESS_SIM is {FORM!r}; it must be quick or full, or unset")

collect_ignore = [] if FORM else list(LONG)
