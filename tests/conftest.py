"""What all tests share: the check of the stories' list (``--stories-manifest``)."""

from __future__ import annotations

pytest_plugins = ["scripts.stories_check"]
