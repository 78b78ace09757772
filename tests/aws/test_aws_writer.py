"""The zone writer: batches, refusals, unknown outcomes and the shared wait for INSYNC."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from mailegress.aws.api import AwsError
from mailegress.aws.settings import AwsSettings
from mailegress.model.aws import Change, Verb
from mailegress.model.facts import ErrorKind, WritePhase
from tests.support.aws_world import (
    REGION,
    FakeAws,
    a,
    build,
    claim,
    error,
    mark,
    names,
    now,
    phase,
    play,
    submit,
)

CHANGE = "ChangeResourceRecordSets"


def test_a_named_culprit_among_300_costs_two_calls_and_fails_alone() -> None:
    async def story() -> None:
        world = build()
        hosts = names(300)
        world.fake.put("Z1", a(hosts[137], "198.51.100.9"))
        submit(world, *hosts)
        await world.until(lambda: world.aws.writer.due == 0)
        assert world.fake.count(CHANGE) == 2
        state = world.aws.writer.state("Z1", hosts[137])
        assert state is not None
        assert state.phase is WritePhase.FAILED
        assert state.fault is not None
        assert hosts[137] in state.fault.message
        assert state.fault.kind is ErrorKind.TRANSIENT, "what is there now decides, not the refusal"
        assert state.attempts == 1
        assert all(phase(world, h) is WritePhase.APPLIED for h in hosts if h != hosts[137])

    play(story())


def test_an_unnamed_culprit_is_found_by_halving_and_no_name_is_torn_apart() -> None:
    async def story() -> None:
        world = build()
        hosts = names(300)
        bad = hosts[211]
        world.fake.always(CHANGE, error("InvalidChangeBatch", "[FATAL problem]"), lambda sent: bad in sent)
        submit(world, *hosts)
        await world.until(lambda: world.aws.writer.due == 0)
        assert world.fake.count(CHANGE) <= 15, (
            "of two halves the second is not sent whole if the first went through"
        )
        for call in world.fake.of(CHANGE):
            plain = {n for n in call.argument if not n.startswith("_")}
            assert {f"_mailegress.{n}" for n in plain} == call.argument - plain
        assert phase(world, bad) is WritePhase.FAILED
        assert all(phase(world, h) is WritePhase.APPLIED for h in hosts if h != bad)

    play(story())


def test_refusals_without_any_success_end_soon() -> None:
    async def story() -> None:
        world = build()
        hosts = names(300)
        world.fake.always(CHANGE, error("InvalidChangeBatch", "[Limits Exceeded: MAX_RRSETS_BY_ZONE=10000]"))
        submit(world, *hosts)
        await world.until(lambda: world.aws.writer.due == 0)
        assert world.fake.count(CHANGE) <= 10
        state = world.aws.writer.state("Z1", hosts[0])
        assert state is not None
        assert state.fault is not None
        assert state.fault.reason == "QuotaExceeded"

    play(story())


@pytest.mark.parametrize("code", ["Throttling", "PriorRequestNotComplete"])
def test_a_refusal_for_rate_or_timing_is_waited_out_and_never_splits(code: str) -> None:
    async def story() -> None:
        world = build()
        world.fake.once(CHANGE, *[error(code, "Rate exceeded")] * 3)
        hosts = names(300)
        submit(world, *hosts)
        await world.until(lambda: world.aws.writer.due == 0)
        assert [call.size for call in world.fake.of(CHANGE)] == [600] * 4
        assert all(phase(world, h) is WritePhase.APPLIED for h in hosts)
        gaps = [later.at - call.at for call, later in itertools.pairwise(world.fake.of(CHANGE))]
        assert gaps[0] > 0.5
        assert gaps[2] > gaps[0], "each pause is longer"

    play(story())


def test_throttling_that_does_not_end_fails_so_that_the_user_can_see_it() -> None:
    async def story() -> None:
        world = build()
        world.fake.always(CHANGE, error("Throttling", "Rate exceeded"))
        submit(world, "one.example.com")
        took = await world.until(lambda: phase(world, "one.example.com") is WritePhase.FAILED)
        assert 120 <= took <= 200

    play(story())


def test_a_timeout_leaves_every_name_unknown_until_it_is_read_again() -> None:
    async def story() -> None:
        world = build()
        hosts = names(3)
        for host in hosts:
            world.aws.records.request("mail/reader", "Z1", host, now())
        await world.until(lambda: world.aws.records.get("Z1", hosts[2]).value is not None)
        world.fake.after[CHANGE].append(error("Timeout"))
        submit(world, *hosts)
        await world.until(lambda: world.aws.writer.due == 0)
        for host in hosts:
            state = world.aws.writer.state("Z1", host)
            assert state is not None
            assert state.phase is WritePhase.UNKNOWN
            assert state.fault is not None
            assert state.fault.unknown_outcome
            assert world.aws.records.get("Z1", host).value is None, "the old reading does not count any more"
        assert world.fake.count(CHANGE) == 1, "nothing is sent twice"
        uid_of = world.aws.records.marked
        assert ("Z1", hosts[0]) in uid_of("0f8fad5b-d9cb-469f-a165-70867728950e"), "it may be ours by now"
        world.aws.records.request("mail/reader", "Z1", hosts[0], now())
        await world.until(lambda: world.aws.records.get("Z1", hosts[0]).value is not None)
        view = world.aws.records.get("Z1", hosts[0]).value
        assert view is not None
        assert view.mark == mark(hosts[0]), "it was applied after all"

    play(story())


def test_a_request_that_never_left_is_a_plain_failure() -> None:
    async def story() -> None:
        world = build()
        world.fake.once(CHANGE, error("ConnectionError", sent=False))
        submit(world, "one.example.com")
        await world.until(lambda: phase(world, "one.example.com") is WritePhase.FAILED)

    play(story())


def test_a_denied_batch_fails_for_all_and_later_costs_one_call() -> None:
    async def story() -> None:
        world = build()
        denial = world.fake.always(CHANGE, error("AccessDenied", "not authorized", 403))
        hosts = names(100)
        submit(world, *hosts)
        await world.until(lambda: world.aws.writer.due == 0)
        assert {phase(world, h) for h in hosts} == {WritePhase.FAILED}
        first = world.fake.count(CHANGE)
        assert first <= 7
        submit(world, *hosts)
        await world.until(lambda: world.aws.writer.due == 0)
        assert world.fake.count(CHANGE) == first + 1
        world.fake.faults[CHANGE].remove(denial)
        submit(world, *hosts)
        await world.until(lambda: world.aws.writer.due == 0)
        assert {phase(world, h) for h in hosts} == {WritePhase.APPLIED}

    play(story())


def test_a_name_that_iam_does_not_allow_fails_alone() -> None:
    async def story() -> None:
        world = build()
        hosts = names(100)
        world.fake.always(
            CHANGE, error("AccessDenied", "not authorized", 403), lambda sent: hosts[42] in sent
        )
        submit(world, *hosts)
        await world.until(lambda: world.aws.writer.due == 0)
        assert [h for h in hosts if phase(world, h) is WritePhase.FAILED] == [hosts[42]]

    play(story())


def test_one_poll_per_change_serves_all_its_names() -> None:
    async def story() -> None:
        world = build(FakeAws(insync_after=30.0))
        hosts = names(200)
        submit(world, *hosts)
        await world.until(lambda: all(phase(world, h) is WritePhase.INSYNC for h in hosts))
        calls = world.fake.of("GetChange")
        sent = world.fake.of(CHANGE)[0].at + 0.1
        assert [round(call.at - sent) for call in calls] == [2, 6, 14, 22, 30]
        await world.quiet(600)
        assert len(world.fake.of("GetChange")) == 5, "INSYNC never reverts, so nobody asks again"

    play(story())


def test_a_change_that_route53_forgot_stays_applied_without_its_id() -> None:
    async def story() -> None:
        world = build()
        world.fake.always("GetChange", error("NoSuchChange", status=404))
        submit(world, "one.example.com")
        await world.until(lambda: world.times("mail/one.example.com") == 2)
        state = world.aws.writer.state("Z1", "one.example.com")
        assert state is not None
        assert (state.phase, state.change_id, state.fault) == (WritePhase.APPLIED, "", None)

    play(story())


def test_a_denied_getchange_is_shown_and_asked_slowly() -> None:
    async def story() -> None:
        world = build()
        denial = world.fake.always("GetChange", error("AccessDenied", "no", 403))
        submit(world, "one.example.com")
        await world.until(lambda: world.times("mail/one.example.com") == 2)
        state = world.aws.writer.state("Z1", "one.example.com")
        assert state is not None
        assert state.fault is not None
        assert "route53:GetChange" in state.fault.message
        await world.quiet(300)
        assert world.times("mail/one.example.com") == 2, "the same refusal is no news"
        assert world.fake.count("GetChange") <= 7
        world.fake.faults["GetChange"].remove(denial)
        await world.until(lambda: phase(world, "one.example.com") is WritePhase.INSYNC)

    play(story())


def test_a_getchange_that_stays_denied_is_given_up_after_an_hour() -> None:
    """An object that DNS shows to be right costs no call a minute for ever."""

    async def story() -> None:
        world = build()
        world.fake.always("GetChange", error("AccessDenied", "no", 403))
        submit(world, "one.example.com")
        await world.quiet(2 * 3600)
        state = world.aws.writer.state("Z1", "one.example.com")
        assert state is None or (state.change_id, state.fault) == ("", None)
        calls = [call.at for call in world.fake.of("GetChange")]
        assert len(calls) == 7
        assert 3600 < calls[-1] - calls[0] < 4200
        assert world.aws.writer.polled == 0

    play(story())


@pytest.mark.parametrize("code", ["ServiceUnavailable", "Timeout"])
def test_a_getchange_without_an_answer_is_reported_after_three(code: str) -> None:
    async def story() -> None:
        world = build()
        outage = world.fake.always("GetChange", error(code, "away", 503))
        submit(world, "one.example.com")
        await world.until(lambda: world.times("mail/one.example.com") == 2)
        assert world.fake.count("GetChange") == 3
        state = world.aws.writer.state("Z1", "one.example.com")
        assert state is not None
        assert state.fault is not None
        assert state.fault.reason == "AWSUnavailable"
        world.fake.faults["GetChange"].remove(outage)
        await world.until(lambda: phase(world, "one.example.com") is WritePhase.INSYNC)

    play(story())


def test_a_newer_submission_replaces_a_queued_one_and_is_refused_in_flight() -> None:
    async def story() -> None:
        world = build(FakeAws(latency=1.0))
        host = "one.example.com"
        world.aws.writer.submit("mail/old", "Z1", host, [Change(Verb.CREATE, a(host, "192.0.2.7"))])
        world.aws.writer.submit("mail/new", "Z1", host, claim(host))
        await world.until(lambda: phase(world, host) is WritePhase.IN_FLIGHT)
        world.aws.writer.submit("mail/late", "Z1", host, [Change(Verb.DELETE, a(host))])
        state = world.aws.writer.state("Z1", host)
        assert state is not None
        assert state.busy
        await world.until(lambda: world.aws.writer.due == 0)
        assert world.fake.record("Z1", host, "A") == a(host)
        assert world.fake.count(CHANGE) == 1
        assert all(world.times(key) == 1 for key in ("mail/old", "mail/new", "mail/late"))

    play(story())


def test_an_applied_write_is_known_without_reading_again() -> None:
    async def story() -> None:
        world = build()
        host = "one.example.com"
        world.aws.records.request("mail/r", "Z1", host, now())
        await world.until(lambda: world.aws.records.get("Z1", host).value is not None)
        reads = world.fake.count("ListResourceRecordSets")
        submit(world, host)
        await world.until(lambda: phase(world, host) is WritePhase.APPLIED)
        fact = world.aws.records.get("Z1", host)
        assert fact.value is not None
        assert fact.value.records == (a(host),)
        assert fact.value.mark == mark(host)
        state = world.aws.writer.state("Z1", host)
        assert state is not None
        assert fact.at == state.at
        assert world.fake.count("ListResourceRecordSets") == reads

    play(story())


def test_five_thousand_changes_of_one_namespace_do_not_delay_anothers_edit() -> None:
    async def story() -> None:
        settings = AwsSettings(regions=(REGION,))
        world = build(settings=settings)
        submit(world, *names(5000))
        await world.quiet(20)
        began = now()
        submit(world, "single.example.com", namespace="other")
        await world.until(lambda: phase(world, "single.example.com") is WritePhase.APPLIED)
        assert now() - began < 2.5
        assert world.aws.writer.due > 1000, "the others are still at it"
        await world.until(lambda: world.aws.writer.due == 0)
        took = world.fake.calls[-1].at - world.fake.of(CHANGE)[0].at
        assert took <= 1.05 * (10_000 - 1500) / 100, "the account's change throughput is used fully"

    play(story())


def test_what_is_urgent_goes_before_five_thousand_changes_of_its_own_namespace() -> None:
    async def story() -> None:
        world = build()
        began = now()
        submit(world, *names(5000))
        world.aws.writer.submit(
            "mail/lost", "Z1", "h4999.example.com", claim("h4999.example.com"), urgent=True
        )
        await world.until(lambda: phase(world, "h4999.example.com") is WritePhase.APPLIED)
        assert now() - began < 5
        assert "h4999.example.com" in world.fake.of(CHANGE)[0].argument

    play(story())


def test_a_thousand_changes_of_ten_namespaces_are_still_two_batches() -> None:
    async def story() -> None:
        world = build()
        for number, host in enumerate(names(1000)):
            submit(world, host, namespace=f"team-{number // 100}")
        await world.until(lambda: world.aws.writer.due == 0)
        assert [call.size for call in world.fake.of(CHANGE)] == [1000, 1000]

    play(story())


def test_a_zone_is_left_alone_while_it_works_on_a_change() -> None:
    async def story() -> None:
        world = build()
        busy_until = 0.0

        def busy(_: object) -> AwsError | None:
            nonlocal busy_until
            if now() < busy_until:
                return error("PriorRequestNotComplete")
            busy_until = now() + 0.3
            return None

        world.fake.faults[CHANGE].append(busy)
        for host in names(20):
            submit(world, host)
            await asyncio.sleep(0.2)
        await world.until(lambda: world.aws.writer.due == 0)
        sent = [call.at for call in world.fake.of(CHANGE)]
        assert len(sent) >= 5
        assert all(later - earlier >= 0.4 for earlier, later in itertools.pairwise(sent))
        assert sum(call.size for call in world.fake.of(CHANGE)) == 40, "none was refused and sent again"

    play(story())


def test_outcomes_are_forgotten_in_the_end() -> None:
    async def story() -> None:
        world = build()
        submit(world, "old.example.com")
        await world.until(lambda: phase(world, "old.example.com") is WritePhase.INSYNC)
        await world.quiet(4000)
        submit(world, "new.example.com")
        assert phase(world, "old.example.com") is None

    play(story())


def test_what_cannot_be_one_batch_is_refused_at_the_door() -> None:
    async def story() -> None:
        world = build()
        with pytest.raises(ValueError, match="nothing"):
            world.aws.writer.submit("mail/x", "Z1", "x.example.com", [])
        big = a("x.example.com", *(f"10.0.{i // 250}.{i % 250}" for i in range(1001)))
        with pytest.raises(ValueError, match="fit"):
            world.aws.writer.submit("mail/x", "Z1", "x.example.com", [Change(Verb.CREATE, big)])

    play(story())


def test_a_batch_counts_from_when_aws_has_read_it() -> None:
    """A slow answer must not make the next batch a moment too early for AWS, which would refuse it."""

    async def story() -> None:
        world = build()
        world.fake.latency = 2.0
        submit(world, *names(1000))
        await world.until(lambda: world.fake.count(CHANGE) == 2)
        first, second = (call.at for call in world.fake.of(CHANGE))
        # 1,500 at once, 100 more a second: 500 are missing after the first thousand, counted from its answer.
        assert second - first >= 2.0 + 5.0

    play(story())
