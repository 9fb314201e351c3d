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
    "unusable": "",
}


def show_plan(plans: "Sequence[ScenePlan]", as_json: bool) -> None:
    """Print plans as a table, or as JSON.

    Args:
        plans: One a scene.
        as_json: Print JSON.
    """
    if as_json:
        text = json.dumps(
            [dataclasses.asdict(plan) for plan in plans], indent=2, ensure_ascii=False
        )
        click.echo(text)
        return
    click.echo(f"{'windows':>9} {'minutes':>8} {'memory':>8} {'disk':>9}  scene")
    for plan in plans:
        note = plan.reason or _NOTES[plan.status]
        click.echo(
            f"{plan.windows:>9,} {plan.seconds / 60:>8.1f} {plan.memory_mb:>5} MB "
            f"{plan.disk_mb:>6,.0f} MB  {plan.scene}" + (f"  ({note})" if note else "")
        )
    new = [plan for plan in plans if plan.status == "new"]
    minutes = sum(plan.seconds for plan in new) / 60
    click.echo(f"{len(new)} of {len(plans)} scenes to do, about {minutes:.1f} minutes")
