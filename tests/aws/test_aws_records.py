"""Reading record sets: the cheaper way is chosen, absence is known, and marks are found by UID."""

from __future__ import annotations

import asyncio
import tracemalloc
import uuid

import pytest

from mailegress.aws.route53.record_index import Fold, RecordStore
from mailegress.model.aws import Change, NameView, RecordSet, Verb, Zone
from mailegress.model.facts import WritePhase
from mailegress.model.ownership import Mark
from mailegress.reconcile.rules.record_changes import mark_set
from tests.support.aws_world import UID, FakeAws, World, a, build, claim, error, mark, now, play

LIST = "ListResourceRecordSets"


def filled(number: int) -> FakeAws:
    """A zone of ``number`` names, each with its A and its mark."""
    fake = FakeAws(zones=[Zone("Z1", "example.com")])
    for i in range(number):
        host = f"h{i:05}.example.com"
        fake.put("Z1", a(host), mark(host, str(uuid.UUID(int=i))))
    return fake


async def zones_known(world: World) -> None:
    world.aws.zones.request("setup", now())
    await world.until(lambda: world.aws.zones.get().value is not None)


async def read(world: World, *hosts: str, not_before: float | None = None) -> None:
    for host in hosts:
        world.aws.records.request(f"mail/{host}", "Z1", host, now() if not_before is None else not_before)
    await world.until(lambda: all(world.times(f"mail/{h}") for h in hosts))


def view(world: World, host: str) -> NameView:
    value = world.aws.records.get("Z1", host).value
    assert value is not None
    return value


def test_one_name_of_a_big_zone_is_looked_up_alone() -> None:
    async def story() -> None:
        world = build(filled(1000))
        await zones_known(world)
        await read(world, "h00500.example.com")
        assert [call.size for call in world.fake.of(LIST)] == [20], "one call, of a page of 20"
        seen = view(world, "h00500.example.com")
        assert seen.records == (a("h00500.example.com"),)
        assert seen.mark == mark("h00500.example.com", str(uuid.UUID(int=500)))

    play(story())


def test_many_names_are_read_by_one_sweep_that_serves_all_of_them() -> None:
    async def story() -> None:
        world = build(filled(1000))
        await zones_known(world)
        hosts = [f"h{i:05}.example.com" for i in range(7)] + ["absent.example.com"]
        await read(world, *hosts)
        assert [call.size for call in world.fake.of(LIST)] == [300] * 7, "2,000 record sets are 7 pages"
        assert view(world, hosts[3]).mark is not None
        assert view(world, "absent.example.com") == NameView("absent.example.com")

    play(story())


def test_a_name_is_served_with_the_page_that_shows_its_ownership_record() -> None:
    async def story() -> None:
        world = build(filled(1000))
        await zones_known(world)
        hosts = [f"h{i:05}.example.com" for i in (0, 100, 200, 350, 500, 700, 800, 999)]
        unmarked = "a.example.com"
        world.fake.put("Z1", a(unmarked))
        world.fake.latency = 0.5
        pages: dict[str, int] = {}
        for host in (*hosts, unmarked):
            world.aws.records.request(f"mail/{host}", "Z1", host, now())
        while len(pages) <= len(hosts):
            for host in (*hosts, unmarked):
                if world.times(f"mail/{host}"):
                    pages.setdefault(host, world.fake.count(LIST))
            await asyncio.sleep(0.01)
        # The next page is asked for at once.
        assert [pages[host] for host in (*hosts, unmarked)] == [2, 2, 3, 4, 5, 6, 7, 7, 7]
        assert world.aws.records.all_swept().value

    play(story())


def test_six_names_are_still_cheaper_by_point() -> None:
    async def story() -> None:
        world = build(filled(1000))
        await zones_known(world)
        await read(world, *(f"h{i:05}.example.com" for i in range(6)))
        assert [call.size for call in world.fake.of(LIST)] == [20] * 6

    play(story())


def test_idle_checks_are_done_together_because_all_grow_old_together() -> None:
    async def story() -> None:
        world = build(filled(1000))
        await zones_known(world)
        hosts = [f"h{i:05}.example.com" for i in range(500)]
        await read(world, *hosts, "absent.example.com")
        before = world.fake.count(LIST)
        age = 3600.0
        await world.quiet(age + 1)
        for number, host in enumerate(hosts):
            world.aws.records.request(f"idle/{host}", "Z1", host, now() - age)
            await asyncio.sleep(1.0)
            assert world.times(f"idle/{host}") == 1 or number == 0
        assert world.fake.count(LIST) == before + 7

    play(story())


def test_the_mark_is_found_behind_children_that_sort_before_it() -> None:
    async def story() -> None:
        fake = FakeAws(zones=[Zone("Z1", "example.com")])
        host = "mta.example.com"
        fake.put("Z1", a(host), mark(host), a("zz.example.com"))
        fake.put("Z1", *(a(f"{i:02}.{host}") for i in range(40)), *(a(f"x{i:02}.{host}") for i in range(40)))
        fake.put("Z1", *(a(f"b{i:04}.example.com") for i in range(900)))
        world = build(fake)
        await zones_known(world)
        await read(world, host)
        assert [call.size for call in world.fake.of(LIST)] == [20, 1], (
            "a second look, from the mark's own name"
        )
        assert view(world, host).mark == mark(host)

    play(story())


def test_a_name_without_mark_costs_no_second_look_when_the_page_went_past_it() -> None:
    async def story() -> None:
        fake = FakeAws(zones=[Zone("Z1", "example.com")])
        fake.put("Z1", a("mta.example.com"), *(a(f"x{i:04}.mta.example.com") for i in range(900)))
        world = build(fake)
        await zones_known(world)
        await read(world, "mta.example.com")
        assert world.fake.count(LIST) == 1
        assert view(world, "mta.example.com").mark is None

    play(story())


def test_conflicting_sets_at_the_name_are_all_seen() -> None:
    async def story() -> None:
        fake = filled(400)
        fake.put("Z1", RecordSet("mta.example.com", "CNAME", 60, ("elsewhere.example.net.",)))
        fake.put("Z1", RecordSet("mta2.example.com", "A", None, (), alias=True))
        world = build(fake)
        await zones_known(world)
        await read(world, "mta.example.com", "mta2.example.com")
        assert [r.type for r in view(world, "mta.example.com").records] == ["CNAME"]
        assert not view(world, "mta2.example.com").records[0].simple

    play(story())


def test_a_list_cut_in_the_middle_says_nothing_of_what_it_did_not_show() -> None:
    async def story() -> None:
        world = build(filled(1000))
        await zones_known(world)
        shown = "h00000.example.com"
        hosts = [*(f"h{i:05}.example.com" for i in range(400, 409)), "absent.example.com"]
        failures = iter([None, None, error("InternalError", "oops", 500)])
        world.fake.faults[LIST].append(lambda _: next(failures, None))
        await read(world, shown, *hosts)
        first, fact = (world.aws.records.get("Z1", host) for host in (shown, hosts[0]))
        assert first.value is not None
        assert (first.fault, first.misses) == (None, 0)
        assert fact.value is None
        assert fact.fault is not None
        assert (fact.fault.reason, fact.misses) == ("AWSUnavailable", 1)
        assert world.fake.count(LIST) == 3
        world.woken.clear()
        await read(world, *hosts)
        assert view(world, hosts[8]).mark is not None
        assert world.aws.records.get("Z1", hosts[0]).fault is None
        assert world.fake.of(LIST)[3].at - world.fake.of(LIST)[2].at >= 0.5, "after a pause"

    play(story())


def test_a_throttled_page_is_asked_for_again_and_the_sweep_goes_on() -> None:
    async def story() -> None:
        world = build(filled(1000))
        await zones_known(world)
        throttles = iter([None, error("Throttling"), error("Throttling"), None])
        world.fake.faults[LIST].append(lambda _: next(throttles, None))
        await read(world, *(f"h{i:05}.example.com" for i in range(10)), "absent.example.com")
        assert world.fake.count(LIST) == 9
        assert world.aws.records.get("Z1", "h00000.example.com").fault is None

    play(story())


def test_failures_come_slower_and_slower() -> None:
    async def story() -> None:
        world = build(filled(10))
        await zones_known(world)
        world.fake.always(LIST, error("InternalError", status=500))
        until = now() + 3600
        while now() < until:
            world.woken.clear()
            await read(world, "h00000.example.com")
        assert 12 <= world.fake.count(LIST) <= 40
        assert world.aws.records.get("Z1", "h00000.example.com").misses == world.fake.count(LIST)

    play(story())


def test_marks_are_found_by_uid_and_by_hostname_even_if_nobody_asked_for_them() -> None:
    async def story() -> None:
        world = build(filled(1000))
        world.aws.records.request_all_swept("mail/x")
        await world.until(lambda: bool(world.aws.records.all_swept().value))
        assert world.aws.records.marked(str(uuid.UUID(int=77))) == (("Z1", "h00077.example.com"),)
        ((zone, seen),) = world.aws.records.holder("h00077.example.com")
        assert (zone, seen.mark) == ("Z1", mark("h00077.example.com", str(uuid.UUID(int=77))))
        assert world.aws.records.marked(UID) == ()

    play(story())


def test_all_swept_covers_editable_zones_only_and_wakes_when_it_is_so() -> None:
    async def story() -> None:
        fake = FakeAws(
            zones=[
                Zone("Z1", "example.com"),
                Zone("Z2", "example.org"),
                Zone("Z3", "internal.example", private=True),
                Zone("Z4", "cloudmap.example", linked_service="servicediscovery.amazonaws.com"),
            ]
        )
        fake.put("Z2", a("mta.example.org"), mark("mta.example.org"))
        world = build(fake)
        assert world.aws.records.all_swept().value is None
        world.aws.records.request_all_swept("mail/x")
        await world.until(lambda: world.aws.records.all_swept().value is True)
        await world.quiet(1)
        assert world.fake.count(LIST) == 2
        assert world.times("mail/x") >= 1
        assert world.aws.records.marked(UID) == (("Z2", "mta.example.org"),)

    play(story())


def test_a_zone_that_cannot_be_read_keeps_all_swept_false_and_says_why() -> None:
    async def story() -> None:
        world = build(FakeAws(zones=[Zone("Z1", "example.com")]))
        world.fake.always(LIST, error("AccessDenied", "no", 403))
        world.aws.records.request_all_swept("mail/x")
        await world.until(lambda: world.aws.records.all_swept().fault is not None)
        fact = world.aws.records.all_swept()
        assert fact.value is False
        assert fact.fault is not None
        assert "route53:ListResourceRecordSets" in fact.fault.message

    play(story())


def test_a_sweep_that_began_before_our_write_does_not_undo_what_we_know() -> None:
    async def story() -> None:
        world = build(filled(1000))
        await zones_known(world)
        host = "new.example.com"
        await read(world, host)
        world.fake.latency = 0.5
        for i in range(20):
            world.aws.records.request(f"mail/h{i:05}", "Z1", f"h{i:05}.example.com", now())
        world.aws.records.request("mail/sweep", "Z1", "absent.example.com", now())
        await world.until(lambda: world.fake.count(LIST) == 3)
        world.aws.writer.submit("mail/new", "Z1", host, claim(host))
        await world.until(lambda: world.times("mail/sweep") > 0)
        state = world.aws.writer.state("Z1", host)
        assert state is not None
        assert state.phase is WritePhase.APPLIED
        assert view(world, host).mark == mark(host)

    play(story())


def test_what_a_page_of_the_list_showed_is_not_stored_once_more_at_its_end() -> None:
    store = RecordStore()
    fold = Fold()
    [host] = fold.add([a("ours.example.com"), mark("ours.example.com")])
    store.put("Z1", fold.view(host), began=5.0)
    before, _ = store.get("Z1", host)
    store.put_sweep("Z1", fold, began=5.0)
    after, at = store.get("Z1", host)
    assert after is before
    assert at == 5.0


def test_a_present_name_that_nobody_asked_for_is_never_taken_for_absent() -> None:
    store = RecordStore()
    fold = Fold()
    fold.add([a("foreign.example.com"), a("ours.example.com"), mark("ours.example.com")])
    store.put_sweep("Z1", fold, began=5.0)
    assert store.get("Z1", "foreign.example.com")[0] is None
    assert store.get("Z1", "absent.example.com") == (NameView("absent.example.com"), 5.0)
    assert store.get("Z1", "ours.example.com")[0] is not None
    assert store.get("Z2", "absent.example.com")[0] is None


def test_readings_older_than_a_doubt_do_not_count() -> None:
    store = RecordStore()
    host = "mta.example.com"
    store.want(host)
    store.put("Z1", NameView(host), began=1.0)
    store.doubt("Z1", host, claim(host), at=10.0)
    assert store.marked(UID) == (("Z1", host),)
    store.put("Z1", NameView(host), began=9.0)
    assert store.get("Z1", host)[0] is None
    store.put_sweep("Z1", Fold(), began=9.5)
    assert store.get("Z1", host)[0] is None
    store.put("Z1", NameView(host), began=10.5)
    assert store.get("Z1", host)[0] == NameView(host)
    assert store.marked(UID) == ()


def test_a_sweep_forgets_marks_that_are_gone() -> None:
    store = RecordStore()
    fold = Fold()
    fold.add([mark("ours.example.com")])
    store.put_sweep("Z1", fold, began=1.0)
    assert store.marked(UID) == (("Z1", "ours.example.com"),)
    store.put_sweep("Z1", Fold(), began=2.0)
    assert store.marked(UID) == ()
    assert store.holders("ours.example.com") == ()


def test_compare_and_swap_is_shown_as_its_result() -> None:
    store = RecordStore()
    host = "mta.example.com"
    store.put("Z1", NameView(host, (a(host, "192.0.2.1"),), mark(host)), began=1.0)
    old, new = a(host, "192.0.2.1"), a(host, "192.0.2.1", "192.0.2.2")
    store.applied("Z1", host, [Change(Verb.DELETE, old), Change(Verb.CREATE, new)], at=2.0)
    assert store.get("Z1", host) == (NameView(host, (new,), mark(host)), 2.0)
    gone = [Change(Verb.DELETE, new), Change(Verb.DELETE, mark(host))]
    store.applied("Z1", host, gone, at=3.0)
    assert store.get("Z1", host) == (NameView(host), 3.0)
    assert store.marked(UID) == ()


@pytest.mark.parametrize("number", [10_000])
def test_ten_thousand_names_cost_little_memory(number: int) -> None:
    fold = Fold()
    for i in range(number):
        host = f"h{i:05}.example.com"
        fold.add([a(host, f"10.1.{i // 256}.{i % 256}"), mark(host, str(uuid.UUID(int=i)))])
    store = RecordStore()
    tracemalloc.start()
    store.put_sweep("Z1", fold, began=1.0)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 16 * 2**20


def test_orphans_are_counted_by_owner_object_and_zone() -> None:
    store = RecordStore()
    dead, alive = (str(uuid.UUID(int=n)) for n in (1, 2))

    def put(zone_id: str, hostname: str, owner: str, uid: str) -> None:
        store.put(zone_id, NameView(hostname, (), mark_set(hostname, Mark(False, owner, uid))), 0.0)

    put("Z1", "a.example.com", "us", dead)
    put("Z1", "b.example.com", "us", alive)
    put("Z1", "c.example.com", "them", dead)
    put("Z2", "a.example.com", "us", dead)

    def count(*zones: str) -> int:
        return store.orphans({alive}, {"us"}, zones)

    assert (count("Z1"), count("Z1", "Z2"), count()) == (1, 2, 0)
    store.put("Z1", NameView("a.example.com"), 1.0)
    assert count("Z1", "Z2") == 1


def test_names_for_which_nobody_is_in_a_hurry_share_thirty_calls_a_minute() -> None:
    """Hundreds of objects wait for a record that somebody else must change; an edit does not wait behind them."""

    async def story() -> None:
        world = build(filled(1000))
        await zones_known(world)
        hosts = [f"h{i:05}.example.com" for i in range(300)]
        await read(world, *hosts)
        await world.quiet(600)
        world.woken.clear()
        began, before = now(), world.fake.count(LIST)
        for minute in range(10):
            for host in hosts[::2]:
                world.aws.records.request(f"blocked/{host}", "Z1", host, now(), patient=True)
                await asyncio.sleep(0.4)
            world.aws.records.request("edited/x", "Z1", hosts[1], now())
            await asyncio.sleep(5)
            assert world.times("edited/x") == minute + 1
        minutes = (now() - began) / 60
        assert world.fake.count(LIST) - before <= 20 + 30 * minutes
        assert all(world.times(f"blocked/{host}") >= 8 for host in hosts[::2])

    play(story())


def test_a_single_name_for_which_nobody_is_in_a_hurry_is_read_at_once() -> None:
    async def story() -> None:
        world = build(filled(1000))
        await zones_known(world)
        world.aws.records.request("blocked/x", "Z1", "h00001.example.com", now(), patient=True)
        assert await world.until(lambda: world.times("blocked/x") > 0) < 1

    play(story())
