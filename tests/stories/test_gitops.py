"""kubectl, Argo CD and Flux: an object that does not argue with its manifest, and a status that waiters can trust."""

from __future__ import annotations

import json
from typing import Any

import yaml

from tests.support.stories.gitops_checks import check_every
from tests.support.stories.story import Meg, Story, manifest
from tests.support.stories.watch_recorder import condition, recorded_watch

HOST, HOST2 = "mta.example.com", "mta2.example.com"
MANAGERS = ("kubectl", "argocd-controller", "kustomize-controller")


def kubectl(story: Story, *args: str, stdin: str | None = None, check: bool = True) -> str:
    done = story.plane.kubectl("-n", story.namespace, *args, stdin=stdin, check=check)
    return str(done.stdout)


def without_bookkeeping(obj: dict[str, Any]) -> dict[str, Any]:
    """An object without what every write changes."""
    meta = {k: v for k, v in obj["metadata"].items() if k not in ("managedFields", "resourceVersion")}
    return obj | {"metadata": meta}


def document(story: Story, eips: list[Any], hostname: str = HOST, **spec: Any) -> str:
    selectors = [{"allocationID": e.allocation_id} for e in eips]
    return str(yaml.safe_dump(manifest("outbound", story.namespace, hostname, selectors, **spec)))


def test_a_server_side_apply_shows_no_difference(story: Story) -> None:
    """Given a manifest applied server-side and Ready, when the same manifest is applied again as a dry run,
    then the object comes out as it is: no drift, no conflict of managers."""
    story.zone()
    text = document(story, story.eips(2), forward={"ttlSeconds": 120})
    for manager in MANAGERS:
        kubectl(story, "apply", "--server-side", f"--field-manager={manager}", "-f", "-", stdin=text)
    meg = Meg(story, "outbound", story.namespace).wait(reason="Ready")
    story.passes(meg)
    for manager in MANAGERS:
        out = kubectl(
            story,
            "apply",
            "--server-side",
            f"--field-manager={manager}",
            "--dry-run=server",
            "-o",
            "json",
            "-f",
            "-",
            stdin=text,
        )
        assert without_bookkeeping(json.loads(out)) == without_bookkeeping(meg.get())
    differs = story.plane.kubectl(
        "-n", story.namespace, "diff", "--server-side", "-f", "-", stdin=text, check=False
    )
    assert (differs.returncode, differs.stdout) == (0, ""), differs.stdout + differs.stderr
    wanted = yaml.safe_load(text)["spec"]
    assert meg.get()["spec"] == wanted | {
        "adoption": "Matching",
        "deletionPolicy": "Delete",
        "suspend": False,
    }
    owners = {
        m["manager"] for m in meg.get()["metadata"]["managedFields"] if "f:spec" in m.get("fieldsV1", {})
    }
    assert owners == set(MANAGERS), "the operator never owns a field of the spec"


def test_kubectl_apply_twice_and_wait(story: Story) -> None:
    """Given kubectl apply and kubectl wait, then the wait ends when the object is Ready and not before, and a second
    apply says unchanged."""
    story.zone()
    text = document(story, story.eips())
    assert "created" in kubectl(story, "apply", "-f", "-", stdin=text)
    kubectl(story, "wait", "--for=condition=Ready", "meg/outbound", "--timeout=90s")
    meg = Meg(story, "outbound", story.namespace)
    assert meg.condition("Ready")[0] == "True"
    assert kubectl(story, "apply", "-f", "-", stdin=text).split()[-1] == "unchanged"

    changed = text.replace(HOST, HOST2)
    assert "configured" in kubectl(story, "apply", "-f", "-", stdin=changed)
    kubectl(story, "wait", "--for=condition=Ready", "meg/outbound", "--timeout=90s")
    assert meg.status["hostname"] == HOST2, "not the Ready of the old generation"
    assert meg.condition("Ready")[0] == "True"
    kubectl(story, "delete", "meg", "outbound", "--timeout=90s")
    assert not meg.exists()


def test_every_version_of_a_life_keeps_the_promises(story: Story) -> None:
    """Given a life with a birth without a zone, Ready, a rename, another EIP, a suspension, a foreign edit and a death,
    then every single version that a watcher saw keeps what kstatus, Argo CD and Flux rely on."""
    a, b = story.eips(2)
    with recorded_watch(story) as recorder:
        meg = story.meg("outbound", HOST, [a]).wait(status="False", reason="ZoneNotFound")
        zone = story.zone()
        meg.wait(reason="Ready")
        meg.spec(hostname=HOST2).wait(reason="Ready")
        meg.spec(elasticIPs=[{"allocationID": b.allocation_id}]).wait(reason="Ready")
        meg.spec(suspend=True).wait(reason="Ready")
        story.put_record(zone, HOST2, ["203.0.113.99"])
        meg.wait(status="False", reason="Suspended")
        meg.spec(suspend=False).wait(reason="Ready")
        story.aws.force_ptr(b.public_ip, "mail.example.net")
        story.until(lambda: story.ptr(b) == HOST2, "the PTR to be healed")
        meg.wait(reason="Ready")
        meg.delete()
    assert check_every(recorder, meg) > 10
    readiness = recorder.seen(meg)
    assert readiness[0] == ("Unknown", "Pending"), "nobody takes a new object for healthy"
    assert ("True", "Ready") in readiness
    first_at: dict[int, str] = {}
    for version in recorder.of(meg):
        first_at.setdefault(version["metadata"]["generation"], condition(version, "Ready")["status"])
    assert len(first_at) >= 5
    versions = [v["metadata"]["resourceVersion"] for v in recorder.of(meg)]
    assert len(set(versions)) == len(versions)


def test_an_edit_is_never_ready_before_it_was_verified(story: Story) -> None:
    """Given a Ready object, when an edit changes what must be true in the world, then Ready=True for the new generation
    comes only after a pass that looked again."""
    story.zone()
    a, b = story.eips(2)
    meg = story.meg("outbound", HOST, [a]).wait(reason="Ready")
    with recorded_watch(story) as recorder:
        meg.spec(elasticIPs=[{"allocationID": a.allocation_id}, {"allocationID": b.allocation_id}])
        meg.wait(reason="Ready")
    assert check_every(recorder, meg)
    for version in recorder.of(meg):
        ready = condition(version, "Ready")
        if ready["status"] == "True" and ready["observedGeneration"] == 2:
            assert sorted(version["status"]["publicIPs"]) == sorted((a.public_ip, b.public_ip))
            assert {x["ptr"] for x in version["status"]["addresses"]} == {HOST}


def test_a_requested_reconcile_is_answered_by_a_new_look(story: Story) -> None:
    """Given a Ready object, when mailegress.io/reconcile-requested-at is set, then its record and DNS are read anew and
    the token comes back in the status; nothing is written. (Lists for all objects are renewed only if they are old.)"""
    story.zone()
    meg = story.meg("outbound", HOST, story.eips()).wait(reason="Ready")
    assert "lastHandledReconcileAt" not in meg.status
    since = max(c["number"] for c in story.aws.log())
    writes = story.writes()
    token = "2026-01-01T00:00:00+09:00"
    kubectl(story, "annotate", "meg", "outbound", f"mailegress.io/reconcile-requested-at={token}")
    meg.until(lambda: meg.status.get("lastHandledReconcileAt") == token, "the answer")
    operations = {c["operation"] for c in story.aws.log(since=since)}
    assert "ListResourceRecordSets" in operations
    assert story.writes() == writes
    assert meg.condition("Ready")[:2] == ("True", "Ready")


def test_get_and_describe_read_well(story: Story) -> None:
    """Given a Ready object and one in conflict, then the columns and describe tell a stranger what is the matter."""
    zone = story.zone()
    a, b = story.eips(2)
    story.put_record(zone, HOST2, ["203.0.113.99"])
    story.meg("good", HOST, [a]).wait(reason="Ready")
    story.meg("bad", HOST2, [b]).wait(status="False", reason="RecordConflict")
    head, *rows = kubectl(story, "get", "meg").splitlines()
    assert head.split() == ["NAME", "HOSTNAME", "ADDRESSES", "A", "PTR", "READY", "REASON", "AGE"]
    lines = {row.split()[0]: row.split() for row in rows}
    assert lines["good"][1:7] == [HOST, a.public_ip, "True", "set", "True", "Ready"]
    assert lines["bad"][1] == HOST2
    assert lines["bad"][-2] == "RecordConflict"
    assert "False" in lines["bad"]
    wide = kubectl(story, "get", "meg", "-o", "wide")
    assert {"ZONE", "MESSAGE"} <= set(wide.splitlines()[0].split())
    row = next(line for line in wide.splitlines() if line.startswith("bad"))
    assert "203.0.113.99" in row, row
    assert "Remove the record set or choose another hostname" in row, row
    assert "example.com" in next(line for line in wide.splitlines() if line.startswith("good"))

    bad = Meg(story, "bad", story.namespace)
    bad.told("Warning", "RecordConflict")
    told = kubectl(story, "describe", "meg", "bad")
    assert "RecordConflict" in told
    assert "203.0.113.99" in told
    assert "Events:" in told
    assert "Warning" in told[told.index("Events:") :]
    told = kubectl(story, "describe", "meg", "good")
    for text in (
        a.allocation_id,
        a.public_ip,
        "FCrDNSPass",
        "Every authoritative name server returns",
        "Normal",
    ):
        assert text in told, told
    assert "kopf" not in told


def test_events_tell_transitions_and_nothing_else(story: Story) -> None:
    """Given a Ready object, when several resyncs pass in peace, then there is no new event, no new version of the
    object, and no write anywhere."""
    story.zone()
    meg = story.meg("outbound", HOST, story.eips()).wait(reason="Ready")
    meg.told("Normal", "Ready")
    meg.told("Normal", "HeloSPF")
    events, version, writes = meg.events(), meg.get()["metadata"]["resourceVersion"], story.writes()
    assert len(set(events)) == len(events), "no event twice"
    begun = story.aws.log()[-1]["time"]
    with recorded_watch(story) as recorder:
        story.until(lambda: story.aws.log()[-1]["time"] > begun + 10, "three resyncs")
    assert recorder.of(meg) == []
    assert meg.events() == events
    assert meg.get()["metadata"]["resourceVersion"] == version
    assert story.writes() == writes
