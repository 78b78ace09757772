"""Bugs that let the name servers of one tenant delay all others, or lead the operator into its own network (E8)."""

from __future__ import annotations

from planting.mutant import Mutant

DNS_BOUNDS = (
    Mutant(
        "questions-without-budget",
        "E8",
        "One DNS reading asks as many questions as the zone wants",
        "dns/budget.py",
        "        if self._left <= 0:\n",
        "        if self._left <= -1000:\n",
        tests=(
            "tests/dns/test_walk.py::test_a_hostile_delegation_cannot_multiply_questions",
            "tests/hostile/test_readings.py::test_a_tree_of_name_servers_ends_with_the_budget",
        ),
    ),
    Mutant(
        "reading-without-end",
        "E8",
        "One DNS reading may take as long as the servers let it",
        "dns/budget.py",
        "            if not task.done():\n",
        "            await asyncio.wait((task,))\n            if not task.done():\n",
        tests=("tests/dns/test_service.py::test_a_reading_that_takes_too_long_is_given_up",),
    ),
    Mutant(
        "every-alias-followed",
        "E8",
        "Every target that the servers name for an alias is followed",
        "dns/authorities.py",
        "        for alias, _ in aliases.most_common(1):\n",
        "        for alias, _ in aliases.most_common():\n",
        tests=("tests/dns/test_authorities.py::test_servers_that_disagree_about_an_alias_are_the_verdict",),
    ),
    Mutant(
        "any-number-of-servers",
        "E8",
        "All name servers of a delegation are asked",
        "dns/authorities.py",
        "SERVERS = 16\n",
        "SERVERS = 160\n",
        tests=(
            "tests/hostile/test_readings.py::"
            "test_at_most_sixteen_name_servers_are_asked_and_the_rest_is_reported",
        ),
    ),
    Mutant(
        "reverse-zones-without-budget",
        "E8",
        "The servers of reverse zones are asked as many questions as their zones want",
        "dns/reverse.py",
        "QUESTIONS + SERVERS * len(addresses))\n",
        "1000 * QUESTIONS)\n",
        tests=(
            "tests/dns/test_reverse.py::test_more_servers_than_the_budget_pays_for_leave_it_to_resolvers",
        ),
    ),
    Mutant(
        "reverse-zones-without-end",
        "E8",
        "Slow servers of a reverse zone hold up what the resolvers see",
        "dns/reverse.py",
        "own.run(self._report(addresses), self._sleep, SECONDS)",
        "own.run(self._report(addresses), self._sleep)",
        tests=("tests/dns/test_reverse.py::test_slow_reverse_servers_do_not_hold_up_what_resolvers_see",),
    ),
    Mutant(
        "replies-of-any-size",
        "E8",
        "A DNS reply of any length and number of records is parsed",
        "dns/wire.py",
        "    if records > MAX_RECORDS:\n",
        "    if records > 100 * MAX_RECORDS:\n",
        tests=("tests/hostile/test_replies.py::test_more_records_than_the_bound_are_refused_unread",),
    ),
    Mutant(
        "parsed-on-the-loop",
        "E8",
        "Long DNS replies are parsed on the event loop",
        "dns/wire.py",
        "    if len(data) <= _ON_LOOP:\n",
        "    if data:\n",
        tests=("tests/hostile/test_replies.py::test_long_replies_are_parsed_outside_the_loop",),
    ),
    Mutant(
        "asks-inside",
        "E8",
        "Name servers are asked whatever their address",
        "dns/counted_query.py",
        "        if found and not is_public(server.address, self._extra):\n",
        '        if found and server.address == "":\n',
        tests=("tests/hostile/test_addresses.py::test_no_packet_goes_to_an_address_that_is_not_public",),
    ),
    Mutant(
        "readings-first-come-first-served",
        "E8",
        "One namespace may hold all places of DNS readings",
        "aio/fair_slots.py",
        "next((g for g in self._waiting if self._held[g] < self._each), None)",
        "next(iter(self._waiting), None)",
        tests=("tests/dns/test_service.py::test_no_namespace_holds_all_places",),
    ),
    Mutant(
        "silence-heard-by-others",
        "E8",
        "A server that one namespace found silent counts as silent for all",
        "dns/counted_query.py",
        "        place = (reading.namespace, server.address)\n",
        '        place = ("", server.address)\n',
        tests=(
            "tests/dns/test_service.py::test_another_namespace_asks_for_itself_whether_a_server_is_silent",
        ),
    ),
)
