"""Sequences that the fuzz found with two operators at work on the same objects, kept as they were shrunk."""

from __future__ import annotations

from tests.support.simulation.machine import MailWorld


def test_an_address_that_only_another_process_sees_stays_recorded_until_its_ptr_is_read() -> None:
    """Its entry tells of a PTR that was set after this process had listed the addresses."""
    state = MailWorld()
    state.begin(
        spec={
            "hostname": "out.example.com",
            "elasticIPs": [{"natGatewayID": "REGIONAL"}, {"tags": {"use": "mail"}}],
        },
        seconds=310.0,
    )
    state.second_operator()
    state.retag(key="use", present=True, what="BALANCER")
    state.wait_longer(seconds=4000.0)
    state.wait_longer(seconds=1000.0)
    state.retag(key="env", present=True, what="EIP3")
    state.wait_longer(seconds=310.0)
    state.wait_longer(seconds=60.0)
    state.wait_longer(seconds=1000.0)
    state.wait_longer(seconds=310.0)
    state.retag(key="use", present=True, what="EIP4")
    state.wait_longer(seconds=310.0)
    state.teardown()


def test_a_ptr_stays_managed_when_another_process_replaced_the_status_that_says_so() -> None:
    state = MailWorld()
    state.begin(
        spec={
            "elasticIPs": [{"allocationID": "EIP3"}, {"tags": {"use": "mail"}}],
            "hostname": "mta.example.com",
        },
        seconds=310.0,
    )
    state.scale(what="add")
    state.wait(seconds=31.0)
    state.second_operator()
    state.change_ptr(eip=0, name="out.example.com")
    state.wait(seconds=60.0)
    state.retag(key="use", present=True, what="EIP2")
    state.wait(seconds=4000.0)
    state.teardown()


def test_the_process_that_set_a_ptr_knows_it_as_its_own_without_any_status() -> None:
    """The status was deleted, and another process wrote one that tells of no address."""
    state = MailWorld()
    state.begin(seconds=0.0, spec={"elasticIPs": [{"allocationID": "EIP3"}], "hostname": "out.example.com"})
    state.wait(seconds=310.0)
    state.trouble_api(times=3, what="status-429")
    state.meddle(name="a", what="status")
    state.delete(name="a")
    state.second_operator()
    state.wait(seconds=10.0)
    state.teardown()


def test_a_process_may_write_where_another_one_is_left_without_an_answer() -> None:
    state = MailWorld()
    state.begin(
        spec={
            "hostname": "mta.example.com",
            "elasticIPs": [{"networkInterfaceID": "INTERFACE"}, {"tags": {"use": "mail"}}],
        },
        seconds=0.0,
    )
    state.wait_longer(seconds=310.0)
    state.second_operator()
    state.strike(ahead=2, kind="5xx", point="ec2.reset_ptr", when="before")
    state.create(
        name="b",
        spec={
            "forward": {"management": "ExternalDNS"},
            "elasticIPs": [{"tags": {"use": "mail"}}],
            "hostname": "mta.example.com",
        },
    )
    state.strike(ahead=1, kind="crash", point="ec2.reset_ptr", when="after")
    state.delete(name="a")
    state.wait(seconds=60.0)
    state.teardown()


def test_an_address_stays_in_the_record_while_the_status_tells_of_a_ptr_that_another_operator_sets() -> None:
    """One operator read the PTR a moment before the other, which alone sees that the spec wants it, wrote it."""
    state = MailWorld()
    state.begin(
        spec={
            "hostname": "mta.example.com",
            "elasticIPs": [{"networkInterfaceID": "INTERFACE"}, {"tags": {"use": "mail"}}],
        },
        seconds=0.0,
    )
    state.wait(seconds=3.0)
    state.second_operator()
    state.retag(key="use", present=True, what="EIP3")
    state.wait(seconds=310.0)
    state.teardown()


def test_a_reading_that_is_older_than_the_status_is_not_written_over_it() -> None:
    """Of two operators, one wrote down that its PTR is there, and the other had read the PTR before."""
    state = MailWorld()
    state.begin(spec={"hostname": "mta.example.com", "elasticIPs": [{"allocationID": "EIP0"}]}, seconds=31.0)
    state.second_operator()
    state.rename(hostname="mta.elsewhere.net", name="a", observed=True, restarts=False)
    state.wait(seconds=310.0)
    state.teardown()


def test_a_record_that_another_process_wrote_is_cleaned_up_after_a_rename() -> None:
    """This process heard of neither, and had listed the zone before."""
    state = MailWorld()
    state.begin(spec={"hostname": "out.example.com", "elasticIPs": [{"allocationID": "EIP4"}]}, seconds=310.0)
    state.trouble_api(times=3, what="deaf")
    state.trouble_api(times=7, what="status-lost")
    state.trouble_dns(server=7, what="lag")
    state.second_operator()
    addresses = [
        {"allocationID": "EIP2", "region": "ap-northeast-1"},
        {"networkInterfaceID": "INTERFACE"},
        {"instanceID": "INSTANCE"},
    ]
    state.create(name="c", spec={"hostname": "mta.elsewhere.net", "elasticIPs": addresses})
    state.wait_longer(seconds=60.0)
    state.trouble_api(times=2, what="list-429")
    state.change_ptr(eip=2, name="mta.example.com")
    spec = {"hostname": "mta.sub.example.com", "elasticIPs": [{"publicIP": "IP2"}]}
    state.edit(field="hostname", name="c", spec=spec)
    state.wait(seconds=310.0)
    state.edit(field="hostname", name="c", spec={**spec, "hostname": "mta.example.com"})
    state.teardown()


def test_a_ptr_that_a_third_party_set_after_another_process_wrote_the_status_is_adopted() -> None:
    """That process wrote the record too. Its status says that it had set no PTR."""
    state = MailWorld()
    addresses = [{"tags": {"use": "mail"}}, {"natGatewayTags": {"use": "mail"}}]
    state.begin(spec={"hostname": "out.example.com", "elasticIPs": addresses}, seconds=310.0)
    addresses = [{"allocationID": "EIP1"}, {"instanceID": "INSTANCE"}, {"publicIP": "IP2"}]
    state.create(name="b", spec={"hostname": "mta.example.com", "elasticIPs": addresses})
    state.change_ptr(eip=2, name="mta.example.com")
    state.second_operator()
    state.wait(seconds=4000.0)
    state.teardown()


def test_a_reset_that_waits_is_sent_although_an_old_backup_says_ready() -> None:
    state = MailWorld()
    addresses = [{"tags": {"use": "mail"}}, {"natGatewayTags": {"use": "mail"}}]
    state.begin(spec={"hostname": "out.example.com", "elasticIPs": addresses}, seconds=310.0)
    state.refuse_ptrs(refuse=True)
    state.second_operator()
    state.strike(ahead=0, kind="crash", point="route53.change", when="after")
    state.crash()
    state.take_backup()
    state.retire_second()
    state.scale(what="drain")
    state.scale(what="add")
    state.wait_longer(seconds=310.0)
    state.restore_backup()
    state.teardown()


def test_a_record_that_another_operator_removed_is_noticed_by_who_waits_for_it() -> None:
    state = MailWorld()
    interface = {"networkInterfaceID": "INTERFACE"}
    first = {"hostname": "out.example.com", "elasticIPs": [interface, {"allocationID": "EIP0"}]}
    state.begin(seconds=0.0, spec=first)
    state.lose_eip(eip=4)
    state.wait_longer(seconds=60.0)
    state.lose_eip(eip=0)
    addresses = [{"allocationID": "EIP2"}, {"region": "ap-northeast-1", **interface}]
    spec = {"hostname": "mta.nowhere.org", "elasticIPs": addresses, "adoption": "Matching"}
    state.edit(field="hostname", name="a", spec=spec)
    waits = {"hostname": "out.example.com", "elasticIPs": [interface], "adoption": "Never"}
    state.create(name="c", spec=waits)
    addresses = [{"allocationID": "EIP3"}, {"allocationID": "EIP4"}, {"natGatewayID": "REGIONAL"}]
    spec = {"hostname": "mta.example.com", "elasticIPs": addresses, "adoption": "Matching"}
    state.create(name="b", spec=spec)
    state.strike(ahead=0, kind="crash", point="route53.change", when="after")
    state.second_operator()
    state.wait_longer(seconds=310.0)
    state.teardown()
