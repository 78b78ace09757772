"""Bugs that break what must hold at every instant (S1 to S7)."""

from __future__ import annotations

from planting.mutant import Mutant, Run

SAFETY = (
    # ---------------------------------------------------------------- S1: the gate before a PTR
    Mutant(
        "ptr-before-proof",
        "S1",
        "The PTR is set as soon as Route 53 took the change",
        "reconcile/reverse.py",
        "    if not forward.verified:\n",
        "    if not forward.complete and not forward.mine:\n",
        runs=(Run("rename"),),
    ),
    Mutant(
        "one-server-is-enough",
        "S1",
        "One authoritative server's answer stands for all",
        "reconcile/verify.py",
        "    wrong = [a for a in report.answers if not right(a, wanted, exact=exact)]\n",
        "    wrong = [a for a in report.answers[:1] if not right(a, wanted, exact=exact)]\n",
        runs=(Run("mute-server"),),
    ),
    Mutant(
        "silence-is-consent",
        "S1",
        "A server that does not answer counts as one that agrees",
        "reconcile/verify.py",
        "    if answer.kind is not AnswerKind.ANSWER:\n        return False\n    if exact:",
        "    if answer.kind in (AnswerKind.TIMEOUT, AnswerKind.LAME):\n        return True\n    if exact:",
        runs=(Run("mute-server"),),
    ),
    Mutant(
        "lame-is-authoritative",
        "S1",
        "An answer without AA is believed",
        "dns/replies.py",
        "        return Statement(AnswerKind.INTERCEPTED)\n    if not authoritative(reply):\n",
        "        pass\n    if not authoritative(reply) and not reply.answer:\n",
        runs=(Run("mute-server"),),
    ),
    # ---------------------------------------------------------------- S2: only what is ours
    Mutant(
        "upsert",
        "S2",
        "Records are written with UPSERT instead of CREATE",
        "aws/parse.py",
        '        out.append({"Action": change.verb.value, "ResourceRecordSet": item})\n',
        '        verb = "UPSERT" if change.verb.value == "CREATE" else change.verb.value\n'
        '        out.append({"Action": verb, "ResourceRecordSet": item})\n',
        runs=(Run("create-instance"),),
    ),
    Mutant(
        "adopted-is-deleted",
        "S2",
        "An adopted A record goes with the object",
        "reconcile/cleanup.py",
        "    if simple is not None and not mark.adopted and not keep_record:\n",
        "    if simple is not None and not keep_record:\n",
        runs=(Run("adopt"),),
    ),
    Mutant(
        "foreign-record-replaced",
        "S2",
        "An A record of somebody else's is replaced by compare-and-swap",
        "reconcile/forward.py",
        "        if simple is None or (values == wanted and self._remembered() is not None):\n",
        "        if simple is None or self.view.mark is None:\n",
        runs=(Run("foreign-record"),),
    ),
    Mutant(
        "foreign-txt-replaced",
        "S2",
        "A TXT that is no mark is taken for a free place",
        "reconcile/forward.py",
        "        if self.view.mark is not None:\n            if mark is None:\n",
        "        if self.view.mark is not None and mark is not None:\n            if mark is None:\n",
        runs=(Run("foreign-record"),),
    ),
    Mutant(
        "foreign-ptr-joins",
        "S2",
        "An address with somebody else's PTR joins the record",
        "reconcile/joining.py",
        "    if shown is None or shown in situation.own_names() - {hostname}:\n",
        "    if shown is None or shown != hostname:\n",
        runs=(Run("foreign-ptr"),),
    ),
    Mutant(
        "never-adopts",
        "S2",
        "adoption: Never is not looked at for an A record",
        "reconcile/forward.py",
        "        if s.obj.spec.adoption is Adoption.NEVER:\n",
        "        if not values and s.obj.spec.adoption is Adoption.NEVER:\n",
        runs=(Run("adopt-never"),),
    ),
    Mutant(
        "owner-by-name",
        "S9",
        "A mark with our owner ID counts as ours whatever object it names",
        "reconcile/contest.py",
        "        if mark.uid == first:\n            return first\n",
        "        if situation.settings.mine(mark.owner):\n            return first\n",
        runs=(Run("conflict-takeover"),),
    ),
    Mutant(
        "adopted-ptr-is-reset",
        "S2",
        "A PTR that was found right is reset on deletion",
        "reconcile/deletion.py",
        "            ours = recorded.ptr_origin is PtrOrigin.MANAGED\n",
        "            ours = True\n",
        runs=(Run("adopt"),),
    ),
    Mutant(
        "mark-outside-the-swap",
        "S2",
        "An A record is changed without comparing the mark beside it",
        "reconcile/forward.py",
        "        if record_differs or self.view.mark is None or",
        "        if self.view.mark is None or",
        tests=(
            "tests/sim/test_sim_regressions.py::"
            "test_an_a_record_is_not_changed_when_its_mark_changed_since_it_was_read",
        ),
    ),
    # ---------------------------------------------------------------- S3: no gap in forward-confirmed reverse DNS
    Mutant(
        "no-wait-for-receivers",
        "S3",
        "The old name goes while receivers may still hold the old PTR",
        "reconcile/cleanup.py",
        "            if s.now < due:\n",
        "            if s.now < due - s.settings.ptr_ttl_seconds:\n",
        runs=(Run("rename"),),
    ),
    Mutant(
        "wait-from-the-start",
        "S3",
        "The wait for receivers counts from the start of the process",
        "reconcile/reverse.py",
        "        (situation.memory.settled.get((a, situation.obj.spec.hostname), situation.now) for a in by_eip),\n",
        "        (situation.memory.first_seen for a in by_eip),\n",
        runs=(Run("rename"),),
    ),
    Mutant(
        "leaver-holds-nothing",
        "S3",
        "Under Observed an object that is being deleted holds nothing any more, although it will reset its PTR",
        "reconcile/claims.py",
        "            leaving=deleting\n",
        "            leaving=not deleting\n",
        runs=(Run("observed-successor"),),
    ),
    Mutant(
        "cached-name-forgotten",
        "S3",
        "After a rename and a rename back, an address leaves the name that receivers may still hold",
        "reconcile/forward.py",
        "            elif cached := self._cached_for(eip):\n",
        "            elif (cached := self._cached_for(eip)) and not cached:\n",
        tests=(
            "tests/reconcile/test_plan_claims.py::test_a_name_that_receivers_may_hold_keeps_its_old_address",
        ),
    ),
    Mutant(
        "reset-on-an-old-reading",
        "S2",
        "A PTR is reset that somebody else may have taken over meanwhile",
        "reconcile/reverse.py",
        "    return draft.have(fact, floor, NeedPtr(eip.region, eip.allocation_id, floor))\n",
        "    return True\n",
        tests=(
            "tests/sim/test_sim_regressions.py"
            "::test_a_ptr_that_became_a_strangers_is_not_reset_on_an_old_reading",
        ),
    ),
    Mutant(
        "stray-ptr-forgotten",
        "S8",
        "The status lets go of an address that left spec and record while AWS is still setting its PTR",
        "reconcile/plan.py",
        "        ours = eip is not None and cleanup.points_here(s, eip)\n",
        "        ours = eip is not None and eip.ptr.name in s.own_names()\n",
        tests=(
            "tests/sim/test_sim_regressions.py"
            "::test_the_ptr_of_an_address_that_left_spec_and_record_at_once_is_reset",
        ),
    ),
    # ---------------------------------------------------------------- S4: a change of addresses
    Mutant(
        "no-union",
        "S4",
        "The record holds the new addresses only, from the first change on",
        "reconcile/forward.py",
        "        wanted = final | self._leaving(values, final, mine)\n",
        "        wanted = set(final)\n",
        runs=(Run("eip-swap"),),
    ),
    Mutant(
        "old-ptr-first",
        "S4",
        "The old address's PTR is reset before the new one has its own",
        "reconcile/reverse.py",
        "    if settled:\n        _reset_leaving(situation, draft, targets, forward)\n",
        "    _reset_leaving(situation, draft, targets, forward)\n",
        runs=(Run("eip-swap"),),
    ),
    # ---------------------------------------------------------------- S5: the order of a deletion
    Mutant(
        "record-before-ptr",
        "S5",
        "On deletion the records go first",
        "reconcile/deletion.py",
        "    ptrs = _ptrs(situation, draft)\n    if ptrs is not None:\n        return ptrs\n"
        "    return _records(situation, draft)\n",
        "    records = _records(situation, draft)\n    if records is not None:\n        return records\n"
        "    return _ptrs(situation, draft)\n",
        runs=(Run("delete"),),
    ),
    Mutant(
        "reset-is-not-gone",
        "S5",
        "A reset that AWS accepted counts as a PTR that is gone",
        "reconcile/deletion.py",
        "        if not ours or name not in (eip.ptr.name, eip.ptr.update):\n",
        "        if not ours or eip.ptr.pending or name not in (eip.ptr.name, eip.ptr.update):\n",
        runs=(Run("delete"),),
    ),
    # ---------------------------------------------------------------- S6: the generation observed
    Mutant(
        "stale-generation",
        "S6",
        "observedGeneration is that of the status before",
        "reconcile/summarise.py",
        "        observed_generation=generation,\n",
        "        observed_generation=max(obj.status.observed_generation, 1),\n",
        runs=(Run("rename"),),
    ),
    Mutant(
        "conditions-of-before",
        "S6",
        "Conditions carry the generation of the status before",
        "reconcile/summarise.py",
        "            Condition(kind, f.status, f.reason, f.message, generation, _since(obj, kind, f, now))\n",
        "            Condition(kind, f.status, f.reason, f.message, max(obj.status.observed_generation, 1), "
        "_since(obj, kind, f, now))\n",
        runs=(Run("rename"),),
    ),
    # ---------------------------------------------------------------- S7: what Ready says was read
    Mutant(
        "ready-without-ptr",
        "S7",
        "Ready does not wait for the PTRs",
        "reconcile/summarise.py",
        "        if finding.ok:\n            continue\n        if kind == RESOLVED",
        "        if finding.ok or kind in (REVERSE_READY, RESOLVED):\n            continue\n"
        "        if kind == RESOLVED",
        runs=(Run("create-instance"),),
    ),
    Mutant(
        "time-without-flip",
        "S7",
        "lastTransitionTime moves with every write",
        "reconcile/summarise.py",
        "    if previous is not None and previous.status == finding.status:\n"
        "        return previous.last_transition_time\n",
        "",
        runs=(Run("create-instance"),),
    ),
    Mutant(
        "old-answers-count",
        "S7",
        "What the authorities said before the last write counts as proof of it",
        "reconcile/proof.py",
        "    report = reading.value if reading.fresh(floor) else None\n",
        "    report = reading.value\n",
        tests=("tests/reconcile/test_plan_create.py::test_answers_heard_before_the_write_prove_nothing",),
    ),
)
