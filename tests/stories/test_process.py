"""``mailegress run`` as a process: how it starts, ends, and what it tells of itself."""

from __future__ import annotations

import json
import re
import signal
import time
from typing import Any

import pytest

from sandbox.cloud import OPERATOR_USER
from sandbox.local import CRDS
from sandbox.operator import OperatorProcess
from tests.support.stories.story import GROUP, PLURAL, Story

STOPPED = 9.0
"""Seconds in which a stop must be over here, where other processes want the processor too; Kubernetes waits for 15
(``deploy/base``). The exact bound is ``tests/cli/test_lifecycle.py``'s: 4.8 s, or less if nothing hangs."""


def stop_seconds(operator: OperatorProcess) -> float:
    began = time.monotonic()
    assert operator.stop() == 0, operator.log_tail()
    return time.monotonic() - began


def assert_calm_end(operator: OperatorProcess) -> None:
    """The log of the stop has no error and no traceback."""
    log = operator.log_tail(200)
    end = log[log.index("SIGTERM: stopping") :]
    assert "Traceback" not in end, end
    assert " ERROR " not in end, end


def samples(operator: OperatorProcess) -> dict[str, float]:
    """The samples of /metrics: name with labels -> value."""
    status, text = operator.get("/metrics")
    assert status == 200
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


def total(found: dict[str, float], name: str, *labels: str) -> float:
    """The sum of a family's samples that carry all these labels."""
    return sum(v for k, v in found.items() if k.split("{")[0] == name and all(label in k for label in labels))


# ---------------------------------------------------------------- its AWS credentials


def test_rotated_keys_are_used_without_a_restart(bare_story: Story) -> None:
    """Given keys in a file, when the old key is deleted and a file with a broken key comes, the status names the cause;
    when the right file comes, the object becomes Ready without a restart, and the log shows no key and no traceback."""
    story = bare_story
    operator = story.sandbox.new_operator()
    keys = story.sandbox.directory / "keys"
    old, new = operator.environ.pop("AWS_ACCESS_KEY_ID"), "AKIASANDBOXROTATED00"
    del operator.environ["AWS_SECRET_ACCESS_KEY"]
    operator.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(keys)

    def mount(key: str) -> None:
        fresh = keys.with_suffix(".new")
        fresh.write_text(
            f"[default]\naws_access_key_id = {key}\naws_secret_access_key = key-nobody-may-see\n"
        )
        fresh.replace(keys)

    mount(old)
    story.operators.append(operator)
    operator.start()
    story.zone()
    one, two = story.eips(2)
    story.meg("first", "one.example.com", [one]).wait()
    log = operator.log.read_text()
    assert (
        f"AWS identity of ec2,route53: arn=arn:aws:iam::111122223333:user/{OPERATOR_USER} account=" in log
    ), log

    mount(f"{new[:8]} {new[8:]}")
    story.aws.run("register_key", access_key=new, account="111122223333", user=OPERATOR_USER)
    story.aws.run("revoke_key", access_key=old)
    second = story.meg("second", "two.example.com", [two]).wait_reason("CredentialsUnavailable")
    cause = "aws_access_key_id (shared-credentials-file) has a space in it"
    second.until(lambda: cause in second.condition("Ready")[2], "the cause")
    mount(new)
    second.wait()
    log = operator.log.read_text()
    assert "key-nobody-may-see" not in log
    assert "Traceback" not in log


# ---------------------------------------------------------------- the end


def test_sigterm_when_idle(story: Story) -> None:
    """Given an idle operator with a Ready object, SIGTERM ends it with 0 in under five seconds and moves nothing."""
    story.zone()
    [eip] = story.eips()
    meg = story.meg("outbound", "mta.example.com", [eip]).wait()
    meg.told("Normal", "HeloSPF")
    version, world = meg.get()["metadata"]["resourceVersion"], story.world()
    assert stop_seconds(story.operator) < STOPPED
    assert_calm_end(story.operator)
    assert meg.get()["metadata"]["resourceVersion"] == version
    story.assert_world(world)


@pytest.mark.parametrize("operation", ["ChangeResourceRecordSets", "DescribeAddresses"])
def test_sigterm_with_work_in_flight(story: Story, operation: str) -> None:
    """Given an AWS call that hangs, SIGTERM still ends the operator with 0 before Kubernetes kills it, and the next one
    ends the work without doing it twice."""
    story.zone()
    [eip] = story.eips()
    before = story.world()
    story.aws.add_fault("delay", operation=operation, delay=20.0, count=1)
    meg = story.meg("outbound", "mta.example.com", [eip])
    story.until(lambda: story.calls(operation), "the call")
    assert stop_seconds(story.operator) < STOPPED
    story.operator.start()
    meg.wait()
    assert len(story.calls("ChangeResourceRecordSets")) == 1
    meg.delete()
    story.assert_world(before)


def test_a_sigterm_is_obeyed_without_an_api_server(story: Story) -> None:
    """Given no API server, SIGTERM is obeyed all the same, also by an operator that waits for one to start."""
    story.plane.stop_apiserver()
    try:
        if story.operator.running:
            assert stop_seconds(story.operator) < STOPPED
            assert_calm_end(story.operator)
    finally:
        story.plane.start_apiserver()


def test_without_its_rights_it_does_not_look_alive(story: Story) -> None:
    """Given an operator whose right to watch is taken away for good, it tells so, and never ends with 0; with the right
    back (and a restart by Kubernetes if it ended) it works."""
    story.zone()
    [eip] = story.eips()
    ours = json.loads(
        story.plane.kubectl("get", "clusterrolebinding", "mailegress-operator", "-o", "json").stdout
    )
    story.plane.kubectl("delete", "clusterrolebinding", ours["metadata"]["name"])
    try:
        # The watch that is open is not cut by RBAC; a new connection is refused.
        story.plane.restart_apiserver()
        story.until(
            lambda: (
                not story.operator.running
                or "403" in story.operator.log_tail(200)
                or "orbidden" in story.operator.log_tail(200)
            ),
            "the operator to say that it is forbidden, or to end",
        )
        if not story.operator.running:
            assert story.operator.wait_exit(1) != 0
    finally:
        for key in ("uid", "resourceVersion", "creationTimestamp", "managedFields"):
            ours["metadata"].pop(key, None)
        story.plane.apply_text(json.dumps(ours))
    meg = story.meg("outbound", "mta.example.com", [eip])

    def ready() -> bool:
        if not story.operator.running:
            assert story.operator.wait_exit(1) != 0
            story.operator.start()
        return meg.condition("Ready")[0] == "True"

    meg.until(ready, "the object to be Ready")


# ---------------------------------------------------------------- the start


def failed_start(story: Story, **settings: str) -> tuple[int, str]:
    """Exit code and log of an operator that does not come up."""
    process = story.sandbox.new_operator("failing", **settings)
    with pytest.raises(RuntimeError):
        process.start()
    return process.wait_exit(10), process.log_tail(100)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("resync_seconds", "soon"), ("regions", "Tokyo"), ("owner_id", "Not Allowed!"), ("workers", "0")],
)
def test_invalid_settings_are_told_at_once(bare_story: Story, setting: str, value: str) -> None:
    """Given a setting that makes no sense, the operator ends with 2 and one line that names it and the value."""
    code, log = failed_start(bare_story, **{setting: value})
    assert code == 2, log
    assert setting.replace("_", "-") in log or f"MAILEGRESS_{setting.upper()}" in log, log
    assert value in log
    assert "Traceback" not in log, log


def test_every_invalid_setting_is_told_in_one_go(bare_story: Story) -> None:
    """Given two wrong settings, both are named by the same message."""
    code, log = failed_start(bare_story, resync_seconds="soon", owner_id="Not Allowed!")
    assert code == 2
    assert "soon" in log, log
    assert "Not Allowed!" in log, log


def test_a_bad_kubeconfig_is_a_clear_error(bare_story: Story) -> None:
    """Given a kubeconfig that is not one, the operator ends with an error that names the file, and no traceback."""
    broken = bare_story.sandbox.directory / "broken.kubeconfig"
    broken.write_text("apiVersion: v1\nkind: Config\nclusters: nonsense\n")
    code, log = failed_start(bare_story, kubeconfig=str(broken))
    assert code not in (0, None), log
    assert "broken.kubeconfig" in log, log
    assert "Traceback" not in log, log


# ---------------------------------------------------------------- what it tells


def test_probes_and_metrics(story: Story) -> None:
    """Given an operator with a life behind it, /livez and /readyz are 200, the metrics have moved, and no label carries
    a hostname, an address or an object's name."""
    story.zone()
    one, two = story.eips(2)
    assert samples(story.operator)["mailegress_edit_to_ready_seconds_count"] == 0
    story.aws.add_fault("throttle", operation="ListResourceRecordSets", count=1)
    ready = story.meg("outbound", "mta.example.com", [one]).wait()
    story.put_record(story.zone("example.net"), "mta.example.net", ["192.0.2.1"])
    story.meg("conflicting", "mta.example.net", [two]).wait_reason("RecordConflict")
    assert story.operator.get("/livez")[0] == 200
    assert story.operator.get("/readyz")[0] == 200
    assert story.operator.get("/nothing")[0] == 404
    found = samples(story.operator)
    assert total(found, "mailegress_reconciles_total", 'outcome="ok"') > 5
    assert found["mailegress_queue_depth"] >= 0
    assert found["mailegress_queue_oldest_age_seconds"] >= 0
    for service in ("route53", "ec2"):
        assert found[f'mailegress_aws_state{{what="{service}_writes_due"}}'] == 0
    assert total(found, "mailegress_aws_calls_total", "ChangeResourceRecordSets", 'code="OK"') == 1
    assert total(found, "mailegress_aws_calls_total", "ModifyAddressAttribute", 'service="ec2"') == 1
    assert total(found, "mailegress_aws_calls_total", 'code="Throttling"') == 1
    assert total(found, "mailegress_aws_throttles_total", 'service="route53"') == 1
    assert found["mailegress_change_batch_names_count"] == 1
    assert total(found, "mailegress_dns_queries_total", 'role="authority"') >= 4
    assert total(found, "mailegress_dns_queries_total", 'role="resolver"') >= 1
    assert found['mailegress_objects{reason="Ready"}'] == 1
    assert found['mailegress_objects{reason="RecordConflict"}'] == 1
    assert found["mailegress_edit_to_ready_seconds_count"] == 1
    assert 0 <= found["mailegress_last_sign_of_life_seconds"] < 60
    assert total(found, "mailegress_api_writes_total", 'kind="status"', 'result="ok"') > 1
    text = story.operator.get("/metrics")[1]
    labels = " ".join(re.findall(r"\{(.*)\}", text))
    for private in ("example", "outbound", "conflicting", one.public_ip, one.allocation_id, story.namespace):
        assert private not in labels, private
    ready.delete()
    story.until(
        lambda: samples(story.operator).get('mailegress_objects{reason="Ready"}', 0) == 0,
        "the gauge to follow",
    )


def test_json_logs(bare_story: Story) -> None:
    """Given JSON logs, every line of a whole life parses; each decision is one line with object, action, outcome; the
    rights of ``deploy/`` were enough, and kopf does not chatter."""
    story = bare_story
    story.start_operator(log_format="json")
    story.zone()
    [eip] = story.eips()
    meg = story.meg("outbound", "mta.example.com", [eip]).wait()
    meg.delete()
    assert stop_seconds(story.operator) < STOPPED
    text = story.operator.log.read_text()
    lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    decisions = [line for line in lines if line.get("object") == f"{story.namespace}/outbound"]
    assert all(line.get("action") and line.get("outcome") for line in decisions), decisions
    actions = [line["action"] for line in decisions if line["action"] != "observe"]
    assert actions == [
        "add finalizer",
        f"create A {eip.public_ip}",
        "set PTR",
        "reset PTR",
        "remove mta.example.com",
        "remove finalizer",
    ]
    outcomes = [line["outcome"] for line in decisions if line["action"] == "observe"]
    assert "Ready=True" in outcomes
    told = [line["message"] for line in lines if line["level"] in ("warning", "error", "critical")]
    [test_bed] = told
    assert "--dns-extra-ranges" in test_bed, (
        "the sandbox's name servers are on loopback, and the start says so"
    )
    assert not [line for line in lines if line["logger"].startswith("kopf")]
    assert not re.search(r"\b403\b|orbidden", text)


def test_only_the_leader_acts(bare_story: Story) -> None:
    """Given two operators with leader election, only one acts; when it is told to go, the other takes over in seconds;
    when that one is killed, the first, started again, takes over when the Lease has run out."""
    story = bare_story
    story.zone()
    one, two = story.eips(2)
    before = story.world()
    left = story.start_operator("left", leader_elect="on")
    meg = story.meg("first", "first.example.com", [one]).wait()
    right = story.start_operator("right", leader_elect="on")
    second = story.meg("second", "second.example.com", [two]).wait()
    assert total(samples(right), "mailegress_reconciles_total") == 0
    assert total(samples(left), "mailegress_reconciles_total") > 0
    lease = json.loads(story.plane.kubectl("-n", "mailegress-system", "get", "leases", "-o", "json").stdout)[
        "items"
    ]
    assert [item["spec"]["holderIdentity"] for item in lease] == ["left"]
    began = time.monotonic()
    assert stop_seconds(left) < STOPPED
    meg.spec(hostname="renamed.example.com")
    meg.wait()
    assert time.monotonic() - began < 30
    assert total(samples(right), "mailegress_reconciles_total") > 0
    left.start()
    right.send(signal.SIGKILL)
    second.spec(hostname="other.example.com")
    second.wait()
    for each in (meg, second):
        each.delete()
    story.assert_world(before)
    assert story.aws.upserts() == 0


def _ended_badly(operator: OperatorProcess) -> bool:
    if operator.running:
        return False
    assert operator.wait_exit(1) != 0
    return True


def _tells_or_ends(operator: OperatorProcess) -> bool:
    """Does the log tell that the kind is missing, or did the process end with an error?"""
    told = re.search(" (WARNING|ERROR) .*(404|not found|list)", operator.log_tail(100))
    return _ended_badly(operator) or told is not None


def test_without_its_kind_it_tells_or_ends_with_an_error(story: Story) -> None:
    """Given a cluster whose administrator removes the CRD, the operator says so or ends with an error, never with 0,
    and works when the CRD is back (restarted by Kubernetes if it ended)."""
    operator = story.operator

    story.plane.kubectl("delete", "crd", f"{PLURAL}.{GROUP}")
    try:
        story.until(lambda: _tells_or_ends(operator), "the operator to notice")
    finally:
        story.plane.install_crds(CRDS)
    story.zone()
    [eip] = story.eips()
    meg = story.meg("outbound", "mta.example.com", [eip])

    def ready() -> bool:
        if _ended_badly(operator):
            operator.start()
        return meg.condition("Ready")[0] == "True"

    meg.until(ready, "the object to be Ready")


def test_the_crd_is_deleted_with_ready_objects(story: Story) -> None:
    """Given two Ready objects, when an administrator deletes the CRD, the operator cleans up after both, the CRD goes
    within seconds, and the operator says so or ends with an error."""
    operator = story.operator
    story.zone()
    eips = story.eips(2)
    before = story.world()
    for number, eip in enumerate(eips):
        story.meg(f"m{number}", f"m{number}.example.com", [eip]).wait()
    try:
        story.plane.kubectl("delete", "crd", f"{PLURAL}.{GROUP}", "--timeout=60s")
        story.assert_world(before)
        story.until(lambda: _tells_or_ends(operator), "the operator to notice")
    finally:
        story.plane.install_crds(CRDS)
