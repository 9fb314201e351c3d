"""`rsclip batch`: folders, patterns and lists of scenes in; masks and a manifest out."""

import functools
import json
import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from rsclip_cli.completion import complete_classes
from rsclip_cli.exit_codes import fail, guard
from rsclip_cli.options import (
    GroupedCommand,
    config_options,
    gather_config,
    given_layers,
    output_options,
    progress_option,
)

if TYPE_CHECKING:
    from rsclip.batch import Report

__all__ = ["command"]

_DEFAULTS = {"resume": True}


@click.command("batch", cls=GroupedCommand)
@click.argument("inputs", metavar="INPUT...", nargs=-1)
@click.option(
    "--classes",
    metavar="CLASSES",
    shell_complete=complete_classes,
    help='Words ("building|house, road"), a class file, or set:NAME; a list may name its own.',
)
@click.option(
    "-o",
    "--output-dir",
    metavar="DIR",
    help="Output folder, created if missing  [with --retry-failed: the manifest's].",
)
@click.option("--recursive", is_flag=True, default=None, help="Look into the folders of folders.")
@click.option("--jobs", type=int, metavar="N", help="Worker processes; at most one per GPU.")
@click.option("--dask", metavar="ADDRESS", help="Scheduler of a dask cluster (rsclip[dask]).")
@click.option(
    "--on-error",
    type=click.Choice(["continue", "stop"]),
    help="After a failed scene, go on with the others or stop  [default: continue].",
)
@click.option(
    "--retry-failed", metavar="MANIFEST", help="Run the failed scenes again, without INPUT."
)
@click.option("--mosaic", is_flag=True, default=None, help="Write mosaic.vrt over all masks.")
@click.option(
    "--merge-polygons", is_flag=True, default=None, help="Write polygons.gpkg of all scenes."
)
@click.option(
    "--stac-catalog", is_flag=True, default=None, help="Write catalog.json over STAC items."
)
@click.option("--dry-run", is_flag=True, help="Show scenes, time, memory and disk; write nothing.")
@functools.partial(config_options, defaults=_DEFAULTS)
@progress_option
@output_options
def command(
    inputs: tuple[str, ...],
    classes: str | None,
    output_dir: str | None,
    recursive: bool | None,
    jobs: int | None,
    dask: str | None,
    on_error: str | None,
    retry_failed: str | None,
    mosaic: bool | None,
    merge_polygons: bool | None,
    stac_catalog: bool | None,
    dry_run: bool,
    config_file: str | None,
    progress: str,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Segment the scenes of every INPUT: folders, patterns, lists (.txt, .csv), files, URLs.

    Outputs keep the inputs' layout below DIR, and manifest.jsonl there tells how every scene
    ended. Run again, the batch skips finished scenes and continues killed ones. docs/batch.md has
    examples.

    \b
    Exit codes: 0 done; 2 wrong before any scene was begun; 3 some scenes failed; 1 anything else.
    """
    given = {
        "recursive": recursive, "jobs": jobs, "dask": dask, "on_error": on_error,
        "retry_failed": retry_failed, "mosaic": mosaic, "merge_polygons": merge_polygons,
        "stac_catalog": stac_catalog,
    }  # fmt: skip
    with guard(quiet=quiet, verbose=verbose):
        from rsclip.batch import run_batch
        from rsclip.errors import BatchError, RunError
        from rsclip_cli.live import LiveView

        config = gather_config(config_file, flags, _DEFAULTS)
        layers = given_layers(config_file, flags)
        if dry_run:
            from rsclip.batch import plan_batch
            from rsclip.batch.runner import plan_tasks
            from rsclip.batch.worker import Models
            from rsclip_cli.plan_table import show_plan

            models = Models()
            tasks, root = plan_batch(
                inputs, classes, output_dir, config=config, recursive=bool(recursive),
                retry_failed=retry_failed, given=layers, mosaic=bool(mosaic),
                merge_polygons=bool(merge_polygons), stac_catalog=bool(stac_catalog),
                jobs=1 if jobs is None else jobs, dask=dask, models=models,
            )  # fmt: skip
            show_plan(plan_tasks(tasks, root, models, dask=dask), as_json, jobs=jobs or 1)
            return
        with LiveView(quiet=quiet, form=progress) as view:
            report = run_batch(
                inputs, classes, output_dir, config=config, given=layers, listener=view,
                **{name: value for name, value in given.items() if value is not None},
            )  # fmt: skip
        if as_json:
            click.echo(json.dumps(_facts(report), indent=2, ensure_ascii=False))
        elif not quiet:
            _show(report)
        for error in report.unwritten:
            fail(error, verbose=verbose)
        if report.failed:
            refused = sum(outcome.refused for outcome in report.failed)
            scenes = _scenes(len(report.outcomes) + report.unfinished)
            what = f"{len(report.failed)} of {scenes} failed"
            remedy = (
                "It says why; `rsclip batch --retry-failed "
                f"{shlex.quote(str(report.manifest))}` runs them again."
            )
            if report.unfinished:
                # A retry runs failed scenes only, none that was not begun.
                what += f", {report.unfinished} not begun"
                remedy = "It says why. Run the same batch again: finished scenes are skipped."
            if refused:
                what += f", {refused} of them because outputs made with other settings exist"
                remedy += " --overwrite replaces existing outputs."
            raise BatchError(what, where=report.manifest, remedy=remedy)
        if report.unfinished:
            scenes = _scenes(report.unfinished + len(report.outcomes))
            raise RunError(
                f"{report.unfinished} of {scenes} are left to do",
                where=report.manifest,
                remedy="Run the same batch again: finished scenes are skipped.",
            )
        if report.unwritten:
            sys.exit(report.unwritten[0].exit_code)


def _scenes(count: int) -> str:
    return f"{count} scene{'s' * (count != 1)}"


def _facts(report: "Report") -> dict[str, Any]:
    return {
        **_counts(report),
        "manifest": str(report.manifest),
        "files": [str(path) for path in report.extras],
        "unwritten": [str(error) for error in report.unwritten],
        "scenes": [
            {
                "scene": outcome.task.source,
                "status": outcome.status,
                "outputs": dict(outcome.outputs),
                "shares": dict(outcome.shares),
                "seconds": outcome.seconds,
                "warnings": outcome.all_warnings,
                "error": outcome.problem.message if outcome.problem else None,
            }
            for outcome in report.outcomes
        ],
    }


def _counts(report: "Report") -> dict[str, Any]:
    return {
        "done": report.count("done"),
        "skipped": report.count("skipped"),
        "failed": report.count("failed"),
        "not begun": report.unfinished,
        "warnings": report.warnings,
        "seconds": round(report.seconds, 1),
    }


def _show(report: "Report") -> None:
    counts = _counts(report)
    if not counts["not begun"]:
        del counts["not begun"]
    counts = {name: str(value) for name, value in counts.items()}
    widths = [max(len(name), len(value)) for name, value in counts.items()]
    for row in (counts.keys(), counts.values()):
        click.echo("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))
    for path in (report.manifest, *report.extras):
        click.echo(path)
