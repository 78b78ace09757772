"""STS: who an access key is, and roles that give keys of another account."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from .base import AwsFault, Context, Ids, Params, Principal, Response, partition_of
from .settings import Settings

MIN_DURATION = 900
ASSUMED_CALLERS = 3600
"""Role chaining caps a session at one hour (page "Roles terms and concepts")."""


@dataclass(frozen=True, slots=True)
class Role:
    """A role that may be assumed. `trusted` = account IDs that may; empty = any."""

    arn: str
    external_id: str | None = None
    trusted: tuple[str, ...] = ()
    web_identity: bool = False
    max_duration: int = 3600

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]

    @property
    def name(self) -> str:
        return self.arn.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Session:
    principal: Principal
    token: str
    expires: float


class Sts:
    """Credentials are looked up by access key; an unknown key belongs to the default account."""

    def __init__(self, settings: Settings, ids: Ids) -> None:
        self.roles: dict[str, Role] = {}
        self.users: dict[str, Principal] = {}
        self.sessions: dict[str, Session] = {}
        self.revoked: set[str] = set()
        self._settings = settings
        self._ids = ids
        self.operations: dict[str, Callable[[Context, Params], Response]] = {
            "GetCallerIdentity": self.get_caller_identity,
            "AssumeRole": self.assume_role,
            "AssumeRoleWithWebIdentity": self.assume_role_with_web_identity,
        }

    def register_key(self, access_key: str, account: str, user: str = "sandbox") -> None:
        """Bind an access key to an account."""
        self.users[access_key] = Principal(
            account, f"arn:aws:iam::{account}:user/{user}", self._ids.upper("AIDA", 17), access_key
        )

    def revoke_key(self, access_key: str) -> None:
        """The key is deleted or deactivated: no service accepts it from now on."""
        self.revoked.add(access_key)

    def put_role(self, role: Role) -> None:
        self.roles[role.arn] = role

    def principal(self, service: str, access_key: str, token: str | None, now: float) -> Principal:
        """Who calls. Raises ExpiredToken (EC2 says RequestExpired) or InvalidClientTokenId (EC2 says AuthFailure)."""
        if access_key in self.revoked:
            if service == "ec2":
                raise AwsFault(
                    "AuthFailure", "AWS was not able to validate the provided access credentials", 401
                )
            raise AwsFault(
                "InvalidClientTokenId", "The security token included in the request is invalid.", 403
            )
        session = self.sessions.get(access_key)
        if session is not None:
            if token != session.token:
                raise AwsFault(
                    "InvalidClientTokenId", "The security token included in the request is invalid", 403
                )
            if now >= session.expires:
                if service == "ec2":
                    raise AwsFault("RequestExpired", "Request has expired.", 400)
                raise AwsFault("ExpiredToken", "The security token included in the request is expired", 403)
            return session.principal
        known = self.users.get(access_key)
        if known is not None:
            return known
        account = self._settings.default_account
        return Principal(account, f"arn:aws:iam::{account}:user/sandbox", "AIDASANDBOXDEFAULT", access_key)

    # -- operations ---------------------------------------------------------------------------------------

    def get_caller_identity(self, context: Context, params: Params) -> Response:
        principal = context.principal
        return {"UserId": principal.user_id, "Account": principal.account, "Arn": principal.arn}

    def assume_role(self, context: Context, params: Params) -> Response:
        arn = str(params["RoleArn"])
        role = self.roles.get(arn)
        trusted = role is not None and (not role.trusted or context.account in role.trusted)
        matches = role is not None and role.external_id in (None, params.get("ExternalId"))
        if role is None or not trusted or not matches:
            raise AwsFault(
                "AccessDenied",
                f"User: {context.principal.arn} is not authorized to perform: sts:AssumeRole "
                f"on resource: {arn}",
                403,
            )
        longest = ASSUMED_CALLERS if context.principal.role else role.max_duration
        return self._session(context, params, role, longest)

    def assume_role_with_web_identity(self, context: Context, params: Params) -> Response:
        arn = str(params["RoleArn"])
        role = self.roles.get(arn)
        if role is None or not role.web_identity:
            raise AwsFault("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403)
        token = str(params.get("WebIdentityToken") or "")
        if not token:
            raise AwsFault("InvalidIdentityToken", "No OpenIDConnect provider found in your account")
        out = self._session(context, params, role, role.max_duration)
        out["Provider"] = "https://oidc.sandbox"
        out["SubjectFromWebIdentityToken"] = "system:serviceaccount:sandbox"
        return out

    def _session(self, context: Context, params: Params, role: Role, longest: int) -> Response:
        asked = int(params.get("DurationSeconds") or min(3600, longest))
        if asked < MIN_DURATION or asked > longest:
            raise AwsFault(
                "ValidationError",
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            )
        seconds = self._settings.delays.session or float(asked)
        name = str(params["RoleSessionName"])
        partition = partition_of(context.region)
        user_id = f"{self._ids.upper('AROA', 17)}:{name}"
        access_key = self._ids.upper("ASIA", 16)
        arn = f"arn:{partition}:sts::{role.account}:assumed-role/{role.name}/{name}"
        session = Session(
            Principal(role.account, arn, user_id, access_key, role.arn),
            self._ids.upper("token", 64),
            context.now + seconds,
        )
        self.sessions[access_key] = session
        return {
            "Credentials": {
                "AccessKeyId": access_key,
                "SecretAccessKey": self._ids.upper("", 40),
                "SessionToken": session.token,
                "Expiration": datetime.datetime.fromtimestamp(session.expires, datetime.UTC),
            },
            "AssumedRoleUser": {"AssumedRoleId": user_id, "Arn": arn},
        }
