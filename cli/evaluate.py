"""`rsclip evaluate`: how good is a map?"""

from typing import TYPE_CHECKING, Any

import click

from rsclip.config import EVALUATE_OPTIONS
from rsclip_cli.completion import complete_classes
from rsclip_cli.evaluate_tables import print_json, show_areas, show_scores, show_trials
from rsclip_cli.exit_codes import guard
from rsclip_cli.options import (
    GroupedCommand,
    config_file_option,
    config_flags,
    gather_config,
    given_layers,
    output_options,
    progress_option,
    sweep_options,
)
from rsclip_cli.progress import ProgressLine

if TYPE_CHECKING:
    from rsclip.study.evaluate.trials import Trial

__all__ = ["command"]

# Of the flags of `rsclip segment`, what holds for masks too.
_OUTPUTS = ("overwrite", "resume")


@click.command("evaluate", cls=GroupedCommand)
@click.argument("mask", metavar="[MASK|SCENE|FOLDER]", required=False)
@click.option(
    "--labels",
    metavar="FILE|FOLDER",
    default=None,
    help="The truth: a raster of class values or colours, polygons or points; of a FOLDER, one "
    "file for each of its files.",
)
@click.option(
    "--points",
    metavar="FILE",
    default=None,
    help="Instead: a labelled sample (rsclip sample), for areas with intervals.",
)
@click.option("--images", metavar="GLOB", default=None, help="In place of FOLDER: a pattern.")
@click.option("--label-glob", metavar="GLOB", default=None, help="The labels of --images.")
@click.option(
    "--dataset",
    metavar="NAME",
    default=None,
    help="Instead: a data set of a paper (docs/accuracy.md lists them), or a YAML file of one.",
)
@click.option("--root", metavar="DIR", default=None, help="Where --dataset lies.")
@click.option("--split", metavar="NAME", default=None, help="Split of --dataset.")
@click.option(
    "--limit", metavar="N", type=int, default=None, help="So many images of --dataset at most."
)
@click.option(
    "-o",
    "--output-dir",
    metavar="DIR",
    default=None,
    help="Write tables, confusion, page and (of one mask) an error map there  "
    "[default: print the table only].",
)
@click.option(
    "--classes",
    metavar="CLASSES",
    shell_complete=complete_classes,
    default=None,
    help="Words to segment scenes by; or a mask's classes 1..N, where it has no names: words, a "
    "class file or set:NAME.",
)
@click.option(
    "--mapping",
    metavar="FILE",
    default=None,
    help="YAML or CSV: a label's value, colour (#ff0000) or name, and the map's class, `other` or "
    "`ignore`.",
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
    "confidence_file",
    metavar="FILE",
    default=None,
    help="Confidence raster (percent) of MASK's grid, for the calibration error.",
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
@click.option("--models", metavar="MODEL,...", default=None, help="Models to try.")
@click.option(
    "--methods",
    metavar="METHOD,...",
    default=None,
    help="Methods to try, as in clearclip,gem:blocks=4, or all.",
)
@sweep_options
@config_file_option
@config_flags(*EVALUATE_OPTIONS)
@progress_option
@output_options
def command(
    mask: str | None,
    labels: str | None,
    points: str | None,
    images: str | None,
    label_glob: str | None,
    dataset: str | None,
    root: str | None,
    split: str | None,
    limit: int | None,
    output_dir: str | None,
    classes: str | None,
    mapping: str | None,
    ignore: tuple[str, ...],
    aoi: str | None,
    confidence_file: str | None,
    boundary: str,
    block: int | None,
    models: str | None,
    methods: str | None,
    gsd: tuple[float, ...],
    thresholds: tuple[float, ...],
    words: tuple[str, ...],
    config_file: str | None,
    progress: str,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Score MASK, of rsclip or any other tool, against labels.

    IoU, F1, precision and recall of each class, mean IoU with and without the catch-all, boundary
    F1, and 95 % intervals by block bootstrap. A FOLDER of masks is scored as one, and each mask by
    itself. With -o also a confusion matrix, an error map for QGIS and an HTML page.

    With --points, accuracy and areas in hectares are estimated from the sample (Olofsson et al.
    2014), with 95 % intervals.

    A SCENE (three bands or more; or one, with any option of `rsclip segment`), or a FOLDER of
    scenes, is segmented into --classes first, by every combination of --models, --methods, --gsd,
    --thresholds and --words; one table shows which is best. No mask is kept. With -o, --resume
    goes on where a killed run of many images stopped. With --dataset NAME --root DIR the images,
    classes and settings are a paper's, and its figures stand beside ours.

    \b
    rsclip evaluate out/scene_mask.tif --labels truth.gpkg -o out
    rsclip evaluate masks --labels labels -o out
    rsclip evaluate scene.tif --labels truth.tif --classes classes.yaml --gsd 0.3,0.5,1
    rsclip evaluate --dataset loveda --root LoveDA --model ViT-B-16/openai --limit 50 -o out

    \b
    Exit codes: 0 done; 2 wrong before any pixel was read; 1 anything after.
    """
    with guard(quiet=quiet, verbose=verbose):
        given = {name: value for name, value in flags.items() if value not in (None, (), False)}
        axes = {"gsd": gsd, "models": _listed(models), "methods": methods or (),
                "thresholds": thresholds, "words": words}  # fmt: skip
        scoring = {"mapping": mapping, "ignore": ignore, "aoi": aoi, "block": block}
        shown = ProgressLine(quiet=quiet, form=progress, unit="maps")
        if dataset is not None:
            others = {"MASK": mask, "--labels": labels, "--points": points, "--images": images,
                      "--label-glob": label_glob, "--confidence": confidence_file,
                      **{f"--{key}": value for key, value in scoring.items()}}  # fmt: skip
            if wrong := [name for name, value in others.items() if value]:
                raise click.UsageError(f"{', '.join(wrong)} cannot be used with --dataset.")
            if root is None:
                raise click.UsageError("Give --root: where the data set lies.")
            options = {**axes, **_merged(config_file, flags), "boundary": boundary}
            trials, said = _score_dataset(
                dataset, root, output_dir, options, split=split, limit=limit, classes=classes,
                progress=shown,
            )  # fmt: skip
            shown.close()
            if as_json or not quiet:
                show_trials(trials, said, as_json=as_json)
            return
        if root or split or limit:
            raise click.UsageError("--root, --split and --limit belong to --dataset.")
        segmenting = [
            "--" + name.replace("_", "-")
            for name, value in {**axes, **given, "config": config_file}.items()
            if value and name not in _OUTPUTS
        ]
        place, truth = _what(mask, labels, points, images, label_glob)
        if points is not None:
            others = {**scoring, "confidence": confidence_file, "resume": flags["resume"]}
            wrong = segmenting + [f"--{name}" for name, value in others.items() if value]
            if wrong:
                raise click.UsageError(f"{', '.join(wrong)} cannot be used with --points.")
            _assess(place, points, output_dir, classes, bool(flags["overwrite"]), quiet, as_json)
            return
        scoring["boundary"] = boundary
        from rsclip.study.evaluate.run import evaluate, holds_scenes, refuse_mask

        if segmenting:
            refuse_mask(place, truth, segmenting)
        if segmenting or holds_scenes(place, truth):
            config = gather_config(config_file, flags)
            if classes is None and config.adapter is None:
                raise click.UsageError(f"Give --classes: {place} is segmented first.")
            if confidence_file:
                raise click.UsageError("--confidence is for a mask, not for scenes.")
            from rsclip.study.evaluate.trials import try_settings

            trials = try_settings(
                place, truth, classes, output_dir, config=config, progress=shown,
                **axes, **scoring,
            )  # fmt: skip
            shown.close()
            if as_json or not quiet:
                show_trials(trials, [], as_json=as_json)
            return
        found = evaluate(
            place, truth, output_dir, classes=classes, confidence=confidence_file,
            overwrite=bool(flags["overwrite"]), resume=bool(flags["resume"]), progress=shown,
            **scoring,
        )  # fmt: skip
        shown.close()
        if as_json:
            print_json(found)
        elif not quiet:
            show_scores(found)


def _what(
    mask: str | None,
    labels: str | None,
    points: str | None,
    images: str | None,
    label_glob: str | None,
) -> tuple[str, str]:
    """Return what is scored, and its labels ("" where there are points)."""
    if images is not None or label_glob is not None:
        if images is None or label_glob is None or mask or labels or points:
            raise click.UsageError("Give --images and --label-glob together, and nothing else.")
        return images, label_glob
    if mask is None:
        raise click.UsageError("Name a mask, a scene or a folder, or give --images.")
    if (labels is None) == (points is None):
        raise click.UsageError("Give either --labels or --points.")
    return mask, labels or ""


def _merged(config_file: str | None, flags: dict[str, Any]) -> dict[str, Any]:
    """Return what a configuration file and flags say outright, flags first."""
    weaker, stronger = given_layers(config_file, flags)
    return {**weaker, **{name: value for name, value in stronger.items() if value is not False}}


def _score_dataset(
    dataset: str, root: str, output_dir: str | None, options: dict[str, Any], **asked: Any
) -> "tuple[list[Trial], list[str]]":
    from rsclip.study.evaluate.dataset_run import evaluate_dataset
    from rsclip.study.evaluate.datasets import read_dataset

    gsd = options.pop("gsd")
    trials = evaluate_dataset(
        dataset, root, output_dir, **asked, **options, **({"gsd": gsd} if gsd else {})
    )
    return trials, read_dataset(dataset).notes(trials[0].model)


def _listed(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


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
        print_json(found)
    elif not quiet:
        show_areas(found)
