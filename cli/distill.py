"""`rsclip distill`: a smaller model that has learned to see as a large one does."""

import json
from typing import Any

import click

from rsclip.config import DISTILL_OPTIONS
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

__all__ = ["command"]


@click.command("distill", cls=GroupedCommand)
@click.argument("teacher", metavar="TEACHER")
@click.option(
    "--images",
    metavar="FOLDER",
    required=True,
    help="Rasters without labels, of any form that `rsclip segment` reads.",
)
@click.option("-o", "--output", metavar="STUDENT", required=True, help="The student's folder.")
@click.option(
    "--shape",
    metavar="SHAPE",
    default="small",
    show_default=True,
    help="small (half of the teacher's blocks), tiny (a quarter), or a number of blocks.",
)
@click.option(
    "--labels",
    metavar="FOLDER",
    help="Labels of some of the images, by stem: these are left out of training, and scored.",
)
@click.option(
    "--classes",
    metavar="CLASSES",
    shell_complete=complete_classes,
    help='Words ("building|house, road"), a class file, or set:NAME, for the report and --icl '
    "[default: set:landcover].",
)
@click.option(
    "--steps", metavar="N", type=int, default=2000, show_default=True, help="Batches to learn from."
)
@click.option("--batch", metavar="N", type=int, default=32, show_default=True,
              help="Windows of a batch.")  # fmt: skip
@click.option(
    "--icl",
    metavar="WEIGHT",
    type=float,
    default=0.0,
    show_default=True,
    help="Weight of a second loss: patches shall be nearest to the word that the teacher gives.",
)
@click.option("--seed", metavar="N", type=int, default=0, show_default=True,
              help="Of the windows that are drawn.")  # fmt: skip
@config_flags(*DISTILL_OPTIONS)
@config_file_option
@progress_option
@output_options
def command(
    teacher: str,
    images: str,
    output: str,
    shape: str,
    labels: str | None,
    classes: str | None,
    steps: int,
    batch: int,
    icl: float,
    seed: int,
    config_file: str | None,
    progress: str,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Teach a smaller model to see as the model TEACHER does, on rasters without labels.

    The student begins with evenly spaced blocks of the teacher's image tower and keeps its text
    tower. It lies in a folder of open_clip's form, with a card and a report.

    \b
    rsclip distill ViT-B-16/openai --images scenes/ --shape small -o b16-small
    rsclip segment scene.tif --classes "pond, meadow, road" --model b16-small -o out

    \b
    Exit codes: 0 done; 2 wrong before any pixel was read; 1 anything after.
    """
    with guard(quiet=quiet, verbose=verbose):
        from rsclip.study.distill import distill

        config = gather_config(config_file, flags)
        shown = ProgressLine(quiet=quiet, form=progress, unit="steps")
        found = distill(
            teacher, images, output, shape=shape, labels=labels, classes=classes, steps=steps,
            batch=batch, icl=icl, seed=seed, config=config, progress=shown,
        )  # fmt: skip
        shown.close()
        if as_json:
            click.echo(json.dumps(found.to_dict(), indent=2, ensure_ascii=False))
        elif not quiet:
            click.echo(f"{found.path}\n")
            print_table(*found.table())
