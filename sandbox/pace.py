"""How fast the sandbox's time runs, and the operator's settings that go with it."""

from __future__ import annotations

from collections.abc import Mapping

from mailegress.cli.settings import Settings

LIKE_AWS = 1.0
SLOWEST, FASTEST = 1.0, 0.01

_TIMES = (
    "resync_seconds",
    "ec2_sweep_seconds",
    "gateway_check_seconds",
    "route53_sweep_seconds",
    "stalled_after_seconds",
    "lost_confirm_seconds",
    "ptr_ttl_seconds",
    "external_removal_seconds",
    "retry_seconds",
    "retry_max_seconds",
    "blocked_seconds",
    "status_hold_seconds",
    "ptr_refused_seconds",
    "dns_poll_seconds",
    "dns_poll_max_seconds",
    "resolver_check_seconds",
    "insync_poll_seconds",
    "ptr_poll_seconds",
)
"""What the operator waits for AWS, DNS caches and people; not its patience with one answer on the network."""
_RATES = ("route53_rate", "route53_changes_rate", "ec2_write_rate", "ec2_read_rate")

_LEAST_SECONDS = 0.1
_MOST_A_SECOND = 1000.0


def parse_scale(text: str) -> float:
    """The factor of every delay: 1 = like AWS, 0.1 = ten times as fast. ValueError says what is allowed."""
    try:
        scale = float(text)
    except ValueError:
        scale = 0.0
    if not FASTEST <= scale <= SLOWEST:
        raise ValueError(
            f"SANDBOX_SCALE={text} is not a number from {FASTEST:g} to {SLOWEST:g}; "
            "1 = delays like AWS's, 0.1 = ten times as fast"
        )
    return scale


def operator_settings(scale: float) -> Mapping[str, str]:
    """The operator's settings at a scale: none at 1 (its defaults), else its defaults in the scaled time."""
    if scale == LIKE_AWS:
        return {}
    defaults = Settings()
    times = {name: max(getattr(defaults, name) * scale, _LEAST_SECONDS) for name in _TIMES}
    rates = {name: min(getattr(defaults, name) / scale, _MOST_A_SECOND) for name in _RATES}
    return {name: f"{value:g}" for name, value in {**times, **rates}.items()}


def describe(scale: float) -> str:
    """One sentence about the scale, for people."""
    if scale == LIKE_AWS:
        return "AWS and DNS take the time that they take in reality (SANDBOX_SCALE=1)."
    return f"AWS and DNS run {1 / scale:.3g} times as fast as in reality (SANDBOX_SCALE={scale:g})."
