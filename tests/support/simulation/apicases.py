"""What operators and users ask of an API server, one case for each promise that the operator relies on."""

from __future__ import annotations

import asyncio
import copy
from pathlib import Path
from typing import Any

import yaml

from mailegress.api.names import ENDPOINT_API_VERSION, ENDPOINT_KIND, FINALIZER
from mailegress.kube.endpoints import parse
from tests.support.simulation.apiplay import ENDING, ONE, STILL, TWO, Case, Player, ended, manifest, path_of

TABLE = Path(__file__).parents[2] / "crd" / "manifests.yaml"
ENDPOINTS = f"/apis/{ENDPOINT_API_VERSION}/namespaces/{ONE}/dnsendpoints"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{ONE}/leases"
Object = dict[str, Any]


def _with(status: Object, message: str) -> Object:
    """A status with another message of Ready."""
    changed = copy.deepcopy(status)
    changed["conditions"][0]["message"] = message
    return changed


def _status_of(found: Object, status: Object, **meta: str) -> Object:
    identity = {k: found["metadata"][k] for k in ("name", "namespace", "uid", "resourceVersion")} | meta
    return {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": identity, "status": status}


async def objects(api: Player) -> None:
    """Defaults, pruning, generations, and what an edit that changes nothing does."""
    await api.ask("POST", path_of(ONE), manifest("a", bogus=1, forward={"management": "Managed", "bogus": 2}))
    await api.ask("POST", path_of(ONE), manifest("a"))
    await api.ask("GET", path_of(ONE, "a"))
    await api.ask("GET", path_of(ONE, "missing"))
    await api.ask("PATCH", path_of(ONE, "a"), {"spec": {"hostname": "other.example.com"}})
    await api.ask("PATCH", path_of(ONE, "a"), {"spec": {"hostname": "other.example.com"}})
    await api.ask("PATCH", path_of(ONE, "a"), {"metadata": {"annotations": {"mailegress.io/note": "x"}}})
    await api.ask("PATCH", path_of(ONE, "a"), {"metadata": {"annotations": None, "labels": {"team": "mail"}}})
    await api.ask("PATCH", path_of(ONE, "a"), {"spec": {"forward": None, "suspend": True}})
    await api.ask("PATCH", path_of(ONE, "a"), {"spec": {"suspend": None}})
    await api.ask("PATCH", path_of(ONE, "a"), {"status": {"hostname": "ignored.example.com"}})
    await api.ask("PATCH", path_of(ONE, "missing"), {"spec": {"suspend": True}})
    await api.ask("PATCH", path_of(ONE, "a"), {"spec": {"hostname": "Wrong.example.com"}})
    await api.ask("DELETE", path_of(ONE, "a"))
    await api.ask("GET", path_of(ONE, "a"))
    await api.ask("DELETE", path_of(ONE, "a"))


async def status(api: Player) -> None:
    """The subresource: replaced whole, guarded by resourceVersion and UID, deaf to spec and metadata."""
    found = await api.ask("POST", path_of(ONE), manifest("a"))
    where = path_of(ONE, "a", "status")
    first = _with(found["status"], "looked at")
    wrong = copy.deepcopy(_status_of(found, first))
    wrong["spec"] = {"hostname": "ignored.example.com", "elasticIPs": [{"natGatewayID": "nat-01"}]}
    wrong["metadata"] |= {"labels": {"ignored": "yes"}, "finalizers": ["example.com/ignored"]}
    stored = await api.ask("PUT", where, wrong)
    await api.ask("PUT", where, _status_of(found, _with(first, "stale")))
    await api.ask("PUT", where, _status_of(stored, first))
    await api.ask(
        "PUT", where, _status_of(stored, _with(first, "other"), uid="00000000-0000-4000-8000-000000000000")
    )
    pruned = await api.ask("PUT", where, _status_of(stored, {**first, "bogus": 1}))
    await api.ask("PUT", where, _status_of(pruned, _with(first, "x" * 40_000)))
    await api.ask("PUT", where, _status_of(pruned, {**first, "observedGeneration": "one"}))
    injected = await api.ask("PATCH", where, {"status": {"hostname": "injected.example.com"}})
    await api.ask(
        "PUT", where, _status_of(injected, {"observedGeneration": 1, "conditions": first["conditions"]})
    )
    await api.ask("PUT", path_of(ONE, "missing", "status"), _status_of(found, first, name="missing"))
    await api.ask("PATCH", path_of(ONE, "a"), {"status": None})
    await api.ask("PATCH", where, {"status": None})
    await api.ask("DELETE", path_of(ONE, "a"))


async def finalizers(api: Player) -> None:
    """JSON patch with a test; an object that is being deleted; its end."""
    found = await api.ask("POST", path_of(ONE), manifest("a"))
    where = path_of(ONE, "a")

    def patch(resource_version: str, *wanted: str) -> list[Object]:
        return [
            {"op": "test", "path": "/metadata/resourceVersion", "value": resource_version},
            {"op": "add", "path": "/metadata/finalizers", "value": list(wanted)},
        ]

    held = await api.ask("PATCH", where, patch(found["metadata"]["resourceVersion"], FINALIZER))
    await api.ask("PATCH", where, patch(found["metadata"]["resourceVersion"]))
    await api.ask("PATCH", where, patch(held["metadata"]["resourceVersion"], FINALIZER))
    dying = await api.ask("DELETE", where)
    await api.ask("DELETE", where)
    await api.ask("POST", path_of(ONE), manifest("a"))
    await api.ask("PATCH", where, patch(dying["metadata"]["resourceVersion"], FINALIZER, "example.com/more"))
    edited = await api.ask("PATCH", where, {"spec": {"deletionPolicy": "Retain"}})
    told = await api.ask("PUT", f"{where}/status", _status_of(edited, _with(edited["status"], "going")))
    await api.ask("PATCH", where, patch(edited["metadata"]["resourceVersion"]))
    await api.ask("PATCH", where, patch(told["metadata"]["resourceVersion"]))
    await api.ask("GET", where)
    await api.ask("PATCH", where, patch(told["metadata"]["resourceVersion"]))
    await api.ask("POST", path_of(ONE), manifest("a"))
    await api.ask("DELETE", where)


async def lists(api: Player) -> None:
    """Of a namespace and of all; in pages, which show one moment."""
    await api.ask("GET", path_of())
    for namespace, name in ((TWO, "b"), (ONE, "c"), (ONE, "a"), (TWO, "a")):
        await api.ask("POST", path_of(namespace), manifest(name, f"{namespace}-{name}.example.com"))
    await api.ask("GET", path_of(ONE))
    await api.ask("GET", path_of())
    page = await api.ask("GET", f"{path_of()}?limit=3")
    token = page["metadata"]["continue"]
    await api.ask("POST", path_of(TWO), manifest("c", "late.example.com"))
    await api.ask("PATCH", path_of(TWO, "b"), {"spec": {"hostname": "later.example.com"}})
    await api.ask("GET", f"{path_of()}?limit=3&continue={token}")
    await api.ask("GET", f"{path_of()}?limit=10")
    await api.ask("GET", f"{path_of()}?resourceVersion=0")
    await api.ask("GET", f"{path_of('nowhere')}")
    await api.ask("GET", f"{path_of(TWO)}?fieldSelector=metadata.name%3Da")
    await api.ask("GET", f"{path_of(TWO)}?fieldSelector=metadata.name%3Dmissing")
    for namespace, name in ((ONE, "a"), (ONE, "c"), (TWO, "a"), (TWO, "b"), (TWO, "c")):
        await api.ask("DELETE", path_of(namespace, name))


async def watches(api: Player) -> None:
    """From a list on, from the beginning, from too long ago; of a namespace; bookmarks."""
    await api.ask("POST", path_of(ONE), manifest("a"))
    listed = await api.ask("GET", path_of())
    since = listed["metadata"]["resourceVersion"]

    def watching(namespace: str, query: str, count: int) -> asyncio.Task[Any]:
        return asyncio.create_task(api.watch(f"{path_of(namespace)}?watch=true&{query}", count))

    changed = await api.ask("PATCH", path_of(ONE, "a"), {"spec": {"suspend": True}})
    await api.ask("PUT", path_of(ONE, "a", "status"), _status_of(changed, _with(changed["status"], "seen")))
    await api.ask("POST", path_of(TWO), manifest("b"))
    await api.ask("PATCH", path_of(ONE, "a"), {"metadata": {"finalizers": [FINALIZER]}})
    await api.ask("DELETE", path_of(ONE, "a"))
    await api.ask("PATCH", path_of(ONE, "a"), {"metadata": {"finalizers": None}})
    # What happened since the list, to the last event; then only what is of one namespace.
    await ended(watching("", f"resourceVersion={since}&timeoutSeconds=30", 6))
    await ended(watching(TWO, f"resourceVersion={since}&timeoutSeconds=30", 1))
    # Without a version, or with 0: what is there now comes first.
    await ended(watching("", "timeoutSeconds=30", 1))
    await ended(watching("", "resourceVersion=0&timeoutSeconds=30", 1))
    await ended(watching("", "resourceVersion=1&timeoutSeconds=30", 1))
    # A stream ends by itself.
    now = (await api.ask("GET", path_of()))["metadata"]["resourceVersion"]
    await ended(watching("", f"resourceVersion={now}&timeoutSeconds=1", 1))
    await api.ask("DELETE", path_of(TWO, "b"))


async def bookmarks(api: Player) -> None:
    """Before a stream ends it tells how far it has got, to whoever asks for that; nothing else happens there."""
    now = (await api.ask("GET", path_of(STILL)))["metadata"]["resourceVersion"]
    query = f"watch=true&resourceVersion={now}&timeoutSeconds=15"
    plain = asyncio.create_task(api.watch(f"{path_of(STILL)}?{query}", 1))
    await ended(asyncio.create_task(api.watch(f"{path_of(STILL)}?{query}&allowWatchBookmarks=true", 1)))
    await ended(plain)


async def leases(api: Player) -> None:
    """What leader election needs of a Lease: one creator, and one of two updates."""
    spec = {
        "holderIdentity": "one", "leaseDurationSeconds": 15, "leaseTransitions": 0,
        "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:00.000000Z",
    }  # fmt: skip
    lease: Object = {
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "mailegress", "namespace": ONE}, "spec": spec,
    }  # fmt: skip
    await api.ask("GET", f"{LEASES}/mailegress")
    made = await api.ask("POST", LEASES, lease)
    await api.ask("POST", LEASES, lease)
    got = await api.ask("GET", f"{LEASES}/mailegress")
    mine = {
        **lease,
        "metadata": made["metadata"],
        "spec": {**spec, "renewTime": "2026-01-01T00:00:02.000000Z"},
    }
    await api.ask("PUT", f"{LEASES}/mailegress", mine)
    theirs = {**lease, "metadata": got["metadata"], "spec": {**spec, "holderIdentity": "two"}}
    await api.ask("PUT", f"{LEASES}/mailegress", theirs)
    await api.ask("PUT", f"{LEASES}/other", {**lease, "metadata": {**made["metadata"], "name": "other"}})


def _event(name: str, namespace: str) -> Object:
    return {
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal", "reason": "Ready", "action": "Observe",
        "note": "all is well", "reportingController": "mailegress.io/operator", "reportingInstance": "operator-1",
        "regarding": {
            "apiVersion": "mailegress.io/v1alpha1", "kind": "MailEgress", "name": "a", "namespace": namespace,
            "uid": "00000000-0000-4000-8000-000000000001",
        },
    }  # fmt: skip


async def events(api: Player) -> None:
    """Taken where the namespace stands, and refused where it goes."""
    await api.ask("POST", f"/apis/events.k8s.io/v1/namespaces/{ONE}/events", _event("a.1", ONE))
    await api.ask("POST", f"/apis/events.k8s.io/v1/namespaces/{ONE}/events", _event("a.1", ONE))
    held = manifest("holds")
    held["metadata"]["finalizers"] = [FINALIZER]
    await api.ask("POST", path_of(ENDING), held)
    await api.server.end(ENDING)
    await api.ask("POST", f"/apis/events.k8s.io/v1/namespaces/{ENDING}/events", _event("holds.1", ENDING))
    await api.ask("POST", path_of(ENDING), manifest("late"))


async def admission(api: Player) -> None:
    """Every wrong spec of the CRD's own table is refused, by schema or by CEL; every right one is stored as sent."""
    table = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    for number, case in enumerate(table["refused"]):
        body = manifest(f"r{number}")
        await api.ask("POST", path_of(ONE), {**body, "spec": case["spec"]})
    for number, case in enumerate(table["accepted"]):
        body = manifest(f"a{number}")
        await api.ask("POST", path_of(ONE), {**body, "spec": case["spec"]})
        await api.ask("DELETE", path_of(ONE, f"a{number}"))


def _endpoint(name: str, *targets: str) -> Object:
    entry = {"dnsName": "mta.example.net", "recordType": "A", "targets": list(targets), "recordTTL": 300}
    return {
        "apiVersion": ENDPOINT_API_VERSION, "kind": ENDPOINT_KIND,
        "metadata": {"name": name, "namespace": ONE, "labels": {"mailegress.io/uid": "u"}},
        "spec": {"endpoints": [entry]},
    }  # fmt: skip


async def dnsendpoints(api: Player) -> None:
    """Writes on the version that was read, who changed the spec last, external-dns's status, and a watch."""
    one, own = f"{ENDPOINTS}/one", "?fieldManager=mailegress"
    listed = await api.ask("GET", ENDPOINTS)
    made = await api.ask("POST", f"{ENDPOINTS}{own}", _endpoint("one", "192.0.2.1"))
    await api.ask("POST", f"{ENDPOINTS}{own}", _endpoint("one", "192.0.2.2"))
    await api.ask("GET", f"{ENDPOINTS}/missing")

    async def change(found: Object, manager: str, *targets: str, **labels: str | None) -> Object:
        """A merge patch on this version; who changed the spec last is kept beside the answer."""
        meta: Object = {"resourceVersion": found["metadata"]["resourceVersion"]} | (
            {"labels": labels} if labels else {}
        )
        body = {"metadata": meta, **({"spec": _endpoint("one", *targets)["spec"]} if targets else {})}
        answer: Object = await api.ask("PATCH", f"{one}?fieldManager={manager}", body)
        if answer["kind"] == ENDPOINT_KIND:
            api.note("changed by", parse(answer).changed_by)
        return answer

    same = await change(made, "mailegress", "192.0.2.1")
    moved = await change(same, "mailegress", "192.0.2.2")
    await change(made, "mailegress", "192.0.2.3")
    read = {**moved, "status": {"observedGeneration": 2}}
    seen = await api.ask("PUT", f"{one}/status?fieldManager=external-dns", read)
    api.note("changed by", parse(seen).changed_by)
    theirs = await change(seen, "kubectl-edit", "192.0.2.9")
    ours = await change(theirs, "mailegress", "192.0.2.2")
    freed = await change(ours, "mailegress", **{"mailegress.io/uid": None})
    await api.ask("POST", f"{ENDPOINTS}{own}", _endpoint("two", "192.0.2.3"))
    await api.ask("GET", ENDPOINTS)

    def options(found: Object) -> Object:
        only = {k: found["metadata"][k] for k in ("uid", "resourceVersion")}
        return {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": only}

    await api.ask("DELETE", one, options(made))
    await api.ask("DELETE", one, options(freed))
    await api.ask("DELETE", one, options(freed))
    await change(freed, "mailegress", "192.0.2.2")
    await api.ask("DELETE", f"{ENDPOINTS}/two")
    since = listed["metadata"]["resourceVersion"]
    await api.watch(f"{ENDPOINTS}?watch=true&resourceVersion={since}&timeoutSeconds=60", 9)


CASES: dict[str, Case] = {
    case.__name__: case
    for case in (
        objects,
        status,
        finalizers,
        lists,
        watches,
        bookmarks,
        leases,
        events,
        admission,
        dnsendpoints,
    )
}
