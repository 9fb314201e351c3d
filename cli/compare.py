"""`rsclip compare`: one scene through several methods, side by side."""

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from rsclip.config import COMPARE_OPTIONS, DEFAULT_METHOD
from rsclip_cli.completion import complete_classes
from rsclip_cli.exit_codes import guard
from rsclip_cli.options import (
    GroupedCommand,
    config_file_option,
    config_flags,
    gather_config,
    output_options,
    progress_option,
    sweep_options,
)
from rsclip_cli.progress import ProgressLine
from rsclip_cli.table import print_table

if TYPE_CHECKING:
    from rsclip.study.compare import Comparison

__all__ = ["command"]

# Characters of a line; wider tables are told in another way.
_WIDE = 100


@click.command("compare", cls=GroupedCommand)
@click.argument("scene", metavar="SCENE")
@click.option(
    "--classes",
    metavar="CLASSES",
    shell_complete=complete_classes,
    help='Words ("building|house, road"), a class file, or set:NAME (rsclip classes); with '
    "--adapter, those of the adapter.",
)
@click.option(
    "--methods",
    metavar="METHOD,...",
    help="Methods with their options, as in clearclip,sclip,gem:blocks=4, or all  "
    f"[default: {DEFAULT_METHOD}].",
)
@click.option(
    "--labels", metavar="FILE", help="The truth, raster or vector: scores what each method found."
)
@click.option(
    "-o", "--output-dir", metavar="DIR", default=".", help="Output folder, created if missing."
)
@sweep_options
@config_file_option
@config_flags(*(name for name in COMPARE_OPTIONS if name != "gsd"))
@progress_option
@output_options
def command(
    scene: str,
    classes: str | None,
    methods: str | None,
    labels: str | None,
    output_dir: str,
    gsd: tuple[float, ...],
    words: tuple[str, ...],
    thresholds: tuple[float, ...],
    config_file: str | None,
    progress: str,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Segment SCENE by several methods or settings, and show how they agree.

    Methods go through the model in one pass; each of --gsd, --words and --thresholds is a pass of
    its own.

    Writes <stem>_<method>_mask.tif of each with its names and style (of a pixel size
    <stem>_<method>-0.5-m_mask.tif), <stem>_compare.png with all side by side,
    <stem>_compare_classes.csv, <stem>_compare_agreement.csv and <stem>_compare.json. With
    --labels, each mask is scored.

    \b
    Exit codes: 0 done; 2 wrong before any pixel was read; 1 anything after.
    """
    with guard(quiet=quiet, verbose=verbose):
        from rsclip.scene.source import stem_of
        from rsclip.study.compare import compare

        if len(gsd) == 1:
            # One pixel size is no comparison, but the one to work at.
            flags["gsd"], gsd = gsd[0], ()
        config = gather_config(config_file, flags)
        shown = ProgressLine(quiet=quiet, scenes=[stem_of(scene)], form=progress)
        found = compare(
            scene,
            classes,
            methods or (),
            output_dir,
            gsd=gsd,
            words=words,
            thresholds=thresholds,
            labels=labels,
            config=config,
            progress=shown,
            protect=[config_file] if config_file else [],
        )
        shown.next_scene()
        if as_json:
            from rsclip.outputs.records.record import to_plain

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
    methods = list(found.methods)
    if not _fits(["x" * max(map(len, legend.names.values())), *methods]):
        methods = [str(number) for number in range(1, len(methods) + 1)]
        print_table(["method", ""], list(zip(methods, found.methods, strict=True)))
        click.echo()
    scores = agreement.scores
    # Unclassified is a class of the labels where they say that a pixel is none of the others.
    told = any(found.matrix[0].any() for found in scores.values())
    values = [value for value in legend.names if value or not scores or told]
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
        if told:
            means = map(agreement.miou_without_other, found.methods)
            rows.append(["mean without unclassified", *map(_percent, means)])
        rows.append(["accuracy", *(_percent(scores[method].accuracy) for method in found.methods)])
    print_table(["class", *methods], rows)
    if len(methods) == 1:
        return
    pairs = list(agreement.pairs.items())
    columns = [f"{one}/{other}" for (one, other), _ in pairs]
    if not _fits(["x" * max(map(len, legend.names.values())), *columns, "all"]):
        _show_matrix(found, methods)
        return
    click.echo("\nAgreement of the masks, % of the pixels that either gives a class")
    rows = [
        [legend.names[value], *(_percent(float(each.iou[value])) for _, each in pairs),
         _percent(float(agreement.consent[value]))]
        for value in legend.names
    ]  # fmt: skip
    rows.append(["same label", *(_percent(each.accuracy) for _, each in pairs),
                 _percent(agreement.overall)])  # fmt: skip
    print_table(["class", *columns, "all"], rows)


def _show_matrix(found: "Comparison", methods: Sequence[str]) -> None:
    """Print how alike any two masks are; by class they are in the file."""
    agreement = found.agreement
    both = {frozenset(pair): each.accuracy for pair, each in agreement.pairs.items()}
    click.echo("\nPixels of the same label in two masks, %")
    rows = [
        [name, *("" if one == other else _percent(both[frozenset((one, other))])
                 for other in found.methods)]
        for name, one in zip(methods, found.methods, strict=True)
    ]  # fmt: skip
    print_table(["", *methods], rows)
    click.echo(f"In all masks: {_percent(agreement.overall)}")
    click.echo(f"Class by class: {found.paths['agreement']}")


def _fits(cells: Sequence[str]) -> bool:
    # Numbers take up to five characters.
    return sum(max(len(cell), 5) + 2 for cell in cells) - 2 <= _WIDE


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}"
