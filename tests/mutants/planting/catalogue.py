"""All planted bugs, and the promises that each of them breaks one of."""

from __future__ import annotations

from planting.bounds import BOUNDS
from planting.dnsbounds import DNS_BOUNDS
from planting.hidden import HIDDEN
from planting.liveness import LIVENESS
from planting.mutant import Mutant
from planting.rules import RULES
from planting.safety import SAFETY

INVARIANTS = (*(f"S{n}" for n in range(1, 14)), *(f"E{n}" for n in range(1, 10)))
"""As ``docs/guarantees.md`` states them."""

MUTANTS: tuple[Mutant, ...] = (*SAFETY, *HIDDEN, *RULES, *LIVENESS, *BOUNDS, *DNS_BOUNDS)
