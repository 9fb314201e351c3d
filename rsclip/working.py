"""Reading the working grid: warped windows, with what cannot be read left out piece by piece."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterioWindow

from rsclip.bands import Bands
from rsclip.damage import refusing_damage
from rsclip.errors import ReadError
from rsclip.handles import RASTERIO_ERRORS, Handles, inside, pieces, whole
from rsclip.types import BoolArray, Shape, Window
from rsclip.validity import Validity
from rsclip.warping import open_warped

__all__ = ["WorkingGrid"]

# What GDAL warps as one, whatever is asked for: a bad block below takes all of it along.
_WARPED_BLOCK = (128, 512)

Pixels = NDArray[Any]


class WorkingGrid:
    """A scene on its working grid; for one thread.

    Args:
        handles: Of the raster.
        validity: Where it says which of its pixels hold data.
        bands: The image bands.
        transform: Of the working grid.
        shape: (height, width) of the working grid.
        place: From a window of the working grid to the one that is listed as unreadable.
    """

    def __init__(
        self,
        handles: Handles,
        validity: Validity,
        bands: Bands,
        transform: Affine,
        shape: Shape,
        place: Callable[[Window], Window],
    ) -> None:
        self._handles = handles
        self._validity = validity
        self._bands = bands
        self._transform = transform
        self._shape = shape
        self._place = place
        self._warped: WarpedVRT | None = None

    def close(self) -> None:
        """Close what is open; a further read opens it anew."""
        if self._warped is not None:
            self._warped.close()
            self._warped = None

    def read(self, window: Window) -> tuple[Pixels, BoolArray]:
        """Read a window inside the grid: pixels (3, h, w), palettes as colours, and valid (h, w).

        Raises:
            ReadError: The pixels cannot be read, and that is not to be passed over.
        """
        if self._handles.lost(self._place(window)) is not None:
            return self._read_pieces(window)
        try:
            data, valid = self._read_once(window)
        except ReadError:
            if not self._handles.tolerant:
                raise
            return self._read_pieces(window)
        return self._finish(data, valid)

    def _read_pieces(self, window: Window) -> tuple[Pixels, BoolArray]:
        """Read by the blocks that GDAL warps as one, leaving out those that fail."""
        pixels: Pixels | None = None
        valid = np.zeros(window.shape, np.bool_)
        for piece in pieces(_WARPED_BLOCK, window):
            lost = self._handles.lost(self._place(piece))
            if lost is not None and lost.all():
                continue
            try:
                part, part_valid = self._finish(*self._read_once(piece))
            except ReadError as error:
                block = whole(piece, _WARPED_BLOCK, self._shape)
                self._handles.give_up(self._place(block), error)
                continue
            place = inside(window, piece)
            if pixels is None:
                pixels = np.zeros((3, *window.shape), part.dtype)
            pixels[:, *place], valid[place] = part, part_valid
        if pixels is None:
            pixels = np.zeros((3, *window.shape), np.uint8)
        return pixels, valid

    def _read_once(self, window: Window) -> tuple[Pixels, BoolArray]:
        return self._handles.trying(window, " of the working grid", lambda: self._read(window))

    def _finish(self, data: Pixels, valid: BoolArray) -> tuple[Pixels, BoolArray]:
        if data.dtype.kind == "f":
            valid &= np.isfinite(data).all(axis=0)
        if self._bands.palette is not None:
            colour = self._bands.palette[data[0]]
            return colour[..., :3].transpose(2, 0, 1), valid & (colour[..., 3] > 0)
        return data, valid

    def _read(self, window: Window) -> tuple[Pixels, BoolArray]:
        place = RasterioWindow(window.col, window.row, window.width, window.height)
        try:
            if self._warped is None:
                self._warped = open_warped(
                    self._handles.dataset(None),
                    self._validity,
                    self._transform,
                    self._shape,
                    palette=self._bands.palette is not None,
                )
            warped = self._warped
            with refusing_damage():
                data = warped.read(list(self._bands.image), window=place)
            if self._validity.alpha is None and ColorInterp.alpha not in warped.colorinterp:
                return data, np.ones(window.shape, np.bool_)
            alpha = warped.colorinterp.index(ColorInterp.alpha) + 1
            return data, warped.read(alpha, window=place) > 0
        except RASTERIO_ERRORS:
            self.close()
            raise
