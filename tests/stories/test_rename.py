"""A hostname changes: make before break, also when nobody has the patience to wait for the first change."""

from __future__ import annotations

from tests.support.stories.order import last_call, never_broken, only, writes
from tests.support.stories.story import Story

H1, H2, H3 = "mta1.example.com", "mta2.example.com", "mta3.example.com"
MARK = "_mailegress."
PTR_TTL = 8.0
"""Seconds; long enough to be told from the time that everything else takes."""


def test_a_rename_makes_before_it_breaks(bare_story: Story) -> None:
    """Given a Ready name, when the hostname changes, then the new A, the PTR and only a TTL later the old A move."""
    story = bare_story
    story.start_operator(ptr_ttl_seconds=str(PTR_TTL))
    zone = story.zone()
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("mail", H1, [eip]).wait()
    since = last_call(story)
    with never_broken(story):
        meg.spec(hostname=H2).wait(reason="RetiringOldName")
        assert story.records(zone, H1) == (eip.public_ip,), "receivers may still hold the old PTR"
        assert f"{H1} is kept" in meg.condition("Ready")[2]
        meg.wait(reason="Ready")
    assert story.records(zone, H1) == story.records(zone, MARK + H1, "TXT") == ()
    assert story.ptr(eip) == H2

    done = writes(story, since)
    created = only(done, lambda w: "CREATE" in w.verbs("A", H2), "creation of the new A")
    assert "CREATE" in created.verbs("TXT", MARK + H2), "the mark travels in the same batch"
    switched = only(done, lambda w: w.name == H2, "switch of the PTR")
    removed = only(done, lambda w: "DELETE" in w.verbs("A", H1), "removal of the old A")
    assert "DELETE" in removed.verbs("TXT", MARK + H1)
    assert created.number < switched.number < removed.number
    polls = [c["number"] for c in story.calls("GetChange") if created.number < c["number"] < switched.number]
    assert polls, "INSYNC is waited for before the PTR"
    looks = [
        c for c in story.calls("DescribeAddressesAttribute") if switched.number < c["number"] < removed.number
    ]
    assert looks, "the PTR is confirmed before the old A goes"
    assert removed.time - switched.time >= PTR_TTL
    assert len(done) == 3, "nothing else was written"
    meg.delete()
    story.assert_world(before)


def test_a_rename_while_a_rename_is_unfinished(story: Story) -> None:
    """Given H1→H2 on its way with H2's A already there, when H3 is wanted, then nothing of H1 and H2 is left."""
    zone = story.zone()
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("mail", H1, [eip]).wait()
    with never_broken(story):
        meg.spec(hostname=H2)
        story.until(lambda: story.records(zone, H2), "the A record of H2")
        meg.spec(hostname=H3).wait(reason="Ready")
    for name in (H1, H2):
        assert story.records(zone, name) == story.records(zone, MARK + name, "TXT") == (), name
    assert story.records(zone, H3) == (eip.public_ip,)
    assert story.ptr(eip) == H3
    assert story.aws.upserts() == 0
    meg.delete()
    story.assert_world(before)


def test_a_third_name_while_the_ptr_shows_the_second(bare_story: Story) -> None:
    """Given the PTR already on H2 and H1 waiting for its TTL, when H3 is wanted, then both old names go in turn."""
    story = bare_story
    story.start_operator(ptr_ttl_seconds=str(PTR_TTL))
    zone = story.zone()
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("mail", H1, [eip]).wait()
    with never_broken(story):
        meg.spec(hostname=H2)
        story.until(lambda: story.ptr(eip) == H2, "the PTR to be H2")
        meg.spec(hostname=H3).wait(reason="Ready")
    assert story.records(zone, H1) == story.records(zone, H2) == ()
    switched = only(writes(story), lambda w: w.name == H3, "switch to H3")
    for name in (H1, H2):
        gone = only(writes(story), lambda w, n=name: "DELETE" in w.verbs("A", n), f"removal of {name}")  # type: ignore[misc]
        assert gone.time - switched.time >= PTR_TTL, f"{name} was answered until receivers forgot it"
    meg.delete()
    story.assert_world(before)


def test_there_and_back_again(story: Story) -> None:
    """Given H1→H2 just begun, when the hostname is H1 again, then all is as it was and H2 leaves no trace."""
    zone = story.zone()
    [eip] = story.eips()
    meg = story.meg("mail", H1, [eip]).wait()
    ready = story.world()
    with never_broken(story):
        meg.spec(hostname=H2)
        story.until(lambda: story.records(zone, H2), "the A record of H2")
        meg.spec(hostname=H1).wait(reason="Ready")
    story.assert_world(ready)
    assert not [w for w in writes(story) if "DELETE" in w.verbs("A", H1)], "H1 was never taken away"


def test_back_after_the_ptr_has_moved(story: Story) -> None:
    """Given H1→H2 with the PTR already moved, when the hostname is H1 again, then the PTR returns and H2 goes."""
    story.zone()
    [eip] = story.eips()
    meg = story.meg("mail", H1, [eip]).wait()
    ready = story.world()
    with never_broken(story):
        meg.spec(hostname=H2)
        story.until(lambda: story.ptr(eip) == H2, "the PTR to be H2")
        meg.spec(hostname=H1).wait(reason="Ready")
    story.assert_world(ready)
    assert meg.address(eip.public_ip)["ptrOrigin"] == "Managed"


def test_a_delete_in_the_middle_of_a_rename(story: Story) -> None:
    """Given H1→H2 with both records there, when the object is deleted, then nothing of either is left."""
    zone = story.zone()
    eips = story.eips(2)
    before = story.world()
    meg = story.meg("mail", H1, eips).wait()
    since = last_call(story)
    meg.spec(hostname=H2)
    story.until(lambda: story.records(zone, H2), "the A record of H2")
    meg.delete()
    story.assert_world(before)
    done = writes(story, since)
    resets = [w.number for w in done if w.operation == "ResetAddressAttribute"]
    removals = [w.number for name in (H1, H2) for w in done if "DELETE" in w.verbs("A", name)]
    assert len(resets) == len(removals) == 2
    assert max(resets) < min(removals), "PTRs first, then the records"


def test_a_rename_leaves_an_adopted_record(story: Story) -> None:
    """Given an adopted A and PTR, when the hostname changes, then the old A stays and only its mark goes."""
    zone = story.zone()
    [eip] = story.eips()
    story.put_record(zone, H1, [eip.public_ip], ttl=77)
    story.aws.force_ptr(eip.public_ip, H1)
    found = story.world()
    meg = story.meg("mail", H1, [eip]).wait()
    assert meg.address(eip.public_ip)["ptrOrigin"] == "Adopted"
    assert meg.status["forward"]["ttlSeconds"] == 77, "what was adopted keeps its TTL"
    with never_broken(story):
        meg.spec(hostname=H2).wait(reason="Ready")
    assert story.records(zone, H1) == (eip.public_ip,)
    assert story.records(zone, MARK + H1, "TXT") == ()
    assert story.ptr(eip) == H2
    assert meg.address(eip.public_ip)["ptrOrigin"] == "Managed", "this PTR is our doing"
    meg.delete()
    assert story.records(zone, H1) == (eip.public_ip,), "what was adopted is never deleted"
    assert story.ptr(eip) is None
    assert found["accounts"].keys() == story.world()["accounts"].keys()
