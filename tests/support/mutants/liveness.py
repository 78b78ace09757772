"""Bugs that break what must hold in the end (E1 to E9)."""

from __future__ import annotations

from tests.support.mutants.mutant import Mutant, Run

LIVENESS = (
    # ---------------------------------------------------------------- E1: the world equals the spec
    Mutant(
        "insync-untold",
        "E1",
        "Nobody is woken when a change is INSYNC",
        "aws/route53/change_poller.py",
        "            if outcome != known:\n",
        "            if outcome != known and not outcome.insync:\n",
        runs=(Run("create-instance"),),
    ),
    Mutant(
        "getchange-awaited-for-ever",
        "E1",
        "A GetChange that is refused is waited for as if it were to say INSYNC at any moment",
        "model/facts.py",
        "        return self.phase is WritePhase.APPLIED and bool(self.change_id) and self.fault is None\n",
        "        return self.phase is WritePhase.APPLIED and bool(self.change_id)\n",
        tests=(
            "tests/sim/test_sim_getchange.py::"
            "test_a_getchange_without_an_answer_is_reported_and_the_authorities_decide",
        ),
    ),
    Mutant(
        "keys-for-ever",
        "E1",
        "A key file that was replaced is not read again",
        "aws/sdk/sessions.py",
        "        if identity is not None and identity.stamp != self._stamp:\n",
        "        if identity is not None and not identity.stamp:\n",
        tests=("tests/aws/test_aws_credentials.py::test_new_credentials_are_announced_once",),
    ),
    Mutant(
        "watch-only",
        "E1",
        "A change that the watch missed is not found by the periodic list",
        "engine/store.py",
        "        return [key for key, item in self._objects.items() if key not in listed and item.seen <= since]\n",
        "        return []\n",
        tests=(
            "tests/sim/test_sim_apiserver.py::test_a_deletion_that_no_watch_told_is_found_by_the_periodic_list",
        ),
    ),
    Mutant(
        "zone-by-letters",
        "E1",
        "A zone fits if the name ends with its letters, dot or not",
        "api/names.py",
        '    return not outer or inner == outer or inner.endswith(f".{outer}")\n',
        "    return inner.endswith(outer)\n",
        runs=(Run("neighbour-zone"),),
    ),
    Mutant(
        "first-page-only",
        "E1",
        "Of the list of hosted zones only the first page is read",
        "aws/route53/zones.py",
        "            if not marker:\n",
        "            if zones:\n",
        runs=(Run("neighbour-zone"),),
    ),
    Mutant(
        "literal-octal",
        "E1",
        "Route 53's octal escapes are taken literally",
        "api/names.py",
        '    return _OCTAL.sub(_unescape, name).lower().removesuffix(".")\n',
        '    return name.lower().removesuffix(".")\n',
        tests=("tests/api/test_names.py::test_a_name_has_one_normal_form",),
    ),
    Mutant(
        "case-matters",
        "E1",
        "Names are compared with their case",
        "api/names.py",
        '    return _OCTAL.sub(_unescape, name).lower().removesuffix(".")\n',
        '    return _OCTAL.sub(_unescape, name).removesuffix(".")\n',
        tests=("tests/api/test_names.py::test_a_name_has_one_normal_form",),
    ),
    # ---------------------------------------------------------------- E2: only the last spec counts
    Mutant(
        "edge-triggered-cleanup",
        "E2",
        "After a restart nothing is looked for that the spec does not name",
        "reconcile/rules/retire.py",
        "    builder.need(NeedSweep())\n    return",
        "    return ()\n    return",
        tests=(
            "tests/sim/test_sim_ownership.py::test_an_object_whose_status_was_lost_in_a_rename_leaves_nothing_behind[False]",
        ),
    ),
    Mutant(
        "memory-is-complete",
        "E2",
        "A new process believes that it has seen everything there is",
        "reconcile/memory.py",
        "        records = cls(complete=obj.untouched and obj.meta.generation == 1)\n",
        "        records = cls(complete=True)\n",
        tests=(
            "tests/sim/test_sim_ownership.py::test_an_object_whose_status_was_lost_in_a_rename_leaves_nothing_behind[False]",
        ),
    ),
    # ---------------------------------------------------------------- E3: rest
    Mutant(
        "clock-in-message",
        "E3",
        "A condition's message tells when it was checked",
        "reconcile/rules/propagation.py",
        '        message = f"Every authoritative name server returns {dns_checks.listing(wanted)} for {hostname}."\n',
        '        message = f"Every authoritative name server returns {dns_checks.listing(wanted)} at {s.now:.0f}."\n',
        runs=(Run("create-instance"),),
    ),
    Mutant(
        "restart-forgets-iprev",
        "E3",
        "A new process takes out of the status what it has not read yet",
        "reconcile/rules/status_fields.py",
        "    return recorded.iprev if recorded is not None and same and unchanged else None\n",
        "    return None\n",
        runs=(Run("create-instance"),),
    ),
    Mutant(
        "reads-at-every-pass",
        "E3",
        "Every pass has the region read again",
        "reconcile/rules/targets.py",
        "    floor = max(observed.now - 2 * observed.settings.address_sweep_seconds, observed.request_floor)\n",
        "    floor = observed.now - 30\n",
        runs=(Run("create-instance"),),
    ),
    Mutant(
        "suspension-flickers",
        "E3",
        "A suspended object takes back what it would do when the last answer of the authorities grows old",
        "reconcile/rules/propagation.py",
        "        recent = s.obj.spec.suspend or reading.at",
        "        recent = reading.at",
        tests=(
            "tests/reconcile/test_plan_rest.py"
            "::test_a_suspended_object_says_the_same_when_the_last_answer_grows_old",
        ),
    ),
    # ---------------------------------------------------------------- E4: one winner, and its successor
    Mutant(
        "lost-claims-make-no-circle",
        "E4",
        "Two objects that hold what the other wants, and want it themselves, are no circle",
        "reconcile/rules/claims.py",
        "            blockers |= {owner} if owner else set()\n",
        "            blockers |= {owner} if owner and hold is Hold.RELEASE else set()\n",
        tests=(
            "tests/reconcile/test_plan_claims.py::test_two_that_hold_what_the_other_wants_too_are_a_circle",
        ),
    ),
    Mutant(
        "nameless-hold-by-age",
        "E4",
        "An object that lost its hostname keeps an address from the one that has it",
        "reconcile/rules/claims.py",
        "        if not nameless:\n",
        "        if nameless is not None:\n",
        tests=(
            "tests/reconcile/test_plan_claims.py"
            "::test_an_object_without_its_hostname_does_not_hold_an_address_by_age",
        ),
    ),
    Mutant(
        "youngest-wins",
        "E4",
        "Of two that want one name the younger one gets it",
        "reconcile/claim_index.py",
        "        return self._by_uid[members[0][2]] if members else None\n",
        "        return self._by_uid[members[-1][2]] if members else None\n",
        runs=(Run("claim-race"),),
    ),
    Mutant(
        "the-dead-hold-on",
        "E4",
        "An object that is gone keeps its claim",
        "reconcile/claim_index.py",
        "{*self._remove(uid), ",
        "{",
        tests=(
            "tests/sim/test_sim_apiserver.py::test_a_deletion_that_no_watch_told_is_found_by_the_periodic_list",
        ),
    ),
    # ---------------------------------------------------------------- E5: nothing is left
    Mutant(
        "orphans-uncounted",
        "E5",
        "Ownership records without an object are not counted",
        "aws/route53/record_index.py",
        "            if uid not in live\n",
        "            if uid in live\n",
        tests=("tests/aws/test_aws_records.py::test_orphans_are_counted_by_owner_object_and_zone",),
    ),
    Mutant(
        "ptr-outlives-object",
        "E5",
        "A PTR that was set is written down as found",
        "reconcile/rules/adoption.py",
        "        return known if write.repair and known is not None else Origin.MANAGED\n",
        "        return known if write.repair and known is not None else Origin.ADOPTED\n",
        runs=(Run("delete"),),
    ),
    Mutant(
        "record-outlives-mark",
        "E5",
        "On deletion the mark goes and the A record stays",
        "reconcile/rules/deletion.py",
        '        builder.act(ChangeRecords(zone_id, name, remove(view, mark), f"remove {name}"))\n',
        "        changes = remove(view, mark, keep_record=True)\n"
        '        builder.act(ChangeRecords(zone_id, name, changes, f"remove {name}"))\n',
        runs=(Run("delete"),),
    ),
    # ---------------------------------------------------------------- E6: no more effects than needed
    Mutant(
        "record-written-again",
        "E6",
        "After a write without an answer the record is removed and made anew",
        "reconcile/rules/a_record.py",
        "        record_differs = simple is None or frozenset(simple.values) != wanted or simple.ttl != ttl\n",
        "        doubt = self.write is not None and self.write.phase is WritePhase.UNKNOWN\n"
        "        record_differs = doubt or simple is None or frozenset(simple.values) != wanted or simple.ttl != ttl\n",
        runs=(Run("create-instance", ("route53.change", 0, "after", "timeout")),),
    ),
    # ---------------------------------------------------------------- E7: drift
    Mutant(
        "no-periodic-look",
        "E7",
        "What is right is never looked at again",
        "reconcile/rules/propagation.py",
        "        builder.need(\n"
        "            NeedAuthorities(hostname, idle) if every else NeedSampleAuthority(hostname, idle, expected)\n"
        "        )\n",
        "        pass\n",
        runs=(Run("drift"),),
    ),
    Mutant(
        "any-sample-is-expected",
        "E7",
        "An answer that contradicts the record wakes nobody",
        "dns/readings.py",
        "if not failed and expected is not None and value is not None and expected(value):",
        "if not failed and expected is not None and value is not None:",
        tests=("tests/dns/test_service.py::test_an_expected_sample_wakes_only_those_who_expect_another",),
    ),
    Mutant(
        "sample-without-mark-is-expected",
        "E7",
        "A deleted ownership record is noticed one periodic check late",
        "reconcile/rules/a_record.py",
        "            Expected(base.values, exact=True, mark=self._listed_mark()),\n",
        "            Expected(base.values, exact=True),\n",
        tests=(
            "tests/sim/test_sim_shipped_times.py"
            "::test_drift_is_repaired_within_one_check[300.0-ownership TXT deleted]",
            "tests/sim/test_sim_shipped_times.py"
            "::test_drift_is_repaired_within_one_check[5000.0-ownership TXT deleted]",
        ),
    ),
    Mutant(
        "typed-status-is-enough",
        "E3",
        "What others add to the status stays while the typed values are right",
        "reconcile/status_writer.py",
        "    if api.canonical_version == version and obj.status == status:\n",
        "    if obj.status == status:\n",
        tests=("tests/sim/test_sim_ownership.py::test_what_others_add_to_the_status_is_removed",),
    ),
    Mutant(
        "kept-out-is-progress",
        "E1",
        "An address that a foreign PTR keeps from replacing another is reported as progress for ever",
        "reconcile/rules/record_values.py",
        "    if values == final or any(\n"
        "        claims.allows(eip.allocation_id) and not _joins(observed, eip, values)\n"
        "        for eip in targets.wanted.values()\n"
        "    ):\n",
        "    if values == final:\n",
        tests=(
            "tests/sim/test_sim_regressions.py"
            "::test_an_address_that_a_foreign_ptr_keeps_from_replacing_another_is_told",
        ),
    ),
    Mutant(
        "restart-never-asks-resolvers",
        "E7",
        "After a restart public resolvers are asked only when every authoritative server was asked again",
        "reconcile/rules/resolution.py",
        "    if not ((forward.finding.ok or forward.stands) and reverse.settled and not reverse.refused):\n",
        "    if not (forward.finding.ok and reverse.settled and not reverse.refused):\n",
        tests=("tests/reconcile/test_verdict.py::test_public_resolvers_are_asked_again_after_a_restart",),
    ),
    Mutant(
        "silent-resolvers-change-nothing",
        "E7",
        "Resolvers that never answer leave the verdict as it was",
        "reconcile/rules/resolution.py",
        "    inconclusive = not lasting(s, fact.misses)\n",
        "    inconclusive = True\n",
        tests=(
            "tests/reconcile/test_verdict.py::test_resolvers_without_an_answer_end_ready_after_the_confirmations",
        ),
    ),
    Mutant(
        "ptr-drift-stands",
        "E7",
        "A PTR that a third party changed is not repaired",
        "reconcile/rules/ptr.py",
        "    if (contested := ptr_repair_limit.too_many_repairs(s, builder, eip)) is not None:\n",
        "    if ptr_repair_limit.is_repair(s, eip):\n        return failed(reasons.PTR_CONTESTED, hostname)\n"
        "    if (contested := ptr_repair_limit.too_many_repairs(s, builder, eip)) is not None:\n",
        runs=(Run("drift"),),
    ),
    Mutant(
        "finalizer-stays-off",
        "E7",
        "A finalizer that a third party removed is not added again",
        "reconcile/rules/finalizer.py",
        "    if not present(observed) and (action is not None or owns):\n",
        "    if not present(observed) and action is not None:\n",
        tests=("tests/sim/test_sim_apiserver.py::test_finalizer_and_status_that_somebody_removed_come_back",),
    ),
    Mutant(
        "mark-by-list-only",
        "E7",
        "A deleted ownership record is seen with the next list of the zone only, up to 75 minutes later",
        "reconcile/rules/a_record.py",
        "        self._compare_mark()\n        heard_at",
        "        heard_at",
        tests=("tests/sim/test_sim_shipped_times.py::test_drift_is_repaired_within_one_check",),
    ),
    # ---------------------------------------------------------------- E8: the hopeless delay nobody
    Mutant(
        "blocked-by-list-only",
        "E8",
        "A record set in the way is seen to be gone with the next list of the zone only",
        "reconcile/rules/plan_builder.py",
        "        self._again(observed, question, fact, need, settings.blocked_seconds, settings.resync_seconds)\n",
        "        del settings\n",
        tests=(
            "tests/sim/test_sim_shipped_times.py::"
            "test_a_record_in_the_way_is_looked_at_every_minute_at_first_and_at_each_resync_later",
        ),
    ),
    Mutant(
        "edit-believes-old-conflict",
        "E8",
        "After an edit a reading from before it still proves that a record set is in the way",
        "reconcile/rules/plan_builder.py",
        "        if not fact.fresh(observed.absence_floor) and fact.fault is None:\n",
        "        if not fact.fresh(observed.edit_floor) and fact.fault is None:\n",
        tests=(
            "tests/sim/test_sim_shipped_times.py::"
            "test_an_edit_has_a_record_in_the_way_read_again_however_young_the_reading_is",
        ),
    ),
    Mutant(
        "no-limit-for-the-blocked",
        "E8",
        "Each object that waits for a third party costs a call, however many there are",
        "aws/route53/records.py",
        "            self._relook_at = began + calls * self._rt.settings.relook_pause\n",
        "            self._relook_at = began + 0.0 * calls\n",
        tests=(
            "tests/aws/test_aws_records.py::"
            "test_names_for_which_nobody_is_in_a_hurry_share_thirty_calls_a_minute",
        ),
    ),
    Mutant(
        "all-or-nothing-batch",
        "E8",
        "A batch that is refused for one name fails for all",
        "aws/route53/writer.py",
        "        if by_name and not enough and len(part) > 1:\n",
        "        if by_name and not enough and len(part) > 1000:\n",
        runs=(Run("hopeless"),),
    ),
    Mutant(
        "failing-pass-ends-worker",
        "E8",
        "A pass that raises takes its worker with it",
        "engine/workers.py",
        "        except Exception as error:\n            return self._failed(key, error)\n",
        "        except Exception:\n            raise\n",
        tests=(
            "tests/engine/test_workers.py::"
            "test_an_object_that_always_fails_backs_off_to_five_minutes_and_delays_no_other",
        ),
    ),
    Mutant(
        "every-region-counts",
        "E8",
        "A region that fails ends the conditions of objects that do not use it",
        "reconcile/rules/__init__.py",
        "for r in targets_rule.regions(observed)]\n",
        "for r in observed.views.addresses.regions]\n",
        tests=(
            "tests/sim/test_sim_regions.py::"
            "test_a_failing_region_takes_ready_only_from_the_objects_that_use_it",
        ),
    ),
    Mutant(
        "one-refusal-for-the-region",
        "E8",
        "The PTRs of a whole region count as unsupported because AWS refused one list of them",
        "aws/ec2/listing.py",
        "                if says_no_such_operation(error) and may_lack_ptr_api(self._region):\n",
        "                if says_no_such_operation(error):\n",
        tests=(
            "tests/aws/test_aws_addresses.py::"
            "test_where_the_partition_has_the_api_a_refused_list_of_ptrs_is_a_failed_reading",
        ),
    ),
    Mutant(
        "one-refusal-for-the-poll",
        "E8",
        "A look at PTRs under way that is refused for one address fails for all of them",
        "aws/ec2/ptr_poller.py",
        "                if general or not refuses_the_request(error):\n",
        "                if len(group) > 1 or not refuses_the_request(error):\n",
        tests=(
            "tests/aws/test_aws_addresses.py::"
            "test_a_look_that_is_refused_for_one_address_fails_for_that_one_only",
        ),
    ),
    Mutant(
        "refused-address-polled-with-the-rest",
        "E8",
        "An address whose PTR AWS refused to show is looked at together with the others again",
        "aws/ec2/ptr_poller.py",
        "        ids = ids[:1] if ids[0] in self._alone else [i for i in ids if i not in self._alone]\n",
        "",
        tests=(
            "tests/aws/test_aws_addresses.py::"
            "test_a_look_that_is_refused_for_one_address_fails_for_that_one_only",
        ),
    ),
    Mutant(
        "one-list-is-believed",
        "E3",
        "An address that one list lacks counts as missing before it is looked up",
        "aws/ec2/absence.py",
        "        return Absence.SUSPECTED if missing.looked else Absence.UNCHECKED\n",
        "        return Absence.SUSPECTED\n",
        tests=("tests/sim/test_sim_regions.py::test_a_list_that_lacks_entries_once_changes_no_status",),
    ),
    Mutant(
        "restored-object-stays-gone",
        "E1",
        "An object that was deleted and comes back from a backup is ignored until the hourly list",
        "engine/store.py",
        '        if meta["uid"] in self._gone:\n            return True\n',
        "",
        tests=(
            "tests/engine/test_controller.py::test_an_object_that_was_deleted_and_is_listed_again_is_looked_into_at_once",
        ),
    ),
    Mutant(
        "satisfied-request-spins",
        "S11",
        "The list of zones is requested although it is newer than the lookup that did not find the zone",
        "reconcile/rules/a_record.py",
        "        builder.have(observed.views.zones.get(), fact.tried_at, NeedZones(fact.tried_at))\n",
        "        builder.need(NeedZones(fact.tried_at))\n",
        tests=(
            "tests/reconcile/test_pace.py::test_zones_are_listed_once_after_a_zone_is_not_found",
            "tests/sim/test_sim_bounds.py::"
            "test_an_object_whose_listed_zone_is_not_found_is_not_reconciled_without_a_pause",
        ),
    ),
    # ---------------------------------------------------------------- E9: what another version left
    Mutant(
        "new-mark-only",
        "E9",
        "Marks of the version before are not understood",
        "model/ownership.py",
        """_MARK = re.compile(r'"meg1 ([ca]) ([A-Za-z0-9][A-Za-z0-9_.-]{0,15}) ([A-Za-z0-9_-]{22})"')""",
        """_MARK = re.compile(r'"meg2 ([ca]) ([A-Za-z0-9][A-Za-z0-9_.-]{0,15}) ([A-Za-z0-9_-]{22})"')""",
        runs=(Run("upgrade"),),
    ),
)
