"""One control plane for all stories; a fresh AWS, DNS, namespace and operator for each."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest

from sandbox.controlplane import ControlPlane, find_or_build
from sandbox.local import Sandbox, prepare
from scripts.rights_check import Rights
from tests.support.stories.policies import Tenants
from tests.support.stories.story import Story

SCALE = 1 / 60
"""INSYNC after half a second, a PTR after one or two."""


@pytest.fixture(scope="session")
def plane(rights: Rights) -> Iterator[ControlPlane]:
    found = find_or_build()
    rights.watch(found)
    with found:
        prepare(found)
        yield found
        rights.read_audit(found)


@pytest.fixture
def bare_story(plane: ControlPlane, rights: Rights, request: pytest.FixtureRequest) -> Iterator[Story]:
    """A world in which no operator runs yet: ``story.start_operator(...)``.

    In the API server and in AWS the operator has the rights that ``deploy/`` gives it, and no others.
    """
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:50].rstrip("-")
    with Sandbox(scale=SCALE, operator=False, plane=plane, shipped_policies=True) as sandbox:
        story = Story(sandbox, f"{name}-{uuid.uuid4().hex[:8]}")
        try:
            yield story
        finally:
            story.close()
            rights.read_aws(story.aws)


@pytest.fixture
def story(bare_story: Story) -> Story:
    """A world with a running operator."""
    bare_story.start_operator()
    return bare_story


@pytest.fixture
def tenants(bare_story: Story) -> Iterator[Tenants]:
    """A world in which no operator runs yet, with a second namespace and without policies."""
    found = Tenants(bare_story)
    try:
        yield found
    finally:
        for process in bare_story.operators:
            process.kill()
        found.close()
