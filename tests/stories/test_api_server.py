"""The API server goes away and comes back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sandbox.operator import OperatorProcess
from tests.support.stories.order import WRITES
from tests.support.stories.story import Meg, Story


def keep_running(story: Story, operator: OperatorProcess) -> None:
    """As Kubernetes does: an operator that ended with an error is started again. 0 would be a silent end."""
    if not operator.running:
        assert operator.wait_exit(1) != 0, operator.log_tail()
        operator.start()


def restart(story: Story, part: str) -> None:
    parts: dict[str, Callable[[], None]] = {
        "apiserver": story.plane.restart_apiserver,
        "etcd": story.plane.restart_etcd,
    }
    parts[part]()
    story.until(
        lambda: story.plane.kubectl("get", "--raw", "/readyz", check=False).returncode == 0, "the API server"
    )


@pytest.mark.parametrize("part", ["apiserver", "etcd"])
def test_a_restart_while_objects_converge(bare_story: Story, part: str) -> None:
    """Given objects on their way to Ready, when the API server or its store restarts, the operator goes on, or ends
    with an error and its successor does; nothing is written twice."""
    story = bare_story
    story.aws.settings(insync=2.0)
    operator = story.start_operator()
    zone = story.zone()
    eips = story.eips(3)
    before = story.world()
    names = [f"m{n}.example.com" for n in range(3)]
    megs = [story.meg(f"m{n}", name, [eip]) for n, (name, eip) in enumerate(zip(names, eips, strict=True))]
    story.until(lambda: all(story.records(zone, name) for name in names), "the records")
    restart(story, part)

    def ready() -> bool:
        keep_running(story, operator)
        return all(meg.condition("Ready")[0] == "True" for meg in megs)

    story.until(ready, "all to be Ready after the restart")
    modified = story.calls("ModifyAddressAttribute")
    assert len(modified) == 3, modified
    names_created = [
        change["ResourceRecordSet"]["Name"]
        for call in story.calls("ChangeResourceRecordSets")
        for change in call["params"]["ChangeBatch"]["Changes"]
    ]
    assert len(names_created) == len(set(names_created)) == 6, names_created
    # The watch works again: a deletion is noticed.
    for meg in megs:
        meg.delete(wait=False)

    def gone() -> bool:
        keep_running(story, operator)
        return not any(meg.exists() for meg in megs)

    story.until(gone, "all to be gone")
    story.assert_world(before)


def test_no_api_server_for_a_while(bare_story: Story) -> None:
    """Given Ready objects and an API server that is away for several resyncs, nothing is written in AWS meanwhile;
    afterwards edits made in the first moment are carried out."""
    story = bare_story
    operator = story.start_operator()
    zone = story.zone()
    [eip] = story.eips()
    empty = story.world()
    meg: Meg = story.meg("outbound", "mta.example.com", [eip]).wait()
    before = story.world()
    count = story.writes()
    story.plane.stop_apiserver()
    try:
        looks = len(story.calls("DescribeAddresses"))
        passed = lambda: not operator.running or len(story.calls("DescribeAddresses")) >= looks + 3  # noqa: E731
        story.until(passed, "several resyncs, or the operator's end")
        story.assert_world(before)
        assert story.writes() == count
    finally:
        story.plane.start_apiserver()
    keep_running(story, operator)
    meg.spec(hostname="new.example.com")

    def renamed() -> bool:
        keep_running(story, operator)
        return story.ptr(eip) == "new.example.com" and not story.records(zone, "mta.example.com")

    story.until(renamed, "the rename to be done")
    meg.wait()
    meg.delete()
    story.assert_world(empty)
    assert all(call["outcome"] == "ok" for name in WRITES for call in story.calls(name))
