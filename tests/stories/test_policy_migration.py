"""From Off through Audit to Enforce with hundreds of Ready objects."""

from __future__ import annotations

import uuid

from bench.kube import Api
from bench.rig import Pace, Rig
from bench.seeding import Template, some
from sandbox.controlplane import ControlPlane

OBJECTS = 500
PATIENCE = 240.0
POLICY = "/apis/mailegress.io/v1alpha1/mailegresspolicies"


def test_five_hundred_objects_go_from_off_to_enforce_without_a_write_or_a_flap(plane: ControlPlane) -> None:
    """Given 500 Ready objects of an operator without policies, when the mode becomes Audit and then Enforce with a
    policy that allows them, then nothing is written to AWS, no condition leaves True, and each status names the policy.
    """
    api, name = Api(plane.kubeconfig), f"migration-{uuid.uuid4().hex[:8]}"
    template = Template.learn(plane, api, f"{name}-template")
    with Rig(plane, name, some(OBJECTS), Pace(1 / 20), template) as rig:
        with rig.window() as off:
            rig.start_operator()
            _reconciled(rig)
        assert rig.operator is not None
        assert (off.aws_writes, off.status_writes) == (0, 0)
        spec = {
            "namespaces": {"names": [name]},
            "hostnames": {"suffixes": ["*"]},
            "addresses": {"any": True},
            "maxMailEgresses": OBJECTS,
        }
        body = {
            "apiVersion": "mailegress.io/v1alpha1",
            "kind": "MailEgressPolicy",
            "metadata": {"name": name},
        }
        api.request("POST", POLICY, body | {"spec": spec})
        try:
            for mode, statuses in (("Audit", OBJECTS), ("Enforce", 0)):
                with rig.window() as window:
                    rig.operator.stop()
                    rig.sandbox.new_operator(f"rights-{mode}", policy=mode)
                    rig.operator.start(policy=mode)
                    _reconciled(rig)
                    rig.until(lambda mode=mode: _counts(api, name) == (mode, OBJECTS, 0), PATIENCE, mode)  # type: ignore[misc]
                assert window.aws_writes == 0, mode
                assert window.status_writes == statuses, mode
            assert rig.watcher.flaps == []
            assert rig.watcher.ready == OBJECTS
            items, _ = api.list_all(name)
            assert {item["status"].get("policy") for item in items} == {name}
        finally:
            rig.operator.stop()
            api.request("DELETE", f"{POLICY}/{name}")


def _reconciled(rig: Rig) -> None:
    """Until each object was reconciled by this process and nothing is due."""

    def holds() -> bool:
        found = rig.metrics()
        done = found.get('mailegress_reconciles_total{outcome="ok"}', 0)
        return done >= OBJECTS and found["mailegress_queue_depth"] == 0

    rig.until(holds, PATIENCE, "each object to be reconciled")


def _counts(api: Api, name: str) -> tuple[str, int, int]:
    status = api.request("GET", f"{POLICY}/{name}").get("status") or {}
    return status.get("mode", ""), status.get("allowed", 0), status.get("refused", 0)
