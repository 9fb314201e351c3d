"""`rsclip suggest`: where to label next."""

import json
from pathlib import Path
from typing import Any

import click

from rsclip.config import ADAPT_OPTIONS
from rsclip_cli.completion import complete_classes
from rsclip_cli.exit_codes import guard
from rsclip_cli.options import (
    GroupedCommand,
    config_file_option,
    config_flags,
    given_layers,
    output_options,
    progress_option,
)
from rsclip_cli.progress import ProgressLine

__all__ = ["command"]


@click.command("suggest", cls=GroupedCommand)
@click.argument("scene", metavar="SCENE|OUTDIR")
@click.option("-n", "count", metavar="PLACES", type=int, default=20, show_default=True,
              help="How many places.")  # fmt: skip
@click.option(
    "--classes",
    metavar="CLASSES",
    shell_complete=complete_classes,
    help='Words ("building|house, road"), a class file, or set:NAME (rsclip classes); with '
    "--adapter, those of the adapter.",
)
@click.option("--labels", metavar="FILE", help="Labels that there are already: places avoid them.")
@click.option("-o", "--output", metavar="FILE.gpkg", required=True, help="The places to label.")
@config_flags("adapter", "aoi", *ADAPT_OPTIONS)
@config_file_option
@progress_option
@output_options
def command(
    scene: str,
    count: int,
    classes: str | None,
    labels: str | None,
    output: str,
    config_file: str | None,
    progress: str,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Choose places of SCENE where a label would teach the model most.

    In place of a scene, the output folder of its run brings scene, classes and settings.
    Each place is typical of one kind of ground, the commonest kind first. Open the file in QGIS:
    its form offers the classes as a list; leave blank what is mixed or unclear. Then:

    \b
    rsclip suggest scene.tif --classes "pond, meadow, road" -o todo.gpkg
    rsclip suggest out -o todo.gpkg
    rsclip adapt scene.tif --labels todo.gpkg --classes "pond, meadow, road" -o pond.adapter
    """
    with guard(quiet=quiet, verbose=verbose):
        from rsclip.study.suggest import suggest

        weaker, stronger = given_layers(config_file, flags)
        options: Any = {**weaker, **stronger}
        if classes is None and not options.get("adapter") and not Path(scene).is_dir():
            raise click.UsageError("Missing option '--classes'.")
        shown = ProgressLine(quiet=quiet, form=progress)
        path = suggest(
            scene, output, count, classes=classes, labels=labels, progress=shown, **options
        )
        shown.close()
        if as_json:
            click.echo(json.dumps({"scene": scene, "suggestions": str(path)}, ensure_ascii=False))
        elif not quiet:
            click.echo(path)
