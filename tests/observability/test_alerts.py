"""Alerts, played to Prometheus' own rule engine, and held against a page that an operator really served."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailegress.aws import errors
from tests.support.observability.exposition import Exposition
from tests.support.observability.promql import selectors
from tests.support.observability.running import Run

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "observability" / "alerts.yaml"
RUNBOOKS = "https://mailegress.io/runbooks/"

RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
}
# Everything as text: to YAML the series 0x60 is a hexadecimal number.
CASES: dict[str, list[dict[str, Any]]] = yaml.load(
    (Path(__file__).parent / "alert_cases.yaml").read_text(), yaml.BaseLoader
)
PLACE = {"namespace": "mailegress-system", "job": "mailegress"}

Promtool = Callable[..., Run]


def test_prometheus_takes_the_rule_file(promtool: Promtool) -> None:
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", ALERTS)
    assert checked.code == 0, checked.text
    assert f"{len(RULES)} rules found" in checked.text


# ---------------------------------------------------------------- cases


def test_each_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    assert set(CASES) == set(RULES)
    lacking = {
        alert: verdicts
        for alert, cases in CASES.items()
        if (verdicts := {"fires" in case for case in cases}) != {True, False}
    }
    assert lacking == {}


def _series(series: dict[str, str]) -> list[dict[str, str]]:
    """Series with the labels that every series of a scraped operator has."""
    placed = ",".join(f'{label}="{value}"' for label, value in PLACE.items())
    made = []
    for text, values in series.items():
        metric, _, labels = text.partition("{")
        made.append({"series": f"{metric}{{{placed},{labels.rstrip('}')}}}", "values": str(values)})
    return made


def _expected(rule: dict[str, Any], fires: dict[str, Any], place: bool) -> dict[str, Any]:
    labels = {k: v for k, v in fires.items() if k != "value"} | (PLACE if place else {})

    def said(text: str) -> str:
        text = re.sub(r"{{ \$labels\.(\w+) }}", lambda found: labels[found[1]], text)
        return re.sub(r"{{ \$value( \| \w+)? }}", lambda _: str(fires["value"]), text)

    return {
        "exp_labels": {**labels, **rule["labels"]},
        "exp_annotations": {name: said(text) for name, text in rule["annotations"].items()},
    }


def _test(alert: str, case: dict[str, Any]) -> dict[str, Any]:
    fires = case.get("fires")
    expected = [] if fires is None else [_expected(RULES[alert], fires, case.get("place") != "false")]
    return {
        "name": case["name"],
        "interval": "1m",
        "input_series": _series(case["series"]),
        "alert_rule_test": [{"eval_time": case["at"], "alertname": alert, "exp_alerts": expected}],
    }


def _file(where: Path, rules: Path, tests: list[dict[str, Any]]) -> Path:
    told = where / "cases.yaml"
    told.write_text(yaml.safe_dump({"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": tests}))
    return told


def _failed(played: Run) -> list[tuple[str, str]]:
    """(case, alert) of each that promtool says went otherwise."""
    return re.findall(r"name: (.*),\n\s*alertname: (\w+),", played.text)


EACH = [(alert, case) for alert, cases in CASES.items() for case in cases]


@pytest.fixture(scope="module")
def played(promtool: Promtool, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All cases at once: a start of promtool takes longer than a hundred cases."""
    return promtool(
        "test", "rules", _file(tmp_path_factory.mktemp("alerts"), ALERTS, [_test(*each) for each in EACH])
    )


@pytest.mark.parametrize(
    ("alert", "case"), [pytest.param(alert, case, id=f"{alert}-{case['name']}") for alert, case in EACH]
)
def test_an_alert_fires_when_it_must_and_only_then(alert: str, case: dict[str, Any], played: Run) -> None:
    assert "SUCCESS" in played.text or _failed(played)
    assert (case["name"], alert) not in _failed(played), played.text


def test_prometheus_is_content_with_all_cases_together(played: Run) -> None:
    assert (played.code, _failed(played)) == (0, []), played.text


@pytest.mark.parametrize(
    ("expression", "must_fail"),
    [
        pytest.param("vector(1) > 2", lambda case: "fires" in case, id="mute"),
        pytest.param("vector(1)", lambda case: "fires" not in case, id="always on"),
    ],
)
def test_each_case_would_notice_an_alert_that_is(
    expression: str, must_fail: Callable[[dict[str, Any]], bool], promtool: Promtool, tmp_path: Path
) -> None:
    """The same cases, with rules that never fire or always do."""
    rules = tmp_path / "rules.yaml"
    group = {"name": "x", "rules": [{"alert": alert, "expr": expression} for alert in RULES]}
    rules.write_text(yaml.safe_dump({"groups": [group]}))
    wrong = [(alert, case) for alert, case in EACH if must_fail(case)]
    played = promtool("test", "rules", _file(tmp_path, rules, [_test(*each) for each in wrong]))
    assert len(wrong) > 10
    assert [(case["name"], alert) for alert, case in wrong] == _failed(played)


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("alert", RULES)
def test_an_alert_names_only_what_a_real_page_serves(alert: str, page: Exposition) -> None:
    assert page.misses(RULES[alert]["expr"]) == []


@pytest.mark.parametrize("alert", CASES)
def test_a_case_plays_only_what_a_real_page_serves(alert: str, page: Exposition) -> None:
    assert [text for case in CASES[alert] for each in case["series"] for text in page.misses(each)] == []


@pytest.mark.parametrize(
    ("expression", "missing"),
    [
        ("mailegress_queue_age > 1", "mailegress_queue_age"),
        ('mailegress_objects{reson="Ready"}', "mailegress_objects: label reson"),
        ('mailegress_objects{reason="Reddy"}', "mailegress_objects: reason=Reddy"),
        ('mailegress_aws_state{what=~"route53_rate|ec2_rate"}', "mailegress_aws_state: what=ec2_rate"),
        ("sum by (outcome) (mailegress_objects)", "label outcome"),
        ("rate(mailegress_reconcile_total[5m])", "mailegress_reconcile_total"),
    ],
)
def test_a_name_that_no_page_serves_would_be_noticed(expression: str, missing: str, page: Exposition) -> None:
    assert page.misses(expression) == [missing]


def test_every_metric_of_the_operator_was_on_the_page_with_a_value(page: Exposition) -> None:
    ours = {name: samples for name, samples in page.families.items() if name.startswith("mailegress_")}
    assert len(ours) > 15
    assert [name for name, samples in ours.items() if not samples] == []


# ---------------------------------------------------------------- what goes together


def test_access_denied_looks_for_every_code_that_the_operator_takes_for_it() -> None:
    [calls] = [s for s in selectors(RULES["MailEgressAccessDenied"]["expr"]) if s.metric.endswith("_total")]
    assert {value for _, value in calls.values()} == errors._DENIED | errors._CREDENTIALS


def test_a_reason_that_stalled_leaves_out_has_an_alert_of_its_own() -> None:
    [stalled] = selectors(RULES["MailEgressStalled"]["expr"])
    left_out = {value for label, value in stalled.values() if label == "reason"}
    elsewhere = {
        value
        for alert, rule in RULES.items()
        if alert != "MailEgressStalled"
        for selector in selectors(rule["expr"])
        for label, value in selector.values()
        if label == "reason" and selector.metric == "mailegress_conditions"
    }
    assert left_out
    assert left_out <= elsewhere


def test_every_alert_says_how_bad_it_is_what_is_wrong_and_what_to_do() -> None:
    for alert, rule in RULES.items():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
        assert rule["annotations"]["runbook_url"] == f"{RUNBOOKS}{alert}/"
