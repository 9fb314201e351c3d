"""Which files of a folder are rasters, by the suffixes of GDAL's drivers."""

import functools
from collections.abc import Iterable
from pathlib import Path

from rasterio.drivers import raster_driver_extensions

__all__ = ["raster_files", "raster_suffixes"]

# Pictures may be scenes (drone photos, screenshots of maps), or quicklooks beside one.
_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"})
# Some drivers read files of these suffixes too, but do not tell GDAL so.
_UNDECLARED = frozenset({".gtiff", ".gtif", ".jpx", ".nitf", ".bip", ".bsq"})
# Drivers name these suffixes; in a folder of scenes they are headers, documents, tables or vectors.
_SELDOM_IMAGES = frozenset(
    {".dat", ".err", ".gen", ".gpkg", ".gpkg.zip", ".gsb", ".gtx", ".gvb", ".hdr", ".kml", ".kmz",
     ".lbl", ".map", ".pdf", ".rda", ".rst", ".sqlite", ".xml"}
)  # fmt: skip


@functools.cache
def raster_suffixes() -> frozenset[str]:
    """Return the suffixes of rasters in a folder: those of the raster drivers of this GDAL."""
    declared = {f".{name.lower()}" for name in raster_driver_extensions()}
    return frozenset((declared | _UNDECLARED) - _SELDOM_IMAGES)


def raster_files(paths: Iterable[Path]) -> list[Path]:
    """Return the rasters among files, in their order.

    A picture (JPEG, PNG, ...) beside a raster of the same stem is taken for its quicklook.
    """
    rasters = [path for path in paths if path.suffix.lower() in raster_suffixes()]
    scenes = {path.with_suffix("") for path in rasters if path.suffix.lower() not in _PICTURES}
    return [
        path
        for path in rasters
        if path.suffix.lower() not in _PICTURES or path.with_suffix("") not in scenes
    ]
