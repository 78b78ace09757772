"""The one classification of AWS's errors, and the texts that conditions show of them (S12).

The same error always gives byte-equal text: request IDs, timestamps, encoded blobs and session names are left out,
because a message that changes at every attempt would be a status write, and a reconcile, at every attempt.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

from mailegress.api import reasons
from mailegress.api.names import OWNERSHIP_LABEL, normalise_name
from mailegress.api.text import clean_text
from mailegress.aws.api import AwsError, Service
from mailegress.model.facts import ErrorKind, Fault
from mailegress.telemetry.logs import bounded, redact

_log = logging.getLogger(__name__)

MAX_MESSAGE = 512
BATCH_LIMIT = 131_072
"""Characters of an InvalidChangeBatch that are searched for names: it may name each of a batch's 1,000 records."""

THROTTLES = frozenset(
    {
        "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
        "RequestLimitExceeded", "EC2ThrottledException", "TooManyRequestsException", "SlowDown",
        "BandwidthLimitExceeded", "PriorRequestNotComplete",
    }
)  # fmt: skip
"""Certainly refused, to be sent again later. PriorRequestNotComplete is Route 53's, per hosted zone."""

_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_KEYS_UNKNOWN = (
    "the credentials are not valid (deleted, deactivated, of another partition, or the region is not enabled in "
    "the account); give the operator valid ones"
)
_CLOCK = "correct the clock of the operator's node (NTP)"
_TRUST = "check the cluster's OIDC provider in IAM and the role's trust policy"
_FETCH = "check how the service account is bound to its IAM role (IRSA or EKS Pod Identity)"
_CREDENTIAL_REMEDIES = {
    "NoCredentials": _FETCH,
    "CredentialsFile": "make the file readable for the operator's user (fsGroup of the pod, mount path)",
    "CredentialsHost": "remove the variable, or let EKS Pod Identity set it",
    "MalformedCredentials": "correct the Secret: write the value without a line break",
    "ExpiredToken": f"the credentials have expired; {_FETCH}",
    "ExpiredTokenException": f"the credentials have expired; {_FETCH}",
    "RequestExpired": f"the credentials have expired, or {_CLOCK}",
    "RequestTimeTooSkewed": _CLOCK,
    "InvalidClientTokenId": _KEYS_UNKNOWN,
    "UnrecognizedClientException": _KEYS_UNKNOWN,
    "InvalidAccessKeyId": _KEYS_UNKNOWN,
    "AuthFailure": _KEYS_UNKNOWN,
    "SignatureDoesNotMatch": "the secret access key does not belong to the access key; correct the credentials",
    "InvalidSignatureException": "the secret access key does not belong to the access key; correct the credentials",
    "IncompleteSignature": "the credentials are incomplete; correct them",
    "MissingAuthenticationToken": _FETCH,
    "OptInRequired": "enable the service and the region in the account",
    "RegionDisabledException": "activate AWS STS for the region in the account",
    "InvalidIdentityToken": _TRUST,
    "IDPCommunicationError": f"AWS does not reach the cluster's OIDC provider; {_TRUST}",
}
"""Codes of credentials that are missing or not accepted, each with its remedy. No restart is needed after a repair."""
_CREDENTIALS = frozenset(_CREDENTIAL_REMEDIES)
_RENEWABLE = _CREDENTIALS - {"OptInRequired", "RegionDisabledException", "RequestTimeTooSkewed"}
_LOCAL = frozenset({"NoCredentials", "CredentialsFile", "CredentialsHost", "MalformedCredentials"})
_UNREACHED = {
    "ConnectionError": "check the endpoint, DNS, the network path and the VPC endpoint",
    "UntrustedCertificate": "if a proxy inspects TLS, mount its CA certificate and name the file in AWS_CA_BUNDLE",
    "ProxyError": "correct the proxy variable, or add the AWS hosts to NO_PROXY",
    "NotAWS": "check the endpoint and the proxy on the way to it",
    "InvalidEndpoint": "correct the endpoint or the region",
}
"""Codes of requests that met no AWS at all, each with its remedy."""
_SERVER = frozenset(
    {
        "InternalError", "InternalFailure", "InternalServiceError", "InternalServerError", "ServiceUnavailable",
        "ServiceUnavailableException", "Unavailable", "Timeout", "ConnectionError", "InvalidResponse",
    }
)  # fmt: skip
_QUOTAS = frozenset({"LimitsExceeded", "LimitExceeded"})
_ADDRESS_MISSING = frozenset(
    {
        "InvalidAllocationID.NotFound", "InvalidAllocationID.Malformed", "InvalidAddress.NotFound",
        "InvalidAddress.Malformed", "InvalidAddressID.NotFound", "NatGatewayNotFound", "NatGatewayMalformed",
    }
)  # fmt: skip
_NOT_YOURS = "permission to access the specified resource"
"""AuthFailure with these words is about one resource, such as an address that a service manages; not credentials."""
_NO_OPERATION = frozenset({"InvalidAction", "UnsupportedOperation"})
_WRITES = frozenset({"ChangeResourceRecordSets", "ModifyAddressAttribute", "ResetAddressAttribute"})

_STALE = ("but it already exists", "but it was not found", "do not match the current values")
_CONFLICTS = (
    "conflicting rrset",
    "conflicts with other records",
    "other rrsets exist with the same name and type",
)
_QUOTA_WORDS = ("limits exceeded", "max_rrsets_by_zone", "cannot create more")

_NETWORK_OWNER = "whoever runs the VPC has to allow it in that endpoint's policy"
_DENIERS = (
    (
        "service control polic",
        "a service control policy",
        "an administrator of the AWS organization has to allow it there",
    ),
    (
        "resource control polic",
        "a resource control policy",
        "an administrator of the AWS organization that owns the resource has to allow it there",
    ),
    (
        "permissions boundar",
        "the permissions boundary of the role",
        "whoever administers IAM in the account has to allow it there",
    ),
    ("vpc endpoint polic", "the policy of the VPC endpoint", _NETWORK_OWNER),
    (
        "session polic",
        "the session policy",
        "whoever issues the operator's credentials has to allow it there",
    ),
    (
        "resource-based polic",
        "a resource-based policy",
        "the owner of the resource has to allow it in the policy of the resource",
    ),
    (
        "identity-based polic",
        "an identity-based policy",
        "allow it in the IAM policy of the operator's role",
    ),
)
"""Words of AWS ("Access denied error messages" in the IAM User Guide), the policy they mean, and who can change it."""
_ASSUMED = re.compile(r"on resource: (arn:[\w-]+:iam::\d{12}:role/[\w+=,.@/-]{1,200})")
_ROLE = re.compile(r"arn:[a-z0-9-]+:sts::(\d{12}):assumed-role/([\w+=,.@-]+)/")

_IDENTITY = re.compile(r"arn:[a-z0-9-]{1,20}:(?:iam|sts)::\d{12}:[\w+=,.@/-]{1,300}")
"""Roles and accounts are for the log, not for the status."""

_VOLATILE = (
    (re.compile(r"\s{0,8}Encoded authorization failure message:?\s*[A-Za-z0-9_+/=-]*\.?", re.I), ""),
    (re.compile(r"[\s,;(]{0,8}\b(?:x-amzn?-)?request[ _-]?id\b\s*[:=]?\s*[A-Za-z0-9-]*\)?", re.I), ""),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.I), "[ID]"),
    (re.compile(r"\b\d{4}-?\d{2}-?\d{2}[T ]\d{2}:?\d{2}:?\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?"), "[time]"),
)
"""What differs from one attempt to the next, and what is shown instead, so that the rest remains a sentence."""
_SKEW = (
    (re.compile(r"signature not yet current", re.I), "ahead of"),
    (re.compile(r"signature expired", re.I), "behind"),
)
_CULPRIT = re.compile(r"name='([^']+)'|DNS name ([^\s,]+)|Resource Record Name: '([^']+)'", re.I)
_FRAGMENT = re.compile(r",\s+(?=Tried to |RRSet |Invalid |FATAL |The request |A HostedZone )")


@dataclass(frozen=True, slots=True)
class Rejection:
    """What an InvalidChangeBatch message says of one hostname."""

    hostname: str
    message: str


def steady(text: str) -> str:
    """``text`` without what differs from one attempt to the next, on one printable line.

    Without credentials, too: of a signature that does not fit, EC2 and STS show the whole signed request, session
    token included.
    """
    text = bounded(text)
    for pattern, shown in _VOLATILE:
        text = pattern.sub(shown, text)
    text = _IDENTITY.sub("the operator's identity", text)
    return clean_text(redact(text), MAX_MESSAGE)


def is_throttle(error: AwsError) -> bool:
    """True if AWS certainly refused the request only for its rate or its timing."""
    return error.code in THROTTLES


def says_no_such_operation(error: AwsError) -> bool:
    """True if AWS answered that it does not offer the operation, at all or for what it was asked about."""
    return error.code in _NO_OPERATION


def rejections(error: AwsError) -> tuple[Rejection, ...]:
    """The hostnames that an InvalidChangeBatch message names, each with the fragments that name it."""
    texts: dict[str, list[str]] = {}
    for fragment in _fragments(error.message):
        for groups in _CULPRIT.findall(fragment):
            name = normalise_name(next(filter(None, groups)))
            hostname = name.removeprefix(f"{OWNERSHIP_LABEL}.")
            found = texts.setdefault(hostname, [])
            if fragment not in found:
                found.append(fragment)
    return tuple(Rejection(name, "; ".join(sorted(found))) for name, found in texts.items())


def _fragments(message: str) -> list[str]:
    text = bounded(message, BATCH_LIMIT).strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    return _FRAGMENT.split(text)


def rejection_fault(message: str) -> Fault:
    """The fault of an InvalidChangeBatch, from its message (free text, by the Route 53 API Reference)."""
    message = bounded(message, BATCH_LIMIT)
    words = message.lower()
    text = steady(f"Route 53 refused the change: {message.strip() or 'no explanation was given'}")
    if any(fragment in words for fragment in _QUOTA_WORDS):
        return Fault(reasons.QUOTA_EXCEEDED.name, text, ErrorKind.WORLD)
    if any(fragment in words for fragment in _CONFLICTS):
        return Fault(reasons.RECORD_CONFLICT.name, text, ErrorKind.HUMAN)
    if any(fragment in words for fragment in _STALE):
        # Somebody else changed the name after it was read: what is there now decides, not this refusal.
        return Fault(reasons.CHANGE_REJECTED.name, text, ErrorKind.TRANSIENT)
    if "is not permitted in zone" in words:
        return Fault(reasons.CHANGE_REJECTED.name, text, ErrorKind.HUMAN)
    return Fault(reasons.CHANGE_REJECTED.name, text, ErrorKind.WORLD)


def _denied(error: AwsError) -> Fault:
    action = f"{error.service.value}:{error.operation}"
    said = bounded(error.message)
    role = _ROLE.search(said)
    because, remedy = _denier(said)
    if role:
        # Whose role it is concerns the administrator, not everybody who may read a MailEgress.
        _log.warning("AWS denies %s to role %s of account %s%s", action, role[2], role[1], because)
    if error.operation.startswith("AssumeRole"):
        wanted = _ASSUMED.search(said)
        if wanted:
            _log.warning("AWS denies %s of %s%s", action, wanted[1], because)
        remedy = remedy or "check the role's trust policy, its external ID and the operator's policy"
        text = f"AWS denies {action}{because}; {remedy}"
        return Fault(reasons.CREDENTIALS_UNAVAILABLE.name, clean_text(text, MAX_MESSAGE), ErrorKind.WORLD)
    remedy = remedy or "allow it in the IAM policy of the operator's role"
    text = f"AWS denies {action}{because}; {remedy}"
    return Fault(reasons.ACCESS_DENIED.name, clean_text(text, MAX_MESSAGE), ErrorKind.WORLD)


def _denier(said: str) -> tuple[str, str]:
    """Which policy denies, in brackets, and who can change it; empty texts if AWS does not say."""
    words = said.lower()
    for fragment, policy, remedy in _DENIERS:
        if fragment in words:
            how = "denies it" if "explicit deny" in words else "does not allow it"
            if fragment.startswith("identity") and "explicit deny" in words:
                remedy = "remove the Deny from the IAM policies of the operator's role"
            return f" ({policy} {how})", remedy
    if "explicit deny" in words:
        return (
            " (a policy denies it explicitly)",
            "remove the Deny from the policies that apply to the operator's role",
        )
    return "", ""


def _not_accepted(error: AwsError) -> str:
    """What is wrong with the credentials, and the remedy. The clock of the node is part of a signature."""
    for pattern, side in _SKEW:
        if pattern.search(bounded(error.message)):
            return (
                f"{error.operation}: {error.code}: the clock of the operator's node is more than 5 minutes {side} "
                f"AWS's, so that AWS does not accept its signatures; {_CLOCK}"
            )
    remedy = _CREDENTIAL_REMEDIES.get(error.code, _FETCH)
    # The facts of a failure on this side are whole sentences; AWS's come with their code.
    code = "" if error.code in _LOCAL else f"{error.code or f'HTTP {error.http_status}'}: "
    said = steady(f"{error.operation}: {code}{bounded(error.message)}".removesuffix(": "))
    room = MAX_MESSAGE - len(remedy) - 2
    return f"{clean_text(said, room).rstrip('. ')}; {remedy}"


def _unreached(error: AwsError) -> str:
    remedy = _UNREACHED[error.code]
    said = steady(
        f"{error.operation}: {bounded(error.message) or f'no connection to AWS {error.service.value}'}"
    )
    return f"{clean_text(said, MAX_MESSAGE - len(remedy) - 2).rstrip('. ')}; {remedy}"


def refuses_the_request(error: AwsError) -> bool:
    """True if AWS understood a reading and refused it, perhaps for one of the things that it asks for."""
    return classify(error).reason in (reasons.ACCESS_DENIED.name, reasons.UNEXPECTED_ERROR.name)


def doubts_credentials(error: AwsError) -> bool:
    """True if other credentials may succeed where these failed."""
    return error.code in _RENEWABLE and _NOT_YOURS not in bounded(error.message)


def classify(error: AwsError) -> Fault:
    """The fault of an error: reason, steady message, how it is met, and whether it may have been carried out."""
    code, operation = error.code, error.operation
    said = steady(f"{operation}: {code or f'HTTP {error.http_status}'}: {error.message}".removesuffix(": "))
    if is_throttle(error):
        return Fault(
            reasons.THROTTLED.name,
            f"AWS asks for fewer {error.service.value} calls ({code})",
            ErrorKind.TRANSIENT,
        )
    if code in _DENIED:
        return _denied(error)
    unknown = error.sent and operation in _WRITES
    if code in _UNREACHED and not (code == "ConnectionError" and error.sent):
        # A connection that broke later was one to AWS.
        return Fault(reasons.ENDPOINT_UNREACHABLE.name, _unreached(error), ErrorKind.TRANSIENT, unknown)
    if operation in _WRITES and code == "AuthFailure" and _NOT_YOURS in bounded(error.message):
        return Fault(reasons.PTR_REJECTED.name, said, ErrorKind.WORLD)
    if code in _CREDENTIALS or (error.service is Service.STS and error.http_status in (400, 401, 403)):
        return Fault(reasons.CREDENTIALS_UNAVAILABLE.name, _not_accepted(error), ErrorKind.WORLD)
    if code == "InvalidChangeBatch":
        return rejection_fault(error.message)
    if code in _QUOTAS:
        return Fault(reasons.QUOTA_EXCEEDED.name, said, ErrorKind.WORLD)
    if code == "NoSuchHostedZone":
        return Fault(reasons.ZONE_NOT_FOUND.name, said, ErrorKind.WORLD)
    if code in _ADDRESS_MISSING:
        return Fault(reasons.ADDRESS_NOT_FOUND.name, said, ErrorKind.WORLD)
    if code in _SERVER or error.http_status >= 500:
        return Fault(reasons.AWS_UNAVAILABLE.name, _unanswered(error, said), ErrorKind.TRANSIENT, unknown)
    if operation == "ChangeResourceRecordSets":
        return Fault(reasons.CHANGE_REJECTED.name, said, ErrorKind.WORLD)
    if operation in _WRITES:
        return Fault(reasons.PTR_REJECTED.name, said, ErrorKind.WORLD)
    return Fault(reasons.UNEXPECTED_ERROR.name, said, ErrorKind.WORLD)


def _unanswered(error: AwsError, said: str) -> str:
    # The SDK's words name endpoints, ports and pool states that differ between attempts.
    if error.code == "Timeout":
        return f"{error.operation}: AWS did not answer in time"
    if error.code == "ConnectionError":
        return f"{error.operation}: no connection to AWS {error.service.value}"
    return said
