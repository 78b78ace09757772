"""Every reason of a condition, an address entry or an Event: when it is set, and what the user does about it.

Reasons are API and are not renamed. The `reason` of a condition is `Reason.name`. An Event has the reason of the
condition that it reports.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mailegress.api import conditions
from mailegress.api.conditions import FORWARD_READY, POSITIVE, READY, RESOLVED, REVERSE_READY
from mailegress.api.reason import Reason as Reason

_registry: dict[str, Reason] = {}


def _reason(
    name: str, types: tuple[str, ...], when: str, remedy: str, *, stalls_at_once: bool = False
) -> Reason:
    if name in _registry:
        raise ValueError(f"reason {name} is defined twice")
    return _registry.setdefault(name, Reason(name, when, remedy, types, stalls_at_once))


_NOTHING: Final = "No action required."
_WAIT: Final = "No action required; the operator continues automatically."
_BOTH: Final = (FORWARD_READY, REVERSE_READY)
_DEPENDENT: Final = (FORWARD_READY, REVERSE_READY, RESOLVED)

# Life cycle.
PENDING = _reason(
    "Pending",
    POSITIVE,
    "The operator has not processed the object yet, or a step before this condition is not done.",
    "Wait. If it persists on a new object, check that the operator is running.",
)
PROGRESSING = _reason(
    "Progressing",
    (READY, FORWARD_READY, REVERSE_READY, RESOLVED, conditions.RECONCILING),
    "A change is in progress and nothing blocks it.",
    _WAIT,
)
SUSPENDED = _reason(
    "Suspended",
    (READY, FORWARD_READY, REVERSE_READY, conditions.RECONCILING),
    "spec.suspend is true, and a write to AWS is due.",
    "Set spec.suspend to false to let the operator write again.",
)
DELETING = _reason(
    "Deleting",
    (*POSITIVE, conditions.RECONCILING),
    "The object is being deleted. The operator resets the PTRs, then removes the A record, then the finalizer.",
    _WAIT,
)
DELETION_BLOCKED = _reason(
    "DeletionBlocked",
    (*POSITIVE, conditions.RECONCILING, conditions.STALLED),
    "The cleanup before deletion cannot be completed, for example because AWS cannot be reached.",
    "Remove the cause named in the message, or set spec.deletionPolicy to Retain to delete the object and leave its "
    "DNS records and PTRs in place.",
)
RETIRING_OLD_NAME = _reason(
    "RetiringOldName",
    (READY,),
    "Forward and reverse DNS are verified. A former hostname, zone or address is still being removed. The record in a "
    "former zone is kept for the NS TTL at the parent, often two days; a former hostname for 5 minutes.",
    _WAIT,
)
READY_REASON = _reason("Ready", (READY,), "Forward and reverse DNS match and are verified.", _NOTHING)

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
    "The stored spec is not valid. It was stored under another version of the schema.",
    "Correct the field named in the message.",
)
HOSTNAME_CONFLICT = _reason(
    "HostnameConflict",
    (conditions.ACCEPTED,),
    "Another MailEgress has the same hostname and still uses it.",
    "Choose another hostname, or delete or change the other MailEgress.",
    stalls_at_once=True,
)
ADDRESS_CONFLICT = _reason(
    "AddressConflict",
    (conditions.ACCEPTED,),
    "Another MailEgress has the same Elastic IP and still uses it. An address has one PTR.",
    "Remove the address from one of the two.",
    stalls_at_once=True,
)
WAITING_FOR_RELEASE = _reason(
    "WaitingForRelease",
    (conditions.ACCEPTED,),
    "Another MailEgress has the hostname or an address and is about to release it.",
    _WAIT,
)
CLAIM_CYCLE = _reason(
    "ClaimCycle",
    (conditions.ACCEPTED,),
    "Several MailEgress objects wait for each other's hostname or addresses.",
    "Give one of them a free hostname or address until the exchange is done.",
    stalls_at_once=True,
)
TOO_MANY_ADDRESSES = _reason(
    "TooManyAddresses",
    (conditions.ACCEPTED,),
    "The selectors resolve to more than 64 Elastic IPs.",
    "Split the addresses over several hostnames, or select fewer, for example by more tags.",
)
REGION_NOT_CONFIGURED = _reason(
    "RegionNotConfigured",
    (conditions.ACCEPTED, *_BOTH),
    "The spec names a region that is not in the operator's --regions, or the object set a PTR in such a region.",
    "Correct the region, or add it to the operator's --regions.",
)

# Policies.
NO_MATCHING_POLICY = _reason(
    "NoMatchingPolicy",
    (conditions.ACCEPTED,),
    "The operator enforces policies, and no MailEgressPolicy selects the namespace of the object.",
    "Ask the platform team for a MailEgressPolicy that selects the namespace.",
)
HOSTNAME_NOT_ALLOWED = _reason(
    "HostnameNotAllowed",
    (conditions.ACCEPTED,),
    "No MailEgressPolicy of the namespace allows the hostname, or none allows it in this hosted zone. The name of a "
    "zone must be allowed exactly.",
    "Choose a hostname that is allowed, or ask the platform team to allow this one.",
)
MANAGEMENT_NOT_ALLOWED = _reason(
    "ManagementNotAllowed",
    (conditions.ACCEPTED,),
    "The MailEgressPolicies that allow the hostname do not allow its spec.forward.management.",
    "Set spec.forward.management to an allowed value, or ask the platform team to allow this one.",
)
ADDRESS_NOT_ALLOWED = _reason(
    "AddressNotAllowed",
    (conditions.ACCEPTED, *_BOTH),
    "A selector resolves to an Elastic IP that no MailEgressPolicy allows together with the hostname, or to none; the "
    "status does not show which. The address is not used; the others are.",
    "Check the selector, or ask the platform team to allow the address.",
)
NAMESPACE_LIMIT = _reason(
    "NamespaceLimit",
    (conditions.ACCEPTED,),
    "The namespace has more MailEgresses than its MailEgressPolicies allow. The oldest are served.",
    "Delete MailEgresses that are not needed, or ask the platform team for a greater maxMailEgresses.",
)
RETAIN_NOT_ALLOWED = _reason(
    "RetainNotAllowed",
    (conditions.ACCEPTED,),
    "The object is being deleted with spec.deletionPolicy Retain, and no MailEgressPolicy allows Retain for its "
    "hostname. Nothing is removed until this is decided.",
    "Set spec.deletionPolicy to Delete, or ask the platform team for a policy with allowRetain.",
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
    "An Elastic IP that was in use is no longer in the account. The operator removed it from the A record, because "
    "it may have been reassigned to a third party.",
    "Remove the entry, or replace the address.",
)
ADDRESS_PENDING = _reason(
    "AddressPending",
    _BOTH,
    "An address is still being attached to its NAT gateway or instance.",
    _WAIT,
)
ADDRESS_SERVICE_MANAGED = _reason(
    "AddressServiceManaged",
    _BOTH,
    "A selector resolves to an Elastic IP that belongs to a load balancer or a database (ServiceManaged is alb, nlb or "
    "rds). No mail leaves from it. The address is not used; the others are.",
    "Select the addresses from which mail leaves, for example by another tag. "
    "`aws ec2 describe-addresses --query 'Addresses[?ServiceManaged]'` lists the addresses that belong to services.",
)
MASS_LOSS_SUSPECTED = _reason(
    "MassLossSuspected",
    _BOTH,
    "Many Elastic IPs disappeared from an account at the same time, which is more likely a fault than a release. "
    "Nothing is removed.",
    "Check the operator's credentials and account. If the addresses were released, edit or delete the affected "
    "objects.",
)
ACCOUNT_MISMATCH = _reason(
    "AccountMismatch",
    _BOTH,
    "The credentials belong to a different AWS account than the one that had the addresses or the hosted zone.",
    "Give the operator the role of the account named in the message.",
)

# Hosted zone.
ZONE_NOT_FOUND = _reason(
    "ZoneNotFound",
    (FORWARD_READY,),
    "No public hosted zone matches the hostname, or the zone in spec.forward.hostedZoneID does not exist.",
    "Create the zone, correct spec.forward.hostedZoneID, or use management Observed if another DNS provider has the "
    "A record.",
)
ZONE_AMBIGUOUS = _reason(
    "ZoneAmbiguous",
    (FORWARD_READY,),
    "Several public hosted zones have the same name, and the delegation points to none of them alone.",
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
    "The parent domain does not delegate to the name servers of the hosted zone, so public DNS does not have its "
    "records.",
    "Enter the zone's four name servers, and no others, at the parent domain or registrar. If another DNS provider "
    "also serves the zone, use management Observed.",
)

# A record.
RECORD_CONFLICT = _reason(
    "RecordConflict",
    (FORWARD_READY,),
    "The hostname has a record set that the operator did not create: a different A record, a CNAME, an alias, or a "
    "record set with a routing policy.",
    "Remove the record set or choose another hostname. The operator does not overwrite it.",
    stalls_at_once=True,
)
RECORD_NOT_ADOPTED = _reason(
    "RecordNotAdopted",
    (FORWARD_READY,),
    "The A record already exists with the wanted addresses, and spec.adoption is Never.",
    "Set spec.adoption to Matching, or remove the record.",
    stalls_at_once=True,
)
CHANGE_PENDING = _reason(
    "ChangePending",
    (FORWARD_READY,),
    "Route 53 accepted the change and is publishing it to its name servers.",
    _WAIT,
)
CHANGE_REJECTED = _reason(
    "ChangeRejected",
    (FORWARD_READY,),
    "Route 53 refused the change.",
    "Follow the AWS error in the message.",
)
WAITING_FOR_FORWARD = _reason(
    "WaitingForForward",
    _DEPENDENT,
    "The A record does not contain the addresses yet. Under management Observed the operator does not write it, and "
    "AWS accepts no PTR before it exists.",
    "Under Observed, add the addresses named in the message to the A record. Otherwise no action is required.",
)
AUTHORITIES_DISAGREE = _reason(
    "AuthoritiesDisagree",
    (FORWARD_READY,),
    "Not every authoritative name server of the zone returns the expected answer yet.",
    "Wait. If it persists, correct the name servers named in the message.",
)
AUTHORITIES_UNREACHABLE = _reason(
    "AuthoritiesUnreachable",
    (FORWARD_READY,),
    "No authoritative name server of the zone answers the operator.",
    "Allow outbound UDP and TCP port 53 for the operator.",
)
LAME_NAME_SERVER = _reason(
    "LameNameServer",
    (FORWARD_READY,),
    "A name server of the zone returns no usable answer for the hostname: it refuses, fails, does not answer, is not "
    "authoritative, or does not exist.",
    "Repair that name server, or remove it from the zone's NS records and from the delegation at the parent domain.",
)
ANSWERS_VARY = _reason(
    "AnswersVary",
    (FORWARD_READY, RESOLVED),
    "The answers for the hostname or a PTR differ between readings, so receivers may refuse mail intermittently.",
    "Configure every name server to return the same complete answer. Remove rotating or weighted answers, and repair "
    "servers that are not up to date.",
)
DNS_LIMIT_EXCEEDED = _reason(
    "DNSLimitExceeded",
    (FORWARD_READY,),
    "A check of the hostname needs more than 200 DNS queries or 60 seconds, which is the limit of one check.",
    "Repair name servers that do not answer, and use fewer name servers and aliases for the hostname.",
)
INTERCEPTED = _reason(
    "Intercepted",
    (FORWARD_READY, RESOLVED),
    "Something on the network path answers DNS queries instead of the server that was queried.",
    "Exempt the operator from DNS redirection.",
)
EXTERNAL_DNS_DISABLED = _reason(
    "ExternalDNSDisabled",
    _BOTH,
    "The spec or the status names external-dns, and the operator is started without --external-dns=on.",
    "Start the operator with --external-dns=on (chart: externalDNS.enabled), or choose another management.",
)
EXTERNAL_DNS_MISSING = _reason(
    "ExternalDNSMissing",
    _BOTH,
    "The cluster does not have the kind DNSEndpoint (externaldns.k8s.io/v1alpha1).",
    "Apply the CRD of external-dns. The operator checks again within 30 seconds.",
)
EXTERNAL_DNS_UNAVAILABLE = _reason(
    "ExternalDNSUnavailable",
    _BOTH,
    "The API server refuses a request for DNSEndpoints, or does not answer it.",
    "Follow the error in the message. If it is a refusal, grant the rights on dnsendpoints (externalDNS.enabled).",
)
DNS_ENDPOINT_CONFLICT = _reason(
    "DNSEndpointConflict",
    (FORWARD_READY,),
    "A DNSEndpoint that does not belong to this MailEgress has the hostname, or the name that the operator would use.",
    "Delete the other DNSEndpoint or choose another hostname. The operator does not change it.",
    stalls_at_once=True,
)
DNS_ENDPOINT_CONTESTED = _reason(
    "DNSEndpointContested",
    (FORWARD_READY,),
    "Something else keeps changing or deleting the DNSEndpoint. The operator has paused its repairs.",
    "Find the writer that the message names, and stop it.",
)
DNS_ENDPOINT_REPAIRED = _reason(
    "DNSEndpointRepaired",
    (FORWARD_READY,),
    "Something other than the operator changed or deleted the DNSEndpoint, and the operator restores it.",
    "Change the MailEgress instead of the DNSEndpoint.",
)
RECORD_LEFT_IN_PLACE = _reason(
    "RecordLeftInPlace",
    (FORWARD_READY,),
    "The DNSEndpoint was deleted, and public DNS still has the A record: the policy of external-dns is not sync, or it "
    "does not own the record.",
    "Delete the A record at the DNS provider if it is not needed any more.",
)
RECORD_IN_SYNC = _reason(
    "RecordInSync",
    (FORWARD_READY,),
    "Every authoritative name server returns the expected A record.",
    _NOTHING,
)

# PTR.
PTR_CONFLICT = _reason(
    "PTRConflict",
    _BOTH,
    "An address has a PTR to another name that the operator did not set.",
    "Reset that PTR in AWS, or remove the address from the spec.",
    stalls_at_once=True,
)
PTR_NOT_ADOPTED = _reason(
    "PTRNotAdopted",
    _BOTH,
    "The PTR already has the wanted name, and spec.adoption is Never.",
    "Set spec.adoption to Matching, or reset the PTR.",
    stalls_at_once=True,
)
PTR_PENDING = _reason(
    "PTRPending",
    (REVERSE_READY,),
    "AWS accepted the PTR and is applying the change.",
    _WAIT,
)
PTR_REJECTED = _reason(
    "PTRRejected",
    (REVERSE_READY,),
    "AWS rejected the PTR, or reports that the update failed.",
    "Follow the AWS error in the message.",
)
PTR_CONTESTED = _reason(
    "PTRContested",
    (REVERSE_READY,),
    "Something other than the operator keeps changing the PTR. The operator has paused its repairs.",
    "Find what else sets the PTR, and stop it or remove the address from the spec.",
)
REVERSE_UNSUPPORTED = _reason(
    "ReverseUnsupported",
    (REVERSE_READY,),
    "AWS has no API for PTRs in this partition (GovCloud, ISO).",
    "Ask AWS Support for the PTR named in the message. The object becomes Ready when public DNS has it.",
    stalls_at_once=True,
)
PTR_IN_SYNC = _reason(
    "PTRInSync",
    (REVERSE_READY,),
    "The PTR of every address is the hostname, and no change is pending.",
    _NOTHING,
)

# Public resolvers.
NOT_PROPAGATED = _reason(
    "NotPropagated",
    (RESOLVED,),
    "Public resolvers, or a server of the reverse zone, do not return the A record or a PTR yet.",
    "No action required. Resolver caches expire automatically.",
)
RESOLVERS_DISAGREE = _reason(
    "ResolversDisagree",
    (RESOLVED,),
    "Public resolvers return different answers.",
    "Wait until caches have expired. If it persists, look for a second zone, split-horizon DNS, or a resolver that "
    "filters the name; set other resolvers with --dns-resolvers.",
)
RESOLVERS_UNREACHABLE = _reason(
    "ResolversUnreachable",
    (RESOLVED,),
    "Too few of the configured resolvers answer.",
    "Allow outbound port 53 for the operator, or set resolvers that it can reach with --dns-resolvers.",
)
RESOLVERS_DISABLED = _reason(
    "ResolversDisabled",
    (RESOLVED,),
    "The operator is configured without public resolvers. Ready does not depend on them.",
    _NOTHING,
)
FCRDNS_PASS = _reason(
    "FCrDNSPass",
    (RESOLVED,),
    "Public resolvers return a matching PTR and A record for every address (RFC 8601 iprev=pass).",
    _NOTHING,
)
FCRDNS_FAIL = _reason(
    "FCrDNSFail",
    (RESOLVED,),
    "Public resolvers return a PTR and an A record that do not match (RFC 8601 iprev=fail), or a server of the reverse "
    "zone does not return the PTR.",
    "Compare with the values in the message. If the A record and the PTR are correct in AWS, wait until caches expire.",
)

# AWS.
ACCESS_DENIED = _reason(
    "AccessDenied",
    _BOTH,
    "AWS denied the action named in the message.",
    "Allow it in the policy that the message names: the IAM policy of the operator's role, or a policy that its owner "
    "must change.",
)
THROTTLED = _reason(
    "Throttled",
    _BOTH,
    "AWS throttles the operator's requests.",
    "No action required. If it persists, find what else uses the account's request limit.",
)
AWS_UNAVAILABLE = _reason(
    "AWSUnavailable",
    _BOTH,
    "AWS does not answer, or returns a server error.",
    "No action required. If it persists, check the AWS Health Dashboard.",
)
ENDPOINT_UNREACHABLE = _reason(
    "EndpointUnreachable",
    _BOTH,
    "The operator cannot reach an AWS endpoint because of its host name, a proxy or a certificate.",
    "Correct what the message names: endpoint, region, proxy, certificate authority or network path.",
)
CREDENTIALS_UNAVAILABLE = _reason(
    "CredentialsUnavailable",
    _BOTH,
    "The operator has no AWS credentials, AWS does not accept them, or the role cannot be assumed.",
    "Correct what the message names. The operator uses new credentials without a restart.",
)
QUOTA_EXCEEDED = _reason(
    "QuotaExceeded",
    _BOTH,
    "An AWS quota is exhausted, for example the number of records in a hosted zone.",
    "Request a higher quota from AWS, or delete resources that are not needed.",
)
UNEXPECTED_ERROR = _reason(
    "UnexpectedError",
    POSITIVE,
    "The operator encountered an unclassified error.",
    "Report it with the operator's log. The operator retries automatically.",
)

ALL_REASONS: Final[Mapping[str, Reason]] = MappingProxyType(_registry)
"""Every reason by name, in the order in which the documentation lists them."""
