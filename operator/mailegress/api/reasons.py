"""Every reason a condition, an address entry or an event can carry: when it is set and what the user does
about it.

Reasons are API: they are not renamed. A condition's `reason` is `Reason.name`; an event has the reason of
the condition it tells about.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mailegress.api import conditions
from mailegress.api.conditions import (
    FORWARD_READY,
    POSITIVE,
    READY,
    RECONCILING,
    RESOLVED,
    REVERSE_READY,
    STALLED,
)


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason. `condition_types` are those it explains first-hand; Ready, Reconciling and Stalled copy
    the first blocker's.
    """

    name: str
    when: str
    remedy: str
    condition_types: tuple[str, ...]
    stalls_at_once: bool = False
    """Only a human can end it, so that waiters may fail at once; all others stall after a period without
    progress.
    """

    def __str__(self) -> str:
        return self.name


_registry: dict[str, Reason] = {}


def _reason(
    name: str, types: tuple[str, ...], when: str, remedy: str, *, stalls_at_once: bool = False
) -> Reason:
    if name in _registry:
        raise ValueError(f"reason {name} is defined twice")
    return _registry.setdefault(name, Reason(name, when, remedy, types, stalls_at_once))


_NOTHING: Final = "Nothing to do."
_WAIT: Final = "Nothing to do; the operator goes on by itself."
_BOTH: Final = (FORWARD_READY, REVERSE_READY)
_DEPENDENT: Final = (FORWARD_READY, REVERSE_READY, RESOLVED)

# Life cycle.
PENDING = _reason(
    "Pending",
    POSITIVE,
    "No operator has looked at the object yet, or a step that comes before this condition is not done.",
    "Wait; if it lasts on a new object, check that the operator is running.",
)
PROGRESSING = _reason(
    "Progressing",
    (READY, FORWARD_READY, REVERSE_READY, RESOLVED, RECONCILING),
    "A change is being carried out and nothing is in its way.",
    _WAIT,
)
SUSPENDED = _reason(
    "Suspended",
    (READY, FORWARD_READY, REVERSE_READY, RECONCILING),
    "spec.suspend is true and something would have to be written.",
    "Set spec.suspend to false to let the operator write again.",
)
DELETING = _reason(
    "Deleting",
    (*POSITIVE, RECONCILING),
    "The object is being deleted: PTRs are reset, then the A record is removed, then the finalizer.",
    _WAIT,
)
DELETION_BLOCKED = _reason(
    "DeletionBlocked",
    (*POSITIVE, RECONCILING, STALLED),
    "The clean-up before deletion cannot be done, for example because AWS cannot be reached.",
    "Remove the cause named in the message, or set spec.deletionPolicy to Retain to let the object go and "
    "leave the DNS as it is.",
)
RETIRING_OLD_NAME = _reason(
    "RetiringOldName",
    (READY,),
    "All is right and was verified; a former hostname, zone or address is still being cleared away.",
    _WAIT,
)
READY_REASON = _reason("Ready", (READY,), "All is right and was verified.", _NOTHING)

# Accepted.
ACCEPTED = _reason(
    "Accepted",
    (conditions.ACCEPTED,),
    "The spec is valid and the object holds its hostname and addresses.",
    _NOTHING,
)
INVALID_SPEC = _reason(
    "InvalidSpec",
    (conditions.ACCEPTED,),
    "The stored spec breaks a rule of the schema; it was stored under another version of it.",
    "Correct the field named in the message.",
)
HOSTNAME_CONFLICT = _reason(
    "HostnameConflict",
    (conditions.ACCEPTED,),
    "Another MailEgress holds the same hostname and still wants it.",
    "Choose another hostname, or delete or change the other MailEgress.",
    stalls_at_once=True,
)
ADDRESS_CONFLICT = _reason(
    "AddressConflict",
    (conditions.ACCEPTED,),
    "Another MailEgress holds the same Elastic IP and still wants it; an address has one PTR.",
    "Remove the address from one of the two.",
    stalls_at_once=True,
)
WAITING_FOR_RELEASE = _reason(
    "WaitingForRelease",
    (conditions.ACCEPTED,),
    "Another MailEgress still holds the hostname or an address but is about to let go of it.",
    _WAIT,
)
CLAIM_CYCLE = _reason(
    "ClaimCycle",
    (conditions.ACCEPTED,),
    "Several MailEgress objects wait for each other's hostname or addresses in a circle.",
    "Give one of them a free hostname or address for the time of the exchange.",
    stalls_at_once=True,
)
TOO_MANY_ADDRESSES = _reason(
    "TooManyAddresses",
    (conditions.ACCEPTED,),
    "The selectors resolve to more than 64 Elastic IPs.",
    "Split the addresses over several hostnames.",
)
REGION_NOT_CONFIGURED = _reason(
    "RegionNotConfigured",
    (conditions.ACCEPTED, *_BOTH),
    "An entry names a region that the operator does not look after, or a PTR that the object set is in one.",
    "Correct the region, or add it to the operator's --regions.",
)

# Elastic IPs.
ADDRESS_NOT_FOUND = _reason(
    "AddressNotFound",
    _BOTH,
    "A selector resolves to no Elastic IP in its account and region.",
    "Check the ID, the region and the account; allocate or attach the address.",
)
ADDRESS_LOST = _reason(
    "AddressLost",
    _BOTH,
    "An Elastic IP that was in use is gone from the account; it was taken out of our A record, because it "
    "may now be a stranger's.",
    "Remove the entry, or replace the address.",
)
ADDRESS_PENDING = _reason(
    "AddressPending",
    _BOTH,
    "An address is still being attached to its NAT gateway or instance.",
    _WAIT,
)
MASS_LOSS_SUSPECTED = _reason(
    "MassLossSuspected",
    _BOTH,
    "So many Elastic IPs vanished from an account at once that a fault is likelier than a release; "
    "nothing is removed.",
    "Check the operator's credentials and account; if the loss is real, edit or delete the objects "
    "concerned.",
)
ACCOUNT_MISMATCH = _reason(
    "AccountMismatch",
    _BOTH,
    "The credentials belong to another AWS account than the one in which the addresses or the hosted zone were before.",
    "Give the operator the role of the right account.",
)

# Hosted zone.
ZONE_NOT_FOUND = _reason(
    "ZoneNotFound",
    (FORWARD_READY,),
    "No public hosted zone fits the hostname, or the zone that the spec names does not exist.",
    "Create the zone, correct spec.forward.hostedZoneID, or use management Observed if the A record lives "
    "in another DNS.",
)
ZONE_AMBIGUOUS = _reason(
    "ZoneAmbiguous",
    (FORWARD_READY,),
    "Several public hosted zones of the same name fit, and the delegation does not tell which one counts.",
    "Set spec.forward.hostedZoneID.",
)
ZONE_NOT_EDITABLE = _reason(
    "ZoneNotEditable",
    (FORWARD_READY,),
    "The hosted zone is private, or another AWS service manages it.",
    "Name a public zone of your own in spec.forward.hostedZoneID.",
)
ZONE_NOT_DELEGATED = _reason(
    "ZoneNotDelegated",
    (FORWARD_READY,),
    "The parent domain does not delegate to the name servers of the hosted zone, so that the world does "
    "not see its records.",
    "Enter the zone's four name servers at the parent domain or registrar, and no others; if another DNS serves the "
    "zone as well, use management Observed.",
)

# A record.
RECORD_CONFLICT = _reason(
    "RecordConflict",
    (FORWARD_READY,),
    "A record set that the operator did not make stands at the hostname: a different A, a CNAME, an alias "
    "or a routed set.",
    "Remove it or choose another hostname; the operator does not overwrite it.",
    stalls_at_once=True,
)
RECORD_NOT_ADOPTED = _reason(
    "RecordNotAdopted",
    (FORWARD_READY,),
    "The right A record is already there, and spec.adoption is Never.",
    "Set spec.adoption to Matching, or remove the record.",
    stalls_at_once=True,
)
CHANGE_PENDING = _reason(
    "ChangePending",
    (FORWARD_READY,),
    "Route 53 has taken the change and is still bringing it to its name servers.",
    _WAIT,
)
CHANGE_REJECTED = _reason(
    "ChangeRejected",
    (FORWARD_READY,),
    "Route 53 refused the change.",
    "Act on AWS's words in the message.",
)
WAITING_FOR_FORWARD = _reason(
    "WaitingForForward",
    _DEPENDENT,
    "The A record does not hold the addresses yet: under management Observed someone else has to write "
    "it, and AWS takes no PTR before.",
    "Under Observed, put the addresses named in the message into the A record; else nothing to do.",
)
AUTHORITIES_DISAGREE = _reason(
    "AuthoritiesDisagree",
    (FORWARD_READY,),
    "Not every authoritative server of the zone gives the wanted answer yet.",
    "Wait; if it lasts, correct the name servers that the message names.",
)
AUTHORITIES_UNREACHABLE = _reason(
    "AuthoritiesUnreachable",
    (FORWARD_READY,),
    "No authoritative server of the zone answers the operator.",
    "Allow the operator outbound port 53, UDP and TCP.",
)
LAME_NAME_SERVER = _reason(
    "LameNameServer",
    (FORWARD_READY,),
    "A name server of the zone gives no usable answer for the hostname: it refuses, fails, does not answer, is not "
    "authoritative, or does not exist.",
    "Repair that name server, or remove it from the zone's NS records and from the delegation at the parent domain.",
)
ANSWERS_VARY = _reason(
    "AnswersVary",
    (FORWARD_READY, RESOLVED),
    "The answers for the hostname or a PTR differ from reading to reading, so that receivers refuse mail by chance.",
    "Let every name server give the same complete answer; remove rotating or weighted answers, and repair a server "
    "that is behind.",
)
DNS_LIMIT_EXCEEDED = _reason(
    "DNSLimitExceeded",
    (FORWARD_READY,),
    "Checking the hostname needs more than the 200 DNS questions or the 60 seconds that one check may use.",
    "Correct name servers that do not answer, and use fewer name servers and aliases for the hostname.",
)
INTERCEPTED = _reason(
    "Intercepted",
    (FORWARD_READY, RESOLVED),
    "DNS queries are answered by something in between and not by the server that was asked.",
    "Exempt the operator from DNS redirection.",
)
RECORD_IN_SYNC = _reason(
    "RecordInSync",
    (FORWARD_READY,),
    "Every authoritative server gives the wanted A record.",
    _NOTHING,
)

# PTR.
PTR_CONFLICT = _reason(
    "PTRConflict",
    _BOTH,
    "An address has a PTR to another name, which the operator did not set.",
    "Reset that PTR in AWS, or remove the address from the spec.",
    stalls_at_once=True,
)
PTR_NOT_ADOPTED = _reason(
    "PTRNotAdopted",
    _BOTH,
    "The right PTR is already there, and spec.adoption is Never.",
    "Set spec.adoption to Matching, or reset the PTR.",
    stalls_at_once=True,
)
PTR_PENDING = _reason(
    "PTRPending",
    (REVERSE_READY,),
    "AWS has taken the PTR and is still carrying the change out.",
    _WAIT,
)
PTR_REJECTED = _reason(
    "PTRRejected",
    (REVERSE_READY,),
    "AWS refused the PTR or reports that its update failed.",
    "Act on AWS's words in the message.",
)
PTR_CONTESTED = _reason(
    "PTRContested",
    (REVERSE_READY,),
    "Someone else keeps changing the PTR; the operator has stopped changing it back for a while.",
    "Find who else sets it and stop one of the two.",
)
REVERSE_UNSUPPORTED = _reason(
    "ReverseUnsupported",
    (REVERSE_READY,),
    "AWS has no API for PTRs in this partition (GovCloud, ISO).",
    "Ask AWS Support for the PTR named in the message; the object becomes ready when it is seen in DNS.",
    stalls_at_once=True,
)
PTR_IN_SYNC = _reason(
    "PTRInSync",
    (REVERSE_READY,),
    "Every address has the hostname as its PTR, and nothing is pending.",
    _NOTHING,
)

# Public resolvers.
NOT_PROPAGATED = _reason(
    "NotPropagated",
    (RESOLVED,),
    "Public resolvers do not see the A record or a PTR yet.",
    "Nothing to do; caches run out by themselves.",
)
RESOLVERS_DISAGREE = _reason(
    "ResolversDisagree",
    (RESOLVED,),
    "Public resolvers give different answers.",
    "Wait until caches have expired. If it persists, look for a second zone, split DNS, or a resolver that filters the "
    "name; name other resolvers in --dns-resolvers.",
)
RESOLVERS_UNREACHABLE = _reason(
    "ResolversUnreachable",
    (RESOLVED,),
    "Too few of the configured resolvers answer.",
    "Allow the operator outbound port 53, or configure resolvers that it can reach.",
)
RESOLVERS_DISABLED = _reason(
    "ResolversDisabled",
    (RESOLVED,),
    "The operator is configured without public resolvers; Ready does not depend on them.",
    _NOTHING,
)
FCRDNS_PASS = _reason(
    "FCrDNSPass",
    (RESOLVED,),
    "Resolvers see PTR and A agree for every address (RFC 8601 iprev = pass).",
    _NOTHING,
)
FCRDNS_FAIL = _reason(
    "FCrDNSFail",
    (RESOLVED,),
    "Resolvers see a PTR or an A record that does not fit the other (RFC 8601 iprev = fail).",
    "Compare with the values in the message; if A and PTR are right in AWS, wait until caches have run out.",
)

# AWS.
ACCESS_DENIED = _reason(
    "AccessDenied",
    _BOTH,
    "AWS denied the action named in the message.",
    "Allow it in the policy that the message names: the IAM policy of the operator's role, or another one, which its "
    "owner has to change.",
)
THROTTLED = _reason(
    "Throttled",
    _BOTH,
    "AWS asks for fewer calls.",
    "Nothing to do; if it lasts, find what else uses up the account's limit.",
)
AWS_UNAVAILABLE = _reason(
    "AWSUnavailable",
    _BOTH,
    "AWS does not answer, or answers with a server error.",
    "Nothing to do; if it lasts, check the AWS health page.",
)
ENDPOINT_UNREACHABLE = _reason(
    "EndpointUnreachable",
    _BOTH,
    "The operator does not reach an AWS endpoint: the host, the proxy on the way or its certificate is the cause.",
    "Correct what the message names: endpoint, region, proxy, certificate authority or network path.",
)
CREDENTIALS_UNAVAILABLE = _reason(
    "CredentialsUnavailable",
    _BOTH,
    "The operator has no AWS credentials, they are not accepted, or its role cannot be assumed.",
    "Correct what the message names; new credentials are picked up without a restart.",
)
QUOTA_EXCEEDED = _reason(
    "QuotaExceeded",
    _BOTH,
    "An AWS quota is used up, for example the number of records in a hosted zone.",
    "Ask AWS for a higher quota, or free some of it.",
)
UNEXPECTED_ERROR = _reason(
    "UnexpectedError",
    POSITIVE,
    "The operator met an error that it does not know.",
    "Report it together with the operator's log; it is tried again by itself.",
)

ALL_REASONS: Final[Mapping[str, Reason]] = MappingProxyType(_registry)
"""Every reason by name, in the order in which the documentation lists them."""
