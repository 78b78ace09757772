"""DNSEndpoints as they come: taken in, and whoever they concern is woken."""

from __future__ import annotations

from typing import Any

from mailegress.engine.controller import Controller
from mailegress.engine.endpoints import EndpointSink
from mailegress.engine.workers import WorkerSettings
from mailegress.kube.endpoints import parse
from mailegress.model.endpoints import ChangeEndpoint, EndpointEntry
from mailegress.model.facts import NEVER
from mailegress.reconcile.endpoint_index import KEPT_SECONDS, EndpointIndex
from tests.support.planner import body as mail_egress


class Parts:
    def __init__(self) -> None:
        self.controller = Controller(lambda: 0.0, WorkerSettings())
        self.index = EndpointIndex(enabled=True)
        self.sink = EndpointSink(self.index, self.controller, lambda: 0.0)
        self.woken: set[str] = set()
        self.controller.wake = self.woken.add  # type: ignore[method-assign]

    def object(self, **more: Any) -> None:
        selectors = [{"allocationID": "eipalloc-0123456789abcdef0"}]
        self.controller.on_event("ADDED", mail_egress("mta.example.com", selectors, **more))
        self.woken.clear()


def endpoint(name: str, version: int, hostname: str = "mta.example.com") -> dict[str, Any]:
    entry = {"dnsName": hostname, "recordType": "A", "targets": ["203.0.113.10"]}
    meta = {"name": name, "namespace": "mail", "uid": "u", "resourceVersion": str(version), "generation": 1}
    return {"metadata": meta, "spec": {"endpoints": [entry]}}


def test_the_object_of_an_endpoint_and_those_that_want_its_hostname_are_woken() -> None:
    parts = Parts()
    parts.object(forward={"management": "ExternalDNS"})
    parts.sink.put(endpoint("mailegress-other", 5, "www.example.com"))
    assert parts.woken == {"mail/other"}
    parts.woken.clear()
    parts.sink.put(endpoint("web", 6))
    assert parts.woken == {"mail/meg-1"}
    parts.woken.clear()
    parts.sink.put(endpoint("web", 6))
    parts.sink.put(endpoint("web", 4))
    assert parts.woken == set(), "neither the same version nor an older one is news"
    known = parts.index.get("mail", "web")
    assert known is not None
    assert known.resource_version == "6"
    parts.sink.delete("mail/web")
    assert parts.woken == {"mail/meg-1"}
    assert parts.sink.known() == {"mail/mailegress-other"}


def test_when_the_kind_comes_or_goes_the_objects_that_need_it_are_woken() -> None:
    parts = Parts()
    parts.object(forward={"management": "ExternalDNS"})
    parts.sink.unheard("404", missing=True)
    assert parts.index.kind().value is False
    assert parts.woken == {"mail/meg-1"}
    parts.woken.clear()
    parts.sink.heard()
    assert parts.index.kind().value is False, "a watch that is open proves no list"
    parts.sink.heard(listed=True)
    assert parts.index.kind().value is True
    assert parts.woken == {"mail/meg-1"}
    parts.woken.clear()
    parts.sink.heard()
    assert parts.woken == set()
    parts.sink.unheard("403")
    assert parts.index.kind().value is True
    assert parts.index.kind().fault is not None


def test_the_kind_is_known_when_every_namespace_is_listed() -> None:
    """A hostname may be in a DNSEndpoint of any of them."""
    index = EndpointIndex(("mail", "web"), enabled=True)
    controller = Controller(lambda: 0.0, WorkerSettings())
    mail, web = (EndpointSink(index, controller, lambda: 0.0, name) for name in ("mail", "web"))
    mail.put(endpoint("a", 5))
    mail.heard(listed=True)
    assert index.kind().value is None
    web.unheard("403")
    assert index.kind().value is None
    assert index.kind().fault is not None
    web.unheard("404", missing=True)
    assert index.kind().value is False
    assert index.get("mail", "a") is not None, "what another list shows stays"
    web.heard(listed=True)
    assert index.kind().value is True


def test_writes_to_endpoints_that_are_gone_are_forgotten_after_an_hour() -> None:
    index = EndpointIndex(enabled=True)
    entry = EndpointEntry("mta.example.com", frozenset({"203.0.113.10"}))
    for at, name in (
        (0.0, "mailegress-gone"),
        (10.0, "mailegress-kept"),
        (KEPT_SECONDS + 20, "mailegress-new"),
    ):
        if name == "mailegress-kept":
            index.put(parse(endpoint(name, 5)))
        index.wrote(ChangeEndpoint("mail", name, (entry,), "u", "ask"), at)
    assert index.state("mail", "mailegress-gone") is None
    assert index.changed_at("mail", "mailegress-gone", entry.hostname) == NEVER
    for name, at in (("mailegress-kept", 10.0), ("mailegress-new", KEPT_SECONDS + 20)):
        assert index.changed_at("mail", name, entry.hostname) == at
        assert index.state("mail", name) is not None
