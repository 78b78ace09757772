"""The finalizer: when it is added and when it is removed (S8, S5).

It is added before the first write outside the cluster, and added again if somebody removed it while this object still
has an ownership record, or its status says that something was written. It is removed as the last step of a deletion:
after the cleanup in ``deletion.py`` found no PTR and no record of this object, or at once under
``deletionPolicy: Retain``.
"""

from __future__ import annotations

from mailegress.api.names import FINALIZER
from mailegress.reconcile.observe import Observed
from mailegress.reconcile.result import Action, AddFinalizer, RemoveFinalizer
from mailegress.reconcile.rules.plan_builder import PlanBuilder


def present(observed: Observed) -> bool:
    return FINALIZER in observed.obj.meta.finalizers


def before_writes(observed: Observed, action: Action | None) -> Action | None:
    """The finalizer in place of the proposed write, if it is not there yet; else the proposed write."""
    # Also without a write: again if somebody removed it.
    owns = observed.owned() or observed.endpoint or not observed.obj.untouched
    if not present(observed) and (action is not None or owns):
        return AddFinalizer()
    return action


def remove(builder: PlanBuilder, why: str) -> None:
    """The last step of a deletion."""
    builder.act(RemoveFinalizer(why))
