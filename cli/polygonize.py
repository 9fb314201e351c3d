"""`rsclip polygonize`: polygons of a mask, rsclip's own or any other."""

import json
from typing import Any

import click

from rsclip.config import POLYGON_OPTIONS
from rsclip_cli.exit_codes import guard
from rsclip_cli.options import config_flags, output_options

__all__ = ["command"]


@click.command("polygonize")
@click.argument("mask", metavar="MASK")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    default=None,
    help="The polygons; .gpkg, .geojson, .fgb, .shp or .parquet  "
    "[default: <stem>_polygons.gpkg in this folder].",
)
@click.option(
    "--confidence",
    metavar="FILE",
    default=None,
    help="Confidence raster (percent) of the same grid, for mean_confidence.",
)
@config_flags(*POLYGON_OPTIONS)
@output_options
def command(
    mask: str,
    output: str | None,
    confidence: str | None,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Write the polygons of MASK, a raster of class values from rsclip or any other tool.

    Values 0 and nodata give no polygon. Names come from the mask itself (category names, attribute
    table) or what lies beside it (.aux.xml, .vat.dbf); without any they are the values.
    """
    with guard(quiet=quiet, verbose=verbose):
        from rsclip.outputs.polygonize import write_polygons

        given = {name: value for name, value in flags.items() if value is not None}
        path = write_polygons(mask, output, confidence=confidence, **given)
        if as_json:
            click.echo(json.dumps({"mask": mask, "polygons": str(path)}, ensure_ascii=False))
        elif not quiet:
            click.echo(path)
