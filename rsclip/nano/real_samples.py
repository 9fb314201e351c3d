"""Single real scenes whose truth has other forms than a label image beside each image.

Polygons of buildings or of land cover are burnt into the image's grid; a Sentinel-2 scene of 16
bits is stretched as `rsclip segment` stretches it. All are for training.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.features import rasterize

from rsclip.errors import InputError
from rsclip.nano.radiometry import stretched
from rsclip.nano.real import (
    BUILT,
    OPEN_GROUND,
    PLANTS,
    WATER,
    RealImage,
    RealSet,
    licences,
    meaning,
)

STRETCH_PERCENT = 2.0
DRY = tuple(name for name in (*OPEN_GROUND, "building") if name != "water")
CLEARED = tuple(name for name in DRY if name not in (*BUILT, "forest"))


@dataclass(frozen=True)
class Sample:
    """An image and its truth: a raster of labels, or polygons that are 1 or the number in `field`.

    Both are files below the set's folder.
    """

    image: str
    truth: str
    field: str | None = None
    bands: tuple[int, int, int] = (1, 2, 3)


def _training(name: str) -> bool:
    return False


SAMPLES: tuple[tuple[RealSet, tuple[Sample, ...]], ...] = (
    (
        RealSet("nrcan_samples", 0.3, {0: OPEN_GROUND, 1: ("building",)}, _training, share=1.5),
        (
            Sample("tiled_image_1.tif", "tiled_label_1.tif"),
            Sample("tiled_image_2.tif", "tiled_label_2.tif"),
            Sample(
                "SpaceNet_AOI_2_Las_Vegas-056155973080_01_P001-WV03-RGB.tif",
                "SpaceNet_AOI_2_Las_Vegas-056155973080_01_P001-WV03.gpkg",
            ),
            Sample(
                "SN4_buildings_train_AOI_6_Atlanta_nadir10_catid_1030010003993E00_PS-RGBNIR_"
                "732701_3729639_clipped.tif",
                "SN4_buildings_train_AOI_6_Atlanta_geojson_buildings_732701_3729639.geojson",
            ),
        ),
    ),
    (
        RealSet(
            "nrcan_samples",
            0.5,
            {0: CLEARED, 1: ("forest",), 2: WATER, 3: ("road",), 4: ("building",)},
            _training,
            loose={255: ("railway", "bare soil", *PLANTS)},
        ),
        tuple(
            Sample(
                f"23322E759967N_clipped_1m_{part}of2.tif",
                "BakerLake_2017_clipped.gpkg",
                field="Quatreclasses",
            )
            for part in (1, 2)
        ),
    ),
    (
        RealSet("sen1floods11_sample", 10.0, {0: DRY, 1: WATER}, _training, share=0.5),
        (Sample("Spain_7370579_S2Hand.tif", "Spain_7370579_LabelHand.tif", bands=(4, 3, 2)),),
    ),
)


def _labels(path: Path, sample: Sample, image: rasterio.DatasetReader) -> npt.NDArray[np.uint8]:
    """The truth on the grid of its image."""
    if path.suffix == ".tif":
        with rasterio.open(path) as dataset:
            stored: npt.NDArray[np.uint8] = dataset.read(1).astype(np.uint8)
        return stored
    table = gpd.read_file(path).to_crs(image.crs)
    table = table[~(table.geometry.isna() | table.geometry.is_empty)]
    values = table[sample.field].astype(int) if sample.field else np.ones(len(table), int)
    burnt: npt.NDArray[np.uint8] = rasterize(
        zip(table.geometry, values, strict=True),
        image.shape,
        transform=image.transform,
        dtype="uint8",
    )
    return burnt


def samples(folder: Path) -> Iterator[RealImage]:
    """All samples below `folder`, in a fixed order.

    Raises:
        InputError: An image is not in its set's README.tsv, so its licence is unknown.
    """
    for of, of_set in SAMPLES:
        root = folder / of.name
        known = licences(root)
        for sample in of_set:
            if sample.image not in known:
                raise InputError(
                    f"{root / 'README.tsv'} does not name {sample.image}: its licence is unknown"
                )
            with rasterio.open(root / sample.image) as image:
                pixels = image.read(sample.bands).transpose(1, 2, 0)
                label = _labels(root / sample.truth, sample, image)
            if pixels.dtype != np.uint8:
                shown = stretched(pixels.astype(np.float32), STRETCH_PERCENT)
                pixels = (shown * 255 + 0.5).astype(np.uint8)
            yield RealImage(
                of,
                sample.image,
                known[sample.image],
                False,
                np.ascontiguousarray(pixels),
                *meaning(of, label, True),
            )
