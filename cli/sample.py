"""`rsclip sample`: points of a mask for a person to label."""

import json

import click

from rsclip_cli.exit_codes import guard
from rsclip_cli.options import output_options
from rsclip_cli.table import print_table

__all__ = ["command"]


@click.command("sample")
@click.argument("mask", metavar="MASK")
@click.option("-n", "count", metavar="POINTS", type=int, default=None, help="How many points.")
@click.option(
    "--plan",
    "half",
    metavar="SHARE",
    type=float,
    default=None,
    help="Draw nothing; say how many points give the overall accuracy an interval of plus or "
    "minus SHARE, as in 0.03.",
)
@click.option(
    "--expect",
    "expected",
    metavar="SHARE",
    type=float,
    default=0.8,
    show_default=True,
    help="With --plan: the accuracy that you expect.",
)
@click.option(
    "--strata",
    type=click.Choice(["class", "confidence"]),
    default="class",
    show_default=True,
    help="Draw from each class, or from three ranges of confidence.",
)
@click.option(
    "--seed", metavar="N", type=int, default=0, show_default=True, help="Seed of the draw."
)
@click.option(
    "--confidence", metavar="FILE", default=None, help="Confidence raster, for its strata."
)
@click.option(
    "--classes",
    metavar="CLASSES",
    default=None,
    help="The mask's classes 1..N, where the mask has no names: words, a class file or set:NAME.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE.gpkg",
    default=None,
    help="The sample  [default: <stem>_sample.gpkg in this folder].",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
@output_options
def command(
    mask: str,
    count: int | None,
    half: float | None,
    expected: float,
    strata: str,
    seed: int,
    confidence: str | None,
    classes: str | None,
    output: str | None,
    overwrite: bool,
    quiet: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """Draw a stratified random sample of MASK's pixels, to be labelled in QGIS.

    Each stratum gets 50 points where there is room, the rest goes by area. Labels are blank, and
    the form offers the classes as a list; the map's class stands where the interpreter does not
    see it. Then: rsclip evaluate MASK --points SAMPLE
    """
    with guard(quiet=quiet, verbose=verbose):
        from rsclip.study.sample import plan_sample, sample

        if (count is None) == (half is None):
            raise click.UsageError("Give either -n or --plan.")
        if half is not None:
            total, units = plan_sample(
                mask, half, expected=expected, strata=strata, classes=classes,
                confidence=confidence,
            )  # fmt: skip
            if as_json:
                click.echo(json.dumps({"points": total, "strata": units}, ensure_ascii=False))
            elif not quiet:
                rows = [[name, str(drawn)] for name, drawn in units.items()]
                print_table(["stratum", "points"], [*rows, ["all", str(total)]])
            return
        assert count is not None
        path = sample(
            mask, count, output, strata=strata, seed=seed, classes=classes, confidence=confidence,
            overwrite=overwrite,
        )  # fmt: skip
        if as_json:
            click.echo(json.dumps({"mask": mask, "sample": str(path)}, ensure_ascii=False))
        elif not quiet:
            click.echo(path)
