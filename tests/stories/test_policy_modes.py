"""Off, Audit and Enforce: what each mode does, and the way from one to the next."""

from __future__ import annotations

import re

from tests.support.stories.policies import Tenants, refused
from tests.support.stories.story import Story
from tests.support.stories.watch_recorder import recorded_watch

OURS, THEIRS = "mail.a.example.com", "mail.b.example.com"
MTA = f"mta.{OURS}"


def requests(story: Story) -> dict[str, float]:
    """Requests so far to the API server for what only policies need, by verb and resource."""
    text = story.plane.kubectl("get", "--raw", "/metrics").stdout
    found: dict[str, float] = {}
    for labels, count in re.findall(r"^apiserver_request_total\{(.*?)\} (\S+)$", text, re.MULTILINE):
        pairs = dict(re.findall(r'(\w+)="(.*?)"', labels))
        if pairs["resource"] == "mailegresspolicies" and pairs["verb"] in ("LIST", "WATCH", "PATCH"):
            key = f"{pairs['verb']} {pairs['resource']}"
            found[key] = found.get(key, 0.0) + float(count)
    return found


def test_off_asks_nothing_about_policies_and_says_nothing(tenants: Tenants) -> None:
    """Given policies that would refuse an object and the rights to read them, when the mode is not set, then it is
    Ready as ever, its status names no policy, and no policy is read; in Audit they are read."""
    story = tenants.story
    story.zone()
    [eip] = story.eips()
    tenants.allow(tenants.theirs, THEIRS)
    tenants.story.sandbox.new_operator("rights", policy="Audit")
    seen = requests(story)
    story.start_operator()
    meg = story.meg("outbound", MTA, [eip]).wait()
    story.passes(meg, 2)
    assert requests(story) == seen
    assert "policy" not in meg.status
    assert "mailegress_policy_refusals{" not in story.operator.get("/metrics")[1]
    story.operator.stop()
    story.operator.start(policy="Audit")
    story.until(lambda: requests(story) != seen, "policies to be read in Audit")
    meg.delete()


def test_audit_reports_and_changes_nothing(tenants: Tenants) -> None:
    """Given Audit, when an object that no policy allows is created, then it works as ever, and its message, one Event,
    the metric and the policy's counts report that Enforce would refuse it."""
    story = tenants.story
    zone, [ours, theirs] = story.zone(), story.eips(2)
    allowed = tenants.allow(tenants.ours, OURS)
    before = story.world()
    story.start_operator(policy="Audit")
    mine = story.meg("outbound", MTA, [ours]).wait()
    bad = story.meg("other", "www.example.com", [theirs]).wait()
    assert story.records(zone, "www.example.com") == (theirs.public_ip,)
    assert story.ptr(theirs) == "www.example.com"
    assert "Audit: under --policy=Enforce" in bad.condition("Accepted")[2]
    assert "HostnameNotAllowed" in bad.condition("Accepted")[2]
    assert "Audit" not in mine.condition("Accepted")[2]
    assert mine.status["policy"] == allowed
    story.until(
        lambda: [e for e in bad.events() if e[1] == "HostnameNotAllowed"],
        "the Event that reports the refusal",
    )
    story.passes(bad, 2)
    assert len([e for e in bad.events() if e[1] == "HostnameNotAllowed"]) == 1
    story.until(
        lambda: (
            'mailegress_policy_refusals{reason="HostnameNotAllowed"} 1.0' in story.operator.get("/metrics")[1]
        ),
        "the metric",
    )
    story.until(lambda: tenants.policy(allowed).get("refused") == 1, "the policy's counts")
    counts = tenants.policy(allowed)
    assert (counts["mode"], counts["allowed"], counts["namespaces"]) == ("Audit", 1, 1)
    mine.delete()
    bad.delete()
    story.assert_world(before)


def test_from_off_through_audit_to_enforce_without_a_write(tenants: Tenants) -> None:
    """Given Ready objects, when the mode goes from Off to Audit and to Enforce with policies that allow them, then
    nothing is written to AWS and Ready never leaves True."""
    story = tenants.story
    story.zone()
    eips = story.eips(4)
    story.start_operator()
    megs = [story.meg(f"m{n}", f"mta{n}.{OURS}", [eip]) for n, eip in enumerate(eips)]
    for meg in megs:
        meg.wait()
    tenants.allow(tenants.ours, OURS)
    writes = story.writes()
    with recorded_watch(story) as recorder:
        for mode in ("Off", "Audit", "Enforce"):
            story.operator.stop()
            if mode != "Off":
                story.sandbox.new_operator("rights", policy=mode)
            story.operator.start(policy=mode)
            for meg in megs:
                story.passes(meg, 2)
                assert meg.status.get("policy") == (None if mode == "Off" else f"for-{tenants.ours}")
    assert story.writes() == writes
    for meg in megs:
        assert recorder.statuses(meg) <= {"True"}
        meg.delete()


def test_policy_and_object_in_one_sync(tenants: Tenants) -> None:
    """Given Enforce, when an object is applied before its policy, then it waits without Stalled, and is Ready as soon
    as the policy allows it."""
    story = tenants.story
    story.zone()
    [eip] = story.eips()
    before = story.world()
    story.start_operator(policy="Enforce")
    with recorded_watch(story) as recorder:
        meg = story.meg("outbound", MTA, [eip])
        refused(meg, "NoMatchingPolicy")
        assert "Stalled" not in meg.conditions()
        assert story.writes() == 0
        tenants.allow(tenants.ours, OURS)
        meg.wait()
    assert not [
        v for v in recorder.of(meg) if [c for c in v["status"]["conditions"] if c["type"] == "Stalled"]
    ]
    meg.delete()
    story.assert_world(before)
