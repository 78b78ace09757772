"""The services over the model: one call in, one reply out, in botocore's parsed-shape terms.

Both the wire and an in-process simulation go through here: credentials, injected faults, quotas, permissions,
DryRun and the call log are the same for both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .model import AwsFault, AwsModel, ConnectionCut, Context, GarbageReply, Principal
from .model.base import Params, Response
from .model.changebatch import condition_facts, read_changes
from .model.throttle import check_ec2, check_route53

Operation = Callable[[Context, Params], Response]


@dataclass(frozen=True, slots=True)
class Call:
    """One API call: `service` is route53, ec2 or sts; `operation` and `params` as botocore names them."""

    service: str
    operation: str
    params: Params
    region: str = "us-east-1"
    access_key: str = ""
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back: a response or a fault or nothing (`cut`), after `delay` seconds."""

    response: Response = field(default_factory=dict)
    fault: AwsFault | None = None
    cut: bool = False
    garbage: bool = False
    delay: float = 0.0


class AwsService:
    """The services of one model. Not thread-safe: the model has no locks."""

    def __init__(self, model: AwsModel) -> None:
        self.model = model

    def handle(self, call: Call) -> Response:
        """The response. Raises AwsFault, ConnectionCut or GarbageReply; delays are left to the caller."""
        return self._run(call)[0]

    def exchange(self, call: Call) -> Reply:
        """As `handle`, but every outcome is a value, with the delay that belongs to it."""
        try:
            response, delay = self._run(call)
        except AwsFault as fault:
            return Reply(fault=fault, delay=fault.delay)
        except ConnectionCut as cut:
            return Reply(cut=True, delay=cut.after)
        except GarbageReply:
            return Reply(garbage=True)
        return Reply(response, delay=delay)

    def operation(self, account: str, region: str, service: str, name: str) -> Operation:
        """Raises InvalidAction for what the sandbox does not have."""
        model = self.model
        table: dict[str, Operation]
        if service == "route53":
            table = model.account(account).route53.operations
        elif service == "ec2":
            table = model.account(account).region(region).operations
        elif service == "sts":
            table = model.sts.operations
        else:
            table = {}
        if name not in table:
            raise AwsFault("InvalidAction", f"The action {name} is not valid for this web service.")
        return table[name]

    def _run(self, call: Call) -> tuple[Response, float]:
        model = self.model
        now = model.now()
        anonymous = Principal("000000000000", "anonymous", "anonymous", call.access_key)
        context = Context(anonymous, call.region, now)
        outcome, applied = "ok", False
        try:
            if call.operation != "AssumeRoleWithWebIdentity":
                principal = model.sts.principal(call.service, call.access_key, call.token, now)
                context = Context(principal, call.region, now)
            strike = model.faults.strike(context, call.service, call.operation, call.params)
            operation = self.operation(context.account, call.region, call.service, call.operation)
            self._check_quota(context, call)
            values = condition_values(model, context, call) if model.policy.attached else {}
            model.policy.check(context, call.service, call.operation, call.params, values)
            if call.params.get("DryRun") and call.operation != "ReleaseAddress":
                raise AwsFault(
                    "DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412
                )
            response = _run_operation(operation, context, call.params)
            applied = True
            if strike.cut_after:
                raise ConnectionCut(applied=True, after=strike.delay)
            delay = strike.delay
            if call.operation == "ChangeResourceRecordSets":
                delay += model.settings.delays.change_processing
            return response, delay
        except AwsFault as fault:
            outcome = fault.code
            raise
        except ConnectionCut as cut:
            outcome = "cut-after" if cut.applied else "cut-before"
            raise
        except GarbageReply:
            outcome = "garbage"
            raise
        finally:
            model.log.record(context, call.service, call.operation, call.params, outcome, applied)

    def _check_quota(self, context: Context, call: Call) -> None:
        model = self.model
        if not model.settings.quotas:
            return
        if call.service == "route53":
            check_route53(model.buckets, context.account, call.operation, context.now)
        elif call.service == "ec2":
            check_ec2(model.buckets, context.account, context.region, call.operation, context.now)


def condition_values(model: AwsModel, context: Context, call: Call) -> dict[str, list[str]]:
    """IAM's condition keys of a request (service authorization reference, Route 53 and EC2)."""
    out = {"aws:RequestedRegion": [context.region]}
    if call.operation == "ChangeResourceRecordSets":
        facts = condition_facts(read_changes(call.params["ChangeBatch"]))
        prefix = "route53:ChangeResourceRecordSets"
        out[f"{prefix}NormalizedRecordNames"] = facts["names"]
        out[f"{prefix}RecordTypes"] = facts["types"]
        out[f"{prefix}Actions"] = facts["actions"]
    if call.service == "ec2":
        out["ec2:Region"] = [context.region]
        addresses = model.account(context.account).region(context.region).addresses
        eip = addresses.eips.get(str(call.params.get("AllocationId")))
        if eip is not None:
            out["ec2:AllocationId"], out["ec2:PublicIpAddress"] = [eip.allocation_id], [eip.public_ip]
            for key, value in eip.tags.items():
                out[f"aws:ResourceTag/{key}"] = out[f"ec2:ResourceTag/{key}"] = [value]
    return out


def _run_operation(operation: Operation, context: Context, params: Params) -> dict[str, Any]:
    try:
        return operation(context, params)
    except KeyError as missing:
        # The operations index what botocore's model calls required.
        raise AwsFault(
            "MissingParameter", f"The request must contain the parameter {missing.args[0]}"
        ) from missing
