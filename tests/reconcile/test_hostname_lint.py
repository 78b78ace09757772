"""What rspamd and SpamAssassin say of a name: verdicts that were taken from the filters themselves."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from mailegress.model.hostname_lint import holds_address, lint

NOTHING, DYNAMIC = False, True


@pytest.mark.parametrize(
    ("name", "points", "dynamic"),
    [
        # Names for a mail server.
        ("mail.example.com", 0, NOTHING),
        ("mta.example.com", 0, NOTHING),
        ("mta-a.example.com", 0, NOTHING),
        ("o1.mail.example.com", 0, NOTHING),
        ("smtp-out-1.example.com", 0, NOTHING),
        ("egress1.eu-west-1.example.com", 0, NOTHING),
        # A word counts only as a part of a label with something before it, or beside a number.
        ("nat.example.com", 0, NOTHING),
        ("nat1.example.com", 0, NOTHING),
        ("natgw1.example.com", 0, NOTHING),
        ("nat-gw-1.example.com", 0, NOTHING),
        ("nat-1.example.com", 3.0, NOTHING),
        ("eu-nat.example.com", 3.0, NOTHING),
        ("egress-nat.prod.example.com", 3.0, NOTHING),
        ("mail-nat-1.example.com", 3.0, NOTHING),
        ("mail1.nat.example.com", 3.0, NOTHING),
        ("mta1.natural.example.com", 3.0, NOTHING),
        ("client-01.example.com", 3.0, NOTHING),
        ("client-1.example.com", 0, NOTHING),
        ("mail.dynamic.example.com", 3.0, DYNAMIC),
        ("out-dyn-a.example.com", 3.0, DYNAMIC),
        ("mail.dhcp.example.com", 3.0, DYNAMIC),
        ("pool-1.example.com", 2.5, NOTHING),
        ("mail-pool-1.example.com", 2.5, NOTHING),
        ("dsl1.example.com", 2.5, NOTHING),
        ("mta.adsl.example.com", 2.5, NOTHING),
        ("mta1.cable.example.com", 2.0, NOTHING),
        ("host-1.example.com", 1.0, NOTHING),
        ("mail.host.example.com", 1.0, NOTHING),
        ("mta.user.example.com", 0.5, NOTHING),
        ("smtp.clients.example.com", 0.5, NOTHING),
        ("mail.peer.example.com", 0.5, NOTHING),
        # The form of an address.
        ("ec2-203-0-113-25.compute-1.amazonaws.com", 0, DYNAMIC),
        ("ec2-203-0-113-25.eu-west-1.compute.amazonaws.com", 0, DYNAMIC),
        ("mta-203-0-113-25.example.com", 0, DYNAMIC),
        ("out-1-2-3-4.example.com", 0, DYNAMIC),
        ("node-12-3.mail.example.com", 0, DYNAMIC),
        ("0xcb007119.example.com", 0, DYNAMIC),
        ("25.mta-203-0-113.example.com", 0, DYNAMIC),
        ("smtp-203-0-113-25.example.com", 0, NOTHING),
        ("static-203-0-113-25.example.com", 0, NOTHING),
        ("mta-203-0-113.example.com", 0, NOTHING),
        # As DNS writes it.
        ("EU-NAT.Example.COM.", 3.0, NOTHING),
    ],
)
def test_both_filters_verdicts(name: str, points: float, dynamic: bool) -> None:
    verdict = lint(name)
    assert (verdict.points, verdict.dynamic) == (points, dynamic), verdict
    assert verdict.generic == (points > 0 or dynamic)


def test_the_word_that_counts_is_named() -> None:
    """The reader must know which part of the name to change."""
    assert lint("egress-nat.prod.example.com").word == "nat"
    assert lint("a.user.b-pool-1.example.com").word == "pool", "the word with the most points"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("smtp-203-0-113-25.example.com", True),
        ("smtp-25-113-0-203.example.com", True),
        ("mta-cb007119.example.com", True),
        ("mta-203.000.113.025.example.com", True),
        ("mta-203-0-113.example.com", False),
        ("mta-203-0-113-26.example.com", False),
    ],
)
def test_an_address_in_the_name_is_found_in_each_form(name: str, found: bool) -> None:
    assert (holds_address(name, ["198.51.100.1", "203.0.113.25"]) == "203.0.113.25") is found


@pytest.mark.parametrize("unit", ["1-", "1.", "node", "a-a1-", "0.1x2.", "dsl-1."])
def test_the_longest_name_is_judged_in_a_moment(unit: str) -> None:
    """The name comes from a user. No pattern may need time that grows faster than the name allows."""
    name = (unit * 253)[:253]
    began = time.process_time()
    lint(name)
    holds_address(name, ["203.0.113.25"] * 64)
    assert time.process_time() - began < 0.25


def test_the_module_needs_neither_dns_nor_aws() -> None:
    """The command line imports it for every command."""
    code = (
        "import sys; import mailegress.model.hostname_lint; "
        "print(*sorted({m.split('.')[0] for m in sys.modules} & {'dns', 'boto3', 'kopf', 'asyncio'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
