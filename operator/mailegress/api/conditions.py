"""Condition types: what each one asserts when True, and their order in the status."""

from typing import Final

READY: Final = "Ready"
"""Accepted, ForwardReady, ReverseReady and (unless resolvers are switched off) Resolved, all verified in one
pass.
"""
ACCEPTED: Final = "Accepted"
"""The spec is valid, allowed, and this object holds the claim on its hostname and addresses."""
FORWARD_READY: Final = "ForwardReady"
"""The A record holds the wanted addresses and every authoritative server of the public zone says so."""
REVERSE_READY: Final = "ReverseReady"
"""AWS reports each address's PTR equal to the hostname, with nothing pending."""
RESOLVED: Final = "Resolved"
"""Independent resolvers see A and PTR agree (RFC 8601 iprev = pass)."""
RECONCILING: Final = "Reconciling"
"""Work or a retry is under way. Present only while True."""
STALLED: Final = "Stalled"
"""A human is needed; retried slowly all the same. Present only while True, never together with Reconciling.
"""

POSITIVE: Final = (READY, ACCEPTED, FORWARD_READY, REVERSE_READY, RESOLVED)
"""Always present, in this order (`kubectl describe` and dashboards are read from the top)."""
NEGATIVE: Final = (RECONCILING, STALLED)
"""Present only while True; removed rather than set to False (kstatus)."""
CONDITION_ORDER: Final = POSITIVE + NEGATIVE

TRUE: Final = "True"
FALSE: Final = "False"
UNKNOWN: Final = "Unknown"
STATUSES: Final = (TRUE, FALSE, UNKNOWN)

PENDING_MESSAGE: Final = (
    "Waiting for the operator to process this object. If this persists, check that the operator is running."
)
"""Message of the conditions that the schema puts into the status of a new object."""
PENDING_TIME: Final = "1970-01-01T00:00:00Z"
"""Transition time of those conditions: nobody has looked yet."""


def order_of(condition_type: str) -> tuple[int, str]:
    """Sort key of a condition type: known ones in the order above, unknown ones after them by name."""
    try:
        return CONDITION_ORDER.index(condition_type), ""
    except ValueError:
        return len(CONDITION_ORDER), condition_type
