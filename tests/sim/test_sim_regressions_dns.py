"""What the fuzz found about name servers that give no usable answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.simulation.machine import MailWorld


def test_a_record_that_changes_after_a_name_server_fell_silent_is_seen() -> None:
    """The object is not Ready for another reason; its name servers are asked all the same."""
    state = MailWorld()
    state.begin(
        seconds=310.0,
        spec={
            "hostname": "out.example.com",
            "elasticIPs": [{"allocationID": "EIP1"}, {"tags": {"use": "mail", "env": "a"}}],
        },
    )
    state.trouble_dns(server=1, what="silent")
    state.wait_longer(seconds=310.0)
    state.wait_longer(seconds=1000.0)
    state.change_record(host=1, what="foreign-a")
    state.teardown()


def test_an_object_is_ready_beside_a_name_server_that_answers_again() -> None:
    state = MailWorld()
    state.begin(
        spec={
            "hostname": "mta.example.com",
            "elasticIPs": [{"allocationID": "EIP2"}, {"allocationID": "EIP1"}],
        },
        seconds=31.0,
    )
    state.trouble_dns(server=0, what="silent")
    state.change_record(host=0, what="foreign-a")
    state.blind(what="resolvers")
    state.wait_longer(seconds=1000.0)
    state.teardown()


def test_two_operators_change_a_record_to_and_fro_while_it_is_published() -> None:
    """What a server answered was published in between by the other operator, and AWS refuses the PTR until it holds."""
    state = MailWorld()
    state.begin(
        spec={
            "hostname": "out.example.com",
            "elasticIPs": [{"allocationID": "EIP0"}, {"natGatewayID": "REGIONAL"}],
        },
        seconds=31.0,
    )
    state.blind(what="addresses-page-even")
    state.scale(what="add")
    state.second_operator()
    state.wait(seconds=0.01)
    state.lose_eip(eip=0)
    state.wait_longer(seconds=1000.0)
    state.teardown()


def test_a_claim_that_route_53_refused_for_its_timing_is_not_repeated_for_an_object_that_is_gone() -> None:
    """Another operator removed the record and the finalizer meanwhile."""
    state = MailWorld()
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "EIP0"}]}, seconds=0.0)
    state.second_operator()
    state.wait(seconds=0.5)
    state.delete(name="a")
    state.wait(seconds=3.0)
    state.teardown()


def test_a_hosted_zone_below_the_chosen_one_is_looked_for_while_public_dns_asks_it() -> None:
    state = MailWorld()
    state.blind(what="lower-zone")
    state.create(
        name="c",
        spec={
            "elasticIPs": [{"allocationID": "EIP2"}, {"tags": {"use": "mail"}}],
            "hostname": "mta.sub.example.com",
        },
    )
    state.wait(seconds=310.0)
    state.teardown()


def test_a_record_that_leaves_a_zone_that_public_dns_does_not_ask_needs_no_new_answers() -> None:
    state = MailWorld()
    state.create(
        name="b",
        spec={
            "hostname": "mta.sub.example.com",
            "forward": {"ttlSeconds": 85},
            "elasticIPs": [{"allocationID": "EIP4"}],
        },
    )
    state.blind(what="zones-page-odd")
    state.trouble_dns(server=3, what="lag")
    state.wait_longer(seconds=1000.0)
    state.teardown()


ALONE: list[dict[str, Any]] = [{"allocationID": "EIP0"}]
BOTH: list[dict[str, Any]] = [*ALONE, {"allocationID": "EIP3"}]


@pytest.mark.parametrize("wanted", [ALONE, BOTH], ids=["its-own-address", "both-addresses"])
@pytest.mark.parametrize("other", ["live", "deleted", "renamed"])
@pytest.mark.parametrize("seconds", [1.0, 310.0], ids=["new", "ready"])
def test_a_hostname_in_a_zone_that_is_out_of_sight_is_not_taken_over_after_a_restart(
    wanted: list[dict[str, Any]], other: str, seconds: float
) -> None:
    """An older object asks for it; nothing but the status of its holder tells of the ownership record."""
    name, eips = "mta.sub.example.com", [{"allocationID": "EIP3"}]
    state = MailWorld()
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": ALONE}, seconds=310.0)
    state.create(name="b", spec={"hostname": name, "elasticIPs": eips})
    state.wait(seconds=seconds)
    state.blind(what="lower-zone")
    state.crash()
    if other == "deleted":
        state.delete(name="b")
    elif other == "renamed":
        state.edit(field="hostname", name="b", spec={"hostname": "out.example.com", "elasticIPs": eips})
    state.edit(field="hostname", name="a", spec={"hostname": name, "elasticIPs": wanted})
    state.wait_longer(seconds=60.0)
    state.teardown()


def test_a_zone_is_recorded_with_the_account_that_it_was_listed_in() -> None:
    """The credentials become another account's for an instant, in which only the account is asked for."""
    state = MailWorld()
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": ALONE}, seconds=31.0)
    state.lose_eip(eip=0)
    state.second_operator()
    state.blind(what="zone-account")
    state.wait(seconds=0.01)
    state.teardown()


def test_an_address_that_somebody_took_out_of_the_record_is_put_back_until_its_ptr_is_reset() -> None:
    """It leaves the spec at the same time, and a name server without an answer keeps its PTR from being reset."""
    state = MailWorld()
    state.begin(
        spec={"hostname": "mta.example.com", "elasticIPs": [{"tags": {"use": "mail"}}]}, seconds=310.0
    )
    state.change_record(host=0, what="foreign-a")
    state.trouble_dns(server=3, what="SERVFAIL")
    state.edit(
        field="elasticIPs",
        name="a",
        spec={
            "elasticIPs": [{"instanceID": "INSTANCE", "region": "ap-northeast-1"}],
            "hostname": "mta.example.com",
        },
    )
    state.wait_longer(seconds=4000.0)
    state.teardown()
