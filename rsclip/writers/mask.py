"""The label mask: one band of class values with their colours."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.features import sieve
from rasterio.transform import Affine
from rasterio.windows import Window

from rsclip.legend import Legend
from rsclip.palette import NODATA_RGBA
from rsclip.types import Shape
from rsclip.writers.cog import Bands, CogWriter, checksums_of

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

    def sieve(self, pixels: int) -> None:
        """Merge regions of fewer pixels into their largest neighbour, when all rows are written.

        Pixels of a region touch by their sides. Nodata is no region and gains no pixels; what only
        nodata surrounds stays. GDAL's sieve reads line by line and holds some bytes per region;
        its result goes through a temporary file.

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
            # Without a place on Earth there is nothing to warn of: these files go again.
            with self._guard(), warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                self._write_valid(valid)
                out = np.memmap(sieved, self._dtype, "w+", shape=self._shape)
                with rasterio.open(valid) as mask, rasterio.open(self._draft) as draft:
                    sieve(rasterio.band(draft, 1), pixels, out=out, mask=rasterio.band(mask, 1))
                with rasterio.open(self._draft, "r+") as draft:
                    for top in range(0, self._shape[0], self._rows):
                        rows = out[top : top + self._rows]
                        window = Window(0, top, self._shape[1], len(rows))
                        draft.write(rows, 1, window=window)
                del out
                self._checksums = checksums_of(self._draft, self._rows)
        finally:
            for path in (valid, sieved):
                path.unlink(missing_ok=True)

    def _write_valid(self, path: Path) -> None:
        """Write which pixels have data, one bit each."""
        height, width = self._shape
        settings = {"driver": "GTiff", "dtype": "uint8", "count": 1, "nbits": 1}
        layout = {"tiled": True, "blockxsize": 512, "blockysize": 128, "compress": "DEFLATE"}
        with rasterio.open(path, "w", height=height, width=width, **settings, **layout) as mask:
            for top, labels in self.reread():
                window = Window(0, top, width, labels.shape[1])
                mask.write((labels != self._bands.nodata).astype(np.uint8), window=window)
