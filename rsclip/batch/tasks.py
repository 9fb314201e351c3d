"""The records of a batch: a task (one scene and all that its outputs depend on), its outcome."""

import contextlib
import dataclasses
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from rsclip.config import SegmentConfig, build_config
from rsclip.errors import ExistsError, RsclipError
from rsclip.files import expand
from rsclip.scene.source import stem_of
from rsclip.words.legend import Legend, LegendSpec, class_file, load_legend
from rsclip.words.prompts import template_file

if TYPE_CHECKING:
    from rsclip.run.bands import BandOrder

__all__ = [
    "Executor",
    "Listener",
    "Outcome",
    "Problem",
    "Report",
    "Status",
    "Task",
    "changed_settings",
    "plain_spec",
    "portable",
]

Status = Literal["done", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class Task:
    """One scene of a batch; it travels to workers and into the manifest.

    Attributes:
        source: Absolute path, URL or GDAL virtual path.
        folder: Where its outputs go, below the output folder, "/" between parts; "" is that itself.
        classes: Words, a class file's absolute path or set:NAME; or what `Legend.to_dict` gave.
        settings: Options that differ from their defaults.
        hashes: SHA-256 of local files that this batch has read whole already, as
            `rsclip.run.same_run.input_identity` keeps them; no part of the manifest.
        band: Only these rows of the scene, logged for the run that joins them.
    """

    source: str
    folder: str
    classes: str | Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    band: "BandOrder | None" = None

    @property
    def name(self) -> str:
        """Folder and stem, which identify the scene, and which band of it."""
        stem = stem_of(self.source)
        if self.band is not None:
            stem += f", band {self.band.number + 1} of {self.band.count}"
        return f"{self.folder}/{stem}" if self.folder else stem

    def config(self) -> SegmentConfig:
        """Return the configuration.

        Raises:
            OptionError: Settings, as from a manifest, do not fit.
        """
        return build_config(self.settings)

    def spec(self) -> LegendSpec:
        """Return the classes as `segment` takes them."""
        return self.classes if isinstance(self.classes, str) else Legend.from_dict(self.classes)

    def output_dir(self, root: str | Path) -> Path:
        """Return the folder of its outputs."""
        return Path(root, *self.folder.split("/")) if self.folder else Path(root)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a scene failed.

    Attributes:
        kind: Name of the error's class.
        message: What, where, remedy.
    """

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended.

    Attributes:
        task: The task.
        status: "done"; "skipped": finished before, with the same settings and input, or outside
            the area of interest; or "failed".
        seconds: Wall time, of the last try.
        ended: Time of the end, ISO 8601, UTC.
        worker: Name of who did it.
        tries: How often it was begun.
        outputs: Key -> path below the output folder, "/" between parts.
        settings_hash: As in the run record.
        shares: Class name -> share of the valid pixels.
        warnings: Warnings about this scene.
        notes: Warnings about the model or the classes, the same for every scene: shown once.
        problem: Why it failed, or was skipped unfinished.
    """

    task: Task
    status: Status
    seconds: float
    ended: str
    worker: str = ""
    tries: int = 1
    outputs: Mapping[str, str] = field(default_factory=dict)
    settings_hash: str | None = None
    shares: Mapping[str, float] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()
    problem: Problem | None = None

    @property
    def all_warnings(self) -> list[str]:
        """Warnings of the model, the classes and the scene, each once: as in the run record."""
        return list(dict.fromkeys((*self.notes, *self.warnings)))

    @property
    def refused(self) -> bool:
        """It failed because outputs of another run are in its way; they are still good."""
        return self.problem is not None and self.problem.kind == ExistsError.__name__

    def replace(self, **changes: Any) -> "Outcome":
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Report:
    """What a batch left behind.

    Attributes:
        outcomes: In the order in which scenes ended.
        manifest: Path of manifest.jsonl.
        extras: Further files: the table of the manifest, mosaics, a catalogue, merged polygons.
        seconds: Wall time of the batch.
        unfinished: Scenes that were not begun or not finished (after `on_error="stop"`).
        unwritten: Why the manifest or files over all scenes could not be written.
    """

    outcomes: Sequence[Outcome]
    manifest: Path
    extras: Sequence[Path]
    seconds: float
    unfinished: int = 0
    unwritten: Sequence[RsclipError] = ()

    def count(self, status: Status) -> int:
        """Return how many scenes ended so."""
        return sum(outcome.status == status for outcome in self.outcomes)

    @property
    def failed(self) -> list[Outcome]:
        """The scenes that failed."""
        return [outcome for outcome in self.outcomes if outcome.status == "failed"]

    @property
    def warnings(self) -> int:
        """How many warnings were shown: those of scenes, and each of model or classes once."""
        notes = {text for outcome in self.outcomes for text in outcome.notes}
        return len(notes) + sum(len(outcome.warnings) for outcome in self.outcomes)


class Listener:
    """Receives the events of a batch and ignores them; the live view overrides its methods."""

    def begin(self, scenes: int, workers: int) -> None:
        """The first scene is about to begin."""

    def start(self, worker: str, task: Task) -> None:
        """A worker begins a scene."""

    def advance(self, worker: str, done: int, total: int) -> None:
        """A worker has done so many windows of its scene."""

    def note(self, text: str) -> None:
        """A message about the batch as a whole."""

    def end(self, outcome: Outcome) -> None:
        """A scene has ended."""


class Executor(Protocol):
    """Runs tasks: in this process, in worker processes or on a cluster.

    Attributes:
        workers: How many scenes it works on at a time; 0 while a cluster has no worker.
    """

    workers: int

    def __call__(
        self, tasks: Sequence[Task], root: Path, listener: Listener
    ) -> Generator[Outcome, None, None]:
        """Yield every task's outcome as it ends; closing the generator stops the workers.

        Raises:
            InputError: The model or the cluster cannot be used for any scene.
        """


def changed_settings(config: SegmentConfig) -> dict[str, Any]:
    """Return the settings that differ from their defaults, in plain values."""
    default = SegmentConfig().to_dict()
    return {key: value for key, value in config.to_dict().items() if value != default[key]}


def plain_spec(spec: LegendSpec) -> Any:
    """Return classes as a task carries them, files by their full path."""
    file = class_file(spec)
    if file is not None:
        return str(file.absolute())
    if isinstance(spec, str):
        return spec
    legend = spec if isinstance(spec, Legend) else load_legend(spec, without_words=True)
    return legend.to_dict()


def portable(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings with files by their full path."""
    full = dict(settings)
    for name in ("model", "weights", "affinity", "adapter", "aoi"):
        # An area of interest may also be a text, too long for the name of a file.
        with contextlib.suppress(OSError, ValueError):
            if name in full and (path := expand(full[name])).exists():
                full[name] = str(path.absolute())
    if ".py" in full.get("method", ""):
        # Imported here because a batch of finished scenes loads no torch.
        from rsclip.methods.plugins import full_name

        full["method"] = full_name(full["method"])
    if "templates" in full and (file := template_file(full["templates"])) is not None:
        full["templates"] = str(file.absolute())
    return full
