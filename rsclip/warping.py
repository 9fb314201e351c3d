"""The working grid: a WarpedVRT over the scene, of the same extent at another pixel size."""

import math
from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import rasterio
from rasterio.dtypes import dtype_rev, typename_fwd
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT

from rsclip.types import Shape
from rsclip.validity import Validity

__all__ = ["open_warped"]


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
    if values and (validity.mask or validity.alpha is not None):
        # The warper heeds a nodata value or a mask, never both: make them one alpha band.
        dataset, values = _with_one_alpha(dataset, validity), set()
    elif validity.alpha is None and not validity.everywhere:
        # Masks of any kind come along only as an alpha band of the VRT's own.
        options["add_alpha"] = True
    if len(values) == 1:
        options["src_nodata"] = values.pop()
    elif not values:
        # A declared value yields to mask and alpha.
        nan = validity.finite and not validity.mask and validity.alpha is None
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
    image = [band for band in dataset.indexes if band != validity.alpha]
    declared = _vrt(dataset)
    for number, band in enumerate(image, 1):
        element = _band(declared, number, dataset.dtypes[band - 1], [(dataset.name, str(band))])
        SubElement(element, "NoDataValue").text = repr(float(validity.nodata[band]))
    unlike = _vrt(dataset)
    masks = [(_text(declared), f"mask,{number}") for number in range(1, len(image) + 1)]
    _band(unlike, 1, "uint8", masks, "sum")
    own = (dataset.name, "mask,1" if validity.mask else str(validity.alpha))
    root = _vrt(dataset)
    for band in dataset.indexes:
        _band(root, band, dataset.dtypes[band - 1], [(dataset.name, str(band))])
    alpha = _band(root, dataset.count + 1, "uint8", [(_text(unlike), "1"), own], "mul")
    SubElement(alpha, "ColorInterp").text = "Alpha"
    joined: DatasetReader = rasterio.open(_text(root))
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
