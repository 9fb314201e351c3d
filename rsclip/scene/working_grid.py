"""Reading the working grid: warped windows, with what cannot be read left out piece by piece."""

import math
from collections.abc import Callable, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
from numpy.typing import NDArray
from rasterio.dtypes import dtype_rev, typename_fwd
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.io import DatasetReader
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterioWindow

from rsclip.errors import OptionError, ReadError, SceneError
from rsclip.scene.bands import Bands
from rsclip.scene.gdal import GDAL_ERRORS, open_dataset, refusing_spoilt_data
from rsclip.scene.reading import Handles, inside, pieces, whole
from rsclip.scene.validity import Validity
from rsclip.types import BoolArray, Shape, Window

__all__ = ["WorkingGrid", "open_warped"]

_FARTHEST = 100.0

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
            with refusing_spoilt_data():
                data = warped.read(list(self._bands.image), window=place)
            if self._validity.alpha is None and ColorInterp.alpha not in warped.colorinterp:
                return data, np.ones(window.shape, np.bool_)
            alpha = warped.colorinterp.index(ColorInterp.alpha) + 1
            return data, warped.read(alpha, window=place) > 0
        except GDAL_ERRORS:
            self.close()
            raise


def is_within_reach(size_m: tuple[float, float], gsd: float) -> bool:
    """Say whether a scene with pixels of `size_m` metres can be worked at `gsd` metres."""
    # A pixel size is measured: 100 times off may come out as 99.99.
    return all(1.01 * size / _FARTHEST < gsd < size * _FARTHEST / 1.01 for size in size_m)


def working_shape(shape: Shape, size_m: tuple[float, float] | None, gsd: float) -> Shape:
    """Return the shape of the grid that covers the same extent with pixels of `gsd` metres.

    Raises:
        SceneError: The pixel size in metres is unknown.
        OptionError: `gsd` is 100 times off the scene's pixels or more.
    """
    if size_m is None:
        raise SceneError(
            "--gsd needs to know the pixel size in metres, and the scene's CRS does not tell it",
            remedy="Leave --gsd away, or give the scene its CRS: `gdal_edit.py -a_srs CRS SCENE`.",
        )
    if not is_within_reach(size_m, gsd):
        raise OptionError(
            f"{gsd:g} m is {_FARTHEST:g} times off or more from the scene's pixels "
            f"of {size_m[0]:.4g} x {size_m[1]:.4g} m",
            where="--gsd",
            remedy="Give the pixel size to work at, in metres, near the scene's own.",
        )
    height, width = (
        max(1, round(pixels * size / gsd)) for pixels, size in zip(shape, size_m, strict=True)
    )
    return height, width


def open_warped(
    dataset: DatasetReader,
    validity: Validity,
    transform: Affine,
    shape: Shape,
    *,
    palette: bool,
) -> WarpedVRT:
    """Open a raster on a grid of the same extent: means where it is coarser, bilinear where finer.

    The last band or the mask tells which pixels hold data; those that do not take no part in the
    others' means.

    Args:
        dataset: The raster, with a CRS.
        validity: Where it says which of its pixels hold data.
        transform: Of the working grid.
        shape: (height, width) of the working grid.
        palette: Pixels are indices, which no mean makes sense of.
    """
    coarser = shape[0] < dataset.height or shape[1] < dataset.width
    smooth = Resampling.average if coarser else Resampling.bilinear
    options: dict[str, Any] = {}
    values = set(validity.nodata.values())
    told_by = len(validity.masks) + (validity.alpha is not None) + bool(values)
    shared = MaskFlags.per_dataset in dataset.mask_flag_enums[0]
    if told_by > 1 or (validity.masks and not shared):
        # The warper heeds a nodata value or one mask of the whole file: make all one alpha band.
        dataset, values = _with_one_alpha(dataset, validity), set()
    elif validity.alpha is None and not validity.everywhere:
        # Masks of any kind come along only as an alpha band of the VRT's own.
        options["add_alpha"] = True
    if len(values) == 1:
        options["src_nodata"] = values.pop()
    elif not values:
        # A declared value yields to mask and alpha.
        nan = validity.finite and not validity.masks and validity.alpha is None
        options["src_nodata"] = math.nan if nan else None
    return WarpedVRT(
        dataset,
        crs=dataset.crs,
        transform=transform,
        height=shape[0],
        width=shape[1],
        resampling=Resampling.nearest if palette else smooth,
        # A pixel is nodata where all bands are, as `dataset_mask()` has it.
        UNIFIED_SRC_NODATA="YES",
        **options,
    )


def _with_one_alpha(dataset: DatasetReader, validity: Validity) -> DatasetReader:
    """Return the raster with one alpha band, last, of all that says which pixels hold data.

    In bytes, GDAL's sum of masks (0 or 255) is their "or", its product their "and".
    """
    tell = [(dataset.name, f"mask,{band}") for band in validity.masks]
    if validity.alpha is not None:
        tell.append((dataset.name, str(validity.alpha)))
    if validity.nodata:
        declared, unlike = _vrt(dataset), _vrt(dataset)
        for number, (band, value) in enumerate(validity.nodata.items(), 1):
            element = _band(declared, number, dataset.dtypes[band - 1], [(dataset.name, str(band))])
            SubElement(element, "NoDataValue").text = repr(float(value))
        names = [(_text(declared), f"mask,{i}") for i in range(1, len(validity.nodata) + 1)]
        _band(unlike, 1, "uint8", names, "sum")
        tell.append((_text(unlike), "1"))
    root = _vrt(dataset)
    for band in dataset.indexes:
        _band(root, band, dataset.dtypes[band - 1], [(dataset.name, str(band))])
    alpha = _band(root, dataset.count + 1, "uint8", tell, "mul" if len(tell) > 1 else None)
    SubElement(alpha, "ColorInterp").text = "Alpha"
    joined: DatasetReader = open_dataset(_text(root))
    return joined


def _vrt(dataset: DatasetReader) -> Element:
    root = Element("VRTDataset", rasterXSize=str(dataset.width), rasterYSize=str(dataset.height))
    SubElement(root, "SRS").text = dataset.crs.to_wkt()
    SubElement(root, "GeoTransform").text = ",".join(map(repr, dataset.transform.to_gdal()))
    return root


def _band(
    root: Element,
    number: int,
    dtype: str,
    sources: Sequence[tuple[str, str]],
    function: str | None = None,
) -> Element:
    """Add a band that is one source's (name, band), or a GDAL pixel function of several."""
    gdal_type = typename_fwd[dtype_rev[dtype]]
    band = SubElement(root, "VRTRasterBand", dataType=gdal_type, band=str(number))
    if function:
        band.set("subClass", "VRTDerivedRasterBand")
        SubElement(band, "PixelFunctionType").text = function
    for name, source in sources:
        element = SubElement(band, "SimpleSource")
        SubElement(element, "SourceFilename", relativeToVRT="0").text = name
        SubElement(element, "SourceBand").text = source
    return band


def _text(root: Element) -> str:
    return tostring(root, encoding="unicode")
