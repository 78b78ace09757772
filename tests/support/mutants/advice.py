"""Bugs that give advice a say in something else, a clock, or what another object must not see."""

from __future__ import annotations

from tests.support.mutants.mutant import Mutant

_TESTS = "tests/reconcile/test_advisories.py"
_MAIL = "tests/reconcile/test_mail_advice.py"

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
    Mutant(
        "silence-passes-spf",
        "E3",
        "An address whose SPF has no answer counts as one that passes",
        "model/mail.py",
        "    return all(a in results and results[a].result is not SpfResult.TEMPERROR for a in addresses)\n",
        "    return all(a in results for a in addresses)\n",
        tests=(f"{_MAIL}::test_without_an_answer_each_domain_keeps_what_was_stored_about_it",),
    ),
    Mutant(
        "spf-without-limit",
        "S12",
        "An SPF record may cause a hundred lookups",
        "dns/spf.py",
        "LOOKUPS, VOID_LOOKUPS, NAMES = 10, 2, 10\n",
        "LOOKUPS, VOID_LOOKUPS, NAMES = 100, 2, 10\n",
        tests=("tests/dns/test_spf.py::test_the_result_is_that_of_the_rfc",),
    ),
    Mutant(
        "spf-void-without-limit",
        "S12",
        "An SPF record may cause any number of lookups without an answer",
        "dns/spf.py",
        "            if self._void > VOID_LOOKUPS:\n",
        "            if self._void > 100:\n",
        tests=("tests/dns/test_spf.py::test_the_result_is_that_of_the_rfc",),
    ),
    Mutant(
        "one-domain-takes-all",
        "S12",
        "The records of one sender domain may use up the questions for all",
        "dns/mail.py",
        "        self._floor = max(RESERVE, left - (left - RESERVE) // names)\n",
        "        self._floor = min(RESERVE, left - (left - RESERVE) // names)\n",
        tests=("tests/dns/test_mail.py::test_a_costly_domain_does_not_hide_what_is_known_of_the_others",),
    ),
    Mutant(
        "mail-asked-with-every-repeat",
        "E3",
        "SPF is asked for again each time that public resolvers lag",
        "reconcile/rules/advisories.py",
        "            floor = s.now - s.settings.public_seconds / 2\n",
        "            floor = max(floor, s.now - s.settings.public_seconds / 2)\n",
        tests=(f"{_MAIL}::test_resolvers_that_lag_are_asked_again_and_not_about_mail",),
    ),
    Mutant(
        "loser-asks-for-its-domains",
        "S12",
        "An object that does not hold the hostname causes questions for it",
        "reconcile/rules/advisories.py",
        "    elif report is not None and _verified(s) and not domains <= report.domains:\n",
        "    elif report is not None and not domains <= report.domains:\n",
        tests=(f"{_MAIL}::test_an_object_that_does_not_hold_the_hostname_asks_nothing_about_its_domains",),
    ),
    Mutant(
        "mail-asked-though-off",
        "S12",
        "Turned off, advice still asks public resolvers",
        "reconcile/rules/advisories.py",
        "    if not s.settings.advisories or not s.views.dns.resolvers:\n        return None\n",
        "    if not s.views.dns.resolvers:\n        return None\n",
        tests=(f"{_MAIL}::test_turned_off_or_without_resolvers_nothing_is_asked",),
    ),
)
