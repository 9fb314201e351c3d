"""`rsclip prompts`: what a model makes of class words."""

import json
from typing import TYPE_CHECKING, Any

import click

from rsclip_cli.exit_codes import guard
from rsclip_cli.options import config_flags
from rsclip_cli.table import print_table

if TYPE_CHECKING:
    from rsclip.study.prompts import PromptReport

__all__ = ["command"]

_SHOWN_TEMPLATES = 3
_SHOWN_PAIRS = 20
# More words than this that a small model has not learned are one line.
_SHOWN = 5
# A wider matrix does not fit a terminal; --png and --json hold any.
_WIDEST = 12
# A class without a name is called by its word, which may be a paragraph.
_LONGEST_NAME = 24
_LONGEST_TEXT = 80


@click.command("prompts")
@click.argument("classes", metavar="CLASSES")
@config_flags("model", "weights", "templates", "background", "decorrelate", "device")
@click.option("--png", metavar="FILE", help="Draw the matrix of cosines.")
@click.option("--overwrite", is_flag=True, help="Replace the picture if it exists.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, all prompts too.")
@click.option("--verbose", is_flag=True, help="Show details and, on an error, the traceback.")
def command(
    classes: str, png: str | None, overwrite: bool, as_json: bool, verbose: bool, **flags: Any
) -> None:
    """Show how a model reads CLASSES (words, a class file or set:NAME), before a run.

    The prompts in use; the cosine between classes, whose closest words compete; pairs too close to
    tell apart; words that no CLIP reads (negation, counts, relations, several colours), that are
    not English, or that are cut.
    """
    with guard(verbose=verbose):
        from rsclip.config import build_config
        from rsclip.study.prompts import check_picture, report_prompts, write_matrix

        config = build_config({name: value for name, value in flags.items() if value is not None})
        if png is not None:
            check_picture(png, overwrite=overwrite)
        report = report_prompts(classes, config)
        if png is not None:
            write_matrix(report, png, overwrite=overwrite)
        if as_json:
            click.echo(json.dumps(report.to_dict(), indent=2, ensure_ascii=False))
            return
        _show(report)
        if png is not None:
            click.echo(f"\n{png}")


def _show(report: "PromptReport") -> None:
    names = [item.name for item in report.legend.classes]
    shown = "; ".join(report.templates[:_SHOWN_TEMPLATES])
    click.echo(f"{report.model}, {len(report.templates)} templates: {shown} ...\n")
    rows = []
    for index, item in enumerate(report.legend.classes):
        texts = [
            "!" * query.negative + _short(query.text, _LONGEST_TEXT)
            for query in report.queries
            if query.class_index == index
        ]
        rows.append((str(item.value), _short(item.name), " | ".join(texts)))
    print_table(("value", "class", "words and descriptions"), rows)
    if len(names) <= _WIDEST:
        _show_matrix("Cosine of the closest words of two classes:", names, report.cosines)
        if report.apart is not None:
            _show_matrix("The same, decorrelated:", names, report.apart)
    click.echo(
        f"\nFor this model, words for different things have {report.different:.2f} on average, "
        f"synonyms {report.same:.2f}; above {report.limit:.2f}, two classes are too close."
    )
    for pair in report.pairs[:_SHOWN_PAIRS]:
        both = f"{_short(pair.first)} / {_short(pair.second)}"
        click.echo(f"- {both} ({pair.cosine:.2f}): {pair.advice}")
    if len(report.pairs) > _SHOWN_PAIRS:
        click.echo(f"- and {len(report.pairs) - _SHOWN_PAIRS} more pairs (--json)")
    if not report.pairs:
        of_these = " by words that it has learned" if report.unlearned_pairs else ""
        click.echo(f"No pair of classes is too close{of_these}.")
    if report.unlearned_pairs:
        click.echo(
            f"- left out: {report.unlearned_pairs} pairs that are close only by words that "
            f"{report.model} has not learned, whose cosines mean little"
        )
    unlearned = [flag.text for flag in report.flags if flag.kind == "unlearned"]
    if len(unlearned) > _SHOWN:
        shown = ", ".join(unlearned[:_SHOWN])
        rest = len(unlearned) - _SHOWN
        click.echo(
            f"- {report.model} has not learned {len(unlearned)} of the words: {shown} and {rest} "
            "more (--json): take a larger model"
        )
    for flag in report.flags:
        if flag.kind == "unlearned" and len(unlearned) > _SHOWN:
            continue
        paper = f" [{flag.paper}]" if flag.paper else ""
        text = _short(flag.text, _LONGEST_TEXT)
        click.echo(f'- {_short(flag.class_name)}, "{text}": {flag.kind}: {flag.reason}{paper}')


def _show_matrix(title: str, names: list[str], matrix: Any) -> None:
    click.echo(f"\n{title}")
    for name, row in zip(names, matrix, strict=True):
        cells = "".join(f"{value:6.2f}" for value in row)
        click.echo(f"{_short(name):<{_LONGEST_NAME}}{cells}")


def _short(text: str, longest: int = _LONGEST_NAME) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3].rstrip()}..."
