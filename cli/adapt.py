"""`rsclip adapt`: what few labels teach, as a small file beside the model."""

import json
from typing import TYPE_CHECKING, Any

import click

from rsclip.config import ADAPT_OPTIONS
from rsclip_cli.completion import complete_classes
from rsclip_cli.exit_codes import guard
from rsclip_cli.options import (
    GroupedCommand,
    config_file_option,
    config_flags,
    gather_config,
    output_options,
    progress_option,
)
from rsclip_cli.progress import ProgressLine
from rsclip_cli.table import print_table

if TYPE_CHECKING:
    from rsclip.study.adapt import Adaptation

__all__ = ["command"]


@click.command("adapt", cls=GroupedCommand)
@click.argument("scenes", metavar="SCENE...", nargs=-1, required=True)
@click.option(
    "--labels",
    metavar="FILE",
    required=True,
    help="Polygons or points with a column of class names or codes.",
)
@click.option(
    "--classes",
    metavar="CLASSES",
    shell_complete=complete_classes,
    required=True,
    help='Words ("building|house, road"), a class file, or set:NAME (rsclip classes).',
)
@click.option("-o", "--output", metavar="FILE", required=True, help="The adapter.")
@click.option(
    "--kind",
    type=click.Choice(["auto", "bias", "prototype", "linear", "clip-adapter", "labclip", "coop"]),
    default="auto",
    show_default=True,
    help="What is learned; auto: the first that gains more accuracy than its standard error, or "
    "nothing.",
)
@click.option(
    "--report", metavar="FILE.html", help="Write a page: the scores, and windows before and after."
)
@config_flags(*ADAPT_OPTIONS)
@config_file_option
@progress_option
@output_options
def command(
    scenes: tuple[str, ...],
    labels: str,
    classes: str,
    output: str,
    kind: str,
    report: str | None,
    config_file: str | None,
    progress: str,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Learn from a few labels on each SCENE; the model itself stays as it is.

    Only windows that hold labels are encoded. Scores are those of labels held out: whole blocks of
    the scene, a window away from the others.

    \b
    rsclip adapt scene.tif --labels few.gpkg --classes "pond, meadow, road" -o pond.adapter
    rsclip segment scene.tif --adapter pond.adapter -o out

    \b
    Exit codes: 0 done; 2 wrong before any pixel was read; 1 anything after.
    """
    with guard(quiet=quiet, verbose=verbose):
        from rsclip.study.adapt import adapt

        config = gather_config(config_file, flags)
        shown = ProgressLine(quiet=quiet, form=progress)
        found = adapt(
            scenes, labels, classes, output, kind=kind, report=report, config=config, progress=shown
        )
        shown.close()
        if as_json:
            from rsclip.outputs.records.record import to_plain

            whole = to_plain({"adapter": str(found.path), **found.to_dict()})
            click.echo(json.dumps(whole, indent=2, ensure_ascii=False))
        elif not quiet:
            _show(found)


def _show(found: "Adaptation") -> None:
    click.echo(f"{found.path}  ({found.kind})\n")
    print_table(*found.table())
    if found.choice is None:
        return
    click.echo()
    print_table(*found.choice.table(every=False))
    seconds = sum(found.seconds.values())
    click.echo(
        f"\nIoU of labels held out, %, +- the spread over {found.folds} folds.\n"
        "Gains of mean IoU and of accuracy in points, +- their standard errors.\n"
        f"{found.windows} windows, {seconds:.0f} s."
    )
