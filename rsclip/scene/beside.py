"""Another raster, such as heights, read on a scene's own grid."""

from typing import Self

import numpy as np
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterioWindow

from rsclip.errors import ReadError, SceneError
from rsclip.scene.gdal import guarded
from rsclip.scene.reading import open_raster
from rsclip.scene.scene import Scene
from rsclip.types import FloatArray, Window

__all__ = ["RasterBeside"]

_LOOK = 256


class RasterBeside:
    """The first band of a raster of any grid, warped on the fly; a context manager, for one thread.

    Args:
        path: The raster.
        scene: The open scene.

    Raises:
        SceneError: It cannot be opened, or it is not known where on the scene it lies.
    """

    def __init__(self, path: str, scene: Scene) -> None:
        self._path = path
        with guarded(path):
            self._dataset = open_raster(path)
            if not (_known(self._dataset.crs) and _known(scene.crs)):
                self._dataset.close()
                raise SceneError(
                    "it is not known where on the scene it lies: one of them has no CRS on Earth",
                    where=path,
                    remedy="Give both a CRS: `gdal_edit.py -a_srs EPSG:CODE FILE`.",
                )
            # Bands without data values get them here, so that what lies outside is told.
            nodata = self._dataset.nodata
            self._grid = WarpedVRT(
                self._dataset,
                crs=scene.crs,
                transform=scene.transform,
                height=scene.shape[0],
                width=scene.shape[1],
                resampling=Resampling.bilinear,
                src_nodata=nodata,
                nodata=np.nan,
                dtype="float32",
            )

    def read(self, window: Window) -> FloatArray:
        """Return the values in a window of the scene's own grid, float32 (h, w), NaN without data.

        Raises:
            ReadError: They cannot be read.
        """
        place = RasterioWindow(window.col, window.row, window.width, window.height)
        with guarded(self._path, ReadError, what="its pixels cannot be read"):
            values: FloatArray = self._grid.read(1, window=place)
        return values

    def share(self) -> float:
        """Return the share of the scene that it has values for, looked at coarsely: 0 to 1."""
        height, width = self._grid.shape
        step = max(height, width) / _LOOK
        shape = max(round(height / max(step, 1)), 1), max(round(width / max(step, 1)), 1)
        with guarded(self._path, ReadError, what="its pixels cannot be read"):
            values = self._grid.read(1, out_shape=shape)
        return float(np.isfinite(values).mean())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._grid.close()
        self._dataset.close()


def _known(crs: CRS | None) -> bool:
    return bool(crs and (crs.is_geographic or crs.is_projected))
