"""The one classification of AWS's errors.

The same error always gives byte-equal text: request IDs, timestamps, encoded blobs and session names are left out,
because a message that changes at every attempt would be a status write, and a reconcile, at every attempt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailegress.api import reasons
from mailegress.api.names import OWNERSHIP_LABEL, normalise_name
from mailegress.api.text import clean_text
from mailegress.aws.api import AwsError, Service
from mailegress.reconcile.model import ErrorKind, Fault
from mailegress.telemetry.logs import bounded, redact

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
_CREDENTIALS = frozenset(
    {
        "NoCredentials", "ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId",
        "UnrecognizedClientException", "AuthFailure", "SignatureDoesNotMatch", "InvalidSignatureException",
        "IncompleteSignature", "MissingAuthenticationToken", "OptInRequired", "InvalidIdentityToken",
        "IDPCommunicationError", "RequestTimeTooSkewed", "InvalidAccessKeyId",
    }
)  # fmt: skip
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
_NO_OPERATION = frozenset({"InvalidAction", "UnsupportedOperation"})
_WRITES = frozenset({"ChangeResourceRecordSets", "ModifyAddressAttribute", "ResetAddressAttribute"})

_STALE = ("but it already exists", "but it was not found", "do not match the current values")
_CONFLICTS = (
    "conflicting rrset",
    "conflicts with other records",
    "other rrsets exist with the same name and type",
)
_QUOTA_WORDS = ("limits exceeded", "max_rrsets_by_zone", "cannot create more")

_DENIED_BECAUSE = (
    ("explicit deny in a service control policy", "a service control policy denies it"),
    ("service control policy", "no service control policy allows it"),
    ("resource control policy", "a resource control policy denies it"),
    ("explicit deny", "a policy denies it explicitly"),
    ("permissions boundary", "the permissions boundary does not allow it"),
    ("session policy", "the session policy does not allow it"),
)
_ASSUMED = re.compile(r"on resource: (arn:[\w-]+:iam::\d{12}:role/[\w+=,.@/-]{1,200})")
_ROLE = re.compile(r"arn:[a-z0-9-]+:sts::(\d{12}):assumed-role/([\w+=,.@-]+)/")

_VOLATILE = (
    re.compile(r"\s{0,8}Encoded authorization failure message:?\s*[A-Za-z0-9_+/=-]*\.?", re.I),
    re.compile(r"[\s,;(]{0,8}\b(?:x-amzn?-)?request[ _-]?id\b\s*[:=]?\s*[A-Za-z0-9-]*\)?", re.I),
    re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.I),
    re.compile(r"\(?\b\d{4}-?\d{2}-?\d{2}[T ]\d{2}:?\d{2}:?\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?\)?"),
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
    for pattern in _VOLATILE:
        text = pattern.sub("", text)
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
    """The fault of an InvalidChangeBatch, from AWS's words (notes of the Route 53 API Reference: free text)."""
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
    who = f" to role {role[2]} of account {role[1]}" if role else ""
    words = said.lower()
    because = next((f" ({text})" for fragment, text in _DENIED_BECAUSE if fragment in words), "")
    text = f"AWS denies {action}{who}{because}; allow it in the IAM policy of the operator's role"
    if error.operation.startswith("AssumeRole"):
        wanted = _ASSUMED.search(said)
        what = f" of {wanted[1]}" if wanted else ""
        check = "check the role's trust policy, its external ID and the operator's policy"
        text = f"AWS denies {action}{what}{because}; {check}"
        return Fault(reasons.CREDENTIALS_UNAVAILABLE.name, clean_text(text, MAX_MESSAGE), ErrorKind.WORLD)
    return Fault(reasons.ACCESS_DENIED.name, clean_text(text, MAX_MESSAGE), ErrorKind.WORLD)


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
    if code in _CREDENTIALS or (error.service is Service.STS and error.http_status in (400, 401, 403)):
        return Fault(reasons.CREDENTIALS_UNAVAILABLE.name, said, ErrorKind.WORLD)
    if code == "InvalidChangeBatch":
        return rejection_fault(error.message)
    if code in _QUOTAS:
        return Fault(reasons.QUOTA_EXCEEDED.name, said, ErrorKind.WORLD)
    if code == "NoSuchHostedZone":
        return Fault(reasons.ZONE_NOT_FOUND.name, said, ErrorKind.WORLD)
    if code in _ADDRESS_MISSING:
        return Fault(reasons.ADDRESS_NOT_FOUND.name, said, ErrorKind.WORLD)
    if code in _SERVER or error.http_status >= 500:
        unknown = error.sent and operation in _WRITES
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
