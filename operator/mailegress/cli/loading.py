"""Reading the settings: flag, else variable, else default; every problem in one error."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from typing import Any

from mailegress.aws.endpoints import endpoint_problems, region_problem
from mailegress.cli import values
from mailegress.cli.settings import PREFIX, Address, Settings, Spec, specs


class SettingsError(Exception):
    """At least one setting cannot be used; ``problems`` has a line for each, with the remedy."""

    def __init__(self, problems: list[str]) -> None:
        noun = "setting" if len(problems) == 1 else "settings"
        super().__init__(
            f"{len(problems)} {noun} cannot be used:\n" + "\n".join(f"  {line}" for line in problems)
        )
        self.problems = tuple(problems)


def load_settings(flags: Mapping[str, str | None], env: Mapping[str, str]) -> Settings:
    """Read every setting: its flag, else its variable, else its default.

    ``flags`` maps field names to the text given on the command line (None = not given). An empty variable
    counts as not set, which lets a manifest carry it unused.

    Errors: :class:`SettingsError` naming every bad value at once.
    """
    problems: list[str] = []
    parsed: dict[str, Any] = {}
    for spec in specs():
        text = flags.get(spec.name)
        if text is None:
            text = env.get(spec.env, "") or spec.default
        try:
            parsed[spec.name] = spec.parse(text.strip())
        except ValueError as error:
            shown = "the given value" if spec.confidential else repr(text)
            problems.append(f"{spec.flag} ({spec.env}): {shown} {error}")
    if parsed.get("regions") == ():
        parsed["regions"] = _fallback_regions(env, problems)
    problems.extend(_aws_problems(parsed, env))
    problems.extend(_contradictions(parsed))
    if problems:
        raise SettingsError(problems)
    return Settings(**parsed)


def _fallback_regions(env: Mapping[str, str], problems: list[str]) -> tuple[str, ...]:
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        text = env.get(variable, "").strip()
        if text:
            try:
                return (values.region(text),)
            except ValueError as error:
                problems.append(f"{variable}: {text!r} {error}")
                return ()
    problems.append(
        "--regions (MAILEGRESS_REGIONS): no AWS region is known; set it, or AWS_REGION, e.g. to eu-west-1"
    )
    return ()


def _aws_problems(parsed: Mapping[str, Any], env: Mapping[str, str]) -> list[str]:
    """Regions that AWS does not have, and endpoint variables of the SDK that cannot be used."""
    found = endpoint_problems(env, allow_http=bool(parsed.get("allow_http_endpoints")))
    if not parsed.get("allow_unknown_regions"):
        for region in parsed.get("regions", ()):
            problem = region_problem(region, env)
            if problem:
                found.append(f"--regions ({PREFIX}REGIONS, or AWS_REGION): {region!r} {problem}")
    return found


def _contradictions(parsed: Mapping[str, Any]) -> list[str]:
    """Values that are fine alone and wrong together; those that did not parse are absent."""
    found = []
    for service in ("zone", "eip"):
        if parsed.get(f"{service}_external_id") and parsed.get(f"{service}_role_arn") == "":
            found.append(
                f"--{service}-external-id ({PREFIX}{service.upper()}_EXTERNAL_ID): an external ID without "
                f"a role has no effect; set --{service}-role-arn too, or remove it"
            )
    owner = parsed.get("owner_id")
    if owner and owner in parsed.get("accept_owner_ids", ()):
        found.append(
            f"--accept-owner-ids ({PREFIX}ACCEPT_OWNER_IDS): {owner!r} is this installation's own "
            "--owner-id; remove it here"
        )
    for first, most in (("retry_seconds", "retry_max_seconds"), ("dns_poll_seconds", "dns_poll_max_seconds")):
        if parsed.get(first, 0) > parsed.get(most, math.inf):
            flag = "--" + most.replace("_", "-")
            found.append(
                f"{flag} ({PREFIX}{most.upper()}): {parsed[most]:g} is less than --{first.replace('_', '-')} "
                f"({parsed[first]:g}); give at least that"
            )
    return found


# Kubernetes adds variables for every Service of the namespace ("Discovering services"), also for one named
# mailegress.
_SERVICE_LINK = re.compile(PREFIX + r"(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")


def unknown_variables(env: Mapping[str, str]) -> list[str]:
    """A line for every ``MAILEGRESS_*`` variable that is no setting, with the nearest one that is."""
    known = [spec.env for spec in specs()]
    lines = []
    for name in sorted(env):
        if not name.startswith(PREFIX) or name in known or _SERVICE_LINK.fullmatch(name):
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        lines.append(f"{name} is not a setting and has no effect{hint}")
    return lines


def shown_value(spec: Spec, value: Any) -> str:
    """A value as a user would write it; confidential ones are only said to be set."""
    if spec.confidential and value:
        return "(set)"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        if spec.name == "http_address":
            return join_address(value)
        parts = [join_address(item) if isinstance(item, tuple) else str(item) for item in value]
        return ",".join(parts) or ("off" if spec.name == "dns_resolvers" else "")
    return f"{value:g}" if isinstance(value, float) else str(value)


def join_address(address: Address) -> str:
    """``host:port``, with an IPv6 address in brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
