"""What `--dry-run` prints."""

import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rsclip.plan import ScenePlan

__all__ = ["show_plan"]

_NOTES = {
    "new": "",
    "finished": "finished before: skipped with --resume",
    "exists": "",
    "outside": "",
    "unusable": "",
}


def show_plan(plans: "Sequence[ScenePlan]", as_json: bool, jobs: int = 1) -> None:
    """Print plans as a table, or as JSON.

    Args:
        plans: One a scene.
        as_json: Print JSON.
        jobs: Scenes at a time.
    """
    if as_json:
        text = json.dumps(
            [dataclasses.asdict(plan) for plan in plans], indent=2, ensure_ascii=False
        )
        click.echo(text)
        return
    click.echo(f"{'windows':>9} {'time':>9} {'memory':>8} {'disk':>9}  scene")
    for plan in plans:
        note = plan.reason or _NOTES[plan.status]
        click.echo(
            f"{plan.windows:>9,} {_time(plan.seconds):>9} {plan.memory_mb:>5} MB "
            f"{plan.disk_mb:>6,.0f} MB  {plan.scene}" + (f"  ({note})" if note else "")
        )
    new = [plan for plan in plans if plan.status == "new"]
    # One scene is not shared between workers, and workers share the processor's cores.
    largest = sorted((plan.memory_mb for plan in new), reverse=True)[:jobs]
    at_once = f", {len(largest)} at a time" if len(largest) > 1 else ""
    click.echo(
        f"{len(new)} of {len(plans)} scenes to do{at_once}: about "
        f"{_time(sum(plan.seconds for plan in new))} of work, {sum(largest):,} MB of memory, "
        f"{sum(plan.disk_mb for plan in new):,.0f} MB of disk"
    )


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 6000 else f"{seconds / 3600:,.1f} h"
