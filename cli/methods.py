"""`rsclip methods`: the dense methods and their options."""

import json
import textwrap

import click

from rsclip_cli.exit_codes import guard

__all__ = ["command"]

_WIDTH = 100


@click.command("methods")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def command(names: tuple[str, ...], as_json: bool) -> None:
    """List the dense methods: what each does, its paper, its options with their defaults.

    With NAMEs, explain the options of these. Choose a method with --method NAME and change its
    options with --method-option NAME=VALUE.
    """
    with guard():
        from rsclip.methods import describe_methods

        methods = describe_methods(names)
        if as_json:
            click.echo(json.dumps(methods, indent=2, ensure_ascii=False))
            return
        for number, method in enumerate(methods):
            if number:
                click.echo()
            click.echo(f"{method['name']}: {method['summary']}")
            click.echo(_indented(method["paper"]))
            written = [f"{item['name']}={item['default']}" for item in method["options"]]
            if not names:
                click.echo(_indented(" ".join(written)))
                continue
            for head, item in zip(written, method["options"], strict=True):
                click.echo(f"    {head}")
                click.echo(_indented(f"{item['help']} Takes {item['takes']}.", 8))


def _indented(text: str, by: int = 4) -> str:
    margin = " " * by
    return textwrap.fill(
        text, _WIDTH, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
    )
