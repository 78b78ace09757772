"""Records and PTRs that were there before: adopted when right and allowed, and left as they were
found; their TTL too."""

from __future__ import annotations

import pytest

from tests.support.stories.story import Story

HOST = "mta.example.com"


def test_a_right_record_is_adopted_and_left_on_delete(story: Story) -> None:
    """Given the right A record by somebody else, it gets our mark and no change; on delete the
    mark goes and it stays."""
    zone, [eip] = story.zone(), story.eips()
    story.put_record(zone, HOST, [eip.public_ip], ttl=77)
    before = story.world()
    meg = story.meg("outbound", HOST, [eip], forward={"ttlSeconds": 60}).wait()
    assert story.mark(zone, HOST).startswith("meg1 a ")
    assert story.ttl(zone, HOST) == 77, "the TTL of an adopted record is left alone"
    assert meg.status["forward"]["ttlSeconds"] == 77
    assert meg.address(eip.public_ip)["ptrOrigin"] == "Managed", (
        "AWS had no PTR: it is ours under an adopted record too"
    )
    meg.delete()
    story.assert_world(before)
    removed = [c["ResourceRecordSet"]["Type"] for c in _changes(story) if c["Action"] == "DELETE"]
    assert removed == ["TXT"], "the adopted record was not touched, not even for a moment"


def test_the_ttl_of_an_adopted_record_stays_when_the_spec_changes(story: Story) -> None:
    """Given an adopted record, when ttlSeconds is edited, nothing is written."""
    zone, [eip] = story.zone(), story.eips()
    story.put_record(zone, HOST, [eip.public_ip], ttl=77)
    meg = story.meg("outbound", HOST, [eip]).wait()
    writes = story.writes()
    meg.spec(forward={"ttlSeconds": 120}).wait()
    story.passes(meg)
    assert story.ttl(zone, HOST) == 77
    assert story.writes() == writes


def test_the_first_change_of_an_adopted_record_makes_it_ours(story: Story) -> None:
    """Given an adopted record, when an address joins it, its mark says created, its TTL is ours,
    and delete removes it."""
    zone, [first, second] = story.zone(), story.eips(2)
    untouched = story.world()
    story.put_record(zone, HOST, [first.public_ip], ttl=77)
    meg = story.meg("outbound", HOST, [first]).wait()
    assert story.mark(zone, HOST).startswith("meg1 a ")
    meg.spec(elasticIPs=[{"allocationID": e.allocation_id} for e in (first, second)]).wait()
    assert story.records(zone, HOST) == tuple(sorted((first.public_ip, second.public_ip)))
    assert story.mark(zone, HOST).startswith("meg1 c ")
    assert story.ttl(zone, HOST) == 300
    last = story.calls("ChangeResourceRecordSets", outcome="ok")[-1]["params"]["ChangeBatch"]["Changes"]
    assert sorted((c["Action"], c["ResourceRecordSet"]["Type"]) for c in last) == [
        ("CREATE", "A"), ("CREATE", "TXT"), ("DELETE", "A"), ("DELETE", "TXT"),
    ], "record and mark change in one batch, each against what was read"  # fmt: skip
    meg.delete()
    story.assert_world(untouched)


def test_a_right_ptr_is_adopted_and_left_on_delete(story: Story) -> None:
    """Given a PTR that is right already, it is not written; on delete our A record goes and the
    PTR stays as found."""
    zone, [eip] = story.zone(), story.eips()
    story.aws.force_ptr(eip.public_ip, HOST)
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait()
    assert meg.address(eip.public_ip)["ptrOrigin"] == "Adopted"
    assert story.mark(zone, HOST).startswith("meg1 c ")
    meg.delete()
    assert story.calls("ModifyAddressAttribute") == []
    assert story.calls("ResetAddressAttribute") == []
    story.assert_world(before)


def test_record_and_ptr_adopted_together(story: Story) -> None:
    """Given both already right, only a mark is written, and only it is taken away."""
    zone, [eip] = story.zone(), story.eips()
    story.put_record(zone, HOST, [eip.public_ip])
    story.aws.force_ptr(eip.public_ip, HOST)
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait()
    assert story.writes() == 1
    meg.delete()
    assert story.writes() == 2
    story.assert_world(before)


def test_what_was_adopted_is_known_after_a_restart(story: Story) -> None:
    """Given an adopted record and PTR, when the operator is killed and deletes it later, they
    still stay."""
    zone, [eip] = story.zone(), story.eips()
    story.put_record(zone, HOST, [eip.public_ip])
    story.aws.force_ptr(eip.public_ip, HOST)
    before = story.world()
    meg = story.meg("outbound", HOST, [eip]).wait()
    story.operator.kill()
    meg.delete(wait=False)
    story.operator.start()
    meg.wait_gone()
    story.assert_world(before)


def test_a_right_record_is_refused_under_never(story: Story) -> None:
    """Given adoption Never and the right A record there already, it stalls at once, writing
    nothing, until told Matching."""
    zone, [eip] = story.zone(), story.eips()
    story.put_record(zone, HOST, [eip.public_ip])
    before = story.world()
    meg = story.meg("outbound", HOST, [eip], adoption="Never").wait(
        "ForwardReady", "False", "RecordNotAdopted"
    )
    _assert_stalled(meg.conditions(), "RecordNotAdopted")
    message = meg.condition("Ready")[2]
    assert HOST in message, message
    assert "spec.adoption" in message, message
    assert "Matching" in message, message
    meg.told("Warning", "RecordNotAdopted")
    assert story.writes() == 0
    story.assert_world(before)
    meg.spec(adoption="Matching").wait()
    assert story.mark(zone, HOST).startswith("meg1 a ")
    assert "Stalled" not in meg.conditions()
    meg.delete()
    story.assert_world(before)


def test_a_right_ptr_is_refused_under_never(story: Story) -> None:
    """Given adoption Never and the right PTR there already, it stalls at once, writing nothing,
    until told Matching."""
    zone, [eip] = story.zone(), story.eips()
    story.aws.force_ptr(eip.public_ip, HOST)
    before = story.world()
    meg = story.meg("outbound", HOST, [eip], adoption="Never").wait("ReverseReady", "False", "PTRNotAdopted")
    meg.wait_reason("PTRNotAdopted")
    _assert_stalled(meg.conditions(), "PTRNotAdopted")
    message = meg.condition("Ready")[2]
    assert eip.public_ip in message, message
    assert HOST in message, message
    assert "spec.adoption" in message, message
    assert story.writes() == 0
    story.assert_world(before)
    meg.spec(adoption="Matching").wait()
    assert meg.address(eip.public_ip)["ptrOrigin"] == "Adopted"
    assert story.records(zone, HOST) == (eip.public_ip,)
    meg.delete()
    story.assert_world(before)


def test_never_is_no_hindrance_where_nothing_was(story: Story) -> None:
    """Given adoption Never and an empty world, it becomes Ready, and stays so after a restart that
    remembers nothing."""
    story.zone()
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip], adoption="Never").wait()
    writes = story.writes()
    story.operator.kill()
    story.operator.start()
    story.passes(meg)
    meg.wait()
    assert story.writes() == writes
    meg.delete()
    story.assert_world(before)


@pytest.mark.parametrize("adoption", ["Matching", "Never"])
def test_a_wrong_record_is_a_conflict_under_both(story: Story, adoption: str) -> None:
    """Given an A record with another value, it is never overwritten, whatever ``adoption`` says."""
    zone, [eip] = story.zone(), story.eips()
    story.put_record(zone, HOST, ["192.0.2.99"])
    before = story.world()
    meg = story.meg("outbound", HOST, [eip], adoption=adoption).wait(
        "ForwardReady", "False", "RecordConflict"
    )
    _assert_stalled(meg.conditions(), "RecordConflict")
    message = meg.condition("Ready")[2]
    assert "192.0.2.99" in message, message
    assert eip.public_ip in message, message
    story.passes(meg)
    assert story.writes() == 0
    meg.delete()
    story.assert_world(before)


@pytest.mark.parametrize("adoption", ["Matching", "Never"])
def test_a_wrong_ptr_is_a_conflict_under_both(story: Story, adoption: str) -> None:
    """Given the only EIP with a PTR to another name, and the A record right, the PTR is what a
    human is called for."""
    zone, [eip] = story.zone(), story.eips()
    story.put_record(zone, HOST, [eip.public_ip])
    story.aws.force_ptr(eip.public_ip, "somebody.example.org")
    before = story.world()
    meg = story.meg("outbound", HOST, [eip], adoption=adoption).wait("Ready", "False", "PTRConflict")
    _assert_stalled(meg.conditions(), "PTRConflict")
    message = meg.condition("Ready")[2]
    assert eip.public_ip in message, message
    assert "somebody.example.org" in message, message
    story.passes(meg)
    assert story.writes() == 0
    meg.delete()
    story.assert_world(before)


def test_the_ttl_is_ours_to_set_and_to_change(story: Story) -> None:
    """Given ttlSeconds, the record has it; when it is edited, the record is replaced in one batch,
    and the PTR kept."""
    zone, [eip] = story.zone(), story.eips()
    before = story.world()
    meg = story.meg("outbound", HOST, [eip], forward={"ttlSeconds": 60}).wait()
    assert story.ttl(zone, HOST) == 60
    assert meg.status["forward"]["ttlSeconds"] == 60
    meg.spec(forward={"ttlSeconds": 120}).wait()
    assert story.ttl(zone, HOST) == 120
    assert meg.status["forward"]["ttlSeconds"] == 120
    assert len(story.calls("ChangeResourceRecordSets")) == 2
    assert len(story.calls("ModifyAddressAttribute")) == 1
    assert story.aws.upserts() == 0
    meg.spec(forward=None).wait()
    assert story.ttl(zone, HOST) == 300, "the default again"
    meg.delete()
    story.assert_world(before)


def _changes(story: Story) -> list[dict[str, dict[str, str]]]:
    calls = story.calls("ChangeResourceRecordSets", outcome="ok")
    return [change for call in calls for change in call["params"]["ChangeBatch"]["Changes"]]


def _assert_stalled(conditions: dict[str, dict[str, str]], reason: str) -> None:
    """A human is called at once, and it does not look as if work went on."""
    assert conditions["Stalled"]["status"] == "True"
    assert conditions["Stalled"]["reason"] == conditions["Ready"]["reason"] == reason
    assert conditions["Ready"]["status"] == "False"
    assert "Reconciling" not in conditions
