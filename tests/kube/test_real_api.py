"""The same promises on a real API server, under exactly the permissions that the client documents."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailegress.api.names import FINALIZER
from mailegress.engine.store import Store
from mailegress.kube.client import KubeClient, KubeRefused
from mailegress.kube.credentials import kubeconfig
from mailegress.kube.lease import LeaderGuard, LeaseElector, LeaseSettings
from mailegress.kube.transport import LastContact, Transport, connect
from mailegress.kube.watch import WatchSettings, watch
from mailegress.reconcile.ports import KubeConflict, KubeGone
from mailegress.reconcile.write_guard import OpenGuard
from sandbox.controlplane import ControlPlane, find_or_build

pytestmark = pytest.mark.stories

CRD = Path(__file__).parents[2] / "crds" / "mailegress.io_mailegresses.yaml"

# The table in `mailegress.kube.client`.
RULES: list[dict[str, Any]] = [
    {"apiGroups": ["mailegress.io"], "resources": ["mailegresses"], "verbs": ["list", "watch", "patch"]},
    {"apiGroups": ["mailegress.io"], "resources": ["mailegresses/status"], "verbs": ["update"]},
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"], "resourceNames": ["kube-system"]},
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["get", "create", "update"],
    },
]


async def _nothing() -> None:
    """A candidate without work."""


def _role(kind: str) -> list[dict[str, Any]]:
    subject = {"kind": "ServiceAccount", "name": "operator", "namespace": "mailegress-system"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "operator"}
    rules = RULES[:-1] if kind == "ClusterRole" else RULES[-1:]
    meta: dict[str, Any] = {"name": "operator"}
    if kind == "Role":
        meta["namespace"] = "mailegress-system"
    version = "rbac.authorization.k8s.io/v1"
    return [
        {"apiVersion": version, "kind": kind, "metadata": meta, "rules": rules},
        {
            "apiVersion": version,
            "kind": f"{kind}Binding",
            "metadata": meta,
            "roleRef": role,
            "subjects": [subject],
        },
    ]


def manifest(name: str, namespace: str, hostname: str = "mta.example.com") -> dict[str, Any]:
    return {
        "apiVersion": "mailegress.io/v1alpha1",
        "kind": "MailEgress",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"hostname": hostname, "elasticIPs": [{"allocationID": "eipalloc-0123456789abcdef0"}]},
    }


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with find_or_build() as plane:
        plane.install_crds(CRD)
        system = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mailegress-system"}}
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "operator", "namespace": "mailegress-system"},
        }
        plane.apply_text(yaml.safe_dump_all([system, account, *_role("ClusterRole"), *_role("Role")]))
        yield plane


@pytest.fixture
async def transport(plane: ControlPlane) -> AsyncIterator[Transport]:
    path = plane.service_account_kubeconfig("mailegress-system", "operator")
    async with connect(kubeconfig(path)) as transport:
        yield transport


@pytest.fixture
async def client(transport: Transport) -> KubeClient:
    return KubeClient(transport, clock=asyncio.get_running_loop().time, instance="mailegress-0")


@pytest.fixture
async def namespace(plane: ControlPlane, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    name = "t-" + request.node.name.removeprefix("test_").replace("_", "-")[:50].rstrip("-")
    await asyncio.to_thread(plane.kubectl, "create", "namespace", name)
    yield name
    await asyncio.to_thread(plane.kubectl, "delete", "namespace", name, "--ignore-not-found", "--wait=false")


async def make(plane: ControlPlane, body: Mapping[str, Any]) -> dict[str, Any]:
    await asyncio.to_thread(plane.apply_text, json.dumps(body))
    return await read(plane, body["metadata"]["namespace"], body["metadata"]["name"])


async def read(plane: ControlPlane, namespace: str, name: str) -> dict[str, Any]:
    shown = await asyncio.to_thread(
        plane.kubectl, "-n", namespace, "get", "mailegresses", name, "-o", "json", "--show-managed-fields"
    )
    loaded: dict[str, Any] = json.loads(shown.stdout)
    return loaded


async def test_a_status_is_replaced_without_sending_the_spec(
    plane: ControlPlane, client: KubeClient, namespace: str
) -> None:
    before = await make(plane, manifest("a", namespace))
    store = Store()
    store.upsert(before)
    held = store.get(f"{namespace}/a")
    assert held is not None
    stored = await client.replace_status(
        held.body(), {"observedGeneration": 1, "hostname": "mta.example.com"}
    )
    assert store.upsert(stored)
    after = await read(plane, namespace, "a")
    assert after["spec"] == before["spec"]
    assert after["status"]["hostname"] == "mta.example.com"
    assert "conditions" not in after["status"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert before["metadata"]["annotations"] == after["metadata"]["annotations"]
    managers = [entry["manager"] for entry in after["metadata"]["managedFields"]]
    assert managers[0] == "kubectl-client-side-apply"
    with pytest.raises(KubeConflict):
        await client.replace_status(before, {"observedGeneration": 2})
    foreign = {"metadata": {**stored["metadata"], "uid": "00000000-0000-0000-0000-000000000000"}}
    with pytest.raises(KubeConflict):
        await client.replace_status(foreign, {"observedGeneration": 2})
    with pytest.raises(KubeRefused, match="422 Invalid"):
        await client.replace_status(stored, {"observedGeneration": "garbage"})


async def test_finalizers_go_on_and_off_on_the_version_seen(
    plane: ControlPlane, client: KubeClient, namespace: str
) -> None:
    seen = (await make(plane, manifest("a", namespace)))["metadata"]["resourceVersion"]
    stored = await client.set_finalizers(namespace, "a", seen, [FINALIZER])
    assert stored["metadata"]["finalizers"] == [FINALIZER]
    with pytest.raises(KubeConflict):
        await client.set_finalizers(namespace, "a", seen, [])
    with pytest.raises(KubeRefused, match="422") as caught:
        await client.set_finalizers(
            namespace, "a", stored["metadata"]["resourceVersion"], ["not a finalizer", FINALIZER]
        )
    assert caught.value.code == 422
    await asyncio.to_thread(plane.kubectl, "-n", namespace, "delete", "mailegresses", "a", "--wait=false")
    dying = await read(plane, namespace, "a")
    await client.set_finalizers(namespace, "a", dying["metadata"]["resourceVersion"], [])
    with pytest.raises(KubeGone):
        await client.set_finalizers(namespace, "a", dying["metadata"]["resourceVersion"], [])


async def test_an_event_is_shown_by_describe_and_accepted_without_a_word_too_much(
    plane: ControlPlane, client: KubeClient, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    body = await make(plane, manifest("a", namespace))
    await client.emit(body, warning=True, reason="ForeignRecord", message="é" * 2000, action="Claim")
    await client.emit(
        body, warning=False, reason="ForwardReady", message="the A record is there", action="Wait"
    )
    assert caplog.text == ""
    shown = await asyncio.to_thread(plane.kubectl, "-n", namespace, "describe", "mailegresses", "a")
    assert "ForeignRecord" in shown.stdout
    assert "the A record is there" in shown.stdout
    assert "mailegress.io/operator" in shown.stdout


async def test_an_event_in_a_namespace_that_is_being_deleted_is_no_trouble(
    plane: ControlPlane, client: KubeClient, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    body = await make(plane, manifest("a", namespace))
    version = body["metadata"]["resourceVersion"]
    held = await client.set_finalizers(namespace, "a", version, [FINALIZER])
    await asyncio.to_thread(plane.kubectl, "delete", "namespace", namespace, "--wait=false")
    await client.emit(body, warning=False, reason="Deleted", message="the A record is gone", action="Delete")
    assert caplog.text == ""
    async with asyncio.timeout(30):
        while True:  # the namespace controller deletes what is in it; its version of the object is another
            held = await read(plane, namespace, "a")
            try:
                await client.set_finalizers(namespace, "a", held["metadata"]["resourceVersion"], [])
                break
            except KubeConflict:
                continue


async def test_the_watch_shows_a_life_and_writes_nothing(
    plane: ControlPlane, transport: Transport, namespace: str
) -> None:
    await make(plane, manifest("old", namespace))
    seen: list[tuple[str | None, str, int]] = []
    store = Store()
    news = asyncio.Condition()
    loop = asyncio.get_running_loop()
    life = LastContact(loop.time)

    def on_change(kind: str | None, body: Mapping[str, Any]) -> None:
        if body["metadata"]["namespace"] == namespace:
            seen.append((kind, body["metadata"]["name"], body["metadata"]["generation"]))
            if kind == "DELETED":
                store.delete(f"{namespace}/{body['metadata']['name']}", body["metadata"]["uid"])
            else:
                assert store.upsert(body)

        async def tell() -> None:
            async with news:
                news.notify_all()

        tellers.append(loop.create_task(tell()))

    tellers: list[asyncio.Task[None]] = []

    async def until(event: tuple[str | None, str, int]) -> None:
        async with asyncio.timeout(15), news:
            await news.wait_for(lambda: event in seen)

    stop = asyncio.Event()
    settings = WatchSettings(idle_timeout=0.1, exit_timeout=0.5)
    running = asyncio.create_task(watch(transport, on_change, stop, life=life, settings=settings))
    await until((None, "old", 1))
    await make(plane, manifest("new", namespace))
    await until(("ADDED", "new", 1))
    await make(plane, manifest("new", namespace, hostname="other.example.com"))
    await until(("MODIFIED", "new", 2))
    changed = store.get(f"{namespace}/new")
    assert changed is not None
    assert changed.parse().spec.hostname == "other.example.com"
    await asyncio.to_thread(plane.kubectl, "-n", namespace, "delete", "mailegresses", "new")
    await until(("DELETED", "new", 2))
    assert life.age() < 5
    stop.set()
    # A stream lasts minutes: the stop does not wait for its end.
    async with asyncio.timeout(20):
        await running
    untouched = await read(plane, namespace, "old")
    assert [e["manager"] for e in untouched["metadata"]["managedFields"]] == ["kubectl-client-side-apply"]
    assert "finalizers" not in untouched["metadata"]
    assert list(untouched["metadata"]["annotations"]) == ["kubectl.kubernetes.io/last-applied-configuration"]


async def test_a_full_list_comes_in_pages(plane: ControlPlane, client: KubeClient, namespace: str) -> None:
    bodies = [manifest(f"n{number}", namespace) for number in range(5)]
    await asyncio.to_thread(
        plane.apply_text, json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies})
    )
    pages = [page async for page in client.list_all(limit=2)]
    assert max(len(page) for page in pages) == 2
    names = {
        body["metadata"]["name"]
        for page in pages
        for body in page
        if body["metadata"]["namespace"] == namespace
    }
    assert names == {f"n{number}" for number in range(5)}


async def test_the_lease_goes_from_one_to_the_next(client: KubeClient) -> None:
    loop = asyncio.get_running_loop()
    settings = LeaseSettings(
        namespace="mailegress-system", duration=60.0, renew_deadline=40.0, retry=0.1, jitter=0.1
    )
    led: list[str] = []
    stops: dict[str, asyncio.Event] = {}
    started: dict[str, asyncio.Event] = {}
    tasks: dict[str, asyncio.Task[None]] = {}
    for name in ("one", "two"):
        stops[name], started[name] = asyncio.Event(), asyncio.Event()
        guard = LeaderGuard(OpenGuard(), loop.time)
        elector = LeaseElector(client, settings, name, guard, clock=loop.time, rng=random.Random(name))

        def on_started(name: str = name) -> None:
            led.append(name)
            started[name].set()

        tasks[name] = asyncio.create_task(elector.run(on_started, _nothing, stops[name]))
        if name == "one":
            async with asyncio.timeout(20):
                await started["one"].wait()
    stops["one"].set()
    # Much less than the Lease lasts: it is released.
    async with asyncio.timeout(20):
        await tasks["one"]
        await started["two"].wait()
    assert led == ["one", "two"]
    stops["two"].set()
    await tasks["two"]


async def test_the_clusters_identity_and_no_more(client: KubeClient) -> None:
    assert len(await client.get_namespace_uid("kube-system")) == 36
    with pytest.raises(KubeRefused) as caught:
        await client.get_namespace_uid("default")
    assert caught.value.code == 403
