"""The real API server still answers as it did when the answers for its double were recorded."""

from __future__ import annotations

import asyncio

from sandbox.controlplane import ControlPlane
from tests.support.simulation.apiplay import differences
from tests.support.simulation.record_api import record


def test_the_real_api_server_answers_as_recorded(plane: ControlPlane) -> None:
    """Otherwise: record again, and see what the double must learn (python -m tests.support.simulation.record_api)."""
    answers = asyncio.run(record(plane))
    differing = [line for name, got in answers.items() for line in differences(name, got)]
    assert differing == [], "\n".join(differing[:10])
