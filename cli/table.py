"""Columns of text, as commands print them."""

import shutil
import textwrap
from collections.abc import Sequence

import click

__all__ = ["print_table", "show_time"]

_GAP = "  "
_LEAST = 24


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a header; the last column is wrapped at the terminal's width."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header) - 1)]
    indent = sum(width + len(_GAP) for width in widths)
    room = max(shutil.get_terminal_size((100, 24)).columns - indent, _LEAST)
    for row in (header, *rows):
        start = "".join(cell.ljust(width) + _GAP for cell, width in zip(row, widths, strict=False))
        first, *more = textwrap.wrap(row[-1], room) or [""]
        click.echo((start + first).rstrip())
        for line in more:
            click.echo(" " * indent + line)


def show_time(seconds: float) -> str:
    """Return a time in the unit that suits it: "90 s", "12 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 6000 else f"{seconds / 3600:,.1f} h"
