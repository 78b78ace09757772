"""AWS refuses, fails and stutters: what the user is told meanwhile, and that all comes right by itself."""

from __future__ import annotations

import itertools

import pytest

from tests.support.stories import order
from tests.support.stories.order import last_call
from tests.support.stories.story import Story
from tests.support.stories.watch_recorder import recorded_watch

STALL = "3"


@pytest.mark.parametrize(
    ("action", "condition"),
    [
        ("route53:ChangeResourceRecordSets", "ForwardReady"),
        ("ec2:ModifyAddressAttribute", "ReverseReady"),
        ("ec2:DescribeAddressesAttribute", "ForwardReady"),
        ("route53:ListResourceRecordSets", "ForwardReady"),
        ("route53:ListHostedZones", "ForwardReady"),
    ],
)
def test_denied_then_granted(bare_story: Story, action: str, condition: str) -> None:
    """Given a role that lacks one permission, the status names it, first as work, then as a case for a human; calls
    get rarer; once it is granted all becomes right without a further edit."""
    story = bare_story
    story.start_operator(stalled_after_seconds=STALL)
    story.zone()
    [eip] = story.eips()
    before = story.world()
    operation = action.partition(":")[2]
    story.aws.deny(action)
    with recorded_watch(story, existing=True) as recorder:
        meg = story.meg("outbound", "mta.example.com", [eip])
        meg.wait_reason("AccessDenied").wait("Stalled", "True", "AccessDenied")
        status, reason, message = meg.condition("Ready")
        assert status in ("False", "Unknown")
        assert reason == "AccessDenied"
        assert action in message, message
        assert "IAM policy" in message, message
        assert meg.condition(condition)[1] == "AccessDenied"
        assert ("True", "AccessDenied") in recorder.seen(meg, "Reconciling"), recorder.seen(
            meg, "Reconciling"
        )
        assert "Reconciling" not in meg.conditions()
        tries = len(story.calls(operation))
        story.until(lambda: len(story.calls(operation)) >= tries + 2, "two more tries")
        reasons = [reason for _, reason in recorder.seen(meg, "Ready")]
        assert set(reasons[reasons.index("AccessDenied") :]) == {"AccessDenied"}, "no try is told as news"
        stalled = recorder.seen(meg, "Stalled")
        assert stalled[stalled.index(("True", "AccessDenied")) :] == [("True", "AccessDenied")], stalled
        meg.told("Warning", "AccessDenied")
    refused = [c["time"] for c in story.calls(operation) if c["outcome"] != "ok"]
    assert len(refused) <= 12, refused
    gaps = [b - a for a, b in itertools.pairwise(refused)]
    assert gaps[-1] > gaps[0], gaps
    story.aws.allow()
    meg.wait()
    assert "Stalled" not in meg.conditions()
    meg.told("Warning", "AccessDenied")
    assert [reason for _, reason in meg.events()].count("AccessDenied") == 1, meg.events()
    meg.delete()
    story.assert_world(before)


def test_denied_on_deletion_names_the_remedy(story: Story) -> None:
    """Given a role that may not reset PTRs any more, when the object is deleted, then it stays and says why and how to
    let go; once granted, it goes without a trace."""
    story.zone()
    [eip] = story.eips()
    before = story.world()
    meg = story.meg("outbound", "mta.example.com", [eip]).wait()
    story.aws.deny("ec2:ResetAddressAttribute")
    meg.delete(wait=False)
    meg.wait_reason("DeletionBlocked")
    message = meg.condition("Ready")[2]
    assert "ec2:ResetAddressAttribute" in message, message
    assert "Retain" in message, message
    assert story.ptr(eip) == "mta.example.com"
    story.aws.allow()
    meg.wait_gone()
    story.assert_world(before)


@pytest.mark.parametrize("service", ["route53", "ec2"])
@pytest.mark.parametrize("effect", ["server_error", "cut_before"])
def test_a_short_outage_is_not_seen_in_the_status(story: Story, service: str, effect: str) -> None:
    """Given a Ready object, when two readings in a row fail, then no condition moves and no event is written."""
    story.zone()
    [eip] = story.eips()
    meg = story.meg("outbound", "mta.example.com", [eip]).wait()
    # The status is written first, its Events follow; that of Ready is the last but for advice about mail.
    meg.told("Normal", "Ready")
    meg.told("Normal", "HeloSPF")
    events = meg.events()
    writes = story.writes()
    operation = {"route53": "ListResourceRecordSets", "ec2": "DescribeAddressesAttribute"}[service]
    since = last_call(story)
    with recorded_watch(story, existing=True) as recorder:
        story.aws.add_fault(effect, service, operation, count=2)
        story.until(
            lambda: (
                [c["outcome"] for c in story.calls(operation, since=since)][-1:] == ["ok"]
                and sum(c["outcome"] != "ok" for c in story.calls(operation, since=since)) == 2
            ),
            "two failed readings and a good one",
        )
        story.passes(meg)
        assert recorder.seen(meg, "Ready") == [("True", "Ready")], recorder.seen(meg, "Ready")
    assert meg.events() == events
    assert story.writes() == writes


@pytest.mark.parametrize("service", ["route53", "ec2"])
@pytest.mark.parametrize("effect", ["server_error", "cut_before"])
def test_an_outage_is_told_and_gets_over(story: Story, service: str, effect: str) -> None:
    """Given a Ready object, when a service of AWS is down for long, then Ready becomes Unknown only after several
    readings, a new object waits with the same reason, and when AWS is back both are Ready; the first one's records
    were not touched."""
    story.zone()
    one, two = story.eips(2)
    before = story.world()
    old = story.meg("old", "old.example.com", [one]).wait()
    since = last_call(story)
    with recorded_watch(story, existing=True) as recorder:
        story.aws.add_fault(effect, service)
        new = story.meg("new", "new.example.com", [two]).wait_reason("AWSUnavailable")
        assert new.condition("Ready")[0] == "Unknown"
        old.wait_reason("AWSUnavailable")
        assert old.condition("Ready")[0] == "Unknown"
        failed = [c for c in story.aws.log(service=service, since=since) if c["outcome"] != "ok"]
        assert len(failed) >= 3, failed
        story.aws.clear_faults()
        new.wait()
        old.wait()
        assert recorder.seen(old, "Ready") == [
            ("True", "Ready"),
            ("Unknown", "AWSUnavailable"),
            ("True", "Ready"),
        ]
    mine = [
        w
        for w in order.writes(story, since)
        if one.allocation_id == w.allocation_id or "old.example.com" in str(w.changes)
    ]
    assert mine == [], mine
    old.delete()
    new.delete()
    story.assert_world(before)


def test_throttling_slows_down_and_flaps_nothing(story: Story) -> None:
    """Given an account in which AWS refuses three calls in ten for their rate, then objects become Ready, stay so
    without a flap, and go without a trace; no batch is taken apart."""
    story.zone()
    eips = story.eips(4)
    before = story.world()
    story.aws.add_fault("throttle", share=0.3)
    megs = [story.meg(f"m{n}", f"m{n}.example.com", [eip]) for n, eip in enumerate(eips)]
    for meg in megs:
        meg.wait()
    creates = [c for c in story.calls("ChangeResourceRecordSets") if c["outcome"] == "ok"]
    assert sum(len(c["params"]["ChangeBatch"]["Changes"]) for c in creates) == 2 * len(megs)
    with recorded_watch(story, existing=True) as recorder:
        for meg in megs:
            story.passes(meg, 1)
        for meg in megs:
            assert recorder.seen(meg, "Ready") == [("True", "Ready")]
    for meg in megs:
        assert not [reason for kind, reason in meg.events() if kind == "Warning"], meg.events()
        meg.delete(wait=False)
    for meg in megs:
        meg.wait_gone()
    story.assert_world(before)
    assert story.aws.log(outcome="Throttling")
    assert story.aws.log(outcome="RequestLimitExceeded")


def test_prior_request_not_complete_is_only_a_pause(story: Story) -> None:
    """Given a zone that is busy with somebody else's change, the same batch is sent again and no condition tells."""
    story.zone()
    [eip] = story.eips()
    story.aws.add_fault(
        "error",
        "route53",
        "ChangeResourceRecordSets",
        code="PriorRequestNotComplete",
        message="The request was rejected because Route 53 was still processing a prior request.",
        count=3,
    )
    with recorded_watch(story, existing=True) as recorder:
        meg = story.meg("outbound", "mta.example.com", [eip]).wait()
        reasons = {reason for _, reason in recorder.seen(meg, "Ready")}
    assert reasons <= {
        "Pending",
        "Progressing",
        "ChangePending",
        "PTRPending",
        "WaitingForForward",
        "Ready",
        "NotPropagated",
    }
    calls = story.calls("ChangeResourceRecordSets")
    assert [c["outcome"] for c in calls] == ["PriorRequestNotComplete"] * 3 + ["ok"]
    assert len({str(c["params"]["ChangeBatch"]["Changes"]) for c in calls}) == 1
    assert not [reason for kind, reason in meg.events() if kind == "Warning"]


def test_a_full_zone_says_so(story: Story) -> None:
    """Given a zone at its quota of records, the status says QuotaExceeded in AWS's words; with a higher quota it
    becomes Ready."""
    story.zone()
    [eip] = story.eips()
    before = story.world()
    story.aws.settings(quotas=True, records_per_zone=3)
    meg = story.meg("outbound", "mta.example.com", [eip]).wait_reason("QuotaExceeded")
    assert "Limits Exceeded" in meg.condition("Ready")[2], meg.condition("Ready")
    assert story.world() == before
    story.aws.settings(records_per_zone=10_000)
    meg.wait()
    meg.delete()
    story.assert_world(before)
