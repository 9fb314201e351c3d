"""`rsclip compare`: one scene through several methods, side by side."""

import json
import math
from typing import TYPE_CHECKING, Any

import click

from rsclip.config import COMPARE_OPTIONS
from rsclip_cli.options import config_file_option, config_flags, gather_config, output_options
from rsclip_cli.report import ProgressLine, guard
from rsclip_cli.table import print_table

if TYPE_CHECKING:
    from rsclip.comparison import Comparison

__all__ = ["command"]


@click.command("compare")
@click.argument("scene", metavar="SCENE")
@click.option(
    "--classes",
    metavar="CLASSES",
    required=True,
    help='Words ("building|house, road"), a class file, or set:NAME (rsclip classes).',
)
@click.option(
    "--methods",
    metavar="METHOD,...",
    required=True,
    help="Methods with their options, as in clearclip,sclip,gem:blocks=4.",
)
@click.option(
    "--labels", metavar="FILE", help="The truth, raster or vector: scores what each method found."
)
@click.option(
    "-o", "--output-dir", metavar="DIR", default=".", help="Output folder, created if missing."
)
@config_file_option
@config_flags(*COMPARE_OPTIONS)
@output_options
def command(
    scene: str,
    classes: str,
    methods: str,
    labels: str | None,
    output_dir: str,
    config_file: str | None,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Segment SCENE by several methods in one pass, and show how they agree.

    Writes <stem>_<method>_mask.tif of each with its names and style, <stem>_compare.png with all
    side by side, <stem>_compare_classes.csv, <stem>_compare_agreement.csv and
    <stem>_compare.json. With --labels, each method is scored.

    \b
    Exit codes: 0 done; 2 wrong before any pixel was read; 1 anything after.
    """
    with guard(quiet=quiet, verbose=verbose):
        from rsclip.comparison import compare

        config = gather_config(config_file, flags)
        progress = ProgressLine(quiet=quiet)
        found = compare(
            scene,
            classes,
            methods,
            output_dir,
            labels=labels,
            config=config,
            progress=progress,
            protect=[config_file] if config_file else [],
        )
        progress.close()
        if as_json:
            from rsclip.writers.record import to_plain

            outputs = {key: str(path) for key, path in found.paths.items()}
            kept = {key: found.record[key] for key in ("methods", "agreement")}
            click.echo(
                json.dumps(to_plain({"outputs": outputs, **kept}), indent=2, ensure_ascii=False)
            )
        elif not quiet:
            _show(found)


def _show(found: "Comparison") -> None:
    legend, agreement = found.legend, found.agreement
    click.echo(f"{found.paths['picture']}\n")
    scores = agreement.scores
    # Unclassified is a class of the labels only where background words compete for it.
    values = [value for value in legend.names if value or not scores or legend.background]
    if scores:
        known = int(next(iter(scores.values())).matrix.sum())
        part = _percent(known / agreement.valid) if agreement.valid else "-"
        click.echo(f"IoU with the labels, %, on {part} % of the scene")
    else:
        click.echo("Share of the scene, %")
    rows = []
    for value in values:
        name = legend.names[value]
        cells = [
            float(scores[method].iou[value]) if scores else found.shares[method][name]
            for method in found.methods
        ]
        rows.append([name, *map(_percent, cells)])
    if scores:
        rows.append(["mean", *(_percent(scores[method].miou) for method in found.methods)])
        rows.append(["accuracy", *(_percent(scores[method].accuracy) for method in found.methods)])
    print_table(["class", *found.methods], rows)
    if len(found.methods) == 1:
        return
    click.echo("\nAgreement of the masks, % of the pixels that either gives a class")
    pairs = list(agreement.pairs.items())
    rows = [
        [legend.names[value], *(_percent(float(each.iou[value])) for _, each in pairs),
         _percent(float(agreement.consent[value]))]
        for value in legend.names
    ]  # fmt: skip
    rows.append(["same label", *(_percent(each.accuracy) for _, each in pairs),
                 _percent(agreement.overall)])  # fmt: skip
    print_table(["class", *(f"{one}/{other}" for (one, other), _ in pairs), "all"], rows)


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}"
