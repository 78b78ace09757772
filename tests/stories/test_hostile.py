"""Text that others choose: AWS's error messages, DNS names, a spec stored under a looser schema."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
import yaml
from kubernetes import client as k8s

from sandbox.local import CRDS
from tests.support.stories.story import GROUP, PLURAL, VERSION, Meg, Story

NASTY = "\x1b[31mred\x1b[0m\r\nsecond line\t\x07\u202egnp.exe\u200b\u2028 " + "lang " * 20_000
MESSAGE = 1024
"""Most characters in a condition's message (CRD)."""


def unprintable(text: str) -> set[str]:
    """Control, format and separator characters in a text."""
    return {f"{c!r}" for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")}


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (str(key), *strings(item))]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def assert_harmless(story: Story, meg: Meg) -> None:
    """Status, events, log and metrics hold no control character, and nothing beyond its bound."""
    for text in strings(meg.status):
        assert not unprintable(text), text
        assert len(text) <= MESSAGE, text
    for event in k8s.EventsV1Api(story.api).list_namespaced_event(story.namespace).items:
        assert not unprintable(event.note or ""), event.note
        assert len(event.note or "") <= MESSAGE, event.note
    log = story.operator.log.read_text()
    for line in log.splitlines():
        assert not unprintable(line), line[:300]
        assert len(line) < 6000, line[:300]
    status, metrics = story.operator.get("/metrics")
    assert status == 200
    assert not unprintable(metrics.replace("\n", ""))
    assert "lang lang" not in metrics
    assert "Traceback" not in log, log[-3000:]


def assert_goes_on(story: Story, spare: Any) -> None:
    """Another object still becomes Ready."""
    other = story.meg("other", "other.example.com", [spare]).wait()
    other.delete()


@pytest.mark.parametrize(
    "operation",
    [
        "ChangeResourceRecordSets",
        "ListResourceRecordSets",
        "ListHostedZones",
        "ModifyAddressAttribute",
        "DescribeAddresses",
    ],
)
def test_hostile_error_messages(story: Story, operation: str) -> None:
    """Given an AWS (or a proxy in its place) whose error text is long and full of control characters, the status says
    what failed in printable words within its bounds, and all heals when AWS speaks sense again."""
    story.zone()
    one, two = story.eips(2)
    before = story.world()
    rules = [
        story.aws.add_fault(
            "error", operation=operation, code="Malice", message=NASTY.replace("\x07", "").replace("\x1b", "")
        ),
        story.aws.add_fault("hostile", operation=operation, code="InvalidParameterValue"),
    ]
    meg = story.meg("outbound", "mta.example.com", [one], forward={"ttlSeconds": 1})
    meg.until(
        lambda: operation in meg.condition("Ready")[2] or "refused" in meg.condition("Ready")[2],
        "the status to tell",
    )
    assert_harmless(story, meg)
    story.aws.clear_faults(rules[0])
    failed = len(story.calls(operation, outcome="InvalidParameterValue"))
    story.until(
        lambda: len(story.calls(operation, outcome="InvalidParameterValue")) > failed, "a call after that"
    )
    assert_harmless(story, meg)
    story.aws.clear_faults()
    meg.patch({"metadata": {"annotations": {"mailegress.io/reconcile-requested-at": "now"}}})
    meg.wait()
    assert_goes_on(story, two)
    meg.delete()
    assert_harmless(story, story.meg("last", "last.example.com", [two]).wait())
    Meg(story, "last", story.namespace).delete()
    story.assert_world(before)


def test_garbage_instead_of_replies(story: Story) -> None:
    """Given a proxy that answers everything with an HTML page, the operator waits and goes on afterwards."""
    story.zone()
    [eip] = story.eips()
    before = story.world()
    story.aws.add_fault("garbage")
    meg = story.meg("outbound", "mta.example.com", [eip]).wait_reason("AWSUnavailable")
    assert_harmless(story, meg)
    story.aws.clear_faults()
    meg.wait()
    meg.delete()
    story.assert_world(before)


def test_a_hostile_reason_of_a_ptr_update(story: Story) -> None:
    """Given a PTR update that fails with 100 KB of terminal escapes as its reason, the status holds its printable
    beginning."""
    story.zone()
    one, two = story.eips(2)
    text = NASTY.replace("\x07", "").replace("\x1b", "")
    story.aws.fail_ptr("FAILED\u202e", text, count=1)
    meg = story.meg("outbound", "mta.example.com", [one], forward={"ttlSeconds": 1}).wait_reason(
        "PTRRejected"
    )
    message = meg.condition("Ready")[2]
    assert "second line" in message
    assert len(message) <= MESSAGE
    assert_harmless(story, meg)
    assert_goes_on(story, two)
    meg.wait()


LONG = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
"""A name of 253 characters, 255 bytes on the wire."""


@pytest.mark.parametrize(
    "ptr",
    ["x\\027\\091\\0512m.example.net.", f"{LONG}.", "\\255\\254\\000.example.net.", "*.example.net."],
    ids=["escapes", "longest", "bytes", "star"],
)
def test_hostile_names_in_the_reverse_dns(story: Story, ptr: str) -> None:
    """Given resolvers that see a PTR of odd bytes or the longest possible name, the status shows it printable and
    bounded, and is right again when they see the truth."""
    zone = story.zone()
    one, two = story.eips(2)
    reverse = ".".join(reversed(one.public_ip.split("."))) + ".in-addr.arpa."
    for recursor in story.cloud.recursors:
        story.cloud.dns(
            "knob-add",
            server=recursor.rpartition(":")[0],
            name=reverse,
            qtype="PTR",
            records={"PTR": [5, [ptr]]},
        )
    meg = story.meg("outbound", "mta.example.com", [one])
    meg.until(
        lambda: meg.condition("Resolved")[1] in ("FCrDNSFail", "NotPropagated", "ResolversDisagree"),
        "resolvers to tell",
    )
    assert_harmless(story, meg)
    assert_goes_on(story, two)
    story.cloud.dns("knob-clear")
    story.cloud.dns("flush")
    meg.wait()
    assert story.records(zone, "mta.example.com") == (one.public_ip,)


def test_hostile_answers_of_the_authorities(story: Story) -> None:
    """Given authorities that answer with a CNAME of odd bytes, and then with nonsense addresses in number,
    no PTR is set and the status stays printable; with the truth back it becomes Ready."""
    story.zone()
    one, two = story.eips(2)
    name = "mta.example.com."
    for records in (
        {"CNAME": [5, ["\\027\\0912J.\\255.example.net."]]},
        {"A": [5, [f"198.51.100.{n}" for n in range(200)]]},
    ):
        story.cloud.dns("knob-clear")
        story.cloud.dns("knob-add", name=name, client="client", records=records)
        meg = Meg(story, "outbound", story.namespace)
        if not meg.exists():
            meg = story.meg("outbound", "mta.example.com", [one])
        meg.wait_reason("AuthoritiesDisagree", "ForwardReady")
        assert_harmless(story, meg)
        assert not story.calls("ModifyAddressAttribute")
    assert_goes_on(story, two)
    story.cloud.dns("knob-clear")
    meg.wait()


@pytest.mark.parametrize(
    "values",
    [
        ['"\\033[31m\\000\\377"'],
        ['"meg1 c other ' + "A" * 22 + '"', '"second"'],
        ['"' + "x" * 250 + '" "' + "y" * 250 + '"'],
    ],
    ids=["bytes", "two", "long"],
)
def test_hostile_marks(story: Story, values: list[str]) -> None:
    """Given a TXT of odd or endless content where the ownership mark stands, it is a conflict, shown printable, and is
    left alone."""
    zone = story.zone()
    one, two = story.eips(2)
    story.put_record(zone, "_mailegress.mta.example.com", values, "TXT")
    before = story.world()
    meg = story.meg("outbound", "mta.example.com", [one]).wait_reason("RecordConflict")
    assert_harmless(story, meg)
    assert_goes_on(story, two)
    meg.delete()
    story.assert_world(before)


# ---------------------------------------------------------------- a spec that this version does not take


def loosened(story: Story) -> str:
    """The CRD as an older, careless version might have been: any spec is stored."""
    crd = yaml.safe_load((CRDS / "mailegress.io_mailegresses.yaml").read_text())
    for version in crd["spec"]["versions"]:
        properties = version["schema"]["openAPIV3Schema"]["properties"]
        properties["spec"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        version["schema"]["openAPIV3Schema"].pop("x-kubernetes-validations", None)
        version.pop("selectableFields", None)
    return json.dumps(crd)


INVALID: dict[str, dict[str, Any]] = {
    "hostname": {
        "hostname": "MTA.\u202eexample.com\n",
        "elasticIPs": [{"allocationID": "eipalloc-0123456789abcdef0"}],
    },
    "types": {"hostname": ["mta.example.com"], "elasticIPs": "all"},
    "nothing": {},
    "huge": {"hostname": "x" * 100_000, "elasticIPs": [{"publicIP": "10.0.0.1"}] * 500},
}


@pytest.mark.parametrize("kind", sorted(INVALID))
def test_a_stored_spec_that_breaks_the_rules(story: Story, kind: str) -> None:
    """Given an object stored under an older, looser schema, the status says InvalidSpec and which field; AWS is not
    called about it; it can be deleted (once its types are right, where the API server insists on them)."""
    story.zone()
    [eip] = story.eips()
    story.plane.apply_text(loosened(story), server_side=True)
    try:
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "MailEgress",
            "metadata": {
                "name": "old",
                "namespace": story.namespace,
                "finalizers": ["mailegress.io/cleanup"],
            },
            "spec": INVALID[kind],
        }
        story.until(lambda: _stored(story, body), "the looser schema to take it")
    finally:
        story.plane.install_crds(CRDS)
    meg = Meg(story, "old", story.namespace)
    meg.until(lambda: meg.condition("Accepted")[:2] == ("False", "InvalidSpec"), "InvalidSpec")
    assert meg.condition("Ready")[:2] == ("False", "InvalidSpec")
    assert "spec." in meg.condition("Ready")[2], meg.condition("Ready")
    assert_harmless(story, meg)
    story.meg("good", "mta.example.com", [eip]).wait().delete()
    before = story.writes()
    meg.delete(wait=False)
    if kind == "types":
        # The API server itself refuses every change of such an object, the finalizer's removal included.
        meg.until(lambda: "422" in story.operator.log_tail(20), "the operator to tell")
        meg.spec(hostname="mta.example.com", elasticIPs=[{"allocationID": eip.allocation_id}])
    meg.wait_gone()
    assert story.writes() == before


def _stored(story: Story, body: dict[str, Any]) -> bool:
    try:
        story.objects.create_namespaced_custom_object(GROUP, VERSION, story.namespace, PLURAL, body)
    except k8s.ApiException as error:
        if error.status == 422:
            return False
        raise
    return True
