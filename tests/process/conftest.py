"""Operators as processes, under faults, for as long as told: run by ``make test-process`` only.

``MAILEGRESS_PROCESS_SECONDS``: how long the chaos lasts; without it nothing here is collected.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from sandbox.controlplane import ControlPlane, find_or_build
from sandbox.local import prepare
from tests.support.process.figures import Figures
from tests.support.process.replicas import Replicas, replicas

SECONDS = "MAILEGRESS_PROCESS_SECONDS"
if SECONDS not in os.environ:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    found = find_or_build()
    with found:
        prepare(found)
        yield found


@pytest.fixture(scope="session")
def figures() -> Iterator[Figures]:
    """What is told in the end in ``build/process.json``, however the tests end."""
    kept = Figures(seconds=float(os.environ[SECONDS]))
    try:
        yield kept
    finally:
        kept.save()


@pytest.fixture
def pair(plane: ControlPlane, figures: Figures) -> Iterator[Replicas]:
    """Two replicas with leader election in a world of their own; none is running yet."""
    with replicas(plane, figures) as pair:
        yield pair
