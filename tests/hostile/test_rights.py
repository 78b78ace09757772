"""What forged records, losers of a claim and a stolen role get: nothing."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

import pytest

from mailegress.aws.route53.record_index import RecordStore
from mailegress.model.aws import NameView
from mailegress.model.ownership import Mark
from mailegress.reconcile.result import ChangeRecords
from mailegress.reconcile.rules.record_changes import mark_set
from sandbox.aws.local import LocalAws
from sandbox.aws.model import AwsFault
from sandbox.cloud import OPERATOR_ARN, OPERATOR_KEY, OPERATOR_USER
from sandbox.shipped import ZONE_POLICY, fill
from tests.support.planner import ACCOUNT, OTHER_UID, ZONE, PlannerHarness, mine, obj, recorded

HOST, FOREIGN = "mta.example.com", "192.0.2.77"
Bound = Callable[..., None]


def changed(harness: PlannerHarness, rounds: int, **spec: object) -> int:
    """A records that an object changes or removes in some rounds, its status written after each."""
    me, count = obj(HOST, [harness.eip(1, HOST)], **spec), 0
    for number in range(rounds):
        harness.now = harness.dns.at = harness.dns.public_at = 400.0 * number
        plan = harness.plan(me)
        if isinstance(plan.action, ChangeRecords):
            count += any(c.record_set.type == "A" for c in plan.action.changes)
            harness.records.apply(plan.action.zone_id, plan.action.hostname, plan.action.changes)
        me = harness.written(me, plan)
    return count


def forged_at(hostname: str) -> PlannerHarness:
    """A third party's A record, and beside it an ownership record with the object's own UID."""
    harness = PlannerHarness()
    harness.records.put(hostname, [FOREIGN], mine())
    return harness


def test_a_forged_ownership_record_changes_no_a_record(bound: Bound) -> None:
    seen = changed(forged_at(HOST), 5)
    seen += changed(forged_at(HOST), 5, deleting=True, generation=2)
    seen += changed(forged_at(HOST), 5, suspend=True)
    elsewhere = forged_at("www.example.com")
    elsewhere.records.put(HOST, ["203.0.113.1"], mine())
    elsewhere.publish(HOST)
    seen += changed(elsewhere, 8, status=recorded(HOST))
    bound("A records changed under a forged ownership record", limit=0, seen=seen)


def test_the_loser_of_a_claim_sees_no_detail(bound: Bound) -> None:
    harness = PlannerHarness()
    eip = harness.eip(1, "theirs.example.com", instance_id="i-0fedcba9876543210")
    harness.take(obj("theirs.example.com", [eip], uid=OTHER_UID, created="2025-01-01T00:00:00Z"))
    harness.records.put("theirs.example.com", [eip.public_ip], mine(OTHER_UID))
    me = obj(HOST, [eip])
    told = json.dumps(harness.written(me, harness.plan(me)).status.to_dict())
    details = (ACCOUNT, eip.public_ip, eip.instance_id, "theirs.example.com")
    assert eip.allocation_id in told, "what the user wrote is repeated"
    bound(
        "details of an address shown to the loser of its claim", limit=0, seen=sum(d in told for d in details)
    )


def test_orphans_are_counted(bound: Bound) -> None:
    store, orphans = RecordStore(), 1000
    for number in range(2 * orphans):
        hostname, uid = f"h{number}.example.com", str(uuid.UUID(int=number))
        store.put(ZONE.id, NameView(hostname, (), mark_set(hostname, Mark(False, "us", uid))), 0.0)
    live = {str(uuid.UUID(int=number)) for number in range(orphans)}
    counted = store.orphans(live, {"us"}, {ZONE.id})
    bound("orphaned ownership records that are not counted", limit=0, seen=abs(orphans - counted))


@pytest.mark.parametrize("label", ["_acme-challenge", "_dmarc", "s1._domainkey", "_mta-sts", "_smtp._tls"])
def test_the_role_cannot_write_names_that_prove_control_or_set_mail_policy(bound: Bound, label: str) -> None:
    aws = LocalAws()
    aws.model.sts.register_key(OPERATOR_KEY, aws.model.settings.default_account, OPERATOR_USER)
    aws.access_key = OPERATOR_KEY
    aws.model.account().route53.add_zone("example.com", zone_id="ZEXAMPLECOM")
    aws.model.policy.attach(OPERATOR_ARN, fill(ZONE_POLICY, zone_id="ZEXAMPLECOM"))

    def writes(name: str) -> bool:
        aws.clock.advance(60)
        record = {"Name": name, "Type": "TXT", "TTL": 300, "ResourceRecords": [{"Value": '"v"'}]}
        changes = [{"Action": "CREATE", "ResourceRecordSet": record}]
        try:
            aws.route53(
                "ChangeResourceRecordSets", HostedZoneId="ZEXAMPLECOM", ChangeBatch={"Changes": changes}
            )
        except AwsFault as fault:
            return fault.code != "AccessDenied"
        return True

    assert writes("_mailegress.mta.example.com")
    names = (f"{label}.example.com", f"{label}.mta.example.com")
    seen = sum(writes(name) for name in names)
    bound(f"{label} names that the shipped policy lets through", limit=0, seen=seen)
