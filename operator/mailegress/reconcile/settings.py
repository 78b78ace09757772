"""Settings of the reconciler. Every duration is in seconds."""

from __future__ import annotations

from dataclasses import dataclass

from mailegress.aio.backoff import backoff_seconds
from mailegress.api.policy import PolicyMode


@dataclass(frozen=True, slots=True)
class ReconcileSettings:
    owner_id: str
    accept_owner_ids: tuple[str, ...] = ()
    """Owner IDs of former clusters whose marks may be taken over."""
    policy: PolicyMode = PolicyMode.OFF
    resync_seconds: float = 600
    resync_jitter: float = 0.1
    """Each resync is moved by up to this fraction, so that MailEgresses do not fall due together."""
    address_sweep_seconds: float = 720
    """Idle age at which EIPs and PTRs are read again."""
    record_sweep_seconds: float = 4500
    """Idle age at which record sets are read again; one authority is asked at every resync besides."""
    public_seconds: float = 3600
    """Idle age at which public resolvers are asked again."""
    reuse_seconds: float = 60
    """A shared reading of at most this age serves a new or edited object."""
    gate_seconds: float = 60
    """Age at which the authorities' agreement no longer opens the gate to a PTR write."""
    stalled_after_seconds: float = 1800
    ptr_ttl_seconds: float = 300
    """How long receivers may hold a PTR that was replaced (EC2 publishes PTRs with 300)."""
    ptr_refused_seconds: float = 900
    """Wait after AWS refused a PTR although the authorities are right: its resolver may hold a negative answer
    (Route 53's default SOA allows 900)."""
    heals_per_hour: int = 3
    external_removal_seconds: float = 300
    """How long a deletion waits until the A record is gone after its DNSEndpoint is deleted; external-dns looks at its
    sources every minute by default."""
    confirmations: int = 3
    """Readings in a row before no answer, or a wrong DNS answer, ends a condition that was True."""
    default_ttl_seconds: int = 300
    max_addresses: int = 64
    poll_seconds: float = 5
    """First wait for DNS to follow a write; doubles up to ``poll_max_seconds``."""
    poll_max_seconds: float = 60
    retry_seconds: float = 5
    """First wait after a refused write; doubles up to ``retry_max_seconds``."""
    retry_max_seconds: float = 300
    quiet_seconds: float = 5
    """A status that only tells of a step under way is written when it has stood for so long."""
    advisories: bool = True
    """Whether the status has advice about mail delivery."""
    blocked_seconds: float = 60
    """Pause before something that must change outside the operator is read again."""

    def backoff(self, attempts: int, first: float | None = None) -> float:
        """Wait after that many failures in a row; ``first`` after the first one, by default ``retry_seconds``."""
        least = self.retry_seconds if first is None else first
        return backoff_seconds(attempts, least, self.retry_max_seconds)

    @property
    def owners(self) -> tuple[str, ...]:
        """The owner IDs whose records this installation may change."""
        return (self.owner_id, *self.accept_owner_ids)

    def mine(self, owner: str) -> bool:
        return owner in self.owners
