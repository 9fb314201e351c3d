"""Another raster, such as heights, read on a scene's own grid."""

from typing import Self

import numpy as np
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
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
        self._path, self._scene = path, scene
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

    def touches(self) -> bool:
        """Say whether its frame may reach the scene's; no pixel is read."""
        corners = [self._scene.transform @ (x * self._scene.shape[1], y * self._scene.shape[0])
                   for x in (0, 1) for y in (0, 1)]  # fmt: skip
        (left, *_, right), (bottom, *_, top) = (sorted(each) for each in zip(*corners, strict=True))
        with guarded(self._path):
            west, south, east, north = transform_bounds(
                self._dataset.crs, self._scene.crs, *self._dataset.bounds
            )
        # What lies around a pole or across the date line has no frame that tells.
        whole = not np.isfinite([west, south, east, north]).all() or west > east
        return whole or (west < right and left < east and south < top and bottom < north)

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
