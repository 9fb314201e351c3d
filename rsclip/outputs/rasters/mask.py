"""The label mask: one band of class values with their colours."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.windows import Window

from rsclip.outputs.rasters.cog import Bands, CogWriter, checksums_of
from rsclip.scene.gdal import open_dataset
from rsclip.types import Shape
from rsclip.vectors.sieving import sieve_labels, write_scratch
from rsclip.words.colours import NODATA_RGBA
from rsclip.words.legend import Legend

__all__ = ["MaskWriter"]

_DESCRIPTION = "class"


class MaskWriter(CogWriter):
    """Write labels, legend.dtype (n, W), row by row into a COG.

    Args:
        path: This and the other arguments are those of `CogWriter`.
        legend: Gives data type, nodata value and colour table.
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

    def sieve(self, pixels: int) -> None:
        """Merge regions of fewer pixels into their largest neighbour, when all rows are written.

        Pixels of a region touch by their sides. Nodata is no region and gains no pixels; what only
        nodata surrounds stays. The result goes through a temporary file.

        Args:
            pixels: The least size of a region that stays.

        Raises:
            ValueError: Rows are missing.
            WriteError: The disk is full, or the file cannot be written.
        """
        self._close_whole()
        valid = self._draft.with_name(f"{self._path.stem}-valid.tif")
        sieved = self._draft.with_name(f"{self._path.stem}-sieved.raw")
        try:
            with self._guard():
                write_scratch(valid, self._shape, "uint8", self._valid(), nbits=1)
                out = sieve_labels(self._draft, valid, sieved, pixels)
                with open_dataset(self._draft, "r+") as draft:
                    for top in range(0, self._shape[0], self._rows):
                        rows = out[top : top + self._rows]
                        window = Window(0, top, self._shape[1], len(rows))
                        draft.write(rows, 1, window=window)
                del out
                self._checksums = checksums_of(self._draft, self._rows)
        finally:
            for path in (valid, sieved):
                path.unlink(missing_ok=True)

    def _valid(self) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield which pixels have data, block by block."""
        for top, labels in self.reread():
            yield top, (labels[0] != self._bands.nodata).astype(np.uint8)
