"""Nobody's text costs the event loop time: each cleaner looks only at the beginning of it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from mailegress.api.text import clean_text
from mailegress.aws.api import AwsError, Service
from mailegress.aws.errors import classify, rejection_fault, rejections, steady
from mailegress.telemetry.logs import PATTERN_LIMIT, bounded, printable, redact

SECONDS = 0.05
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY"


def _error(text: str) -> AwsError:
    return AwsError(Service.ROUTE53, "ChangeResourceRecordSets", "InvalidChangeBatch", text, 400)


def _denial(text: str) -> AwsError:
    return AwsError(Service.EC2, "ModifyAddressAttribute", "UnauthorizedOperation", text, 403)


CLEANERS: dict[str, Callable[[str], object]] = {
    "clean_text": lambda text: clean_text(text, 1024),
    "steady": steady,
    "redact": redact,
    "printable": printable,
    "rejections": lambda text: rejections(_error(text)),
    "rejection_fault": rejection_fault,
    "a refused batch": lambda text: classify(_error(text)),
    "a denial": lambda text: classify(_denial(text)),
}
TEXTS = {
    "40,000 spaces": " " * 40_000,
    "40,000 spaces and a word": " " * 40_000 + "x",
    "10 MB of spaces": " " * 10_000_000,
    "10 MB of brackets": "(" * 10_000_000,
    "10 MB of one letter": "a" * 10_000_000,
    "10 MB like a token": "eyJ" + "a-" * 5_000_000,
    "10 MB of tokens' beginnings": "eyJaaaaaaaaa-" * 770_000,
    "10 MB of escapes": "\x1b[31" * 2_000_000,
    "10 MB of commas and spaces": ", " * 5_000_000,
    "10 MB of names": "name='a.example.com.', " * 434_000,
    "10 MB of roles": "arn:aws:sts::111122223333:assumed-role/a" * 250_000,
}


@pytest.mark.parametrize("cleaner", CLEANERS)
@pytest.mark.parametrize("text", TEXTS)
def test_no_text_keeps_a_cleaner_busy(cleaner: str, text: str) -> None:
    call, given = CLEANERS[cleaner], TEXTS[text]
    spent = []
    for _ in range(3):
        began = time.thread_time()
        call(given)
        spent.append(time.thread_time() - began)
        if spent[-1] < SECONDS:
            break
    assert min(spent) < SECONDS, f"{cleaner} takes {min(spent):.3f} s for {text}"


def test_a_word_that_is_cut_in_two_is_left_out() -> None:
    """Half of a secret access key would not be recognised as a credential."""
    for shift in range(60):
        text = "x " * ((PATTERN_LIMIT - shift) // 2) + SECRET_KEY + " and more"
        assert SECRET_KEY[:8] not in redact(text)
    assert bounded("short") == "short"
    assert len(bounded("a" * 100_000)) == PATTERN_LIMIT - 128
