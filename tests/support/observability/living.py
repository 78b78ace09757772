"""An operator that has lived through something, and the page that it serves."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.operator import OperatorProcess
from tests.support.observability.exposition import Exposition
from tests.support.stories.story import Meg, Story


@dataclass(frozen=True, slots=True)
class Lived:
    """What the operator has lived through, and the page that it served afterwards."""

    story: Story
    ready: Meg
    stuck: Meg
    page: Exposition


def scrape(story: Story, operator: OperatorProcess | None = None) -> Exposition:
    """The page of the story's operator, or of another one."""
    status, text = (operator or story.operator).get("/metrics")
    assert status == 200
    return Exposition(text)
