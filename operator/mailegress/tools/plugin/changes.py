"""``kubectl mailegress reconcile|suspend|resume``: one patch for each object."""

from __future__ import annotations

import enum
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mailegress.api.names import RECONCILE_ANNOTATION
from mailegress.api.text import clean_text
from mailegress.tools.plugin.cluster import Problem, reach


class Change(enum.Enum):
    """``value`` is the command."""

    RECONCILE = "reconcile"
    SUSPEND = "suspend"
    RESUME = "resume"

    def body(self, now: datetime) -> Mapping[str, Any]:
        """The merge patch."""
        if self is Change.RECONCILE:
            stamp = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
            return {"metadata": {"annotations": {RECONCILE_ANNOTATION: stamp}}}
        return {"spec": {"suspend": self is Change.SUSPEND}}

    @property
    def done(self) -> str:
        return {
            Change.RECONCILE: "will be reconciled",
            Change.SUSPEND: "is suspended: nothing is written to AWS for it until it is resumed",
            Change.RESUME: "is resumed",
        }[self]


async def change(
    what: Change, names: Sequence[str], namespace: str | None, kubeconfig: str | None, context: str | None
) -> int:
    """The exit code: 1 if one of the objects could not be changed; the others are changed all the same."""
    code = 0
    async with reach(kubeconfig, context) as cluster:
        where = namespace or cluster.namespace
        for name in dict.fromkeys(names):
            try:
                await cluster.patch(where, name, what.body(datetime.now(UTC)))
            except Problem as problem:
                sys.stderr.write(f"kubectl mailegress: {problem}\n")
                code = 1
            else:
                sys.stdout.write(f"{clean_text(where, 253)}/{clean_text(name, 253)} {what.done}\n")
    return code
