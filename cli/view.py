"""`rsclip view`: a folder's results as one HTML page."""

import json

import click

from rsclip_cli.exit_codes import guard
from rsclip_cli.options import output_options

__all__ = ["command"]


@click.command("view")
@click.argument("folder", metavar="DIR")
@click.option(
    "-o", "--output", metavar="FILE", default=None, help="The page  [default: DIR/index.html]."
)
@click.option("--overwrite", is_flag=True, help="Replace a page that rsclip did not make, too.")
@output_options
def command(
    folder: str, output: str | None, overwrite: bool, quiet: bool, verbose: bool, as_json: bool
) -> None:
    """Write one HTML page of all runs in DIR: pictures, areas, how they were made.

    The page holds everything itself: it can be mailed and opened without a network.
    """
    with guard(quiet=quiet, verbose=verbose):
        from rsclip.outputs.view import build_view

        path, scenes = build_view(folder, output, overwrite=overwrite)
        if as_json:
            stems = [scene.stem for scene in scenes]
            click.echo(json.dumps({"page": str(path), "scenes": stems}, indent=2))
        elif not quiet:
            click.echo(path)
