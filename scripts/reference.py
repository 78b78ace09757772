"""Writes the generated parts of the documentation from the code, or checks that they are up to date.

    python scripts/reference.py            # rewrite
    python scripts/reference.py --check    # exit 1 and name the pages that differ

A part stands between ``<!-- generated: NAME -->`` and ``<!-- end of NAME -->``; what is outside is written by hand.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import yaml

REPO = Path(__file__).resolve().parent.parent
CRDS = REPO / "crds"
RBAC = REPO / "deploy" / "base" / "rbac.yaml"
POLICY_RBAC = REPO / "deploy" / "components" / "policy" / "rbac.yaml"
EXTERNAL_DNS_RBAC = REPO / "deploy" / "components" / "external-dns" / "rbac.yaml"
IAM = REPO / "deploy" / "iam"
PAGES = ("README.md", "docs/cli.md", "docs/reference.md", "docs/troubleshooting.md", "docs/iam.md")

_PART = re.compile(
    r"(?P<open><!-- generated: (?P<name>[a-z0-9.-]+) -->\n).*?(?P<close><!-- end of (?P=name) -->)", re.DOTALL
)

Json = Mapping[str, Any]

SHORT_LIST = (
    "Pending",
    "HostnameConflict",
    "AddressNotFound",
    "ZoneNotFound",
    "ZoneNotDelegated",
    "RecordConflict",
    "AuthoritiesUnreachable",
    "Intercepted",
    "PTRConflict",
    "PTRRejected",
    "ReverseUnsupported",
    "NotPropagated",
    "AccessDenied",
    "CredentialsUnavailable",
    "DeletionBlocked",
)
"""Reasons in the README: those that a first installation meets."""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _angles(text: str) -> str:
    """``<hostname>`` would be taken for HTML and vanish."""
    return re.sub(r"<(?=[A-Za-z])", "&lt;", text)


# ---------------------------------------------------------------- fields


def version_of(plural: str) -> Json:
    """The one version in the CRD of a resource."""
    (version,) = yaml.safe_load((CRDS / f"mailegress.io_{plural}.yaml").read_text())["spec"]["versions"]
    return cast(Json, version)


def fields(part: str, plural: str = "mailegresses") -> str:
    """Every field below ``spec`` or ``status``."""
    root: Json = version_of(plural)["schema"]["openAPIV3Schema"]["properties"][part]
    rows = [_field(path, node, required) for path, node, required in _walk(part, root)]
    return table(("field", "type", "bounds", "default", "meaning"), rows)


def _walk(path: str, node: Json) -> Iterable[tuple[str, Json, bool]]:
    for name, child in node.get("properties", {}).items():
        below = f"{path}.{name}"
        yield below, child, name in node.get("required", ())
        yield from _walk(below, child)
        items = child.get("items", {})
        yield from _walk(f"{below}[]", items)


def _field(path: str, node: Json, required: bool) -> tuple[str, ...]:
    default = node.get("default")
    shown = "" if default is None or isinstance(default, dict | list) else f"`{_scalar(default)}`"
    return (
        f"`{path}`",
        _type(node),
        _bounds(node),
        shown or ("**required**" if required else ""),
        _angles(node["description"]),
    )


def _type(node: Json) -> str:
    kind = str(node["type"])
    if "additionalProperties" in node:
        return f"map of {node['additionalProperties']['type']}s"
    return f"{node['items']['type']}[]" if kind == "array" else kind


def _bounds(node: Json) -> str:
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    low, high = node.get("minimum", node.get("minItems")), node.get("maximum", node.get("maxItems"))
    high = node.get("maxProperties", high)
    what = " entries" if node["type"] in ("array", "object") else ""
    if node["type"] == "string" and "maxLength" in node:
        return f"≤ {node['maxLength']} characters"
    if low is not None and high is not None:
        return f"{low} to {high}{what}"
    if high is not None:
        return f"≤ {high}{what}"
    return "" if low is None else f"≥ {low}{what}"


def _scalar(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def columns(plural: str = "mailegresses") -> str:
    """The printer columns."""
    version = version_of(plural)
    return table(
        ("column", "shown", "from", "meaning"),
        (
            (
                c["name"].upper(),
                "with `-o wide`" if c.get("priority") else "always",
                f"`{c['jsonPath']}`",
                c.get("description", "Time since the object was created."),
            )
            for c in version["additionalPrinterColumns"]
        ),
    )


# ---------------------------------------------------------------- reasons, settings, rights


def all_reasons() -> str:
    """Every reason, when it is set and what the user does."""
    from mailegress.api.reasons import ALL_REASONS

    return table(
        ("reason", "first-hand on", "stalls", "when it is set", "what you do"),
        (
            (
                f"`{r.name}`",
                ", ".join(r.condition_types),
                "at once" if r.stalls_at_once else "",
                r.when,
                r.remedy,
            )
            for r in ALL_REASONS.values()
        ),
    )


def all_advisories() -> str:
    """Every advisory, what it reports, what is wanted and what the user does."""
    from mailegress.api.advisories import ALL_ADVISORIES

    return table(
        ("advisory", "found", "wanted", "what you do"),
        ((f"`{a.name}`", a.found, a.wanted, a.remedy) for a in ALL_ADVISORIES.values()),
    )


def short_reasons() -> str:
    """The reasons that a first installation meets."""
    from mailegress.api.reasons import ALL_REASONS

    return table(
        ("REASON", "means", "do"),
        ((f"`{name}`", ALL_REASONS[name].when, ALL_REASONS[name].remedy) for name in SHORT_LIST),
    )


def condition_types() -> str:
    """Condition types in their order."""
    from mailegress.api.conditions import CONDITION_ORDER, NEGATIVE
    from mailegress.api.reasons import ALL_REASONS

    return table(
        ("condition", "present", "reasons first-hand"),
        (
            (
                f"`{kind}`",
                "only while True" if kind in NEGATIVE else "always",
                ", ".join(f"`{r.name}`" for r in ALL_REASONS.values() if kind in r.condition_types),
            )
            for kind in CONDITION_ORDER
        ),
    )


def settings() -> str:
    """Every flag and variable, by panel of the help text."""
    from mailegress.cli.settings import settings_table, specs

    panels = {spec.flag: spec.panel for spec in specs()}
    out = []
    for panel, rows in itertools.groupby(settings_table(), key=lambda row: panels[row.flag]):
        out.append(f"**{panel}**\n\n")
        out.append(
            table(
                ("flag", "variable", "default", "meaning"),
                ((f"`{r.flag}`", f"`{r.env}`", r.default, r.help) for r in rows),
            )
        )
        out.append("\n")
    return "".join(out).rstrip("\n") + "\n"


def command_options(program: str, name: str) -> str:
    """The arguments and options of one command, as its help shows them."""
    import importlib

    from typer.main import get_command

    command = cast(Any, get_command(importlib.import_module(program).app)).commands[name]
    rows = []
    for option in command.params:
        shown = ", ".join(f"`{text}`" for text in (*option.opts, *option.secondary_opts))
        argument = option.param_type_name == "argument"
        default = "" if option.default in (None, "", (), [], False) or argument else str(option.default)
        rows.append(
            (
                f"`{option.metavar}`" if argument else shown,
                f"`{option.envvar}`" if option.envvar else "",
                default,
                option.help or "",
            )
        )
    return table(("option", "variable", "default", "meaning"), rows)


def command_flags() -> frozenset[str]:
    """Every long option of the commands for people."""
    return frozenset(re.findall(r"`(--[a-z-]+)`", _command_tables()))


def command_variables() -> frozenset[str]:
    """Every environment variable of the commands for people."""
    return frozenset(re.findall(r"`([A-Z_]+)`", _command_tables()))


def _command_tables() -> str:
    made = generators()
    return "".join(make() for name, make in made.items() if name.startswith("cli-"))


def rights() -> str:
    """What the operator may do in the API server."""
    rows = []
    documents = [(each, "") for each in yaml.safe_load_all(RBAC.read_text())]
    documents += [(each, ", with policies") for each in yaml.safe_load_all(POLICY_RBAC.read_text())]
    external = yaml.safe_load_all(EXTERNAL_DNS_RBAC.read_text())
    documents += [(each, ", with external-dns") for each in external]
    for document, when in documents:
        if document["kind"] not in ("ClusterRole", "Role"):
            continue
        scope = ("cluster" if document["kind"] == "ClusterRole" else "its own namespace") + when
        for rule in document["rules"]:
            group = rule["apiGroups"][0] or "core"
            names = ", ".join(f"`{n}`" for n in rule.get("resourceNames", ())) or "all"
            rows.append((group, ", ".join(rule["resources"]), names, ", ".join(rule["verbs"]), scope))
    return table(("API group", "resource", "names", "verbs", "where"), rows)


# ---------------------------------------------------------------- metrics


def metrics() -> str:
    """Every metric, from the registry of an operator that was wired up and used a little."""
    return asyncio.run(_metrics())


async def _metrics() -> str:
    from mailegress.api import reasons
    from mailegress.api.conditions import PENDING_TIME
    from mailegress.api.status import initial_status
    from mailegress.aws.api import AwsApi
    from mailegress.aws.wiring import build_aws
    from mailegress.cli import layer_settings
    from mailegress.cli.loading import load_settings
    from mailegress.cli.observability import register_gauges, register_policy_gauges
    from mailegress.engine.controller import Controller
    from mailegress.engine.workers import WorkerSettings
    from mailegress.kube.transport import LastContact
    from mailegress.reconcile.write_guard import OpenGuard
    from mailegress.telemetry.condition_counts import ConditionCounts
    from mailegress.telemetry.metrics import Metrics
    from mailegress.telemetry.policy_counts import PolicyCounts

    configured = load_settings({"regions": "eu-west-1"}, {})
    # Nothing is started, so that nothing is asked of AWS or of the API server.
    made = Metrics()
    clock = asyncio.get_running_loop().time
    aws = build_aws(
        cast(AwsApi, None),
        layer_settings.aws_settings(configured),
        lambda key: None,
        made,
        OpenGuard(),
        clock,
        random.Random(0),
    )
    census = ConditionCounts(lambda: PENDING_TIME)
    census.put("", initial_status())
    controller = Controller(clock, WorkerSettings())
    register_gauges(made, controller, LastContact(clock), aws, census, ())
    policies = PolicyCounts()
    policies.put("", "", reasons.NO_MATCHING_POLICY.name, ())
    register_policy_gauges(made, controller.policies, policies, clock)
    # A labelled metric shows its labels once it is used.
    made.reconcile("ok", 0.1)
    made.aws_call("ec2", "DescribeAddresses", "OK", 0.1)
    made.throttled("route53")
    made.batch(1)
    made.dns_query("authority", "answer")
    made.edit_to_ready(1.0)
    made.ready_lost("PTRPending")
    made.api_write("status", "ok")
    rows = []
    for family in made.registry.collect():
        if family.name.startswith("process_"):
            continue
        labels = {
            label: value
            for sample in family.samples
            for label, value in sample.labels.items()
            if label != "le"
        }
        name = family.name + ("_total" if family.type == "counter" else "")
        values = ""
        if name == "mailegress_aws_state":
            values = " " + ", ".join(f"`{s.labels['what']}`" for s in family.samples) + "."
        rows.append(
            (
                f"`{name}`",
                family.type,
                ", ".join(f"`{label}`" for label in labels),
                family.documentation + values,
            )
        )
    await aws.close()
    return table(("metric", "type", "labels", "meaning"), rows)


# ---------------------------------------------------------------- pages


def generators() -> dict[str, Callable[[], str]]:
    """Part name → what makes its text."""
    made: dict[str, Callable[[], str]] = {
        "spec": lambda: fields("spec"),
        "status": lambda: fields("status"),
        "columns": columns,
        "policy-spec": lambda: fields("spec", "mailegresspolicies"),
        "policy-status": lambda: fields("status", "mailegresspolicies"),
        "policy-columns": lambda: columns("mailegresspolicies"),
        "conditions": condition_types,
        "reasons": all_reasons,
        "advisories": all_advisories,
        "short-reasons": short_reasons,
        "settings": settings,
        "metrics": metrics,
        "cli-check": lambda: command_options("mailegress.cli.main", "check"),
        "cli-status": lambda: command_options("mailegress.tools.plugin.main", "status"),
        "cli-import": lambda: command_options("mailegress.tools.plugin.main", "import"),
        "cli-orphans": lambda: command_options("mailegress.tools.plugin.main", "orphans"),
        "cli-probe": lambda: command_options("mailegress.tools.plugin.main", "probe"),
        "cli-reconcile": lambda: command_options("mailegress.tools.plugin.main", "reconcile"),
        "rbac": rights,
    }
    for policy in sorted(IAM.glob("*.json")):
        made[f"iam-{policy.name}"] = lambda path=policy: f"```json\n{path.read_text().strip()}\n```\n"  # type: ignore[misc]
    return made


def render(text: str) -> str:
    """A page with its generated parts renewed. KeyError names a part that nothing makes."""
    made = generators()
    return _PART.sub(lambda m: m["open"] + "\n" + made[m["name"]]() + "\n" + m["close"], text)


def parts_of(text: str) -> list[str]:
    """Names of the generated parts on a page."""
    return [m["name"] for m in _PART.finditer(text)]


def main(arguments: Sequence[str] | None = None, root: Path = REPO) -> int:
    """The exit code: 1 if ``--check`` finds a page that differs."""
    parser = argparse.ArgumentParser(description="Write or check the generated parts of the documentation.")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 if a page is out of date"
    )
    check = parser.parse_args(arguments).check
    stale = []
    for name in PAGES:
        page = root / name
        text = page.read_text()
        renewed = render(text)
        if renewed != text:
            stale.append(name)
            if not check:
                page.write_text(renewed)
    for name in stale:
        print(f"{name}: {'out of date; run python scripts/reference.py' if check else 'rewritten'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
