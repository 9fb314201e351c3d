"""How well a model reads real images with truth, at the settings that a user gets by default.

The words are our class names. Where a label may be any of several classes, each of them is right,
and their union is one class of the score.
"""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.transform import from_origin

from rsclip.config import SegmentConfig
from rsclip.errors import RsclipWarning
from rsclip.nano.real import RealImage, RealSet, groups
from rsclip.run.segment import Failure, SegmentResult, segment_scenes

LEAST_SHARE = 0.005
"""Classes of a smaller share of the pixels are left out of the mean."""


def words_of(of: RealSet) -> list[str]:
    """The words a set is mapped with."""
    return [word for group in groups(of) for word in group]


def write_geotiff(
    pixels: npt.NDArray[Any], path: Path, gsd: float, nodata: int | None = None
) -> None:
    """Write pixels (C, H, W) as a GeoTIFF in UTM, `gsd` metres a pixel."""
    bands, height, width = pixels.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=bands,
        height=height,
        width=width,
        dtype=pixels.dtype,
        crs="EPSG:32632",
        transform=from_origin(500_000, 5_300_000, gsd, gsd),
        nodata=nodata,
    ) as dataset:
        dataset.write(pixels)


def maps(
    of: RealSet, chosen: Sequence[RealImage], model: str, folder: Path
) -> Iterator[SegmentResult]:
    """The result of each image of a set, in `folder`."""
    paths = [folder / f"{of.name}-{index}.tif" for index in range(len(chosen))]
    for image, path in zip(chosen, paths, strict=True):
        write_geotiff(image.pixels.transpose(2, 0, 1), path, of.gsd)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RsclipWarning)
        results = segment_scenes(paths, words_of(of), folder, config=SegmentConfig(model=model))
        for result in results:
            if isinstance(result, Failure):
                raise result.error
            yield result


def confusion(image: RealImage, mask: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Pixels (K, K + 1) by true group (rows) and group found (columns, the last: none of them)."""
    known = groups(image.of)
    column = np.full(256, len(known))
    column[1 : 1 + len(words_of(image.of))] = [k for k, group in enumerate(known) for _ in group]
    used = image.truth >= 0
    pairs = image.truth[used] * (len(known) + 1) + column[mask[used]]
    counts = np.bincount(pairs, minlength=len(known) * (len(known) + 1))
    return counts.reshape(len(known), len(known) + 1)


def score(of: RealSet, found: Sequence[npt.NDArray[np.int64]]) -> dict[str, Any]:
    """Figures of a set from its images' confusions.

    Of masks: the mean IoU over all pixels together. Of chips: the share whose commonest label is
    right.
    """
    total = np.sum(found, axis=0)
    if of.labels is None:
        right = [int(one.sum(axis=0).argmax()) == int(one.sum(axis=1).argmax()) for one in found]
        return {"chips": len(found), "majority": round(float(np.mean(right)), 4)}
    both = np.diag(total)
    held = total.sum(axis=1) >= LEAST_SHARE * total.sum()
    iou = both[held] / (total[:, :-1].sum(axis=0) + total.sum(axis=1) - both)[held]
    names = np.array(["/".join(g) if len(g) < 5 else "other" for g in groups(of)])[held]
    return {
        "images": len(found),
        "miou": round(float(iou.mean()), 4),
        "accuracy": round(float(both.sum() / total.sum()), 4),
        "iou": dict(zip(names.tolist(), iou.round(4).tolist(), strict=True)),
    }
