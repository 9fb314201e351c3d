"""What a batch would do, before it does it."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from rsclip.batch.tasks import Task
from rsclip.batch.work import Models
from rsclip.plan import ScenePlan, plan_scenes

__all__ = ["plan_tasks"]


def plan_tasks(tasks: Sequence[Task], root: Path, *, dask: str | None = None) -> list[ScenePlan]:
    """Say what would become of every scene; nothing is written.

    Windows are timed once, on the first scene that can be read.

    Args:
        tasks: As `plan_batch` gives them.
        root: The output folder.
        dask: Address of a scheduler, which must answer; windows are timed here all the same.

    Raises:
        InputError: The model or the classes are wrong, or no scheduler answers.
    """
    if dask is not None:
        from rsclip.batch.connect import reach

        reach(dask)
    models = Models()
    plans: list[ScenePlan] = []
    second = None
    for _, group in groupby(tasks, key=_kind):
        same = list(group)
        config = same[0].config()
        made = plan_scenes(
            [task.source for task in same],
            same[0].spec(),
            same[0].output_dir(root),
            config=config,
            backbone=models.backbone(config),
            window_seconds=second,
        )
        timed = [plan.window_seconds for plan in made if plan.windows]
        second = timed[0] if second is None and timed else second
        plans += made
    return plans


def _kind(task: Task) -> tuple[str, str, str]:
    return task.folder, repr(task.classes), repr(task.settings)
