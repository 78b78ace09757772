"""What ``spec.suspend`` holds back: every write to AWS, with one exception.

The rules plan as usual, so the status states which write is held back. Readings may be older than a write requires
(``propagation.py``, ``leaving.py``): they only have to show what the write would be. The exception is a change that
only takes lost addresses out of a record: they may belong to a third party by now (S2). Not held back: the status, and
the cleanup of a deleted object, which does not ask this module. A suspended object that holds nothing yet lets the next
one in line go first (``claim_index.py``).
"""

from __future__ import annotations

from mailegress.api import reasons
from mailegress.model.endpoints import ChangeEndpoint
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import Action, ChangeRecords, Finding, failed, in_words


def holds_back(observed: Observed, action: Action | None) -> bool:
    """Is this write not to be made now? Then neither is the finalizer added for it."""
    # A lost address may be a third party's by now: it leaves the record all the same.
    lost = isinstance(action, ChangeRecords | ChangeEndpoint) and action.only_lost
    return observed.obj.spec.suspend and not lost


def held_back(observed: Observed, action: Action | None) -> str:
    """In words, the proposed write; empty without suspend."""
    return in_words(action) if observed.obj.spec.suspend else ""


def instead(observed: Observed, would: str) -> Finding | None:
    """The finding in place of a write that was proposed. ``would``: what it would do, in the infinitive."""
    if not observed.obj.spec.suspend:
        return None
    return failed(reasons.SUSPENDED, f"Suspended; would {would}. {reasons.SUSPENDED.remedy}")
