"""Score rasters beside the mask: confidence, margin and the probabilities of all classes."""

from collections.abc import Mapping
from pathlib import Path

from rasterio.crs import CRS
from rasterio.transform import Affine

from rsclip.outputs.rasters.cog import Bands, CogWriter
from rsclip.types import Shape
from rsclip.words.legend import Legend

__all__ = ["NO_SCORE", "SCORES", "score_writer"]

NO_SCORE = 255
"""Nodata value of score rasters; scores are 0 to 100 percent."""

SCORES = ("confidence", "margin", "probabilities")
"""Names of the score rasters: option, and end of the file's stem."""


def score_writer(
    kind: str,
    path: str | Path,
    shape: Shape,
    crs: CRS | None,
    transform: Affine,
    legend: Legend,
    tags: Mapping[str, str],
) -> CogWriter:
    """Return a writer of whole percent, uint8, on the scene's grid.

    Args:
        kind: One of `SCORES`. Probabilities have a band per class that is written, in order of
            value and named after it; background classes have none.
        path: The COG.
        shape: (height, width) in pixels.
        crs: The scene's, or None.
        transform: The scene's.
        legend: Classes.
        tags: Metadata items of the file.

    Raises:
        WriteError: The file cannot be made.
    """
    names = [item.name for item in legend.foreground] if kind == "probabilities" else [kind]
    bands = Bands(names, "uint8", NO_SCORE, "AVERAGE")
    return CogWriter(path, shape, crs, transform, bands, {**tags, "RSCLIP_UNIT": "percent"})
