"""One API server with the MailEgress API, and every situation played out in it, for all tests of this directory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sandbox.controlplane import ControlPlane, find_or_build
from tests.support.gitops.live import Live
from tests.support.gitops.situations import ALL

ROOT = Path(__file__).parents[2]

Json = dict[str, Any]
NAMESPACE = "mail"


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    with find_or_build() as found:
        found.install_crds(ROOT / "crds" / "mailegress.io_mailegresses.yaml")
        found.kubectl("create", "namespace", NAMESPACE)
        yield found


@pytest.fixture(scope="session")
def lived(plane: ControlPlane) -> Mapping[str, Json]:
    """Situation -> the object as the API server shows it."""
    bodies = {}
    for each in ALL:
        scene = Live(plane, each.name)
        each.enter(scene)
        bodies[each.name] = scene.body
    return bodies
