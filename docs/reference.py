"""Write docs/reference.md from the commands' own help: `make docs`. A test holds the two equal."""

from collections.abc import Iterator
from pathlib import Path

import click
from click.testing import CliRunner

from rsclip_cli.main import cli

__all__ = ["reference"]


def reference() -> str:
    """Return the whole reference as Markdown."""
    parts = [
        "# Command reference",
        "Generated from `--help` by `make docs`; do not edit.",
        _section([]),
        *(_section(words) for words in _commands()),
    ]
    return "\n\n".join(parts) + "\n"


def _commands() -> Iterator[list[str]]:
    """Yield the words of every command, those of groups below them."""
    for name in cli.list_commands(None):
        yield [name]
        command = cli.get_command(None, name)
        if isinstance(command, click.Group):
            yield from ([name, below] for below in sorted(command.commands))


def _section(words: list[str]) -> str:
    # A fixed width keeps the page the same on every terminal.
    result = CliRunner().invoke(
        cli, [*words, "--help"], prog_name="rsclip", terminal_width=92, max_content_width=92
    )
    return f"## {' '.join(['rsclip', *words])}\n\n```text\n{result.output.rstrip()}\n```"


if __name__ == "__main__":
    Path(__file__).with_suffix(".md").write_text(reference(), encoding="utf-8")
