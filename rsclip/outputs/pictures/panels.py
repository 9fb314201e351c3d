"""Pictures of a scene and of its classes, small enough to look at whole.

Read decimated, so that a scene of 40,000 pixels a side takes no more memory than one of 2,000.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.io import DatasetReader

from rsclip.outputs.pictures.legend_and_scale import Entry
from rsclip.outputs.pictures.lettering import legible
from rsclip.scene.scene import Scene
from rsclip.scene.stretch import Radiometry
from rsclip.types import Shape
from rsclip.words.legend import Legend

__all__ = ["EMPTY", "Panel", "class_entries", "colour_table", "image_panel", "mask_panel"]

EMPTY = 238
"""Grey of places without data."""
# Pixels read per pixel drawn: enough that decimation does not show.
_FINER = 1.5

Panel = NDArray[np.uint8]
"""RGB, (h, w, 3)."""


def mask_panel(
    dataset: DatasetReader, legend: Legend, panel: Shape
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return colours (h, w, 3) and labels (h, w) of a mask at a panel's size."""
    out_shape = tuple(min(a, b) for a, b in zip(dataset.shape, panel, strict=True))
    labels = dataset.read(1, out_shape=out_shape)
    labels = np.asarray(
        Image.fromarray(labels.astype(np.int32)).resize(panel[::-1], Image.Resampling.NEAREST)
    )
    return colour_table(legend)[labels.clip(0, legend.nodata)], labels


def colour_table(legend: Legend) -> NDArray[np.float32]:
    """Return the colours of values up to that of nodata: (values, 3), 0 to 255."""
    table = np.zeros((legend.nodata + 1, 3), np.float32)
    for value, colour in legend.colours.items():
        table[value] = colour
    return table


def image_panel(scene: Scene, radiometry: Radiometry, panel: Shape) -> Panel:
    """Return the stretched scene (h, w, 3), pale where it has no data."""
    pixels, valid = scene.sample(round(max(panel) * _FINER))
    image = np.rint(radiometry.apply(pixels, valid) * 255).astype(np.uint8).transpose(1, 2, 0)
    image = np.where(valid[..., None], image, np.uint8(EMPTY))
    small = image.shape[0] < panel[0] or image.shape[1] < panel[1]
    # Few pixels are shown as the squares that they are.
    method = Image.Resampling.NEAREST if small else Image.Resampling.BOX
    return np.asarray(Image.fromarray(image).resize(panel[::-1], method))


def class_entries(
    legend: Legend, shares: Mapping[str, float], *, noted: bool = True
) -> list[Entry]:
    """Return the classes, the largest first and absent ones last; unclassified only if present.

    Args:
        legend: Names and colours.
        shares: Class name -> share (0 to 1) of the valid pixels.
        noted: Say the share behind the name.
    """
    entries = []
    words = {
        item.name: f"{item.words[0] if item.words else 'class'} ({item.value})"
        for item in legend.foreground
    }
    for value, name in legend.names.items():
        share = shares.get(name, 0.0)
        if value or share:
            note = "" if not (share and noted) else "<0.1%" if share < 0.001 else f"{share:.1%}"
            shown = legible(name, words.get(name, name))
            entries.append((-share, value, Entry(shown, legend.colours[value], note)))
    return [entry for *_, entry in sorted(entries, key=lambda item: item[:2])]
