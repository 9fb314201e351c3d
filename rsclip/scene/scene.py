"""A raster as the pipeline sees it: three bands, valid pixels, a working grid, windowed reads."""

import copy
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.io import DatasetReader
from rasterio.transform import Affine

from rsclip.config import OnReadError, OutputGrid
from rsclip.errors import SceneError, warn
from rsclip.geo.grid import pixel_size_m
from rsclip.scene.aoi import read_aoi
from rsclip.scene.bands import choose_bands, name_bands
from rsclip.scene.gdal import GDAL_ERRORS, guarded, reason
from rsclip.scene.reading import Handles, held_bytes, open_raster
from rsclip.scene.sampling import Overviews, Sampler, reflect
from rsclip.scene.source import check_usable, open_error, stem_of
from rsclip.scene.validity import find_validity
from rsclip.scene.working_grid import WorkingGrid, working_shape
from rsclip.types import BoolArray, Shape, Window

__all__ = ["GDAL_CACHE_MB", "Scene", "gdal_env"]

# Freed blocks stay with the thread that read them: peak memory may hold this much twice.
GDAL_CACHE_MB = 32

Pixels = NDArray[Any]


def gdal_env() -> rasterio.Env:
    """Return the GDAL settings that all reading and writing happens under, as a context manager.

    What the user has set in the environment stays.
    """
    settings = {
        # rasterio hands this to GDALSetCacheMax, which counts bytes.
        "GDAL_CACHEMAX": GDAL_CACHE_MB * 2**20,
        "GDAL_HTTP_CONNECTTIMEOUT": 10,
        "GDAL_HTTP_MAX_RETRY": 3,
        "GDAL_HTTP_RETRY_DELAY": 1,
    }
    return rasterio.Env(**{k: v for k, v in settings.items() if k not in os.environ})


class Scene:
    """A raster open for reading; use it as a context manager, in one thread.

    Attributes:
        source: The scene as it was named.
        files: The files that GDAL reads for it; of a mosaic (VRT), those it is made of too.
        aoi: The area of interest on the scene's grid, or None.
        stem: The name that outputs begin with.
        shape: (height, width) in pixels.
        crs: Coordinate reference system, or None.
        transform: From (column, row) to coordinates.
        dtype: Type of the chosen bands' pixels in the file.
        band_count: Bands in the file.
        bands: 1-based bands used as red, green, blue.
        band_names: 1-based bands by name (blue, green, red, rededge, nir, swir, swir2), as far as
            they are known.
        alpha: 1-based alpha band, or None.
        declares_nodata: The file itself has a nodata value for every chosen band.
        has_palette: The band's pixels are colours of a palette.
        full_range: Pixel values that the file has as black and as white: see `Bands`.
        valid_source: Where the valid mask comes from, in words.
        pixel_size_m: Metres (from row to row, from column to column) at the centre, or None.
        working_shape: (height, width) of the working grid.
        working_transform: From (column, row) of the working grid to coordinates.
        scale: Scene pixels per working pixel along (rows, columns).
        held_bytes: Of the file, in memory for each time it is open.
    """

    def __init__(
        self,
        source: str,
        dataset: DatasetReader,
        *,
        bidx: Sequence[int] | None = None,
        nodata: float | None = None,
        gsd: float | None = None,
        aoi: str | None = None,
        on_read_error: OnReadError = "fail",
        resample_output: OutputGrid = "scene",
    ) -> None:
        self.source = source
        self.files: tuple[str, ...] = tuple(dataset.files)
        self.stem = stem_of(source)
        self.shape: Shape = dataset.shape
        self.crs: CRS | None = dataset.crs or None
        self.transform: Affine = dataset.transform
        self.band_count: int = dataset.count
        self._bands = choose_bands(dataset, bidx)
        self._validity = find_validity(dataset, self._bands, nodata)
        self.band_names = name_bands(dataset, self._bands)
        self.bands = self._bands.image
        self.alpha = self._bands.alpha
        self.has_palette = self._bands.palette is not None
        self.full_range = self._bands.full_range
        own = [dataset.nodatavals[band - 1] for band in self.bands]
        self.declares_nodata = None not in own
        self.valid_source = self._validity.words
        self.dtype = str(np.result_type(*(dataset.dtypes[band - 1] for band in self.bands)))
        self.pixel_size_m = pixel_size_m(self.crs, self.transform, self.shape)
        self._file_grid: tuple[Shape, Affine] = (self.shape, self.transform)
        self._resample_output, self._aoi_text = resample_output, aoi
        self.work_at(gsd)
        self._overviews = Overviews.of(dataset, nodata, self.has_palette)
        self.held_bytes = held_bytes(dataset)
        self._handles = Handles(source, dataset, on_read_error)
        self._working: WorkingGrid | None = None

    @classmethod
    def open(
        cls,
        source: str | Path,
        *,
        bidx: Sequence[int] | None = None,
        nodata: float | None = None,
        gsd: float | None = None,
        aoi: str | None = None,
        on_read_error: OnReadError = "fail",
        resample_output: OutputGrid = "scene",
    ) -> Self:
        """Open a raster and check that it can be segmented; no pixel is read.

        Args:
            source: A file, URL (http, https, s3, ...) or GDAL virtual path.
            bidx: 1-based bands as red, green, blue, or one. Default: by names and colour
                interpretation, else 1, 2, 3; a raster of one or two bands gives its first.
            nodata: Nodata value in place of the declared one.
            gsd: Pixel size of the working grid in metres. Default: the scene's own grid.
            aoi: Area outside of which no pixel is valid; see `rsclip.scene.aoi`. What is read stays
                the same: it tells `read_valid` only.
            on_read_error: "fail", or "nodata": blocks that cannot be read count as without data.
            resample_output: "scene", or "working": shape, transform and all that is read are those
                of the working grid.

        Raises:
            SceneError: It cannot be opened, or is of a kind that cannot be segmented.
            OptionError: `bidx`, `nodata`, `gsd` or `aoi` does not fit the raster.
        """
        name = str(source)
        try:
            dataset = open_raster(name)
        except GDAL_ERRORS as error:
            raise open_error(name, reason(error)) from error
        try:
            with guarded(name):
                check_usable(name, dataset)
                scene = cls(
                    name,
                    dataset,
                    bidx=bidx,
                    nodata=nodata,
                    gsd=gsd,
                    aoi=aoi,
                    on_read_error=on_read_error,
                    resample_output=resample_output,
                )
        except BaseException:
            dataset.close()
            raise
        _warn_unplaced(name, scene)
        return scene

    def work_at(self, gsd: float | None) -> None:
        """Lay the working grid, before anything is read.

        Args:
            gsd: Its pixel size in metres, or None: the scene's own grid.

        Raises:
            SceneError: The pixel size in metres is unknown.
            OptionError: `gsd` is 100 times off the scene's pixels or more, or the area of
                interest misses the scene.
        """
        shape, transform = self._file_grid
        self.working_shape = shape
        if gsd is not None:
            try:
                self.working_shape = working_shape(shape, self.pixel_size_m, gsd)
            except SceneError as error:
                raise SceneError(error.what, where=self.source, remedy=error.remedy) from None
        rows, cols = (a / b for a, b in zip(shape, self.working_shape, strict=True))
        self._file_scale: tuple[float, float] = (rows, cols)
        self.scale = self._file_scale
        self.working_transform = transform @ Affine.scale(cols, rows)
        if self._resample_output == "working":
            # From here on the working grid passes for the scene's own.
            self.shape, self.transform, self.scale = (
                self.working_shape,
                self.working_transform,
                (1.0, 1.0),
            )
        text = self._aoi_text
        self.aoi = None if text is None else read_aoi(text, self.crs, self.transform, self.shape)

    @staticmethod
    def stem_of(source: str | Path) -> str:
        """Return the name that the outputs of a source begin with."""
        return stem_of(source)

    @property
    def area_digest(self) -> str | None:
        """SHA-256 of the area of interest; None without one."""
        return None if self.aoi is None else self.aoi.digest

    def reopen(self) -> "Scene":
        """Return the same scene with handles of its own, for use in another thread."""
        twin = copy.copy(self)
        twin._handles = self._handles.twin()
        twin._working = None
        return twin

    def close(self) -> None:
        """Close the raster."""
        if self._working is not None:
            self._working.close()
        self._handles.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, window: Window) -> tuple[Pixels, BoolArray]:
        """Read a window of the working grid.

        Positions below the last row or right of the last column mirror the scene, as np.pad's
        "reflect" does, pixels and valid alike.

        Args:
            window: On the working grid; may hang over at the bottom and right.

        Returns:
            Pixels (3, h, w) of the scene's own dtype (palettes: uint8 colours), and valid (h, w):
            False throughout where no pixel of the window inside the scene is valid. Pixels that
            are not valid hold anything.

        Raises:
            ReadError: The pixels cannot be read.
        """
        height, width = self.working_shape
        if window.row_stop <= height and window.col_stop <= width:
            return self._read_working(window)
        rows = reflect(window.row, window.height, height)
        cols = reflect(window.col, window.width, width)
        row, col = int(rows.min()), int(cols.min())
        inner = Window(row, col, int(rows.max()) + 1 - row, int(cols.max()) + 1 - col)
        pixels, valid = self._read_working(inner)
        index = np.ix_(rows - row, cols - col)
        pixels, valid = pixels[:, index[0], index[1]], valid[index]
        inside = valid[: max(0, height - window.row), : max(0, width - window.col)]
        return pixels, valid if inside.any() else np.zeros_like(valid)

    def read_own(self, window: Window) -> tuple[Pixels, BoolArray]:
        """Read a window of the scene's own grid, inside it; pixels and valid as `read` gives them.

        Raises:
            ReadError: The pixels cannot be read.
        """
        return self._read_working(window) if self._presents_working else self._read(None, window)

    def read_valid(self, window: Window) -> BoolArray:
        """Read which pixels of a window of the scene's own grid are valid: bool (h, w).

        Raises:
            ReadError: The pixels cannot be read.
        """
        if self._validity.everywhere:
            valid = np.ones(window.shape, np.bool_)
        elif self._presents_working:
            valid = self._read_working(window)[1]
        else:
            valid = self._read(None, window, image=False)[1]
        lost = self._handles.lost(window)
        if lost is not None:
            valid &= ~lost
        return valid if self.aoi is None else valid & self.aoi.mask(window)

    def wanted(self, window: Window) -> bool:
        """Say whether a window of the working grid can touch a label inside the area of interest.

        Args:
            window: With what lies around it that labels are interpolated from.
        """
        rows, cols = self.scale
        place = (window.row * rows, window.col * cols, window.height * rows, window.width * cols)
        return self.aoi is None or self.aoi.touches(*place)

    def in_area(self, window: Window) -> BoolArray:
        """Return which pixels of a window of the working grid lie in the area: bool (h, w)."""
        return (
            np.ones(window.shape, np.bool_)
            if self.aoi is None
            else self.aoi.mask(window, self.scale)
        )

    @property
    def reading(self) -> dict[str, Any]:
        """What the file says of its pixels, or an .aux.xml beside it does: plain values."""
        palette = self._bands.palette
        shape, transform = self._file_grid
        return {
            "shape": shape,
            "crs": self.crs.to_wkt() if self.crs else None,
            "transform": tuple(transform)[:6],
            "bands": self.bands,
            "band_names": self.band_names,
            "palette": None if palette is None else palette.tolist(),
            "valid_source": self.valid_source,
        }

    @property
    def unreadable(self) -> set[Window]:
        """Windows of the scene's own grid that could not be read, as far as they were tried."""
        return self._handles.unreadable

    def sample(self, max_side: int = 1024) -> tuple[Pixels, BoolArray]:
        """Read pixels spread evenly over the whole scene: (3, h, w) and valid (h, w).

        They come from overviews where these fit the pixels; a warning says where they do not.

        Args:
            max_side: Longest side of the sample in pixels.

        Raises:
            ReadError: The pixels cannot be read.
        """
        found = self._sampler.sample(max_side)
        if self._presents_working:
            # What could not be read here was counted in the file's own pixels.
            self._handles.unreadable.clear()
        return found

    def chunks(self) -> Iterator[tuple[Pixels, BoolArray]]:
        """Read the whole scene piece by piece, whole blocks at a time.

        Raises:
            ReadError: The pixels cannot be read.
        """
        return self._sampler.chunks()

    @property
    def _sampler(self) -> Sampler:
        return Sampler(self.source, self._handles, self._read, self._overviews)

    def _read_working(self, window: Window) -> tuple[Pixels, BoolArray]:
        """Read a window of the working grid, inside it."""
        if self.working_shape == self._file_grid[0]:
            return self._read(None, window)
        if self._working is None:
            self._working = WorkingGrid(
                self._handles,
                self._validity,
                self._bands,
                self.working_transform,
                self.working_shape,
                (lambda place: place) if self._presents_working else self._under,
            )
        return self._working.read(window)

    @property
    def _presents_working(self) -> bool:
        return self.shape != self._file_grid[0]

    def _under(self, window: Window) -> Window:
        """Return the window of the scene's own grid under one of the working grid."""
        (rows, cols), (height, width) = self._file_scale, self._file_grid[0]
        row, col = math.floor(window.row * rows), math.floor(window.col * cols)
        bottom = min(math.ceil(window.row_stop * rows), height)
        right = min(math.ceil(window.col_stop * cols), width)
        return Window(row, col, bottom - row, right - col)

    def _read(
        self, level: int | None, window: Window, *, image: bool = True
    ) -> tuple[Pixels, BoolArray]:
        """Read a window of the scene's own grid or of an overview."""
        needed = set(self._validity.bands(self.bands)) | (set(self.bands) if image else set())
        bands = sorted(needed)
        data, mask, lost = self._handles.read(level, bands, window, masks=self._validity.masks)
        pixels = dict(zip(bands, data, strict=True))
        valid = self._validity.of(pixels, mask, self._bands)
        if valid is None:
            valid = np.ones(window.shape, np.bool_)
        if lost is not None:
            valid = valid & ~lost
        if not image:
            return np.empty((0, *window.shape)), valid
        if self._bands.palette is not None:
            return self._bands.palette[pixels[self.bands[0]], :3].transpose(2, 0, 1), valid
        if tuple(bands) == self.bands:
            return data, valid
        return np.stack([pixels[band] for band in self.bands]), valid


def _warn_unplaced(source: str, scene: Scene) -> None:
    if scene.transform.is_identity:
        what = "no georeference"
    elif scene.crs is None:
        what = "no coordinate reference system (CRS)"
    else:
        return
    warn(f"{source}: {what}: the outputs will have none either")
