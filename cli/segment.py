"""`rsclip segment`: scenes and words in, masks out."""

import json
import sys
from typing import Any

import click

from rsclip_cli.completion import complete_classes
from rsclip_cli.exit_codes import fail, guard
from rsclip_cli.options import (
    GroupedCommand,
    config_options,
    gather_config,
    output_options,
    progress_option,
)
from rsclip_cli.plan_table import show_plan
from rsclip_cli.progress import ProgressLine

__all__ = ["command"]


@click.command("segment", cls=GroupedCommand)
@click.argument("scenes", metavar="SCENE...", nargs=-1, required=True)
@click.option(
    "--classes",
    metavar="CLASSES",
    shell_complete=complete_classes,
    help='Words ("building|house, road"), a class file, or set:NAME (rsclip classes); with '
    "--adapter, those of the adapter.",
)
@click.option(
    "-o", "--output-dir", metavar="DIR", default=".", help="Output folder, created if missing."
)
@click.option(
    "--jobs", type=int, metavar="N", help="Worker processes that share each scene out in bands."
)
@click.option("--dask", metavar="ADDRESS", help="Scheduler of a dask cluster (rsclip[dask]).")
@click.option("--dry-run", is_flag=True, help="Say what would be done, how long and how large.")
@config_options
@progress_option
@output_options
def command(
    scenes: tuple[str, ...],
    classes: str | None,
    output_dir: str,
    jobs: int | None,
    dask: str | None,
    dry_run: bool,
    config_file: str | None,
    progress: str,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Segment each SCENE (a file, URL or GDAL virtual path) by class words.

    Writes for each <stem>_mask.tif with its names (.aux.xml) and QGIS style (.qml),
    <stem>_areas.csv and <stem>_run.json; further outputs by option.

    \b
    rsclip segment scene.tif --classes "building|house, road, water" -o out
    rsclip segment scene.tif --classes set:landcover --gsd 0.5 --model ViT-B-16/openai -o out
    rsclip segment *.tif --classes classes.yaml --aoi city.gpkg --preview --resume -o out

    \b
    Exit codes: 0 done; 2 wrong before any pixel was read; 1 anything after.
    """
    with guard(quiet=quiet, verbose=verbose):
        from rsclip.batch.one_scene import SceneWorkers
        from rsclip.run.segment import Failure, segment_scenes
        from rsclip.scene.source import stem_of

        config = gather_config(config_file, flags)
        if classes is None and config.adapter is None:
            raise click.UsageError("Missing option '--classes'.")
        protect = [config_file] if config_file else []
        workers = SceneWorkers(classes, config, jobs=1 if jobs is None else jobs, dask=dask)
        if dry_run:
            from rsclip.run.plan import plan_scenes

            show_plan(
                plan_scenes(
                    scenes, classes, output_dir, config=config, protect=protect, workers=workers
                ),
                as_json,
            )
            return
        names = [stem_of(scene) for scene in scenes]
        shown = ProgressLine(quiet=quiet, scenes=names, form=progress)
        outcomes, failures = [], []
        for outcome in segment_scenes(
            scenes, classes, output_dir, config=config, progress=shown, protect=protect,
            workers=workers,
        ):  # fmt: skip
            shown.next_scene()
            if isinstance(outcome, Failure):
                failures.append(outcome.error)
                fail(outcome.error, verbose=verbose)
                outcomes.append({"scene": outcome.scene, "error": str(outcome.error)})
                continue
            outcomes.append(
                {
                    "scene": outcome.scene,
                    "status": outcome.status,
                    "mask": str(outcome.mask_path),
                    "record": str(outcome.record),
                    "outputs": {key: str(path) for key, path in outcome.paths.items()},
                    "shares": dict(outcome.shares),
                }
            )
            if not (quiet or as_json):
                note = "  (finished before)" if outcome.status == "skipped" else ""
                click.echo(f"{outcome.mask_path}{note}")
                for name, share in outcome.shares.items():
                    click.echo(f"  {share:7.2%}  {name}")
        if as_json:
            click.echo(json.dumps(outcomes, indent=2, ensure_ascii=False))
        if failures:
            # "Wrong before any pixel is read" holds only if it holds for every scene.
            untouched = len(failures) == len(scenes)
            sys.exit(min(error.exit_code for error in failures) if untouched else 1)
