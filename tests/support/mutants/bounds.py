"""Bugs that let one tenant or a stranger cost all others the operator (E8), or touch what is another's (S2)."""

from __future__ import annotations

from tests.support.mutants.mutant import Mutant

BOUNDS = (
    Mutant(
        "keeps-every-annotation",
        "E8",
        "Every annotation of every object is kept in memory",
        "api/slim.py",
        '        kept["annotations"] = {RECONCILE_ANNOTATION: requested[:RECONCILE_REQUEST_LENGTH]}\n',
        '        kept["annotations"] = dict(annotations)\n',
        tests=(
            "tests/kube/test_pages.py::test_a_slim_copy_has_our_own_finalizer_and_annotation_and_a_count",
        ),
    ),
    Mutant(
        "list-held-whole",
        "E8",
        "A page of a list is parsed when all of it is there",
        "kube/pages.py",
        "        if len(self._text) < self._worthwhile and not last:\n",
        "        if not last:\n",
        tests=("tests/kube/test_pages.py::test_a_page_is_never_held_whole",),
    ),
    Mutant(
        "exposition-for-each-scraper",
        "E8",
        "Every scraper has all metrics read for itself",
        "cli/http.py",
        "        if now >= at + EXPOSITION_SECONDS:\n",
        "        if now >= at:\n",
        tests=("tests/cli/test_http.py::test_one_exposition_serves_everybody_for_a_second",),
    ),
    Mutant(
        "connections-without-number",
        "E8",
        "Any number of connections to the port of probes and metrics stay open",
        "cli/http.py",
        "        if len(self._deadlines) >= MOST_CONNECTIONS:\n",
        "        if len(self._deadlines) >= 10 * MOST_CONNECTIONS:\n",
        tests=("tests/hostile/test_http.py::test_no_more_connections_than_the_bound_stay_open",),
    ),
    Mutant(
        "flood-drops-others-events",
        "E8",
        "A flood of Events in one namespace drops those of another",
        "kube/event_recorder.py",
        "        namespace = max(self._waiting, key=lambda name: len(self._waiting[name]))\n",
        "        namespace = min(self._waiting, key=lambda name: len(self._waiting[name]))\n",
        tests=(
            "tests/kube/test_courier.py::"
            "test_a_flood_in_one_namespace_neither_delays_nor_drops_events_of_another",
        ),
    ),
    Mutant(
        "foreign-finalizers-dropped",
        "S2",
        "The finalizers of others go when the operator's own is put on",
        "reconcile/executor.py",
        "        if meta.foreign_finalizers:\n",
        "        if meta.foreign_finalizers > 100:\n",
        tests=(
            "tests/reconcile/test_finalizers.py::test_the_finalizers_of_others_are_read_before_the_list_is_replaced",
        ),
    ),
    Mutant(
        "asleep-but-first",
        "E4",
        "A suspended object keeps by its age what it does not use",
        "reconcile/claim_index.py",
        "standing.holds or (standing.able and not claimant.suspended)",
        "standing.holds or standing.able",
        tests=("tests/reconcile/test_lines.py::test_a_suspended_object_holds_nothing_by_its_age",),
    ),
    Mutant(
        "nothing-resolved-but-first",
        "E4",
        "An object without any address keeps a hostname by its age",
        "reconcile/rules/claims.py",
        "    able = bool(targets.wanted) and not hopeless\n",
        "    able = not hopeless\n",
        tests=(
            "tests/reconcile/test_lines.py::"
            "test_an_object_whose_selectors_resolve_to_nothing_holds_nothing_by_its_age",
        ),
    ),
    Mutant(
        "hopeless-but-first",
        "E4",
        "A hopeless object keeps an address by its age",
        "reconcile/rules/claims.py",
        "    able = bool(targets.wanted) and not hopeless\n",
        "    able = bool(targets.wanted)\n",
        tests=(
            "tests/reconcile/test_lines.py::"
            "test_a_hopeless_object_holds_nothing_by_its_age_until_it_is_edited",
        ),
    ),
    Mutant(
        "suspension-lets-go",
        "S9",
        "A suspended object under Observed loses the name that its PTR shows",
        "reconcile/rules/claims.py",
        "    holds = holds or (is_observed and spec.hostname in {eip.ptr.name for eip in targets.wanted.values()})\n",
        "",
        tests=(
            "tests/reconcile/test_lines.py::test_a_suspended_object_under_observed_keeps_what_its_ptr_shows",
        ),
    ),
    Mutant(
        "all-rivals-woken",
        "E8",
        "An edit wakes every rival",
        "reconcile/claim_index.py",
        "for place in self._lines.get(line, ())[:_HEADS]}",
        "for place in self._lines.get(line, ())}",
        tests=(
            "tests/reconcile/test_lines.py::"
            "test_an_edit_wakes_the_first_two_in_line_whatever_the_number_of_rivals",
        ),
    ),
    Mutant(
        "far-back-looks-often",
        "E8",
        "Whoever is further back in line looks again every minute",
        "reconcile/rules/__init__.py",
        "    far = bool(builder.blocked_on) and ",
        "    far = False and ",
        tests=(
            "tests/reconcile/test_lines.py::"
            "test_who_is_further_back_in_line_looks_seldom_and_does_not_wait_for_the_release",
        ),
    ),
    Mutant(
        "whole-line-looked-at",
        "E8",
        "Each of those that lost a hostname looks at all that want the address",
        "reconcile/rules/claims.py",
        "place == _LOOKED_AT",
        "place < 0",
        tests=(
            "tests/reconcile/test_lines.py::"
            "test_a_crowd_without_its_hostname_does_not_look_at_all_that_want_the_address",
        ),
    ),
    Mutant(
        "every-nudge-honoured",
        "S11",
        "Every edit and every request makes new readings and ends pauses",
        "reconcile/memory.py",
        "        if now >= self.edits.limit.due(settings.blocked_seconds, settings.resync_seconds):\n",
        "        if self.edits.limit.pending:\n",
        tests=("tests/reconcile/test_nudges.py::test_edits_and_requests_are_honoured_at_most_once_a_minute",),
    ),
    Mutant(
        "gone-object-polled-for",
        "E8",
        "A PTR that stays PENDING is read for ever for an object that no longer exists",
        "aws/ec2/ptr_poller.py",
        "want.known == shown and began - want.not_before < _FORGET",
        "want.known == shown",
        tests=(
            "tests/aws/test_aws_ptr.py::test_nobody_is_polled_for_who_does_not_ask_again_for_ten_minutes",
        ),
    ),
    Mutant(
        "answer-after-failure-is-no-news",
        "E1",
        "After a failed reading, an unchanged PTR causes no reconcile, and the failure stays in the status",
        "aws/ec2/ptr_poller.py",
        "            self._tell(watched, began, None if failed else ptr)\n",
        "            self._tell(watched, began, ptr)\n",
        tests=("tests/aws/test_aws_ptr.py::test_an_answer_after_a_failed_look_is_news",),
    ),
    Mutant(
        "sample-beside-report-loops",
        "S11",
        "A failed sample of the same moment as the report of all servers asks for that report again and again",
        "reconcile/rules/propagation.py",
        "floor <= sample.tried_at > max(reading.at, reading.tried_at)",
        "floor <= sample.tried_at >= max(reading.at, reading.tried_at)",
        tests=(
            "tests/sim/test_sim_regressions.py::test_a_sample_and_a_report_of_the_same_moment_cause_no_loop",
        ),
    ),
    Mutant(
        "unsatisfying-report-is-no-news",
        "E3",
        "Public resolvers that keep disagreeing cause no reconcile, and no reading is counted",
        "reconcile/rules/resolution.py",
        "    known = report if QUESTION not in builder.unsatisfied else None\n",
        "    known = report\n",
        tests=("tests/reconcile/test_verdict.py::test_every_report_counts_while_resolvers_do_not_agree",),
    ),
    Mutant(
        "any-report-is-no-news",
        "E7",
        "A report in which a PTR is gone counts as the same as before",
        "model/dns.py",
        "            {ip: replace(result, ttl=0) for ip, result in each.reverse.items()},\n",
        "            {},\n",
        tests=(
            "tests/reconcile/test_verdict.py"
            "::test_a_report_of_the_resolvers_that_says_the_same_as_before_is_no_news",
        ),
    ),
    Mutant(
        "request-of-before-the-start-waits",
        "E7",
        "A request for a reconcile that was made while no operator ran is handled up to an hour after the start",
        "reconcile/rules/resolution.py",
        "(report is not None or floor == NEVER)",
        "(report is not None or floor <= s.memory.first_seen)",
        tests=(
            "tests/sim/test_sim_regressions_status.py"
            "::test_a_request_for_a_reconcile_that_comes_while_no_operator_runs_is_handled_when_one_starts",
        ),
    ),
    Mutant(
        "lame-answers-grow-old",
        "E7",
        "Once a name server is silent, the others are not asked again while the object is not Ready",
        "reconcile/rules/propagation.py",
        "    if (stands or agreed or lame) and not requested:\n",
        "    if (stands or agreed) and not requested:\n",
        tests=(
            "tests/sim/test_sim_regressions_dns.py"
            "::test_a_record_that_changes_after_a_name_server_fell_silent_is_seen",
        ),
    ),
    Mutant(
        "anybodys-ptr-is-a-claim",
        "E1",
        "An object waits for ever for an address whose PTR a third party set to another object's hostname",
        "reconcile/rules/claims.py",
        "            and not _leads_to(observed, shown, eip.public_ip)\n",
        "            and False\n",
        tests=(
            "tests/sim/test_sim_regressions_ptrs.py"
            "::test_a_ptr_of_another_objects_hostname_that_a_third_party_set_is_no_claim",
        ),
    ),
    Mutant(
        "observed-before-the-removal-is-published",
        "S3",
        "Under Observed a PTR is set on a record that the operator is removing",
        "reconcile/rules/observed_record.py",
        "    written = NEVER if has_ptrs else _written(observed)\n",
        "    written: float | None = NEVER\n",
        tests=(
            "tests/sim/test_sim_regressions_observed.py"
            "::test_no_ptr_is_set_while_the_record_of_an_object_before_is_being_removed",
        ),
    ),
    Mutant(
        "deleted-status-is-forgotten",
        "S8",
        "Whoever deletes the status of an object makes the operator forget what it wrote",
        "engine/store.py",
        'status.is_missing(body.get("status"))',
        "False",
        tests=("tests/engine/test_store.py::test_what_a_deleted_status_recorded_is_kept[gone]",),
    ),
    Mutant(
        "unrecorded-ptr-is-left",
        "S8",
        "A PTR beside the object's own ownership record stays after the deletion of an object without a status",
        "reconcile/rules/deletion.py",
        "    for eip, name in _unrecorded(s):\n",
        "    for eip, name in ():\n",
        tests=(
            "tests/sim/test_sim_regressions_status.py"
            "::test_a_ptr_beside_a_replaced_record_is_reset_although_no_status_tells_of_it",
        ),
    ),
    Mutant(
        "ptr-beside-a-changed-record-is-reset",
        "S2",
        "The deletion resets the PTR of an address that others put into the object's A record",
        "reconcile/rules/deletion.py",
        "not mark.adopted and not added_by_others(s, eip, name)",
        "not mark.adopted",
        tests=(
            "tests/reconcile/test_plan_deletion.py"
            "::test_deletion_leaves_the_ptr_of_an_address_that_others_put_into_the_record",
        ),
    ),
    Mutant(
        "ptr-beside-a-changed-former-record-is-reset",
        "S2",
        "A rename resets the PTR of an address that others put into the A record of the former hostname",
        "reconcile/rules/retire.py",
        " or added_by_others(s, eip, name)",
        "",
        tests=(
            "tests/sim/test_sim_regressions_ptrs.py"
            "::test_a_ptr_that_a_third_party_set_beside_the_record_of_a_former_hostname_stays",
        ),
    ),
    Mutant(
        "lost-status-records-all",
        "S5",
        "The PTR of an address beside the record of an object whose status somebody deleted stays after the deletion",
        "reconcile/rules/adoption.py",
        "known.begun if known.generation_without_records is not None else recorded_places(s)",
        "recorded_places(s)",
        tests=(
            "tests/reconcile/test_plan_deletion.py"
            "::test_deletion_resets_a_ptr_beside_the_record_of_an_object_that_lost_its_status",
        ),
    ),
    Mutant(
        "retained-ptr-is-taken",
        "S8",
        "The PTR beside a retained record goes with an object that had not taken the record over",
        "reconcile/rules/adoption.py",
        "            if mark is not None and mark.uid != observed.obj.meta.uid:\n",
        "            if mark is not None and not observed.settings.mine(mark.owner):\n",
        tests=(
            "tests/sim/test_sim_regressions_ptrs.py"
            "::test_a_ptr_beside_a_retained_record_that_another_object_did_not_take_over_stays",
        ),
    ),
    Mutant(
        "handover-waits-for-the-mark",
        "E3",
        "An object that changes to Observed is not Ready until the removal of its ownership record is published",
        "reconcile/rules/observed_record.py",
        "    written = NEVER if has_ptrs else _written(observed)\n",
        "    written = _written(observed)\n",
        tests=("tests/sim/test_sim_words.py::test_a_change_to_observed_waits_for_no_change_in_route_53",),
    ),
    Mutant(
        "suspended-ptr-is-recorded",
        "S2",
        "A suspended object records the PTR that it would set, and takes it for its own when a third party sets it",
        "reconcile/rules/adoption.py",
        "    handed_over = not observed.obj.spec.suspend and finalizer.present(observed)\n",
        "    handed_over = finalizer.present(observed)\n",
        tests=(
            "tests/sim/test_sim_ownership.py"
            "::test_a_suspended_object_does_not_record_a_ptr_that_it_does_not_set",
        ),
    ),
    Mutant(
        "ptr-recorded-before-the-finalizer",
        "S2",
        "A PTR is recorded while its write still waits for the finalizer, and a third party may set it first",
        "reconcile/rules/adoption.py",
        "    handed_over = not observed.obj.spec.suspend and finalizer.present(observed)\n",
        "    handed_over = not observed.obj.spec.suspend\n",
        tests=(
            "tests/reconcile/test_ptr_update.py::test_a_ptr_is_not_recorded_before_the_finalizer_is_there",
        ),
    ),
    Mutant(
        "one-status-for-each-ptr",
        "S11",
        "Each PTR is recorded in a status of its own, before it is written",
        "reconcile/rules/plan_builder.py",
        "        if isinstance(self.action, SetPtr) and isinstance(action, SetPtr):\n",
        "        if isinstance(action, SetPtr) and self.action is action:\n",
        tests=("tests/sim/test_sim_words.py::test_sixty_four_addresses_cost_few_statuses",),
    ),
    Mutant(
        "others-creation-was-before",
        "S2",
        "A record that a second operator created a moment before is taken for one that held every address",
        "reconcile/rules/adoption.py",
        "        if own and place in known.begun:\n",
        "        if False:\n",
        tests=(
            "tests/sim/test_sim_regressions_ptrs.py"
            "::test_a_ptr_of_an_address_that_joins_later_is_adopted_although_another_operator_made_the_record",
        ),
    ),
    Mutant(
        "record-on-its-way-is-forgotten",
        "S8",
        "An object whose status only tells that a record is about to be written is taken for one that wrote nothing",
        "api/types.py",
        "            or self.status.zone is not None\n",
        "",
        tests=(
            "tests/api/test_parse.py"
            "::test_what_the_status_tells_of_counts_although_the_finalizer_was_removed[zone]",
        ),
    ),
    Mutant(
        "endpoint-on-its-way-is-forgotten",
        "S8",
        "An object whose status only tells of a DNSEndpoint is taken for one that wrote nothing",
        "api/types.py",
        "            or self.status.dns_endpoint is not None\n",
        "",
        tests=(
            "tests/api/test_parse.py"
            "::test_what_the_status_tells_of_counts_although_the_finalizer_was_removed[dnsEndpoint]",
        ),
    ),
    Mutant(
        "own-new-record-was-before",
        "S2",
        "A PTR that a third party set before the record of a new object was written counts as set by the operator",
        "reconcile/rules/adoption.py",
        "        if own and place in known.begun:\n",
        "        if own and place in known.begun and not view.of_type('A'):\n",
        tests=(
            "tests/sim/test_sim_regressions_ptrs.py"
            "::test_a_ptr_that_a_third_party_sets_before_the_record_of_a_new_object_is_written_is_adopted",
        ),
    ),
    Mutant(
        "ptr-of-a-former-name-is-nobodys",
        "S8",
        "After the status was deleted, the PTR beside an ownership record of a former name is nobody's",
        "reconcile/rules/adoption.py",
        "    shown = observed.own_names() & {eip.ptr.name, eip.ptr.update}\n",
        "    shown = frozenset[str]()\n",
        tests=(
            "tests/sim/test_sim_regressions_status.py"
            "::test_a_ptr_of_the_former_name_is_reset_although_the_status_was_deleted_after_the_rename",
        ),
    ),
    Mutant(
        "empty-status-hides-a-lost-one",
        "S8",
        "A status that an operator wrote before it had read anything counts as one that never was lost",
        "reconcile/memory.py",
        "        if obj.records_no_write:\n",
        "        if obj.status.observed_generation < 0:\n",
        tests=(
            "tests/sim/test_sim_regressions_status.py"
            "::test_a_ptr_goes_with_the_object_after_the_lost_status_was_begun_anew_and_the_record_was_replaced",
        ),
    ),
    Mutant(
        "edited-object-is-new",
        "E2",
        "An edited object without a finalizer and a status is taken for a new one, which cannot have records elsewhere",
        "reconcile/memory.py",
        "obj.untouched and obj.meta.generation == 1)",
        "obj.untouched)",
        tests=(
            "tests/sim/test_sim_regressions_status.py"
            "::test_a_record_of_a_former_hostname_goes_although_finalizer_and_status_were_removed_with_the_rename",
        ),
    ),
    Mutant(
        "ready-while-an-address-leaves",
        "S3",
        "While no name server was asked yet, Ready stands although the PTR of an address that leaves is reset",
        "reconcile/rules/a_record.py",
        "        if finding.ok or stands or finding.inconclusive:\n",
        "        if finding.ok or stands:\n",
        tests=(
            "tests/sim/test_sim_regressions_ptrs.py"
            "::test_ready_ends_before_the_ptr_of_an_address_that_left_is_reset_although_no_server_was_asked_yet",
        ),
    ),
    Mutant(
        "bare-object-is-not-searched",
        "E2",
        "An edited object without a finalizer and a status has nothing elsewhere until something is written for it",
        "reconcile/observe.py",
        "self.memory.ownership.complete or self.fits() or ",
        "self.memory.ownership.complete or self.obj.untouched or self.fits() or ",
        tests=(
            "tests/sim/test_sim_regressions_status.py"
            "::test_a_record_of_a_former_hostname_goes_although_nothing_was_written_for_the_new_one",
        ),
    ),
    Mutant(
        "ready-while-an-address-leaves-the-endpoint",
        "S3",
        "While a name server is silent, Ready stands although a PTR that leaves the DNSEndpoint is reset",
        "reconcile/rules/external_record.py",
        "        if finding.ok or finding.inconclusive:\n",
        "        if finding.ok or stands:\n",
        tests=(
            "tests/reconcile/test_external_dns.py"
            "::test_ready_ends_before_a_ptr_is_reset_also_while_a_name_server_is_silent",
        ),
    ),
)
