"""An operator that has lived through something, and the page that it serves."""

from __future__ import annotations

from dataclasses import dataclass

from exposition import Exposition
from kit import Meg, Story

from sandbox.operator import OperatorProcess


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
