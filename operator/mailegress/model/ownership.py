"""The ownership mark: the TXT value at ``_mailegress.<hostname>``.

``"meg1 <c|a> <owner> <uid>"`` with its quotes, at most 48 characters, so that 500 names (an A and a TXT each) fit both
limits of one change batch (1,000 records, 32,000 characters).

The format is stable: a record that an earlier version wrote is accepted as it is (E9).
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

MAX_OWNER = 16
MAX_MARK = 48

_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,15}")
_MARK = re.compile(r'"meg1 ([ca]) ([A-Za-z0-9][A-Za-z0-9_.-]{0,15}) ([A-Za-z0-9_-]{22})"')


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose name this is. ``adopted``: the A record was there before us, so it is never deleted."""

    adopted: bool
    owner: str
    """The operator's ``--owner-id``, 1 to 16 characters."""
    uid: str
    """The MailEgress's UID in the usual 36-character form."""


def valid_owner(owner: str) -> bool:
    """True if ``owner`` can be written in a mark."""
    return _OWNER.fullmatch(owner) is not None


def encode(mark: Mark) -> str:
    """The TXT value, quotes included. ``ValueError`` if owner or UID cannot be written."""
    if not valid_owner(mark.owner):
        raise ValueError(f"owner {mark.owner!r} is not 1 to {MAX_OWNER} of A-Z a-z 0-9 . _ -")
    short = base64.urlsafe_b64encode(uuid.UUID(mark.uid).bytes).rstrip(b"=").decode("ascii")
    return f'"meg1 {"a" if mark.adopted else "c"} {mark.owner} {short}"'


def parse(values: Iterable[str]) -> Mark | None:
    """The mark in a TXT record set's values, or None if it is not exactly one well-formed mark.

    Strict: anything that :func:`encode` would not have written, beside it or instead of it, is nobody's mark.
    """
    found = tuple(values)
    if len(found) != 1 or len(found[0]) > MAX_MARK:
        return None
    return _parse(found[0])


@functools.lru_cache(maxsize=256)
def _parse(text: str) -> Mark | None:
    """One reconcile reads the same mark several times."""
    match = _MARK.fullmatch(text)
    if match is None:
        return None
    kind, owner, short = match.groups()
    try:
        raw = base64.b64decode(short + "==", altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    mark = Mark(adopted=kind == "a", owner=owner, uid=str(uuid.UUID(bytes=raw)))
    # The last character carries 2 of 6 bits: two spellings could mean one UID, and only ours counts.
    return mark if encode(mark) == text else None


def derived_owner(namespace_uid: str) -> str:
    """The default ``--owner-id``: 12 hexadecimal digits of a hash of the UID of namespace kube-system."""
    return hashlib.sha256(namespace_uid.encode()).hexdigest()[:12]
