"""Bugs that break what must hold at every instant (S8 to S13)."""

from __future__ import annotations

from tests.support.mutants.mutant import Mutant, Run

RULES = (
    # ---------------------------------------------------------------- S8: the finalizer
    Mutant(
        "finalizer-after-write",
        "S8",
        "The finalizer comes only once something is owned",
        "reconcile/rules/finalizer.py",
        "    if not present(observed) and (action is not None or owns):\n",
        "    if not present(observed) and owns:\n",
        runs=(Run("observed"),),
    ),
    Mutant(
        "finalizer-goes-early",
        "S8",
        "The finalizer goes as soon as there is nothing more to send",
        "reconcile/rules/deletion.py",
        "    blocker = _clean(observed, builder)\n    if blocker is None:\n",
        "    blocker = _clean(observed, builder)\n    if builder.action is None and not builder.needs:\n",
        runs=(Run("delete"),),
    ),
    Mutant(
        "only-what-the-status-names",
        "E2",
        "On deletion nothing is looked for beyond what the status names",
        "reconcile/rules/deletion.py",
        "    if not s.searched():\n",
        "    if False:\n",
        tests=(
            "tests/sim/test_sim_ownership.py::test_an_object_whose_status_was_lost_in_a_rename_leaves_nothing_behind[True]",
        ),
    ),
    Mutant(
        "unknown-claim-forgotten",
        "S8",
        "A claim without an answer counts as none",
        "aws/route53/record_index.py",
        "        self._invalidate(self._zones.setdefault(zone_id, _ZoneMap()), hostname, at)\n"
        "        self._index_created(zone_id, hostname, changes)\n",
        "        self._set(zone_id, self._zones.setdefault(zone_id, _ZoneMap()), NameView(hostname), at)\n",
        runs=(Run("delete-midway", ("route53.change", 0, "after", "timeout")),),
    ),
    # ---------------------------------------------------------------- S9: one winner
    Mutant(
        "loser-writes",
        "S9",
        "Who lost the hostname writes all the same",
        "reconcile/rules/a_record.py",
        "        if self.claims.hostname is not Hold.MINE:\n",
        "        if self.claims.hostname is Hold.UNKNOWN:\n",
        runs=(Run("conflict-takeover"),),
    ),
    Mutant(
        "mark-is-no-claim",
        "S9",
        "Age alone decides who holds a hostname, whatever mark stands there",
        "reconcile/rules/claims.py",
        "    holder = shown.uid\n    if holder is None:\n",
        "    holder = None\n    if holder is None:\n",
        runs=(Run("conflict-takeover"),),
    ),
    Mutant(
        "address-is-no-claim",
        "S9",
        "Two objects may have one address",
        "reconcile/rules/claims.py",
        "        return self.eips.get(allocation_id) is Hold.MINE\n",
        "        return self.eips.get(allocation_id) is not Hold.UNKNOWN\n",
        runs=(Run("address-race"),),
    ),
    # ---------------------------------------------------------------- S10: unknown outcomes
    Mutant(
        "ptr-again-unread",
        "S10",
        "A PTR write without an answer is repeated without a look",
        "reconcile/observe.py",
        "        return None if self.views.addresses.ptr(region, allocation_id).fresh(write.at) else write.at\n",
        "        return None\n",
        runs=(Run("create-instance", ("ec2.set_ptr", 0, "before", "timeout")),),
    ),
    Mutant(
        "records-again-unread",
        "S10",
        "A change batch without an answer is repeated without a look",
        "aws/route53/writer.py",
        '        stale = fault.unknown_outcome or error.code == "InvalidChangeBatch"\n',
        '        stale = error.code == "InvalidChangeBatch"\n',
        runs=(Run("create-instance", ("route53.change", 0, "before", "timeout")),),
    ),
    Mutant(
        "timeout-is-a-refusal",
        "S10",
        "A timeout counts as a request that was not carried out",
        "aws/errors.py",
        "    unknown = error.sent and operation in _WRITES\n",
        "    unknown = False\n",
        runs=(Run("create-instance", ("ec2.set_ptr", 0, "after", "timeout")),),
    ),
    # ---------------------------------------------------------------- S11: rates and back-off
    Mutant(
        "no-token-bucket",
        "S11",
        "Nobody waits for the rate limit",
        "aws/rate_limit.py",
        "        if not self.waiting and self.level() + 1e-9 >= min(cost, self._pace.burst):\n",
        "        if not self.waiting:\n",
        runs=(Run("sixteen"),),
    ),
    Mutant(
        "repairs-without-limit",
        "S11",
        "A PTR that another writer keeps changing is repaired without end",
        "reconcile/rules/ptr_repair_limit.py",
        "    if len(recent) < observed.settings.heals_per_hour or not is_repair(observed, eip):\n",
        "    if len(recent) < 1000 or not is_repair(observed, eip):\n",
        tests=("tests/reconcile/test_plan_change.py::test_a_joined_address_is_healed_and_then_contested",),
    ),
    Mutant(
        "constant-back-off",
        "S11",
        "A refused write is repeated every five seconds for as long as it is refused",
        "reconcile/settings.py",
        "        return backoff_seconds(attempts, least, self.retry_max_seconds)\n",
        "        return min(least, self.retry_max_seconds)\n",
        runs=(Run("create-instance", ("route53.change", 0, "before", "denied")),),
    ),
    Mutant(
        "conflict-without-back-off",
        "S11",
        "A write that met a newer version is repeated five times a second until the watch tells of it",
        "reconcile/status_writer.py",
        "        memory.api.conflicts += 1\n",
        "        memory.api.conflicts = 1\n",
        tests=("tests/sim/test_sim_apiserver.py::test_a_conflict_that_stays_is_backed_off",),
    ),
    Mutant(
        "stalled-spins",
        "S11",
        "An object that is stalled is passed without a pause",
        "reconcile/reconciler.py",
        '        return status, deadline - now if waits else float("inf")\n',
        "        return status, max(deadline - now, 0.0)\n",
        tests=("tests/reconcile/test_pace.py::test_an_object_that_is_stalled_is_not_passed_without_a_pause",),
    ),
    Mutant(
        "lists-without-back-off",
        "S11",
        "The lists of zones and regions are read again every minute for as long as something is out of sight",
        "reconcile/rules/plan_builder.py",
        "settings.blocked_seconds, settings.resync_seconds)\n",
        "settings.blocked_seconds, settings.blocked_seconds)\n",
        tests=(
            "tests/reconcile/test_pace.py::test_lists_are_read_again_ever_more_slowly_for_what_is_out_of_sight",
        ),
    ),
    Mutant(
        "deletion-without-back-off",
        "S11",
        "A deletion that waits for a hidden zone or region has the list read again every minute",
        "reconcile/rules/deletion.py",
        "        unsatisfied=tuple(builder.unsatisfied.items()),\n",
        "",
        tests=("tests/reconcile/test_pace.py::test_a_deletion_has_them_read_again_ever_more_slowly_too",),
    ),
    Mutant(
        "failures-forgotten",
        "S11",
        "What the API server refused is tried again as if for the first time",
        "reconcile/status_writer.py",
        "            api.failures += 1\n",
        "            api.failures = 1\n",
        runs=(Run("create-instance", ("kube.status", 1, "before", "denied")),),
    ),
    Mutant(
        "login-in-a-circle",
        "S11",
        "After a 401 the next session is asked for at once",
        "kube/watch.py",
        "            await self._sleep(delay)\n",
        "            await self._sleep(0.0)\n",
        tests=("tests/kube/test_watch.py::test_refused_credentials_are_retried_with_pauses",),
    ),
    Mutant(
        "credentials-at-each-call",
        "S11",
        "A key that AWS refuses is looked up again at each call",
        "aws/sdk/sessions.py",
        "            if self._clock() < renewal.not_before:\n",
        "            if self._clock() < 0:\n",
        tests=(
            "tests/aws/test_aws_credentials.py::test_a_key_that_is_refused_is_looked_up_again_with_a_back_off",
        ),
    ),
    # ---------------------------------------------------------------- S12: hostile text, secrets
    Mutant(
        "patterns-over-everything",
        "S12",
        "Patterns run over the whole of a text from outside",
        "aws/errors.py",
        "    text = bounded(text)\n",
        "    text = str(text)\n",
        tests=("tests/aws/test_aws_text.py::test_no_text_keeps_a_cleaner_busy[10 MB of one letter-steady]",),
    ),
    Mutant(
        "terminal-codes-in-status",
        "S12",
        "What AWS says goes into the status as it is",
        "api/text.py",
        "    if not (head.isascii() and head.isprintable()):\n",
        "    if not head:\n",
        runs=(Run("create-instance", ("route53.change", 0, "before", "5xx")),),
    ),
    Mutant(
        "request-id-in-status",
        "S12",
        "The ID of a request stays in its error's text",
        "aws/errors.py",
        "        text = pattern.sub(shown, text)\n",
        "        text = text or pattern.pattern + shown\n",
        runs=(Run("create-instance", ("route53.change", 0, "before", "5xx")),),
    ),
    Mutant(
        "credentials-in-log",
        "S12",
        "Credentials in a message are logged",
        "telemetry/logs.py",
        "    text = redact(text)\n    if not text.isprintable():\n",
        "    text = bounded(text)\n    if not text.isprintable():\n",
        tests=("tests/cli/test_logs.py::test_credentials_never_reach_the_log",),
    ),
    Mutant(
        "loser-sees-the-address",
        "S12",
        "An object that lost the claim on an address is shown its account, allocation, attachment and PTR",
        "reconcile/rules/status_fields.py",
        "        if (other := _not_held(s, claims, entry, eip)) is not None:\n",
        "        if (other := _not_held(s, claims, entry, eip)) is not None and other.allocation_id:\n",
        tests=(
            "tests/reconcile/test_disclosure.py::"
            "test_the_loser_of_an_address_sees_its_own_selector_and_the_reason_only",
        ),
    ),
    Mutant(
        "zone-oracle",
        "S12",
        "A guessed hosted zone ID tells whether the zone exists",
        "reconcile/rules/zones.py",
        "        if zone is None or not is_within(spec.hostname, zone.name):\n",
        "        if zone is None or (zone.editable and not is_within(spec.hostname, zone.name)):\n",
        tests=(
            "tests/reconcile/test_disclosure.py::"
            "test_a_guessed_zone_id_tells_neither_whether_the_zone_exists_nor_its_name",
        ),
    ),
    # ---------------------------------------------------------------- S13: labels
    Mutant(
        "object-as-label",
        "S13",
        "Passes are counted by object instead of outcome",
        "reconcile/reconciler.py",
        '            outcome = "ok"\n',
        "            outcome = key\n",
        runs=(Run("create-instance"),),
    ),
    Mutant(
        "any-code-as-label",
        "S13",
        "AWS's error codes become labels as they come",
        "telemetry/metrics.py",
        "        self._aws_calls.labels(service, operation, self._codes(code)).inc()\n",
        "        self._aws_calls.labels(service, operation, code).inc()\n",
        tests=("tests/cli/test_metrics.py::test_a_flood_of_new_error_codes_does_not_flood_the_metrics",),
    ),
    # ---------------------------------------------------------------- whose a PTR is, and what a restart believes
    Mutant(
        "any-own-name-is-ours",
        "S2",
        "A PTR that a third party set to another hostname of the object is reset",
        "reconcile/rules/adoption.py",
        "    return not any(eip.ptr.settled_to(name) for name in explained)\n",
        "    return False\n",
        tests=(
            "tests/reconcile/test_ptr_update.py::test_a_ptr_that_a_third_party_set_on_an_address_that_left_is_not_the_operators",
            "tests/reconcile/test_ptr_update.py::test_a_deletion_does_not_reset_what_a_third_party_has_just_set",
            "tests/reconcile/test_ptr_update.py::test_a_deletion_does_not_reset_what_a_third_party_set_meanwhile",
        ),
    ),
    Mutant(
        "ptr-update-not-recorded",
        "S4",
        "The name that a PTR is set to is not recorded before it is written",
        "reconcile/rules/adoption.py",
        "        return write.hostname\n    recorded =",
        "        return None\n    recorded =",
        tests=(
            "tests/reconcile/test_ptr_update.py::test_the_name_is_recorded_before_the_ptr_is_set_and_until_aws_shows_it",
        ),
    ),
    Mutant(
        "restart-believes-ready",
        "E1",
        "After a restart a missing address is not reported until the name servers are read",
        "reconcile/rules/a_record.py",
        "        if finding.ok or stands or finding.inconclusive:\n",
        "        if finding.ok:\n",
        tests=(
            "tests/reconcile/test_after_restart.py::"
            "test_a_missing_or_leaving_address_is_reported_before_the_servers_are_read",
        ),
    ),
    Mutant(
        "restart-forgets-origin",
        "S5",
        "After a restart, an A record whose ownership record was deleted counts as adopted and is left behind",
        "reconcile/memory.py",
        "        if origin is None or status.zone is None or status.hostname is None:\n",
        "        if status.hostname is not None or origin is None or status.zone is None:\n",
        tests=(
            "tests/reconcile/test_after_restart.py::"
            "test_an_ownership_record_that_was_deleted_is_restored_as_it_was",
        ),
    ),
    Mutant(
        "undecided-conflict-keeps-accepted",
        "S7",
        "A lost hostname does not end Accepted while the object that has it waits for nobody known",
        "reconcile/rules/claims.py",
        "    undecided = cycle is None and before is not None and before.reason in _CONTESTED\n",
        "    undecided = cycle is None and before is not None\n",
        tests=(
            "tests/reconcile/test_plan_claims.py::"
            "test_a_conflict_with_an_object_that_is_not_decided_replaces_what_is_over",
        ),
    ),
    Mutant(
        "configured-region-stays-missing",
        "E1",
        "A region that is configured again is reported as missing while a reading that fails keeps conditions",
        "reconcile/confirmations.py",
        "        reasons.INVALID_SPEC,\n        reasons.REGION_NOT_CONFIGURED,\n",
        "        reasons.INVALID_SPEC,\n",
        tests=(
            "tests/reconcile/test_summarise.py::test_a_reason_that_needs_no_reading_is_over_when_not_found",
        ),
    ),
    Mutant(
        "observed-former-name-forgotten",
        "S8",
        "Under Observed, a PTR that shows a former hostname is not reset at deletion",
        "reconcile/observe.py",
        "        return self.own_names() | self.obj.former_hostnames() | {self.obj.spec.hostname}\n",
        "        return self.own_names() | {self.obj.spec.hostname}\n",
        tests=(
            "tests/sim/test_sim_regressions_observed.py::"
            "test_a_ptr_with_a_former_hostname_under_observed_is_reset_at_deletion",
        ),
    ),
    Mutant(
        "observed-former-name-not-recorded",
        "S8",
        "Under Observed, the former hostname of a PTR is not recorded in the status",
        "reconcile/rules/status_fields.py",
        "        former=replace(former, places=(*shown_still, *former.places)),\n",
        "        former=former,\n",
        tests=(
            "tests/reconcile/test_former_hostnames.py::"
            "test_a_ptr_with_a_former_hostname_is_reset_at_deletion_after_a_restart",
        ),
    ),
    Mutant(
        "former-ptr-is-anybodys",
        "S9",
        "An object takes a PTR with its hostname that another object, renamed since, has set",
        "reconcile/claim_index.py",
        "self._former.put(claimant.uid, obj.former_ptrs())",
        "self._former.put(claimant.uid, frozenset())",
        tests=(
            "tests/sim/test_sim_regressions_observed.py::"
            "test_the_ptr_of_a_former_hostname_under_observed_stays_with_its_object",
        ),
    ),
    Mutant(
        "any-record-takes-the-ptr",
        "S8",
        "A PTR with a former hostname stays because another object has a record there, without the address",
        "reconcile/rules/claims.py",
        "    return any(address in r.values for r in records)",
        "    return any(True for r in records)",
        tests=(
            "tests/sim/test_sim_regressions_observed.py::"
            "test_a_record_at_a_former_hostname_under_observed_keeps_no_ptr",
        ),
    ),
    Mutant(
        "observed-foreign-ptr-overwritten",
        "S2",
        "Under Observed, a third party's PTR is overwritten because the record holds the address",
        "reconcile/rules/a_record.py",
        "        return self.mine and address in self.values and address not in self.barred\n",
        "        return self.mine and address in self.values\n",
        tests=(
            "tests/reconcile/test_former_hostnames.py::"
            "test_a_foreign_ptr_beside_a_right_one_is_not_overwritten_under_observed",
        ),
    ),
    Mutant(
        "foreign-ptr-joins-after-rename",
        "S2",
        "A PTR that was found to be foreign after a rename under Observed is overwritten by the next reconcile",
        "reconcile/rules/observed_record.py",
        "        and recorded.reason != reasons.PTR_CONFLICT.name\n",
        "",
        tests=(
            "tests/reconcile/test_ptr_update.py"
            "::test_a_ptr_that_was_found_to_be_a_third_partys_is_not_taken_back_under_observed",
        ),
    ),
    Mutant(
        "observed-left-address-shown",
        "S3",
        "Under Observed, an address that left the spec is shown for as long as the other DNS has it",
        "reconcile/rules/status_fields.py",
        "    tidy = (record.values if s.decides_record else frozenset()) | _old_values(s)\n",
        "    tidy = record.values | _old_values(s)\n",
        tests=(
            "tests/reconcile/test_former_hostnames.py::"
            "test_an_address_that_left_the_spec_is_not_shown_because_another_dns_still_has_it",
        ),
    ),
    Mutant(
        "changed-ptr-claimed-without-the-hostname",
        "S2",
        "A PTR that a third party sets to a hostname that the object does not hold is reset with the object",
        "reconcile/rules/status_fields.py",
        "    replaced = own is not None and changed_by_others(observed, own, eip)\n",
        "    replaced = False\n",
        tests=(
            "tests/reconcile/test_ptr_update.py"
            "::test_what_a_third_party_set_is_not_recorded_where_another_object_has_the_address",
        ),
    ),
    Mutant(
        "ptr-beside-replaced-record-adopted",
        "S8",
        "After the A record was replaced and the status lost, the PTR counts as adopted and stays for ever",
        "reconcile/rules/adoption.py",
        "        if own and lost and place not in known.written:\n",
        "        if own and not view.of_type('A'):\n",
        tests=(
            "tests/sim/test_sim_regressions_status.py"
            "::test_a_ptr_goes_with_the_object_after_the_record_was_replaced_and_the_status_was_lost",
        ),
    ),
    Mutant(
        "no-finalizer-means-untouched",
        "S8",
        "After somebody removes the finalizer, the operator ignores the writes that the status records",
        "api/types.py",
        "        return FINALIZER not in self.meta.finalizers and self.records_no_write\n",
        "        return FINALIZER not in self.meta.finalizers\n",
        tests=(
            "tests/api/test_parse.py"
            "::test_what_the_status_tells_of_counts_although_the_finalizer_was_removed[forward]",
        ),
    ),
    Mutant(
        "former-record-stays-away",
        "S3",
        "The record of a former hostname that somebody removed does not come back while a PTR shows the name",
        "reconcile/rules/retire.py",
        "        _restore(s, builder, targets, zone_id, view, mark)\n",
        "",
        tests=(
            "tests/sim/test_sim_regressions_status.py"
            "::test_the_record_of_a_former_hostname_that_somebody_changes_gets_its_address_back_while_a_ptr_shows_it[removed]",
        ),
    ),
    Mutant(
        "handled-forgotten",
        "E3",
        "A request that was handled counts as open when the status was deleted",
        "reconcile/memory.py",
        "        if not plan.needs and not any(finding.inconclusive for finding in plan.findings.values()):\n"
        "            self.edits.handled = True\n",
        "        self.edits.handled = not plan.needs\n",
        tests=(
            "tests/reconcile/test_verdict.py::"
            "test_a_request_that_was_handled_is_not_handled_again_when_the_status_was_deleted",
        ),
    ),
)
