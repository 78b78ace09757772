"""What the fuzz found about PTRs that third parties set."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.simulation.machine import MailWorld


def test_a_ptr_of_another_objects_hostname_that_a_third_party_set_is_no_claim() -> None:
    """The other object, whose record does not hold the address, is not about to release it."""
    state = MailWorld()
    state.begin(
        spec={
            "elasticIPs": [{"allocationID": "EIP0"}, {"natGatewayID": "REGIONAL"}],
            "hostname": "out.example.com",
        },
        seconds=0.0,
    )
    state.create(
        name="c",
        spec={
            "hostname": "mta.sub.example.com",
            "adoption": "Never",
            "deletionPolicy": "Retain",
            "elasticIPs": [
                {"region": "eu-west-1", "publicIP": "IP1"},
                {"region": "ap-northeast-1", "allocationID": "EIP1"},
                {"natGatewayTags": {"use": "mail"}, "region": "ap-northeast-1"},
            ],
        },
    )
    state.edit(
        field="elasticIPs",
        name="c",
        spec={
            "suspend": False,
            "hostname": "mta.sub.example.com",
            "adoption": "Matching",
            "elasticIPs": [{"tags": {"use": "mail"}}],
        },
    )
    state.wait(seconds=310.0)
    state.lose_eip(eip=0)
    state.retag(key="use", present=False, what="EIP1")
    state.change_ptr(eip=1, name="out.example.com")
    state.teardown()


def test_a_third_partys_ptr_of_the_new_hostname_may_be_reset() -> None:
    state = MailWorld()
    state.begin(seconds=31.0, spec={"elasticIPs": [{"allocationID": "EIP0"}], "hostname": "mta.example.com"})
    state.change_ptr(eip=0, name="out.example.com")
    state.rename(hostname="out.example.com", name="a", observed=True, restarts=True)
    state.teardown()


def test_a_third_party_sets_the_ptr_that_the_operator_is_setting() -> None:
    state = MailWorld()
    state.begin(
        seconds=31.0,
        spec={
            "elasticIPs": [{"allocationID": "EIP2"}, {"tags": {"use": "mail"}}],
            "hostname": "out.example.com",
        },
    )
    state.change_record(host=1, what="right-a")
    state.change_ptr(eip=2, name="mail.stranger.net")
    state.change_ptr(eip=2, name="out.example.com")
    state.teardown()


def test_a_ptr_of_an_address_that_the_spec_does_not_name_stays() -> None:
    state = MailWorld()
    state.begin(seconds=0.5, spec={"hostname": "out.example.com", "elasticIPs": [{"allocationID": "EIP2"}]})
    state.change_record(host=1, what="right-a")
    state.change_ptr(eip=0, name="out.example.com")
    state.change_record(host=1, what="drop-a")
    state.teardown()


def test_an_adopted_ptr_follows_the_hostname() -> None:
    state = MailWorld()
    state.begin(seconds=0.0, spec={"hostname": "mta.example.com", "elasticIPs": [{"tags": {"use": "mail"}}]})
    state.create(
        name="c",
        spec={
            "senderDomains": ["shop.example.com", "mta.example.com", "example.com"],
            "adoption": "Matching",
            "elasticIPs": [{"allocationID": "EIP4"}, {"publicIP": "IP0"}, {"allocationID": "EIP1"}],
            "hostname": "mta.example.com",
        },
    )
    state.change_ptr(eip=1, name="mta.example.com")
    state.change_record(host=0, what="foreign-a")
    state.wait_longer(seconds=0.5)
    state.rename(hostname="out.elsewhere.net", name="c", observed=True, restarts=True)
    state.teardown()


def test_a_ptr_of_the_objects_own_former_hostname_is_not_foreign() -> None:
    state = MailWorld()
    state.begin(
        spec={
            "hostname": "out.example.com",
            "elasticIPs": [{"allocationID": "EIP1"}, {"allocationID": "EIP2"}],
        },
        seconds=0.0,
    )
    state.change_ptr(eip=1, name="mail.stranger.net")
    state.wait(seconds=0.5)
    state.change_ptr(eip=1, name="out.example.com")
    state.rename(hostname="mta.elsewhere.net", name="a", observed=True, restarts=False)
    state.teardown()


def test_a_ptr_beside_a_retained_record_that_another_object_did_not_take_over_stays() -> None:
    state = MailWorld()
    state.begin(
        seconds=31.0,
        spec={
            "elasticIPs": [{"allocationID": "EIP2"}, {"tags": {"use": "mail"}}],
            "hostname": "out.example.com",
        },
    )
    state.delete(name="a")
    state.edit(
        field="deletionPolicy",
        name="a",
        spec={
            "deletionPolicy": "Retain",
            "forward": {"hostedZoneID": "Z0NE", "ttlSeconds": 284},
            "hostname": "out.example.com",
            "adoption": "Matching",
            "senderDomains": ["shop.example.com"],
            "suspend": False,
            "elasticIPs": [{"tags": {"use": "mail"}}, {"tags": {"use": "mail"}}, {"tags": {"use": "mail"}}],
        },
    )
    state.wait_longer(seconds=0.01)
    state.create(
        name="a",
        spec={
            "elasticIPs": [{"region": "ap-northeast-1", "allocationID": "EIP2"}],
            "hostname": "out.example.com",
        },
    )
    state.teardown()


def test_a_ptr_of_an_address_that_joins_later_is_adopted_although_another_operator_made_the_record() -> None:
    state = MailWorld()
    state.begin(spec={"hostname": "out.example.com", "elasticIPs": [{"tags": {"use": "mail"}}]}, seconds=0.0)
    state.second_operator()
    state.wait_longer(seconds=0.5)
    state.change_ptr(eip=2, name="out.example.com")
    state.retag(key="use", present=True, what="EIP2")
    state.teardown()


def test_a_ptr_of_an_address_that_joins_a_record_that_somebody_removed_is_adopted() -> None:
    state = MailWorld()
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "EIP1"}]}, seconds=3.0)
    state.change_ptr(eip=0, name="mta.example.com")
    state.edit(
        field="elasticIPs",
        name="a",
        spec={
            "hostname": "mta.sub.example.com",
            "deletionPolicy": "Delete",
            "elasticIPs": [{"tags": {"use": "mail"}, "region": "ap-northeast-1"}, {"allocationID": "EIP2"}],
            "forward": {"management": "Managed", "ttlSeconds": 300, "hostedZoneID": "Z0NE"},
        },
    )
    state.change_record(host=0, what="drop-a")
    state.teardown()


def test_a_ptr_that_a_third_party_sets_before_the_record_of_a_new_object_is_written_is_adopted() -> None:
    state = MailWorld()
    state.begin(
        spec={
            "hostname": "mta.example.com",
            "elasticIPs": [{"tags": {"use": "mail"}}, {"tags": {"use": "mail"}}],
        },
        seconds=0.0,
    )
    state.wait_longer(seconds=0.5)
    state.change_ptr(eip=2, name="out.example.com")
    state.create(
        name="c",
        spec={
            "hostname": "mta.elsewhere.net",
            "adoption": "Matching",
            "suspend": False,
            "elasticIPs": [
                {"natGatewayTags": {"use": "mail"}},
                {"allocationID": "EIP1"},
                {"instanceID": "INSTANCE"},
            ],
        },
    )
    state.create(name="b", spec={"hostname": "out.example.com", "elasticIPs": [{"allocationID": "EIP2"}]})
    state.teardown()


def test_ready_ends_before_the_ptr_of_an_address_that_left_is_reset_although_no_server_was_asked_yet() -> (
    None
):
    """After a restart the API server refuses the status for ten minutes, and a name server is silent."""
    state = MailWorld()
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": [{"tags": {"use": "mail"}}]}, seconds=0.0)
    state.crash()
    state.wait_longer(seconds=4000.0)
    state.crash()
    state.trouble_api(times=7, what="status-409")
    state.trouble_api(times=8, what="status-409")
    state.retag(what="EIP0", key="use", present=False)
    state.trouble_dns(server=0, what="silent")
    state.wait_longer(seconds=1000.0)
    state.teardown()


def test_one_of_two_operators_resets_a_ptr_before_the_other_sees_that_the_address_left() -> None:
    state = MailWorld()
    state.begin(
        spec={"hostname": "mta.example.com", "elasticIPs": [{"tags": {"use": "mail"}}]}, seconds=310.0
    )
    state.wait(seconds=60.0)
    state.meddle(name="a", what="request")
    state.second_operator()
    state.wait_longer(seconds=60.0)
    state.retag(what="EIP1", key="use", present=False)
    state.wait_longer(seconds=310.0)
    state.teardown()


def test_a_ptr_stays_while_a_third_partys_record_stands_in_place_of_the_ownership_record() -> None:
    """The operator does not overwrite that record, so that it cannot restore the A record either. It says so."""
    state = MailWorld()
    state.begin(
        spec={
            "hostname": "mta.example.com",
            "elasticIPs": [{"allocationID": "EIP0"}, {"allocationID": "EIP1"}],
        },
        seconds=310.0,
    )
    state.change_record(host=0, what="garble-mark")
    state.change_record(host=0, what="drop-a")
    state.create(
        name="c",
        spec={"elasticIPs": [{"publicIP": "IP5"}, {"publicIP": "IP3"}], "hostname": "mta.sub.example.com"},
    )
    state.trouble_dns(server=7, what="REFUSED")
    state.wait_longer(seconds=4000.0)
    state.teardown()


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("observed", [False, True])
def test_a_ptr_that_a_third_party_set_beside_the_record_of_a_former_hostname_stays(
    observed: bool, restarts: bool
) -> None:
    """A third party put the address into that record. The status names every address that the operator gave it."""
    state = MailWorld()
    state.begin(
        spec={"hostname": "out.example.com", "elasticIPs": [{"natGatewayID": "REGIONAL"}]}, seconds=310.0
    )
    state.change_ptr(eip=0, name="out.example.com")
    state.change_record(host=1, what="right-a")
    state.change_record(host=0, what="foreign-a")
    state.rename(hostname="mta.example.com", name="a", observed=observed, restarts=restarts)
    state.wait_longer(seconds=4000.0)
    state.change_record(host=0, what="drop-a")
    state.wait_longer(seconds=4000.0)
    state.teardown()


def test_a_record_that_a_third_party_replaced_during_a_suspension_is_put_right_after_it() -> None:
    """Until then it stays as it is, also when the operator writes for another object."""
    spec = {"hostname": "out.example.com", "elasticIPs": [{"natGatewayID": "REGIONAL"}]}
    state = MailWorld()
    state.begin(spec=spec, seconds=310.0)
    state.change_ptr(eip=0, name="out.example.com")
    state.change_record(host=1, what="right-a")
    state.edit(field="suspend", name="a", spec={**spec, "suspend": True})
    state.wait_longer(seconds=4000.0)
    state.create(name="c", spec={"elasticIPs": [{"allocationID": "EIP3"}], "hostname": "mta.sub.example.com"})
    state.wait_longer(seconds=310.0)
    state.edit(field="suspend", name="a", spec={**spec, "suspend": False})
    state.wait_longer(seconds=4000.0)
    state.teardown()


def test_a_third_party_sets_the_ptr_of_the_new_hostname_and_replaces_its_record_while_no_operator_runs() -> (
    None
):
    """Nothing tells that PTR from the one that the operator was about to set."""
    state = MailWorld()
    state.begin(spec={"hostname": "out.example.com", "elasticIPs": [{"allocationID": "EIP4"}]}, seconds=31.0)
    state.rename(hostname="mta.example.com", name="a", observed=False, restarts=True)
    state.change_record(host=0, what="foreign-a")
    state.blind(what="zone-account")
    state.change_ptr(eip=4, name="mta.example.com")
    state.teardown()


def test_a_retained_ptr_stays_when_an_object_that_waited_for_the_hostname_is_deleted_at_the_same_time() -> (
    None
):
    state = MailWorld()
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "EIP0"}]}, seconds=0.0)
    hostname = "mta.sub.example.com"
    state.create(
        name="b",
        spec={
            "adoption": "Never",
            "deletionPolicy": "Retain",
            "elasticIPs": [{"allocationID": "EIP4"}],
            "hostname": hostname,
        },
    )
    state.wait_longer(seconds=31.0)
    state.edit(field="hostname", name="a", spec={"hostname": hostname})
    state.edit(field="elasticIPs", name="a", spec={"elasticIPs": [{"instanceID": "INSTANCE"}]})
    state.teardown()


def test_an_object_that_is_deleted_as_its_addresses_are_released_does_not_wait_for_a_mass_loss() -> None:
    """Whoever deletes it may have released them all a moment before."""
    state = MailWorld()
    state.begin(seconds=31.0, spec={"elasticIPs": [{"tags": {"use": "mail"}}], "hostname": "mta.example.com"})
    for eip in (3, 0, 1, 4):
        state.lose_eip(eip=eip)
    state.delete(name="a")
    addresses = [{"publicIP": "IP3"}, {"allocationID": "EIP4"}]
    state.create(name="b", spec={"hostname": "out.example.com", "elasticIPs": addresses})
    state.teardown()


def spec_of(hostname: str, management: str, *, suspend: bool = False) -> dict[str, Any]:
    forward = {"management": management}
    return {
        "hostname": hostname,
        "elasticIPs": [{"allocationID": "EIP1"}],
        "forward": forward,
        "suspend": suspend,
    }


@pytest.mark.parametrize("management", ["Managed", "Observed"])
@pytest.mark.parametrize("seen", [True, False], ids=["seen before the rename", "not seen before the rename"])
def test_a_name_that_a_third_party_set_before_the_object_got_it_stays(management: str, seen: bool) -> None:
    """The object had a PTR of its own at the address, did not repair it, and is renamed twice."""
    state = MailWorld()
    state.begin(spec=spec_of("out.example.com", "Managed"), seconds=310.0)
    state.edit(field="suspend", name="a", spec=spec_of("out.example.com", management, suspend=True))
    state.wait(seconds=31.0)
    state.change_ptr(eip=1, name="mta.example.com")
    state.wait(seconds=1000.0 if seen else 0.01)
    state.crash()
    state.edit(field="hostname", name="a", spec=spec_of("mta.example.com", management))
    state.wait(seconds=31.0)
    state.edit(field="hostname", name="a", spec=spec_of("mta.sub.example.com", management))
    state.wait(seconds=310.0)
    state.delete(name="a")
    state.wait(seconds=310.0)
    state.teardown()


@pytest.mark.parametrize("management", ["Managed", "Observed"])
@pytest.mark.parametrize("restarts", [True, False])
def test_a_ptr_that_a_third_party_changes_is_repaired(management: str, restarts: bool) -> None:
    state = MailWorld()
    state.begin(spec=spec_of("out.example.com", "Managed"), seconds=310.0)
    state.edit(field="forward", name="a", spec=spec_of("out.example.com", management))
    state.wait(seconds=310.0)
    state.change_ptr(eip=1, name="foreign.example.org")
    if restarts:
        state.crash()
    state.wait(seconds=1000.0)
    assert state.world.sim.condition("a")[0] == "True"
    state.teardown()


def test_a_third_partys_ptr_that_two_operators_see_at_different_times_belongs_to_neither() -> None:
    """One sees its own write still pending and the other what replaced it, while the object is renamed."""
    state = MailWorld()
    state.begin(
        spec={
            "elasticIPs": [{"tags": {"use": "mail"}}, {"allocationID": "EIP2"}],
            "hostname": "out.example.com",
        },
        seconds=31.0,
    )
    state.second_operator()
    state.change_ptr(eip=1, name="mta.example.com")
    state.rename(hostname="mta.elsewhere.net", name="a", observed=True, restarts=True)
    state.edit(
        field="hostname",
        name="a",
        spec={
            "forward": {"management": "Managed"},
            "hostname": "mta.example.com",
            "elasticIPs": [{"allocationID": "EIP4"}],
        },
    )
    state.retire_second()
    state.edit(
        field="hostname",
        name="a",
        spec={
            "hostname": "mta.sub.example.com",
            "elasticIPs": [{"allocationID": "EIP2"}, {"tags": {"use": "mail"}}],
        },
    )
    state.teardown()


def test_a_ptr_under_way_stays_managed_when_the_object_gets_the_name_that_it_replaces() -> None:
    """A third party had set that name. Then the operator ends, and the next process sees its own PTR there."""
    state = MailWorld()
    addresses = [{"networkInterfaceID": "INTERFACE"}, {"tags": {"use": "mail"}}]
    state.begin(spec={"hostname": "out.example.com", "elasticIPs": addresses}, seconds=310.0)
    state.change_ptr(eip=1, name="mail.stranger.net")
    state.rename(hostname="out.elsewhere.net", name="a", observed=True, restarts=True)
    state.change_ptr(eip=4, name="mta.example.com")
    state.wait_longer(seconds=60.0)
    state.rename(hostname="mta.example.com", name="a", observed=False, restarts=True)
    state.teardown()


def test_a_ptr_with_a_former_hostname_is_reset_when_no_status_tells_of_that_hostname() -> None:
    """Somebody deleted the status with the rename, and the operator ended when the address left the spec."""
    state = MailWorld()
    state.begin(
        spec={"hostname": "out.example.com", "elasticIPs": [{"tags": {"use": "mail"}}]}, seconds=310.0
    )
    spec = {"hostname": "mta.sub.example.com", "elasticIPs": [{"allocationID": "EIP0"}]}
    state.edit(field="hostname", name="a", spec=spec)
    state.meddle(name="a", what="status")
    state.crash()
    state.wait_longer(seconds=31.0)
    state.edit(field="elasticIPs", name="a", spec={**spec, "elasticIPs": [{"publicIP": "IP3"}]})
    state.crash()
    state.teardown()


def test_a_ptr_that_comes_while_the_record_is_written_stays_where_nothing_is_adopted() -> None:
    state = MailWorld()
    tagged = {"tags": {"use": "mail"}}
    state.begin(spec={"hostname": "out.example.com", "elasticIPs": [tagged]}, seconds=310.0)
    addresses = [{"region": "ap-northeast-1", **tagged}, {"allocationID": "EIP3"}]
    spec = {"hostname": "mta.example.com", "elasticIPs": addresses, "adoption": "Never"}
    state.create(name="b", spec=spec)
    state.change_ptr(eip=3, name="mta.example.com")
    state.teardown()


def test_a_ptr_that_changes_while_a_refused_reset_waits_is_reset_by_the_reading_before() -> None:
    """A reset relies on a reading of the minute before."""
    state = MailWorld()
    addresses = [{"tags": {"use": "mail"}}, {"allocationID": "EIP2"}]
    state.begin(spec={"hostname": "out.example.com", "elasticIPs": addresses}, seconds=310.0)
    state.strike(ahead=0, kind="denied", point="ec2.reset_ptr", when="before")
    state.delete(name="a")
    state.wait_longer(seconds=31.0)
    state.change_ptr(eip=2, name="mta.example.com")
    state.teardown()
