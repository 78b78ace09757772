"""Found by the fuzz: the status was deleted, and what it told must be told by what is left."""

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
