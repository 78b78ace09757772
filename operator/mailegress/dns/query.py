"""The one seam to DNS: a single question to a single server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import dns.message
import dns.rdatatype


class DnsTimeout(Exception):
    """No usable answer within the time limit (or an unreachable server)."""


class ReplyTooLarge(DnsTimeout):
    """The reply was refused unread because of its length or its number of records."""


@dataclass(frozen=True, slots=True)
class Server:
    """An address and port to ask; ``name`` is for messages."""

    name: str
    address: str
    port: int = 53

    def __str__(self) -> str:
        return self.name or self.address


class DnsQuery(Protocol):
    async def __call__(
        self,
        server: Server,
        name: str,
        rtype: dns.rdatatype.RdataType,
        *,
        recurse: bool,
        checking_disabled: bool = False,
    ) -> dns.message.Message:
        """The server's reply, whatever its rcode (UDP with EDNS, TCP after truncation).

        ``checking_disabled``: the resolver is to answer without DNSSEC validation (flag CD).

        Errors: :class:`DnsTimeout`, :class:`ReplyTooLarge`.
        """
