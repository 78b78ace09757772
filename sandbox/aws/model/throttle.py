"""Token buckets of AWS's API quotas."""

from __future__ import annotations

from collections.abc import Hashable

from .base import AwsFault

ROUTE53_BUCKET = (50.0, 10.0)
ROUTE53_OWN = {"CreateHostedZone": (40.0, 2.0), "DeleteHostedZone": (40.0, 5.0)}
EC2_READ = (100.0, 20.0)
EC2_WRITE = (50.0, 5.0)
EC2_OWN = {"AssociateNatGatewayAddress": (10.0, 1.0)}


class Buckets:
    """Buckets by key, made full at first use. Sizes in tokens, refills in tokens a second."""

    def __init__(self) -> None:
        self._levels: dict[Hashable, tuple[float, float]] = {}

    def take(self, key: Hashable, now: float, size: float, refill: float, tokens: float = 1.0) -> bool:
        """Take `tokens`; False and nothing taken when there are too few."""
        level, then = self._levels.get(key, (size, now))
        level = min(size, level + (now - then) * refill)
        enough = level >= tokens
        self._levels[key] = (level - tokens if enough else level, now)
        return enough

    def clear(self) -> None:
        self._levels.clear()


def check_route53(buckets: Buckets, account: str, operation: str, now: float) -> None:
    """Page "Throttling for Amazon Route 53 API requests": an account bucket and one of each action."""
    own = ROUTE53_OWN.get(operation, ROUTE53_BUCKET)
    if not buckets.take((account, "route53"), now, *ROUTE53_BUCKET) or not buckets.take(
        (account, "route53", operation), now, *own
    ):
        raise AwsFault("Throttling", "Rate exceeded")


def check_ec2(buckets: Buckets, account: str, region: str, operation: str, now: float) -> None:
    """Page "Request throttling for the Amazon EC2 API": per account, region and API."""
    default = EC2_READ if operation.startswith(("Describe", "Get")) else EC2_WRITE
    size, refill = EC2_OWN.get(operation, default)
    if not buckets.take((account, region, operation), now, size, refill):
        raise AwsFault("RequestLimitExceeded", "Request limit exceeded.", 503)
