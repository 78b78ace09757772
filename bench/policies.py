"""What an edit of a policy costs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.common import Bench, lag, started
from bench.report import Demand, Result
from bench.rig import Rig
from bench.seeding import make_namespace

_POLICY_RIGHTS = Path(__file__).parent.parent / "deploy" / "components" / "policy" / "rbac.yaml"
POLICIES = 350
EDIT_SECONDS = 20.0
"""After an edit of a policy, in which its cost is counted, and before it, for comparison."""


def _policies_path(name: str = "") -> str:
    return f"/apis/mailegress.io/v1alpha1/mailegresspolicies{name and '/'}{name}"


def _make_policies(rig: Rig) -> str:
    """One policy that allows the population everything, and one for each of many other namespaces; the first's name."""
    base = {"addresses": {"any": True}, "maxMailEgresses": 10_000}

    def create_one(number: int) -> None:
        own = number == 0
        namespaces = [rig.namespace] if own else [f"{rig.namespace}-{number}"]
        if not own:
            make_namespace(rig.api, namespaces[0])
        suffixes = ["*"] if own else [f"team-{number}.example.com"]
        rig.api.request(
            "POST",
            _policies_path(),
            {
                "apiVersion": "mailegress.io/v1alpha1",
                "kind": "MailEgressPolicy",
                "metadata": {"name": f"{rig.namespace}-{number}"},
                "spec": base | {"namespaces": {"names": namespaces}, "hostnames": {"suffixes": suffixes}},
            },
        )

    rig.api.each(create_one, range(POLICIES))
    return f"{rig.namespace}-0"


def policy(bench: Bench, n: int) -> Iterator[Result]:
    """A policy that allows the whole population is edited: once without effect on any object, once with one on all."""
    bench.plane.kubectl("apply", "-f", str(_POLICY_RIGHTS))
    with bench.rig("policy", n, converged=True, policy="Enforce") as rig:
        name = _make_policies(rig)
        try:
            rig.start_operator()
            rig.until(lambda: started(rig), 300 + n / 25, "the sweeps and the first passes")
            rig.until(lambda: _named(rig, name), 120 + n / 25, "the name of the policy in each status")
            wider = {"hostnames": {"suffixes": ["*", "more.example.com"]}}
            yield _policy_edit(bench, rig, name, "policy_edit_without_effect", wider)
            yield _policy_edit(bench, rig, name, "policy_edit_for_all", {"allowRetain": True})
        finally:
            rig.api.each(
                lambda number: rig.api.request("DELETE", _policies_path(f"{rig.namespace}-{number}")),
                range(POLICIES),
            )


def _named(rig: Rig, name: str) -> bool:
    """Is the policy named everywhere, and nothing due?"""
    found = rig.metrics()
    stored = rig.api.request("GET", _policies_path(name)).get("status") or {}
    return stored.get("allowed") == len(rig.ones) and found["mailegress_queue_depth"] == 0


def _policy_edit(bench: Bench, rig: Rig, name: str, what: str, change: Mapping[str, Any]) -> Result:
    n = len(rig.ones)
    with rig.window() as quiet:
        time.sleep(EDIT_SECONDS)
    before = rig.metrics()
    with rig.window() as window:
        rig.api.merge(_policies_path(name), {"spec": change})
        time.sleep(EDIT_SECONDS)
        rig.until(lambda: rig.metrics().get("mailegress_queue_depth") == 0, 300, "the queue to be empty")
    after = rig.metrics()
    passed = 'mailegress_reconciles_total{outcome="ok"}'
    reconciles = after[passed] - before[passed]
    demands = [
        Demand("AWS calls", sum(window.calls.values()), 0),
        Demand("status writes", window.status_writes, 0),
        Demand("loop lag at most, s", lag(before, after)["largest"], 0.5, is_count=False),
    ]
    if what == "policy_edit_without_effect":
        demands.append(Demand("objects reconciled", reconciles, n / 4))
        more = window.cpu - quiet.cpu
        demands.append(Demand("CPU seconds more than without the edit", more, 2.0, is_count=False))
    return Result(
        what,
        n,
        bench.pace.limits_on,
        window.calls,
        {},
        {},
        window.status_writes,
        rig.usage.peak,
        window.cpu,
        window.seconds,
        demands=demands,
        notes={"policies": str(POLICIES), "objects_reconciled": str(int(reconciles))},
    )
