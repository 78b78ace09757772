"""Bugs that take what is out of sight for gone (S4, S5, S8)."""

from __future__ import annotations

from tests.support.mutants.mutant import Mutant, Run

HIDDEN = (
    Mutant(
        "left-ptr-holds-nothing",
        "S9",
        "A hopeless object loses the hostname that the PTR of an address that left its spec still shows",
        "reconcile/rules/claims.py",
        "    shown = {name for a in ours for name in (a.ptr, a.ptr_update)}\n",
        "    shown = {name for a in ours for name in (a.ptr, a.ptr_update) if not name}\n",
        tests=(
            "tests/reconcile/test_lines.py::"
            "test_a_hopeless_object_keeps_the_hostname_that_a_ptr_of_its_own_still_shows[Observed-ptr]",
        ),
    ),
    Mutant(
        "refused-ptr-holds-nothing",
        "S9",
        "An object with a spec that cannot be read loses the hostname that a PTR of it shows",
        "reconcile/rules/__init__.py",
        "        standing=Standing(holds=claims_rule.holds_hostname(observed), able=False),\n",
        "        standing=Standing(able=False),\n",
        tests=(
            "tests/reconcile/test_lines.py::"
            "test_an_object_with_an_invalid_spec_keeps_the_hostname_that_a_ptr_of_its_own_shows",
        ),
    ),
    Mutant(
        "missing-region-is-clean",
        "S5",
        "A PTR in a region that is not configured any more counts as reset",
        "reconcile/rules/unseen.py",
        "    if region not in book.regions:\n",
        "    if region not in book.regions:\n        return None\n    if not region:\n",
        runs=(Run("region-vanishes"),),
    ),
    Mutant(
        "left-region-is-clean",
        "S4",
        "An address in a region that is not configured any more leaves the A record with the edit",
        "reconcile/rules/leaving.py",
        "        if eip is None and unseen.holding(observed, builder, ip) is not None:\n",
        "        if eip is None and not ip:\n",
        tests=(
            "tests/reconcile/test_unseen.py"
            "::test_a_live_object_is_not_ready_while_a_ptr_that_it_left_cannot_be_looked_at",
        ),
    ),
    Mutant(
        "other-account-is-clean",
        "S5",
        "What the credentials of another account do not show counts as released",
        "reconcile/rules/unseen.py",
        "    if entry.account_id not in (None, view.account_id):\n",
        "    if entry.account_id not in (None, view.account_id):\n        return None\n    if not view.account_id:\n",
        runs=(Run("ec2-account-changes"),),
    ),
    Mutant(
        "one-look-is-enough",
        "S5",
        "An address that one reading lacks counts as released when its object is deleted",
        "reconcile/rules/unseen.py",
        "    if absence is Absence.LOST:\n",
        "    if absence is not Absence.MASS:\n",
        runs=(Run("eip-hidden"),),
    ),
    Mutant(
        "no-such-zone-is-gone",
        "S8",
        "A hosted zone that another account does not have counts as deleted",
        "reconcile/rules/unseen.py",
        "    if account not in (None, look.account_id):\n",
        "    if account is None:\n",
        runs=(Run("zone-account-changes"),),
    ),
    Mutant(
        "unlisted-zone-is-gone",
        "S8",
        "A hosted zone that the list does not show counts as deleted",
        "reconcile/rules/unseen.py",
        "    if any(zone.id == where.zone_id for zone in zones.value):\n",
        "    if zones.value is not None:\n",
        runs=(Run("zone-account-changes"),),
    ),
    Mutant(
        "deleted-zone-holds-for-ever",
        "E5",
        "The deletion of an object whose hosted zone was deleted never ends",
        "reconcile/rules/unseen.py",
        "    if account is None:\n        return Unseen(\n",
        "    if account is not None:\n        return Unseen(\n",
        runs=(Run("zone-deleted"),),
    ),
    Mutant(
        "told-record-is-clean",
        "S8",
        "A record that another process wrote is forgotten by a reading from before that",
        "reconcile/rules/unseen.py",
        "            view = fact.value if fact.fresh(s.memory.ptrs.told_at) else None\n",
        "            view = fact.value\n",
        tests=(
            "tests/reconcile/test_unseen.py::"
            "test_a_record_of_which_another_process_told_is_kept_until_it_was_read_after_that",
        ),
    ),
    Mutant(
        "told-record-not-read",
        "S4",
        "A record that another process wrote is not read again after a rename",
        "reconcile/rules/retire.py",
        "        if fact.value is None or (mark is None and not fact.fresh(told_at)):\n",
        "        if fact.value is None:\n",
        tests=(
            "tests/reconcile/test_unseen.py::"
            "test_a_record_of_which_another_process_told_is_kept_until_it_was_read_after_that",
        ),
    ),
    Mutant(
        "update-disowned",
        "S8",
        "A PTR that is being set becomes a third party's when the object gets the name that it replaces",
        "api/types.py",
        "        (replace(entry, ptr=None) if entry.ptr_update else replace(entry, ptr_origin=None))\n",
        "        replace(entry, ptr_origin=None)\n",
        tests=(
            "tests/api/test_parse.py"
            "::test_a_name_that_a_third_party_set_before_the_object_had_it_is_not_the_objects[former.example.com-left2]",
        ),
    ),
    Mutant(
        "unsearched-is-adopted",
        "S8",
        "Under Observed, a PTR counts as adopted before the zones were searched for the ownership record",
        "reconcile/rules/adoption.py",
        "        elif _searching(observed):\n            return None",
        "        elif False:\n            return None",
        tests=(
            "tests/reconcile/test_after_restart.py::"
            "test_whose_a_ptr_is_under_observed_waits_for_the_zones_when_the_status_was_deleted",
        ),
    ),
    Mutant(
        "unsearched-is-clean",
        "S8",
        "An address that left the spec is forgotten before the zones were searched for the name that its PTR shows",
        "reconcile/rules/status_fields.py",
        "        unsearched = old.ptr_origin is Origin.MANAGED and not s.searched()\n",
        "        unsearched = False\n",
        tests=(
            "tests/reconcile/test_after_restart.py::"
            "test_an_address_that_left_is_kept_until_the_zones_are_searched_for_the_name_that_its_ptr_shows",
        ),
    ),
    Mutant(
        "cached-for-ever",
        "E1",
        "An address of which no status tells stays in the record as long as its PTR shows another name of the object",
        "reconcile/rules/leaving.py",
        "ptr_since.get((eip.allocation_id, shown), s.memory.first_seen)\n",
        "ptr_since.get((eip.allocation_id, shown), s.now)\n",
        tests=(
            "tests/reconcile/test_leaving.py::"
            "test_an_address_of_which_no_status_tells_leaves_when_its_former_name_ran_out_of_caches",
        ),
    ),
    Mutant(
        "later-ptr-is-ours",
        "S2",
        "A PTR that a third party set beside a record that another process wrote counts as the operator's",
        "reconcile/rules/adoption.py",
        "        if own and came_later:\n",
        "        if own and came_later and not own:\n",
        tests=(
            "tests/reconcile/test_plan_adoption.py::"
            "test_a_ptr_that_came_after_a_status_without_a_write_is_a_third_partys[before1-Adopted]",
        ),
    ),
    Mutant(
        "ptr-of-before-stays-managed",
        "S8",
        "A PTR counts as the operator's although a third party removed that one and set a name of before later",
        "reconcile/rules/adoption.py",
        "    if explained == {None} and eip.ptr.name in observed.ptr_names():\n",
        "    if explained == {None}:\n",
        tests=(
            "tests/reconcile/test_ptr_update.py::test_a_name_that_the_object_does_not_have_any_more_is_a_third_partys"
            "_where_the_ptr_had_been_removed[mta.example.com-None]",
        ),
    ),
    Mutant(
        "ptr-not-adopted-becomes-ours",
        "S2",
        "A PTR that the status calls not adopted counts as the operator's for the process that comes next",
        "reconcile/rules/adoption.py",
        "    return untouched and (recorded.ptr != eip.ptr.name or refused) and not eip.ptr.pending\n",
        "    return untouched and recorded.ptr != eip.ptr.name and not eip.ptr.pending\n",
        tests=(
            "tests/reconcile/test_plan_adoption.py::"
            "test_a_ptr_that_came_after_a_status_without_a_write_is_a_third_partys[before4-Adopted]",
        ),
    ),
    Mutant(
        "joined-ptr-without-an-origin",
        "S2",
        "Under adoption: Never a PTR that came while the record was written is reset with the object",
        "reconcile/rules/adoption.py",
        "        return Origin.ADOPTED if joined or ptr_problem(",
        "        return Origin.ADOPTED if ptr_problem(",
        tests=(
            "tests/reconcile/test_plan_adoption.py::"
            "test_a_ptr_that_was_not_adopted_before_the_record_was_written_is_left_as_it_was_found",
        ),
    ),
    Mutant(
        "release-heard-with-the-list-only",
        "E7",
        "Who waits for a release does not read the record again, which another process may have removed",
        "reconcile/rules/claims.py",
        "        _look_for_release(observed, builder, choice.zone.id)\n",
        "        pass\n",
        tests=("tests/reconcile/test_lines.py::test_who_waits_for_a_release_reads_the_record_again",),
    ),
)
