"""A scraped /metrics page, and what may be asked of it."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from mailegress.api.conditions import CONDITION_ORDER, STATUSES
from mailegress.api.reasons import ALL_REASONS
from mailegress.aws import errors
from mailegress.aws.api import Service
from mailegress.model.dns import AnswerKind
from tests.support.observability.promql import Selector, grouped_by, selectors

TARGET_LABELS = frozenset({"cluster", "namespace", "job", "pod", "instance"})
"""What Prometheus adds to every series of a pod that a ServiceMonitor names, and `cluster` where somebody adds it."""

CODES = (
    {"OK"} | errors.THROTTLES | errors._DENIED | errors._CREDENTIALS | errors._SERVER | errors._QUOTAS
    | errors._ADDRESS_MISSING | {"InvalidChangeBatch"}
)  # fmt: skip
"""Result codes that the operator tells apart; others may come."""

MAY_APPEAR: dict[str, frozenset[str]] = {
    "condition": frozenset(CONDITION_ORDER),
    "status": frozenset(STATUSES),
    "reason": frozenset(ALL_REASONS),
    "code": frozenset(CODES),
    "service": frozenset(service.value for service in Service),
    "role": frozenset({"root", "parent", "authority", "resolver"}),
    "kind": frozenset({"status", "finalizer", "event"}),
}
"""Values that a label can have beside those on the page. `result` is in `RESULTS`."""

RESULTS = {
    "mailegress_dns_queries_total": frozenset(kind.value for kind in AnswerKind),
    "mailegress_api_writes_total": frozenset({"ok", "conflict", "gone", "error"}),
}


class Exposition:
    """One page in the text format, as Prometheus takes it in."""

    def __init__(self, text: str) -> None:
        self.families: dict[str, int] = {}
        self.labels: dict[str, dict[str, set[str]]] = {}
        self._samples: list[Sample] = []
        for family in text_string_to_metric_families(text):
            self.families[family.name] = len(family.samples)
            self._samples += family.samples
            for sample in family.samples:
                seen = self.labels.setdefault(sample.name, {})
                for label, value in sample.labels.items():
                    seen.setdefault(label, set()).add(value)

    def value(self, metric: str, **labels: str) -> float:
        """The sum of the samples that have these labels."""
        return sum(
            sample.value
            for sample in self._samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        )

    def misses(self, expression: str) -> list[str]:
        """What an expression names and no page of ours can serve."""
        named = selectors(expression)
        assert named, f"no selector found in: {expression}"
        missing = [text for each in named for text in self._misses(each)]
        known = TARGET_LABELS | {label for each in named for label in self.labels.get(each.metric, ())}
        return missing + [f"label {label}" for label in sorted(grouped_by(expression) - known)]

    def _misses(self, selector: Selector) -> Iterable[str]:
        labels = self.labels.get(selector.metric)
        if labels is None:
            yield selector.metric
            return
        for label, value in selector.values():
            if label in TARGET_LABELS:
                continue
            if label not in labels:
                yield f"{selector.metric}: label {label}"
            elif value and value not in labels[label] | self._possible(selector.metric, label):
                yield f"{selector.metric}: {label}={value}"

    def _possible(self, metric: str, label: str) -> frozenset[str]:
        return RESULTS.get(metric, frozenset()) if label == "result" else MAY_APPEAR.get(label, frozenset())
