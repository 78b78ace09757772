"""The scenarios. Each builds its world, lets the operator work and compares what was counted with its floor."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

from bench import floors
from bench.common import Bench, lag, started
from bench.kube import object_path
from bench.policies import policy
from bench.report import Demand, Result
from bench.rig import CHANGE, Rig, Window, ec2, route53
from bench.seeding import create


def _deadline(bench: Bench, n: int) -> float:
    """Patience, not a demand: twice what AWS needs, and what a busy machine may add."""
    return 2 * floors.ready_seconds(n, bench.pace.rates, bench.pace.world) + 120


def _status_writes(bench: Bench) -> float:
    """Four where steps take AWS's time; where they take a machine's, a slow one needs longer than a status is held."""
    return 4.5 if bench.pace.limits_on else 7.0


def _insync_at(rig: Rig) -> float:
    """Monotonic time at which the last change is INSYNC."""
    applied: list[float] = [entry["time"] for entry in rig.changes() if entry["outcome"] == "ok"]
    return max(applied) - rig.aws_time() + rig.pace.world.insync


def _creation(
    bench: Bench, scenario: str, rig: Rig, window: Window, began: float, most_changes: int
) -> Result:
    """The result of a run in which all names were new."""
    n, pace = len(rig.ones), bench.pace
    insync, ready = _insync_at(rig) - began, max(rig.watcher.ready_at.values()) - began
    floor = {
        "change_calls": float(floors.change_calls(n)),
        "insync_s": floors.insync_seconds(n, pace.rates, pace.world),
        "ready_s": floors.ready_seconds(n, pace.rates, pace.world),
    }
    changes = window.calls.get(CHANGE, 0)
    seen = {"change_calls": float(changes), "insync_s": insync, "ready_s": ready}
    first = min(entry["time"] for entry in rig.changes()) - rig.aws_time() - began
    sizes = [len(e["params"]["ChangeBatch"]["Changes"]) // 2 for e in rig.changes()]
    return Result(
        scenario,
        n,
        pace.limits_on,
        window.calls,
        floor,
        {name: seen[name] / floor[name] for name in floor},
        window.status_writes,
        rig.usage.peak,
        window.cpu,
        window.seconds,
        demands=[
            Demand("change calls", changes, most_changes),
            Demand("status writes per MailEgress", window.status_writes / n, _status_writes(bench)),
            Demand("PTR modifications per MailEgress", window.calls.get("ModifyAddressAttribute", 0) / n, 1),
            Demand("conditions that flapped", len(rig.watcher.flaps), 0),
            Demand("INSYNC over its floor", insync / floor["insync_s"], 1.2, is_count=False),
            Demand("Ready over its floor", ready / floor["ready_s"], 1.1, is_count=False),
        ],
        notes={
            "first_change_s": first,
            "last_insync_s": insync,
            "all_ready_s": ready,
            "batches": "+".join(map(str, sizes)),
            "other_api_writes": str(window.other_writes),
        },
    )


def created_at_start(bench: Bench, n: int) -> Iterator[Result]:
    """They are there when the operator starts."""
    with bench.rig("created-at-start", n) as rig:
        create(rig.api, rig.namespace, rig.ones)
        with rig.window() as window:
            rig.start_operator()
            rig.wait_ready(n, _deadline(bench, n))
        bench.quiet_calls[n] = _compared(bench, window)
        yield _creation(
            bench, "created_at_start", rig, window, rig.started_at, max(4, 2 * floors.change_calls(n))
        )


def created_while_running(bench: Bench, n: int) -> Iterator[Result]:
    """They are applied at full speed while the operator runs."""
    with bench.rig("created-while-running", n) as rig:
        rig.start_operator()
        with rig.window() as window:
            began = time.monotonic()
            create(rig.api, rig.namespace, rig.ones)
            applied = time.monotonic() - began
            rig.wait_ready(n, _deadline(bench, n))
        result = _creation(bench, "created_while_running", rig, window, began, 20)
        result.notes = {**result.notes, "applied_in_s": applied}
        yield result


def one_bad(bench: Bench, n: int) -> Iterator[Result]:
    """Route 53 refuses one name, and does not say which."""
    with bench.rig("one-bad", n) as rig:
        bad = rig.ones[n // 2]
        rig.aws.add_fault(
            "error",
            "route53",
            CHANGE,
            contains=bad.hostname,
            code="InvalidChangeBatch",
            message="[The request contains an invalid set of changes for a resource record set]",
        )
        create(rig.api, rig.namespace, rig.ones)
        with rig.window() as window:
            rig.start_operator()
            rig.wait_ready(n - 1, _deadline(bench, n))
        changes = rig.changes()
        first, found = changes[0]["time"], [e["time"] for e in changes if e["outcome"] == "ok"]
        round_calls = sum(entry["time"] <= max(found) for entry in changes)
        yield Result(
            "one_bad",
            n,
            bench.pace.limits_on,
            window.calls,
            {"change_calls": float(floors.change_calls(n))},
            {"change_calls": len(changes) / floors.change_calls(n)},
            window.status_writes,
            rig.usage.peak,
            window.cpu,
            window.seconds,
            demands=[
                # Where time is scaled, how often the bad one was tried again says how slow the machine is.
                Demand("change calls in all", len(changes) if bench.pace.limits_on else round_calls, 19),
                Demand("names not Ready", n - rig.watcher.ready, 1),
            ],
            notes={
                "others_through_s": max(found) - first,
                "repeats_for_the_bad_name": str(len(changes) - round_calls),
            },
        )


def _compared(bench: Bench, window: Window) -> int:
    """All calls; where time is scaled the writes alone, for the operator slows down and recovers in real time, and
    how often it polls meanwhile says nothing."""
    return sum(window.calls.values()) if bench.pace.limits_on else window.aws_writes


def throttled(bench: Bench, n: int) -> Iterator[Result]:
    """AWS throttles three calls in ten."""
    if n not in bench.quiet_calls:
        list(created_at_start(bench, n))
    with bench.rig("throttled", n) as rig:
        rig.aws.add_fault("throttle", share=0.3)
        create(rig.api, rig.namespace, rig.ones)
        with rig.window() as window:
            rig.start_operator()
            rig.wait_ready(n, 10 * _deadline(bench, n))
        quiet, calls = bench.quiet_calls[n], _compared(bench, window)
        yield Result(
            "throttled",
            n,
            bench.pace.limits_on,
            window.calls,
            {"calls": float(quiet)},
            {"calls": calls / quiet},
            window.status_writes,
            rig.usage.peak,
            window.cpu,
            window.seconds,
            demands=[
                Demand("calls over those of the quiet run", calls / quiet, 1.5),
                Demand("conditions that flapped", len(rig.watcher.flaps), 0),
                Demand("status writes per MailEgress", window.status_writes / n, _status_writes(bench)),
            ],
        )


def converged(bench: Bench, n: int) -> Iterator[Result]:
    """A restart, then idleness, then single edits, in one population that is converged from the start."""
    with bench.rig("converged", n, converged=True) as rig:
        yield _restart(bench, rig)
        yield _idle(bench, rig)
        if bench.edits:
            yield _edits(bench, rig)


def restart(bench: Bench, n: int) -> Iterator[Result]:
    """The first part of ``converged`` alone."""
    with bench.rig("restart", n, converged=True) as rig:
        yield _restart(bench, rig)


def _restart(bench: Bench, rig: Rig) -> Result:
    n = len(rig.ones)
    with rig.window() as window:
        rig.start_operator()
        listed = time.monotonic() - rig.started_at

        rig.until(lambda: started(rig), 300 + n / 50, "the sweeps and the first passes")
        seconds = time.monotonic() - rig.started_at
        passes = rig.metrics()['mailegress_reconciles_total{outcome="ok"}'] / n
    reads = route53(window.calls) + ec2(window.calls)
    least = floors.record_pages(n) + 1 + 1 + -(-n // floors.PAGE_PTRS)
    soonest = floors.restart_seconds(n, bench.pace.rates)
    return Result(
        "restart",
        n,
        bench.pace.limits_on,
        window.calls,
        {"calls": float(least), "restart_s": soonest},
        {"calls": reads / least} | ({"restart_s": seconds / soonest} if soonest else {}),
        window.status_writes,
        rig.usage.peak,
        rig.usage.cpu,
        seconds,
        demands=[
            Demand("AWS writes", window.aws_writes, 0),
            Demand("status writes", window.status_writes, 0),
            Demand("other writes to the API server", window.other_writes, 0),
            Demand("AWS calls over the least", reads / least, 1.5),
            Demand("seconds until nothing is due", seconds, 30, is_count=False),
        ],
        notes={"listed_s": listed, "reconciles_per_object": passes},
    )


IDLE = {"ec2_sweep_seconds": 720.0, "route53_sweep_seconds": 4500.0}
"""The operator's defaults of what costs calls when idle."""
HOURS = 4.0
FASTEST = 24.0
"""Four hours in ten minutes."""


def _idle(bench: Bench, rig: Rig) -> Result:
    """One window with the default intervals for memory and CPU, one with shorter ones for the calls of 4 hours."""
    n = len(rig.ones)
    small = n <= 500
    # A small population shows as much in half the time, and the whole benchmark has to end within 90 minutes.
    seconds = bench.window / 2 if small and bench.pace.limits_on else bench.window
    bench.say(f"idle with {n} for {seconds:.0f} s")
    # The start's memory goes back to the system after a while.
    time.sleep(min(50.0, seconds))
    before = rig.metrics()
    with rig.window() as real:
        time.sleep(seconds)
    lateness = lag(before, rig.metrics())
    peak, most = rig.usage.peak, rig.usage.most
    # A sweep of many pages takes seconds, and its interval must stay longer than that.
    speed = min(HOURS * 3600 / seconds, FASTEST if n > 2000 else math.inf)
    hours = seconds * speed / 3600
    assert rig.operator is not None
    rig.operator.stop()
    bench.say(
        f"idle with {n}, sweeps {speed:.0f} times as often, for {seconds:.0f} s, which are {hours:.1f} h"
    )
    rig.operator.start(**{name: f"{value / speed:g}" for name, value in IDLE.items()})
    rig.until(lambda: started(rig), 300 + n / 50, "the restart")
    with rig.window() as fast:
        time.sleep(seconds)
    # NAT gateways are read once an hour with the default intervals, but with every sweep when those are short.
    nat = fast.calls.get("DescribeNatGateways", 0)
    hourly_r53, hourly_ec2 = route53(fast.calls) / hours, (ec2(fast.calls) - nat) / hours + 1
    floor = {
        "route53_calls_h": floors.route53_idle_calls(n, IDLE["route53_sweep_seconds"]),
        "ec2_calls_h": floors.ec2_idle_calls(n, IDLE["ec2_sweep_seconds"]),
    }
    return Result(
        "idle",
        n,
        bench.pace.limits_on,
        fast.calls,
        floor,
        {
            "route53_calls_h": hourly_r53 / floor["route53_calls_h"],
            "ec2_calls_h": hourly_ec2 / floor["ec2_calls_h"],
        },
        real.status_writes + fast.status_writes,
        most,
        real.cpu,
        real.seconds,
        demands=[
            Demand("Route 53 calls an hour", hourly_r53, 12 if small else 75),
            Demand("EC2 calls an hour", hourly_ec2, 12 if small else 75),
            Demand("AWS writes", real.aws_writes + fast.aws_writes, 0),
            Demand(
                "writes to the API server", sum(w.status_writes + w.other_writes for w in (real, fast)), 0
            ),
            Demand("most RSS, MB", most, 120 if small else 256, is_count=False),
            Demand("share of a core", real.cpu / real.seconds, 0.1, is_count=False),
            Demand("p99 loop lag, s", lateness["p99"], 0.05, is_count=False),
        ],
        notes={
            "counts_measured_over": f"{seconds:.0f} s at {speed:.0f} times the pace, that is {hours:.1f} h",
            "peak_rss_mb_since_start": peak,
            "calls_in_the_real_window": str(sum(real.calls.values())),
            "largest_loop_lag_s_at_most": lateness["largest"],
        },
    )


def _edits(bench: Bench, rig: Rig) -> Result:
    """Single edits of different MailEgresses; from sending the edit to the change call that carries it."""
    n, count = len(rig.ones), min(bench.edits, len(rig.ones))
    assert rig.operator is not None
    rig.operator.stop()
    rig.aws.reset_log()
    rig.operator.start(**{name: f"{value:g}" for name, value in IDLE.items()})
    rig.until(lambda: started(rig), 300 + n / 50, "the restart")
    delays: list[float] = []
    step = max(1, n // count)
    with rig.window() as window:
        for number, one in enumerate(rig.ones[::step][:count]):
            before = len(rig.aws.log(operation=CHANGE, contains=one.hostname))
            sent = time.time()
            rig.api.merge(
                object_path(rig.namespace, one.name), {"spec": {"forward": {"ttlSeconds": 60 + number}}}
            )
            rig.until(
                lambda one=one, before=before: (
                    len(rig.aws.log(operation=CHANGE, contains=one.hostname)) > before
                ),  # type: ignore[misc]
                60,
                f"the edit of {one.name} on the wire",
            )
            delays.append(rig.aws.log(operation=CHANGE, contains=one.hostname)[-1]["time"] - sent)
            # Single edits: the polls of one change must not use up the requests of the next.
            time.sleep(3.0 * bench.pace.scale)
    slow = [f"{number}:{delay:.2f}" for number, delay in enumerate(delays) if delay > 0.4]
    delays.sort()
    p99 = delays[min(len(delays) - 1, round(0.99 * len(delays)) - 1)]
    changes = window.calls.get(CHANGE, 0)
    return Result(
        "one_edit",
        n,
        bench.pace.limits_on,
        window.calls,
        {"change_calls": float(count)},
        {"change_calls": changes / count},
        window.status_writes,
        rig.usage.peak,
        window.cpu,
        window.seconds,
        p99,
        demands=[
            Demand("change calls per edit", changes / count, 1),
            Demand("p99 from edit to wire, s", p99, 0.5, is_count=False),
        ],
        notes={
            "edits": str(count),
            "median_s": delays[len(delays) // 2],
            "longest_s": delays[-1],
            "slow": " ".join(slow),
        },
    )


SCENARIOS: dict[str, Callable[[Bench, int], Iterator[Result]]] = {
    "created_at_start": created_at_start,
    "created_while_running": created_while_running,
    "one_bad": one_bad,
    "throttled": throttled,
    "converged": converged,
    "restart": restart,
    "policy": policy,
}
