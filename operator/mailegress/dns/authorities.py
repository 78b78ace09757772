"""Every authoritative server's answer to ``hostname A``, or to the PTR of an address."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import dns.name
import dns.rdatatype
import dns.reversename

from mailegress.api.names import ownership_name
from mailegress.dns.counted_query import Asker, kind_of
from mailegress.dns.query import DnsTimeout
from mailegress.dns.replies import Statement, absolute, in_order, read_authority, read_text, shown
from mailegress.dns.walk import Cut, Walker
from mailegress.model.dns import AnswerKind, AuthorityReport, Listed, PointerAnswer, ServerAnswer

SERVERS = 16
"""Name servers of one zone that are asked. The rest stand in the report as not asked, so that no such zone passes."""

_OTHERS = 128
"""Once so many name servers are known that only the zone itself names, its further NS sets add none: they would not be
asked, and no such zone passes.
"""

_ADDRESSES = 3
"""Addresses of one name server tried before it counts as silent."""

_ALIASES = 8
"""Length of a CNAME chain; also the number of referrals followed below the cut."""

_REVERSE = absolute("in-addr.arpa")

_SILENT = Statement(AnswerKind.TIMEOUT)
_NOT_ASKED = Statement(AnswerKind.NOT_ASKED)


@dataclass(frozen=True, slots=True)
class _Survey:
    """One zone's servers on one name, each by its name."""

    rdtype: dns.rdatatype.RdataType
    cut: Cut
    said: tuple[tuple[str, Statement], ...]
    listed: Mapping[str, Listed]
    """Servers that only one of the two NS sets names."""


class Authorities:
    """Asks servers that the walk found; no recursion is ever desired and only AA is believed."""

    def __init__(self, walker: Walker, ask: Asker) -> None:
        self._walker = walker
        self._ask = ask

    async def report(self, hostname: str) -> AuthorityReport:
        """Ask every server that the parent's NS set or the zone's own names.

        Where the name is an alias, the servers of its target are asked too and stand in ``answers`` as
        ``<server> for <target>``; an alias's own answer holds only addresses on which all answering servers
        of the target agree. A cut that the answers do not bear out is forgotten.

        Errors: :class:`DnsTimeout` if the zone cut cannot be found.
        """
        name = absolute(hostname)
        survey = await self._survey(name, dns.rdatatype.A)
        answers = await self._answers(survey, (name,))
        names = frozenset(self._walker.server_name(survey.cut, n) for n in survey.cut.name_servers)
        return AuthorityReport(hostname, shown(survey.cut.zone), names, answers, survey.cut.ttl)

    async def pointers(self, address: str) -> tuple[PointerAnswer, ...]:
        """Ask every server of the address's reverse zone for its PTR; empty if no reverse zone is delegated.

        Errors: :class:`DnsTimeout` if the zone cut cannot be found.
        """
        name = dns.reversename.from_address(address)
        # Not down to the name itself: a cut there shows as a referral, and the neighbours share the way.
        path = await self._walker.find_cut(name.parent())
        if path.trouble is not None or path.cut.zone == _REVERSE or not path.cut.zone.is_subdomain(_REVERSE):
            return ()
        survey = await self._survey(name, dns.rdatatype.PTR, path.cut)
        return tuple(
            PointerAnswer(a.server, a.kind, tuple(sorted(shown(absolute(n)) for n in a.addresses)))
            for a in await self._answers(survey, (name,))
        )

    async def forget_way(self, address: str) -> None:
        """Find the servers of the address's reverse zone anew next time: they disagree. Errors: :class:`DnsTimeout`."""
        name = dns.reversename.from_address(address)
        self._walker.forget(name, (await self._walker.find_cut(name.parent())).cut)

    async def sample_authority(self, hostname: str, turn: int) -> ServerAnswer:
        """Ask one server, the ``turn``-th in rotation, for the A record and the ownership TXT beside it; of an alias's
        target one server, too.

        Errors: :class:`DnsTimeout` if the zone cut cannot be found.
        """
        name = absolute(hostname)
        answer, cut, name_server = await self._ask_sample(name, turn, (name,))
        if answer.kind.answered:
            answer = replace(answer, mark=await self._text(cut, name_server, ownership_name(hostname)))
        if answer.kind is not AnswerKind.ANSWER:
            self._walker.forget(name, cut)
        return answer

    async def _ask_sample(
        self, name: dns.name.Name, turn: int, seen: tuple[dns.name.Name, ...]
    ) -> tuple[ServerAnswer, Cut, dns.name.Name]:
        # Not down to the name itself: a cut there shows as a referral, and every name would cost a question more.
        cut = (await self._walker.find_cut(name.parent() if len(name) > 2 else name)).cut
        for _ in range(_ALIASES):
            name_servers = await self._both_sets(cut, turn)
            name_server = name_servers[turn % len(name_servers)]
            server, said = await self._ask_server(cut, name_server, name, dns.rdatatype.A)
            if said.referral is None:
                break
            cut = self._walker.learn(said.referral)
        targets: dict[dns.name.Name, tuple[ServerAnswer, ...]] = {}
        if said.alias is not None:
            targets[said.alias] = ()
            if not _endless(said.alias, seen):
                answer, *_ = await self._ask_sample(said.alias, turn, (*seen, said.alias))
                targets[said.alias] = (answer,)
        return _server_answer(server, said, targets), cut, name_server

    async def _text(self, cut: Cut, name_server: dns.name.Name, owner: str) -> tuple[str, ...] | None:
        """The TXT values of a name as one server tells them; None if it does not."""
        name = absolute(owner)
        try:
            servers = await self._walker.servers(cut, name_server)
        except DnsTimeout:
            return None
        for server in servers[:_ADDRESSES]:
            try:
                return read_text(await self._ask("authority", server, name, dns.rdatatype.TXT), name)
            except DnsTimeout:
                continue
        return None

    async def _survey(
        self, name: dns.name.Name, rdtype: dns.rdatatype.RdataType, cut: Cut | None = None
    ) -> _Survey:
        cut = cut or (await self._walker.find_cut(name)).cut
        stragglers: tuple[tuple[str, Statement], ...] = ()
        for _ in range(_ALIASES):
            said = await asyncio.gather(
                *(self._ask_server(cut, n, name, rdtype) for n in cut.name_servers[:SERVERS])
            )
            said += [(self._walker.server_name(cut, n), _NOT_ASKED) for n in cut.name_servers[SERVERS:]]
            deeper = next((s.referral for _, s in said if s.referral is not None), None)
            if deeper is None:
                break
            # A server that does not know the delegation yet answers for itself, and resolvers believe it.
            stragglers += tuple((server, s) for server, s in said if s.kind.answered)
            cut = self._walker.learn(deeper)
        more, listed = await self._beyond_parent(cut, said, name, rdtype)
        return _Survey(rdtype, cut, (*said, *more, *stragglers), listed)

    async def _beyond_parent(
        self,
        cut: Cut,
        said: list[tuple[str, Statement]],
        name: dns.name.Name,
        rdtype: dns.rdatatype.RdataType,
    ) -> tuple[list[tuple[str, Statement]], dict[str, Listed]]:
        """Answers of servers that only the zone's own NS set names, and who stands in one of the two sets alone.

        Asked only where a server of the parent's set has the record: otherwise the verdict is known without it.
        A second name of a server that was asked (the same addresses) is not asked again.
        """
        positive = [
            n
            for n, (_, s) in zip(cut.name_servers, said, strict=False)
            if s.kind is AnswerKind.ANSWER and not cut.is_root
        ]
        sets = await asyncio.gather(*(self._walker.own_servers(cut, n) for n in positive))
        if not any(sets):
            return [], {}
        repeated, others_named = await _sorted_out(cut, sets)
        parents = await self._by_address(cut, [n for n in cut.name_servers[:SERVERS] if n not in repeated])
        beyond = await self._by_address(cut, others_named[:SERVERS])
        asked = (await self._by_address(cut, cut.name_servers[:SERVERS])).values() if beyond else ()
        heard = frozenset[str]().union(*asked)
        new = [n for n, addresses in beyond.items() if not addresses or not addresses <= heard]
        room = max(SERVERS - len(cut.name_servers), 0)
        more = list(await asyncio.gather(*(self._ask_server(cut, n, name, rdtype) for n in new[:room])))
        more += [(shown(n), _NOT_ASKED) for n in (*new[room:], *others_named[SERVERS:])]
        others = frozenset[str]().union(*beyond.values())
        listed = {shown(n): Listed.PARENT for n, a in parents.items() if not a or not a <= others}
        listed |= {server: Listed.ZONE for server, _ in more}
        return more, listed

    async def _by_address(
        self, cut: Cut, name_servers: Iterable[dns.name.Name]
    ) -> dict[dns.name.Name, frozenset[str]]:
        """The addresses of name servers; none where they cannot be found."""
        found: dict[dns.name.Name, frozenset[str]] = {}
        for name_server in name_servers:
            try:
                servers = await self._walker.servers(cut, name_server)
            except DnsTimeout:
                servers = ()
            found[name_server] = frozenset(server.address for server in servers)
        return found

    async def _both_sets(self, cut: Cut, turn: int) -> tuple[dns.name.Name, ...]:
        """The parent's NS set and the zone's own, as one of the servers tells it or was heard to tell lately."""
        sets = [s for n in cut.name_servers if (s := self._walker.known_own_servers(cut, n)) is not None]
        if not sets and not cut.is_root:
            sets = [await self._walker.own_servers(cut, cut.name_servers[turn % len(cut.name_servers)])]
        _, others = await _sorted_out(cut, sets)
        return (*cut.name_servers, *others)[:SERVERS]

    async def _answers(self, survey: _Survey, seen: tuple[dns.name.Name, ...]) -> tuple[ServerAnswer, ...]:
        targets: dict[dns.name.Name, tuple[ServerAnswer, ...]] = {}
        # Servers that name different targets disagree, whatever the addresses there: only one target is followed.
        aliases = Counter(said.alias for _, said in survey.said if said.alias is not None)
        for alias, _ in aliases.most_common(1):
            if _endless(alias, seen):
                targets[alias] = ()
                continue
            try:
                targets[alias] = await self._answers(await self._survey(alias, survey.rdtype), (*seen, alias))
            except DnsTimeout:
                targets[alias] = (ServerAnswer("every server", AnswerKind.TIMEOUT),)
        answers = [
            replace(
                _server_answer(server, said, targets),
                listed=survey.listed.get(server, Listed.BOTH),
            )
            for server, said in survey.said
        ]
        differ = any(a.kind is not AnswerKind.ANSWER or a.addresses != answers[0].addresses for a in answers)
        if differ and survey.rdtype == dns.rdatatype.A:
            self._walker.forget(seen[-1], survey.cut)
        for alias, inner in targets.items():
            for answer in inner:
                label = answer.server if " for " in answer.server else f"{answer.server} for {shown(alias)}"
                answers.append(replace(answer, server=label))
        return tuple(answers)

    async def _ask_server(
        self,
        cut: Cut,
        name_server: dns.name.Name,
        name: dns.name.Name,
        rdtype: dns.rdatatype.RdataType,
    ) -> tuple[str, Statement]:
        label = self._walker.server_name(cut, name_server)
        try:
            servers = await self._walker.servers(cut, name_server)
        except DnsTimeout:
            return label, _SILENT
        if not servers:
            return label, Statement(AnswerKind.LAME)  # delegated to a name that has no address
        failed = AnswerKind.NOT_PUBLIC
        for server in servers[:_ADDRESSES]:
            try:
                reply = await self._ask("authority", server, name, rdtype)
            except DnsTimeout as error:
                kind = kind_of(error)
                failed = failed if kind is AnswerKind.NOT_PUBLIC else kind
                continue
            said = read_authority(reply, name, cut.zone, rdtype)
            self._ask.count("authority", said.kind)
            return label, said
        return label, Statement(failed)


async def _sorted_out(
    cut: Cut, sets: Iterable[tuple[dns.name.Name, ...]]
) -> tuple[set[dns.name.Name], tuple[dns.name.Name, ...]]:
    """The names of the parent's set that the zone's own sets repeat, and those that only the zone names, in order.

    Each set can be as long as a reply, so each is compared in a turn of the event loop of its own.
    """
    parents = set(cut.name_servers)
    repeated: set[dns.name.Name] = set()
    others: set[dns.name.Name] = set()
    for names in sets:
        await asyncio.sleep(0)
        repeated |= parents.intersection(names)
        if len(others) < _OTHERS:
            others.update(n for n in names if n not in parents)
    return repeated, in_order(others)


def _endless(alias: dns.name.Name, seen: tuple[dns.name.Name, ...]) -> bool:
    return alias in seen or len(seen) > _ALIASES


def _server_answer(
    server: str, said: Statement, targets: Mapping[dns.name.Name, tuple[ServerAnswer, ...]]
) -> ServerAnswer:
    """One server's answer; behind an alias, what the target's servers agree on. For a PTR ``addresses`` are names.

    An alias without any target answer (a circle, a chain that is too long) has no address: NODATA. Of one that was
    not followed nothing but the target is known.
    """
    if said.alias is None:
        return ServerAnswer(server, said.kind, frozenset(said.values), said.ttl)
    cname = shown(said.alias)
    target = targets.get(said.alias)
    if target is None:
        return ServerAnswer(server, AnswerKind.ANSWER, ttl=said.ttl, cname=cname)
    positive = [a for a in target if a.kind is AnswerKind.ANSWER]
    if positive:
        agreed = frozenset[str].intersection(*(a.addresses for a in positive))
        return ServerAnswer(
            server, AnswerKind.ANSWER, agreed, min(said.ttl, *(a.ttl for a in positive)), cname
        )
    negative = next((a for a in target if a.kind.answered), None)
    if negative is not None:
        return ServerAnswer(server, negative.kind, ttl=min(said.ttl, negative.ttl), cname=cname)
    return ServerAnswer(server, target[0].kind if target else AnswerKind.NODATA, ttl=said.ttl, cname=cname)
