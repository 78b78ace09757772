"""A leader goes, in every way in which leaders go; the other replica goes on, and nothing is done twice."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from tests.support.process.replicas import NAMES, Replicas
from tests.support.stories.story import GROUP, PLURAL, VERSION

A, B = NAMES[:2]


def versions(pair: Replicas) -> list[tuple[str, str]]:
    """(name, resourceVersion) of every object, and of every Event about one."""
    story = pair.story
    items = story.objects.list_cluster_custom_object(GROUP, VERSION, PLURAL)["items"]
    events = story.core.list_namespaced_event(story.namespace).items
    return sorted(
        [(i["metadata"]["name"], i["metadata"]["resourceVersion"]) for i in items]
        + [(e.metadata.name, e.metadata.resource_version) for e in events]
    )


def test_a_leader_that_is_told_to_go_is_followed_within_seconds(pair: Replicas) -> None:
    """Given a leader in the midst of a rename, SIGTERM hands over within seconds, and the rename continues.

    ``tests/kube/test_lease.py`` has the exact bound, in virtual time: one retry. Here one hand-over of three is that
    quick, and none waits until the Lease runs out, which is 12 s after a leader's end or later.
    """
    story = pair.story
    zone = story.zone()
    [eip] = story.eips()
    before = story.world()
    pair.start()
    meg = story.meg("outbound", A, [eip]).wait()
    taken = []
    for hostname in (B, A, B):
        leader = pair.leader()
        meg.spec(hostname=hostname)
        story.until(lambda h=hostname: story.records(zone, h), "the new name")
        taken.append(pair.terminate(leader))
        meg.wait()
        story.until(lambda h=hostname: story.ptr(eip) == h, "the PTR")
        pair.revive(leader)
    assert min(taken) <= 3.0, taken
    assert max(taken) < 12.0, taken
    meg.delete()
    story.assert_world(before)
    assert pair.witness.violations == []
    assert (pair.witness.refused, pair.witness.redundant) == (0, 0)


def test_a_leader_that_dies_is_followed_when_the_lease_has_run_out(pair: Replicas) -> None:
    """Given a leader that is killed for good, the standby waits out the Lease (15 s) and
    carries out what was asked for meanwhile; until then nobody writes."""
    story = pair.story
    story.zone()
    [eip] = story.eips()
    before = story.world()
    pair.start()
    meg = story.meg("outbound", A, [eip]).wait()
    leader = pair.leader()
    began = time.monotonic()
    done = pair.witness.writes
    died = datetime.now(UTC)
    pair.all[leader].kill()
    pair.figures.kills += 1
    renewed = pair.renewed()
    meg.spec(hostname=B)
    seconds = pair.told("kill", pair.taken_over(leader, "kill", began))
    # Not before the Lease ran out. A busy machine makes it later; ``tests/kube/test_lease.py`` has the exact bound.
    assert 15.0 - (died - renewed).total_seconds() <= seconds < 30.0
    assert pair.witness.writes == done
    meg.wait()
    pair.revive(leader)
    meg.delete()
    story.assert_world(before)
    assert pair.witness.violations == []


def test_a_leader_that_was_stopped_for_longer_than_the_lease_writes_nothing_afterwards(
    pair: Replicas,
) -> None:
    """Given a leader that is stopped in the midst of its work, when another has taken over and brought the work to its
    end, and the stopped one goes on, then it ends with an error, without one write to AWS or the API server."""
    story = pair.story
    zone = story.zone()
    one, two = story.eips(2)
    before = story.world()
    pair.start()
    first = story.meg("first", A, [one]).wait()
    second = story.meg("second", NAMES[2], [two]).wait()
    leader = pair.leader()
    first.spec(hostname=B)
    story.until(lambda: story.records(zone, B), "the first step of a rename")
    pair.freeze(leader)
    second.spec(hostname=NAMES[3])
    for meg in (first, second):
        meg.wait()
    story.until(
        lambda: not story.records(zone, A) and not story.records(zone, NAMES[2]), "the old names to go"
    )
    reads, seen, at = pair.witness.reads, versions(pair), pair.witness.writes

    def quiet() -> bool:
        nonlocal reads, seen, at
        now = versions(pair)
        if (now, pair.witness.writes) != (seen, at):
            reads, seen, at = pair.witness.reads, now, pair.witness.writes
        return bool(pair.witness.reads - reads >= 12)

    story.until(quiet, "everything to be quiet")
    pair.thaw(leader)
    assert versions(pair) == seen
    assert pair.witness.writes == at
    assert pair.witness.violations == []
    pair.revive(leader)
    for meg in (first, second):
        meg.delete()
    story.assert_world(before)


def test_the_standby_asks_nothing_of_aws(pair: Replicas) -> None:
    """A second replica costs the account's request budget nothing."""
    story = pair.story
    story.zone()
    [eip] = story.eips()
    pair.start()
    standby = pair.other(pair.leader())
    meg = story.meg("outbound", A, [eip]).wait()
    calls = [e for e in story.aws.log() if e["principal"].endswith("mailegress")]
    assert calls
    exposition = pair.all[standby].get("/metrics")[1]
    counted = [line for line in exposition.splitlines() if line.startswith("mailegress_aws_calls_total{")]
    # The start logs as whom AWS is called, which asks STS once.
    assert all('operation="GetCallerIdentity"' in line for line in counted), counted
    meg.delete()
