"""Output for people: a table with colours on a terminal, aligned plain text when it is piped.

Everything that is printed was cleaned before: no text of DNS, AWS or an object reaches the terminal with a control
character.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TextIO

from mailegress.api.text import clean_text

CELL = 200
"""Characters of one cell."""

LINE = 2000
"""Characters of one sentence."""

_STYLES = {"good": "green", "bad": "bold red", "unsure": "yellow", "head": "bold"}


@dataclass(frozen=True, slots=True)
class Text:
    """One line; ``tone`` is ``good``, ``bad``, ``unsure``, ``head`` or empty."""

    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    tone: str = ""


Row = Sequence[Cell | str]


@dataclass(frozen=True, slots=True)
class Table:
    heads: Sequence[str]
    rows: Sequence[Row] = field(default_factory=tuple)


Block = Text | Table


def show(blocks: Iterable[Block], out: TextIO | None = None) -> None:
    """Print blocks, as the output is a terminal or not."""
    stream = out or sys.stdout
    if stream.isatty():
        _rich(blocks, stream)
    else:
        for block in blocks:
            stream.write(plain(block))


def plain(block: Block) -> str:
    """A block as text without escape sequences. Columns are separated by three spaces at least."""
    if isinstance(block, Text):
        return clean_line(block.text) + "\n"
    rows = [[head.upper() for head in block.heads], *([_cell(c).text for c in row] for row in block.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(block.heads))]
    lines = ("   ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows)
    return "".join(line.rstrip() + "\n" for line in lines)


def clean_line(text: str) -> str:
    """Indentation is kept; all else is one printable line."""
    indent = len(text) - len(text.lstrip(" "))
    return " " * indent + clean_text(text, LINE) if text.strip() else ""


def _cell(cell: Cell | str) -> Cell:
    found = Cell(cell) if isinstance(cell, str) else cell
    return Cell(clean_text(found.text, CELL), found.tone)


def _rich(blocks: Iterable[Block], stream: TextIO) -> None:
    # Imported late: a pipe, --help and -o json do not wait for it.
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text as RichText

    console = Console(file=stream, highlight=False, emoji=False, markup=False)
    for block in blocks:
        if isinstance(block, Text):
            console.print(RichText(clean_line(block.text), style=_STYLES.get(block.tone, "")))
            continue
        table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for head in block.heads:
            table.add_column(head, overflow="fold")
        for row in block.rows:
            cells = [_cell(c) for c in row]
            table.add_row(*(RichText(c.text, style=_STYLES.get(c.tone, "")) for c in cells))
        console.print(table)
