"""`rsclip classes`: the class sets that come with rsclip, and what is in one."""

import json
from typing import Any

import click

from rsclip_cli.exit_codes import guard
from rsclip_cli.table import print_table

__all__ = ["command"]


@click.command("classes")
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--verbose", is_flag=True, help="Show details and, on an error, the traceback.")
def command(name: str | None, as_json: bool, verbose: bool) -> None:
    """List the bundled class sets, or show the classes of NAME.

    NAME is a bundled set (loveda), one with the words that suit CLIP better (loveda:tuned), or a
    class file. `--classes set:NAME` of the other commands uses it.
    """
    with guard(verbose=verbose):
        if name is None:
            _list(as_json)
        else:
            _show(name, as_json)


def _list(as_json: bool) -> None:
    from rsclip.words.class_sets import describe_sets

    sets = [item.to_dict() for item in describe_sets()]
    if as_json:
        click.echo(json.dumps(sets, indent=2, ensure_ascii=False))
        return
    print_table(
        ("set", "classes", "tuned", "what it is"),
        [
            (
                item["name"],
                str(item["classes"]),
                "yes" if item["tuned"] else "",
                item["description"],
            )
            for item in sets
        ],
    )


def _show(name: str, as_json: bool) -> None:
    from rsclip.words.legend import load_set_or_file

    legend = load_set_or_file(name)
    facts = legend.to_dict()
    if as_json:
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    for key in ("name", "description", "source", "licence"):
        if key in facts:
            click.echo(f"{key + ':':<14}{facts[key]}")
    coded = any("code" in item for item in facts["classes"])
    header = ("value", *(("code",) if coded else ()), "colour", "name", "words")
    print_table(header, [_row(item, coded) for item in facts["classes"]])


def _row(item: dict[str, Any], coded: bool) -> tuple[str, ...]:
    texts = [" | ".join(item["words"]), *item["descriptions"]]
    code = (str(item.get("code", "")),) if coded else ()
    return (str(item["value"]), *code, item["colour"], item["name"], "; ".join(texts))
