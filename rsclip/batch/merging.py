"""`polygons.gpkg`: the polygons of all scenes in one layer."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from rsclip.batch.mosaic import finished
from rsclip.batch.tasks import Outcome
from rsclip.errors import RsclipError
from rsclip.legend import Legend
from rsclip.polygons import read_polygons
from rsclip.writers.gpkg_style import embed_style
from rsclip.writers.staging import write_error
from rsclip.writers.vectors import LAYER

__all__ = ["NAME", "merge_polygons"]

NAME = "polygons.gpkg"
# Scenes of several zones have this in common.
_COMMON = "EPSG:4326"


def merge_polygons(
    root: Path, outcomes: Sequence[Outcome], note: Callable[[str], None]
) -> list[Path]:
    """Write one layer of all scenes' polygons; areas stay as each scene has them.

    Its CRS is the scenes', or WGS84 where they differ. One scene is held in memory at a time.

    Args:
        root: The output folder.
        outcomes: Of the batch.
        note: Is told which scenes cannot take part, and why.

    Returns:
        The file; none if no scene has polygons.

    Raises:
        WriteError: It cannot be written.
    """
    files = [
        (outcome, root / outcome.outputs["polygons"])
        for outcome, _ in finished(root, outcomes)
        if "polygons" in outcome.outputs
    ]
    placed = []
    for outcome, file in files:
        try:
            crs = read_polygons(file).crs
        except (OSError, DataSourceError, DataLayerError) as error:
            note(f"{outcome.task.name}: not in {NAME}: {error}")
            continue
        if crs is None:
            note(f"{outcome.task.name}: not in {NAME}: its polygons have no CRS")
            continue
        placed.append((outcome, file, crs))
    if not placed:
        return []
    crs = placed[0][2] if len({item[2] for item in placed}) == 1 else _COMMON
    path, draft = root / NAME, root / f".{NAME}.new.gpkg"
    draft.unlink(missing_ok=True)
    try:
        for outcome, file, _ in placed:
            frame = read_polygons(file).to_crs(crs)
            frame["scene"] = outcome.task.name
            kind = "MultiPolygon" if len(frame) == 0 else "Unknown"
            pyogrio.write_dataframe(
                frame, draft, layer=LAYER, append=draft.exists(), geometry_type=kind
            )
        legends = [_legend(root, outcome) for outcome, _, _ in placed]
        if legends[0] is not None and all(item == legends[0] for item in legends):
            embed_style(draft, legends[0])
        draft.replace(path)
    except (OSError, DataSourceError, DataLayerError, RuntimeError) as error:
        raise write_error(error, path) from error
    finally:
        draft.unlink(missing_ok=True)
    return [path]


def _legend(root: Path, outcome: Outcome) -> Legend | None:
    try:
        text = (root / outcome.outputs["record"]).read_text(encoding="utf-8")
        record: dict[str, Any] = json.loads(text)
        return Legend.from_dict(record["classes"])
    except (OSError, ValueError, KeyError, RsclipError):
        return None
