"""Reasons and condition types are API: well-formed, explained, and unique."""

import re

import pytest

from mailegress.api import conditions, limits, reasons
from mailegress.api.reasons import ALL_REASONS, Reason

every_reason = pytest.mark.parametrize("reason", ALL_REASONS.values(), ids=str)


@every_reason
def test_a_reason_is_one_word_and_explained(reason: Reason) -> None:
    assert re.fullmatch(r"[A-Z][A-Za-z]+", reason.name)
    assert len(reason.name) <= limits.REASON_LENGTH
    for sentence in (reason.when, reason.remedy):
        assert sentence.endswith(".")
        assert sentence == " ".join(sentence.split())
    assert reason.condition_types
    assert set(reason.condition_types) <= set(conditions.CONDITION_ORDER)


def test_every_constant_is_registered_under_its_own_name() -> None:
    constants = {name: value for name, value in vars(reasons).items() if isinstance(value, Reason)}
    assert {value.name for value in constants.values()} == set(ALL_REASONS)
    assert len(constants) == len(ALL_REASONS)
    for name, value in constants.items():
        assert name.removesuffix("_REASON").replace("_", "") == value.name.upper()


def test_every_condition_has_a_reason_for_being_true() -> None:
    wanted = {
        "Ready": "Ready",
        "Accepted": "Accepted",
        "ForwardReady": "RecordInSync",
        "ReverseReady": "PTRInSync",
        "Resolved": "FCrDNSPass",
    }
    for condition_type, name in wanted.items():
        assert condition_type in ALL_REASONS[name].condition_types
    assert tuple(wanted) == conditions.POSITIVE


def test_waiters_may_fail_at_once_only_where_a_human_is_needed() -> None:
    """Flux fails a rollout the moment it sees Stalled."""
    assert {reason.name for reason in ALL_REASONS.values() if reason.stalls_at_once} == {
        "HostnameConflict",
        "AddressConflict",
        "ClaimCycle",
        "RecordConflict",
        "RecordNotAdopted",
        "DNSEndpointConflict",
        "PTRConflict",
        "PTRNotAdopted",
        "ReverseUnsupported",
    }


def test_the_list_of_reasons_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        ALL_REASONS["New"] = ALL_REASONS["Ready"]  # type: ignore[index]


def test_ready_comes_first() -> None:
    shuffled = ["Zeta", "Stalled", "Resolved", "Accepted", "Reconciling", "Alpha", "Ready"]
    ordered = sorted(shuffled, key=conditions.order_of)
    assert ordered == ["Ready", "Accepted", "Resolved", "Reconciling", "Stalled", "Alpha", "Zeta"]
