"""Every version of an object as a watcher (Argo CD, Flux, ``kubectl get -w``) sees it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kubernetes import watch

from tests.support.stories.story import GROUP, PLURAL, VERSION, Meg, Story

Version = dict[str, Any]


class WatchRecorder:
    """The versions of all MailEgresses of one namespace, oldest first."""

    def __init__(self) -> None:
        self.versions: list[Version] = []

    def of(self, meg: Meg | str) -> list[Version]:
        name = meg if isinstance(meg, str) else meg.name
        return [v for v in list(self.versions) if v["metadata"]["name"] == name]

    def seen(self, meg: Meg | str, kind: str = "Ready") -> list[tuple[str, str]]:
        """(status, reason) of one condition, one entry for every change; ("", "") where the condition is absent."""
        found: list[tuple[str, str]] = []
        for version in self.of(meg):
            shown = condition(version, kind)
            entry = (shown.get("status", ""), shown.get("reason", ""))
            if not found or found[-1] != entry:
                found.append(entry)
        return found

    def statuses(self, meg: Meg | str, kind: str = "Ready") -> set[str]:
        return {status for status, _ in self.seen(meg, kind)}


def condition(version: Version, kind: str) -> dict[str, Any]:
    """One condition of one version, or an empty one."""
    return next((c for c in (version.get("status") or {}).get("conditions", []) if c["type"] == kind), {})


@contextmanager
def recorded_watch(story: Story, *, existing: bool = False) -> Iterator[WatchRecorder]:
    """Record every version of every object in the story's namespace until the block ends.

    ``existing``: begin with the present versions. Raises AssertionError at the end if the watch failed.
    """
    recorder = WatchRecorder()
    where = (GROUP, VERSION, story.namespace, PLURAL)
    first = story.objects.list_namespaced_custom_object(*where)
    if existing:
        recorder.versions.extend(first["items"])
    stop, failures = threading.Event(), []

    def follow(version: str) -> None:
        try:
            while True:
                last = stop.is_set()
                for event in watch.Watch().stream(
                    story.objects.list_namespaced_custom_object,
                    *where,
                    resource_version=version,
                    timeout_seconds=1,
                ):
                    recorder.versions.append(event["object"])
                    version = event["object"]["metadata"]["resourceVersion"]
                if last:
                    return
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=follow, args=(first["metadata"]["resourceVersion"],), daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        stop.set()
        thread.join(30)
    assert not failures, failures
