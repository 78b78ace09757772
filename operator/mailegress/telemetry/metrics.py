"""Prometheus metrics. No label contains an object, a hostname or an address, so their number is limited (S13)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_SECONDS = (0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 1800)
_LAGS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_MOST_CODES = 100
_CODE = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_OUTCOMES = ("ok", "conflict", "gone", "unavailable", "error")
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Metrics:
    """Every metric of the operator on one registry.

    ``registry`` is injected so that several operators can live in one process (tests, simulation).
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        reg = self.registry
        # Memory, CPU, open files of the process: process_resident_memory_bytes and its kin.
        ProcessCollector(registry=reg)
        self._codes = _Bounded(_MOST_CODES)
        self._reconciles = Counter(
            "mailegress_reconciles_total", "Reconciles of a MailEgress by outcome.", ["outcome"], registry=reg
        )
        self._reconcile_seconds = Histogram(
            "mailegress_reconcile_duration_seconds",
            "Duration of one reconcile in seconds.",
            buckets=_SECONDS,
            registry=reg,
        )
        self._aws_calls = Counter(
            "mailegress_aws_calls_total",
            "Requests sent to AWS by service, operation and result code (OK or AWS's error code).",
            ["service", "operation", "code"],
            registry=reg,
        )
        self._aws_seconds = Histogram(
            "mailegress_aws_call_duration_seconds",
            "Duration of one AWS request in seconds.",
            ["service"],
            buckets=_SECONDS,
            registry=reg,
        )
        self._throttles = Counter(
            "mailegress_aws_throttles_total", "Requests that AWS throttled.", ["service"], registry=reg
        )
        self._batch_sizes = Histogram(
            "mailegress_change_batch_names",
            "Hostnames in one Route 53 change batch.",
            buckets=_SIZES,
            registry=reg,
        )
        self._dns_queries = Counter(
            "mailegress_dns_queries_total",
            "DNS queries by role of the server and result.",
            ["role", "result"],
            registry=reg,
        )
        self._edit_to_ready = Histogram(
            "mailegress_edit_to_ready_seconds",
            "Seconds from the first sight of a new generation to Ready=True for it.",
            buckets=_SECONDS,
            registry=reg,
        )
        self._loop_lag = Histogram(
            "mailegress_loop_lag_seconds",
            "Seconds by which an event loop timer was late, measured ten times a second.",
            buckets=_LAGS,
            registry=reg,
        )
        self._status_writes = Counter(
            "mailegress_api_writes_total",
            "Writes to the API server by kind and result.",
            ["kind", "result"],
            registry=reg,
        )

        self._ready_lost = Counter(
            "mailegress_ready_lost_total",
            "Number of times a MailEgress stopped being Ready without an edit or a deletion, by its new reason.",
            ["reason"],
            registry=reg,
        )
        self._ptr_heals = Counter(
            "mailegress_ptr_heals_total",
            "Repairs of PTRs that something other than the operator had changed.",
            registry=reg,
        )
        # A counter that appears with its first event hides that event from rate() and increase().
        for outcome in _OUTCOMES:
            self._reconciles.labels(outcome)
        for service in ("ec2", "route53"):
            self._throttles.labels(service)

    def reconcile(self, outcome: str, seconds: float) -> None:
        self._reconciles.labels(outcome).inc()
        self._reconcile_seconds.observe(seconds)

    def aws_call(self, service: str, operation: str, code: str, seconds: float) -> None:
        self._aws_calls.labels(service, operation, self._codes(code)).inc()
        self._aws_seconds.labels(service).observe(seconds)

    def throttled(self, service: str) -> None:
        self._throttles.labels(service).inc()

    def batch(self, names: int) -> None:
        self._batch_sizes.observe(names)

    def dns_query(self, role: str, result: str) -> None:
        """``role``: root, parent, authority, resolver. ``result``: an ``AnswerKind`` value."""
        self._dns_queries.labels(role, result).inc()

    def edit_to_ready(self, seconds: float) -> None:
        self._edit_to_ready.observe(seconds)

    def loop_lag(self, seconds: float) -> None:
        self._loop_lag.observe(seconds)

    def api_write(self, kind: str, result: str) -> None:
        """``kind``: status, finalizer, event. ``result``: ok, conflict, gone, error."""
        self._status_writes.labels(kind, result).inc()

    def ready_lost(self, reason: str) -> None:
        self._ready_lost.labels(reason).inc()

    def ptr_repaired(self) -> None:
        self._ptr_heals.inc()

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A gauge read at scrape time: queue depth, age of the oldest key, writes due, last sign of life."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def gauge_by(self, name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        """A gauge with one bounded label read at scrape time: MailEgresses by Ready reason."""
        self.gauge_by_all(name, text, (label,), lambda: {(key,): value for key, value in read().items()})

    def gauge_by_all(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        read: Callable[[], Mapping[tuple[str, ...], float]],
    ) -> None:
        """A gauge with several bounded labels read at scrape time."""
        self.registry.register(_Family(name, text, labels, read))


class _Bounded:
    """Keeps a label's values few and plain although another party (AWS) chooses them; the rest is
    ``Other``.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        if value in self._known:
            return value
        if len(self._known) >= self._most or not _CODE.fullmatch(value):
            return "Other"
        self._known.add(value)
        return value


class _Family(Collector):
    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        read: Callable[[], Mapping[tuple[str, ...], float]],
    ) -> None:
        self._name, self._text, self._labels, self._read = name, text, labels, read

    def collect(self) -> list[GaugeMetricFamily]:
        family = GaugeMetricFamily(self._name, self._text, labels=self._labels)
        for values, number in sorted(self._read().items()):
            family.add_metric(values, number)
        return [family]
