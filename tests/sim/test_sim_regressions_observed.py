"""What the stateful fuzz once found under ``Observed``, as the steps that showed it (see ``make fuzz``)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.simulation.machine import MailWorld


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("addresses", [[{"instanceID": "INSTANCE"}], [{"allocationID": "EIP2"}]])
def test_a_ptr_with_a_former_hostname_under_observed_is_reset_at_deletion(
    addresses: list[Any], restarts: bool
) -> None:
    """The record of the new hostname never comes, so that the PTR still shows the former one."""
    state = MailWorld()
    observed = {"management": "Observed"}
    spec = {"hostname": "mta.elsewhere.net", "elasticIPs": [{"instanceID": "INSTANCE"}], "forward": observed}
    state.create(name="c", spec=spec)
    state.wait_longer(seconds=1000.0)
    edited = {**spec, "hostname": "mta.sub.example.com", "elasticIPs": addresses}
    state.edit(field="hostname", name="c", spec=edited)
    state.edit(field="elasticIPs", name="c", spec=edited)
    if restarts:
        state.wait(seconds=60.0)
        state.crash()
    state.teardown()


OBSERVED = {"forward": {"management": "Observed"}}


@pytest.mark.parametrize("restarts", [False, True])
def test_the_ptr_of_a_former_hostname_under_observed_stays_with_its_object(restarts: bool) -> None:
    """Another object under Observed asks for the former hostname and the address, whose PTR shows it still."""
    state = MailWorld()
    spec = {"elasticIPs": [{"allocationID": "EIP1"}], "hostname": "mta.elsewhere.net", **OBSERVED}
    state.create(name="a", spec=spec)
    state.wait_longer(seconds=1000.0)
    state.rename(name="a", hostname="mta.example.com", observed=True, restarts=restarts)
    state.create(name="b", spec=spec)
    state.wait_longer(seconds=1000.0)
    state.delete(name="a")
    state.wait_longer(seconds=1000.0)
    state.teardown()


@pytest.mark.parametrize("restarts", [False, True])
def test_a_record_at_a_former_hostname_under_observed_keeps_no_ptr(restarts: bool) -> None:
    """Another object has made the record of the former hostname, without the address whose PTR shows it still."""
    state = MailWorld()
    spec = {"elasticIPs": [{"allocationID": "EIP0"}], "hostname": "mta.example.com", **OBSERVED}
    state.create(name="a", spec=spec)
    state.change_record(host=0, what="right-a")
    state.wait_longer(seconds=1000.0)
    state.rename(name="a", hostname="mta.sub.example.com", observed=True, restarts=restarts)
    state.change_record(host=0, what="drop-a")
    state.wait(seconds=60.0)
    state.create(name="b", spec={"elasticIPs": [{"allocationID": "EIP1"}], "hostname": "mta.example.com"})
    state.wait_longer(seconds=4000.0)
    state.delete(name="a")
    state.wait_longer(seconds=1000.0)
    state.teardown()


def test_a_foreign_ptr_beside_a_right_one_stays_under_observed() -> None:
    """The record of the other provider holds both addresses."""
    state = MailWorld()
    state.change_ptr(eip=1, name="mail.stranger.net")
    several = [{"allocationID": "EIP0"}, {"allocationID": "EIP1"}]
    state.create(name="b", spec={"hostname": "mta.elsewhere.net", "elasticIPs": several, **OBSERVED})
    state.wait(seconds=310.0)
    state.teardown()


def test_an_address_that_leaves_under_observed_is_not_shown_any_more() -> None:
    """The record of the other provider still holds it."""
    state = MailWorld()
    several = [{"allocationID": "EIP0"}, {"allocationID": "EIP1"}]
    state.create(name="a", spec={"hostname": "mta.elsewhere.net", "elasticIPs": several, **OBSERVED})
    state.wait(seconds=310.0)
    state.edit(name="a", field="elasticIPs", spec={"elasticIPs": several[:1]})
    state.wait(seconds=310.0)
    state.teardown()


def test_a_ptr_that_was_found_to_be_foreign_after_a_rename_under_observed_stays() -> None:
    state = MailWorld()
    spec = {
        "hostname": "mta.elsewhere.net",
        "elasticIPs": [{"allocationID": "EIP1"}, {"allocationID": "EIP2"}],
        "forward": {"management": "Observed"},
    }
    state.create(name="a", spec=spec)
    state.wait(seconds=60.0)
    state.change_ptr(eip=2, name="mta.example.com")
    state.rename(name="a", hostname="out.elsewhere.net", observed=True, restarts=False)
    state.wait(seconds=31.0)
    state.teardown()


def test_a_gateway_whose_only_address_drains_is_reported_and_not_the_record_under_observed() -> None:
    """The selector resolves to no address. Nobody has to add the one that drains to the record."""
    state = MailWorld()
    state.begin(
        spec={"hostname": "mta.example.com", "elasticIPs": [{"natGatewayID": "REGIONAL"}]}, seconds=310.0
    )
    state.safe()
    state.rename(name="a", hostname="mta.elsewhere.net", observed=True, restarts=False)
    state.safe()
    state.scale(what="drain")
    state.teardown()


def test_an_ownership_record_goes_after_the_finalizer_was_removed_and_the_management_changed() -> None:
    """The operator starts again between the two edits: only the status tells that a record was written."""
    state = MailWorld()
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "EIP1"}]}, seconds=0.0)
    state.crash()
    state.wait_longer(seconds=31.0)
    state.wait_longer(seconds=31.0)
    state.meddle(name="a", what="finalizer")
    state.crash()
    state.rename(name="a", hostname="mta.example.com", observed=True, restarts=False)
    state.wait_longer(seconds=31.0)
    state.rename(name="a", hostname="mta.elsewhere.net", observed=True, restarts=False)
    state.teardown()


def test_an_address_that_is_released_while_no_operator_runs_ends_ready_under_observed() -> None:
    """The new process need not ask the name servers to know that the selector resolves to no address."""
    state = MailWorld()
    spec = {
        "hostname": "mta.elsewhere.net",
        "elasticIPs": [{"allocationID": "EIP0"}, {"allocationID": "EIP1"}],
        **OBSERVED,
    }
    state.create(name="b", spec=spec)
    state.wait_longer(seconds=310.0)
    state.crash()
    state.lose_eip(eip=0)
    state.teardown()


def test_no_ptr_is_set_while_the_record_of_an_object_before_is_being_removed() -> None:
    """Until Route 53 has published the removal the servers still return the record."""
    state = MailWorld()
    state.begin(
        seconds=31.0,
        spec={
            "hostname": "out.example.com",
            "elasticIPs": [{"allocationID": "EIP0"}, {"tags": {"use": "mail"}}],
        },
    )
    state.create(
        name="b",
        spec={
            "deletionPolicy": "Retain",
            "elasticIPs": [
                {"region": "eu-west-1", "tags": {"use": "mail", "env": "a"}},
                {"region": "ap-northeast-1", "tags": {"use": "mail"}},
                {"allocationID": "EIP1"},
            ],
            "suspend": False,
            "forward": {},
            "adoption": "Matching",
            "hostname": "mta.nowhere.org",
        },
    )
    state.rename(hostname="out.example.com", name="b", observed=True, restarts=False)
    state.delete(name="a")
    state.teardown()


def test_a_status_that_is_deleted_under_observed_is_remembered() -> None:
    state = MailWorld()
    state.begin(
        spec={
            "elasticIPs": [{"tags": {"use": "mail"}}, {"allocationID": "EIP2"}],
            "hostname": "mta.example.com",
        },
        seconds=0.0,
    )
    state.rename(hostname="mta.elsewhere.net", name="a", observed=True, restarts=True)
    state.wait(seconds=10.0)
    state.meddle(name="a", what="status")
    state.teardown()


def test_nothing_tells_whose_a_ptr_is_after_a_restart_without_a_status() -> None:
    state = MailWorld()
    state.begin(
        spec={
            "hostname": "out.example.com",
            "elasticIPs": [{"allocationID": "EIP2"}, {"allocationID": "EIP4"}],
        },
        seconds=0.0,
    )
    state.rename(hostname="out.elsewhere.net", name="a", observed=True, restarts=False)
    state.wait_longer(seconds=10.0)
    state.meddle(name="a", what="status")
    state.crash()
    state.teardown()


def test_an_object_that_gets_nowhere_leaves_its_hostname_to_the_next() -> None:
    state = MailWorld()
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": [{"tags": {"use": "mail"}}]}, seconds=0.0)
    state.retag(key="use", present=True, what="EIP0")
    state.rename(hostname="mta.elsewhere.net", name="a", observed=True, restarts=False)
    state.create(name="b", spec={"elasticIPs": [{"allocationID": "EIP0"}], "hostname": "mta.elsewhere.net"})
    state.teardown()


def test_an_interface_of_the_spec_is_an_address_of_the_object() -> None:
    state = MailWorld()
    state.begin(
        spec={"hostname": "mta.example.com", "elasticIPs": [{"networkInterfaceID": "INTERFACE"}]}, seconds=0.0
    )
    state.create(name="b", spec={"elasticIPs": [{"allocationID": "EIP5"}], "hostname": "mta.example.com"})
    state.rename(hostname="mta.elsewhere.net", name="a", observed=True, restarts=False)
    state.rename(hostname="mta.elsewhere.net", name="b", observed=False, restarts=False)
    state.teardown()


def test_an_object_that_is_stalled_at_once_keeps_its_hostname_from_a_younger_one() -> None:
    """A foreign PTR stalls it at once, and it sets the PTR of its other address all the same."""
    state = MailWorld()
    state.begin(
        spec={"hostname": "out.example.com", "elasticIPs": [{"tags": {"use": "mail"}}]}, seconds=310.0
    )
    state.change_ptr(eip=0, name="mail.stranger.net")
    state.rename(name="a", hostname="mta.elsewhere.net", observed=True, restarts=False)
    addresses = [{"allocationID": "EIP0"}, {"natGatewayID": "REGIONAL"}]
    spec = {"hostname": "mta.elsewhere.net", "deletionPolicy": "Retain", "elasticIPs": addresses}
    state.create(name="b", spec={**spec, "adoption": "Never"})
    state.teardown()


def test_a_ptr_that_only_a_lost_status_told_of_counts_as_adopted() -> None:
    """Under Observed there is no ownership record, and no operator was running when the status was deleted."""
    state = MailWorld()
    state.begin(spec={"elasticIPs": [{"allocationID": "EIP2"}], "hostname": "out.example.com"}, seconds=0.0)
    state.rename(hostname="mta.elsewhere.net", name="a", observed=True, restarts=True)
    state.wait(seconds=310.0)
    state.crash()
    state.meddle(name="a", what="status")
    state.teardown()


def test_nothing_tells_whose_a_ptr_is_when_the_status_was_deleted_and_the_spec_edited() -> None:
    state = MailWorld()
    state.begin(
        seconds=0.0,
        spec={
            "elasticIPs": [{"tags": {"use": "mail"}}, {"networkInterfaceID": "INTERFACE"}],
            "hostname": "out.example.com",
        },
    )
    state.rename(hostname="out.elsewhere.net", name="a", observed=True, restarts=False)
    state.wait_longer(seconds=31.0)
    state.crash()
    state.meddle(name="a", what="status")
    state.edit(
        field="suspend",
        name="a",
        spec={
            "elasticIPs": [{"allocationID": "EIP0"}],
            "hostname": "mta.sub.example.com",
            "suspend": True,
        },
    )
    state.teardown()


def test_what_a_third_party_set_before_a_ptr_was_ever_written_stays() -> None:
    """The process ended after it had recorded what it would set, and before it sent that."""
    state = MailWorld()
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "EIP0"}]}, seconds=0.0)
    state.trouble_api(times=3, what="status-500")
    state.strike(ahead=0, kind="crash", point="ec2.set_ptr", when="before")
    state.wait_longer(seconds=31.0)
    state.change_ptr(eip=0, name="mail.stranger.net")
    state.rename(hostname="mta.elsewhere.net", name="a", observed=True, restarts=False)
    state.wait_longer(seconds=31.0)
    state.teardown()


def test_a_stalled_object_keeps_the_hostname_of_a_ptr_that_it_has_not_reset_yet() -> None:
    """Its A record is somebody else's to repair. A younger object would write one without that address."""
    state = MailWorld()
    state.begin(
        spec={"hostname": "out.example.com", "elasticIPs": [{"natGatewayTags": {"use": "mail"}}]},
        seconds=310.0,
    )
    state.rename(hostname="out.example.com", name="a", observed=True, restarts=False)
    addresses = [{"tags": {"use": "mail"}}, {"region": "eu-west-1", "allocationID": "EIP3"}]
    state.edit(field="elasticIPs", name="a", spec={"hostname": "mta.example.com", "elasticIPs": addresses})
    state.change_record(host=1, what="drop-a")
    state.create(name="c", spec={"hostname": "out.example.com", "elasticIPs": [{"allocationID": "EIP1"}]})
    state.teardown()


def test_a_ptr_stays_managed_when_the_status_is_deleted_with_the_change_to_observed() -> None:
    """The process that did not see it finds the ownership record only after its first status."""
    state = MailWorld()
    addresses = [{"natGatewayID": "REGIONAL"}, {"tags": {"use": "mail"}}]
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": addresses}, seconds=310.0)
    state.change_record(host=0, what="right-a")
    state.meddle(name="a", what="status")
    state.second_operator()
    state.rename(hostname="mta.example.com", name="a", observed=True, restarts=False)
    state.teardown()


def test_a_ptr_that_a_third_party_removed_and_later_set_to_a_name_of_before_is_the_third_partys() -> None:
    state = MailWorld()
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "EIP1"}]}, seconds=310.0)
    state.change_ptr(eip=1, name="")
    state.rename(hostname="mta.example.com", name="a", observed=True, restarts=True)
    state.rename(hostname="out.example.com", name="a", observed=False, restarts=True)
    state.rename(hostname="mta.elsewhere.net", name="a", observed=False, restarts=True)
    state.change_ptr(eip=1, name="mta.example.com")
    state.teardown()


def test_a_ptr_that_was_adopted_under_observed_follows_to_the_next_hostname() -> None:
    state = MailWorld()
    tagged = {"tags": {"use": "mail"}}
    state.begin(
        spec={"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "EIP4"}, tagged]}, seconds=0.0
    )
    addresses = [{"instanceID": "INSTANCE"}, {"allocationID": "EIP4"}, tagged]
    state.create(name="c", spec={"hostname": "mta.elsewhere.net", "elasticIPs": addresses})
    state.change_ptr(eip=0, name="mta.example.com")
    state.rename(hostname="mta.example.com", name="a", observed=True, restarts=True)
    state.rename(hostname="out.example.com", name="a", observed=False, restarts=False)
    state.teardown()
