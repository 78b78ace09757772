"""Metrics as a scraper sees them: labels stay few whatever AWS answers."""

from __future__ import annotations

from prometheus_client.exposition import generate_latest

from mailegress.telemetry.metrics import Metrics


def exposed(metrics: Metrics) -> list[str]:
    return generate_latest(metrics.registry).decode().splitlines()


def test_strange_error_codes_of_aws_share_one_label_value() -> None:
    metrics = Metrics()
    for code in ("", "a b", 'x"y', "new\nline", "c" * 65, "\x1b[31m"):
        metrics.aws_call("route53", "GetChange", code, 0.1)
    (line,) = [text for text in exposed(metrics) if text.startswith("mailegress_aws_calls_total{")]
    assert line == 'mailegress_aws_calls_total{code="Other",operation="GetChange",service="route53"} 6.0'


def test_a_flood_of_new_error_codes_does_not_flood_the_metrics() -> None:
    metrics = Metrics()
    for number in range(1000):
        metrics.aws_call("ec2", "DescribeAddresses", f"Code{number}", 0.1)
    metrics.aws_call("ec2", "DescribeAddresses", "Code5", 0.1)
    series = [text for text in exposed(metrics) if text.startswith("mailegress_aws_calls_total{")]
    assert len(series) == 101
    assert (
        'mailegress_aws_calls_total{code="Code5",operation="DescribeAddresses",service="ec2"} 2.0' in series
    )
    assert (
        'mailegress_aws_calls_total{code="Other",operation="DescribeAddresses",service="ec2"} 900.0' in series
    )


def test_gauges_are_read_at_scrape_time() -> None:
    metrics = Metrics()
    depth, by_reason = [3.0], {"Ready": 2.0}
    metrics.gauge("mailegress_queue_depth", "Keys waiting.", lambda: depth[0])
    metrics.gauge_by("mailegress_objects", "MailEgresses by Ready reason.", "reason", lambda: by_reason)
    assert "mailegress_queue_depth 3.0" in exposed(metrics)
    depth[0] = 0
    by_reason = {"AddressNotFound": 1.0}
    lines = exposed(metrics)
    assert "mailegress_queue_depth 0.0" in lines
    assert 'mailegress_objects{reason="AddressNotFound"} 1.0' in lines
    assert not [text for text in lines if 'reason="Ready"' in text]


def test_two_operators_in_one_process_count_apart_and_show_the_process() -> None:
    first, second = Metrics(), Metrics()
    first.throttled("ec2")
    assert 'mailegress_aws_throttles_total{service="ec2"} 1.0' in exposed(first)
    assert 'mailegress_aws_throttles_total{service="ec2"} 0.0' in exposed(second)
    assert any(text.startswith("process_resident_memory_bytes ") for text in exposed(second))


def test_counters_that_alerts_look_at_are_there_before_their_first_event() -> None:
    """increase() does not see the event that makes a series appear."""
    lines = exposed(Metrics())
    for outcome in ("ok", "conflict", "gone", "unavailable", "error"):
        assert f'mailegress_reconciles_total{{outcome="{outcome}"}} 0.0' in lines
    assert 'mailegress_aws_throttles_total{service="route53"} 0.0' in lines
    assert "mailegress_ptr_heals_total 0.0" in lines


def test_a_gauge_may_have_several_labels() -> None:
    metrics = Metrics()
    counts = {("Ready", "False", "ZoneNotFound"): 2.0, ("Accepted", "True", "Accepted"): 3.0}
    metrics.gauge_by_all(
        "mailegress_conditions", "Conditions.", ("condition", "status", "reason"), lambda: counts
    )
    lines = [text for text in exposed(metrics) if text.startswith("mailegress_conditions{")]
    assert lines == [
        'mailegress_conditions{condition="Accepted",reason="Accepted",status="True"} 3.0',
        'mailegress_conditions{condition="Ready",reason="ZoneNotFound",status="False"} 2.0',
    ]
