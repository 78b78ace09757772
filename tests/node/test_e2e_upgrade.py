"""The release that the end-to-end upgrade starts from."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sandbox.e2e.former import Former, build_former
from sandbox.image import ImageError, version


def silent(line: str) -> None: ...


def test_settings_that_the_former_release_does_not_have_are_left_out(tmp_path: Path) -> None:
    former = Former(tmp_path)
    former.chart.mkdir(parents=True)
    known = {"settings": {"properties": {"logLevel": {}}}, "aws": {}}
    (former.chart / "values.schema.json").write_text(json.dumps({"properties": known}))
    values = {"settings": {"logLevel": "debug", "new": 1}, "aws": {"region": "eu-west-1"}, "policy": {}}
    assert former.understood(values) == {"settings": {"logLevel": "debug"}, "aws": {"region": "eu-west-1"}}


def test_a_commit_that_the_clone_does_not_have_is_named_with_the_remedy() -> None:
    with pytest.raises(
        ImageError, match=r"no commit v9\.9\.9: run `git fetch --tags --unshallow`, or set FROM"
    ):
        build_former(os.environ, silent, "v9.9.9")


def test_the_version_of_the_working_tree_is_no_former_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.e2e.former.SOURCES", tmp_path)
    with pytest.raises(ImageError, match=f"HEAD has the version of the working tree, {version()};"):
        build_former(os.environ, silent, "HEAD")
