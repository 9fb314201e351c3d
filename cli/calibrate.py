"""`rsclip calibrate`: biases, thresholds and scale from a few labels, as a class file."""

import json
import math
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
    list_option,
    output_options,
    progress_option,
)
from rsclip_cli.progress import ProgressLine
from rsclip_cli.table import print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rsclip.study.calibrate import Agreement, Calibrated

__all__ = ["command"]


@click.command("calibrate", cls=GroupedCommand)
@click.argument("scenes", metavar="SCENE...", nargs=-1, required=True)
@click.option(
    "--labels",
    metavar="FILE",
    help='Polygons or points with a column of class names or codes; "other" is none of the '
    "classes, and thresholds are learned from it.",
)
@click.option(
    "--no-labels",
    is_flag=True,
    help="Choose pixel size and words by how far the model agrees with itself, mirrored and "
    "smaller; nothing is fitted.",
)
@click.option(
    "--classes",
    metavar="CLASSES",
    shell_complete=complete_classes,
    required=True,
    help='Words ("building|house, road"), a class file, or set:NAME (rsclip classes).',
)
@click.option("-o", "--output", metavar="FILE.yaml", required=True, help="The class file.")
@list_option(
    "--gsd", "METRES,...", "Pixel size to work at; with --no-labels several to choose from."
)
@list_option(
    "--words", "WORDS,...", "With --no-labels: words to choose from: given, first (of each class "
    "alone), tuned (of a set or a class file).",
)  # fmt: skip
@config_flags(*(name for name in ADAPT_OPTIONS if name != "gsd"))
@config_file_option
@progress_option
@output_options
def command(
    scenes: tuple[str, ...],
    labels: str | None,
    no_labels: bool,
    classes: str,
    output: str,
    gsd: tuple[float, ...],
    words: tuple[str, ...],
    config_file: str | None,
    progress: str,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Fit biases, thresholds and the logit scale to a few labels on each SCENE.

    They are written into a class file, with the classes. Scores are those of labels held out: whole
    blocks of the scene, a window away from the others. Where the gain is no larger than twice
    its standard error, or the cross entropy does not fall by more than its own, the file holds the
    classes as they are.

    \b
    rsclip calibrate scene.tif --labels few.gpkg --classes "pond, meadow, road" -o tuned.yaml
    rsclip calibrate scene.tif --no-labels --gsd 0.5,1,2 --classes set:openearthmap -o tuned.yaml
    rsclip segment scene.tif --classes tuned.yaml -o out

    \b
    Exit codes: 0 done; 2 wrong before any pixel was read; 1 anything after.
    """
    with guard(quiet=quiet, verbose=verbose):
        from rsclip.study.calibrate import calibrate, calibrate_without_labels

        if (labels is None) is not no_labels:
            raise click.UsageError("Give --labels FILE, or --no-labels.")
        if labels is not None and (words or len(gsd) > 1):
            raise click.UsageError("Several --gsd and --words go with --no-labels.")
        config = gather_config(config_file, flags)
        shown = ProgressLine(quiet=quiet, form=progress)
        if labels is None:
            trials = calibrate_without_labels(
                scenes, classes, output, gsd=gsd, words=words, config=config, progress=shown
            )
            shown.close()
            _show_agreements(output, trials, as_json=as_json, quiet=quiet)
            return
        if gsd:
            config = config.replace(gsd=gsd[0])
        found = calibrate(scenes, labels, classes, output, config=config, progress=shown)
        shown.close()
        if as_json:
            from rsclip.outputs.records.record import to_plain

            click.echo(json.dumps(to_plain(found.to_dict()), indent=2, ensure_ascii=False))
        elif not quiet:
            _show(found)


def _show_agreements(
    output: str, trials: "Sequence[Agreement]", *, as_json: bool, quiet: bool
) -> None:
    if as_json:
        plain = [
            {"gsd": each.gsd, "words": each.words, "agreement": each.agreement} for each in trials
        ]
        click.echo(json.dumps({"classes_file": output, "trials": plain}, indent=2))
    elif not quiet:
        click.echo(f"{output}\n")
        rows = [
            ["own" if each.gsd is None else f"{each.gsd:g}", each.words,
             f"{100 * each.agreement:.1f}"]
            for each in trials
        ]  # fmt: skip
        print_table(["metres", "words", "agreement"], rows)
        click.echo(
            "\nShare of patches, %, of the same class in the mirrored image and in one of three "
            "quarters of\nthe size. The first is in the file. A model may agree with itself and be "
            "wrong: label a few places,\nand `rsclip evaluate` tells (docs/accuracy.md)."
        )


def _show(found: "Calibrated") -> None:
    click.echo(f"{found.path}{'' if found.used else '  (the classes as they are)'}\n")
    classes = {item.name: item for item in found.legend.foreground}
    rows = []
    for at, (name, count) in enumerate(found.labels.items()):
        own = classes.get(name)
        numbers = ["", ""]
        if own is not None and found.used:
            level = "-" if own.threshold is None else f"{own.threshold:.2f}"
            numbers = [f"{own.bias:+.2f}", level]
        scores = (_with_spread(each.classes[at], each.spread[at]) for each in _both(found))
        rows.append([name, str(count), *numbers, *scores])
    means = [_with_spread(each.miou, each.to_dict()["spread"]) for each in _both(found)]
    rows.append(["mean", str(sum(found.labels.values())), "", "", *means])
    print_table(
        [
            "class",
            "labels",
            "bias",
            "threshold",
            "as it is",
            "calibrated" if found.used else "tried",
        ],
        rows,
    )
    gain, error = found.after.gain(found.before)
    scale = found.legend.calibration.logit_scale
    click.echo(
        f"\nIoU of labels held out, %, +- the spread over {found.folds} folds.\nGain "
        f"{100 * gain:+.1f} points of mean IoU, standard error {100 * error:.1f}"
        + ("" if scale is None else f"; logit scale {scale:g}")
        + f"; {found.windows} windows, {found.seconds:.0f} s."
    )


def _both(found: "Calibrated") -> tuple[Any, Any]:
    return found.before, found.after


def _with_spread(value: float, spread: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{100 * value:.1f}" + ("" if math.isnan(spread) else f" +- {100 * spread:.1f}")
