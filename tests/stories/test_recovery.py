"""Memory is lost: the operator's, the status's, the finalizer's, the object's own identity. The world is not."""

from __future__ import annotations

import base64
import copy
import uuid
from typing import Any

import pytest

from tests.support.stories.order import attempts, last_call, never_broken, writes
from tests.support.stories.story import GROUP, PLURAL, VERSION, Meg, Story

H1, H2 = "mta1.example.com", "mta2.example.com"
MARK = "_mailegress."


def strip(meg: Meg) -> None:
    """Somebody forces the object out of the cluster while no operator runs."""
    meg.patch({"metadata": {"finalizers": None}})
    meg.delete()


def recreate(story: Story, saved: dict[str, Any]) -> Meg:
    """As ``kubectl apply`` of a manifest, or a backup's restore, does it: a new UID, no status."""
    meta = saved["metadata"]
    body = {k: copy.deepcopy(saved[k]) for k in ("apiVersion", "kind", "spec")}
    body["metadata"] = {"name": meta["name"], "namespace": meta["namespace"]}
    story.objects.create_namespaced_custom_object(GROUP, VERSION, meta["namespace"], PLURAL, body)
    return Meg(story, meta["name"], meta["namespace"])


def mark_of(meg: Meg) -> str:
    """The UID as it stands in the mark."""
    return base64.urlsafe_b64encode(uuid.UUID(meg.uid()).bytes).rstrip(b"=").decode()


def only_marks(story: Story, since: int) -> list[str]:
    """Names whose mark was rewritten since; every write must be such a compare-and-swap."""
    found = []
    for write in writes(story, since):
        assert write.operation == "ChangeResourceRecordSets", write
        assert {rtype for _, rtype, _, _ in write.changes} == {"TXT"}, write
        found += sorted(name for verb, _, name, _ in write.changes if verb == "CREATE")
        assert sorted(name for verb, _, name, _ in write.changes if verb == "DELETE") == sorted(
            name for verb, _, name, _ in write.changes if verb == "CREATE"
        )
    return found


# ---------------------------------------------------------------- the object comes back as another


@pytest.mark.parametrize("adoption", ["Matching", "Never"])
def test_stripped_and_recreated_while_the_operator_is_down(story: Story, adoption: str) -> None:
    """Given a finalizer stripped by hand, when the same manifest is applied again, then only the TXT is rewritten."""
    zone = story.zone()
    eips = story.eips(2)
    before = story.world()
    meg = story.meg("mail", H1, eips, adoption=adoption).wait()
    saved = meg.get()
    assert story.operator.stop() == 0
    strip(meg)
    meg = recreate(story, saved)
    assert meg.uid() != saved["metadata"]["uid"]
    since = last_call(story)
    story.operator.start()
    meg.wait()
    assert only_marks(story, since) == [MARK + H1]
    [mark] = story.records(zone, MARK + H1, "TXT")
    assert mark.startswith('"meg1 c ')
    assert mark_of(meg) in mark
    assert {meg.address(e.public_ip)["ptrOrigin"] for e in eips} == {"Managed"}, "ours under a mark c"
    meg.delete()
    story.assert_world(before)


def test_recreated_with_another_address(story: Story) -> None:
    """Given an orphan record, when the new object wants other addresses, then it is refused, and the remedy works."""
    zone = story.zone()
    old, new = story.eips(2)
    meg = story.meg("mail", H1, [old]).wait()
    saved = meg.get()
    assert story.operator.stop() == 0
    strip(meg)
    saved["spec"]["elasticIPs"] = [{"allocationID": new.allocation_id}]
    meg = recreate(story, saved)
    since = last_call(story)
    story.operator.start()
    meg.wait(status="False", reason="RecordConflict")
    story.passes(meg, 2)
    assert attempts(story, since) == []
    message = meg.condition("Ready")[2]
    for part in (old.public_ip, new.public_ip, MARK + H1):
        assert part in message, message
    # The message's remedy: make the two equal ...
    meg.spec(elasticIPs=[{"allocationID": old.allocation_id}]).wait()
    assert only_marks(story, since) == [MARK + H1]
    # ... whereupon it is an ordinary swap.
    meg.spec(elasticIPs=[{"allocationID": new.allocation_id}]).wait(reason="Ready")
    story.until(lambda: story.records(zone, H1) == (new.public_ip,), "the swap")


def test_recreated_and_the_orphan_records_deleted_by_hand(story: Story) -> None:
    """Given an orphan record that does not fit, when a human deletes A and TXT, then the new object gets its own."""
    zone = story.zone()
    old, new = story.eips(2)
    meg = story.meg("mail", H1, [old]).wait()
    saved = meg.get()
    assert story.operator.stop() == 0
    strip(meg)
    saved["spec"]["elasticIPs"] = [{"allocationID": new.allocation_id}]
    meg = recreate(story, saved)
    story.operator.start()
    meg.wait(status="False", reason="RecordConflict")
    story.drop_record(zone, H1)
    story.drop_record(zone, MARK + H1, "TXT")
    meg.wait()
    assert story.records(zone, H1) == (new.public_ip,)
    assert story.ptr(new) == H1


@pytest.mark.parametrize("adoption", ["Matching", "Never"])
def test_a_restored_backup_keeps_every_record(story: Story, adoption: str) -> None:
    """Given a cluster restored with new UIDs and no status, when the operator starts, then only marks are rewritten."""
    zone = story.zone()
    eips = story.eips(4)
    before = story.world()
    hosts = [f"mta{i}.example.com" for i in range(3)]
    megs = [
        story.meg("one", hosts[0], eips[:1], adoption=adoption),
        story.meg("two", hosts[1], eips[1:3], adoption=adoption),
        story.meg("three", hosts[2], eips[3:], adoption=adoption),
    ]
    saved = [meg.wait().get() for meg in megs]
    assert story.operator.stop() == 0
    for meg in megs:
        strip(meg)
    megs = [recreate(story, body) for body in saved]
    since = last_call(story)
    with never_broken(story):
        story.operator.start()
        for meg in megs:
            meg.wait()
    assert sorted(only_marks(story, since)) == [MARK + h for h in hosts]
    for meg, host in zip(megs, hosts, strict=True):
        [mark] = story.records(zone, MARK + host, "TXT")
        assert mark_of(meg) in mark
    for meg in megs:
        meg.delete()
    story.assert_world(before)


def test_a_backup_with_an_adopted_record(story: Story) -> None:
    """Given an adopted A and PTR, when the object is restored with a new UID, then they are still left in the end."""
    zone = story.zone()
    [eip] = story.eips()
    story.put_record(zone, H1, [eip.public_ip])
    story.aws.force_ptr(eip.public_ip, H1)
    before = story.world()
    meg = story.meg("mail", H1, [eip]).wait()
    saved = meg.get()
    assert story.operator.stop() == 0
    strip(meg)
    meg = recreate(story, saved)
    story.operator.start()
    meg.wait()
    assert story.records(zone, MARK + H1, "TXT")[0].startswith('"meg1 a ')
    assert meg.address(eip.public_ip)["ptrOrigin"] == "Adopted"
    meg.delete()
    story.assert_world(before)


def test_a_new_cluster_that_names_the_old_owner(bare_story: Story) -> None:
    """Given the objects of a lost cluster, restored with new UIDs and no status into a new one, when its operator
    accepts the old owner ID, then owner and UID of the marks are rewritten, and no A record and no PTR; before that,
    and after the ID is taken off the list again, nothing is written at all."""
    story = bare_story
    zone = story.zone()
    eips = story.eips(4)
    hosts = [f"mta{i}.example.com" for i in range(3)]
    story.put_record(zone, hosts[2], [eips[3].public_ip])
    story.aws.force_ptr(eips[3].public_ip, hosts[2])
    before = story.world()
    lost = story.start_operator("lost", owner_id="lost-cluster")
    megs = [
        story.meg("one", hosts[0], eips[:1]),
        story.meg("two", hosts[1], eips[1:3], adoption="Never"),
        story.meg("adopted", hosts[2], eips[3:]),
    ]
    saved = [meg.wait().get() for meg in megs]
    lost.kill()
    for meg in megs:
        strip(meg)
    megs = [recreate(story, body) for body in saved]

    since = last_call(story)
    new = story.start_operator("new", owner_id="new-cluster")
    for meg in megs:
        meg.wait(status="False", reason="RecordConflict")
        assert meg.condition("Stalled")[0] == "True"
        assert "lost-cluster" in meg.condition("Ready")[2]
    story.passes(megs[0], 2)
    assert attempts(story, since) == [], "another cluster's marks are not ours to touch"
    new.kill()

    since = last_call(story)
    with never_broken(story):
        new.start(accept_owner_ids="lost-cluster")
        for meg in megs:
            meg.wait()
    assert sorted(only_marks(story, since)) == [MARK + h for h in hosts]
    for meg, host, kind in zip(megs, hosts, "cca", strict=True):
        assert story.mark(zone, host) == f"meg1 {kind} new-cluster {mark_of(meg)}"
        origins = {a["ptrOrigin"] for a in meg.status["addresses"]}
        assert origins == {"Adopted" if kind == "a" else "Managed"}, "as it was in the lost cluster"
    new.kill()

    since = last_call(story)
    new.start(accept_owner_ids="")
    for meg in megs:
        story.passes(meg)
        meg.wait()
    assert attempts(story, since) == []
    for meg in megs:
        meg.delete()
    story.assert_world(before)


# ---------------------------------------------------------------- the status is gone


@pytest.mark.parametrize("moment", ["A", "PTR"])
def test_deleted_without_a_status_in_the_middle_of_a_rename(story: Story, moment: str) -> None:
    """Given H1→H2 under way, when status and process are lost and it is deleted, then nothing is left."""
    zone = story.zone()
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("mail", H1, [eip]).wait()
    meg.spec(hostname=H2)
    if moment == "A":
        story.until(lambda: story.records(zone, H2), "the A record of H2")
    else:
        story.until(lambda: story.ptr(eip) == H2, "the PTR to be H2")
    story.operator.kill()
    assert story.records(zone, H1), "both are there"
    assert story.records(zone, H2), "both are there"
    meg.patch_status(dict.fromkeys(meg.status) | {"conditions": [], "observedGeneration": -1})
    meg.delete(wait=False)
    story.operator.start()
    meg.wait_gone()
    story.assert_world(before)


def test_a_status_from_an_earlier_pass(story: Story) -> None:
    """Given a status restored from before a rename, when the operator restarts, then looking puts it right."""
    story.zone()
    [eip] = story.eips()
    meg = story.meg("mail", H1, [eip]).wait()
    earlier = meg.status
    meg.spec(hostname=H2).wait(reason="Ready")
    right = meg.status
    assert story.operator.stop() == 0
    meg.patch_status(earlier)
    since = last_call(story)
    story.operator.start()
    meg.until(lambda: meg.status.get("hostname") == H2, "the status to be right")
    meg.wait(reason="Ready")
    story.passes(meg)
    assert attempts(story, since) == []
    assert meg.status["addresses"] == right["addresses"]


# ---------------------------------------------------------------- the process is gone


@pytest.mark.parametrize("what", ["rename", "swap", "both"])
def test_killed_after_the_new_record_is_there(story: Story, what: str) -> None:
    """Given a change whose A record is written, when the operator is killed and restarted, then it ends as ever."""
    zone = story.zone()
    old, new = story.eips(2)
    before = story.world()
    meg = story.meg("mail", H1, [old]).wait()
    host = H1 if what == "swap" else H2
    eip = old if what == "rename" else new
    with never_broken(story):
        meg.spec(hostname=host, elasticIPs=[{"allocationID": eip.allocation_id}])
        story.until(lambda: eip.public_ip in story.records(zone, host), "the new A record")
        story.operator.kill()
        story.operator.start()
        meg.wait(reason="Ready")
        story.until(lambda: story.records(zone, host) == (eip.public_ip,), "the record to shrink")
    assert story.ptr(eip) == host
    if host != H1:
        assert story.records(zone, H1) == story.records(zone, MARK + H1, "TXT") == ()
    if eip is not old:
        assert story.ptr(old) is None
    assert story.aws.upserts() == 0
    meg.delete()
    story.assert_world(before)


def test_a_restart_changes_nothing(story: Story) -> None:
    """Given Ready objects, when the operator restarts, then neither AWS nor the API server is written to (E9)."""
    story.zone()
    eips = story.eips(4)
    megs = [
        story.meg("one", H1, eips[:1]),
        story.meg("more", H2, eips[1:3]),
        story.meg("third", "relay.example.com", eips[3:], forward={"ttlSeconds": 60}),
    ]
    for meg in megs:
        meg.wait(reason="Ready")
    assert story.operator.stop() == 0
    objects = [meg.get() for meg in megs]
    since = last_call(story)
    story.operator.start()
    sweeps = lambda: story.aws.log(operation="DescribeAddressesAttribute", since=since)  # noqa: E731
    story.until(lambda: len(sweeps()) >= 4, "the operator to have looked a few times")
    assert attempts(story, since) == []
    assert [meg.get() for meg in megs] == objects
