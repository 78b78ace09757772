"""One API server with the MailEgress and MailEgressPolicy APIs for all tests of this directory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.controlplane import ControlPlane, find_or_build

CRDS = Path(__file__).parents[2] / "crds"


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    with find_or_build() as plane:
        yield plane


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> ControlPlane:
    """The API server, with the CRDs installed."""
    control_plane.install_crds(CRDS)
    return control_plane


@pytest.fixture
def namespace(api: ControlPlane, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own, by a name made from the test's."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower().removeprefix("test_"))[
        :60
    ].strip("-")
    api.kubectl("create", "namespace", name)
    yield name
    api.kubectl("delete", "namespace", name, "--wait=false")
