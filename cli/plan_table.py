"""What `--dry-run` prints."""

import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from rsclip_cli.table import show_time

if TYPE_CHECKING:
    from rsclip.run.plan import ScenePlan

__all__ = ["show_plan"]

_NOTES = {
    "new": "",
    "finished": "finished before: skipped with --resume",
    "exists": "",
    "blocked": "",
    "outside": "",
    "unusable": "",
}


def show_plan(plans: "Sequence[ScenePlan]", as_json: bool, jobs: int = 1) -> None:
    """Print plans as a table, or as JSON.

    Args:
        plans: One a scene.
        as_json: Print JSON; its `total` is of those that are new.
        jobs: Scenes at a time.
    """
    new = [plan for plan in plans if plan.status == "new"]
    # One scene is not shared between workers, and workers share the processor's cores.
    largest = sorted((plan.memory_mb for plan in new), reverse=True)[:jobs]
    total = {
        "scenes": len(plans),
        "new": len(new),
        "windows": sum(plan.windows for plan in new),
        "seconds": round(sum(plan.seconds for plan in new), 1),
        "memory_mb": sum(largest),
        "disk_mb": round(sum(plan.disk_mb for plan in new), 2),
    }
    if as_json:
        facts = {"scenes": [dataclasses.asdict(plan) for plan in plans], "total": total}
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    click.echo(f"{'windows':>9} {'time':>9} {'memory':>8} {'disk':>9}  scene")
    for plan in plans:
        note = plan.reason or _NOTES[plan.status]
        click.echo(
            f"{plan.windows:>9,} {show_time(plan.seconds):>9} {plan.memory_mb:>5} MB "
            f"{plan.disk_mb:>6,.0f} MB  {plan.scene}" + (f"  ({note})" if note else "")
        )
    at_once = f", {len(largest)} at a time" if len(largest) > 1 else ""
    scenes = f"{len(plans)} scene{'s' * (len(plans) != 1)}"
    click.echo(
        f"{len(new)} of {scenes} to do{at_once}: about {show_time(total['seconds'])} of work, "
        f"{total['memory_mb']:,} MB of memory, {total['disk_mb']:,.0f} MB of disk"
    )
