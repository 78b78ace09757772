"""Found by the fuzz: somebody removed a status, a finalizer or a record, and what is left must tell what was there."""

from __future__ import annotations

import pytest

from tests.support.simulation.machine import MailWorld


def test_a_ptr_goes_with_the_object_after_the_record_was_replaced_and_the_status_was_lost() -> None:
    """Only the ownership record tells that the A record, which AWS demands before a PTR, was the object's."""
    state = MailWorld()
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "EIP0"}]}, seconds=31.0)
    state.crash()
    state.change_record(host=0, what="foreign-a")
    state.meddle(name="a", what="status")
    state.teardown()


@pytest.mark.parametrize("finalizer", [True, False])
def test_a_ptr_goes_with_the_object_after_the_record_lost_its_address_and_the_status_was_lost(
    finalizer: bool,
) -> None:
    """Somebody took one of two addresses out of it while no operator ran."""
    state = MailWorld()
    several = [{"allocationID": "EIP0"}, {"networkInterfaceID": "INTERFACE"}]
    state.begin(spec={"hostname": "out.example.com", "elasticIPs": several}, seconds=310.0)
    state.crash()
    if not finalizer:
        state.meddle(name="a", what="finalizer")
    state.change_record(host=2, what="right-a")
    state.meddle(name="a", what="status")
    state.teardown()


@pytest.mark.parametrize(
    ("what", "values"),
    [("drop-a", ("203.0.113.1",)), ("foreign-a", ("192.0.2.66", "203.0.113.1"))],
    ids=["removed", "replaced"],
)
def test_the_record_of_a_former_hostname_that_somebody_changes_gets_its_address_back_while_a_ptr_shows_it(
    what: str, values: tuple[str, ...]
) -> None:
    """There is no hosted zone for the new hostname, so the PTR cannot change."""
    state = MailWorld()
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "EIP0"}]}, seconds=310.0)
    state.rename(name="a", hostname="mta.elsewhere.net", observed=False, restarts=False)
    state.change_record(host=0, what=what)
    state.wait_longer(seconds=4000.0)
    state.wait_longer(seconds=4000.0)
    world = state.world.sim.world
    assert world.record(world.zone_of("mta.example.com"), "mta.example.com", "A") == (300, values)
    state.teardown()


def test_nothing_tells_of_an_address_that_leaves_the_spec_after_the_record_was_replaced_and_the_status_was_lost() -> (
    None
):
    state = MailWorld()
    state.begin(spec={"hostname": "out.example.com", "elasticIPs": [{"allocationID": "EIP1"}]}, seconds=31.0)
    state.crash()
    state.change_record(host=1, what="foreign-a")
    state.meddle(name="a", what="status")
    state.edit(field="elasticIPs", name="a", spec={"elasticIPs": [{"allocationID": "EIP0"}]})
    state.teardown()


def test_a_request_for_a_reconcile_that_comes_while_no_operator_runs_is_handled_when_one_starts() -> None:
    state = MailWorld()
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "EIP0"}]}, seconds=310.0)
    state.crash()
    state.meddle(name="a", what="request")
    state.wait(seconds=60.0)
    [body] = state.world.sim.api.objects.values()
    asked = body["metadata"]["annotations"]["mailegress.io/reconcile-requested-at"]
    assert body["status"].get("lastHandledReconcileAt") == asked
    state.teardown()


def test_an_address_that_ec2_does_not_list_is_remembered_after_its_status_was_deleted() -> None:
    state = MailWorld()
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "EIP0"}]}, seconds=31.0)
    state.blind(what="one-address")
    state.meddle(name="a", what="status")
    state.delete(name="a")
    state.teardown()


def test_a_ptr_beside_a_replaced_record_is_reset_although_no_status_tells_of_it() -> None:
    """The ownership record is the object's own, and the spec selects the address."""
    state = MailWorld()
    state.begin(
        spec={
            "elasticIPs": [{"networkInterfaceID": "INTERFACE"}, {"allocationID": "EIP1"}],
            "hostname": "out.example.com",
        },
        seconds=31.0,
    )
    state.rename(hostname="mta.example.com", name="b", observed=True, restarts=True)
    state.meddle(name="a", what="status")
    state.delete(name="a")
    state.change_record(host=1, what="foreign-a")
    state.teardown()


def test_nothing_tells_whose_a_ptr_is_once_the_status_and_the_ownership_record_are_gone() -> None:
    state = MailWorld()
    state.begin(
        spec={
            "hostname": "out.example.com",
            "elasticIPs": [{"tags": {"use": "mail", "env": "a"}}, {"natGatewayTags": {"use": "mail"}}],
        },
        seconds=31.0,
    )
    state.wait_longer(seconds=31.0)
    state.wait_longer(seconds=31.0)
    state.scale(what="add")
    state.change_record(host=1, what="drop-mark")
    state.meddle(name="a", what="status")
    state.crash()
    state.teardown()


def test_two_operators_that_both_restart_end_as_one() -> None:
    state = MailWorld()
    state.begin(
        seconds=0.5,
        spec={
            "elasticIPs": [{"natGatewayID": "REGIONAL"}, {"tags": {"use": "mail"}}],
            "hostname": "out.example.com",
        },
    )
    state.trouble_api(times=8, what="watch-error")
    state.lose_eip(eip=1)
    state.second_operator()
    state.rename(hostname="out.elsewhere.net", name="b", observed=False, restarts=True)
    state.change_record(host=1, what="drop-mark")
    state.teardown()


def test_a_record_that_was_about_to_be_written_is_found_although_the_finalizer_was_removed() -> None:
    """The status names the hosted zone of a record that is about to be written."""
    state = MailWorld()
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "EIP0"}]}, seconds=0.0)
    state.rename(hostname="mta.example.com", name="a", observed=False, restarts=True)
    state.meddle(name="a", what="finalizer")
    state.rename(hostname="mta.example.com", name="a", observed=True, restarts=False)
    state.teardown()


def test_a_ptr_of_the_former_name_is_reset_although_the_status_was_deleted_after_the_rename() -> None:
    """A third party replaced the A record of the former name; its ownership record is still there."""
    state = MailWorld()
    state.begin(seconds=0.0, spec={"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "EIP1"}]})
    state.wait_longer(seconds=31.0)
    state.change_record(host=0, what="right-a")
    state.rename(hostname="out.elsewhere.net", name="a", observed=False, restarts=False)
    state.second_operator()
    state.meddle(name="a", what="status")
    state.teardown()


def test_an_adopted_ptr_beside_the_own_record_counts_as_set_after_a_backup_without_statuses_is_restored() -> (
    None
):
    state = MailWorld()
    state.begin(
        spec={
            "hostname": "out.example.com",
            "elasticIPs": [{"tags": {"use": "mail"}}, {"allocationID": "EIP4"}],
        },
        seconds=0.0,
    )
    state.change_ptr(eip=4, name="out.example.com")
    state.take_backup()
    state.wait_longer(seconds=0.5)
    state.restore_backup()
    state.rename(hostname="mta.example.com", name="c", observed=True, restarts=True)
    state.teardown()


def test_an_object_that_one_operator_just_called_stalled_keeps_what_it_holds_by_its_age() -> None:
    """Somebody overwrites its ownership record while another operator waits for Route 53, and goes on with it."""
    state = MailWorld()
    gateway = {"natGatewayTags": {"use": "mail"}}
    state.begin(spec={"hostname": "out.example.com", "elasticIPs": [gateway, gateway]}, seconds=0.0)
    state.wait(seconds=0.5)
    state.wait(seconds=60.0)
    elsewhere = [
        {"allocationID": "BALANCER"},
        {"allocationID": "EIP2", "region": "ap-northeast-1"},
        {"region": "us-west-2", "tags": {"use": "mail", "env": "a"}},
    ]
    spec = {"hostname": "out.example.com", "adoption": "Matching", "elasticIPs": elsewhere}
    state.create(name="b", spec={**spec, "forward": {"management": "ExternalDNS"}})
    state.second_operator()
    state.change_record(host=1, what="garble-mark")
    state.wait(seconds=60.0)
    state.teardown()


def test_an_operator_that_has_not_asked_again_counts_a_server_that_failed_a_moment_ago() -> None:
    """Two operators: the one that asked again takes Ready, the other sets it once more."""
    state = MailWorld()
    addresses = [{"natGatewayTags": {"use": "mail"}}, {"allocationID": "EIP4"}]
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": addresses}, seconds=0.0)
    state.wait_longer(seconds=60.0)
    state.wait_longer(seconds=60.0)
    state.second_operator()
    state.trouble_dns(server=1, what="REFUSED")
    state.trouble_dns(server=3, what="silent")
    state.wait_longer(seconds=4000.0)
    state.trouble_dns(server=2, what="REFUSED")
    state.wait_longer(seconds=4000.0)
    state.teardown()


def test_a_ptr_goes_with_the_object_after_the_lost_status_was_begun_anew_and_the_record_was_replaced() -> (
    None
):
    """One operator wrote a status before it had read anything, and was refused the next; another finds that status."""
    state = MailWorld()
    state.begin(spec={"hostname": "out.example.com", "elasticIPs": [{"allocationID": "EIP3"}]}, seconds=310.0)
    state.strike(point="kube.status", ahead=1, kind="denied", when="before")
    state.crash()
    state.meddle(name="a", what="status")
    state.wait(seconds=310.0)
    state.second_operator()
    state.change_record(host=1, what="right-a")
    state.teardown()


def test_a_record_of_a_former_hostname_goes_although_finalizer_and_status_were_removed_with_the_rename() -> (
    None
):
    """The operator that saw the record is retired, and the other one sees the edited object for the first time."""
    state = MailWorld()
    tagged = {"tags": {"use": "mail", "env": "a"}}
    spec = {"hostname": "out.example.com", "elasticIPs": [tagged, {"allocationID": "EIP4"}]}
    state.begin(spec=spec, seconds=310.0)
    state.second_operator()
    state.meddle(name="a", what="status")
    state.edit(name="a", field="hostname", spec={**spec, "hostname": "mta.sub.example.com"})
    elsewhere = {"allocationID": "BALANCER", "region": "eu-west-1"}
    addresses = [{"publicIP": "IP3"}, {"allocationID": "EIP2"}, elsewhere]
    state.edit(name="a", field="elasticIPs", spec={**spec, "elasticIPs": addresses})
    state.meddle(name="a", what="finalizer")
    state.teardown()


def test_a_record_of_a_former_hostname_goes_although_nothing_was_written_for_the_new_one() -> None:
    """Status and finalizer are removed with the edit while no operator runs, and the new hostname has no zone."""
    state = MailWorld()
    state.begin(spec={"hostname": "out.example.com", "elasticIPs": [{"allocationID": "EIP4"}]}, seconds=310.0)
    state.crash()
    state.meddle(name="a", what="status")
    spec = {"hostname": "mta.nowhere.org", "elasticIPs": [{"allocationID": "EIP1"}]}
    state.edit(name="a", field="hostname", spec=spec)
    state.edit(name="a", field="elasticIPs", spec=spec)
    state.meddle(name="a", what="finalizer")
    state.teardown()
    world = state.world.sim.world
    assert world.mark(world.zone_of("out.example.com"), "out.example.com") == ""


def test_one_of_two_operators_that_are_both_down_is_retired_once_both_run() -> None:
    state = MailWorld()
    addresses = [{"allocationID": "EIP0"}, {"allocationID": "EIP4"}]
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": addresses}, seconds=0.0)
    state.strike(point="kube.status", ahead=1, kind="crash", when="after")
    state.second_operator()
    state.crash()
    state.strike(point="kube.status", ahead=0, kind="crash", when="before")
    state.retire_second()
    state.teardown()


def test_an_object_waits_for_a_ptr_that_another_one_keeps_until_its_new_hostname_is_verified() -> None:
    """The other one's new hostname has no zone, and a third party removed the ownership record of the former one."""
    spec = {"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "EIP0"}]}
    state = MailWorld()
    state.begin(spec=spec, seconds=310.0)
    state.change_record(host=0, what="drop-mark")
    state.edit(
        field="elasticIPs", name="a", spec={**spec, "elasticIPs": [{"allocationID": "eipalloc-0dead"}]}
    )
    state.create(name="b", spec=spec)
    state.rename(hostname="out.elsewhere.net", name="a", observed=False, restarts=False)
    state.teardown()


def test_an_address_that_is_released_while_the_account_is_out_of_sight_does_not_block_a_deletion() -> None:
    """All addresses are missing at once, and then only one: it is lost, and no mass loss any more."""
    state = MailWorld()
    state.begin(
        spec={
            "hostname": "mta.example.com",
            "elasticIPs": [{"allocationID": "EIP2"}, {"tags": {"use": "mail"}}],
        },
        seconds=0.0,
    )
    addresses = [{"allocationID": "EIP0"}, {"instanceID": "INSTANCE"}, {"natGatewayID": "NAT"}]
    state.create(name="b", spec={"elasticIPs": addresses, "hostname": "mta.sub.example.com"})
    state.wait_longer(seconds=31.0)
    state.delete(name="a")
    state.blind(what="ec2-account")
    state.wait_longer(seconds=310.0)
    state.lose_eip(eip=1)
    state.teardown()


def test_an_object_that_lost_its_status_and_names_a_wrong_zone_is_in_conflict_where_its_ownership_record_stands() -> (
    None
):
    """Another object wants the hostname, so the record grants nothing."""
    state = MailWorld()
    state.begin(seconds=310.0, spec={"elasticIPs": [{"allocationID": "EIP0"}], "hostname": "out.example.com"})
    state.crash()
    state.meddle(name="a", what="status")
    state.create(name="c", spec={"elasticIPs": [{"allocationID": "EIP1"}], "hostname": "out.example.com"})
    state.edit(field="forward", name="a", spec={"forward": {"hostedZoneID": "ZONE1"}})
    state.teardown()


def test_an_object_that_comes_back_from_a_backup_as_it_was_before_the_first_write_is_new() -> None:
    state = MailWorld()
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "EIP0"}]}, seconds=0.0)
    state.take_backup()
    state.rename(hostname="mta.sub.example.com", name="a", observed=False, restarts=True)
    state.restore_backup()
    state.teardown()


def test_an_older_object_that_could_not_see_its_addresses_stands_behind_a_younger_one_until_it_looks_again() -> (
    None
):
    state = MailWorld()
    state.create(
        name="b",
        spec={
            "elasticIPs": [{"allocationID": "EIP1"}, {"allocationID": "EIP4"}],
            "hostname": "mta.elsewhere.net",
        },
    )
    state.wait(seconds=3.0)
    state.blind(what="ec2-account")
    state.strike(ahead=0, kind="crash", point="kube.status", when="before")
    addresses = [{"publicIP": "IP4"}, {"tags": {"use": "mail"}}, {"allocationID": "EIP0"}]
    state.create(
        name="a",
        spec={"elasticIPs": addresses, "hostname": "mta.sub.example.com", "forward": {}, "senderDomains": []},
    )
    state.wait(seconds=31.0)
    state.edit(
        field="senderDomains", name="a", spec={"elasticIPs": addresses, "hostname": "mta.sub.example.com"}
    )
    state.teardown()


def test_whoever_takes_a_hostname_over_has_only_the_ptrs_of_which_its_record_tells() -> None:
    """A third party removed the A record and the finalizer of the object before, while no operator ran."""
    state = MailWorld()
    state.begin(
        spec={
            "hostname": "mta.example.com",
            "elasticIPs": [{"natGatewayTags": {"use": "mail"}}, {"allocationID": "EIP0"}],
        },
        seconds=310.0,
    )
    state.strike(ahead=0, kind="crash", point="kube.status", when="before")
    state.change_ptr(eip=0, name="")
    state.change_record(host=0, what="drop-a")
    state.trouble_api(times=2, what="status-409")
    state.meddle(name="a", what="finalizer")
    state.edit(
        field="adoption",
        name="a",
        spec={
            "hostname": "mta.example.com",
            "elasticIPs": [{"allocationID": "EIP0"}],
            "adoption": "Matching",
        },
    )
    state.crash()
    state.delete(name="a")
    state.create(name="a", spec={"elasticIPs": [{"natGatewayID": "NAT"}], "hostname": "mta.example.com"})
    state.teardown()


def test_an_address_that_no_selector_names_any_more_is_no_conflict_when_another_object_has_it() -> None:
    """The last address with the tag lost it, and somebody else set its PTR."""
    state = MailWorld()
    state.begin(
        seconds=310.0, spec={"elasticIPs": [{"tags": {"use": "mail"}}], "hostname": "out.example.com"}
    )
    state.lose_eip(eip=1)
    state.change_ptr(eip=0, name="mail.stranger.net")
    state.retag(key="use", present=False, what="EIP0")
    state.create(
        name="b",
        spec={"elasticIPs": [{"allocationID": "EIP0"}], "hostname": "mta.sub.example.com"},
    )
    state.teardown()


def test_a_changed_record_stays_when_no_status_tells_that_the_operator_wrote_it() -> None:
    """``RecordConflict`` says so. A PTR that somebody else waits for comes half an hour later."""
    state = MailWorld()
    state.begin(
        spec={"elasticIPs": [{"allocationID": "EIP4"}], "hostname": "mta.sub.example.com"}, seconds=310.0
    )
    state.change_record(host=2, what="right-a")
    state.trouble_dns(server=3, what="REFUSED")
    state.crash()
    state.create(name="c", spec={"elasticIPs": [{"publicIP": "IP3"}], "hostname": "mta.example.com"})
    state.meddle(name="a", what="status")
    state.wait(seconds=4000.0)
    state.teardown()


def test_a_deleted_status_tells_of_a_handled_request_at_once() -> None:
    """Before, it did with the next reading of public resolvers, up to an hour later."""
    state = MailWorld()
    state.begin(
        spec={"elasticIPs": [{"tags": {"use": "mail"}}], "hostname": "out.example.com"}, seconds=310.0
    )
    state.meddle(name="a", what="request")
    state.wait(seconds=310.0)
    state.meddle(name="a", what="status")
    state.wait(seconds=310.0)
    state.teardown()
