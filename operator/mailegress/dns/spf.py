"""What SPF says of an IPv4 address: ``check_host`` of RFC 7208, over a lookup that the caller brings.

Nothing here asks a network: the lookup does, and its caller limits and caches it. Explanations (``exp=``) are checked
for their syntax and not looked up.
"""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from collections.abc import Awaitable, Callable, Sequence

from mailegress.dns.spf_terms import LETTER, Mechanism, SpfSyntaxError, parse, policies
from mailegress.model.mail import Spf, SpfResult

LOOKUPS, VOID_LOOKUPS, NAMES = 10, 2, 10
"""Section 4.6.4: terms with lookups, lookups without an answer, and names of one MX or PTR set."""

Lookup = Callable[[str, str], Awaitable[Sequence[str]]]
"""Values of a name and type (A, MX, PTR, TXT), MX by preference; empty = there are none. Errors: :class:`NoAnswer`."""

_RESULTS = {"+": SpfResult.PASS, "-": SpfResult.FAIL, "~": SpfResult.SOFTFAIL, "?": SpfResult.NEUTRAL}
_LONGEST = 253
_LABEL = re.compile(r"[^.]{1,63}")


class NoAnswer(Exception):
    """The lookup failed."""


class _PermError(Exception):
    """The record cannot be evaluated."""


async def check(address: str, domain: str, sender: str, helo: str, lookup: Lookup) -> Spf:
    """The result for ``sender`` (``local@domain``; empty: postmaster of ``helo``) and the host that sends."""
    run = _Run(ipaddress.IPv4Address(address), sender or f"postmaster@{helo}", helo, lookup)
    try:
        result, detail = await run.evaluate(domain)
    except NoAnswer as error:
        result, detail = SpfResult.TEMPERROR, str(error)
    except (_PermError, SpfSyntaxError) as error:
        result, detail = SpfResult.PERMERROR, str(error)
    return Spf(result, detail, run.lookups)


class _Run:
    """One evaluation with its counts."""

    def __init__(self, address: ipaddress.IPv4Address, sender: str, helo: str, lookup: Lookup) -> None:
        self._address = address
        local, at, domain = sender.rpartition("@")
        self._local = (local or "postmaster") if at else "postmaster"
        self._domain = domain
        self._helo = helo
        self._lookup = lookup
        self._void = 0
        self.lookups = 0

    async def evaluate(self, domain: str) -> tuple[SpfResult, str]:
        if not _is_domain(domain):
            return SpfResult.NONE, f"{domain} is not a domain"
        found = policies(await self._lookup(domain, "TXT"))
        if not found:
            return SpfResult.NONE, f"{domain} has no SPF record"
        if len(found) > 1:
            raise _PermError(f"{domain} has {len(found)} SPF records")
        policy = parse(found[0])
        for mechanism in policy.mechanisms:
            if await self._matches(mechanism, domain):
                return _RESULTS[mechanism.qualifier], mechanism.text
        if policy.redirect is None:
            return SpfResult.NEUTRAL, f"no term of the record of {domain} matches"
        self._count(f"redirect={policy.redirect}")
        target = await self._target(policy.redirect, domain)
        result, detail = await self.evaluate(target)
        if result is SpfResult.NONE:
            raise _PermError(f"redirect={target}: {detail}")
        return result, detail

    # ------------------------------------------------ mechanisms

    async def _matches(self, mechanism: Mechanism, domain: str) -> bool:
        match mechanism.name:
            case "all":
                return True
            case "ip4":
                return mechanism.network is not None and self._address in mechanism.network
            case "ip6":
                return False
        self._count(mechanism.text)
        target = domain if mechanism.domain is None else await self._target(mechanism.domain, domain)
        match mechanism.name:
            case "include":
                return await self._include(target)
            case "exists":
                return bool(await self._values(target, "A"))
            case "a":
                return self._covers(mechanism, await self._values(target, "A"))
            case "mx":
                return await self._mx(mechanism, target)
            case _:
                return await self._ptr(target)

    async def _include(self, target: str) -> bool:
        result, detail = await self.evaluate(target)
        if result is SpfResult.NONE:
            raise _PermError(f"include:{target}: {detail}")
        return result is SpfResult.PASS

    async def _mx(self, mechanism: Mechanism, target: str) -> bool:
        names = await self._values(target, "MX")
        if len(names) > NAMES:
            raise _PermError(f"{target} has more than {NAMES} MX records")
        for name in names:
            if self._covers(mechanism, await self._values(name, "A")):
                return True
        return False

    async def _ptr(self, target: str) -> bool:
        wanted = target.lower().rstrip(".")
        return any(n == wanted or n.endswith(f".{wanted}") for n in await self._confirmed())

    async def _confirmed(self) -> list[str]:
        """The names of the address whose A record has the address. A failed lookup is no name (section 5.5)."""
        try:
            names = list(await self._lookup(self._address.reverse_pointer, "PTR"))[:NAMES]
        except NoAnswer:
            return []
        confirmed = []
        for name in names:
            try:
                if str(self._address) in await self._lookup(name.rstrip("."), "A"):
                    confirmed.append(name.lower().rstrip("."))
            except NoAnswer:
                continue
        return confirmed

    def _covers(self, mechanism: Mechanism, addresses: Sequence[str]) -> bool:
        return any(
            self._address in ipaddress.IPv4Network((address, mechanism.prefix), strict=False)
            for address in addresses
        )

    # ------------------------------------------------ lookups and their limits

    def _count(self, term: str) -> None:
        self.lookups += 1
        if self.lookups > LOOKUPS:
            raise _PermError(f"{term} is lookup {self.lookups} of at most {LOOKUPS}")

    async def _values(self, name: str, rtype: str) -> Sequence[str]:
        if not _is_queryable(name):
            return ()
        values = await self._lookup(name.rstrip("."), rtype)
        if not values:
            self._void += 1
            if self._void > VOID_LOOKUPS:
                raise _PermError(
                    f"more than {VOID_LOOKUPS} lookups have no answer; the last is {name} {rtype}"
                )
        return values

    # ------------------------------------------------ macros

    async def _target(self, text: str, domain: str) -> str:
        """Section 7.3: what is longer than a name may be loses labels on the left."""
        parts, end = [], 0
        for found in LETTER.finditer(text):
            parts.append(text[end : found.start()])
            end = found.end()
            parts.append(
                {"%%": "%", "%_": " ", "%-": "%20"}.get(found[0]) or await self._letter(found, domain)
            )
        target = "".join([*parts, text[end:]]).rstrip(".")
        if len(target) <= _LONGEST:
            return target
        kept, dot = target[-_LONGEST:], target[-_LONGEST - 1]
        return kept if dot == "." else kept.partition(".")[2] or target

    async def _letter(self, found: re.Match[str], domain: str) -> str:
        letter = found[1]
        match letter.lower():
            case "s":
                value = f"{self._local}@{self._domain}"
            case "l":
                value = self._local
            case "o":
                value = self._domain
            case "d":
                value = domain
            case "i":
                value = str(self._address)
            case "h":
                value = self._helo
            case "v":
                value = "in-addr"
            case _:
                value = await self._name_of_sender(domain)
        labels = re.split("[" + re.escape(found[4] or ".") + "]", value)
        if found[3]:
            labels.reverse()
        if found[2]:
            labels = labels[-int(found[2]) :]
        value = ".".join(labels)
        return urllib.parse.quote(value, safe="-._~") if letter.isupper() else value

    async def _name_of_sender(self, domain: str) -> str:
        """``%{p}``: the domain itself, else a name below it, else any, else unknown."""
        names = await self._confirmed()
        below = [name for name in names if name.endswith(f".{domain.lower()}")]
        if domain.lower() in names:
            return domain
        return next(iter([*below, *names]), "unknown")


def _is_queryable(name: str) -> bool:
    """A name that DNS can hold. Anything else does not exist."""
    labels = name.rstrip(".").split(".")
    return all(_LABEL.fullmatch(label) for label in labels) and len(name) <= _LONGEST + 1 and name.isascii()


def _is_domain(name: str) -> bool:
    return _is_queryable(name) and "." in name.rstrip(".") and not name.startswith("[")
