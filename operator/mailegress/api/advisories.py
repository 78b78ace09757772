"""Every advisory: what it reports, what is wanted instead, and what the user does about it.

An advisory is advice about mail delivery. It never affects a condition. Codes are API and are not renamed. An Event
about an advisory has its code as reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Severity(StrEnum):
    """Warning: receivers score or refuse mail for it. Info: worth knowing, and often intended."""

    INFO = "Info"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class AdvisoryCode:
    """One advisory: what was found, what is wanted instead, and who does what about it."""

    name: str
    found: str
    wanted: str
    remedy: str

    def __str__(self) -> str:
        return self.name


_registry: dict[str, AdvisoryCode] = {}


def _code(name: str, found: str, wanted: str, remedy: str) -> AdvisoryCode:
    if name in _registry:
        raise ValueError(f"advisory {name} is defined twice")
    return _registry.setdefault(name, AdvisoryCode(name, found, wanted, remedy))


GENERIC_NAME = _code(
    "GenericName",
    "The hostname looks like the name of a shared or dynamic address. The default rules of rspamd (0.5 to 3.0 points) "
    "or SpamAssassin (RDNS_DYNAMIC) score it, or it contains one of the addresses.",
    "A name that neither filter scores, without the address in it.",
    "Choose a name such as mta-a.example.com, smtp-out-1.example.com or o1.mail.example.com.",
)
APEX_NAME = _code(
    "ApexName",
    "The hostname is the name of a whole domain: it has two labels, or it is the name of the DNS zone.",
    "A name of its own for the mail server, below the domain.",
    "Choose a name below it, such as mta.example.com.",
)
MANY_ADDRESSES = _code(
    "ManyAddresses",
    "The A record has so many addresses that a reply with all of them is larger than 512 bytes.",
    "A reply of at most 512 bytes, which every resolver can receive without EDNS and TCP.",
    "Split the addresses over several hostnames, each with a MailEgress of its own.",
)
ADDRESS_NOT_ATTACHED = _code(
    "AddressNotAttached",
    "An Elastic IP is attached to nothing, so no mail can leave from it.",
    "The Elastic IP attached to the NAT gateway, instance or network interface that sends the mail.",
    "Attach the Elastic IP, or remove it from spec.elasticIPs.",
)
SIBLING_ADDRESS = _code(
    "SiblingAddress",
    "The NAT gateway, instance or network interface of an address has another Elastic IP that no MailEgress selects. "
    "Mail may leave from it as well.",
    "Each Elastic IP from which mail may leave has a MailEgress.",
    "Select the NAT gateway or instance instead of single addresses, or add the address to spec.elasticIPs.",
)

CHANGING_ADDRESSES = _code(
    "ChangingAddresses",
    "A regional NAT gateway that the spec selects gets its addresses from AWS, which adds and removes them by itself. "
    "Mail may leave from a new address for some minutes before its PTR is set.",
    "A fixed set of addresses, each with its PTR before mail leaves from it.",
    "Create the gateway in manual mode with Elastic IPs of your own, or send mail through zonal NAT gateways.",
)
HOSTNAME_HAS_AAAA = _code(
    "HostnameHasAAAA",
    "The hostname has an AAAA record. Elastic IPs are IPv4 addresses, and AWS has no PTR for the IPv6 address to set.",
    "No AAAA record at the hostname, or a PTR of the IPv6 address that points back to it.",
    "Send mail over IPv4 only (Postfix: inet_protocols = ipv4), and remove the AAAA record if nothing else needs it.",
)
DNSSEC_BOGUS = _code(
    "DNSSECBogus",
    "A public resolver that validates DNSSEC refuses the hostname, and answers when validation is switched off.",
    "A chain of trust without a break, or no DS record.",
    "Correct or remove the DS record of the zone at its registrar; compare dig HOSTNAME A with dig +cd HOSTNAME A.",
)
HELO_SPF = _code(
    "HeloSPF",
    "The hostname has no SPF record, or its record does not pass for an address. Receivers check SPF of the HELO name, "
    "and of nothing else for bounces.",
    "SPF at the hostname passes for each of its addresses.",
    'Publish the TXT record "v=spf1 a -all" at the hostname.',
)
SENDER_SPF = _code(
    "SenderSPF",
    "SPF of a domain in spec.senderDomains does not pass for an address.",
    "SPF of the domain passes for each address that sends its mail.",
    "The owner of the domain adds the addresses to its SPF record, for example with a:HOSTNAME. Remove a domain whose "
    "mail leaves from elsewhere from the sender domains.",
)
SENDER_DMARC = _code(
    "SenderDMARC",
    "A domain in spec.senderDomains has no DMARC policy, or several at one name, which receivers ignore.",
    "One DMARC policy at _dmarc.DOMAIN or at a name above it.",
    'The owner of the domain publishes one TXT record at _dmarc.DOMAIN, for example "v=DMARC1; p=none".',
)

ALL_ADVISORIES: Final[Mapping[str, AdvisoryCode]] = MappingProxyType(_registry)
"""Every code, by name."""
