"""Every version that a MailEgress went through: what a user with ``kubectl get -w`` saw."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kubernetes import client as k8s
from kubernetes import watch

from tests.support.stories.story import GROUP, PLURAL, VERSION, Meg, Story


class WatchRecorder:
    """The versions of all MailEgresses of one namespace, in order, as the API server told them."""

    def __init__(self) -> None:
        self.versions: list[dict[str, Any]] = []

    def of(self, meg: Meg) -> list[dict[str, Any]]:
        return [f for f in list(self.versions) if f["metadata"]["name"] == meg.name]

    def seen(self, meg: Meg, kind: str) -> list[tuple[str, str]]:
        """(status, reason) of one condition in every version, repetitions left out; ("", "") where it is absent."""
        found: list[tuple[str, str]] = []
        for version in self.of(meg):
            by_type = {c["type"]: c for c in (version.get("status") or {}).get("conditions", [])}
            condition = by_type.get(kind, {})
            now = (condition.get("status", ""), condition.get("reason", ""))
            if not found or found[-1] != now:
                found.append(now)
        return found


@contextmanager
def recorded_watch(story: Story, namespace: str | None = None) -> Iterator[WatchRecorder]:
    """Watch while the block runs."""
    recorder, stream = WatchRecorder(), watch.Watch()
    started = threading.Event()
    objects = k8s.CustomObjectsApi(k8s.ApiClient(story.api.configuration))
    where = namespace or story.namespace

    def record() -> None:
        first = objects.list_namespaced_custom_object(GROUP, VERSION, where, PLURAL)
        recorder.versions.extend(first["items"])
        started.set()
        for event in stream.stream(
            objects.list_namespaced_custom_object,
            GROUP,
            VERSION,
            where,
            PLURAL,
            resource_version=first["metadata"]["resourceVersion"],
            timeout_seconds=300,
            _request_timeout=(5, 5),
        ):
            recorder.versions.append(event["object"])

    def patiently() -> None:
        while not done.is_set():
            try:
                record()
            except Exception as error:  # a watch without news times out; the list that follows shows all
                last.append(error)

    done = threading.Event()
    last: list[Exception] = []
    thread = threading.Thread(target=patiently, daemon=True)
    thread.start()
    assert started.wait(30), last
    try:
        yield recorder
    finally:
        done.set()
        stream.stop()
