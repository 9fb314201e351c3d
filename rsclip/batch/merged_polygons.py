"""`polygons.gpkg`: the polygons of all scenes in one layer."""

import contextlib
import json
import sqlite3
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyogrio
import pyproj

from rsclip.batch.lonlat import to_lonlat
from rsclip.batch.manifest import POLYGONS
from rsclip.batch.mosaic import finished
from rsclip.batch.tasks import Outcome
from rsclip.errors import RsclipError, WriteError
from rsclip.files import new_file
from rsclip.outputs.files.disk import write_error
from rsclip.outputs.polygonize import read_polygons, read_polygons_crs
from rsclip.outputs.polygons.formats import LAYER
from rsclip.outputs.polygons.frame_crs import FrameCRS
from rsclip.outputs.polygons.gpkg_style import embed_style
from rsclip.run.resume import has_journal
from rsclip.scene.gdal import GDAL_ERRORS
from rsclip.words.legend import Legend

if TYPE_CHECKING:
    import geopandas

__all__ = ["is_own", "merge_polygons"]

_MARK = "Polygons of a batch, by rsclip"


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
        note: Called with a message about each scene that cannot take part.
        claim: Called with the file's name before it is written.

    Returns:
        The file; none if no scene has polygons.

    Raises:
        WriteError: It cannot be written, or is open, or polygons of an earlier one cannot be read.
    """
    path = root / POLYGONS
    placed: list[tuple[Outcome, Path, pyproj.CRS]] = []
    unread = 0
    for outcome, _ in finished(root, outcomes):
        if "polygons" not in outcome.outputs:
            continue
        file = root / outcome.outputs["polygons"]
        try:
            crs = read_polygons_crs(file)
        # Whatever is wrong with the file, only its own scene is left out.
        except Exception as error:
            note(_left_out(outcome, error))
            unread += 1
            continue
        if crs is None:
            note(_left_out(outcome, "its polygons have no CRS"))
        else:
            placed.append((outcome, file, crs))
    if unread:
        _keep_earlier(path)
    if not placed:
        note(f"no {POLYGONS}: no scene has polygons")
        return []
    if has_journal(path):
        raise WriteError(
            "it is open in another program, or was not closed",
            where=path,
            remedy="Close it there, and run the batch again.",
        )
    one_crs = len({crs for _, _, crs in placed}) == 1
    merged: list[Outcome] = []
    try:
        with new_file(path) as draft:
            draft.unlink(missing_ok=True)
            for outcome, file, _ in placed:
                try:
                    frame = read_polygons(file)
                    frame, whole = frame if one_crs else to_lonlat(frame), len(frame)
                except Exception as error:
                    note(_left_out(outcome, error))
                    _keep_earlier(path)
                    continue
                if gone := whole - len(frame):
                    note(_left_out(outcome, f"{gone} polygons that lie partly off the Earth"))
                _append(frame.assign(scene=outcome.task.name), draft)
                merged.append(outcome)
            if not merged:
                raise WriteError("polygons of no scene can be read", where=path)
            legends = [_legend(root, outcome) for outcome in merged]
            if legends[0] is not None and all(item == legends[0] for item in legends):
                embed_style(draft, legends[0])
            claim([POLYGONS])
    except GDAL_ERRORS as error:
        raise write_error(error, path) from error
    return [path]


def _keep_earlier(path: Path) -> None:
    """Refuse to replace an earlier file that may have polygons which cannot be read now."""
    if path.exists():
        # The drive may be away for a moment.
        raise WriteError(
            "not written: polygons of a scene cannot be read, and the file of an earlier batch "
            "stays",
            where=path,
            remedy="Run the batch again, with --overwrite where the polygons are damaged.",
        )


def _append(frame: "geopandas.GeoDataFrame", draft: Path) -> None:
    kind = "MultiPolygon" if len(frame) == 0 else "Unknown"
    if frame.crs is not None:
        frame = frame.set_crs(FrameCRS(frame.crs.to_wkt()), allow_override=True)
    with warnings.catch_warnings():
        # GDAL warns of the draft's name, which does not end in .gpkg.
        warnings.filterwarnings("ignore", message=".*extension", category=RuntimeWarning)
        pyogrio.write_dataframe(
            frame, draft, driver="GPKG", layer=LAYER, append=draft.exists(), geometry_type=kind,
            layer_options={} if draft.exists() else {"DESCRIPTION": _MARK},
        )  # fmt: skip


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
    text = reason.what if isinstance(reason, RsclipError) else " ".join(str(reason).split())
    return f"{outcome.task.name}: not in {POLYGONS}: {text}"


def _legend(root: Path, outcome: Outcome) -> Legend | None:
    try:
        text = (root / outcome.outputs["record"]).read_text(encoding="utf-8")
        record: dict[str, Any] = json.loads(text)
        return Legend.from_dict(record["classes"])
    except (OSError, ValueError, KeyError, RsclipError):
        return None
