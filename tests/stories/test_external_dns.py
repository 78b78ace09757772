"""The A record is made by external-dns from a DNSEndpoint that the operator writes (ExternalDNS)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import kubernetes.client as k8s
import pytest

from sandbox.externaldns import ExternalDns, SandboxZone, crd
from sandbox.externaldns.model import ExternalDnsModel
from tests.support.stories.story import Story

ZONE, HOST = "example.net", "mta.example.net"
EXTERNAL = {"management": "ExternalDNS"}
NAME = "mailegress-outbound"
GROUP, VERSION, PLURAL = "externaldns.k8s.io", "v1alpha1", "dnsendpoints"
FAST = {"external_dns": "on", "external_removal_seconds": "4"}


def endpoint(story: Story, name: str = NAME) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = story.objects.get_namespaced_custom_object(
            GROUP, VERSION, story.namespace, PLURAL, name
        )
    except k8s.ApiException as error:
        if error.status == 404:
            return None
        raise
    return found


def records(story: Story) -> dict[str, list[str]]:
    """What the DNSEndpoint asks for: hostname -> addresses."""
    found = endpoint(story)
    return {e["dnsName"]: e["targets"] for e in found["spec"]["endpoints"]} if found is not None else {}


def patch_endpoint(story: Story, entries: list[dict[str, Any]]) -> None:
    story.objects.patch_namespaced_custom_object(
        GROUP,
        VERSION,
        story.namespace,
        PLURAL,
        NAME,
        {"spec": {"endpoints": entries}},
        field_manager="kubectl-edit",
        _content_type="application/merge-patch+json",
    )


def external_dns(story: Story, policy: str = "sync") -> ExternalDns:
    model = ExternalDnsModel(SandboxZone(story.cloud.dns, ZONE), policy)
    return ExternalDns(story.plane, model, namespace=story.namespace)


@pytest.fixture
def dns(bare_story: Story) -> Iterator[ExternalDns]:
    """External-dns runs, its CRD is there, and the zone is at another provider."""
    bare_story.plane.install_crds(crd())
    bare_story.cloud.dns("zone-put", zone=ZONE)
    with external_dns(bare_story) as found:
        yield found


def test_a_mail_egress_becomes_ready_through_external_dns_and_leaves_no_trace(
    bare_story: Story, dns: ExternalDns
) -> None:
    """Given a zone at another provider, the DNSEndpoint comes first, the PTR after the record, Route 53 is never
    written; on delete the PTR goes first, then the DNSEndpoint, then the record."""
    story = bare_story
    [eip] = story.eips()
    before = story.world()
    with dns.paused:
        story.start_operator(**FAST)
        meg = story.meg("outbound", HOST, [eip], forward=EXTERNAL)
        meg.wait("ForwardReady", "False", "WaitingForForward")
        assert records(story) == {HOST: [eip.public_ip]}
        assert "has not read DNSEndpoint" in meg.condition("ForwardReady")[2]
        assert story.writes() == 0, "no PTR before public DNS has the record"
    meg.wait()
    assert story.ptr(eip) == HOST
    assert meg.status["dnsEndpoint"]["name"] == NAME
    assert meg.status["forward"] == {"values": [eip.public_ip], "ttlSeconds": 300}
    assert "zone" not in meg.status
    meg.delete()
    assert endpoint(story) is None
    assert story.calls("ChangeResourceRecordSets") == []
    assert meg.events().count(("Warning", "RecordLeftInPlace")) == 0
    story.assert_world(before)


def test_a_rename_and_a_swap_make_before_they_break(bare_story: Story, dns: ExternalDns) -> None:
    story = bare_story
    old, new = story.eips(2)
    story.start_operator(**FAST)
    meg = story.meg("outbound", HOST, [old], forward=EXTERNAL).wait()
    meg.spec(elasticIPs=[{"allocationID": new.allocation_id}]).wait()
    meg.until(lambda: records(story) == {HOST: [new.public_ip]}, "the old address to leave")
    assert (story.ptr(old), story.ptr(new)) == (None, HOST)
    meg.spec(hostname=f"new.{ZONE}").wait()
    assert story.ptr(new) == f"new.{ZONE}"
    meg.until(lambda: records(story) == {f"new.{ZONE}": [new.public_ip]}, "the old name to be retired")
    meg.wait("Ready", "True", "Ready")


def test_an_endpoint_that_others_edit_or_delete_is_restored(bare_story: Story, dns: ExternalDns) -> None:
    story = bare_story
    [eip] = story.eips()
    story.start_operator(**FAST)
    meg = story.meg("outbound", HOST, [eip], forward=EXTERNAL).wait()
    patch_endpoint(story, [{"dnsName": HOST, "recordType": "A", "targets": ["192.0.2.99"]}])
    meg.until(lambda: records(story) == {HOST: [eip.public_ip]}, "the DNSEndpoint to be restored")
    meg.told("Warning", "DNSEndpointRepaired")
    story.objects.delete_namespaced_custom_object(GROUP, VERSION, story.namespace, PLURAL, NAME)
    meg.until(lambda: records(story) == {HOST: [eip.public_ip]}, "the DNSEndpoint to be created again")
    meg.wait()


def test_a_dnsendpoint_of_others_is_a_conflict(bare_story: Story, dns: ExternalDns) -> None:
    story = bare_story
    [eip] = story.eips()
    other = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "DNSEndpoint",
        "metadata": {"name": "web", "namespace": story.namespace},
        "spec": {"endpoints": [{"dnsName": HOST, "recordType": "A", "targets": ["192.0.2.99"]}]},
    }
    story.objects.create_namespaced_custom_object(GROUP, VERSION, story.namespace, PLURAL, other)
    story.start_operator(**FAST)
    meg = story.meg("outbound", HOST, [eip], forward=EXTERNAL).wait(
        "ForwardReady", "False", "DNSEndpointConflict"
    )
    assert meg.condition("Stalled")[:2] == ("True", "DNSEndpointConflict")
    assert endpoint(story) is None
    assert endpoint(story, "web") is not None
    story.objects.delete_namespaced_custom_object(GROUP, VERSION, story.namespace, PLURAL, "web")
    meg.wait()


def test_the_kind_comes_late_and_upsert_only_leaves_the_record(bare_story: Story) -> None:
    """Without the CRD the reason names it; when it comes no restart is needed. With the policy upsert-only the object
    goes although the record stays, and an Event says so."""
    story = bare_story
    [eip] = story.eips()
    story.plane.kubectl("delete", "-f", str(crd()), "--ignore-not-found", "--wait=true")
    story.cloud.dns("zone-put", zone=ZONE)
    story.start_operator(**FAST)
    meg = story.meg("outbound", HOST, [eip], forward=EXTERNAL)
    meg.wait("ForwardReady", "False", "ExternalDNSMissing")
    assert story.operator.running
    story.plane.install_crds(crd())
    with external_dns(story, "upsert-only"):
        meg.wait()
        meg.delete()
    assert endpoint(story) is None
    assert ("Warning", "RecordLeftInPlace") in meg.events()


def test_every_change_of_management_keeps_the_ptr(bare_story: Story, dns: ExternalDns) -> None:
    """Observed, ExternalDNS, Observed: nothing is set twice, the DNSEndpoint is handed over."""
    story = bare_story
    [eip] = story.eips()
    story.cloud.dns("record-put", zone=ZONE, name=HOST, type="A", values=[eip.public_ip], ttl=300)
    story.start_operator(**FAST)
    meg = story.meg("outbound", HOST, [eip], forward={"management": "Observed"}).wait()
    sets = len(story.calls("ModifyAddressAttribute"))
    meg.spec(forward=EXTERNAL).wait()
    assert records(story) == {HOST: [eip.public_ip]}
    meg.spec(forward={"management": "Observed"}).wait()
    meg.until(lambda: "dnsEndpoint" not in meg.status, "the DNSEndpoint to be handed over")
    left = endpoint(story)
    assert left is not None
    assert "mailegress.io/uid" not in left["metadata"].get("labels", {})
    assert len(story.calls("ModifyAddressAttribute")) == sets
    assert story.calls("ResetAddressAttribute") == []


def test_a_webhook_that_does_not_answer_is_told_and_holds_back_the_endpoint(
    bare_story: Story, dns: ExternalDns
) -> None:
    """Whether the write was carried out is not known then, so the DNSEndpoint is read again."""
    story = bare_story
    [eip] = story.eips()
    webhooks = k8s.AdmissionregistrationV1Api(story.objects.api_client)
    webhook = k8s.V1ValidatingWebhook(
        name="silent.example.com",
        admission_review_versions=["v1"],
        side_effects="None",
        failure_policy="Fail",
        timeout_seconds=1,
        client_config=k8s.AdmissionregistrationV1WebhookClientConfig(url="https://127.0.0.1:1/"),
        namespace_selector=k8s.V1LabelSelector(match_labels={"kubernetes.io/metadata.name": story.namespace}),
        rules=[
            k8s.V1RuleWithOperations(
                api_groups=[GROUP], api_versions=["*"], resources=[PLURAL], operations=["CREATE"]
            )
        ],
    )
    webhooks.create_validating_webhook_configuration(
        k8s.V1ValidatingWebhookConfiguration(
            metadata=k8s.V1ObjectMeta(name=f"silent-{story.namespace}"), webhooks=[webhook]
        )
    )
    try:
        story.start_operator(**FAST)
        meg = story.meg("outbound", HOST, [eip], forward=EXTERNAL)
        meg.wait("ForwardReady", "False", "ExternalDNSUnavailable")
        assert "failed calling webhook" in meg.condition("ForwardReady")[2]
        assert endpoint(story) is None
    finally:
        webhooks.delete_validating_webhook_configuration(f"silent-{story.namespace}")
    meg.wait()
    assert records(story) == {HOST: [eip.public_ip]}


def test_without_the_setting_nothing_is_asked_of_dnsendpoints(bare_story: Story, dns: ExternalDns) -> None:
    story = bare_story
    [eip] = story.eips()
    story.start_operator()
    meg = story.meg("outbound", HOST, [eip], forward=EXTERNAL)
    meg.wait("ForwardReady", "False", "ExternalDNSDisabled")
    assert endpoint(story) is None
    assert story.writes() == 0
