"""One scene at a time in one process: the model is loaded once, failures become outcomes."""

import contextlib
import json
import time
import warnings
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rsclip.adapters.fitted_for import read_header
from rsclip.batch.tasks import Listener, Outcome, Problem, Status, Task
from rsclip.config import SegmentConfig
from rsclip.errors import (
    AreaError,
    InputError,
    RsclipError,
    RsclipWarning,
    RunError,
    is_memory_error,
    out_of_memory,
)
from rsclip.run.bands import run_band
from rsclip.run.encoder import Model, ModelLoader, load_model
from rsclip.run.pipeline import Progress
from rsclip.run.provenance import utc_now
from rsclip.run.scenes_and_classes import ClassesRead
from rsclip.run.segment import Failure, SegmentResult, find_finished, segment_scenes
from rsclip.words.legend import Legend

if TYPE_CHECKING:
    from rsclip.model import Backbone

__all__ = [
    "Models",
    "Serial",
    "as_our_error",
    "failed_outcome",
    "find_finished_tasks",
    "held_warnings",
    "run_scene",
]

# Settings that a list may give for a scene; no model depends on them.
_OF_THE_SCENE = ("bidx", "gsd")
# A list may name classes for each scene: so many models are kept, with encoded words.
_KEPT = 4


class Models:
    """The models of a process: weights are read once, words encoded once per set of classes.

    Args:
        loader: Builds a model in place of `rsclip.run.encoder.load_model` (tests).

    Attributes:
        loader: As given.
        notes: Warnings from loading the current scene's model; they concern all its scenes.
        broken: Why the current scene's model cannot be used, which is no fault of the scene.
    """

    def __init__(self, loader: ModelLoader | None = None) -> None:
        self.loader = loader
        self._backbones: dict[tuple[str, str | None], Backbone] = {}
        self._models: dict[str, tuple[Model, list[str]]] = {}
        self._classes: dict[str, ClassesRead] = {}
        self.notes: list[str] = []
        self.broken: InputError | None = None

    def classes(self, task: Task, config: SegmentConfig) -> ClassesRead:
        """Return a task's classes, each set read once.

        Raises:
            LegendError: They are wrong.
        """
        key = repr((task.classes, config.background, config.adapter))
        if key not in self._classes:
            with held_warnings():
                self._classes[key] = ClassesRead.read(
                    task.spec(), config.background, config.adapter
                )
        return self._classes[key]

    def load(self, legend: Legend, config: SegmentConfig) -> Model:
        """Return the model for classes and settings; a `ModelLoader`.

        Raises:
            InputError: The model, the classes or the window are wrong: for every such scene.
        """
        settings = config.replace(**dict.fromkeys(_OF_THE_SCENE)).to_dict()
        # A worker of a cluster outlives the batch: the file may be another by now.
        adapter = None if config.adapter is None else read_header(config.adapter).sha256
        key = json.dumps([legend.to_dict(), settings, adapter], sort_keys=True, default=str)
        if key not in self._models:
            try:
                with held_warnings() as said:
                    self._models[key] = self._load(legend, config), said
            except InputError as error:
                self.broken = error
                raise
        # The last used one comes last, and the first go.
        model, self.notes = self._models[key] = self._models.pop(key)
        for old in list(self._models)[:-_KEPT]:
            del self._models[old]
        return model

    def backbone(self, config: SegmentConfig) -> "Backbone":
        """Return the backbone that settings name.

        Raises:
            InputError: The model or its weights are wrong.
        """
        from rsclip.model import load_backbone

        name = config.model, config.weights
        if name not in self._backbones:
            self._backbones[name] = load_backbone(*name)
        return self._backbones[name]

    def _load(self, legend: Legend, config: SegmentConfig) -> Model:
        if self.loader is not None:
            model = self.loader(legend, config)
        else:
            model = load_model(legend, config, self.backbone(config))
        model.check_windows(config)
        return model


def run_scene(
    task: Task, root: str | Path, models: Models, progress: Progress | None = None, worker: str = ""
) -> Outcome:
    """Segment the scene of a task, or a band of it; a failure becomes the outcome.

    Args:
        task: The task.
        root: The batch's output folder.
        models: Models of this process.
        progress: Called with (windows done, windows in all).
        worker: Name of the worker, for the manifest.

    Raises:
        InputError: The model cannot be used, or the classes are wrong: no fault of the scene.
    """
    began = time.monotonic()
    models.notes, models.broken = [], None
    config = task.config()
    classes = models.classes(task, config)
    notes = list(classes.warnings)
    result: SegmentResult | Failure | None = None
    with held_warnings() as said:
        try:
            if task.band is not None:
                run_band(task.source, classes, config, task.band, models.load, progress)
            else:
                (result,) = segment_scenes(
                    [task.source],
                    classes,
                    task.output_dir(root),
                    config=config,
                    model_loader=models.load,
                    progress=progress,
                    hashes=task.hashes,
                )
        except Exception as error:
            if models.broken is not None:
                raise models.broken from None
            result = Failure(task.source, as_our_error(error, task.source))
    notes += models.notes
    own = [text for text in said if text not in notes]
    seconds = time.monotonic() - began
    if result is None:
        return Outcome(task, "done", round(seconds, 3), utc_now(), worker)
    if isinstance(result, Failure) and isinstance(result.error, AreaError):
        missed = Problem(AreaError.__name__, "outside the area of interest")
        return Outcome(task, "skipped", round(seconds, 3), utc_now(), worker, problem=missed)
    if isinstance(result, Failure):
        failed = failed_outcome(task, result.error, seconds, worker)
        return failed.replace(warnings=tuple(own), notes=tuple(notes))
    return _ended(task, root, result, seconds, worker).replace(
        warnings=tuple(own), notes=tuple(notes)
    )


def find_finished_tasks(
    tasks: Sequence[Task], root: str | Path, models: Models, *, checksums: bool = True
) -> tuple[list[Outcome], list[Task]]:
    """Separate tasks that are known to be finished, without a model, from the others.

    Args:
        tasks: Tasks.
        root: The batch's output folder.
        models: It reads the classes.
        checksums: Look at tasks with `checksum` too, whose files are read whole.

    Returns:
        The outcomes of the finished tasks, and the other tasks.

    Raises:
        InputError: The classes are wrong.
    """
    found, others = [], []
    for task in tasks:
        began = time.monotonic()
        config = task.config()
        classes = models.classes(task, config)
        result = None
        if checksums or not config.checksum:
            with held_warnings() as said:
                result = find_finished(
                    task.source, classes, task.output_dir(root), config, task.hashes
                )
        if result is None:
            others.append(task)
        else:
            ended = _ended(task, root, result, time.monotonic() - began, _NAME)
            found.append(ended.replace(warnings=tuple(said), notes=tuple(classes.warnings)))
    return found, others


def _ended(
    task: Task, root: str | Path, result: SegmentResult, seconds: float, worker: str
) -> Outcome:
    return Outcome(
        task,
        result.status,
        round(seconds, 3),
        utc_now(),
        worker,
        outputs={key: _below(path, Path(root)) for key, path in result.paths.items()},
        settings_hash=result.run.get("settings_hash"),
        shares={name: round(share, 6) for name, share in result.shares.items()},
    )


def failed_outcome(
    task: Task, error: RsclipError, seconds: float = 0.0, worker: str = ""
) -> Outcome:
    """Return the outcome of a task that failed."""
    problem = Problem(type(error).__name__, str(error))
    status: Status = "failed"
    return Outcome(task, status, round(seconds, 3), utc_now(), worker, problem=problem)


def as_our_error(error: BaseException, where: str, again: str = "rsclip segment") -> RsclipError:
    """Return an unexpected error as one of ours: one odd file must not stop a night's work.

    Args:
        error: Any error.
        where: The scene or folder concerned.
        again: The command that shows the traceback.
    """
    if isinstance(error, RsclipError):
        return error
    if is_memory_error(error):
        return out_of_memory(where)
    reason = " ".join(str(error).split())
    return RunError(
        f"unexpected {type(error).__name__}: {reason}",
        where=where,
        remedy=f"`{again} --verbose` shows the traceback; please report it.",
    )


@contextlib.contextmanager
def held_warnings() -> Iterator[list[str]]:
    """Collect our warnings, each text once, without showing them."""
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=RsclipWarning)
        try:
            yield texts
        finally:
            texts += dict.fromkeys(str(item.message) for item in caught)


def _below(path: Path, root: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.as_posix()


_NAME = "this process"


class Serial:
    """An executor: this process.

    Args:
        models: Of this process.
    """

    workers = 1

    def __init__(self, models: Models) -> None:
        self._models = models

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
