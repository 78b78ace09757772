"""One operator that has lived through something, scraped once; and the tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sandbox.controlplane import ControlPlane, find_or_build
from sandbox.local import Sandbox, prepare
from sandbox.tools import tool
from sandbox.waiting import wait_until
from tests.support.observability.exposition import Exposition
from tests.support.observability.living import Lived, scrape
from tests.support.observability.running import Run, run
from tests.support.stories.story import Story

SCALE = 1 / 60


@pytest.fixture(scope="session")
def promtool() -> Callable[..., Run]:
    """``promtool(arguments, ...)``."""
    path = tool("promtool")
    return lambda *arguments: run(str(path), *map(str, arguments))


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    found = find_or_build()
    with found:
        prepare(found)
        yield found


@pytest.fixture(scope="session")
def story(plane: ControlPlane) -> Iterator[Story]:
    with Sandbox(scale=SCALE, operator=False, plane=plane, shipped_policies=True) as sandbox:
        told = Story(sandbox, "mail")
        try:
            yield told
        finally:
            told.close()


@pytest.fixture(scope="session")
def lived(story: Story) -> Lived:
    """One MailEgress is ready and had its PTR changed by a stranger, one names a zone that does not exist, and AWS
    throttled a request. No policy allows them, which Audit reports.
    """
    story.zone("example.com")
    eips = story.eips(2)
    story.start_operator(policy="Audit")
    ready = story.meg("outbound", "mta.example.com", eips[:1])
    stuck = story.meg("typo", "mta.example.test", eips[1:])
    ready.wait()
    stuck.wait_reason("ZoneNotFound", "ForwardReady")
    story.aws.add_fault("throttle", "route53", count=1)
    story.aws.force_ptr(eips[0].public_ip, None)
    wait_until(
        lambda: (
            scrape(story).value("mailegress_ptr_heals_total") == 1
            and scrape(story).value("mailegress_aws_throttles_total", service="route53") > 0
        ),
        60,
        "the PTR to be set back, and a throttled request",
    )
    ready.wait()
    return Lived(story, ready, stuck, scrape(story))


@pytest.fixture(scope="session")
def page(lived: Lived) -> Exposition:
    return lived.page
