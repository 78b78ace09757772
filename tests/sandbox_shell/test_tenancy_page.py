"""The commands of docs/how-to/tenancy.md print in the sandbox what the page shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.support.shell_commands import Commands

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "tenancy.md").read_text()
SESSIONS = dict(re.findall(r"<!-- session: (\w+) -->\n(.*?)<!-- end of session -->", PAGE, re.DOTALL))
FILES = dict(re.findall(r"^```yaml\n# ([\w-]+\.yaml)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
MARK = "=== block"


@pytest.mark.parametrize("mode", ["Audit", "Enforce"])
def test_the_commands_print_what_the_page_shows(commands: Commands, tmp_path: Path, mode: str) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    blocks = re.findall(r"^```(sh|text)\n(.*?)^```$", SESSIONS[mode], re.MULTILINE | re.DOTALL)
    script = [f"cd {shlex.quote(str(tmp_path))}", "set -e"]
    for language, text in blocks:
        if language == "sh":
            script += [f"echo '{MARK}'", text]
    done = commands.run("exec", "\n".join(script), SANDBOX_POLICY=mode)
    assert done.returncode == 0, done.stdout + done.stderr
    printed = [part.split() for part in done.stdout.split(f"{MARK}\n")[1:]]
    shown = 0
    number = -1
    for language, text in blocks:
        if language == "sh":
            number += 1
        else:
            shown += 1
            assert printed[number] == text.split()
    assert shown


def test_the_page_has_a_session_for_each_mode_that_reads_policies() -> None:
    assert set(SESSIONS) == {"Audit", "Enforce"}
    assert {"policy-team-a.yaml", "outbound.yaml", "website.yaml"} <= set(FILES)
