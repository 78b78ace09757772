"""The store: newest wins in whatever order events come; nothing comes back from the dead."""

from __future__ import annotations

import copy
import gc
import tracemalloc
from typing import Any

import pytest

from mailegress.api.names import FINALIZER, RECONCILE_ANNOTATION
from mailegress.engine.store import Store, Stored


def egress(
    name: str = "outbound", *, uid: str = "u1", rv: str = "10", hostname: str = "mta.example.com"
) -> Any:
    return {
        "apiVersion": "mailegress.io/v1alpha1",
        "kind": "MailEgress",
        "metadata": {
            "name": name,
            "namespace": "mail",
            "uid": uid,
            "resourceVersion": rv,
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "finalizers": [FINALIZER],
            "labels": {"team": "mail"},
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{}" * 500,
                RECONCILE_ANNOTATION: "now",
            },
            "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}] * 5,
        },
        "spec": {"hostname": hostname, "elasticIPs": [{"allocationID": "eipalloc-0123456789abcdef0"}]},
    }


def _held(store: Store, key: str = "mail/outbound") -> Stored:
    stored = store.get(key)
    assert stored is not None
    return stored


def test_the_newest_version_wins_in_any_order() -> None:
    store = Store()
    assert store.upsert(egress(rv="99"))
    assert store.upsert(egress(rv="100"))
    assert not store.upsert(egress(rv="99"))
    assert not store.upsert(egress(rv="100"))
    assert _held(store).resource_version == "100"


def test_the_copy_is_slim_and_enough_for_the_typed_object() -> None:
    store = Store()
    body = egress()
    body["status"] = {"observedGeneration": 1}
    given = copy.deepcopy(body)
    store.upsert(body)
    assert body == given
    slim = _held(store).body()
    assert "managedFields" not in slim["metadata"]
    assert slim["metadata"]["annotations"] == {RECONCILE_ANNOTATION: "now"}
    assert slim["status"] == {"observedGeneration": 1}
    parsed = _held(store).parse()
    assert parsed.spec.hostname == "mta.example.com"
    assert parsed.meta.reconcile_requested_at == "now"
    assert parsed.meta.finalizers == (FINALIZER,)
    slim["spec"]["hostname"] = "changed by the caller"
    assert _held(store).body()["spec"]["hostname"] == "mta.example.com"


@pytest.mark.parametrize("deleted", [None, {"observedGeneration": -1}], ids=["gone", "default"])
def test_what_a_deleted_status_recorded_is_kept(deleted: dict[str, Any] | None) -> None:
    store = Store()
    body = egress(rv="10")
    address = {"allocationID": "eipalloc-0123456789abcdef0", "ptr": "mta.example.com", "ptrOrigin": "Managed"}
    assert store.upsert({**body, "status": {"observedGeneration": 1, "addresses": [address]}})
    bare = egress(rv="11")
    assert store.upsert({**bare, "status": deleted} if deleted is not None else bare)
    assert _held(store).body().get("status", {}).get("addresses") == [address]


def test_a_name_taken_by_another_object_is_a_replacement() -> None:
    store = Store()
    first = store.upsert(egress(uid="old", rv="10"))
    assert first is not None
    assert first.replaced is None
    update = store.upsert(egress(uid="new", rv="20"))
    assert update is not None
    assert update.replaced is first.new
    assert (update.new.uid, update.new.resource_version) == ("new", "20")
    assert len(store) == 1
    assert _held(store).uid == "new"
    # Late news of the old one: its last version, then its deletion.
    assert not store.upsert(egress(uid="old", rv="15"))
    assert not store.delete("mail/outbound", "old")
    assert _held(store).uid == "new"


def test_a_deleted_object_is_not_brought_back_by_an_old_list() -> None:
    store = Store()
    store.upsert(egress(rv="10"))
    known = _held(store)
    assert store.delete("mail/outbound", "u1") is known
    assert not store.upsert(egress(rv="10"))
    assert not store.upsert(egress(rv="11"))
    assert len(store) == 0
    update = store.upsert(egress(uid="u2", rv="12"))
    assert update is not None
    assert update.replaced is None


def test_a_deletion_heard_before_the_object_holds() -> None:
    store = Store()
    assert not store.delete("mail/outbound", "u1")
    assert not store.upsert(egress(uid="u1"))


def test_a_full_list_of_a_restored_api_server_is_believed_although_versions_went_back() -> None:
    store = Store()
    store.upsert(egress(rv="900"))
    since = store.mark()
    assert store.upsert(egress(rv="120"), since)
    assert _held(store).resource_version == "120"
    assert not store.upsert(egress(rv="120"), store.mark()), "the same version is no news"


def test_what_was_heard_since_a_list_began_is_not_undone_by_it() -> None:
    store = Store()
    store.upsert(egress(rv="10"))
    since = store.mark()
    store.upsert(egress(rv="12"))
    assert not store.upsert(egress(rv="10"), since)
    assert _held(store).resource_version == "12"
    store.delete("mail/outbound", "u1")
    assert not store.upsert(egress(rv="10"), since)
    assert len(store) == 0


def test_an_object_that_a_restored_api_server_has_again_is_there_again() -> None:
    store = Store()
    store.upsert(egress(rv="900"))
    store.delete("mail/outbound", "u1")
    assert store.upsert(egress(rv="120"), store.mark())
    assert _held(store).uid == "u1"


def test_a_full_list_shows_what_is_absent() -> None:
    store = Store()
    store.upsert(egress("kept", uid="u1", rv="1"))
    store.upsert(egress("lost", uid="u2", rv="2"))
    since = store.mark()
    # While the list runs, the watch reports an object that is younger than the list.
    store.upsert(egress("young", uid="u3", rv="30"))
    store.upsert(egress("kept", uid="u1", rv="1"))
    assert store.absent({"mail/kept"}, since) == ["mail/lost"]


def test_incomparable_versions_count_as_news() -> None:
    store = Store()
    store.upsert(egress(rv="abc"))
    assert not store.upsert(egress(rv="abc"))
    assert store.upsert(egress(rv="abd"))


def test_an_unusable_spec_does_not_upset_the_store() -> None:
    store = Store()
    body = egress()
    body["spec"] = {"hostname": ["\ud800"]}
    assert store.upsert(body)
    assert store.get("mail/outbound") is not None
    with pytest.raises(ValueError, match="metadata"):
        store.upsert({"metadata": {"name": "x"}})


def test_an_object_costs_less_than_1200_bytes() -> None:
    count = 500
    status = {
        "observedGeneration": 1,
        "hostname": "mta.example.com",
        "publicIPs": ["203.0.113.10"],
        "conditions": [
            {
                "type": kind,
                "status": "True",
                "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
                "reason": "Verified",
                "message": "The A record and the reverse DNS agree.",
            }
            for kind in ("Ready", "Accepted", "ForwardReady", "ReverseReady", "Resolved")
        ],
    }
    store = Store()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(count):
            body = egress(
                f"outbound-{number}",
                uid=f"uid-{number:032}",
                rv=str(number + 1),
                hostname=f"mta{number}.example.com",
            )
            body["status"] = copy.deepcopy(status)
            store.upsert(body)
            del body
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / count < 1200
