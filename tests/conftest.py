"""What all tests share: the checks of the whole suite (``--stories-manifest``, ``--rights``)."""

from __future__ import annotations

pytest_plugins = ["scripts.stories_check", "scripts.rights_check"]
