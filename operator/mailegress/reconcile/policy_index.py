"""Which policies select which namespace, and what each MailEgress is granted by them.

Filled from lists and watches of policies and of the metadata of namespaces. Without a view of both nothing is allowed
(:meth:`PolicyIndex.current`), and what was known before is kept: what cannot be seen is not gone. A change judges only
the objects of the namespaces that a policy selected before or selects now, and names those whose grant it changes.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from mailegress.api.names import FINALIZER
from mailegress.api.policy import Policy, PolicyMode, parse_policy
from mailegress.api.types import MailEgress
from mailegress.model.aws import Eip
from mailegress.model.facts import NEVER
from mailegress.reconcile.policy_grant import NOTHING, Grant, Selected, Wish, judge, limit_refused

STALE_SECONDS = 300.0
"""Age at which a view counts as missing. The API server sends a sign of life about once a minute."""
_LABELS = 256
"""Labels of a namespace that are kept. One that has more is selected by names only as far as they go."""


class Source(StrEnum):
    """What must be known to judge."""

    POLICIES = "MailEgressPolicies"
    NAMESPACES = "namespaces"


@dataclass(slots=True)
class _Contact:
    listed: bool = False
    at: float = NEVER
    """When the view was last known to be current."""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What the index keeps of a MailEgress."""

    uid: str
    key: str
    wish: Wish
    created: str
    counts: bool
    """Against the limit of its namespace: until it is gone, or its cleanup is done."""
    deleting: bool = False

    @property
    def place(self) -> tuple[str, str]:
        """Oldest first, then UID."""
        return (self.created, self.uid)


class PolicyView(Protocol):
    """The part of :class:`PolicyIndex` that rules may read."""

    def current(self, now: float) -> str | None:
        """Why nothing may be allowed now, in words; None if the view is current."""

    def grant(self, uid: str) -> Grant:
        """What an object was granted when it was judged last."""

    def selected(self, namespace: str) -> Selected:
        """The policies that select a namespace."""

    def may_use(self, uid: str, eip: Eip) -> bool:
        """May an object use this Elastic IP? True if policies are not enforced."""


class PolicyIndex:
    """Policies, labels of namespaces, and the objects that are judged by them."""

    def __init__(self, mode: PolicyMode = PolicyMode.OFF) -> None:
        self.mode = mode
        self._policies: dict[str, Policy] = {}
        self._stored: dict[str, Mapping[str, Any]] = {}
        """Name of a policy -> its stored status."""
        self._labels: dict[str, Mapping[str, str]] = {}
        self._selected: dict[str, Selected] = {}
        self._subjects: dict[str, Subject] = {}
        self._by_namespace: dict[str, dict[str, None]] = {}
        self._places: dict[str, list[tuple[str, str]]] = {}
        self._grants: dict[str, Grant] = {}
        self._contacts = {source: _Contact() for source in Source}

    # ------------------------------------------------ objects

    def put(self, key: str, obj: MailEgress) -> set[str]:
        """Take in a MailEgress. UIDs of other objects whose grant this changes come back."""
        if self.mode is PolicyMode.OFF:
            return set()
        meta, forward = obj.meta, obj.spec.forward
        subject = Subject(
            meta.uid,
            key,
            Wish(meta.namespace, obj.spec.hostname, forward.management, forward.hosted_zone_id),
            meta.creation_timestamp,
            meta.deletion_timestamp is None or FINALIZER in meta.finalizers,
            meta.deletion_timestamp is not None,
        )
        if self._subjects.get(subject.uid) == subject:
            return set()
        edge = self._edge(meta.namespace)
        self._forget(subject.uid)
        self._subjects[subject.uid] = subject
        self._by_namespace.setdefault(meta.namespace, {})[subject.uid] = None
        if subject.counts:
            insort(self._places.setdefault(meta.namespace, []), subject.place)
        self._grants[subject.uid] = self._judge(subject)
        return self._moved(meta.namespace, edge) - {subject.uid}

    def drop(self, uid: str) -> set[str]:
        """A MailEgress is gone. UIDs of other objects whose grant this changes come back."""
        subject = self._subjects.get(uid)
        if subject is None:
            return set()
        namespace = subject.wish.namespace
        edge = self._edge(namespace)
        self._forget(uid)
        return self._moved(namespace, edge)

    def objects(self, namespaces: Iterable[str]) -> list[str]:
        """UIDs of the objects of these namespaces."""
        return [uid for name in sorted(namespaces) for uid in self._by_namespace.get(name, ())]

    def rejudge(self, uid: str) -> bool:
        """Judge an object by what is known now: does its grant change?"""
        subject = self._subjects.get(uid)
        if subject is None:
            return False
        grant = self._judge(subject)
        changed = grant != self._grants.get(uid)
        self._grants[uid] = grant
        return changed

    def key(self, uid: str) -> str | None:
        """``namespace/name`` of an object."""
        subject = self._subjects.get(uid)
        return subject.key if subject is not None else None

    def entitled(self, uid: str) -> bool:
        """May it claim anything at all? True if policies are not enforced."""
        if self.mode is not PolicyMode.ENFORCE:
            return True
        grant = self._grants.get(uid)
        return grant is not None and not grant.refused

    # ------------------------------------------------ policies and namespaces

    def put_policy(self, body: Mapping[str, Any]) -> set[str]:
        """Take in a policy; the namespaces that it selected before or selects now come back."""
        policy = parse_policy(body)
        status = body.get("status")
        self._stored[policy.name] = status if isinstance(status, Mapping) else {}
        before = self._policies.get(policy.name)
        if before == policy:
            return set()
        self._policies[policy.name] = policy
        return self._changed(before, policy)

    def drop_policy(self, name: str) -> set[str]:
        """A policy is gone; the namespaces that it selected come back."""
        self._stored.pop(name, None)
        before = self._policies.pop(name, None)
        return self._changed(before) if before is not None else set()

    def put_namespace(self, name: str, labels: Mapping[str, str]) -> set[str]:
        """Take in the labels of a namespace; its name comes back if other policies select it now."""
        self._labels[name] = dict(sorted(labels.items())[:_LABELS])
        return self._reselected(name)

    def drop_namespace(self, name: str) -> set[str]:
        """A namespace is gone."""
        self._labels.pop(name, None)
        return self._reselected(name)

    def policies(self) -> Collection[Policy]:
        """All that are known."""
        return self._policies.values()

    def stored(self, policy: str) -> Mapping[str, Any]:
        """The status of a policy as it is stored."""
        return self._stored.get(policy, {})

    def unusable(self) -> int:
        """Policies that this version cannot use."""
        return sum(1 for policy in self._policies.values() if policy.problem)

    def alive(self) -> int:
        """Objects that are not being deleted."""
        return sum(1 for subject in self._subjects.values() if not subject.deleting)

    def namespaces(self) -> Collection[str]:
        """All that are known."""
        return self._labels.keys()

    # ------------------------------------------------ whether the view is current

    def heard(self, source: Source, now: float, *, listed: bool = False) -> None:
        """The API server answered: the view of this source is current. ``listed``: a full list is complete."""
        contact = self._contacts[source]
        contact.at, contact.fault, contact.listed = now, "", contact.listed or listed

    def unheard(self, source: Source, fault: str) -> None:
        """A list or a watch failed."""
        self._contacts[source].fault = fault

    def listed(self) -> bool:
        """Is everything known that is needed to judge?"""
        return all(contact.listed for contact in self._contacts.values())

    def age(self, now: float) -> float:
        """Seconds since both views were current; infinity before."""
        return now - min(contact.at for contact in self._contacts.values())

    def current(self, now: float) -> str | None:
        for source, contact in self._contacts.items():
            why = f": {contact.fault}" if contact.fault else ""
            if not contact.listed:
                return f"The {source} are not listed yet{why}"
            if now - contact.at > STALE_SECONDS:
                return f"The {source} could not be read for more than {STALE_SECONDS:g} seconds{why}"
        return None

    # ------------------------------------------------ reading

    def grant(self, uid: str) -> Grant:
        return self._grants.get(uid, NOTHING)

    def selected(self, namespace: str) -> Selected:
        found = self._selected.get(namespace)
        if found is None:
            labels = self._labels.get(namespace, {})
            found = self._selected[namespace] = Selected(
                tuple(
                    policy
                    for name, policy in sorted(self._policies.items())
                    if policy.namespaces.selects(namespace, labels)
                )
            )
        return found

    def may_use(self, uid: str, eip: Eip) -> bool:
        return self.mode is not PolicyMode.ENFORCE or self.grant(uid).allows(eip)

    # ------------------------------------------------ inside

    def _judge(self, subject: Subject) -> Grant:
        wish = subject.wish
        selected = self.selected(wish.namespace)
        grant = judge(selected, wish)
        if grant.refused or not subject.counts:
            return grant
        maximum = selected.maximum
        rank = bisect_left(self._places[wish.namespace], subject.place)
        return grant if rank < maximum else limit_refused(wish, maximum)

    def _edge(self, namespace: str) -> set[str]:
        """The objects on both sides of the limit of a namespace."""
        places, maximum = self._places.get(namespace, ()), self.selected(namespace).maximum
        return {uid for _, uid in places[max(maximum - 1, 0) : maximum + 1]}

    def _moved(self, namespace: str, edge: set[str]) -> set[str]:
        """The objects that passed the limit when another came or went."""
        return {uid for uid in edge | self._edge(namespace) if self.rejudge(uid)}

    def _forget(self, uid: str) -> None:
        subject = self._subjects.pop(uid, None)
        self._grants.pop(uid, None)
        if subject is None:
            return
        namespace = subject.wish.namespace
        self._by_namespace[namespace].pop(uid)
        if subject.counts:
            places = self._places[namespace]
            del places[bisect_left(places, subject.place)]
        if not self._by_namespace[namespace]:
            del self._by_namespace[namespace]
            self._places.pop(namespace, None)
            self._selected.pop(namespace, None)

    def _changed(self, *policies: Policy | None) -> set[str]:
        """The namespaces with objects that any of these policies selects."""
        affected = {
            name
            for name in self._by_namespace
            if any(p is not None and p.namespaces.selects(name, self._labels.get(name, {})) for p in policies)
        }
        self._selected = {name: known for name, known in self._selected.items() if name in self._by_namespace}
        for name in affected:
            self._selected.pop(name, None)
        return affected

    def _reselected(self, namespace: str) -> set[str]:
        before = self._selected.pop(namespace, None)
        if namespace not in self._by_namespace or before is None or self.selected(namespace) == before:
            return set()
        return {namespace}
