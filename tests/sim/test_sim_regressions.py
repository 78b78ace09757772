"""What the stateful fuzz once found, as the steps that showed it (see ``make fuzz``)."""

from __future__ import annotations

from tests.support.simulation.faults import Plan
from tests.support.simulation.machine import MailWorld
from tests.support.simulation.runs import play_faulted


def test_an_address_that_nothing_replaces_is_not_told_as_progress() -> None:
    """The selector that is left names nothing: that is the cause, not the reset of a PTR that waits for it."""
    state = MailWorld()
    state.create(
        name="c",
        spec={
            "elasticIPs": [{"natGatewayID": "nat-0dead"}, {"allocationID": "EIP2"}],
            "hostname": "out.example.com",
        },
    )
    state.wait(seconds=310.0)
    state.edit(
        name="c",
        field="elasticIPs",
        spec={"hostname": "out.example.com", "elasticIPs": [{"natGatewayID": "nat-0dead"}]},
    )
    state.teardown()


def test_a_ptr_of_ours_is_not_adopted_when_the_record_is_gone_after_a_crash() -> None:
    """Crash, the A record deleted by hand, and the selector written another way: the PTR is still ours to reset."""
    state = MailWorld()
    spec = {"elasticIPs": [{"allocationID": "EIP0"}], "hostname": "mta.example.com"}
    state.create(name="a", spec=spec)
    state.wait(seconds=31.0)
    state.crash()
    state.change_record(host=0, what="drop-a")
    again = {**spec, "elasticIPs": [{"allocationID": "EIP0", "region": "ap-northeast-1"}]}
    state.edit(name="a", field="elasticIPs", spec=again)
    state.teardown()


def test_the_ptr_of_an_address_that_left_spec_and_record_at_once_is_reset() -> None:
    """The A record deleted by hand and the address replaced while AWS was setting its PTR: only the status tells."""
    state = MailWorld()
    spec = {"elasticIPs": [{"allocationID": "EIP1"}], "hostname": "mta.example.com"}
    state.create(name="a", spec=spec)
    state.wait(seconds=31.0)
    state.change_record(host=0, what="drop-a")
    state.edit(name="a", field="elasticIPs", spec={**spec, "elasticIPs": [{"allocationID": "EIP0"}]})
    state.teardown()


def test_a_ptr_that_became_a_strangers_is_not_reset_on_an_old_reading() -> None:
    """Somebody took the address over while its successor was being set up: its PTR is read before the reset."""
    state = MailWorld()
    spec = {"elasticIPs": [{"allocationID": "EIP3"}], "hostname": "mta.example.com"}
    state.create(name="a", spec=spec)
    state.wait(seconds=310.0)
    state.change_ptr(eip=3, name="mail.stranger.net")
    state.edit(name="a", field="elasticIPs", spec={**spec, "elasticIPs": [{"allocationID": "EIP0"}]})
    state.teardown()


def test_a_restored_backup_is_noticed_before_the_hourly_list() -> None:
    state = MailWorld()
    state.create(name="a", spec={"elasticIPs": [{"allocationID": "EIP0"}], "hostname": "mta.example.com"})
    state.take_backup()
    state.wait(seconds=310.0)
    state.restore_backup()
    state.teardown()


def test_a_mark_that_somebody_garbled_is_told_as_a_conflict() -> None:
    state = MailWorld()
    state.create(name="a", spec={"elasticIPs": [{"allocationID": "EIP0"}], "hostname": "mta.example.com"})
    state.change_record(host=0, what="garble-mark")
    state.teardown()


def test_what_is_stalled_and_moves_without_a_word_is_not_passed_over_and_over() -> None:
    """Both of the API server's permissions stay away so long that the object is stalled when its change goes out."""
    play_faulted(
        "delete-midway",
        Plan("kube.finalizer", 0, "before", "denied"),
        also=Plan("kube.status", 0, "before", "denied"),
    )


def test_an_a_record_is_not_changed_when_its_mark_changed_since_it_was_read() -> None:
    """The mark is garbled and the addresses are edited in the same moment: the change is refused by Route 53."""
    state = MailWorld()
    spec = {"elasticIPs": [{"allocationID": "EIP0"}], "hostname": "mta.example.com"}
    state.create(name="a", spec=spec)
    state.wait(seconds=310.0)
    state.change_record(host=0, what="garble-mark")
    state.edit(name="a", field="elasticIPs", spec={**spec, "elasticIPs": [{"allocationID": "EIP1"}]})
    state.wait(seconds=31.0)
    state.safe()


def test_an_account_that_was_read_while_the_credentials_changed_is_not_recorded() -> None:
    state = MailWorld()
    state.create(name="a", spec={"elasticIPs": [{"allocationID": "EIP0"}], "hostname": "mta.example.com"})
    state.blind(what="ec2-account")
    state.wait(seconds=0.01)
    state.teardown()


def test_an_older_object_that_names_an_address_in_another_region_does_not_hold_it() -> None:
    state = MailWorld()
    state.blind(what="second-region")
    state.create(name="c", spec={"elasticIPs": [{"allocationID": "EIP0"}], "hostname": "mta.example.com"})
    elsewhere = [{"allocationID": "EIP4", "region": "us-west-2"}, {"allocationID": "eipalloc-0dead"}]
    state.create(name="a", spec={"elasticIPs": elsewhere, "hostname": "mta.example.com"})
    instance = {"elasticIPs": [{"instanceID": "INSTANCE"}], "hostname": "mta.example.com"}
    state.edit(name="c", field="elasticIPs", spec=instance)
    state.teardown()


def test_a_second_operators_write_that_was_sent_before_is_no_repetition() -> None:
    state = MailWorld()
    state.second_operator()
    state.strike(point="route53.change", ahead=0, when="before", kind="5xx")
    state.create(name="c", spec={"elasticIPs": [{"allocationID": "EIP0"}], "hostname": "mta.example.com"})
    state.wait(seconds=310.0)
    state.teardown()


def test_an_address_named_in_the_wrong_region_is_nobodys_conflict() -> None:
    """The first object cannot use it either, so that both are behind all others in line."""
    state = MailWorld()
    zone = {"ttlSeconds": 300, "hostedZoneID": "ZONE1"}
    eips = [{"allocationID": "EIP0"}]
    state.create(name="a", spec={"elasticIPs": eips, "hostname": "mta.example.com", "forward": zone})
    elsewhere = [{"allocationID": "EIP0", "region": "eu-west-1"}]
    state.create(name="b", spec={"elasticIPs": elsewhere, "hostname": "out.example.com"})
    state.teardown()


def test_an_address_does_not_leave_the_record_while_its_ptr_is_being_set() -> None:
    """The spec drops an address in the moment in which AWS is told to set its PTR."""
    state = MailWorld()
    selectors = [{"allocationID": "EIP0"}, {"allocationID": "EIP1"}]
    spec = {"hostname": "mta.sub.example.com", "elasticIPs": selectors}
    state.create(name="b", spec=spec)
    state.wait_longer(seconds=31.0)
    state.edit(field="elasticIPs", name="b", spec={**spec, "elasticIPs": selectors[:1]})
    state.wait_longer(seconds=31.0)
    state.safe()
    state.teardown()


def test_an_address_is_free_for_the_next_in_line_when_the_first_may_not_have_its_hostname() -> None:
    """Three objects created at once: the oldest has the hostname that the second wants too."""
    state = MailWorld()
    both = [{"allocationID": "EIP0"}, {"allocationID": "EIP1", "region": "ap-northeast-1"}]
    state.create(name="b", spec={"elasticIPs": both, "hostname": "mta.sub.example.com"})
    state.create(name="a", spec={"elasticIPs": both[:1], "hostname": "mta.example.com"})
    state.create(name="c", spec={"elasticIPs": both, "hostname": "mta.example.com"})
    state.teardown()


def test_a_ptr_that_neither_mark_nor_status_calls_ours_does_not_hold_the_hostname_for_ever() -> None:
    """A backup from before the PTR is restored, A record and mark are deleted by hand, and adoption is Never."""
    state = MailWorld()
    name = "mta.sub.example.com"
    state.create(
        name="c", spec={"elasticIPs": [{"allocationID": "EIP1"}], "hostname": name, "adoption": "Never"}
    )
    state.take_backup()
    state.wait_longer(seconds=60.0)
    state.change_record(host=2, what="drop-a")
    state.crash()
    state.restore_backup()
    state.change_record(host=2, what="drop-mark")
    state.create(name="b", spec={"elasticIPs": [{"natGatewayID": "NAT"}], "hostname": name})
    state.wait_longer(seconds=4000.0)
    state.safe()
    state.teardown()


def test_a_record_that_is_nobodys_is_told_with_the_next_list_of_its_zone() -> None:
    """The object holds no record, because its address was released: nothing has the name read earlier."""
    state = MailWorld()
    state.create(name="a", spec={"elasticIPs": [{"allocationID": "EIP0"}], "hostname": "mta.example.com"})
    state.lose_eip(eip=0)
    state.wait(seconds=0.5)
    state.change_record(host=0, what="foreign-a")
    state.teardown()


def test_a_ptr_that_somebody_else_set_to_the_hostname_goes_with_the_record() -> None:
    """The object had no PTR yet when it was deleted; then its address got the hostname by hand."""
    state = MailWorld()
    state.create(name="a", spec={"elasticIPs": [{"allocationID": "EIP1"}], "hostname": "out.example.com"})
    state.trouble_dns(server=2, what="SERVFAIL")
    state.wait_longer(seconds=60.0)
    state.blind(what="ec2-denied")
    state.delete(name="a")
    state.wait(seconds=31.0)
    state.change_ptr(eip=1, name="out.example.com")
    state.unblind()
    state.wait_longer(seconds=60.0)
    state.teardown()


def test_a_record_changed_by_hand_is_a_conflict_when_the_status_went_back_to_before_it() -> None:
    state = MailWorld()
    state.create(name="c", spec={"elasticIPs": [{"allocationID": "EIP2"}], "hostname": "out.example.com"})
    state.take_backup()
    state.wait_longer(seconds=31.0)
    state.crash()
    state.lose_eip(eip=2)
    state.change_record(host=1, what="right-a")
    state.restore_backup()
    state.teardown()


def test_an_object_that_a_backup_brings_back_after_its_deletion_is_served_at_once() -> None:
    state = MailWorld()
    state.create(name="c", spec={"elasticIPs": [{"allocationID": "EIP0"}], "hostname": "mta.elsewhere.net"})
    state.take_backup()
    state.wait_longer(seconds=60.0)
    state.delete(name="c")
    state.wait_longer(seconds=60.0)
    state.restore_backup()
    state.lose_eip(eip=0)
    state.teardown()


def test_a_record_leaves_a_zone_that_public_dns_never_led_to() -> None:
    """The list of zones lacked the deeper one, to which the name is delegated."""
    state = MailWorld()
    state.blind(what="zones-page-odd")
    state.create(name="a", spec={"elasticIPs": [{"allocationID": "EIP4"}], "hostname": "mta.sub.example.com"})
    state.wait_longer(seconds=310.0)
    state.blind(what="credentials")
    state.wait_longer(seconds=60.0)
    state.crash()
    state.unblind()
    state.heal_dns()
    state.wait_longer(seconds=1000.0)
    state.teardown()


def test_an_adopted_ptr_that_is_put_back_stays_as_it_was_found() -> None:
    """The mark of the object that had set it was deleted by hand: for its successor the PTR is a stranger's."""
    state = MailWorld()
    spec = {"elasticIPs": [{"allocationID": "EIP2"}], "hostname": "out.example.com"}
    state.create(name="c", spec=spec)
    state.wait(seconds=310.0)
    state.change_record(host=1, what="drop-mark")
    state.create(name="a", spec=spec)
    state.delete(name="c")
    state.wait_longer(seconds=1000.0)
    state.teardown()


def test_a_ptr_that_a_third_party_sets_on_an_address_that_left_is_left_alone() -> None:
    """It shows another hostname of the object, whose status still records the PTR before it."""
    state = MailWorld()
    state.create(name="c", spec={"elasticIPs": [{"allocationID": "EIP2"}], "hostname": "mta.sub.example.com"})
    state.wait(seconds=310.0)
    state.blind(what="credentials")
    renamed = {"elasticIPs": [{"natGatewayID": "NAT"}], "hostname": "out.example.com"}
    state.edit(name="c", field="hostname", spec=renamed)
    state.edit(name="c", field="elasticIPs", spec=renamed)
    state.wait(seconds=60.0)
    state.change_ptr(eip=2, name="out.example.com")
    state.change_ptr(eip=3, name="mail.stranger.net")
    state.crash()
    state.unblind()
    state.teardown()


def test_a_record_conflict_of_a_status_that_was_deleted_by_hand_lasts() -> None:
    """The record holds an address that was released, beside the mark; no status says that the record is ours."""
    state = MailWorld()
    state.create(name="c", spec={"elasticIPs": [{"allocationID": "EIP0"}], "hostname": "out.example.com"})
    state.wait(seconds=10.0)
    state.lose_eip(eip=0)
    state.meddle(name="c", what="status")
    state.crash()
    state.teardown()


def test_a_ptr_may_be_set_while_an_outsiders_change_reaches_the_name_servers() -> None:
    """They returned the address when they were asked; what somebody wrote just before reaches them afterwards."""
    state = MailWorld()
    state.strike(ahead=0, kind="timeout", point="ec2.set_ptr", when="before")
    addresses = [{"region": "ap-northeast-1", "allocationID": "EIP3"}, {"publicIP": "IP1"}]
    state.create(name="c", spec={"elasticIPs": addresses, "hostname": "out.example.com"})
    state.trouble_dns(server=3, what="SERVFAIL")
    state.second_operator()
    state.lose_eip(eip=3)
    state.wait(seconds=310.0)
    state.heal_dns()
    state.change_record(host=1, what="right-a")
    state.wait_longer(seconds=4000.0)
    state.teardown()


def test_a_record_conflict_of_a_deleted_status_lasts_while_another_object_wants_the_name() -> None:
    """The record holds this object's own address; the older object could not have the name before."""
    state = MailWorld()
    zone = {"management": "Managed", "hostedZoneID": "Z0NE"}
    one = [{"region": "ap-northeast-1", "allocationID": "EIP2"}]
    state.create(name="b", spec={"elasticIPs": one, "hostname": "mta.example.com", "forward": zone})
    state.create(name="c", spec={"elasticIPs": [{"allocationID": "EIP0"}], "hostname": "mta.example.com"})
    state.wait(seconds=1000.0)
    state.meddle(name="c", what="status")
    state.crash()
    state.teardown()


def test_an_address_to_which_an_outsider_gave_the_name_joins_it() -> None:
    """An older object wants the address too, and has no hosted zone for its hostname."""
    state = MailWorld()
    missing = [{"publicIP": "IP1", "region": "eu-west-1"}, {"allocationID": "EIP0", "region": "eu-west-1"}]
    state.create(
        name="b",
        spec={
            "elasticIPs": [{"publicIP": "IP4"}, {"natGatewayID": "nat-0dead"}],
            "hostname": "out.example.com",
        },
    )
    state.create(
        name="c", spec={"elasticIPs": [{"allocationID": "EIP2"}, *missing], "hostname": "mta.nowhere.org"}
    )
    several = [{"instanceID": "INSTANCE"}, {"natGatewayID": "NAT"}, {"allocationID": "EIP2"}]
    state.create(name="a", spec={"elasticIPs": several, "hostname": "mta.example.com"})
    state.change_ptr(eip=2, name="mta.example.com")
    state.teardown()


def test_what_is_out_of_sight_stays_if_somebody_deletes_the_status_that_tells_of_it() -> None:
    """The zone is not listed, and the process is a new one: only the status knew of the record."""
    state = MailWorld()
    spec = {
        "elasticIPs": [{"natGatewayID": "NAT"}, {"natGatewayID": "nat-0dead"}],
        "hostname": "out.example.com",
    }
    state.create(name="b", spec=spec)
    state.wait(seconds=4000.0)
    state.blind(what="upper-zone")
    state.crash()
    state.wait_longer(seconds=60.0)
    state.meddle(name="b", what="status")
    state.delete(name="b")
    state.teardown()


def test_a_region_that_is_configured_again_is_not_reported_as_missing() -> None:
    """The older object names a region that stays missing, so that it never learns whom it waits for."""
    state = MailWorld()
    state.blind(what="first-region")
    addresses = [{"allocationID": "EIP0"}, {"allocationID": "EIP5", "region": "ap-northeast-1"}]
    state.create(name="a", spec={"hostname": "mta.example.com", "suspend": True, "elasticIPs": addresses})
    missing = [
        {"region": "us-west-2", "publicIP": "IP2"},
        {"region": "eu-west-1", "natGatewayID": "nat-0dead"},
    ]
    observed = {"management": "Observed"}
    state.create(name="b", spec={"hostname": "mta.example.com", "elasticIPs": missing, "forward": observed})
    state.wait_longer(seconds=310.0)
    state.teardown()


def test_an_id_in_another_region_than_its_address_keeps_nobody_from_it() -> None:
    """Both objects get stuck for reasons of their own; neither has what the other one wants."""
    state = MailWorld()
    state.change_ptr(eip=1, name="mail.stranger.net")
    instance = [{"instanceID": "INSTANCE", "region": "ap-northeast-1"}]
    state.create(name="a", spec={"hostname": "mta.sub.example.com", "elasticIPs": instance})
    addresses = [{"region": "eu-west-1", "allocationID": "EIP5"}, {"allocationID": "EIP1"}]
    spec = {"hostname": "mta.example.com", "adoption": "Never", "elasticIPs": addresses}
    state.edit(field="elasticIPs", name="a", spec=spec)
    missing = {"allocationID": "EIP2", "region": "us-west-2"}
    several = [{"region": "ap-northeast-1", "publicIP": "IP3"}, {"allocationID": "EIP5"}, missing]
    state.create(name="b", spec={"elasticIPs": several, "hostname": "mta.example.com"})
    state.change_ptr(eip=5, name="mta.example.com")
    state.teardown()


def test_a_ptr_stays_with_a_record_that_no_status_confirms_any_more() -> None:
    """The addresses are replaced and the status is deleted while AWS sets a PTR, and the process ends: the ownership
    record is not believed, so the A record stays at the deletion, and the PTR with it."""
    state = MailWorld()
    spec = {"elasticIPs": [{"allocationID": "EIP0"}], "hostname": "mta.example.com"}
    state.create(name="a", spec=spec)
    state.wait(seconds=31.0)
    state.edit(name="a", field="elasticIPs", spec={**spec, "elasticIPs": [{"instanceID": "INSTANCE"}]})
    state.meddle(name="a", what="status")
    state.crash()
    state.teardown()


def test_a_status_that_was_deleted_is_ready_again_beside_a_name_server_that_refuses() -> None:
    """The PTRs are set and the other servers answer, so the one that has refused for long does not count."""
    state = MailWorld()
    state.create(name="a", spec={"elasticIPs": [{"allocationID": "EIP0"}], "hostname": "mta.example.com"})
    state.wait(seconds=310.0)
    state.trouble_dns(server=0, what="REFUSED")
    state.wait(seconds=4000.0)
    state.meddle(name="a", what="status")
    state.wait(seconds=310.0)
    state.teardown()


def test_a_ptr_that_neither_a_status_nor_a_record_confirms_is_left_alone() -> None:
    """The status is deleted, and so are the object and, by hand, its A record: a third party may have set the PTR."""
    state = MailWorld()
    state.create(name="a", spec={"elasticIPs": [{"allocationID": "EIP0"}], "hostname": "out.example.com"})
    state.wait(seconds=310.0)
    state.meddle(name="a", what="status")
    state.delete(name="a")
    state.change_record(host=1, what="drop-a")
    state.teardown()


def test_a_status_that_was_deleted_just_before_the_zone_goes_out_of_sight_tells_of_nothing() -> None:
    state = MailWorld()
    state.create(name="a", spec={"elasticIPs": [{"allocationID": "EIP0"}], "hostname": "out.example.com"})
    state.wait(seconds=31.0)
    state.meddle(name="a", what="status")
    state.blind(what="second-region")
    state.blind(what="zones-page-even")
    state.delete(name="a")
    state.wait(seconds=60.0)
    state.teardown()


def test_a_ptr_of_ours_that_an_outsider_sets_to_the_new_hostname_stays_ours() -> None:
    state = MailWorld()
    spec = {"elasticIPs": [{"allocationID": "EIP0"}, {"allocationID": "EIP1"}], "hostname": "out.example.com"}
    state.create(name="a", spec=spec)
    state.wait(seconds=31.0)
    state.edit(name="a", field="hostname", spec={**spec, "hostname": "mta.example.com"})
    state.change_ptr(eip=1, name="mta.example.com")
    state.teardown()


def test_an_address_that_a_foreign_ptr_keeps_from_replacing_another_is_told() -> None:
    """The address that it should replace stays in the record, which is not progress."""
    state = MailWorld()
    spec = {"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "EIP2"}, {"allocationID": "EIP1"}]}
    state.change_ptr(eip=0, name="out.example.com")
    state.create(name="b", spec=spec)
    state.wait(seconds=310.0)
    wanted = [{"allocationID": "EIP0"}, {"allocationID": "EIP2"}]
    state.edit(name="b", field="elasticIPs", spec={**spec, "elasticIPs": wanted})
    state.wait(seconds=1000.0)
    assert state.world.sim.condition("b") == ("False", "PTRConflict")
    state.teardown()


def test_a_ptr_that_a_third_party_sets_to_a_hostname_that_the_object_never_held_stays() -> None:
    state = MailWorld()
    state.begin(spec={"hostname": "out.example.com", "elasticIPs": [{"allocationID": "EIP0"}]}, seconds=0.0)
    state.wait_longer(seconds=31.0)
    state.create(name="b", spec={"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "EIP1"}]})
    state.wait_longer(seconds=31.0)
    state.change_ptr(eip=1, name="out.example.com")
    state.rename(name="b", hostname="out.example.com", observed=False, restarts=False)
    state.teardown()


def test_a_sample_and_a_report_of_the_same_moment_cause_no_loop() -> None:
    """The sample found a mute server; the report, begun in the same reconcile, is the answer to it."""
    state = MailWorld()
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "EIP0"}]}, seconds=310.0)
    state.crash()
    state.wait(seconds=4000.0)
    state.change_ptr(eip=0, name="")
    state.trouble_dns(server=1, what="silent")
    state.wait(seconds=1000.0)
    state.teardown()


def test_a_finalizer_that_goes_unheard_comes_back() -> None:
    """The watch is silent while somebody removes it, and the operator repairs a PTR meanwhile."""
    state = MailWorld()
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "EIP0"}]}, seconds=0.0)
    state.wait_longer(seconds=31.0)
    state.change_ptr(eip=0, name="")
    state.trouble_api(times=1, what="deaf")
    state.meddle(name="a", what="finalizer")
    state.teardown()
