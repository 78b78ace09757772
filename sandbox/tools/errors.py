"""What can go wrong on the way to a tool."""

from __future__ import annotations


class ToolError(Exception):
    """A tool cannot be had here. The message is complete: what was tried, what came of it, what to do."""
