"""The regional NAT gateways that objects select, read by themselves: AWS changes their addresses without anybody's act.

One request reads them. The region is listed again only if one of them is not as the last list shows it, so an idle
minute costs one request however many objects and gateways there are.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence

from mailegress.aws.api import AwsError, Service
from mailegress.aws.identity import Identity
from mailegress.aws.rate_limit import Priority
from mailegress.aws.runtime import Runtime
from mailegress.aws.shared_reading import Reading
from mailegress.model.aws import RegionView

_FILTER_VALUES = 200
"""Values in one filter ("Filtering using the CLI and API", EC2 User Guide)."""

_log = logging.getLogger(__name__)


class GatewayCheck:
    """Of one region."""

    def __init__(
        self, runtime: Runtime, region: str, identity: Identity, reading: Reading[RegionView]
    ) -> None:
        self._rt = runtime
        self._region = region
        self._identity = identity
        self._reading = reading
        self._first = 0
        self._running = False

    def compare(self, ids: Sequence[str], differ: Callable[[], None]) -> None:
        """Read these gateways in one request; of more than fit into it, others each time."""
        if self._running or not ids:
            return
        if self._first >= len(ids):
            self._first = 0
        some = ids[self._first : self._first + _FILTER_VALUES]
        self._first += _FILTER_VALUES
        self._running = True
        self._rt.tasks.spawn(self._compare(some, differ), f"gateways-{self._region}")

    async def _compare(self, ids: Sequence[str], differ: Callable[[], None]) -> None:
        call = functools.partial(self._rt.api.describe_nat_gateways, self._region, ids)
        try:
            page = await self._rt.read(Service.EC2, Priority.SWEEP, self._region, call, once=True)
        except AwsError as error:
            # The lists of the region report what fails; the gateways are read again at the next turn.
            self._identity.note(error)
            _log.debug("NAT gateways of %s were not read: %s", self._region, error)
            return
        finally:
            self._running = False
        view = self._reading.fact.value
        found = {gateway.id: gateway for gateway in page.items}
        if view is not None and any(found.get(each) != view.nat_gateways.get(each) for each in ids):
            differ()
