"""The selectors by tags of all live objects, found by the tags of an Elastic IP.

An address with 50 tags fits more sets of tags than anybody can list. So each selector is filed under one of its tags,
the one under which the fewest others are filed, and only the selectors under the tags of an address are compared with
it.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailegress.api.tags import Tags, has_tags
from mailegress.api.types import SelectorKind
from mailegress.model.aws import Eip

TagSelector = tuple[str, Tags, str]
"""Kind, tags, and the region that the spec names; empty = none."""
_Place = tuple[str, str, str]
"""Kind, key and value."""

_TAGS, _NAT_TAGS = SelectorKind.TAGS.value, SelectorKind.NAT_GATEWAY_TAGS.value


class TagSelectors:
    """``default_region``: where a selector without a region looks; empty = everywhere."""

    def __init__(self, default_region: str) -> None:
        self._default_region = default_region
        self._uses: dict[TagSelector, int] = {}
        self._place_of: dict[TagSelector, _Place] = {}
        self._at: dict[_Place, dict[TagSelector, None]] = {}

    def add(self, selector: TagSelector) -> None:
        """An object has this selector."""
        self._uses[selector] = self._uses.get(selector, 0) + 1
        if self._uses[selector] == 1:
            kind, tags, _ = selector
            places = [(kind, key, value) for key, value in tags]
            place = min(places, key=lambda each: len(self._at.get(each, ())))
            self._place_of[selector] = place
            self._at.setdefault(place, {})[selector] = None

    def remove(self, selector: TagSelector) -> None:
        """One object less has it."""
        self._uses[selector] -= 1
        if not self._uses[selector]:
            del self._uses[selector]
            place = self._place_of.pop(selector)
            del self._at[place][selector]
            if not self._at[place]:
                del self._at[place]

    def fits(self, selector: TagSelector, eip: Eip) -> bool:
        """Does the selector mean this EIP?"""
        kind, tags, region = selector
        held = eip.tags if kind == _TAGS else eip.nat_gateway_tags
        return (region or self._default_region or eip.region) == eip.region and has_tags(held, tags)

    def matching(self, eip: Eip) -> Iterator[TagSelector]:
        """Every selector of a live object that means this EIP."""
        if not self._uses:
            return
        for kind, held in ((_TAGS, eip.tags), (_NAT_TAGS, eip.nat_gateway_tags)):
            for key, value in held:
                for selector in self._at.get((kind, key, value), ()):
                    if self.fits(selector, eip):
                        yield selector
