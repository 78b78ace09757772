"""Thousands of objects that want one hostname and one address."""

from __future__ import annotations

import time
from dataclasses import replace

from mailegress.api.types import EipSelector, MailEgress, SelectorKind, parse_object
from mailegress.model.aws import Eip, Ptr
from mailegress.reconcile.claim_index import ClaimIndex, Standing
from tests.hostile.conftest import Bound

RIVALS = 4000
HOST = "mta.example.com"
EIP = Eip("eipalloc-0123456789abcdef0", "203.0.113.10", "111122223333", "ap-northeast-1", Ptr())
TAGS = tuple((f"tag{number:02d}", "x") for number in range(50))
ATTEMPTS = 3
"""A busy machine makes everything slow once; a cost that grows with the square does so each time."""


def rivals() -> list[MailEgress]:
    """The oldest first."""
    return [
        parse_object(
            {
                "metadata": {
                    "name": f"n{number}",
                    "namespace": f"team-{number % 50}",
                    "uid": f"00000000-0000-4000-8000-{number:012d}",
                    "generation": 1,
                    "resourceVersion": "1",
                    "creationTimestamp": f"2026-01-01T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z",
                },
                "spec": {"hostname": HOST, "elasticIPs": [{"allocationID": EIP.allocation_id}]},
            }
        )
        for number in range(RIVALS)
    ]


def a_round(items: list[MailEgress]) -> tuple[float, int]:
    """All of them come, are looked at, are edited and go: processor seconds, and the most that one of it woke."""
    claims = ClaimIndex()
    began = time.process_time()
    most = 0
    for item in items:
        most = max(most, len(claims.put(item.meta.name, item)))
    for item in items:
        first = claims.first_for(HOST)
        assert first is not None
        assert next(claims.in_line_for(EIP)).uid == first.uid
        assert claims.wants_hostname(first.uid, HOST)
        assert claims.wants_eip(first.uid, EIP)
        most = max(most, len(claims.stand(item.meta.uid, Standing())))
        most = max(most, len(claims.set_blocked(item.meta.uid, frozenset({first.uid} - {item.meta.uid}))))
    for item in items:
        edited = replace(item, spec=replace(item.spec, suspend=True))
        most = max(most, len(claims.put(item.meta.name, edited)))
    for item in items:
        most = max(most, len(claims.drop(item.meta.uid)))
    assert len(claims) == 0
    return time.process_time() - began, most


def by_tags(item: MailEgress, number: int) -> MailEgress:
    """The same object, that selects by four of the fifty tags of the address, as no other does."""
    chosen = sorted({number % 50, number // 50 % 50, number // 7 % 50, number % 31})
    tags = tuple(TAGS[index] for index in chosen)
    return replace(
        item, spec=replace(item.spec, elastic_ips=(EipSelector(SelectorKind.TAGS, "", None, tags),))
    )


def test_thousands_of_sets_of_tags_that_fit_one_address_cost_little_for_each(bound: Bound) -> None:
    """Nobody else may use so many sets of tags that a question about one address holds up the others."""
    eip = replace(EIP, tags=TAGS)
    claims = ClaimIndex(EIP.region)
    items = [by_tags(item, number) for number, item in enumerate(rivals())]
    for item in items:
        claims.put(item.meta.name, item)
    spent = []
    for _ in range(ATTEMPTS):
        began = time.process_time()
        assert next(claims.in_line_for(eip)).uid == items[0].meta.uid
        spent.append(time.process_time() - began)
    bound(f"claims: seconds of one question among {RIVALS} sets of tags", limit=0.1, seen=min(spent))
    other = replace(EIP, tags=(("use", "web"),))
    began = time.process_time()
    assert not list(claims.in_line_for(other))
    bound(
        "claims: seconds of a question about an address with other tags",
        limit=0.01,
        seen=time.process_time() - began,
    )
    for item in items:
        claims.drop(item.meta.uid)
    assert len(claims) == 0
    assert not list(claims.in_line_for(eip))


def test_thousands_of_rivals_for_one_name_cost_less_than_a_second(bound: Bound) -> None:
    items = rivals()
    found = [a_round(items) for _ in range(ATTEMPTS)]
    bound(
        f"claims: objects woken at once by one of {RIVALS} rivals",
        limit=3,
        seen=max(most for _, most in found),
    )
    bound(f"claims: processor seconds for {RIVALS} rivals", limit=1.0, seen=min(spent for spent, _ in found))
