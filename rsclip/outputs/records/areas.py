"""`<stem>_areas.csv`: how much of the scene each class covers."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rsclip.outputs.files.disk import write_error

__all__ = ["COLUMNS", "write_areas"]

COLUMNS = ("class", "value", "pixels", "m2", "hectares", "share", "mean_confidence")


def write_areas(path: str | Path, results: Sequence[Mapping[str, Any]]) -> None:
    """Write one row a class, 0 (unclassified) first; UTF-8, commas, points.

    Args:
        path: The file.
        results: The run record's: name, value, pixels, m2 (ground, or None where the scene has no
            place on Earth), share of the valid pixels, mean_confidence (or None). None becomes an
            empty cell.

    Raises:
        WriteError: The file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for item in results:
        area = item["m2"]
        writer.writerow(
            [
                item["name"],
                item["value"],
                item["pixels"],
                *(("", "") if area is None else (f"{area:.4f}", f"{area / 1e4:.8f}")),
                f"{item['share']:.6f}",
                "" if item["mean_confidence"] is None else f"{item['mean_confidence']:.4f}",
            ]
        )
    try:
        Path(path).write_text(text.getvalue(), encoding="utf-8", newline="")
    except OSError as error:
        raise write_error(error, path) from error
