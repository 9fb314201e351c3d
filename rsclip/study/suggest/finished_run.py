"""What a finished run says of itself: its scene, classes and settings, to ask for labels of it."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from rsclip.config import ADAPT_OPTIONS
from rsclip.errors import InputError, LegendError
from rsclip.words.legend import Legend

__all__ = ["FinishedRun", "read_run"]

_END = "_run.json"
_SHOWN = 6


class FinishedRun(NamedTuple):
    """A run of `segment`.

    Attributes:
        scene: As it was given to the run.
        legend: Classes, background ones included.
        settings: Fields of `SegmentConfig` that matter for similarities, as the run had them.
    """

    scene: str
    legend: Legend
    settings: dict[str, Any]


def read_run(folder: str | Path) -> FinishedRun:
    """Read the record of the one run whose outputs lie in a folder.

    Raises:
        InputError: The folder holds no run's record, or several, or one that is damaged.
    """
    folder = Path(folder)
    records = sorted(folder.glob(f"*{_END}"))
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
    except (OSError, ValueError, KeyError, TypeError, AttributeError, LegendError) as error:
        raise InputError(
            "the record of the run is damaged", where=path, remedy="Name the scene itself."
        ) from error
    kept = {name: value for name, value in settings.items() if value is not None}
    return FinishedRun(scene, legend, kept)
