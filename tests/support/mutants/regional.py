"""Bugs in the handling of addresses that AWS manages: regional NAT gateways, load balancers."""

from __future__ import annotations

from tests.support.mutants.mutant import Mutant, Run

_PLANS = "tests/reconcile/test_regional_gateways.py::"
_AWS = "tests/aws/test_aws_regional.py::"
_ROUNDS = "tests/engine/test_rounds.py::"

REGIONAL = (
    Mutant(
        "mass-loss-stays",
        "E1",
        "One address that stays away when all others return is suspected of a mass loss for ever",
        "aws/ec2/absence.py",
        "        if returned and not gone:\n",
        "        if False:\n",
        tests=(
            "tests/aws/test_aws_addresses.py"
            "::test_an_address_that_stays_away_when_the_others_return_is_no_mass_loss",
        ),
    ),
    Mutant(
        "mass-loss-ends-unseen",
        "S2",
        "A mass loss is believed as soon as few of its addresses are in use, although none has returned",
        "aws/ec2/absence.py",
        "        if returned and not gone:\n",
        "        if not gone:\n",
        tests=(
            "tests/aws/test_aws_addresses.py"
            "::test_a_mass_loss_is_not_believed_until_the_addresses_return_or_somebody_looked",
        ),
    ),
    Mutant(
        "zonal-gateways-are-checked",
        "E3",
        "Zonal NAT gateways are read every minute, too",
        "reconcile/rules/targets.py",
        "if g.regional and not g.ended)\n",
        "if not g.ended)\n",
        tests=(f"{_PLANS}test_a_gateway_by_its_tags_and_only_a_regional_one_is_checked_each_minute",),
    ),
    Mutant(
        "every-check-lists-the-region",
        "E3",
        "Every check of a regional NAT gateway lists its region",
        "aws/ec2/gateway_check.py",
        "if view is not None and any(found.get(each) != view.nat_gateways.get(each) for each in ids):\n",
        "if view is not None:\n",
        tests=(f"{_AWS}test_a_check_costs_one_request_and_reports_only_a_change",),
    ),
    Mutant(
        "gateway-unheard",
        "E7",
        "A regional NAT gateway that changes wakes nobody who selects it",
        "engine/refresher.py",
        "                touched = item.watched & differing or item.gateways & moved\n",
        "                touched = item.watched & differing\n",
        tests=(f"{_ROUNDS}test_a_gateway_that_differs_has_its_region_listed_and_wakes_who_selects_it",),
    ),
    Mutant(
        "retirement-is-a-mass-loss",
        "E1",
        "Addresses that AWS removes from a regional NAT gateway count towards a mass loss",
        "aws/ec2/absence.py",
        "        gone -= self._retired(view)\n",
        "",
        runs=(Run("gateway-replaces"),),
    ),
    Mutant(
        "every-absence-is-a-retirement",
        "S2",
        "What a regional NAT gateway still has counts as removed by AWS",
        "reconcile/rules/loss.py",
        "    return gateway is not None and gateway.regional and not gateway.has(allocation_id)\n",
        "    return gateway is not None and gateway.regional\n",
        tests=(f"{_AWS}test_addresses_that_the_gateway_still_has_are_a_mass_loss",),
    ),
    Mutant(
        "load-balancer-joins",
        "E8",
        "An address of a load balancer joins the A record",
        "reconcile/rules/targets.py",
        "        if eip.never_sends and not _has_joined(observed, key)\n",
        "        if False\n",
        runs=(Run("tag-on-load-balancer"),),
    ),
    Mutant(
        "load-balancer-is-retired",
        "E9",
        "An address of a load balancer that an earlier version served is released by an upgrade",
        "reconcile/rules/targets.py",
        "        if eip.never_sends and not _has_joined(observed, key)\n",
        "        if eip.never_sends\n",
        tests=(f"{_PLANS}test_an_address_of_a_load_balancer_that_has_our_ptr_since_before_stays_as_it_is",),
    ),
    Mutant(
        "draining-address-stays",
        "E1",
        "An address that a NAT gateway disassociates stays",
        "reconcile/rules/targets.py",
        "view.eips[a.allocation_id] for a in gateway.addresses if a.serving and a.allocation_id in view.eips",
        "view.eips[a.allocation_id] for a in gateway.addresses if a.allocation_id in view.eips",
        runs=(Run("gateway-shrinks"),),
    ),
    Mutant(
        "refused-ptr-holds-back-others",
        "E8",
        "An address for which AWS takes no PTR keeps the release of others waiting",
        "reconcile/rules/ptr.py",
        "    able = [a for a, finding in by_eip.items() if not _takes_no_ptr(targets.wanted[a], finding)]\n",
        "    able = list(by_eip)\n",
        tests=(f"{_PLANS}test_a_refused_ptr_of_a_service_does_not_hold_back_the_release_of_another_address",),
    ),
    Mutant(
        "draining-address-wanted-in-observed-record",
        "E1",
        "Under Observed, the status asks for an A record with an address that the NAT gateway disassociates",
        "reconcile/rules/observed_record.py",
        "    if holds or stands or (not finding.inconclusive and _lacks_only_held(report, targets, joining)):\n",
        "    if holds or stands:\n",
        tests=(
            "tests/sim/test_sim_regressions_observed.py"
            "::test_a_gateway_whose_only_address_drains_is_reported_and_not_the_record_under_observed",
        ),
    ),
    Mutant(
        "released-address-hidden-under-observed",
        "E1",
        "Under Observed, an object stays Ready after a restart although a selector resolves to no address",
        "reconcile/rules/observed_record.py",
        "    if holds or stands or (not finding.inconclusive and _lacks_only_held(report, targets, joining)):\n",
        "    if holds or (not finding.inconclusive and _lacks_only_held(report, targets, joining)):\n",
        tests=(
            "tests/sim/test_sim_regressions_observed.py"
            "::test_an_address_that_is_released_while_no_operator_runs_ends_ready_under_observed",
        ),
    ),
    Mutant(
        "former-record-stays-replaced",
        "S3",
        "The record of a former hostname that somebody replaced stays without the address whose PTR shows the name",
        "reconcile/rules/retire.py",
        '    foreign = simple is None and bool(view.of_type("A") or view.of_type("CNAME"))\n',
        '    foreign = bool(view.of_type("A") or view.of_type("CNAME"))\n',
        tests=(
            "tests/sim/test_sim_regressions_status.py"
            "::test_the_record_of_a_former_hostname_that_somebody_changes_gets_its_address_back_while_a_ptr_shows_it[replaced]",
        ),
    ),
    Mutant(
        "retained-ptr-goes-with-another-object",
        "S2",
        "The deletion of an object resets the PTR that a retained one left at the same hostname",
        "reconcile/rules/deletion.py",
        "    names = observed.own_names()\n",
        "    names = observed.own_names() | {observed.obj.spec.hostname}\n",
        tests=(
            "tests/reconcile/test_plan_deletion.py"
            "::test_deletion_leaves_the_ptr_that_a_retained_object_left_at_a_hostname_that_this_one_never_held",
        ),
    ),
    Mutant(
        "outage-at-the-start-is-unseen",
        "E8",
        "An object stays Ready when AWS answers no reading after a restart",
        "reconcile/rules/__init__.py",
        "outage if finding.ok else blind if finding.inconclusive else None",
        "outage if finding.ok else None",
        tests=(
            "tests/sim/test_sim_regions.py::test_what_a_restarted_operator_cannot_read_ends_ready[ListResourceRecordSets]",
        ),
    ),
    Mutant(
        "unread-zones-are-unseen",
        "E8",
        "An object stays Ready when AWS does not list the hosted zones after a restart",
        "reconcile/rules/__init__.py",
        "    blind = outage or confirmations.outage(observed, zones)\n",
        "    blind = outage\n",
        tests=(
            "tests/sim/test_sim_regions.py::test_what_a_restarted_operator_cannot_read_ends_ready[ListHostedZones]",
        ),
    ),
    Mutant(
        "zones-must-be-listed-for-ever",
        "E8",
        "An object is no longer Ready while AWS does not list the hosted zones, although its zone is known",
        "reconcile/rules/__init__.py",
        "outage if finding.ok else blind if",
        "blind if finding.ok else blind if",
        tests=(
            "tests/sim/test_sim_regions.py"
            "::test_zones_that_are_known_are_enough_while_aws_does_not_list_them[ListHostedZones]",
        ),
    ),
    Mutant(
        "claim-for-a-gone-object",
        "S8",
        "A write that waits is sent although its object is gone",
        "reconcile/policy_gate.py",
        "        if not self._views.claims.live(uid):\n",
        "        if False:\n",
        tests=(
            "tests/sim/test_sim_regressions_dns.py"
            "::test_a_claim_that_route_53_refused_for_its_timing_is_not_repeated_for_an_object_that_is_gone",
        ),
    ),
    Mutant(
        "entry-of-another-process-dropped",
        "S8",
        "An address leaves the status while another process of the operator sets its PTR",
        "reconcile/rules/status_fields.py",
        "        if eip is not None and says_more(old, eip) and",
        "        if eip is None and says_more(old, eip) and",
        tests=(
            "tests/reconcile/test_ptr_update.py"
            "::test_an_address_that_left_stays_recorded_until_its_ptr_was_read_after_its_entry[set meanwhile]",
        ),
    ),
    Mutant(
        "own-ptr-is-forgotten-with-the-status",
        "S5",
        "A PTR that this process set stays when the status that tells of it was deleted and replaced",
        "reconcile/rules/adoption.py",
        "    return (eip.allocation_id, hostname) in observed.memory.ptrs.managed\n",
        "    return False\n",
        tests=(
            "tests/sim/test_sim_regressions_processes.py"
            "::test_the_process_that_set_a_ptr_knows_it_as_its_own_without_any_status",
        ),
    ),
    Mutant(
        "zone-below-is-not-looked-for",
        "E1",
        "A hosted zone below the chosen one, which public DNS asks, is seen only with the next list",
        "reconcile/rules/zones.py",
        "    elif wanted.zone is not None and _asked_below(observed, wanted.zone):\n",
        "    elif False:\n",
        tests=(
            "tests/sim/test_sim_regressions_dns.py"
            "::test_a_hosted_zone_below_the_chosen_one_is_looked_for_while_public_dns_asks_it",
        ),
    ),
    Mutant(
        "deletion-is-a-mass-loss",
        "E5",
        "An object that is deleted as its addresses are released waits for ever, because a mass loss is suspected",
        "reconcile/reconciler.py",
        "            if memory.edits.deleting_at == NEVER\n",
        "",
        tests=(
            "tests/sim/test_sim_regressions_ptrs.py"
            "::test_an_object_that_is_deleted_as_its_addresses_are_released_does_not_wait_for_a_mass_loss",
        ),
    ),
    Mutant(
        "hidden-mark-is-no-claim",
        "S9",
        "After a restart, a hostname whose hosted zone cannot be read belongs to whoever is the oldest",
        "reconcile/rules/claims.py",
        "        hidden = [each for each in found if each is not None]\n",
        "        hidden = [each for each in found if False]\n",
        tests=(
            "tests/sim/test_sim_regressions_dns.py"
            "::test_a_hostname_in_a_zone_that_is_out_of_sight_is_not_taken_over_after_a_restart[ready-live-both-addresses]",
        ),
    ),
    Mutant(
        "unread-mark-is-no-claim",
        "S9",
        "An ownership record in a zone that was not read yet, or may not be read, holds no hostname",
        "reconcile/rules/unseen.py",
        "    if fact.value is not None or not listed.editable:\n",
        "    if True:\n",
        tests=(
            "tests/reconcile/test_hidden_claims.py"
            "::test_a_record_in_a_zone_that_was_not_read_holds_the_hostname[fault1-HostnameConflict]",
        ),
    ),
    Mutant(
        "hidden-mark-of-a-former-name",
        "S9",
        "What an object has at a hostname that it does not want any more is not waited for while its zone is hidden",
        "reconcile/claim_index.py",
        "frozenset(record.hostname for record in claimant.records)",
        "frozenset(r.hostname for r in claimant.records if claimant.hostname == r.hostname and not claimant.deleting)",
        tests=(
            "tests/sim/test_sim_regressions_dns.py"
            "::test_a_hostname_in_a_zone_that_is_out_of_sight_is_not_taken_over_after_a_restart[ready-deleted-its-own-address]",
        ),
    ),
    Mutant(
        "hidden-record-without-the-address",
        "S9",
        "A record that cannot be seen counts as one without the address whose PTR shows the hostname",
        "reconcile/rules/claims.py",
        "            and not told.hidden\n",
        "",
        tests=(
            "tests/reconcile/test_hidden_claims.py"
            "::test_an_address_whose_ptr_shows_such_a_hostname_is_the_holders",
        ),
    ),
    Mutant(
        "told-ptr-is-not-read-again",
        "S4",
        "An address leaves the record although the status tells of a PTR that another process set after the reading",
        "reconcile/rules/leaving.py",
        "    return observed.memory.ptrs.told_at + coming\n",
        "    return NEVER\n",
        tests=(
            "tests/reconcile/test_ptr_update.py"
            "::test_an_address_stays_in_the_record_until_its_ptr_was_read_after_the_status_told_of_one[to be set]",
        ),
    ),
    Mutant(
        "told-ptr-is-set-at-once",
        "S4",
        "A PTR that another process wrote down counts as set already, although it may be sent for a minute",
        "reconcile/rules/leaving.py",
        "    return observed.memory.ptrs.told_at + coming\n",
        "    return observed.memory.ptrs.told_at\n",
        tests=(
            "tests/reconcile/test_ptr_update.py"
            "::test_an_address_stays_in_the_record_until_its_ptr_was_read_after_the_status_told_of_one[to be set]",
        ),
    ),
    Mutant(
        "hostname-claims-a-foreign-ptr",
        "S2",
        "What a third party set at an address of the object becomes the operator's when the object gets that hostname",
        "api/types.py",
        "    if hostname in known or all(entry.ptr != hostname for entry in status.addresses):\n",
        "    if True:\n",
        tests=(
            "tests/sim/test_sim_regressions_ptrs.py"
            "::test_a_name_that_a_third_party_set_before_the_object_got_it_stays[seen before the rename-Managed]",
        ),
    ),
    Mutant(
        "rename-claims-a-foreign-ptr",
        "S2",
        "A PTR that a third party set to the new hostname just before a rename counts as the operator's",
        "reconcile/rules/adoption.py",
        "        known = None if changed_by_others(observed, recorded, eip) else known\n",
        "        pass\n",
        tests=(
            "tests/sim/test_sim_regressions_ptrs.py"
            "::test_a_name_that_a_third_party_set_before_the_object_got_it_stays[not seen before the rename-Managed]",
        ),
    ),
    Mutant(
        "older-reading-overwrites",
        "S8",
        "A process writes an older reading of a PTR over what another one has written down",
        "reconcile/rules/adoption.py",
        "    return says_more(entry, eip) and not fact.fresh(observed.memory.ptrs.told_at)\n",
        "    return False\n",
        tests=(
            "tests/sim/test_sim_regressions_processes.py"
            "::test_a_reading_that_is_older_than_the_status_is_not_written_over_it",
        ),
    ),
    Mutant(
        "own-status-outdates-readings",
        "E3",
        "What a process read while it wrote a status is not written down, because its own status counts as newer",
        "reconcile/status_writer.py",
        "        memory.record_status(status)\n",
        "",
        tests=("tests/sim/test_sim_words.py::test_a_deletion_says_each_step_once",),
    ),
    Mutant(
        "reading-of-two-accounts",
        "S5",
        "What the credentials of another account do not show counts as gone from the account before",
        "aws/identity.py",
        "            if await account() == before and renewals == self._renewals:\n",
        "            if True:\n",
        tests=(
            "tests/aws/test_aws_identity.py::test_a_lookup_of_an_address_in_another_account_confirms_no_loss[False]",
        ),
    ),
    Mutant(
        "account-changes-unnoticed",
        "S5",
        "The credentials became another account's for part of a reading, and its list counts as the account's own",
        "aws/identity.py",
        " and renewals == self._renewals:\n",
        ":\n",
        tests=(
            "tests/aws/test_aws_identity.py"
            "::test_a_list_of_zones_that_another_account_gave_meanwhile_is_read_again",
        ),
    ),
    Mutant(
        "old-list-decides-who-leaves",
        "S8",
        "Of two processes, the one with the older list of addresses undoes what the other has done since",
        "reconcile/rules/targets.py",
        "    for region in late:\n",
        "    late = []\n    for region in late:\n",
        tests=(
            "tests/reconcile/test_tag_selectors.py"
            "::test_a_list_that_is_older_than_another_processes_status_moves_no_address[leaves]",
        ),
    ),
    Mutant(
        "old-list-decides-who-joins",
        "S8",
        "Of two processes, the one with the older list sets the PTR again that the other has reset",
        "reconcile/rules/targets.py",
        "    if told_at > observed.memory.first_seen:\n",
        "    if False:\n",
        tests=(
            "tests/reconcile/test_tag_selectors.py"
            "::test_a_list_that_is_older_than_another_processes_status_moves_no_address[joins]",
        ),
    ),
    Mutant(
        "held-address-conflicts",
        "S8",
        "An address that no selector names any more is reported as a conflict when another object has it",
        "reconcile/rules/claims.py",
        "        if hold is Hold.LOST and allocation_id not in selected:\n",
        "        if False:\n",
        tests=(
            "tests/reconcile/test_tag_selectors.py"
            "::test_a_held_address_that_another_object_has_is_given_up_without_a_conflict[1]",
        ),
    ),
    Mutant(
        "given-up-address-stays-recorded",
        "S8",
        "The status shows an address that the object gave up to another one",
        "reconcile/rules/status_fields.py",
        "        and a.allocation_id not in targets.given_up\n",
        "",
        tests=(
            "tests/reconcile/test_tag_selectors.py"
            "::test_a_held_address_that_another_object_has_is_given_up_without_a_conflict[1]",
        ),
    ),
    Mutant(
        "unseen-ptr-is-taken-back",
        "S2",
        "Under Observed, what a third party set is overwritten because a process that ended was about to set the PTR",
        "reconcile/rules/observed_record.py",
        "        and not never_seen(observed, recorded, eip)\n",
        "",
        tests=(
            "tests/reconcile/test_ptr_update.py"
            "::test_a_ptr_that_was_never_seen_is_not_taken_back_from_a_third_party_under_observed[mail.stranger.net]",
        ),
    ),
    Mutant(
        "unseen-ptr-stays-managed",
        "S2",
        "A PTR that a third party set counts as the operator's because a process that ended was about to set another",
        "reconcile/rules/adoption.py",
        "        elif never_seen(observed, recorded, eip):\n            known = None\n",
        "",
        tests=(
            "tests/reconcile/test_ptr_update.py"
            "::test_a_ptr_that_was_never_seen_is_not_taken_back_from_a_third_party_under_observed[mail.stranger.net]",
        ),
    ),
    Mutant(
        "own-list-at-first-sight",
        "E1",
        "Each object that is seen before the first list of the region asks for another one",
        "reconcile/rules/targets.py",
        " if fact.value is not None and not fact.fresh(told_at)]\n",
        " if not fact.fresh(told_at)]\n",
        tests=(
            "tests/reconcile/test_tag_selectors.py"
            "::test_an_object_that_is_seen_before_the_first_list_asks_for_no_list_of_its_own",
        ),
    ),
    Mutant(
        "removed-address-is-not-put-back",
        "S3",
        "An address that somebody took out of the A record while it leaves the spec stays out of it with its PTR",
        "reconcile/rules/a_record.py",
        "        if values == wanted:\n",
        "        if True:\n",
        tests=(
            "tests/reconcile/test_plan_change.py"
            "::test_an_address_that_somebody_took_out_of_the_record_is_put_back_until_its_ptr_is_reset[replaced]",
        ),
    ),
)
