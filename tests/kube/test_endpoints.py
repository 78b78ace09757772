"""DNSEndpoints at the API server: what is read of them, and how a change is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from mailegress.kube.client import KubeClient
from mailegress.kube.endpoints import EndpointClient, endpoints_of, parse, trim
from mailegress.kube.transport import Transport
from mailegress.model.endpoints import ChangeEndpoint, EndpointEntry
from mailegress.model.facts import WritePhase, WriteState
from mailegress.reconcile.endpoint_index import EndpointIndex
from mailegress.reconcile.write_guard import OpenGuard
from tests.kube.test_reflector import Answer

ENTRY = EndpointEntry("mta.example.net", frozenset({"203.0.113.10"}), 300)
FIELDS = {"f:spec": {"f:endpoints": {}}}


def body(version: int = 5, **more: Any) -> dict[str, Any]:
    meta = {
        "name": "mailegress-a",
        "namespace": "mail",
        "uid": "u1",
        "resourceVersion": str(version),
        "generation": 2,
        "labels": {"mailegress.io/uid": "owner"},
        "annotations": {"big": "x" * 1000},
    }
    entry = {"dnsName": "MTA.example.net.", "recordType": "A", "recordTTL": 300, "targets": ["203.0.113.10"]}
    return {"metadata": meta | more.pop("metadata", {}), "spec": {"endpoints": [entry]}, **more}


def test_an_endpoint_is_read_as_external_dns_reads_it() -> None:
    found = parse(trim(body(status={"observedGeneration": 1})))
    assert found.entries == (ENTRY,)
    assert (found.owner, found.generation, found.observed_generation) == ("owner", 2, 1)
    assert found.behind


def test_whatever_has_the_wrong_type_counts_as_missing() -> None:
    odd = body(status=[], spec={"endpoints": ["x", {"dnsName": 3}, {"dnsName": "a", "targets": "b"}]})
    odd["metadata"] |= {"labels": [], "managedFields": ["x", {"manager": "m"}], "generation": "2"}
    found = parse(odd)
    assert found.entries == (EndpointEntry("a", type=""),)
    assert (found.owner, found.generation, found.changed_by) == (None, 0, "")


def test_of_a_dnsendpoint_of_others_only_the_names_are_kept() -> None:
    """However much a tenant writes into one, it costs little memory."""
    targets = [f"t{n}.example.net" for n in range(5000)]
    entries = [
        {"dnsName": f"h{n}.example.net", "recordType": "CNAME", "targets": targets} for n in range(1200)
    ]
    entries[0]["dnsName"] = "x" * 5000
    found = parse(body(metadata={"labels": {}}, spec={"endpoints": entries}))
    assert len(found.entries) == 999
    assert found.entries[0] == EndpointEntry("h1.example.net", type="CNAME")
    found = parse(body(spec={"endpoints": entries}))
    assert len(found.entries) == 99
    assert {len(entry.targets) for entry in found.entries} == {200}


def test_the_last_other_manager_of_the_spec_is_named() -> None:
    managed = [
        {"manager": "kubectl-edit", "time": "2026-01-02T00:00:00Z", "fieldsV1": FIELDS},
        {"manager": "argocd", "time": "2026-01-01T00:00:00Z", "fieldsV1": FIELDS},
        {"manager": "mailegress", "time": "2026-01-03T00:00:00Z", "fieldsV1": FIELDS},
        {"manager": "labels", "time": "2026-01-04T00:00:00Z", "fieldsV1": {"f:metadata": {}}},
        {
            "manager": "external-dns",
            "time": "2026-01-04T00:00:00Z",
            "fieldsV1": FIELDS,
            "subresource": "status",
        },
    ]
    assert parse(body(metadata={"managedFields": managed})).changed_by == "kubectl-edit"


def test_the_kind_is_listed_in_one_namespace_or_in_all() -> None:
    assert endpoints_of(None).path == "/apis/externaldns.k8s.io/v1alpha1/dnsendpoints"
    assert endpoints_of("mail").path == "/apis/externaldns.k8s.io/v1alpha1/namespaces/mail/dnsendpoints"
    assert endpoints_of(None).name(body()) == "mail/mailegress-a"


class Server:
    """Gives its answers in order; the requests are kept."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, str, Any]] = []

    async def request(
        self, method: str, url: str, *, json: Any = None, headers: Mapping[str, str], **_: Any
    ) -> Answer:
        self.sent.append((method, url.partition("dnsendpoints")[2], json))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def refused(code: int, reason: str) -> Answer:
    return Answer({"kind": "Status", "code": code, "reason": reason, "message": "no"}, status=code)


def apply(
    change: ChangeEndpoint, *answers: Answer | Exception, index: EndpointIndex | None = None
) -> tuple[Server, EndpointIndex, WriteState | None, list[str]]:
    index = index or EndpointIndex(enabled=True)
    woken: list[str] = []

    async def story() -> Server:
        server = Server(*answers)
        client = KubeClient(Transport(server, "http://api"), clock=lambda: 0.0)
        await EndpointClient(client, index, OpenGuard(), woken.append, lambda: 7.0).apply("mail/a", change)
        return server

    server = asyncio.run(story())
    return server, index, index.state("mail", "mailegress-a"), woken


def change(before: bool = True, entries: tuple[EndpointEntry, ...] = (ENTRY,), owner: str | None = "owner"):  # type: ignore[no-untyped-def]
    return ChangeEndpoint("mail", "mailegress-a", entries, owner, "why", parse(body()) if before else None)


def test_a_new_endpoint_is_created_with_the_label() -> None:
    server, index, state, woken = apply(change(before=False), Answer(body(9), status=201))
    [(method, path, sent)] = server.sent
    assert (method, path) == ("POST", "?fieldManager=mailegress")
    assert sent["metadata"]["labels"]["mailegress.io/uid"] == "owner"
    assert sent["spec"]["endpoints"] == [
        {"dnsName": "mta.example.net", "recordType": "A", "targets": ["203.0.113.10"], "recordTTL": 300}
    ]
    assert state is not None
    assert state.phase is WritePhase.APPLIED
    assert index.changed_at("mail", "mailegress-a", "mta.example.net") == 7.0
    assert woken == ["mail/a"]
    assert index.get("mail", "mailegress-a") == parse(body(9))


def test_a_change_is_refused_by_the_server_if_the_endpoint_moved_on() -> None:
    """The version that was read travels with the patch; what is there now is read and decides anew."""
    edit = change(entries=(EndpointEntry("mta.example.net", frozenset({"203.0.113.11"}), 300),))
    server, index, state, woken = apply(edit, refused(409, "Conflict"), Answer(body(8)))
    assert [method for method, _, _ in server.sent] == ["PATCH", "GET"]
    assert server.sent[0][2]["metadata"]["resourceVersion"] == "5"
    assert state is None, "nothing was written"
    assert woken == ["mail/a"]
    found = index.get("mail", "mailegress-a")
    assert found is not None
    assert found.resource_version == "8"


def test_a_deletion_names_uid_and_version() -> None:
    index = EndpointIndex(enabled=True)
    index.put(parse(body()))
    server, index, _, _ = apply(change(entries=()), Answer({"kind": "Status"}), index=index)
    [(method, _, sent)] = server.sent
    assert method == "DELETE"
    assert sent["preconditions"] == {"uid": "u1", "resourceVersion": "5"}
    assert index.get("mail", "mailegress-a") is None
    assert not index.put(parse(body())), "an event from before the deletion does not bring it back"


def test_an_endpoint_that_is_handed_over_keeps_its_records() -> None:
    server, _, _, _ = apply(change(owner=None), Answer(body(9)))
    assert server.sent[0][2]["metadata"]["labels"]["mailegress.io/uid"] is None
    assert "spec" not in server.sent[0][2]


def test_a_refusal_is_a_fault_with_the_remedy() -> None:
    _, _, state, _ = apply(change(), refused(403, "Forbidden"))
    assert state is not None
    assert state.phase is WritePhase.FAILED
    assert state.fault is not None
    assert state.fault.reason == "ExternalDNSUnavailable"
    assert "dnsendpoints" in state.fault.message


def test_after_no_answer_the_endpoint_is_read_before_it_is_written_again() -> None:
    edit = change(entries=(EndpointEntry("mta.example.net", frozenset({"203.0.113.11"}), 300),))
    server, index, state, _ = apply(edit, OSError("reset"), Answer(body(9)))
    assert [method for method, _, _ in server.sent] == ["PATCH", "GET"]
    assert state is not None
    assert state.fault is not None
    assert index.changed_at("mail", "mailegress-a", "mta.example.net") == 7.0, "it may have been"


@pytest.mark.parametrize("answer", [OSError("reset"), refused(500, "InternalError"), refused(504, "Timeout")])
def test_a_write_that_was_carried_out_without_an_answer_counts(answer: Answer | Exception) -> None:
    _, _, state, _ = apply(change(), answer, Answer(body(9)))
    assert state is not None
    assert state.phase is WritePhase.APPLIED
    server, _, state, _ = apply(change(entries=()), OSError("reset"), refused(404, "NotFound"))
    assert [method for method, _, _ in server.sent] == ["DELETE", "GET"]
    assert state is not None
    assert state.phase is WritePhase.APPLIED


def test_a_hand_over_without_an_answer_counts_once_the_label_is_gone() -> None:
    left = body(9, metadata={"labels": {}})
    _, index, state, _ = apply(change(owner=None), OSError("reset"), Answer(left))
    assert state is not None
    assert state.phase is WritePhase.APPLIED
    found = index.get("mail", "mailegress-a")
    assert found is not None
    assert found.owner is None


def test_a_conflict_with_an_endpoint_that_did_not_change_is_not_tried_again_at_once() -> None:
    """Something else than another writer refuses, an admission webhook for example."""
    edit = change(entries=(EndpointEntry("mta.example.net", frozenset({"203.0.113.11"}), 300),))
    index = EndpointIndex(enabled=True)
    index.put(parse(body()))
    _, _, state, _ = apply(edit, refused(409, "Conflict"), Answer(body()), index=index)
    assert state is not None
    assert state.phase is WritePhase.FAILED
