"""What an adapter changes, as one HTML page: scores, and windows before and after."""

import html
import json
from collections.abc import Sequence

import numpy as np
import shapely
import torch
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.adapters.base import Adapter, Task
from rsclip.config import SegmentConfig
from rsclip.labelling.windows import plan_grid
from rsclip.methods.segmenter import Segmenter
from rsclip.outputs.records.record import to_plain
from rsclip.scene.scene import Scene
from rsclip.scene.stretch import fit
from rsclip.study.adapt.adaptation import Adaptation
from rsclip.study.adapt.labels import FewLabels
from rsclip.study.evaluate.report import html_table, page_of
from rsclip.study.truth_grids import UNKNOWN
from rsclip.study.window_maps import Picture, draw_maps
from rsclip.types import Window
from rsclip.words.legend import Legend

__all__ = ["draw_windows", "render_report"]

_WINDOWS = 6
_COLUMNS = 4  # image, labels, before, after


def draw_windows(
    scenes: Sequence[Scene],
    few: FewLabels,
    segmenter: Segmenter,
    adapter: Adapter | None,
    task: Task,
    legend: Legend,
    settings: SegmentConfig,
) -> list[Picture]:
    """Return the windows that hold labels of the most classes, before and after.

    Each window is segmented by itself; `segment` blends overlapping ones.

    Raises:
        ReadError: Pixels cannot be read.
    """
    found: list[tuple[int, int, Window]] = []
    placed = [few.on(scene) for scene in scenes]
    for number, (scene, shapes) in enumerate(zip(scenes, placed, strict=True)):
        side_by_side = settings.replace(stride=None, overlap=0.0)
        grid = plan_grid(scene.working_shape, segmenter, side_by_side)
        tree = shapely.STRtree(shapes)
        for tile in grid.tiles():
            held = tree.query(_box(tile.window), predicate="intersects")
            if count := len({*few.values[held].tolist()}):
                found.append((-count, number, tile.window))
    found.sort(key=lambda each: each[:2])
    values = np.array([item.value for item in legend.classes])
    pictures = []
    for _, number, window in found[:_WINDOWS]:
        scene, shapes = scenes[number], placed[number]
        pixels, valid = scene.read(window)
        image = fit(scene, settings.stretch).apply(pixels, valid)
        features, before = (torch.from_numpy(each[0]) for each in segmenter.patches(image[None]))
        after = before if adapter is None else adapter(features, before)
        maps = {
            name: values[_upsampled(task.layout.logits(each, task.logit_scale, torch), window)]
            for name, each in (("before", before), ("after", after))
        }
        at = shapely.intersects(shapes, _box(window))
        known = _drawn(shapes[at], few.values[at], window)
        pictures.append(Picture(image, valid, known, maps))
    return pictures


def render_report(
    found: Adaptation, few: FewLabels, pictures: Sequence[Picture], legend: Legend
) -> str:
    """Return the page."""
    header, rows = found.table()
    said = "<p>IoU of labels held out, %, &plusmn; the spread over the folds.</p>"
    sections = [("classes", "Is it better?", said + html_table(header, rows))]
    if found.choice is not None:
        sections.append(("kinds", "What was tried", _TRIED + html_table(*found.choice.table())))
    sections.append(("maps", "Before and after", _MAPS + draw_maps(pictures, legend)))
    text = json.dumps(to_plain(found.to_dict()), indent=2, ensure_ascii=False)
    record = f'<pre tabindex="0" aria-label="Record">{html.escape(text)}</pre>'
    sections.append(("record", "Record", record))
    labels = sum(found.labels.values())
    return page_of(
        f"What {few.path.name} teaches",
        f"{found.path.name}: {found.kind}, {labels} labels, {found.folds} folds",
        sections,
        footer="All of it but the times stands in the header of the adapter's file too.",
        columns=_COLUMNS,
    )


_TRIED = (
    "<p>Mean IoU of labels held out, %; gains over zero-shot in points of mean IoU and of "
    "accuracy, &plusmn; their standard errors.</p>"
)
_MAPS = (
    "<p>Windows that hold labels of the most classes, each segmented by itself; truth: the labels. "
    "They were fitted to: how good the map is elsewhere, the table says.</p>"
)


def _box(window: Window) -> shapely.Polygon:
    return shapely.box(
        window.col, window.row, window.col + window.width, window.row + window.height
    )


def _upsampled(logits: torch.Tensor, window: Window) -> NDArray[np.int64]:
    """Return the best class (h, w) of logits (rows, cols, C) of patches, interpolated to pixels."""
    pixels = F.interpolate(
        logits.permute(2, 0, 1)[None], size=window.shape, mode="bilinear", align_corners=False
    )
    best: NDArray[np.int64] = pixels[0].argmax(0).numpy()
    return best


def _drawn(
    shapes: NDArray[np.object_], values: NDArray[np.int32], window: Window
) -> NDArray[np.int32]:
    drawn: NDArray[np.int32] = rasterize(
        zip(shapes, values.tolist(), strict=True),
        window.shape,
        fill=UNKNOWN,
        transform=Affine.translation(window.col, window.row),
        dtype="int32",
    )
    return drawn
