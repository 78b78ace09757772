"""One table classifies every error, and the same error always gives the same text."""

from __future__ import annotations

import re

import pytest

from mailegress.api.reasons import ALL_REASONS
from mailegress.aws.api import AwsError, Service
from mailegress.aws.errors import MAX_MESSAGE, classify, rejections
from mailegress.model.facts import ErrorKind

R53, EC2, STS = Service.ROUTE53, Service.EC2, Service.STS
CHANGE, MODIFY = "ChangeResourceRecordSets", "ModifyAddressAttribute"

TABLE = [
    (R53, CHANGE, "Throttling", "Rate exceeded", 400, "Throttled", ErrorKind.TRANSIENT, False),
    (R53, CHANGE, "PriorRequestNotComplete", "", 400, "Throttled", ErrorKind.TRANSIENT, False),
    (EC2, MODIFY, "RequestLimitExceeded", "", 503, "Throttled", ErrorKind.TRANSIENT, False),
    (EC2, MODIFY, "InternalError", "", 500, "AWSUnavailable", ErrorKind.TRANSIENT, True),
    (EC2, MODIFY, "Timeout", "Read timeout on endpoint", 0, "AWSUnavailable", ErrorKind.TRANSIENT, True),
    (EC2, "DescribeAddresses", "UntrustedCertificate", "", 0, "EndpointUnreachable", ErrorKind.TRANSIENT, False),
    (EC2, MODIFY, "NotAWS", "", 200, "EndpointUnreachable", ErrorKind.TRANSIENT, True),
    (EC2, MODIFY, "ConnectionError", "", 0, "AWSUnavailable", ErrorKind.TRANSIENT, True),
    (EC2, "DescribeAddresses", "Timeout", "", 0, "AWSUnavailable", ErrorKind.TRANSIENT, False),
    (R53, CHANGE, "SomethingNew", "", 502, "AWSUnavailable", ErrorKind.TRANSIENT, True),
    (R53, "ListHostedZones", "AccessDenied", "no", 403, "AccessDenied", ErrorKind.WORLD, False),
    (EC2, MODIFY, "UnauthorizedOperation", "no", 403, "AccessDenied", ErrorKind.WORLD, False),
    (STS, "AssumeRole", "AccessDenied", "no", 403, "CredentialsUnavailable", ErrorKind.WORLD, False),
    (STS, "AssumeRoleWithWebIdentity", "InvalidIdentityToken", "", 400, "CredentialsUnavailable",
     ErrorKind.WORLD, False),
    (EC2, "DescribeAddresses", "NoCredentials", "", 0, "CredentialsUnavailable", ErrorKind.WORLD, False),
    (R53, "GetChange", "ExpiredToken", "", 403, "CredentialsUnavailable", ErrorKind.WORLD, False),
    (R53, CHANGE, "NoSuchHostedZone", "", 404, "ZoneNotFound", ErrorKind.WORLD, False),
    (EC2, MODIFY, "InvalidAllocationID.NotFound", "", 400, "AddressNotFound", ErrorKind.WORLD, False),
    (EC2, MODIFY, "InvalidParameterValue", "", 400, "PTRRejected", ErrorKind.WORLD, False),
    (EC2, MODIFY, "UnsupportedOperation", "", 400, "PTRRejected", ErrorKind.WORLD, False),
    (EC2, MODIFY, "OperationNotPermitted", "", 400, "PTRRejected", ErrorKind.WORLD, False),
    (EC2, MODIFY, "InvalidAddress.Locked", "", 400, "PTRRejected", ErrorKind.WORLD, False),
    (EC2, "ResetAddressAttribute", "InvalidAddress.Locked", "", 400, "PTRRejected", ErrorKind.WORLD, False),
    (EC2, MODIFY, "AuthFailure", "You do not have permission to access the specified resource.", 403,
     "PTRRejected", ErrorKind.WORLD, False),
    (EC2, MODIFY, "AuthFailure", "AWS was not able to validate the provided access credentials", 401,
     "CredentialsUnavailable", ErrorKind.WORLD, False),
    (EC2, "ResetAddressAttribute", "InvalidAction", "", 400, "PTRRejected", ErrorKind.WORLD, False),
    (EC2, "DescribeAddressesAttribute", "InvalidAction", "", 400, "UnexpectedError", ErrorKind.WORLD, False),
    (EC2, "DescribeNatGateways", "InvalidAction", "", 400, "UnexpectedError", ErrorKind.WORLD, False),
    (R53, CHANGE, "LimitsExceeded", "", 400, "QuotaExceeded", ErrorKind.WORLD, False),
    (R53, CHANGE, "InvalidChangeBatch", "[Tried to create resource record set [name='a.example.com.', "
     "type='A'] but it already exists]", 400, "ChangeRejected", ErrorKind.TRANSIENT, False),
    (R53, CHANGE, "InvalidChangeBatch", "[Tried to delete resource record set [name='a.', type='A'] but the "
     "values provided do not match the current values]", 400, "ChangeRejected", ErrorKind.TRANSIENT, False),
    (R53, CHANGE, "InvalidChangeBatch", "[RRSet of type A with DNS name a.example.com. is not permitted because "
     "a conflicting RRSet of type CNAME with the same DNS name already exists in zone example.com.]", 400,
     "RecordConflict", ErrorKind.HUMAN, False),
    (R53, CHANGE, "InvalidChangeBatch", "[RRSet with DNS name a.org. is not permitted in zone example.com.]",
     400, "ChangeRejected", ErrorKind.HUMAN, False),
    (R53, CHANGE, "InvalidChangeBatch", "", 400, "ChangeRejected", ErrorKind.WORLD, False),
    (R53, CHANGE, "InvalidInput", "bad", 400, "ChangeRejected", ErrorKind.WORLD, False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("service", "operation", "code", "message", "status", "reason", "kind", "unknown"), TABLE
)
def test_each_error_has_its_class(
    service: Service,
    operation: str,
    code: str,
    message: str,
    status: int,
    reason: str,
    kind: ErrorKind,
    unknown: bool,
) -> None:
    fault = classify(AwsError(service, operation, code, message, status))
    assert (fault.reason, fault.kind, fault.unknown_outcome) == (reason, kind, unknown)
    assert reason in ALL_REASONS
    assert fault.message


def test_a_request_that_was_never_sent_has_a_known_outcome() -> None:
    fault = classify(AwsError(EC2, MODIFY, "ConnectionError", "no connection to x: refused", sent=False))
    assert not fault.unknown_outcome
    assert fault.reason == "EndpointUnreachable"
    assert fault.message.startswith("ModifyAddressAttribute: no connection to x: refused; ")


TWICE = [
    (
        "UnauthorizedOperation",
        "You are not authorized to perform this operation. User: arn:aws:sts::111122223333:assumed-role/mail/"
        "botocore-session-{n}79000000 is not authorized to perform: ec2:ModifyAddressAttribute on resource: "
        "arn:aws:ec2:eu-west-1:111122223333:elastic-ip/eipalloc-1 because no identity-based policy allows the "
        "action. Encoded authorization failure message: {n}xAbC-_{n}{n}9",
    ),
    (
        "InvalidParameterValue",
        "Nope (Service: Ec2, Status Code: 400, Request ID: {n}d2f6f60-83a1-4fa9-8ea2-3b1dd3c26c4{n})",
    ),
    ("RequestExpired", "Request has expired. Timestamp date is 2026-0{n}-02T03:04:05Z"),
    ("SignatureDoesNotMatch", "Signature expired: 2026010{n}T030405Z is now earlier than 2026010{n}T031905Z (x)"),
    ("Timeout", 'Read timeout on endpoint URL: "http://127.0.0.1:{n}001/"'),
    ("ConnectionError", "<urllib3.connection.HTTPConnection object at 0x7f{n}0>: Failed to connect"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "text"), TWICE)
def test_what_differs_between_attempts_is_left_out(code: str, text: str) -> None:
    first, second = (classify(AwsError(EC2, MODIFY, code, text.replace("{n}", n), 400)) for n in "12")
    assert first == second


DENIED = "User: arn:aws:sts::111122223333:assumed-role/mail-egress/session-1 is not authorized to perform: "
DENIERS = [
    ("because no service control policy allows the {0} action", "a service control policy does not allow it",
     "an administrator of the AWS organization has to allow it there"),
    ("with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o-1/p-1",
     "a service control policy denies it", "an administrator of the AWS organization has to allow it there"),
    ("with an explicit deny in a resource control policy", "a resource control policy denies it",
     "an administrator of the AWS organization that owns the resource has to allow it there"),
    ("because no permissions boundary allows the {0} action",
     "the permissions boundary of the role does not allow it",
     "whoever administers IAM in the account has to allow it there"),
    ("because no VPC endpoint policy allows the {0} action", "the policy of the VPC endpoint does not allow it",
     "whoever runs the VPC has to allow it in that endpoint's policy"),
    ("with an explicit deny in a VPC endpoint policy", "the policy of the VPC endpoint denies it",
     "whoever runs the VPC has to allow it in that endpoint's policy"),
    ("because no session policy allows the {0} action", "the session policy does not allow it",
     "whoever issues the operator's credentials has to allow it there"),
    ("with an explicit deny in a resource-based policy", "a resource-based policy denies it",
     "the owner of the resource has to allow it in the policy of the resource"),
    ("because no identity-based policy allows the {0} action", "an identity-based policy does not allow it",
     "allow it in the IAM policy of the operator's role"),
    ("with an explicit deny in an identity-based policy", "an identity-based policy denies it",
     "remove the Deny from the IAM policies of the operator's role"),
    ("with an explicit deny", "a policy denies it explicitly",
     "remove the Deny from the policies that apply to the operator's role"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "because", "remedy"), DENIERS)
def test_a_denial_names_the_action_the_policy_and_who_can_change_it_and_logs_the_role(
    caplog: pytest.LogCaptureFixture, said: str, because: str, remedy: str
) -> None:
    action = "route53:GetChange"
    text = f"{DENIED}{action} {said.format(action)}"
    fault = classify(AwsError(R53, "GetChange", "AccessDenied", text, 403))
    assert fault.message == f"AWS denies {action} ({because}); {remedy}"
    assert "to role mail-egress of account 111122223333" in caplog.text
    text = f"{DENIED}sts:AssumeRole on resource: arn:aws:iam::222222222222:role/zones {said.format('sts:AssumeRole')}"
    fault = classify(AwsError(STS, "AssumeRole", "AccessDenied", text, 403))
    assert fault.reason == "CredentialsUnavailable"
    assert fault.message == f"AWS denies sts:AssumeRole ({because}); {remedy}"
    assert "arn:aws:iam::222222222222:role/zones" in caplog.text


def test_a_denial_without_a_cause_names_the_usual_one() -> None:
    fault = classify(AwsError(EC2, MODIFY, "UnauthorizedOperation", "You are not authorized", 403))
    assert fault.message == (
        "AWS denies ec2:ModifyAddressAttribute; allow it in the IAM policy of the operator's role"
    )


SKEWED = [
    ("Signature not yet current: {0} is still later than {1} ({2} + 5 min.)", "ahead of"),
    ("Signature expired: {0} is now earlier than {1} ({2} - 5 min.)", "behind"),
]


@pytest.mark.parametrize(("text", "side"), SKEWED)
def test_a_wrong_clock_is_called_one(text: str, side: str) -> None:
    said = [
        classify(
            AwsError(
                STS,
                "GetCallerIdentity",
                "SignatureDoesNotMatch",
                text.format(*[f"2026112{n}T014412Z"] * 3),
                403,
            )
        )
        for n in range(2)
    ]
    assert said[0] == said[1]
    assert said[0].reason == "CredentialsUnavailable"
    assert said[0].message == (
        "GetCallerIdentity: SignatureDoesNotMatch: the clock of the operator's node is more than 5 minutes "
        f"{side} AWS's, so that AWS does not accept its signatures; correct the clock of the operator's node (NTP)"
    )


@pytest.mark.parametrize(
    "code",
    ["InvalidClientTokenId", "ExpiredToken", "AuthFailure", "SignatureDoesNotMatch", "InvalidIdentityToken",
     "OptInRequired", "RequestExpired", "NoCredentials", "SomethingNew"],
)  # fmt: skip
def test_credentials_that_are_not_accepted_have_a_remedy(code: str) -> None:
    long = "The security token included in the request is invalid. " * 40
    fault = classify(AwsError(STS, "GetCallerIdentity", code, long, 403))
    assert fault.reason == "CredentialsUnavailable"
    assert fault.message.startswith("GetCallerIdentity: ")
    said, _, remedy = fault.message.partition("; ")
    assert said
    assert remedy.split()[0] in ("check", "correct", "enable", "the", "give")
    assert len(fault.message) <= MAX_MESSAGE


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidParameterValue", "AccessDenied", "SomethingNew"])
@pytest.mark.parametrize("operation", ["AssumeRole", "ModifyAddressAttribute"])
def test_roles_and_accounts_are_no_part_of_a_message(code: str, operation: str) -> None:
    said = (
        "User: arn:aws-us-gov:sts::111122223333:assumed-role/mail-egress/session-1 is not authorized to perform: "
        "sts:AssumeRole on resource: arn:aws:iam::444455556666:role/path/mailegress-eip"
    )
    message = classify(AwsError(EC2, operation, code, said, 403)).message
    assert not re.search(r"\d{12}|mail-?egress-eip|session-1|mail-egress", message), message


def test_hostile_text_is_cut_and_cleaned() -> None:
    text = "bad\x1b[31m\x00\n‮" + "y" * 100_000
    for code in ("InvalidParameterValue", "InvalidChangeBatch", "Whatever"):
        message = classify(AwsError(EC2, MODIFY, code, text, 400)).message
        assert len(message) <= MAX_MESSAGE
        assert message.isprintable()


def test_a_refused_batch_tells_each_name_its_own_words() -> None:
    message = (
        "[Tried to create resource record set [name='b.example.com.', type='A'] but it already exists, "
        "Tried to create resource record set [name='_mailegress.b.example.com.', type='TXT'] but it already "
        "exists, RRSet with DNS name A\\052.example.org. is not permitted in zone example.com.]"
    )
    found = {r.hostname: r.message for r in rejections(AwsError(R53, CHANGE, "InvalidChangeBatch", message))}
    assert set(found) == {"b.example.com", "a*.example.org"}
    assert "org" not in found["b.example.com"]
    assert found["b.example.com"].count("already exists") == 2
