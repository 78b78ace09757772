"""Writes dashboard.json, the Grafana dashboard; edit here, then run it.

python deploy/observability/dashboard.py
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).with_name("dashboard.json")

SCHEMA_VERSION = 42
"""The last one of Grafana's classic dashboard format; older Grafanas read it too."""

HERE = 'namespace=~"$namespace", job=~"$job"'
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `queries`: (PromQL, legend); in PromQL, `@` stands for the matchers of the installation shown."""

    title: str
    about: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"
    stacked: bool = False
    width: int = 12
    red_above: float | None = None


ROWS: Sequence[tuple[str, Sequence[Panel]]] = (
    (
        "At a glance",
        (
            Panel(
                "Acting replicas",
                "1 = one replica holds the Lease, or --leader-elect is off. 0 = nothing is healed.",
                [("sum(mailegress_leader{@})", "")],
                kind="stat",
                width=4,
            ),
            Panel(
                "MailEgresses",
                "Known from the API server.",
                [("max(mailegress_known_objects{@})", "")],
                kind="stat",
                width=4,
            ),
            Panel(
                "Not ready",
                "Ready is False or Unknown, the suspended ones left out.",
                [
                    (
                        'sum(mailegress_conditions{condition="Ready", status!="True", reason!="Suspended", @})'
                        " or vector(0)",
                        "",
                    )
                ],
                kind="stat",
                width=4,
                red_above=1,
            ),
            Panel(
                "Stalled",
                "A human is needed.",
                [('sum(mailegress_conditions{condition="Stalled", @}) or vector(0)', "")],
                kind="stat",
                width=3,
                red_above=1,
            ),
            Panel(
                "Longest not ready",
                "Of those that are not suspended.",
                [('max(mailegress_not_ready_seconds{reason!="Suspended", @}) or vector(0)', "")],
                unit="s",
                kind="stat",
                width=3,
                red_above=3600,
            ),
            Panel(
                "Dangling addresses",
                "Stand in an A record although their Elastic IP is lost.",
                [("sum(mailegress_dangling_addresses{@})", "")],
                kind="stat",
                width=3,
                red_above=1,
            ),
            Panel(
                "Orphaned records",
                "Ownership records whose MailEgress no longer exists.",
                [("max(mailegress_orphaned_records{@})", "")],
                kind="stat",
                width=3,
                red_above=1,
            ),
        ),
    ),
    (
        "MailEgresses",
        (
            Panel(
                "By reason of Ready",
                "How many MailEgresses give which reason.",
                [("sum by (reason) (mailegress_objects{@})", "{{reason}}")],
                stacked=True,
            ),
            Panel(
                "Refused by policy",
                "MailEgresses that no MailEgressPolicy allows, by reason. Audit reports, Enforce refuses.",
                [("max by (reason) (mailegress_policy_refusals{@})", "{{reason}}")],
                stacked=True,
            ),
            Panel(
                "Conditions that are not True",
                "By condition and reason; what kubectl get meg -A -o wide says of each.",
                [
                    (
                        "sum by (condition, reason) (mailegress_conditions{"
                        'condition=~"Accepted|ForwardReady|ReverseReady|Resolved", status!="True", @}) > 0',
                        "{{condition}} {{reason}}",
                    )
                ],
                stacked=True,
            ),
            Panel(
                "Time to ready",
                "From seeing an edit to Ready=True for it.",
                [
                    (
                        f"histogram_quantile({quantile}, sum by (le) "
                        "(increase(mailegress_edit_to_ready_seconds_bucket{@}[1h])))",
                        legend,
                    )
                    for quantile, legend in (("0.5", "median"), ("0.95", "95 %"))
                ],
                unit="s",
            ),
            Panel(
                "Drift and heals",
                "Ready lost without an edit, by its new reason; PTRs set back. In the last hour.",
                [
                    (
                        "sum by (reason) (increase(mailegress_ready_lost_total{@}[1h])) > 0",
                        "lost: {{reason}}",
                    ),
                    ("sum(increase(mailegress_ptr_heals_total{@}[1h]))", "PTRs set back"),
                ],
            ),
        ),
    ),
    (
        "AWS",
        (
            Panel(
                "Calls by operation",
                "Requests a second.",
                [
                    (
                        "sum by (service, operation) (rate(mailegress_aws_calls_total{@}[$__rate_interval]))",
                        "{{service}} {{operation}}",
                    )
                ],
                unit="reqps",
                stacked=True,
            ),
            Panel(
                "Calls by outcome",
                "Everything but OK; error codes are AWS's own.",
                [
                    (
                        'sum by (service, code) (rate(mailegress_aws_calls_total{code!="OK", @}[$__rate_interval]))',
                        "{{service}} {{code}}",
                    )
                ],
                unit="reqps",
            ),
            Panel(
                "Throttled",
                "Requests that AWS refused for their rate.",
                [
                    (
                        "sum by (service) (rate(mailegress_aws_throttles_total{@}[$__rate_interval]))",
                        "{{service}}",
                    )
                ],
                unit="reqps",
                width=8,
            ),
            Panel(
                "Rates allowed",
                "What the operator allows itself just now; less than the setting after throttling.",
                [
                    (
                        'max by (what) (mailegress_aws_state{what=~"route53_rate|ec2_read_rate|ec2_write_rate", @})',
                        "{{what}}",
                    )
                ],
                unit="reqps",
                width=8,
            ),
            Panel(
                "Work waiting for AWS",
                "Writes due, changes not INSYNC, requests that wait for their turn.",
                [
                    (
                        "max by (what) (mailegress_aws_state{what=~"
                        '"route53_writes_due|ec2_writes_due|route53_changes_pending|route53_waiting", @})',
                        "{{what}}",
                    )
                ],
                width=8,
            ),
            Panel(
                "Duration of a call",
                "95th percentile.",
                [
                    (
                        "histogram_quantile(0.95, sum by (le, service) "
                        "(rate(mailegress_aws_call_duration_seconds_bucket{@}[$__rate_interval])))",
                        "{{service}}",
                    )
                ],
                unit="s",
            ),
            Panel(
                "Hostnames in a change batch",
                "Mean; many names in few batches spare the account's request limit.",
                [
                    (
                        "sum(rate(mailegress_change_batch_names_sum{@}[$__rate_interval])) / "
                        "sum(rate(mailegress_change_batch_names_count{@}[$__rate_interval]))",
                        "names",
                    )
                ],
            ),
        ),
    ),
    (
        "DNS and API server",
        (
            Panel(
                "DNS queries",
                "By role of the server asked and result.",
                [
                    (
                        "sum by (role, result) (rate(mailegress_dns_queries_total{@}[$__rate_interval]))",
                        "{{role}} {{result}}",
                    )
                ],
                unit="reqps",
                stacked=True,
            ),
            Panel(
                "Writes to the API server",
                "Status, finalizers, Events, by result. None while nothing changes.",
                [
                    (
                        "sum by (kind, result) (rate(mailegress_api_writes_total{@}[$__rate_interval]))",
                        "{{kind}} {{result}}",
                    )
                ],
                unit="wps",
                stacked=True,
            ),
        ),
    ),
    (
        "Operator",
        (
            Panel(
                "Queue depth",
                "MailEgresses that are due and wait for a worker.",
                [("mailegress_queue_depth{@}", "{{pod}}")],
                width=8,
            ),
            Panel(
                "Oldest in the queue",
                "A replica without the Lease takes nothing; its queue ages.",
                [("mailegress_queue_oldest_age_seconds{@}", "{{pod}}")],
                unit="s",
                width=8,
            ),
            Panel(
                "Leader",
                "1 while a replica acts.",
                [("mailegress_leader{@}", "{{pod}}")],
                width=8,
            ),
            Panel(
                "Passes",
                "Passes a second over single MailEgresses, by outcome.",
                [
                    (
                        "sum by (outcome) (rate(mailegress_reconciles_total{@}[$__rate_interval]))",
                        "{{outcome}}",
                    )
                ],
                unit="ops",
                stacked=True,
                width=8,
            ),
            Panel(
                "Duration of a pass",
                "A pass waits for nothing but the API server.",
                [
                    (
                        f"histogram_quantile({quantile}, sum by (le) "
                        "(rate(mailegress_reconcile_duration_seconds_bucket{@}[$__rate_interval])))",
                        legend,
                    )
                    for quantile, legend in (("0.5", "median"), ("0.99", "99 %"))
                ],
                unit="s",
                width=8,
            ),
            Panel(
                "Event loop lag",
                "By how much timers are late.",
                [
                    (
                        f"histogram_quantile({quantile}, sum by (le, pod) "
                        "(rate(mailegress_loop_lag_seconds_bucket{@}[$__rate_interval])))",
                        "{{pod}} " + legend,
                    )
                    for quantile, legend in (("0.5", "median"), ("0.99", "99 %"))
                ],
                unit="s",
                width=8,
            ),
            Panel(
                "Memory",
                "Resident memory of the process.",
                [("process_resident_memory_bytes{@} and on (pod, instance) mailegress_leader{@}", "{{pod}}")],
                unit="bytes",
                width=8,
            ),
            Panel(
                "CPU",
                "Cores used.",
                [
                    (
                        "rate(process_cpu_seconds_total{@}[$__rate_interval])"
                        " and on (pod, instance) mailegress_leader{@}",
                        "{{pod}}",
                    )
                ],
                width=8,
            ),
            Panel(
                "Silence of the API server",
                "Seconds since it was last heard of; a bookmark comes about once a minute.",
                [("mailegress_last_sign_of_life_seconds{@}", "{{pod}}")],
                unit="s",
                width=8,
            ),
        ),
    ),
)


def _panel(panel: Panel, number: int, x: int, y: int, height: int) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    options: dict[str, Any]
    if panel.kind == "stat":
        defaults["decimals"] = 0
        steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
        if panel.red_above is not None:
            steps.append({"color": "red", "value": panel.red_above})
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
        options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    else:
        defaults["custom"] = {
            "drawStyle": "line",
            "fillOpacity": 20 if panel.stacked else 0,
            "lineWidth": 1,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        }
        options = {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": DATASOURCE,
        "gridPos": {"h": height, "w": panel.width, "x": x, "y": y},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": DATASOURCE,
                "editorMode": "code",
                "expr": query.replace("@", HERE),
                "legendFormat": legend,
                "range": panel.kind != "stat",
                "instant": panel.kind == "stat",
            }
            for place, (query, legend) in enumerate(panel.queries)
        ],
    }


def _panels() -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    y = 0
    for title, panels in ROWS:
        made.append(
            {
                "id": len(made) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": y},
                "panels": [],
            }
        )
        y += 1
        x = 0
        height = 4 if panels[0].kind == "stat" else 8
        for panel in panels:
            if x + panel.width > WIDTH:
                x, y = 0, y + height
            made.append(_panel(panel, len(made) + 1, x, y, height))
            x += panel.width
        y += height
    return made


def _variable(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    return {
        "uid": "mailegress",
        "title": "MailEgress",
        "description": "A records and reverse DNS of Elastic IPs that send mail.",
        "tags": ["mailegress"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "",
        "annotations": {"list": []},
        "links": [],
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Data source",
                    "type": "datasource",
                    "query": "prometheus",
                    "refresh": 1,
                    "current": {},
                },
                _variable("namespace", "Namespace", "label_values(mailegress_leader, namespace)"),
                _variable("job", "Job", 'label_values(mailegress_leader{namespace=~"$namespace"}, job)'),
            ]
        },
        "panels": _panels(),
    }


if __name__ == "__main__":
    OUTPUT.write_text(json.dumps(dashboard(), indent=2) + "\n")
