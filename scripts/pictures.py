"""The pictures of the documentation, in ``docs/pictures``: ``pictures.py [bench | session | check | screen]``, or all.

``bench`` draws ``bench/results.json`` and writes the table of ``docs/performance.md``. ``session`` runs kubectl in the
sandbox and needs the control plane. ``check`` writes the output of ``mailegress check`` in the sandbox into pages, and
``screen`` draws what a terminal shows of it.
The SVG files load nothing from elsewhere and can be read on a light and on a dark page.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results.json"
PICTURES = ROOT / "docs" / "pictures"
PAGE = ROOT / "docs" / "performance.md"

# ---------------------------------------------------------------- the benchmark

FIGURES = {
    "calls": "AWS calls",
    "change_calls": "change batches",
    "insync_s": "seconds until all are INSYNC",
    "ready_s": "seconds until all are Ready",
    "restart_s": "seconds until nothing is due",
    "ec2_calls_h": "EC2 calls an hour",
    "route53_calls_h": "Route 53 calls an hour",
}
SCENARIOS = {
    "created_at_start": "created before the start",
    "created_while_running": "created while it runs",
    "one_bad": "one name is refused",
    "throttled": "3 of 10 calls throttled",
    "restart": "restart",
    "idle": "idle",
    "one_edit": "single edits",
    "policy_edit_without_effect": "a policy is edited",
    "policy_edit_for_all": "a policy of all is edited",
}
_WIDTH, _LEFT, _RIGHT, _ROW, _TOP = 800, 392, 56, 24, 64
_BAR, _OVER, _INK = "#26a69a", "#ef8354", "#5f6b7a"
_HALO = 'paint-order="stroke" stroke="#ffffff" stroke-width="3"'
_LONGEST = 2.0
"""Ratio at the right edge; a longer bar ends there, with its number beside it."""

Row = tuple[str, int, str, float, float]
"""Scenario, number of MailEgresses, figure, least possible value, ratio of the measured one to it."""


def results() -> list[dict[str, Any]]:
    """The measured scenarios, in the order of ``SCENARIOS`` and by size."""
    order = list(SCENARIOS)
    rows: list[dict[str, Any]] = json.loads(RESULTS.read_text())
    return sorted(rows, key=lambda row: (order.index(row["scenario"]), row["n"]))


def ratios(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    return [
        (row["scenario"], row["n"], figure, row["floor"][figure], ratio)
        for row in rows
        for figure, ratio in row["ratio"].items()
    ]


def floors_picture() -> str:
    """Each measured figure over the least that AWS's quotas allow."""
    rows = ratios(results())
    scale = (_WIDTH - _LEFT - _RIGHT) / _LONGEST
    bars = []
    for place, (scenario, count, figure, _, ratio) in enumerate(rows):
        y = _TOP + place * _ROW
        length = min(ratio, _LONGEST) * scale
        bars += [
            _text(_LEFT - 8, y + 15, f"{SCENARIOS[scenario]}, {count:,}: {FIGURES[figure]}", "end"),
            f'<rect x="{_LEFT}" y="{y + 3}" width="{length:.1f}" height="16" rx="2" '
            f'fill="{_BAR if ratio <= _LONGEST else _OVER}"/>',
            _text(_LEFT + length + 6, y + 15, f"{ratio:.2f}"),
        ]
    bottom = _TOP + len(rows) * _ROW
    one = _LEFT + scale
    line = f'<line x1="{one:.1f}" x2="{one:.1f}" y1="{_TOP - 6}" y2="{bottom}" stroke="{_INK}" stroke-dasharray="4 3"/>'
    head = _text(16, 24, "Measured, as a multiple of the minimum that the AWS quotas allow", weight=True)
    mark = _text(one, _TOP - 12, "1 = minimum", "middle")
    return _svg(bottom + 12, [head, mark, line, *bars], "Benchmark: measured values over their minimum")


def memory_picture() -> str:
    """The highest resident memory in each scenario."""
    rows = results()
    most = max(row["rss_mb"] for row in rows)
    scale = (_WIDTH - _LEFT - _RIGHT - 20) / most
    bars = []
    for place, row in enumerate(rows):
        y = _TOP - 24 + place * _ROW
        length = row["rss_mb"] * scale
        bars += [
            _text(_LEFT - 8, y + 15, f"{SCENARIOS[row['scenario']]}, {row['n']:,}", "end"),
            f'<rect x="{_LEFT}" y="{y + 3}" width="{length:.1f}" height="16" rx="2" fill="{_BAR}"/>',
            _text(_LEFT + length + 6, y + 15, f"{row['rss_mb']:.0f} MB"),
        ]
    head = _text(16, 24, "Memory of the operator, by scenario and number of MailEgresses", weight=True)
    return _svg(_TOP - 24 + len(rows) * _ROW + 12, [head, *bars], "Benchmark: memory")


def table() -> str:
    """The same figures as a Markdown table."""
    lines = ["| Scenario | MailEgresses | Figure | Minimum | Measured | Ratio |", "|---|--:|---|--:|--:|--:|"]
    lines += [
        f"| {SCENARIOS[scenario]} | {count:,} | {FIGURES[figure]} | {least:g} | {least * ratio:.4g} | {ratio:.2f} |"
        for scenario, count, figure, least, ratio in ratios(results())
    ]
    return "\n".join(lines)


def with_table(page: str) -> str:
    """A page whose generated table is up to date."""
    opened, closed = "<!-- generated: benchmark -->\n", "<!-- end of benchmark -->"
    before, found, rest = page.partition(opened)
    _, also, after = rest.partition(closed)
    if not (found and also):
        raise ValueError(f"{PAGE.relative_to(ROOT)} has no place for the table: {opened.strip()} {closed}")
    return f"{before}{opened}\n{table()}\n\n{closed}{after}"


def _text(x: float, y: float, text: str, anchor: str = "start", *, weight: bool = False) -> str:
    bold = ' font-weight="bold" font-size="14"' if weight else ""
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}"{bold} {_HALO}>{escape(text)}</text>'


def _svg(height: int, parts: Sequence[str], title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="{_INK}">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="{_WIDTH}" height="{height}" rx="6" fill="#ffffff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


BENCH = {"bench-minimum.svg": floors_picture, "bench-memory.svg": memory_picture}

# ---------------------------------------------------------------- the session

COMMANDS = (
    "kubectl apply -f deploy/samples/nat-gateway.yaml",
    "kubectl wait meg/nat-gateway --for=condition=Ready --timeout=15m",
    "kubectl get meg",
    "kubectl describe meg nat-gateway",
)
_WIDE = 100
_SCREEN_WIDE = 110
_FONT_FACE = re.compile(r"@font-face \{.*?\}", re.DOTALL)


def shortened(described: str) -> str:
    """Of ``kubectl describe``: the first address and Ready; what is left out shows as […]."""
    lines = described.splitlines()
    status = lines.index("Status:")
    region = next(at for at, line in enumerate(lines) if line.startswith("    Region:"))
    conditions = lines.index("  Conditions:")
    ready = next(at for at in range(conditions, len(lines)) if lines[at].split() == ["Type:", "Ready"])
    return "\n".join(["[…]", *lines[status : region + 1], "[…]", *lines[conditions : ready + 1], "[…]"])


def session_text() -> str:
    """What the commands print in the sandbox, ten times as fast as on AWS."""
    shown = " && ".join(f"printf '\\n$ %s\\n' {json.dumps(each)} && {each}" for each in COMMANDS)
    run = subprocess.run(
        [sys.executable, "-m", "sandbox", "exec", shown],
        cwd=ROOT, env={**os.environ, "SANDBOX_SCALE": "0.1", "PYTHONPATH": f"{ROOT}:{ROOT / 'operator'}"},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    parts = re.split(r"^\$ ", run.stdout, flags=re.MULTILINE)[1:]
    told = []
    for part in parts:
        command, _, output = part.strip().partition("\n")
        told.append(f"$ {command}\n{shortened(output) if 'describe' in command else output}")
    return "\n\n".join(told)


CHECK = "mailegress check mta.example.com --sender-domain example.com"
MAIL_RECORDS = {
    "mta.example.com": "v=spf1 a -all",
    "example.com": "v=spf1 a:mta.example.com ~all",
    "_dmarc.example.com": "v=DMARC1; p=none",
}
SHOWN_ON = (ROOT / "README.md", ROOT / "docs" / "how-to" / "mail-refused.md")


def check_text() -> str:
    """What the command prints in the sandbox's DNS for an address that is in order."""
    return f"$ {CHECK}\n{_checked(_piped).strip()}"


def screen_text() -> str:
    """The same on a terminal, with its colours."""
    return _checked(_on_terminal).strip()


def _checked(run: Callable[[Sequence[str], Mapping[str, str]], str]) -> str:
    # The other pictures are drawn without the sandbox.
    from sandbox.aws.model import Settings
    from sandbox.cloud import REGION, Cloud

    with Cloud(Settings.for_tests(1 / 60), scale=1 / 60) as cloud:
        zone, eips = cloud.aws.create_zone("example.com"), cloud.aws.allocate(REGION, 1)
        values = [{"Value": eip.public_ip} for eip in eips]
        record = {"Name": "mta.example.com", "Type": "A", "TTL": 300, "ResourceRecords": values}
        texts = [
            {"Name": name, "Type": "TXT", "TTL": 300, "ResourceRecords": [{"Value": f'"{text}"'}]}
            for name, text in MAIL_RECORDS.items()
        ]
        cloud.aws.put_records(
            zone.id, [{"Action": "CREATE", "ResourceRecordSet": each} for each in (record, *texts)]
        )
        for eip in eips:
            cloud.aws.force_ptr(eip.public_ip, "mta.example.com")
        cloud.dns("delegations")
        program, *arguments = CHECK.split()
        seen = {k: v for k, v in cloud.operator_environ().items() if k.startswith("MAILEGRESS_DNS_")}
        return run([str(Path(sys.executable).parent / program), *arguments], {**os.environ, **seen})


def _piped(command: Sequence[str], environ: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, env=dict(environ), stdout=subprocess.PIPE, text=True, check=True, timeout=100
    )
    return done.stdout


def _on_terminal(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """What the command writes to a terminal, escape sequences included."""
    reading, writing = pty.openpty()
    shown = {**environ, "TERM": "xterm-256color", "COLUMNS": str(_SCREEN_WIDE)}
    shown.pop("NO_COLOR", None)
    process = subprocess.Popen(command, env=shown, stdin=subprocess.DEVNULL, stdout=writing)
    os.close(writing)
    found = b""
    with contextlib.suppress(OSError):  # Linux reports the end of a terminal as an error
        while piece := os.read(reading, 65536):
            found += piece
    os.close(reading)
    if process.wait(100):
        raise subprocess.CalledProcessError(process.returncode, command)
    return found.decode().replace("\r\n", "\n")


def screen_picture(text: str) -> str:
    """A terminal with this text and its colours."""
    console = Console(record=True, width=_SCREEN_WIDE, file=StringIO(), highlight=False)
    console.print(Text(f"$ {CHECK}", style="bold"))
    console.print(Text.from_ansi(text))
    return _FONT_FACE.sub("", console.export_svg(title="mailegress check", theme=MONOKAI))


def with_check(page: str, text: str) -> str:
    """A page that shows the output."""
    opened, closed = "<!-- shown: check -->\n", "<!-- end of shown check -->"
    before, found, rest = page.partition(opened)
    _, also, after = rest.partition(closed)
    if not (found and also):
        raise ValueError(f"a page has no place for the output: {opened.strip()} {closed}")
    return f"{before}{opened}\n```console\n{text}\n```\n\n{closed}{after}"


def session_picture(text: str) -> str:
    """A terminal with this text."""
    console = Console(record=True, width=_WIDE, file=StringIO(), highlight=False)
    for line in text.splitlines():
        cut = line if len(line) <= _WIDE else line[: _WIDE - 1] + "…"
        console.print(Text(cut, style="bold" if line.startswith("$ ") else ""), no_wrap=True)
    return _FONT_FACE.sub("", console.export_svg(title="make sandbox", theme=MONOKAI))


def main(arguments: Sequence[str]) -> int:
    wanted = set(arguments) or {"bench", "session", "check", "screen"}
    if not wanted <= {"bench", "session", "check", "screen"}:
        print(__doc__, file=sys.stderr)
        return 2
    PICTURES.mkdir(exist_ok=True)
    if "bench" in wanted:
        for name, draw in BENCH.items():
            (PICTURES / name).write_text(draw())
        PAGE.write_text(with_table(PAGE.read_text()))
    if "session" in wanted:
        (PICTURES / "session.svg").write_text(session_picture(session_text()))
    if "screen" in wanted:
        (PICTURES / "check.svg").write_text(screen_picture(screen_text()))
    if "check" in wanted:
        text = check_text()
        for page in SHOWN_ON:
            page.write_text(with_check(page.read_text(), text))
    print(f"pictures: {', '.join(sorted(path.name for path in PICTURES.iterdir()))}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
