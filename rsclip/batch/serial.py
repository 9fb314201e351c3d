"""Scenes one after the other in this process."""

from collections.abc import Generator, Sequence
from pathlib import Path

from rsclip.batch.tasks import Listener, Outcome, Task
from rsclip.batch.work import Models, run_scene
from rsclip.model import ModelLoader

__all__ = ["Serial"]

_NAME = "this process"


class Serial:
    """An executor: this process.

    Args:
        loader: Builds the model in place of `rsclip.model.load_model` (tests).
    """

    workers = 1

    def __init__(self, loader: ModelLoader | None = None) -> None:
        self._models = Models(loader)

    def __call__(
        self, tasks: Sequence[Task], root: Path, listener: Listener
    ) -> Generator[Outcome, None, None]:
        """Yield every task's outcome as it ends.

        Raises:
            InputError: The model cannot be used for any scene.
        """
        for task in tasks:
            listener.start(_NAME, task)
            yield run_scene(
                task,
                root,
                self._models,
                lambda done, total: listener.advance(_NAME, done, total),
                _NAME,
            )
