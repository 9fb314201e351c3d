"""`polygons.gpkg`: the polygons of all scenes in one layer."""

import contextlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from rsclip.batch.mosaic import finished
from rsclip.batch.tasks import Outcome
from rsclip.errors import RsclipError, WriteError
from rsclip.outputs.files.disk import write_error
from rsclip.outputs.polygonize import read_polygons
from rsclip.outputs.polygons.gpkg_style import embed_style
from rsclip.outputs.polygons.vector_file import LAYER
from rsclip.run.resume import has_journal
from rsclip.words.legend import Legend

__all__ = ["NAME", "is_own", "merge_polygons"]

NAME = "polygons.gpkg"
_MARK = "Polygons of a batch, by rsclip"
# Scenes of several zones have this in common.
_COMMON = "EPSG:4326"


def merge_polygons(
    root: Path,
    outcomes: Sequence[Outcome],
    note: Callable[[str], None],
    claim: Callable[[Sequence[str]], None],
) -> list[Path]:
    """Write one layer of all scenes' polygons; areas stay as each scene has them.

    Its CRS is the scenes', or WGS84 where they differ. One scene is held in memory at a time.

    Args:
        root: The output folder.
        outcomes: Of the batch.
        note: Is told which scenes cannot take part, and why.
        claim: Is told the file's name before it is written.

    Returns:
        The file; none if no scene has polygons.

    Raises:
        WriteError: It cannot be written, or is open, or polygons cannot be read that an earlier
            one has.
    """
    files = [
        (outcome, root / outcome.outputs["polygons"])
        for outcome, _ in finished(root, outcomes)
        if "polygons" in outcome.outputs
    ]
    placed, unread = [], 0
    for outcome, file in files:
        try:
            crs = read_polygons(file).crs
        # Whatever a file is by now, it is left out alone.
        except Exception as error:
            note(_left_out(outcome, error))
            unread += 1
            continue
        if crs is None:
            note(_left_out(outcome, "its polygons have no CRS"))
            continue
        placed.append((outcome, file, crs))
    crs = placed[0][2] if len({item[2] for item in placed}) == 1 else _COMMON
    path, draft = root / NAME, root / f".{NAME}.new.gpkg"
    merged: list[Outcome] = []
    try:
        draft.unlink(missing_ok=True)
        for outcome, file, _ in placed:
            try:
                frame = read_polygons(file).to_crs(crs)
            except Exception as error:
                note(_left_out(outcome, error))
                unread += 1
                continue
            frame["scene"] = outcome.task.name
            kind = "MultiPolygon" if len(frame) == 0 else "Unknown"
            pyogrio.write_dataframe(
                frame, draft, layer=LAYER, append=draft.exists(), geometry_type=kind,
                layer_options={} if draft.exists() else {"DESCRIPTION": _MARK},
            )  # fmt: skip
            merged.append(outcome)
        if unread and path.exists():
            # A drive that is away for a moment: what an earlier batch merged is still good.
            raise WriteError(
                "not written: polygons of a scene cannot be read, and the file of an earlier batch "
                "stays",
                where=path,
                remedy="Run the batch again, with --overwrite where the polygons are damaged.",
            )
        if has_journal(path):
            raise WriteError(
                "it is open in another program, or was not closed",
                where=path,
                remedy="Close it there, and run the batch again.",
            )
        if not merged:
            note(f"no {NAME}: no scene has polygons")
            return []
        legends = [_legend(root, outcome) for outcome in merged]
        if legends[0] is not None and all(item == legends[0] for item in legends):
            embed_style(draft, legends[0])
        claim([NAME])
        draft.replace(path)
    except (OSError, DataSourceError, DataLayerError, RuntimeError) as error:
        raise write_error(error, path) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    return [path]


def is_own(path: Path) -> bool:
    """Say whether a file is a layer that a batch merged."""
    # Without a journal nobody is at it; to look for one SQLite would leave files behind.
    still = "" if has_journal(path) else "&immutable=1"
    query = "SELECT 1 FROM gpkg_contents WHERE table_name = ? AND description = ?"
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{still}", uri=True)
        ) as file:
            return file.execute(query, (LAYER, _MARK)).fetchone() is not None
    except sqlite3.Error:
        return False


def _left_out(outcome: Outcome, reason: object) -> str:
    return f"{outcome.task.name}: not in {NAME}: {' '.join(str(reason).split())}"


def _legend(root: Path, outcome: Outcome) -> Legend | None:
    try:
        text = (root / outcome.outputs["record"]).read_text(encoding="utf-8")
        record: dict[str, Any] = json.loads(text)
        return Legend.from_dict(record["classes"])
    except (OSError, ValueError, KeyError, RsclipError):
        return None
