"""The working grid: a WarpedVRT over the scene, of the same extent at another pixel size."""

import math
from typing import Any

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
    if validity.alpha is None and not validity.everywhere:
        # Masks of any kind come along only as an alpha band of the VRT's own.
        options["add_alpha"] = True
        if len(values) == 1:
            options["src_nodata"] = values.pop()
        elif validity.finite and not validity.mask:
            options["src_nodata"] = math.nan
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
