"""Bugs that give advice a say in something else, a clock, or what another object must not see."""

from __future__ import annotations

from tests.support.mutants.mutant import Mutant

_TESTS = "tests/reconcile/test_advisories.py"

ADVICE = (
    Mutant(
        "advice-decides",
        "S7",
        "An object with an advisory never counts as settled",
        "reconcile/rules/__init__.py",
        "        advisories=advisories.advise(observed, targets, claims, zone),  # S7 E3\n",
        "        advisories=(given := advisories.advise(observed, targets, claims, zone)),\n"
        "        settled=finished.settled and not given,\n",
        tests=(f"{_TESTS}::test_nothing_else_in_the_plan_depends_on_an_advisory",),
    ),
    Mutant(
        "advice-has-a-clock",
        "E3",
        "An advisory shows when it was found",
        "reconcile/rules/advisories.py",
        "        found += _stored(observed, code) if verdict is None else verdict\n",
        "        found += _stored(observed, code) if verdict is None else [\n"
        '            Advisory(a.code, a.severity, f"{a.message} ({observed.now:.0f})", a.addresses) for a in verdict\n'
        "        ]\n",
        tests=(f"{_TESTS}::test_advice_is_the_same_at_any_time",),
    ),
    Mutant(
        "advice-forgets",
        "E3",
        "What is not known now is taken for nothing to advise",
        "reconcile/rules/advisories.py",
        "        found += _stored(observed, code) if verdict is None else verdict\n",
        "        found += verdict or ()\n",
        tests=(f"{_TESTS}::test_while_the_addresses_are_not_known_the_stored_advice_stays",),
    ),
    Mutant(
        "advice-shows-others",
        "S12",
        "The addresses beside one that another object holds are listed",
        "reconcile/rules/advisories.py",
        "        return [eip for eip in self.targets.wanted.values() if self.claims.allows(eip.allocation_id)]\n",
        "        return [*self.targets.wanted.values()]\n",
        tests=(f"{_TESTS}::test_siblings_are_shown_only_beside_an_address_that_the_object_holds",),
    ),
)
