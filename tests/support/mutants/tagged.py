"""Bugs in the selection of addresses by tags."""

from __future__ import annotations

from tests.support.mutants.mutant import Mutant, Run

_PLANS = "tests/reconcile/test_tag_selectors.py::"

TAGGED = (
    Mutant(
        "tags-from-an-old-list",
        "E6",
        "A list from before the edit decides who has the tags",
        "reconcile/rules/targets.py",
        "        if selector.by_tags and not fact.fresh(observed.memory.edits.tags_floor):\n",
        "        if False:\n",
        runs=(Run("ids-to-tags"),),
    ),
    Mutant(
        "ptr-leaves-too-early",
        "E6",
        "A PTR is reset before it is known which addresses are wanted",
        "reconcile/rules/ptr.py",
        "    if not forward.mine or not targets.known:\n        return\n",
        "    if not forward.mine:\n        return\n",
        runs=(Run("ids-to-tags"),),
    ),
    Mutant(
        "tag-removed-is-held",
        "E1",
        "An address that loses the tag is held although others have it",
        "reconcile/rules/targets.py",
        "            entries.extend(Entry(str(selector), region, eip) for eip in found.eips)\n"
        "            if found.reason is not None:\n",
        "            entries.extend(Entry(str(selector), region, eip) for eip in found.eips)\n"
        "            entries.extend(e for e in _held(observed, selector, fact.value, found) if e.eip is not None)\n"
        "            if found.reason is not None:\n",
        runs=(Run("tag-removed"), Run("tag-moved")),
    ),
    Mutant(
        "nothing-is-held",
        "E1",
        "Addresses are released when the tag is removed from all of them",
        "reconcile/rules/targets.py",
        "    return [*missing, *held] or [Entry(label, view.region, reason=reason, detail=detail)]\n",
        "    return missing or [Entry(label, view.region, reason=reason, detail=detail)]\n",
        tests=(
            f"{_PLANS}test_an_address_that_only_the_tag_named_is_held_beside_one_that_is_named_by_its_id",
        ),
    ),
    Mutant(
        "tags-are-listed-anew",
        "E3",
        "Who selects by tags has the region listed again and again",
        "reconcile/rules/targets.py",
        "        if selector.by_tags and not fact.fresh(observed.memory.edits.tags_floor):\n",
        "        if selector.by_tags and not fact.fresh(observed.now - 300):\n"
        "            builder.need(NeedRegion(region, observed.now - 300))\n"
        "        if selector.by_tags and not fact.fresh(observed.memory.edits.tags_floor):\n",
        tests=("tests/sim/test_sim_selectors.py::test_tags_cost_no_request",),
    ),
    Mutant(
        "one-tag-is-enough",
        "E1",
        "An address needs only one of the tags",
        "api/tags.py",
        "    return all(pair in tags for pair in wanted)\n",
        "    return any(pair in tags for pair in wanted)\n",
        tests=(f"{_PLANS}test_all_tags_must_match_in_the_region_of_the_entry",),
    ),
    Mutant(
        "tags-claim-everywhere",
        "E4",
        "Tags without a region claim addresses in every region",
        "reconcile/tag_selectors.py",
        "        return (region or self._default_region or eip.region) == eip.region and has_tags(held, tags)\n",
        "        return has_tags(held, tags)\n",
        tests=(f"{_PLANS}test_tags_without_a_region_mean_the_default_region_only",),
    ),
    Mutant(
        "ids-claim-everywhere",
        "E4",
        "An ID without a region claims the address in every region",
        "reconcile/claim_index.py",
        "    return tuple((s.kind.value, s.value, s.region or default_region) for s in selectors if not s.by_tags)\n",
        '    return tuple((s.kind.value, s.value, s.region or "") for s in selectors if not s.by_tags)\n',
        tests=(
            "tests/reconcile/test_lines.py::test_an_id_without_a_region_is_in_line_in_the_default_region_only",
        ),
    ),
    Mutant(
        "tags-do-not-claim",
        "S9",
        "Who selects an address by tags is not in line for it",
        "reconcile/claim_index.py",
        "        return [*id_selectors_of(eip), *self._tagged.matching(eip)]\n",
        "        return [*id_selectors_of(eip)]\n",
        tests=(f"{_PLANS}test_the_oldest_that_means_an_address_gets_it_however_it_names_it",),
    ),
    Mutant(
        "tags-unheard",
        "E7",
        "A tag that moves wakes nobody",
        "engine/refresher.py",
        "                if grown or (retagged and item.by_tags) or touched:\n",
        "                if grown or touched:\n",
        tests=("tests/engine/test_rounds.py::test_a_tag_that_moves_wakes_who_selects_by_tags",),
    ),
    Mutant(
        "too-many-are-all-wanted",
        "S12",
        "A tag on thousands of addresses makes an object want them all",
        "reconcile/rules/targets.py",
        "    wanted = {key: eip for key, eip in targets.wanted.items() if key in some}\n",
        "    wanted = targets.wanted\n",
        tests=(f"{_PLANS}test_a_tag_on_too_many_addresses_is_refused_with_the_numbers",),
    ),
)
