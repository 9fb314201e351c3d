"""`rsclip evaluate`: how good is a map?"""

import json
import math
from typing import TYPE_CHECKING, Any

import click

from rsclip_cli.options import config_file_option, gather_config, output_options
from rsclip_cli.report import guard
from rsclip_cli.table import print_table

if TYPE_CHECKING:
    from rsclip.study.evaluate import Evaluation, Trial
    from rsclip.study.sample import Assessment
    from rsclip.study.sample.estimate import Estimate

__all__ = ["command"]


@click.command("evaluate")
@click.argument("mask", metavar="MASK|SCENE")
@click.option(
    "--labels",
    metavar="FILE",
    default=None,
    help="The truth: a raster of class values, polygons or points.",
)
@click.option(
    "--points",
    metavar="FILE",
    default=None,
    help="Instead: a labelled sample (rsclip sample), for areas with intervals.",
)
@click.option(
    "-o",
    "--output-dir",
    metavar="DIR",
    default=None,
    help="Write tables, confusion, error map and page there  [default: print the table only].",
)
@click.option(
    "--classes",
    metavar="CLASSES",
    default=None,
    help="The mask's classes 1..N, where the mask has no names: words, a class file or set:NAME.",
)
@click.option(
    "--mapping",
    metavar="FILE",
    default=None,
    help="YAML or CSV: a label's value or name, and the mask's class, `other` or `ignore`.",
)
@click.option(
    "--ignore",
    metavar="LABEL",
    multiple=True,
    help="A value or name of labels that does not count; may be given again.",
)
@click.option("--aoi", metavar="AREA", default=None, help="Only pixels in this area count.")
@click.option(
    "--confidence",
    metavar="FILE",
    default=None,
    help="Confidence raster (percent) of the same grid, for the calibration error.",
)
@click.option(
    "--boundary",
    metavar="DISTANCE",
    default="2",
    help="How far outlines may be apart: pixels, or metres as in 1.5m; 0: not counted.  "
    "[default: 2]",
)
@click.option(
    "--block",
    metavar="PIXELS",
    type=int,
    default=None,
    help="Side of the blocks that intervals are drawn from  "
    "[default: a 32nd of the longer side, 32 or more].",
)
@click.option("--gsd", metavar="METRES,...", default=None, help="Try a SCENE at these pixel sizes.")
@click.option("--models", metavar="MODEL,...", default=None, help="Try a SCENE by these models.")
@click.option(
    "--methods",
    metavar="METHOD,...",
    default=None,
    help="Try a SCENE by these methods, as in clearclip,gem:blocks=4, or all.",
)
@config_file_option
@click.option("--overwrite", is_flag=True, help="Replace outputs that exist.")
@output_options
def command(
    mask: str,
    labels: str | None,
    points: str | None,
    output_dir: str | None,
    classes: str | None,
    mapping: str | None,
    ignore: tuple[str, ...],
    aoi: str | None,
    confidence: str | None,
    boundary: str,
    block: int | None,
    gsd: str | None,
    models: str | None,
    methods: str | None,
    config_file: str | None,
    overwrite: bool,
    quiet: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """Score MASK, of rsclip or any other tool, against labels.

    IoU, F1, precision and recall of each class, mean IoU with and without the catch-all, boundary
    F1, and 95 % intervals by block bootstrap. With -o also a confusion matrix, an error map for
    QGIS and an HTML page.

    With --points, accuracy and areas in hectares are estimated from the sample (Olofsson et al.
    2014), with 95 % intervals.

    With --gsd, --models or --methods, a SCENE is segmented into --classes by every combination of
    them, all else as --config says, and one table shows which is best. No mask is kept.

    \b
    Exit codes: 0 done; 2 wrong before any pixel was read; 1 anything after.
    """
    with guard(quiet=quiet, verbose=verbose):
        if (labels is None) == (points is None):
            raise click.UsageError("Give either --labels or --points.")
        if labels is None:
            others = {"--gsd": gsd, "--models": models, "--methods": methods,
                      "--config": config_file, "--mapping": mapping, "--ignore": ignore,
                      "--aoi": aoi, "--block": block, "--confidence": confidence}  # fmt: skip
            if given := [name for name, value in others.items() if value]:
                raise click.UsageError(f"{', '.join(given)} cannot be used with --points.")
            assert points is not None
            _assess(mask, points, output_dir, classes, overwrite, quiet, as_json)
            return
        scoring = {"mapping": mapping, "ignore": ignore, "aoi": aoi, "block": block,
                   "boundary": None if boundary == "0" else boundary}  # fmt: skip
        if gsd or models or methods or config_file:
            if classes is None:
                raise click.UsageError("Give --classes: the scene is segmented first.")
            if output_dir or confidence:
                raise click.UsageError("-o and --confidence are for masks, not for trials.")
            trials = _try(
                mask, labels, classes, _metres(gsd), _listed(models), methods or (),
                gather_config(config_file, {}), **scoring,
            )  # fmt: skip
            _show_trials(trials, quiet=quiet, as_json=as_json)
            return
        from rsclip.study.evaluate import evaluate

        found = evaluate(
            mask,
            labels,
            output_dir,
            classes=classes,
            confidence=confidence,
            overwrite=overwrite,
            **scoring,
        )
        if as_json:
            _print_json(found)
        elif not quiet:
            _show(found)


def _print_json(found: "Evaluation | Assessment") -> None:
    from rsclip.outputs.records.record import to_plain

    outputs = {key: str(path) for key, path in found.paths.items()}
    whole = to_plain({**found.to_dict(), "outputs": outputs})
    click.echo(json.dumps(whole, indent=2, ensure_ascii=False))


def _try(
    scene: str,
    labels: str,
    classes: str,
    gsd: list[float],
    models: list[str],
    methods: Any,
    config: Any,
    **scoring: Any,
) -> "list[Trial]":
    from rsclip.study.evaluate import try_settings

    return try_settings(
        scene, labels, classes, gsd=gsd, models=models, methods=methods, config=config, **scoring
    )


def _metres(text: str | None) -> list[float]:
    try:
        return [float(part) for part in _listed(text)]
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not a list of metres such as 0.3,0.5,1.", param_hint="--gsd"
        ) from None


def _listed(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _show_trials(trials: "list[Trial]", *, quiet: bool, as_json: bool) -> None:
    if as_json:
        from rsclip.outputs.records.record import to_plain

        found = [
            {"gsd": each.gsd, "model": each.model, "method": each.method, **each.scores.to_dict()}
            for each in trials
        ]
        click.echo(json.dumps(to_plain({"trials": found}), indent=2, ensure_ascii=False))
    elif not quiet:
        from rsclip.study.evaluate.tables import notes, overall_rows

        names = [name for name, _ in overall_rows(trials[0].scores)]
        rows = [
            ["own" if each.gsd is None else f"{each.gsd:g}", each.model, each.method,
             *(value for _, value in overall_rows(each.scores))]
            for each in trials
        ]  # fmt: skip
        print_table(["metres", "model", "method", *names], rows)
        click.echo("\n" + "\n".join(notes(trials[0].scores)))


def _assess(
    mask: str,
    points: str,
    output_dir: str | None,
    classes: str | None,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    from rsclip.study.sample import assess

    found = assess(mask, points, output_dir, classes=classes, overwrite=overwrite)
    if as_json:
        _print_json(found)
    elif not quiet:
        _show_areas(found)


def _show_areas(found: "Assessment") -> None:
    estimates, names = found.estimates, found.legend.names
    rows = []
    for value in found.shown():
        area = found.area(value)
        ground = "-" if area is None else f"{area.value:,.2f} +- {area.half:,.2f}"
        scores = (estimates.user[value], estimates.producer[value], estimates.share[value])
        rows.append([names[value], *map(_percent, scores), ground])
    print_table(["class", "user's accuracy", "producer's accuracy", "share", "hectares"], rows)
    click.echo(f"\nOverall accuracy: {_percent(estimates.overall)} %")
    shown = found.shown()
    click.echo("\nArea-adjusted confusion, % of the area; rows: map, columns: labelled")
    table = [
        [names[value], *(f"{100 * estimates.matrix[value, other]:.2f}" for other in shown)]
        for value in shown
    ]
    print_table(["", *(names[value] for value in shown)], table)
    click.echo(
        f"\nFrom {int(found.counts.sum())} labelled points; accuracies and shares in percent, "
        "+- half the 95 % interval (Olofsson et al. 2014)."
    )


def _percent(found: "Estimate") -> str:
    if math.isnan(found.value):
        return "-"
    return f"{100 * found.value:.1f} +- {100 * found.half:.1f}"


def _show(found: "Evaluation") -> None:
    from rsclip.study.evaluate.tables import class_rows, notes, overall_rows

    header, rows = class_rows(found)
    print_table(header, rows)
    click.echo()
    print_table(["score", "%"], overall_rows(found))
    click.echo()
    for line in notes(found):
        click.echo(line)
    if found.paths:
        click.echo(found.paths["page"])
