"""Roles and accounts, permissions, injected faults, the call log, dumps and their difference."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from sandbox.aws.local import LocalAws
from sandbox.aws.model import AwsFault, ConnectionCut, DenyRule, FaultRule, GarbageReply, Role
from sandbox.aws.model.world import diff
from sandbox.aws.service import Call

OTHER = "444455556666"
ROLE = f"arn:aws:iam::{OTHER}:role/dns"


def fault_of(send: Callable[[], Any]) -> AwsFault:
    with pytest.raises(AwsFault) as caught:
        send()
    return caught.value


def assume(aws: LocalAws, **more: Any) -> dict[str, Any]:
    reply = aws.sts("AssumeRole", RoleArn=ROLE, RoleSessionName="op", **more)
    credentials: dict[str, Any] = reply["Credentials"]
    return credentials


def become(aws: LocalAws, credentials: dict[str, Any]) -> None:
    aws.access_key, aws.token = credentials["AccessKeyId"], credentials["SessionToken"]


def test_what_is_said_of_another_accounts_zone_is_a_switch(aws: LocalAws, zone: str) -> None:
    """Both NoSuchHostedZone and AccessDenied have been seen; a zone that nobody has is always NoSuchHostedZone."""
    theirs = aws.model.account(OTHER).route53.add_zone("example.com").id
    for answer in ("NoSuchHostedZone", "AccessDenied"):
        aws.model.settings.foreign_zone = answer  # type: ignore[assignment]
        assert fault_of(lambda: aws.route53("GetHostedZone", Id=theirs)).code == answer
        assert fault_of(lambda: aws.route53("ListResourceRecordSets", HostedZoneId=theirs)).code == answer
        assert fault_of(lambda: aws.route53("GetHostedZone", Id="ZNOBODYS")).code == "NoSuchHostedZone"
        assert aws.route53("GetHostedZone", Id=zone)["HostedZone"]["Name"] == "example.com."


def test_a_role_isolates_its_account(aws: LocalAws, zone: str) -> None:
    """API_AssumeRole; page "Cross account resource access in IAM"."""
    theirs = aws.model.account(OTHER).route53.add_zone("example.com").id
    aws.model.sts.put_role(Role(ROLE, external_id="secret"))
    assert aws.sts("GetCallerIdentity")["Account"] == "111122223333"
    become(aws, assume(aws, ExternalId="secret"))
    identity = aws.sts("GetCallerIdentity")
    assert identity["Account"] == OTHER
    assert identity["Arn"] == f"arn:aws:sts::{OTHER}:assumed-role/dns/op"
    assert [each["Id"] for each in aws.route53("ListHostedZones")["HostedZones"]] == [f"/hostedzone/{theirs}"]
    assert fault_of(lambda: aws.route53("GetHostedZone", Id=zone)).code == "NoSuchHostedZone"


@pytest.mark.parametrize("more", [{}, {"ExternalId": "wrong"}])
def test_the_external_id_is_checked(aws: LocalAws, more: dict[str, str]) -> None:
    """Page "Access to AWS accounts owned by third parties": sts:ExternalId in the trust policy."""
    aws.model.sts.put_role(Role(ROLE, external_id="secret"))
    fault = fault_of(lambda: assume(aws, **more))
    assert (fault.code, fault.status) == ("AccessDenied", 403)
    assert "sts:AssumeRole" in fault.message


def test_trust_unknown_roles_and_chaining(aws: LocalAws) -> None:
    """Page "Roles terms and concepts": role chaining limits a session to one hour."""
    assert fault_of(lambda: assume(aws)).code == "AccessDenied"
    aws.model.sts.put_role(Role(ROLE, trusted=("999999999999",)))
    assert fault_of(lambda: assume(aws)).code == "AccessDenied"
    aws.model.sts.put_role(Role(ROLE, max_duration=43200))
    become(aws, assume(aws, DurationSeconds=43200))
    assert fault_of(lambda: assume(aws, DurationSeconds=7200)).code == "ValidationError"


def test_session_keys_expire(aws: LocalAws, zone: str) -> None:
    """STS: ExpiredToken; EC2's error code page: RequestExpired."""
    aws.model.sts.put_role(Role(ROLE))
    become(aws, assume(aws, DurationSeconds=900))
    aws.clock.advance(899)
    aws.route53("ListHostedZones")
    aws.clock.advance(1)
    fault = fault_of(lambda: aws.route53("ListHostedZones"))
    assert (fault.code, fault.status) == ("ExpiredToken", 403)
    assert fault_of(lambda: aws.sts("GetCallerIdentity")).code == "ExpiredToken"
    assert fault_of(lambda: aws.ec2("DescribeAddresses")).code == "RequestExpired"
    aws.token = "forged"
    assert fault_of(lambda: aws.sts("GetCallerIdentity")).code == "InvalidClientTokenId"


def test_web_identity_needs_no_keys(aws: LocalAws) -> None:
    """API_AssumeRoleWithWebIdentity: unsigned, with an OIDC token."""
    aws.model.sts.put_role(Role(ROLE, web_identity=True))
    made = aws.sts("AssumeRoleWithWebIdentity", RoleArn=ROLE, RoleSessionName="op", WebIdentityToken="jwt-x")
    become(aws, made["Credentials"])
    assert aws.sts("GetCallerIdentity")["Account"] == OTHER
    assert "jwt-x" not in str(aws.model.log.entries())


def test_keys_bound_to_accounts(aws: LocalAws) -> None:
    """One access key belongs to one account."""
    aws.model.sts.register_key("AKIAOTHER", OTHER)
    aws.ec2("AllocateAddress")
    aws.access_key = "AKIAOTHER"
    assert aws.ec2("DescribeAddresses")["Addresses"] == []


def test_denials_switch_on_and_off(aws: LocalAws, zone: str) -> None:
    """Service authorization reference: actions and resources; the texts as AWS writes them."""
    eip = aws.ec2("AllocateAddress")
    first = aws.model.policy.deny(DenyRule("route53:Change*", f"arn:aws:route53:::hostedzone/{zone}"))
    aws.model.policy.deny(DenyRule("ec2:ResetAddressAttribute", f"*:elastic-ip/{eip['AllocationId']}"))
    record = {"Name": "a.example.com", "Type": "A", "TTL": 1, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    send = partial(aws.route53, "ChangeResourceRecordSets", HostedZoneId=zone, ChangeBatch=batch)
    fault = fault_of(send)
    assert (fault.code, fault.status) == ("AccessDenied", 403)
    assert fault.message.startswith(
        "User: arn:aws:iam::111122223333:user/sandbox is not authorized to perform: "
        f"route53:ChangeResourceRecordSets on resource: arn:aws:route53:::hostedzone/{zone}"
    )
    reset = {"AllocationId": eip["AllocationId"], "Attribute": "domain-name"}
    assert fault_of(lambda: aws.ec2("ResetAddressAttribute", **reset)).code == "UnauthorizedOperation"
    aws.model.policy.allow(first)
    send()
    assert fault_of(lambda: aws.ec2("ResetAddressAttribute", **reset)).code == "UnauthorizedOperation"
    aws.model.policy.hook = lambda context, action, resource: action == "ec2:DescribeAddresses"
    assert fault_of(lambda: aws.ec2("DescribeAddresses")).code == "UnauthorizedOperation"


def test_fault_rules_strike_where_and_as_often_as_told(aws: LocalAws, zone: str) -> None:
    """Errors, throttles, 5xx by service, operation and parameters; skip and count."""
    faults = aws.model.faults
    faults.add(FaultRule("throttle", service="ec2", count=2, skip=1))
    aws.ec2("DescribeAddresses")
    assert [fault_of(lambda: aws.ec2("DescribeAddresses")).status for _ in range(2)] == [503, 503]
    aws.ec2("DescribeAddresses")
    faults.add(FaultRule("throttle", service="route53", contains=zone))
    aws.route53("ListHostedZones")
    assert fault_of(lambda: aws.route53("GetHostedZone", Id=zone)).code == "Throttling"
    faults.clear()
    faults.add(FaultRule("server_error", operation="GetHostedZone"))
    assert fault_of(lambda: aws.route53("GetHostedZone", Id=zone)).status == 503
    faults.clear()
    faults.add(FaultRule("error", code="Odd", message="m", status=418, delay=2.0))
    reply = aws.service.exchange(Call("route53", "GetHostedZone", {"Id": zone}))
    assert reply.fault is not None
    assert (reply.fault.code, reply.fault.status, reply.delay) == ("Odd", 418, 2.0)
    faults.clear()
    faults.add(FaultRule("delay", delay=3.0))
    assert aws.service.exchange(Call("ec2", "DescribeAddresses", {})).delay == 3.0
    faults.clear()
    faults.add(FaultRule("garbage", count=1))
    with pytest.raises(GarbageReply):
        aws.ec2("DescribeAddresses")
    faults.add(FaultRule("hostile", count=1))
    assert "\x1b" in fault_of(lambda: aws.ec2("DescribeAddresses")).message
    faults.add(FaultRule("cut_after", predicate=lambda context, service, name, params: service == "ec2"))
    with pytest.raises(ConnectionCut):
        aws.ec2("AllocateAddress")
    aws.route53("ListHostedZones")
    faults.clear()
    assert len(aws.ec2("DescribeAddresses")["Addresses"]) == 1


def test_the_log_keeps_who_what_where_and_the_outcome(aws: LocalAws, zone: str) -> None:
    """What stories count: each call once, with its outcome."""
    aws.route53("GetHostedZone", Id=zone)
    fault_of(lambda: aws.route53("GetHostedZone", Id="ZNONE"))
    fault_of(lambda: aws.ec2("NoSuchThing"))
    last = aws.model.log.entries(outcome="NoSuchHostedZone")[-1]
    assert (last.operation, last.account, last.applied) == ("GetHostedZone", "111122223333", False)
    assert aws.model.log.counts() == {
        "ec2:NoSuchThing:InvalidAction": 1,
        "route53:GetHostedZone:NoSuchHostedZone": 1,
        "route53:GetHostedZone:ok": 1,
    }
    assert [entry.number for entry in aws.model.log.entries(since=1)] == [2, 3]
    assert aws.model.log.entries(contains=zone)[0].outcome == "ok"
    aws.model.log.reset()
    assert aws.model.log.counts() == {}


def test_a_dump_shows_what_stays_and_diff_what_changed(aws: LocalAws, zone: str) -> None:
    """Equal worlds dump equal, however they came about."""
    eip = aws.ec2("AllocateAddress")
    aws.model.settings.ptr_precondition = "off"
    before = copy.deepcopy(aws.model.dump())
    record = {"Name": "a.example.com", "Type": "A", "TTL": 1, "ResourceRecords": [{"Value": "192.0.2.1"}]}

    def change(action: str) -> None:
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
        aws.route53("ChangeResourceRecordSets", HostedZoneId=zone, ChangeBatch=batch)
        aws.clock.advance(1)

    change("CREATE")
    aws.ec2("ModifyAddressAttribute", AllocationId=eip["AllocationId"], DomainName="a.example.com")
    lines = diff(before, aws.model.dump())
    assert len(lines) == 2
    assert any("a.example.com. A" in line and line.startswith("+") for line in lines)
    assert any("ptr_pending" in line for line in lines)
    aws.clock.advance(120)
    assert any(line.startswith("~") and "/ptr " in line for line in diff(before, aws.model.dump()))
    change("DELETE")
    aws.ec2("ResetAddressAttribute", AllocationId=eip["AllocationId"], Attribute="domain-name")
    aws.clock.advance(120)
    assert diff(before, aws.model.dump()) == []


def test_equal_seeds_make_equal_worlds() -> None:
    """Determinism: a failing simulation can be run again."""
    worlds = []
    for _ in range(2):
        aws = LocalAws(seed=7)
        aws.route53("CreateHostedZone", Name="example.com", CallerReference="r")
        aws.ec2("AllocateAddress")
        worlds.append(aws.model.dump())
    assert worlds[0] == worlds[1]
