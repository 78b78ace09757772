"""Which objects a change of policies, namespaces or objects concerns."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from mailegress.api.policy import PolicyMode
from mailegress.api.types import MailEgress, parse_object
from mailegress.reconcile.policy_index import STALE_SECONDS, PolicyIndex, Source
from tests.support.planner import body, policy


def meg(number: int, namespace: str = "mail", hostname: str = "", **more: Any) -> MailEgress:
    """The older the smaller its number."""
    made = body(
        hostname or f"mta{number}.example.com",
        [{"allocationID": f"eipalloc-{number:08x}"}],
        uid=f"uid-{namespace}-{number:04}",
        created=f"2026-01-01T00:00:{number:02}Z",
        **more,
    )
    made["metadata"]["namespace"] = namespace
    return parse_object(made)


class Desk:
    """An index with its objects, judged at once after each change."""

    def __init__(self, mode: PolicyMode = PolicyMode.ENFORCE) -> None:
        self.index = PolicyIndex(mode)

    def put(self, *objects: MailEgress) -> set[str]:
        moved: set[str] = set()
        for each in objects:
            moved |= self.index.put(f"{each.meta.namespace}/{each.meta.name}", each)
        return moved

    def policy(self, name: str = "mail", **changes: Any) -> set[str]:
        return self.judged(self.index.put_policy(policy(name, **changes)))

    def judged(self, namespaces: set[str]) -> set[str]:
        return {uid for uid in self.index.objects(namespaces) if self.index.rejudge(uid)}

    def reason(self, each: MailEgress) -> str | None:
        found = self.index.grant(each.meta.uid).reason
        return found.name if found is not None else None


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_only_namespaces_selected_before_or_after_are_judged(desk: Desk) -> None:
    a, b, c = meg(1, "a"), meg(1, "b"), meg(1, "c")
    desk.put(a, b, c)
    assert desk.policy(namespaces={"names": ["a"]}) == {a.meta.uid}
    assert desk.index.put_policy(policy(namespaces={"names": ["b"]})) == {"a", "b"}
    assert desk.judged({"a", "b"}) == {a.meta.uid, b.meta.uid}
    assert (desk.reason(a), desk.reason(b), desk.reason(c)) == (
        "NoMatchingPolicy",
        None,
        "NoMatchingPolicy",
    )


def test_an_edit_that_grants_an_object_nothing_else_does_not_concern_it(desk: Desk) -> None:
    one, two = meg(1, hostname="x.a.example.com"), meg(2, hostname="x.b.example.com")
    desk.put(one, two)
    desk.policy(hostnames={"suffixes": ["a.example.com", "b.example.com"]})
    assert desk.policy(hostnames={"suffixes": ["a.example.com", "b.example.com", "c.example.com"]}) == set()
    assert desk.policy(hostnames={"suffixes": ["a.example.com"]}) == {two.meta.uid}
    assert desk.policy(hostnames={"suffixes": ["a.example.com"]}, addresses={"matchTags": {"t": "a"}}) == {
        one.meta.uid
    }


def test_a_status_write_of_a_policy_concerns_nobody(desk: Desk) -> None:
    desk.put(meg(1))
    desk.policy()
    changed = policy() | {"status": {"allowed": 1}}
    changed["metadata"] = changed["metadata"] | {"resourceVersion": "9"}
    assert desk.index.put_policy(changed) == set()


def test_labels_decide_as_the_namespace_has_them_now(desk: Desk) -> None:
    one = meg(1)
    desk.put(one)
    desk.policy(namespaces={"matchLabels": {"team": "a"}})
    assert desk.reason(one) == "NoMatchingPolicy"
    assert desk.judged(desk.index.put_namespace("mail", {"team": "a"})) == {one.meta.uid}
    assert desk.reason(one) is None
    assert desk.index.put_namespace("mail", {"team": "a", "more": "x"}) == set()
    assert desk.judged(desk.index.put_namespace("mail", {"team": "b"})) == {one.meta.uid}
    desk.judged(desk.index.put_namespace("mail", {"team": "a"}))
    assert desk.judged(desk.index.drop_namespace("mail")) == {one.meta.uid}
    assert desk.reason(one) == "NoMatchingPolicy"


def test_a_dropped_policy_takes_its_rights_with_it(desk: Desk) -> None:
    one = meg(1)
    desk.put(one)
    desk.policy("a")
    desk.policy("b")
    assert desk.judged(desk.index.drop_policy("a")) == {one.meta.uid}
    assert desk.reason(one) is None
    desk.judged(desk.index.drop_policy("b"))
    assert desk.reason(one) == "NoMatchingPolicy"
    assert not desk.index.entitled(one.meta.uid)


def test_the_limit_counts_the_oldest_and_names_who_passes_it(desk: Desk) -> None:
    objects = [meg(n) for n in range(1, 6)]
    desk.policy(maxMailEgresses=2)
    desk.put(*objects[1:])
    assert [desk.reason(each) for each in objects[1:]] == [None, None, "NamespaceLimit", "NamespaceLimit"]
    assert desk.put(objects[0]) == {objects[2].meta.uid}
    assert [desk.reason(each) for each in objects] == [None, None, *["NamespaceLimit"] * 3]
    assert desk.index.drop(objects[0].meta.uid) == {objects[2].meta.uid}
    assert desk.index.drop(objects[4].meta.uid) == set()
    assert desk.policy(maxMailEgresses=3) == {objects[3].meta.uid}


def test_the_limit_is_that_of_each_namespace(desk: Desk) -> None:
    here, there = meg(1), meg(2, "web")
    desk.policy(namespaces={"names": ["mail", "web"]}, maxMailEgresses=1)
    desk.put(here, there)
    assert (desk.reason(here), desk.reason(there)) == (None, None)


def test_one_that_is_deleted_counts_until_its_cleanup_is_done(desk: Desk) -> None:
    old, new = meg(1), meg(2)
    desk.policy(maxMailEgresses=1)
    desk.put(old, new)
    assert desk.put(meg(1, deleting=True)) == set()
    assert desk.reason(new) == "NamespaceLimit"
    assert desk.put(meg(1, deleting=True, finalizer=False)) == {new.meta.uid}


def test_an_edit_of_an_object_is_judged_at_once(desk: Desk) -> None:
    desk.policy(hostnames={"names": ["mta1.example.com"]})
    desk.put(meg(1))
    desk.put(meg(1, hostname="www.example.com"))
    assert desk.reason(meg(1)) == "HostnameNotAllowed"
    assert not desk.index.entitled(meg(1).meta.uid)


def test_off_keeps_nothing_and_audit_takes_no_claim() -> None:
    off = Desk(PolicyMode.OFF)
    off.put(meg(1))
    assert off.index.objects({"mail"}) == []
    assert off.index.entitled(meg(1).meta.uid)
    audit = Desk(PolicyMode.AUDIT)
    audit.put(meg(1))
    assert audit.reason(meg(1)) == "NoMatchingPolicy"
    assert audit.index.entitled(meg(1).meta.uid)


def test_the_view_is_current_only_while_both_sources_answer(desk: Desk) -> None:
    index = desk.index
    assert index.current(0.0) is not None
    index.heard(Source.POLICIES, 0.0, listed=True)
    assert not index.listed()
    index.heard(Source.NAMESPACES, 10.0, listed=True)
    assert index.listed()
    assert index.current(STALE_SECONDS) is None
    assert index.age(20.0) == 20.0
    index.unheard(Source.POLICIES, "gone away")
    why = index.current(STALE_SECONDS + 1)
    assert why is not None
    assert "MailEgressPolicies" in why
    assert "gone away" in why
    index.heard(Source.POLICIES, STALE_SECONDS + 1)
    assert index.current(STALE_SECONDS + 2) is None


def test_nothing_is_left_of_a_namespace_without_objects(desk: Desk) -> None:
    desk.policy()
    desk.put(meg(1))
    desk.index.drop(meg(1).meta.uid)
    index = desk.index
    index.put_policy(policy(maxMailEgresses=7))
    assert not any((index._subjects, index._by_namespace, index._places, index._grants, index._selected))


@pytest.mark.parametrize(
    ("change", "concerned"),
    [({"hostnames": {"suffixes": ["*", "more.example.com"]}}, 0), ({"allowRetain": True}, 10_000)],
)
def test_an_edit_that_ten_thousand_objects_are_judged_by_costs_less_than_a_second(
    desk: Desk, change: dict[str, Any], concerned: int
) -> None:
    """350 policies, 300 namespaces; CPU time, whatever else the machine does."""
    wide = {"namespaces": {"names": ["*"]}, "maxMailEgresses": 10_000}
    desk.index.put_policy(policy("wide", **wide))
    for number in range(349):
        names, suffix = [f"ns{number % 300}"], f"team{number}.example.com"
        desk.index.put_policy(
            policy(f"team{number}", namespaces={"names": names}, hostnames={"suffixes": [suffix]})
        )
    one = meg(1)
    for number in range(10_000):
        meta = replace(one.meta, uid=f"uid-{number:05}", namespace=f"ns{number % 300}")
        desk.index.put(
            f"ns/{number}", replace(one, meta=meta, spec=replace(one.spec, hostname=f"m{number}.example.com"))
        )
    began = time.process_time()
    affected = desk.index.put_policy(policy("wide", **wide, **change))
    changed = desk.judged(affected)
    assert time.process_time() - began < 1.0
    assert (len(affected), len(changed)) == (300, concerned)
