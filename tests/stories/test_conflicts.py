"""What others made stays: every foreign record, mark and PTR stops us, is named, and its removal is enough to go on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.stories.story import Meg, Story, record_change
from tests.support.stories.watch_recorder import condition, recorded_watch

HOST = "mta.example.com"
MARK = f"_mailegress.{HOST}"
OTHER = "203.0.113.77"

FOREIGN: dict[str, tuple[dict[str, Any], str]] = {
    "other values": (record_change(HOST, [OTHER], "A", 300, "CREATE"), OTHER),
    "CNAME": (record_change(HOST, ["mail.example.net"], "CNAME", 300, "CREATE"), "CNAME"),
    "alias": (
        {
            "Action": "CREATE",
            "ResourceRecordSet": {
                "Name": HOST,
                "Type": "A",
                "AliasTarget": {
                    "HostedZoneId": "Z14GRHDCWA56QT",
                    "DNSName": "lb-1.ap-northeast-1.elb.amazonaws.com",
                    "EvaluateTargetHealth": False,
                },
            },
        },
        "alias",
    ),
    "weighted": (
        {
            "Action": "CREATE",
            "ResourceRecordSet": {
                "Name": HOST,
                "Type": "A",
                "SetIdentifier": "blue",
                "Weight": 10,
                "TTL": 60,
                "ResourceRecords": [{"Value": OTHER}],
            },
        },
        "A record set with a routing policy",
    ),
    "foreign TXT at the mark's place": (record_change(MARK, ['"hello"'], "TXT", 300, "CREATE"), MARK),
    "mark of another owner": (
        record_change(MARK, ['"meg1 c othercluster AAAAAAAAAAAAAAAAAAAAAA"'], "TXT", 300, "CREATE"),
        "othercluster",
    ),
}


def assert_stalled(meg: Meg, reason: str, *named: str) -> None:
    """A human is called at once, by name of the thing and of the remedy."""
    conditions = meg.conditions()
    assert conditions["Stalled"]["reason"] == reason
    assert "Reconciling" not in conditions
    message = conditions["Ready"]["message"]
    for text in named:
        assert text in message, message
    meg.until(lambda: ("Warning", reason) in meg.events(), f"a Warning event {reason}")


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_record_stops_the_work_until_it_is_gone(story: Story, kind: str) -> None:
    """Given a record set of somebody else at the name, when a MailEgress wants it, then nothing is written and a human
    is called at once; when the record is removed, it becomes Ready without an edit."""
    zone = story.zone()
    [eip] = story.eips()
    before = story.world()
    foreign, named = FOREIGN[kind]
    story.aws.put_records(zone.id, [foreign])
    found = story.world()
    with recorded_watch(story) as recorder:
        meg = story.meg("outbound", HOST, [eip]).wait(status="False", reason="RecordConflict")
        assert_stalled(meg, "RecordConflict", HOST, named)
        story.passes(meg, 3)
    for version in recorder.of(meg):
        if condition(version, "Ready")["reason"] == "RecordConflict":
            assert condition(version, "Stalled"), "Stalled comes with the conflict, not later"
    assert story.writes() == 0
    story.assert_world(found)
    meg.told("Warning", "RecordConflict")
    assert meg.events().count(("Warning", "RecordConflict")) == 1

    generation = meg.get()["metadata"]["generation"]
    story.aws.put_records(zone.id, [foreign | {"Action": "DELETE"}])
    meg.wait()
    assert meg.get()["metadata"]["generation"] == generation
    assert story.records(zone, HOST) == (eip.public_ip,)
    meg.delete()
    story.assert_world(before)
    assert story.aws.upserts() == 0


def test_a_foreign_ptr_keeps_its_address_out_and_no_other(story: Story) -> None:
    """Given three EIPs of which one has somebody's PTR, then only the other two join; when the PTR is removed by its
    owner, the third joins without an edit."""
    zone = story.zone()
    a, b, c = story.eips(3)
    before = story.world()
    story.aws.force_ptr(b.public_ip, "mail.example.net")
    meg = story.meg("outbound", HOST, [a, b, c])
    story.until(lambda: story.ptr(a) == story.ptr(c) == HOST, "the PTRs of the others")
    meg.wait(status="False", reason="PTRConflict")
    assert_stalled(meg, "PTRConflict", b.public_ip, "mail.example.net")
    assert meg.condition("ReverseReady")[:2] == ("False", "PTRConflict")
    assert meg.address(b.public_ip)["reason"] == "PTRConflict"
    assert meg.address(b.public_ip)["ptr"] == "mail.example.net"
    meg.until(lambda: "reason" not in meg.address(a.public_ip), "the others to be told as right")
    story.passes(meg, 3)
    assert story.records(zone, HOST) == tuple(sorted((a.public_ip, c.public_ip)))
    assert story.ptr(b) == "mail.example.net"
    assert not story.calls("ModifyAddressAttribute", contains=b.allocation_id)
    assert not story.calls("ResetAddressAttribute")

    story.aws.force_ptr(b.public_ip, None)
    meg.wait()
    assert story.records(zone, HOST) == tuple(sorted(e.public_ip for e in (a, b, c)))
    assert story.ptr(b) == HOST
    assert meg.address(b.public_ip)["ptrOrigin"] == "Managed"
    meg.delete()
    story.assert_world(before)


def test_a_deleted_object_leaves_the_foreign_ptr_that_it_never_had(story: Story) -> None:
    """Given an EIP that stayed out for its foreign PTR, when the object goes, then that PTR is left as it was."""
    story.zone()
    a, b = story.eips(2)
    story.aws.force_ptr(b.public_ip, "mail.example.net")
    before = story.world()
    meg = story.meg("outbound", HOST, [a, b])
    story.until(lambda: story.ptr(a) == HOST, "the PTR of the other")
    meg.wait(status="False", reason="PTRConflict")
    meg.delete()
    story.assert_world(before)


def test_a_record_made_between_our_read_and_our_write_wins(bare_story: Story) -> None:
    """Given two names in one batch, when somebody makes a record at one of them after we looked, then the batch is
    refused, the name is read again and shown as a conflict, and the other name goes through."""
    story = bare_story
    story.start_operator(batch_idle_ms="2500", batch_max_seconds="6")
    zone = story.zone()
    mine, theirs = story.eips(2)
    before = story.world()
    lucky = story.meg("lucky", "lucky.example.com", [mine])
    late = story.meg("late", HOST, [theirs])
    log = story.operator.log
    story.until(lambda: log.read_text().count("outcome=submitted") >= 2, "both writes to be on their way")
    assert not story.calls("ChangeResourceRecordSets"), "the batch is still being collected"
    story.put_record(zone, HOST, [OTHER], action="CREATE")

    late.wait(status="False", reason="RecordConflict")
    assert_stalled(late, "RecordConflict", HOST, OTHER)
    lucky.wait()
    assert story.records(zone, HOST) == (OTHER,)
    assert story.records(zone, MARK, "TXT") == (), "the mark travels with its A record"
    assert story.ptr(theirs) is None
    refused = story.calls("ChangeResourceRecordSets", outcome="InvalidChangeBatch")
    assert refused
    assert "lucky.example.com" in str(refused[0]["params"])
    assert HOST in str(refused[0]["params"])
    assert len(refused) <= 2, "the refused name is found without trying each"
    reread = [c for c in story.calls("ListResourceRecordSets") if c["number"] > refused[-1]["number"]]
    assert reread, "the name is read again before anything else"
    assert story.aws.upserts() == 0

    story.drop_record(zone, HOST)
    late.wait()
    late.delete()
    lucky.delete()
    story.assert_world(before)
