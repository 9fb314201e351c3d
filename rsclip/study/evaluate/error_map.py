"""`<stem>_errors.tif`: where a map is right, and in what way it is wrong."""

import io
from collections.abc import Mapping
from types import MappingProxyType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsclip.errors import ReadError
from rsclip.outputs.files.staging import Staging
from rsclip.outputs.rasters.cog import Bands, CogWriter
from rsclip.outputs.styles.qml import write_mask_qml
from rsclip.scene.gdal import guarded, open_dataset
from rsclip.study.evaluate.masks import Mask
from rsclip.words.colours import RGB

__all__ = ["KINDS", "ErrorMap"]

NEITHER, RIGHT, FALSE, MISSED, CONFUSED = range(5)
_NODATA = 255
# Beyond these many classes the file has its first band only.
_MOST_CLASSES = 30
_SIDE = 1100
_PAPER = (238, 238, 238)

KINDS: Mapping[int, tuple[str, RGB]] = MappingProxyType(
    {
        RIGHT: ("right", (178, 206, 222)),
        FALSE: ("false positive", (213, 94, 0)),
        MISSED: ("missed", (86, 40, 140)),
        CONFUSED: ("taken for another class", (240, 190, 40)),
        NEITHER: ("neither in the labels nor in the map", (255, 255, 255)),
    }
)
"""Value -> (name, colour), told apart without red and green."""


class _Style:
    """Names and colours of the kinds, as styles take them."""

    names: Mapping[int, str] = MappingProxyType({v: name for v, (name, _) in KINDS.items()})
    colours: Mapping[int, RGB] = MappingProxyType({v: rgb for v, (_, rgb) in KINDS.items()})


class ErrorMap:
    """Write the error map row by row: band 1 for all classes, then one band for each class.

    A context manager.

    Args:
        staging: Gives the places.
        mask: The map.

    Raises:
        WriteError: The file cannot be made.
    """

    def __init__(self, staging: Staging, mask: Mask) -> None:
        self._staging = staging
        few = mask.legend.foreground[: _MOST_CLASSES + 1]
        self._classes = [item.value for item in few] if len(few) <= _MOST_CLASSES else []
        names = ["all classes", *(item.name for item in few if self._classes)]
        text = ", ".join(f"{value} {name}" for value, (name, _) in sorted(KINDS.items()))
        self._writer = CogWriter(
            staging.path("errors"), mask.shape, mask.crs, mask.transform,
            Bands(names, "uint8", _NODATA, "NEAREST"), {"RSCLIP_VALUES": text},
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, row: int, truth: NDArray[np.int32], predicted: NDArray[np.int32]) -> None:
        """Write the rows that follow, int32 (n, W) each, negative where unknown."""
        known = (truth >= 0) & (predicted >= 0)
        bands = np.full((1 + len(self._classes), *truth.shape), _NODATA, np.uint8)
        bands[0] = np.select(
            [~known, truth == predicted, truth == 0, predicted == 0],
            [_NODATA, RIGHT, FALSE, MISSED], CONFUSED,
        )  # fmt: skip
        # true and found -> the kind of a class
        kinds = np.array([[NEITHER, FALSE], [MISSED, RIGHT]], np.uint8)
        for band, value in zip(bands[1:], self._classes, strict=True):
            own = kinds[(truth == value).view(np.uint8), (predicted == value).view(np.uint8)]
            band[known] = own[known]
        self._writer.write(row, bands)

    def finish(self) -> None:
        """Make the COG and its style."""
        self._writer.finish()
        write_mask_qml(self._staging.path("errors_style"), _Style())

    def picture(self) -> bytes:
        """Return band 1 as a small PNG; call it after `finish`."""
        path = self._staging.path("errors")
        with guarded(path, ReadError), open_dataset(path) as dataset:
            factor = min(1.0, _SIDE / max(dataset.shape))
            shape = [max(round(side * factor), 1) for side in dataset.shape]
            kinds = dataset.read(1, out_shape=tuple(shape))
        table = np.full((256, 3), _PAPER, np.uint8)
        for value, (_, colour) in KINDS.items():
            table[value] = colour
        data = io.BytesIO()
        Image.fromarray(table[kinds]).save(data, "PNG", optimize=True)
        return data.getvalue()
