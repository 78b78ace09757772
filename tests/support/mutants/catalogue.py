"""All planted bugs, and the promises that each of them breaks one of."""

from __future__ import annotations

from tests.support.mutants.advice import ADVICE
from tests.support.mutants.bounds import BOUNDS
from tests.support.mutants.dnsbounds import DNS_BOUNDS
from tests.support.mutants.external import EXTERNAL
from tests.support.mutants.hidden import HIDDEN
from tests.support.mutants.liveness import LIVENESS
from tests.support.mutants.mutant import Mutant
from tests.support.mutants.policies import POLICIES
from tests.support.mutants.regional import REGIONAL
from tests.support.mutants.rules import RULES
from tests.support.mutants.safety import SAFETY
from tests.support.mutants.startup import STARTUP
from tests.support.mutants.tagged import TAGGED

INVARIANTS = (*(f"S{n}" for n in range(1, 15)), *(f"E{n}" for n in range(1, 10)))
"""As ``docs/guarantees.md`` states them."""

MUTANTS: tuple[Mutant, ...] = (
    *SAFETY,
    *HIDDEN,
    *RULES,
    *LIVENESS,
    *BOUNDS,
    *DNS_BOUNDS,
    *ADVICE,
    *POLICIES,
    *TAGGED,
    *REGIONAL,
    *EXTERNAL,
    *STARTUP,
)
