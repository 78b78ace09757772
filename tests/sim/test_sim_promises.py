"""S12 over whole runs: whatever AWS says in its errors, no credential reaches log, status, Events or metrics."""

from __future__ import annotations

import json
import logging

import pytest
from prometheus_client import generate_latest

from mailegress.telemetry.logs import JsonFormatter, TextFormatter
from tests.support.simulation.apiwire import Object
from tests.support.simulation.harness import Sim, simulate
from tests.support.simulation.record import recording
from tests.support.simulation.scenarios import HOST

TOKEN = "IQoJb3JpZ2luX2VjE" + "Ab3/x+9" * 30
KEY = "ASIAQ3EGRNXLE7EXAMPL"
SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY12"
SECRETS = (TOKEN[:40], TOKEN[-40:], KEY, SECRET)
CANONICAL = (
    "The request signature we calculated does not match the signature you provided. The Canonical String for this "
    f"request should have been\n'POST\n/\n\nhost:ec2.amazonaws.com\nx-amz-security-token:{TOKEN}\n' for {KEY}"
)
"""EC2 shows the whole signed request, headers included, when a signature does not fit (a skewed clock is enough)."""
ERRORS = {
    "signature": ("SignatureDoesNotMatch", CANONICAL, 403),
    "refused": ("InvalidInput", f"secret_access_key={SECRET} is not for {KEY}", 400),
    "server": ("InternalError", f"upstream said Bearer {TOKEN}\x1b[31m", 500),
}
OPERATIONS = ("DescribeAddresses", "ChangeResourceRecordSets", "ModifyAddressAttribute")


class Lines(logging.Handler):
    """What the operator logs, as it prints it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts += [JsonFormatter().format(record), TextFormatter().format(record)]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_aws_says_of_credentials_is_told_to_nobody(operation: str, error: str) -> None:
    code, message, status = ERRORS[error]
    lines = Lines()
    told: list[str] = []

    async def story(sim: Sim) -> None:
        logger = logging.getLogger("mailegress")
        logger.setLevel(logging.INFO)
        logger.addHandler(lines)
        sim.world.zone()
        eips = sim.world.eips(1)
        sim.world.control.add_fault(
            effect="error", operation=operation, code=code, message=message, status=status, count=6
        )
        process = sim.start()
        sim.meg("a", HOST, eips)

        def heard(new: Object) -> None:
            told.append(json.dumps(new["status"]))

        sim.on_status(heard)
        try:
            await sim.ready("a")
            await sim.drain()
        finally:
            logger.removeHandler(lines)
        told.extend(json.dumps(event) for event in sim.api.events)
        assert process.metrics is not None
        told.append(generate_latest(process.metrics.registry).decode())

    with recording(f"secrets-{operation}-{error}") as record:
        sim = simulate(story)
        record.run("secrets", sim.schedule.reached, 6)
        texts = [*lines.texts, *told]
        assert any(code in text for text in texts), "the error is told at all"
        for text in texts:
            leaked = [secret for secret in SECRETS if secret in text]
            assert not leaked, f"S12: {leaked} in {text[:600]}"
