"""The label mask: one band of class values with their colours."""

from collections.abc import Mapping
from pathlib import Path

from rasterio.crs import CRS
from rasterio.transform import Affine

from rsclip.legend import Legend
from rsclip.palette import NODATA_RGBA
from rsclip.types import Shape
from rsclip.writers.cog import Bands, CogWriter

__all__ = ["MaskWriter"]

_DESCRIPTION = "class"


class MaskWriter(CogWriter):
    """Write labels, legend.dtype (n, W), row by row into a COG.

    Args:
        path: The COG. A temporary file stands beside it until `finish`.
        shape: (height, width) in pixels.
        crs: The scene's, or None.
        transform: The scene's.
        legend: Gives data type, nodata value and colour table.
        tags: Metadata items of the file.

    Raises:
        WriteError: The file cannot be made.
    """

    def __init__(
        self,
        path: str | Path,
        shape: Shape,
        crs: CRS | None,
        transform: Affine,
        legend: Legend,
        tags: Mapping[str, str],
    ) -> None:
        colours = {value: (*colour, 255) for value, colour in legend.colours.items()}
        colours[legend.nodata] = NODATA_RGBA
        bands = Bands([_DESCRIPTION], legend.dtype, legend.nodata, "MODE", colours)
        super().__init__(path, shape, crs, transform, bands, tags)
