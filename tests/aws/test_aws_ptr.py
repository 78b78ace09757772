"""Writing PTRs: paced, one in flight per EIP, and read again when the outcome is unknown."""

from __future__ import annotations

from mailegress.model.aws import Ptr
from mailegress.model.facts import WritePhase
from tests.support.aws_world import REGION, FakeAws, World, build, error, now, play


def with_eips(number: int, ptr_after: float = 20.0) -> FakeAws:
    eips = {f"eipalloc-{i:08}": f"192.0.{i // 250}.{i % 250}" for i in range(number)}
    return FakeAws(eips=eips, ptr_after=ptr_after)


async def sweep(world: World) -> None:
    world.woken.clear()
    world.aws.addresses.request("mail/setup", REGION, now())
    await world.until(lambda: world.times("mail/setup") > 0)


def ptr(world: World, allocation_id: str) -> Ptr:
    view = world.aws.addresses.get(REGION).value
    assert view is not None
    return view.eips[allocation_id].ptr


def state_of(world: World, allocation_id: str) -> WritePhase | None:
    state = world.aws.ptrs.state(REGION, allocation_id)
    return None if state is None else state.phase


def test_ptr_writes_keep_the_accounts_pace_and_namespaces_take_turns() -> None:
    async def story() -> None:
        world = build(with_eips(200))
        await sweep(world)
        began = now()
        for i in range(199):
            world.aws.ptrs.set_ptr("busy/x", REGION, f"eipalloc-{i:08}", "a.example.com")
        world.aws.ptrs.set_ptr("quiet/y", REGION, "eipalloc-00000199", "b.example.com")
        await world.until(lambda: state_of(world, "eipalloc-00000199") is WritePhase.APPLIED)
        assert now() - began < 1
        await world.until(lambda: world.aws.ptrs.due == 0)
        assert 0.95 * (200 - 8) / 4 < now() - began < 1.05 * (200 - 8) / 4 + 1

    play(story())


def test_a_write_whose_gate_is_too_old_when_its_turn_comes_goes_back_to_its_object() -> None:
    """A thousand writes wait for minutes; what was proved when they were handed over may not hold any more (S1)."""

    async def story() -> None:
        world = build(with_eips(300))
        await sweep(world)
        world.woken.clear()
        before = now() + 30
        for i in range(300):
            world.aws.ptrs.set_ptr(f"mail/{i}", REGION, f"eipalloc-{i:08}", "a.example.com", before)
        await world.until(lambda: world.aws.ptrs.due == 0)
        sent = world.fake.of("ModifyAddressAttribute")
        assert 100 <= len(sent) <= 130, "as many as the rate allows in 30 s"
        assert max(call.at for call in sent) < before
        assert all(world.times(f"mail/{i}") == 1 for i in range(300)), "everybody is woken"
        last = world.aws.ptrs.state(REGION, "eipalloc-00000299")
        assert last is not None
        assert (last.busy, last.fault, last.attempts, last.returned) == (False, None, 0, True)
        world.aws.ptrs.set_ptr("mail/299", REGION, "eipalloc-00000299", "a.example.com", now() + 30)
        await world.until(lambda: state_of(world, "eipalloc-00000299") is WritePhase.APPLIED)

    play(story())


def test_a_throttled_write_is_not_sent_again_when_its_gate_is_too_old() -> None:
    async def story() -> None:
        world = build(with_eips(1))
        await sweep(world)
        world.fake.always("ModifyAddressAttribute", error("RequestLimitExceeded", status=503))
        before = now() + 10
        world.aws.ptrs.set_ptr("mail/x", REGION, "eipalloc-00000000", "mta.example.com", before)
        await world.until(lambda: world.aws.ptrs.due == 0)
        assert all(call.at < before for call in world.fake.of("ModifyAddressAttribute"))
        state = world.aws.ptrs.state(REGION, "eipalloc-00000000")
        assert state is not None
        assert (state.fault, state.returned) == (None, True)

    play(story())


def test_a_write_that_was_not_sent_yet_can_be_taken_back() -> None:
    async def story() -> None:
        world = build(with_eips(40))
        await sweep(world)
        world.woken.clear()
        for i in range(40):
            world.aws.ptrs.set_ptr(f"mail/{i}", REGION, f"eipalloc-{i:08}", "a.example.com")
        for i in (38, 39):
            world.aws.ptrs.take_back(REGION, f"eipalloc-{i:08}")
        assert world.times("mail/39") == 1
        await world.until(lambda: world.aws.ptrs.due == 0)
        assert world.fake.count("ModifyAddressAttribute") == 38

    play(story())


def test_a_timeout_after_the_write_is_unknown_and_is_read_again_at_once() -> None:
    async def story() -> None:
        world = build(with_eips(1))
        await sweep(world)
        world.fake.after["ModifyAddressAttribute"].append(error("Timeout"))
        world.aws.ptrs.set_ptr("mail/x", REGION, "eipalloc-00000000", "mta.example.com")
        await world.until(lambda: state_of(world, "eipalloc-00000000") is WritePhase.UNKNOWN)
        assert world.aws.addresses.ptr(REGION, "eipalloc-00000000").value is None
        await world.until(lambda: world.times("mail/x") == 2)
        assert ptr(world, "eipalloc-00000000").update == "mta.example.com"
        assert world.fake.count("ModifyAddressAttribute") == 1

    play(story())


def test_refused_and_throttled_ptr_writes() -> None:
    async def story() -> None:
        world = build(with_eips(1))
        await sweep(world)
        refusal = error("InvalidParameterValue", "The domain name does not resolve to the address")
        world.fake.once("ModifyAddressAttribute", error("RequestLimitExceeded", status=503), refusal, refusal)
        for attempt in (1, 2):
            world.aws.ptrs.set_ptr("mail/x", REGION, "eipalloc-00000000", "mta.example.com")
            await world.until(lambda: state_of(world, "eipalloc-00000000") is WritePhase.FAILED)
            state = world.aws.ptrs.state(REGION, "eipalloc-00000000")
            assert state is not None
            assert state.attempts == attempt
            assert state.fault is not None
            assert state.fault.reason == "PTRRejected"
            assert "does not resolve" in state.fault.message
        assert world.fake.count("ModifyAddressAttribute") == 3
        world.aws.ptrs.reset_ptr("mail/x", REGION, "eipalloc-00000000")
        await world.until(lambda: state_of(world, "eipalloc-00000000") is WritePhase.APPLIED)
        state = world.aws.ptrs.state(REGION, "eipalloc-00000000")
        assert state is not None
        assert state.attempts == 0

    play(story())


def test_a_throttled_look_keeps_everybody_waiting_and_the_next_look_serves_them() -> None:
    """The PTRs settle without being looked at; nobody is woken to be told that AWS was busy for a moment."""

    async def story() -> None:
        world = build(with_eips(3))
        await sweep(world)
        looks = world.fake.count("DescribeAddressesAttribute")
        world.fake.once("DescribeAddressesAttribute", error("RequestLimitExceeded", status=503))
        for i in range(3):
            world.aws.addresses.request_ptr(f"mail/{i}", REGION, f"eipalloc-{i:08}", now())
        await world.until(lambda: all(world.times(f"mail/{i}") for i in range(3)))
        assert world.fake.count("DescribeAddressesAttribute") == looks + 2
        assert all(world.times(f"mail/{i}") == 1 for i in range(3))
        assert all(world.aws.addresses.ptr(REGION, f"eipalloc-{i:08}").fault is None for i in range(3))

    play(story())


def test_throttling_of_looks_that_does_not_end_is_told() -> None:
    async def story() -> None:
        world = build(with_eips(1))
        await sweep(world)
        world.fake.always("DescribeAddressesAttribute", error("RequestLimitExceeded", status=503))
        world.aws.addresses.request_ptr("mail/x", REGION, "eipalloc-00000000", now())
        await world.until(lambda: world.times("mail/x") > 0)
        fault = world.aws.addresses.ptr(REGION, "eipalloc-00000000").fault
        assert fault is not None
        assert fault.reason == "Throttled"

    play(story())


EIP = "eipalloc-00000000"
LOOK = "DescribeAddressesAttribute"


async def on_its_way(ptr_after: float) -> World:
    """AWS is changing the PTR, and mail/x knows that."""
    world = build(with_eips(1, ptr_after))
    await sweep(world)
    world.aws.ptrs.set_ptr("mail/x", REGION, EIP, "mta.example.com")
    await world.until(lambda: ptr(world, EIP).pending)
    await world.until(lambda: world.times("mail/x") > 0)
    world.woken.clear()
    return world


def test_a_ptr_that_is_still_pending_wakes_nobody_who_knows_it() -> None:
    async def story() -> None:
        world = await on_its_way(100.0)
        began, looks = now(), world.fake.count(LOOK)
        world.aws.addresses.request_ptr("mail/x", REGION, EIP, began, ptr(world, EIP))
        await world.until(lambda: world.times("mail/x") > 0)
        assert ptr(world, EIP).settled_to("mta.example.com")
        assert 90 < now() - began < 120
        assert world.times("mail/x") == 1
        assert world.fake.count(LOOK) - looks > 5

    play(story())


def test_who_knows_another_state_of_the_ptr_is_woken_by_the_next_look() -> None:
    async def story() -> None:
        world = await on_its_way(100.0)
        world.aws.addresses.request_ptr(
            "mail/x", REGION, EIP, now(), Ptr(None, "other.example.com", "PENDING")
        )
        await world.until(lambda: world.times("mail/x") > 0)
        assert ptr(world, EIP).pending

    play(story())


def test_an_answer_after_a_failed_look_is_news() -> None:
    async def story() -> None:
        world = await on_its_way(100.0)
        world.fake.once(LOOK, error("InternalError", status=500))
        for times in (1, 2):
            world.aws.addresses.request_ptr("mail/x", REGION, EIP, now(), ptr(world, EIP))
            await world.until(lambda times=times: world.times("mail/x") == times)
        assert ptr(world, EIP).pending
        assert world.aws.addresses.ptr(REGION, EIP).fault is None

    play(story())


def test_nobody_is_polled_for_who_does_not_ask_again_for_ten_minutes() -> None:
    """The object may be gone; AWS may have the change pending for ever."""

    async def story() -> None:
        world = await on_its_way(10_000.0)
        began = now()
        world.aws.addresses.request_ptr("mail/x", REGION, EIP, began, ptr(world, EIP))
        await world.until(lambda: world.times("mail/x") > 0, within=700.0)
        assert 600 <= now() - began < 630
        looks = world.fake.count(LOOK)
        world.aws.addresses.request_ptr("mail/x", REGION, EIP, now() + 700)
        await world.until(lambda: world.times("mail/x") > 1, within=800.0)
        assert world.fake.count(LOOK) == looks + 1

    play(story())
