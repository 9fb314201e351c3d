"""How well a model reads real images with truth, at the settings that a user gets by default.

The words are our class names. Where a label may be any of several classes, these are the words of
one class: each of them is right.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.transform import from_origin

from rsclip.config import SegmentConfig
from rsclip.nano.real import WIDE, RealImage, RealSet, groups
from rsclip.study.evaluate.result import Evaluation
from rsclip.study.evaluate.trials import try_settings
from rsclip.study.metrics import class_scores
from rsclip.words.legend import LegendSpec

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


def classes_of(of: RealSet) -> dict[str, list[str]]:
    """The classes that a set's labels tell apart, each with its words."""
    return {
        "everything else" if len(group) >= WIDE else "/".join(group): list(group)
        for group in groups(of)
    }


def evaluate_set(
    of: RealSet,
    chosen: Sequence[RealImage],
    model: str,
    alone: str | None = None,
    config: SegmentConfig | None = None,
    classes: LegendSpec | None = None,
) -> Evaluation:
    """Map images of a set and score the maps together; each image's scores are in it too.

    Args:
        of: The set.
        chosen: Images of it.
        model: As `rsclip.segment` takes it.
        alone: The one class that is asked for, against the bundled background; None: all.
        config: All other settings.
        classes: In place of `classes_of` the set, in their order.
    """
    one = {
        str(value): alone if alone in group else "other"
        for value, group in enumerate(groups(of), 1)
    }
    with tempfile.TemporaryDirectory() as place:
        scenes, labels = Path(place, "scenes"), Path(place, "labels")
        scenes.mkdir()
        labels.mkdir()
        for index, image in enumerate(chosen):
            name = f"{index:04}.tif"
            write_geotiff(image.pixels.transpose(2, 0, 1), scenes / name, of.gsd)
            truth = (image.truth + 1).astype(np.uint8)[None]
            write_geotiff(truth, labels / name, of.gsd, nodata=0)
        (trial,) = try_settings(
            scenes, labels, alone or classes or classes_of(of), models=[model], boundary=None,
            mapping=one if alone else None, config=config,
        )  # fmt: skip
    return trial.scores


def mean_iou(sums: npt.NDArray[np.int64]) -> float:
    """Mean IoU of the classes that are there.

    Args:
        sums: int64 (3, 1 + K), right, true and mapped pixels of unclassified and each class.
    """
    there = sums[1, 1:] >= LEAST_SHARE * sums[1, 1:].sum()
    return float(class_scores(sums)["iou"][1:][there].mean())


def score(of: RealSet, found: Evaluation) -> dict[str, Any]:
    """Figures of a set.

    Of masks: the mean IoU over all pixels together, and the IoU of each class that is labelled or
    mapped. Of chips: the share whose commonest label is right.
    """
    if of.labels is None:
        right = [one.sums[1].argmax() == one.sums[2].argmax() for one in found.images]
        return {"images": len(right), "majority": round(float(np.mean(right)), 4)}
    names = list(found.legend.names.values())[1:]
    return {
        "images": len(found.images),
        "miou": round(mean_iou(found.confusion.sums), 4),
        "accuracy": round(found.overall["accuracy"], 4),
        "iou": {
            name: round(float(iou), 4)
            for name, iou in zip(names, found.classes["iou"][1:], strict=True)
            if not np.isnan(iou)
        },
    }
