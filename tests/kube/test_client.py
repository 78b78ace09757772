"""Our own requests: what each answer of the API server turns into."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from mailegress.api.names import FINALIZER
from mailegress.kube.client import ClientSettings, KubeClient, KubeNoAnswer, KubeRefused
from mailegress.kube.transport import LastContact, Transport
from mailegress.reconcile.ports import KubeConflict, KubeError, KubeGone
from mailegress.telemetry.metrics import Metrics
from tests.support.http_api import HttpApi
from tests.support.simulation.apiserver import CLUSTER_UID
from tests.support.simulation.apiwire import Fault


class Naps:
    """Sleeps that take no time."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


class Counted:
    """Choke points, noted."""

    def __init__(self) -> None:
        self.passed: list[str] = []

    @asynccontextmanager
    async def point(self, name: str) -> AsyncIterator[None]:
        self.passed.append(name)
        yield


class Parts:
    """A client and what it was given."""

    def __init__(self, transport: Transport, **options: Any) -> None:
        self.naps = Naps()
        self.guard = Counted()
        self.metrics = Metrics()
        self.now = 0.0
        self.client = KubeClient(
            transport,
            clock=lambda: self.now,
            sleep=self.naps,
            wall=lambda: datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
            guard=self.guard,
            metrics=self.metrics,
            instance="mailegress-0",
            **options,
        )

    def writes(self, kind: str, result: str) -> float:
        labels = {"kind": kind, "result": result}
        return self.metrics.registry.get_sample_value("mailegress_api_writes_total", labels) or 0.0


@pytest.fixture
def parts(transport: Transport) -> Parts:
    return Parts(transport)


# ---------------------------------------------------------------- lists


async def _names(client: KubeClient, limit: int = 2) -> list[str]:
    return [body["metadata"]["name"] async for page in client.list_all(limit) for body in page]


async def test_a_full_list_comes_in_pages_of_one_snapshot(api: HttpApi, parts: Parts) -> None:
    for number in range(5):
        api.put(f"n{number}")
    names: list[str] = []
    async for page in parts.client.list_all(2):
        assert len(page) <= 2
        assert all(body["kind"] == "MailEgress" for body in page)
        names += [body["metadata"]["name"] for body in page]
        api.put("later")
    assert names == [f"n{number}" for number in range(5)]
    assert not any("resourceVersion=" in path for _, path in api.requests)


async def test_a_list_whose_continuation_expired_starts_again(api: HttpApi, parts: Parts) -> None:
    for number in range(5):
        api.put(f"n{number}")
    api.server.faults.append(Fault("GET", "continue=", 410))
    assert sorted(set(await _names(parts.client))) == [f"n{number}" for number in range(5)]


async def test_an_expired_continuation_that_stays_is_an_error(api: HttpApi, parts: Parts) -> None:
    for number in range(5):
        api.put(f"n{number}")
    api.server.faults.append(Fault("GET", "continue=", 410, times=100))
    with pytest.raises(KubeRefused) as caught:
        await _names(parts.client)
    assert caught.value.code == 410


async def test_only_the_configured_namespaces_are_listed(api: HttpApi, transport: Transport) -> None:
    for namespace in ("one", "two", "three"):
        api.put(f"in-{namespace}", namespace=namespace)
    client = Parts(transport, namespaces=("one", "three")).client
    assert await _names(client) == ["in-one", "in-three"]


async def test_one_object_is_read_with_the_right_to_list(api: HttpApi, parts: Parts) -> None:
    api.put("a")
    api.put("b")
    found = await parts.client.read("mail", "b")
    assert found is not None
    assert (found["kind"], found["metadata"]["name"]) == ("MailEgress", "b")
    assert await parts.client.read("mail", "missing") is None
    assert await parts.client.read("elsewhere", "b") is None
    assert all(path.partition("?")[0].endswith("/mailegresses") for _, path in api.requests)


async def test_a_list_is_a_sign_of_life(api: HttpApi, transport: Transport) -> None:
    times = iter([0.0, 50.0, 60.0])
    life = LastContact(lambda: next(times))
    api.put("a")
    await _names(Parts(transport, life=life).client)
    assert life.age() == 10.0


async def test_without_the_crd_the_list_says_gone(api: HttpApi, parts: Parts) -> None:
    api.server.faults.append(Fault("GET", "/mailegresses", 404))
    with pytest.raises(KubeGone):
        await _names(parts.client)


async def test_the_clusters_identity_is_the_uid_of_kube_system(api: HttpApi, parts: Parts) -> None:
    assert await parts.client.get_namespace_uid("kube-system") == CLUSTER_UID
    assert api.requests == [("GET", "/api/v1/namespaces/kube-system")]


# ---------------------------------------------------------------- finalizers


async def test_finalizers_are_set_on_exactly_the_version_that_was_seen(api: HttpApi, parts: Parts) -> None:
    seen = api.put("a")["metadata"]["resourceVersion"]
    stored = await parts.client.set_finalizers("mail", "a", seen, ["other.io/x", FINALIZER])
    assert stored["metadata"]["finalizers"] == ["other.io/x", FINALIZER]
    with pytest.raises(KubeConflict):
        await parts.client.set_finalizers("mail", "a", seen, [])
    assert api.object("a")["metadata"]["finalizers"] == ["other.io/x", FINALIZER]
    assert parts.guard.passed == ["kube.finalizer"] * 2
    assert (parts.writes("finalizer", "ok"), parts.writes("finalizer", "conflict")) == (1, 1)


async def test_a_finalizer_that_the_server_finds_invalid_is_no_conflict(api: HttpApi, parts: Parts) -> None:
    seen = api.put("a")["metadata"]["resourceVersion"]
    with pytest.raises(KubeRefused, match=r"422 Invalid: metadata.finalizers") as caught:
        await parts.client.set_finalizers("mail", "a", seen, ["no name"])
    assert caught.value.code == 422
    assert parts.writes("finalizer", "error") == 1


async def test_the_last_finalizer_taken_off_lets_the_object_go(api: HttpApi, parts: Parts) -> None:
    obj = api.put("a")
    obj["metadata"] |= {"finalizers": [FINALIZER], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    await parts.client.set_finalizers("mail", "a", obj["metadata"]["resourceVersion"], [])
    assert api.server.objects == {}
    with pytest.raises(KubeGone):
        await parts.client.set_finalizers("mail", "a", "1", [])


# ---------------------------------------------------------------- status


async def test_status_is_replaced_whole_and_nothing_else_travels(api: HttpApi, parts: Parts) -> None:
    body = api.put("a")
    body["status"] = {"injected": True}
    body["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    stored = await parts.client.replace_status(body, {"observedGeneration": 1})
    assert stored["status"] == {"observedGeneration": 1}
    assert set(api.bodies[-1]) == {"apiVersion", "kind", "metadata", "status"}
    assert set(api.bodies[-1]["metadata"]) == {"name", "namespace", "uid", "resourceVersion"}
    assert parts.guard.passed == ["kube.status"]


async def test_a_status_computed_from_an_old_version_is_a_conflict(api: HttpApi, parts: Parts) -> None:
    body = dict(api.put("a"))
    api.put("a", note="edited")
    with pytest.raises(KubeConflict, match="409 Conflict"):
        await parts.client.replace_status(body, {"observedGeneration": 1})
    assert parts.writes("status", "conflict") == 1


async def test_a_status_for_a_successor_of_the_same_name_is_a_conflict(api: HttpApi, parts: Parts) -> None:
    body = api.put("a")
    api.server.delete("mail", "a")
    with pytest.raises(KubeGone):
        await parts.client.replace_status(body, {})
    successor = api.put("a")
    mixed = {"metadata": {**body["metadata"], "resourceVersion": successor["metadata"]["resourceVersion"]}}
    with pytest.raises(KubeConflict):
        await parts.client.replace_status(mixed, {})
    assert api.object("a")["status"]["observedGeneration"] == -1


# ---------------------------------------------------------------- throttling and failures


async def test_a_throttled_request_waits_as_told_and_is_repeated(api: HttpApi, parts: Parts) -> None:
    api.put("a")
    api.server.faults.append(Fault("GET", "/mailegresses", 429, times=2, headers={"Retry-After": "3"}))
    assert await _names(parts.client) == ["a"]
    assert parts.naps.taken == [3, 3]


async def test_throttling_without_advice_backs_off_and_ends(api: HttpApi, parts: Parts) -> None:
    api.server.faults.append(Fault("GET", "/mailegresses", 429, times=100, headers={}))
    with pytest.raises(KubeRefused) as caught:
        await _names(parts.client)
    assert caught.value.code == 429
    assert parts.naps.taken == [1, 2, 4, 8]
    assert len(api.requests) == 5


async def test_a_long_retry_after_is_left_to_the_queue(api: HttpApi, parts: Parts) -> None:
    api.server.faults.append(Fault("GET", "/mailegresses", 429, headers={"Retry-After": "120"}))
    with pytest.raises(KubeRefused):
        await _names(parts.client)
    assert parts.naps.taken == []


async def test_a_refusal_names_code_reason_and_message_cleaned(api: HttpApi, parts: Parts) -> None:
    api.server.faults.append(
        Fault("GET", "/mailegresses", 403, reason="Forbidden", message="no \x1b[31mlist\nfor you")
    )
    with pytest.raises(KubeRefused, match=r"GET .*/mailegresses: 403 Forbidden: no list for you$") as caught:
        await _names(parts.client)
    assert caught.value.code == 403


async def test_no_answer_in_time_is_told_apart(api: HttpApi, transport: Transport) -> None:
    api.server.faults.append(Fault("PUT", "/status", None))
    client = Parts(transport, settings=ClientSettings(timeout=0.1)).client
    with pytest.raises(KubeNoAnswer, match=r"no answer in 0.1 s"):
        await client.replace_status(api.put("a"), {})


async def test_no_connection_is_an_error_of_ours(transport: Transport) -> None:
    transport.server = "http://127.0.0.1:1"
    with pytest.raises(KubeNoAnswer):
        await Parts(transport).client.get_namespace_uid()


# ---------------------------------------------------------------- events


async def _say(
    parts: Parts, body: Any, message: str = "the A record is there", reason: str = "ForwardReady"
) -> None:
    await parts.client.emit(body, warning=False, reason=reason, message=message, action="CreateRecord")


async def test_an_event_is_complete(api: HttpApi, parts: Parts) -> None:
    body = api.put("a")
    await parts.client.emit(body, warning=True, reason="ForeignRecord", message="an A record", action="Claim")
    (event,) = api.server.events
    assert event["regarding"]["uid"] == body["metadata"]["uid"]
    assert api.bodies[-1]["metadata"] == {"generateName": "a-", "namespace": "mail"}
    assert event["eventTime"] == "2026-01-02T03:04:05.000678Z"
    assert (event["type"], event["reason"], event["action"]) == ("Warning", "ForeignRecord", "Claim")
    assert (event["reportingController"], event["reportingInstance"]) == (
        "mailegress.io/operator",
        "mailegress-0",
    )
    assert event["note"] == "an A record"
    assert parts.guard.passed == ["kube.event"]


async def test_the_same_event_is_said_once_in_a_while(api: HttpApi, parts: Parts) -> None:
    body = api.put("a")
    for parts.now in (0, 100, 299):
        await _say(parts, body)
    await _say(parts, body, message="another")
    await _say(parts, api.put("b"))
    assert len(api.server.events) == 3
    parts.now = 300
    await _say(parts, body)
    assert len(api.server.events) == 4


async def test_an_event_is_cut_to_the_bounds_in_bytes(api: HttpApi, parts: Parts) -> None:
    await _say(parts, api.put("a" * 253), message="é" * 2000, reason="R" * 300)
    (event,) = api.server.events
    assert len(event["note"].encode()) <= 1024
    assert len(event["metadata"]["generateName"]) <= 241
    assert len(event["reason"]) == 128


@pytest.mark.parametrize(
    ("code", "message", "loud"),
    [(403, "namespace mail is being terminated", False), (403, "not allowed", True), (500, "boom", True)],
)
async def test_an_event_that_cannot_be_recorded_harms_nobody(
    api: HttpApi, parts: Parts, caplog: pytest.LogCaptureFixture, code: int, message: str, loud: bool
) -> None:
    api.server.faults.append(Fault("POST", "/events", code, message=message))
    await _say(parts, api.put("a"))
    assert api.server.events == []
    assert ("event not recorded" in caplog.text) is loud
    assert parts.writes("event", "error") == 1


async def test_requests_of_many_workers_do_not_mix(api: HttpApi, parts: Parts) -> None:
    bodies = [api.put(f"n{number}") for number in range(30)]
    stored = await asyncio.gather(
        *(parts.client.replace_status(body, {"hostname": body["metadata"]["name"]}) for body in bodies)
    )
    assert [body["status"]["hostname"] for body in stored] == [f"n{number}" for number in range(30)]
    assert issubclass(KubeRefused, KubeError)
