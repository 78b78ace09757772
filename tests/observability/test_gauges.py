"""What the gauges behind the alerts say while something happens."""

from __future__ import annotations

from tests.support.observability.living import Lived, scrape


def test_an_object_that_is_stuck_and_one_that_is_ready_are_counted(lived: Lived) -> None:
    page = lived.page
    assert page.value("mailegress_known_objects") == 2
    assert page.value("mailegress_objects") == 2
    assert page.value("mailegress_objects", reason="ZoneNotFound") == 1
    assert page.value("mailegress_conditions", condition="ForwardReady", status="True") == 1
    assert page.value("mailegress_conditions", condition="ForwardReady", status="False") == 1
    assert page.value("mailegress_not_ready_seconds", reason="ZoneNotFound") > 0
    assert page.value("mailegress_not_ready_seconds", reason="Ready") == 0
    assert page.value("mailegress_leader") == 1


def test_a_ptr_that_a_stranger_changed_was_counted_as_lost_and_set_back(lived: Lived) -> None:
    assert lived.page.value("mailegress_ptr_heals_total") == 1
    assert lived.page.value("mailegress_ready_lost_total") == 1


def test_a_lost_address_dangles_until_it_is_out_of_the_record(lived: Lived) -> None:
    """Given an address that is lost while AWS denies changes, it dangles; once they are allowed, it does not."""
    story = lived.story
    eips = story.eips(2)
    meg = story.meg("dangling", "dangling.example.com", eips).wait()
    assert scrape(story).value("mailegress_dangling_addresses") == 0
    story.aws.deny("route53:ChangeResourceRecordSets")
    story.aws.lose_eip(eips[0].public_ip)
    story.until(
        lambda: scrape(story).value("mailegress_dangling_addresses") == 1, "the lost address to dangle"
    )
    story.aws.allow()
    story.until(lambda: scrape(story).value("mailegress_dangling_addresses") == 0, "it to be taken out")
    meg.wait_reason("AddressLost", "ForwardReady")
    meg.delete()
    story.until(lambda: scrape(story).value("mailegress_objects") == 2, "it to be forgotten")
    assert scrape(story).value("mailegress_conditions", reason="AddressLost") == 0


def test_a_replica_without_the_lease_says_that_it_does_not_act(lived: Lived) -> None:
    story = lived.story
    first = story.operator
    first.stop()
    replicas = [story.start_operator(name, leader_elect="on") for name in ("one", "two")]

    def sums(metric: str) -> list[float]:
        return sorted(scrape(story, replica).value(metric) for replica in replicas)

    try:
        story.until(lambda: sums("mailegress_leader") == [0, 1], "one of two replicas to lead")
        assert sums("mailegress_known_objects") == [2, 2]
        assert sums("mailegress_objects")[0] == 0
    finally:
        for replica in replicas:
            replica.kill()
            story.operators.remove(replica)
        first.start()
