"""What a finished run says of itself: its scene, classes and settings, to ask for labels of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rsclip.config import ADAPT_OPTIONS
from rsclip.errors import InputError, LegendError, OptionError
from rsclip.files import expand
from rsclip.method_files import refuse_code
from rsclip.model.weights.names import CONFIG_NAME
from rsclip.scene.aoi import check_aoi
from rsclip.scene.source import is_there, is_virtual, place_within
from rsclip.words.legend import Legend
from rsclip.words.prompts import template_file

__all__ = ["FinishedRun", "read_run"]

_END = "_run.json"
_SHOWN = 6
_FILES = ("adapter", "aoi", "templates", "weights")
# What an adapter decides: of a run that had none, or another, these do not hold beside it.
_OF_THE_MODEL = frozenset(ADAPT_OPTIONS) - {"nodata", "device", "precision", "batch_size"}


class FinishedRun(NamedTuple):
    """A run of `segment`.

    Attributes:
        record: Its file.
        scene: What was given to the run, with its folder where it is here.
        legend: Classes, background ones included.
        settings: Fields of `SegmentConfig` that matter for similarities, as the run had them.
        begun: The folder in which the run was started.
    """

    record: Path
    scene: str
    legend: Legend
    settings: dict[str, Any]
    begun: Path

    def beside(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings that hold beside what the user says outright.

        An adapter that the user names brings its own classes, model and method.

        Raises:
            InputError: A file that the record names is not there, and the user names no other.
            OptionError: The record would run a Python file that the user has not named.
        """
        left_out = {"adapter", *_OF_THE_MODEL} if given.get("adapter") else frozenset()
        kept = {name: self.settings[name] for name in self.settings.keys() - left_out}
        for name in _FILES:
            if name in kept and given.get(name) is None and _is_gone(name, kept[name]):
                raise InputError(
                    f"the {name} of the run cannot be read: {kept[name]}, seen from {self.begun}",
                    where=self.record,
                    remedy=f"Say where it is (--{name}), or name the scene itself and its classes.",
                )
        return kept if given.get("adapter") else dict(refuse_code(kept, self.record, given))


def read_run(folder: str | Path) -> FinishedRun:
    """Read the record of the one run whose outputs lie in a folder.

    Raises:
        InputError: The folder holds no run's record, or several, or one that is damaged.
    """
    folder = Path(folder)
    records = sorted(path for path in folder.iterdir() if path.name.endswith(_END))
    if len(records) != 1:
        names = ", ".join(path.name.removesuffix(_END) for path in records[:_SHOWN])
        raise InputError(
            f"the folder holds the runs of {len(records)} scenes ({names}"
            f"{', ...' if len(records) > _SHOWN else ''})"
            if records
            else f"the folder holds no finished run (*{_END})",
            where=folder,
            remedy="Name the scene itself, and its classes.",
        )
    (path,) = records
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        legend = Legend.from_dict(record["classes"])
        # The background classes are in the legend already.
        wanted = [name for name in (*ADAPT_OPTIONS, "adapter", "aoi") if name != "background"]
        settings = {name: record["settings"].get(name) for name in wanted}
        scene = str(record["scene"]["source"])
        begun = Path(record.get("working_folder", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, LegendError) as error:
        raise InputError(
            "the record of the run is damaged", where=path, remedy="Name the scene itself."
        ) from error
    kept = {name: value for name, value in settings.items() if value is not None}
    kept |= {name: _found(str(kept[name]), begun) for name in _FILES if name in kept}
    if "model" in kept and (begun / expand(kept["model"]) / CONFIG_NAME).is_file():
        kept["model"] = str(begun / expand(kept["model"]))
    scene = _found(scene, begun)
    if not (is_virtual(scene) or is_there(Path(scene))):
        raise InputError(
            f"the scene of the run is not here: {scene}, seen from {begun}",
            where=path,
            remedy="Name the scene itself, and its classes.",
        )
    return FinishedRun(path, scene, legend, kept, begun)


def _is_gone(name: str, value: str) -> bool:
    """Tell whether a setting names a file that is not there, or an area that cannot be read."""
    if name == "aoi":
        try:
            check_aoi(value)
        except OptionError:
            return True
        return False
    path = template_file(value) if name == "templates" else expand(value)
    return path is not None and not is_there(path)


def _found(name: str, begun: Path) -> str:
    """Return a name with the folder that a run was begun in, where that is a file's."""
    if is_virtual(name):
        return place_within(name, begun)[0]
    path = begun / expand(name)
    return str(path) if is_there(path) else name
