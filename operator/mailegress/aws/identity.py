"""The account that a service's credentials belong to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from mailegress.api import reasons
from mailegress.aws.api import AwsError, RenewsCredentials, Service
from mailegress.aws.errors import classify
from mailegress.aws.runtime import Runtime
from mailegress.model.facts import NEVER

T = TypeVar("T")


class Identity:
    """The account of one service's credentials; asked for again hourly and after credentials failed or changed."""

    def __init__(self, runtime: Runtime, service: Service) -> None:
        self._rt = runtime
        self._service = service
        self._account = ""
        self._at = NEVER
        self._renewals = 0
        """How often other credentials came into use: what was read before may be another account's."""
        if isinstance(runtime.api, RenewsCredentials):
            runtime.api.on_renewal(service, self._renewed)

    async def account(self, region: str, *, fresh: bool = False) -> str:
        """The 12-digit account of the credentials. ``fresh``: ask AWS, even if it is known. Raises ``AwsError``."""
        now = self._rt.clock()
        if fresh or not self._account or now - self._at > self._rt.settings.identity_max_age:
            self._forget()
            renewals = self._renewals
            account = await self._rt.api.get_caller_identity(self._service, region)
            if renewals != self._renewals:
                return account
            self._account, self._at = account, now
        return self._account

    async def steadily(self, account: Callable[[], Awaitable[str]], read: Callable[[str], Awaitable[T]]) -> T:
        """What ``read`` returns for the account. Raises what they raise.

        It is read again if the credentials changed meanwhile: some of it may be another account's.
        """
        while True:
            renewals = self._renewals
            before = await account()
            found = await read(before)
            if await account() == before and renewals == self._renewals:
                return found

    def note(self, error: AwsError) -> None:
        """Note a failed call. If the credentials were refused, the next ones may be another account's."""
        if classify(error).reason == reasons.CREDENTIALS_UNAVAILABLE.name:
            self._forget()

    def _forget(self) -> None:
        self._account = ""

    def _renewed(self) -> None:
        """Calls are made with other credentials from now on. May be called from any thread."""
        self._renewals += 1
        self._forget()
