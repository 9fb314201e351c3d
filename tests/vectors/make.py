"""Polygons of small label arrays, and label files of many kinds."""

import numpy as np
import rasterio
from rasterio.transform import Affine

from rsclip.geo.measure import Measure
from rsclip.vectors.features import Finisher
from rsclip.vectors.simplifying import Reshaper
from rsclip.vectors.stream import Stream, Strip

PLACES = {
    "utm": ("EPSG:32633", Affine(0.5, 0, 5e5, 0, -0.5, 5e6)),
    "rotated": ("EPSG:32633", Affine(0.4, 0.3, 5e5, 0.3, -0.4, 5e6)),
    "web mercator": ("EPSG:3857", Affine(1, 0, 1.2e6, 0, -1, 5.95e6)),
    "degrees": ("EPSG:4326", Affine(1e-4, 0, 8.5, 0, -1e-4, 47.2)),
    "south up": ("EPSG:32733", Affine(2, 0, 5e5, 0, 2, 7e6)),
    "date line": ("EPSG:4326", Affine(0.01, 0, 179.9, 0, -0.01, -16.0)),
    "pole": ("EPSG:3413", Affine(250, 0, -5000, 0, -250, 5000)),
}


def polygons(labels, rows=1000, *, excluded=(0,), tolerance=0.0, smooth=False, **options):
    """Return geometry, class and area in pixels, from strips of so many rows."""
    reshaper = Reshaper(tolerance, smooth=smooth) if tolerance else None
    units = reshaper.units if reshaper else 1
    stream = Stream(labels.shape[1], set(excluded), units=units, reshape=reshaper)
    measure = Measure(None, Affine.identity(), labels.shape)
    finisher = Finisher(
        measure, Affine.identity(), units=units, exact=reshaper is None, **options
    )  # fmt: skip
    strips = (Strip(labels[top : top + rows]) for top in range(0, len(labels), rows))
    made = [finisher.finish(found) for found in stream.run(strips)]
    return tuple(
        np.concatenate([getattr(part, name) for part in made])
        for name in ("geometry", "class_id", "area")
    )


def write_labels(path, labels, place="utm", *, nodata=255, colours=None, tags=None, **profile):
    """Write (height, width) as a mask at one of `PLACES`, or at none."""
    crs, transform = PLACES[place] if place else (None, Affine.identity())
    with rasterio.open(
        path, "w", driver="GTiff", height=labels.shape[0], width=labels.shape[1], count=1,
        dtype=labels.dtype, crs=crs, transform=transform, nodata=nodata, **profile,
    ) as dataset:  # fmt: skip
        dataset.write(labels, 1)
        if colours:
            dataset.write_colormap(1, colours)
        dataset.update_tags(**(tags or {}))
    return path


def blobs(shape=(120, 150), classes=3, seed=5, nodata=True):
    """Patches of labels 0 to `classes` with strewn single pixels, and a corner of nodata."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, classes + 1, (shape[0] // 10 + 1, shape[1] // 10 + 1))
    labels = np.kron(coarse, np.ones((10, 10)))[: shape[0], : shape[1]].astype("uint8")
    strewn = rng.random(shape) < 0.03
    labels[strewn] = rng.integers(0, classes + 1, strewn.sum())
    if nodata:
        labels[: shape[0] // 4, : shape[1] // 5] = 255
    return labels
