"""Scenes and a few labels in, labelled patches and their folds out: what is fitted to."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rsclip.adapters.base import Task
from rsclip.config import SegmentConfig
from rsclip.errors import LegendError, SceneError, warn
from rsclip.methods.segmenter import Segmenter
from rsclip.run.encoder import Model
from rsclip.run.working_pixel_size import apply_defaults, warn_of_pixel_size
from rsclip.scene.scene import Scene
from rsclip.study.adapt.folds import Fold, make_folds
from rsclip.study.adapt.labels import FewLabels, lie_on, say_outside
from rsclip.study.adapt.patches import Patches, collect, joined
from rsclip.study.truth_messages import listed_ids
from rsclip.types import Synonyms
from rsclip.words.class_scores import Layout
from rsclip.words.legend import Legend

__all__ = ["Examples", "gather"]


@dataclass(frozen=True, slots=True)
class Examples:
    """Labelled patches.

    Attributes:
        task: What is fitted.
        label: int64 (N,), number of each patch's label.
        counts: Class -> number of its labels.
        folds: Of labels; none where they cannot be validated.
        windows: Windows that were encoded.
    """

    task: Task
    label: NDArray[np.int64]
    counts: Mapping[str, int]
    folds: Sequence[Fold]
    windows: int


def gather(
    scenes: Sequence[Scene],
    few: FewLabels,
    model: Model,
    legend: Legend,
    settings: SegmentConfig,
    progress: Callable[[int, int], None] | None = None,
    *,
    must: str | None,
) -> Examples:
    """Encode the windows that hold labels.

    Args:
        scenes: Open scenes.
        few: Labels; each counts on the first scene that it lies on.
        model: Ready for the legend.
        legend: Classes.
        settings: Windows, blend, stretch and scale.
        progress: Called with (windows done, windows in all), anew for each scene.
        must: There must be folds; how else the remedy may go on. None: they need not be.

    Raises:
        InputError: No label lies on a scene, all are of one class, or there are no folds.
        ReadError: Pixels cannot be read.
    """
    model.check_windows(settings)
    for each in scenes:
        warn_of_pixel_size(each, settings, model.defaults.gsd_range)
        scale = apply_defaults(each, settings, model.defaults).logit_scale
    assert scale is not None
    placed = _place(scenes, few)
    encoder = model.encoder
    assert isinstance(encoder, Segmenter)
    window = max(settings.window or 0, *encoder.window)

    def checked(kept: NDArray[np.int64]) -> tuple[dict[str, int], list[Fold]]:
        counts = _count(few, kept, legend)
        return counts, _folds(placed, few, kept, legend, window, must=must)

    # Before the encoding, which may take hours; only it tells what lies where there is no data.
    on_scenes = np.flatnonzero(placed.scene >= 0)
    counts, folds = checked(on_scenes)
    patches = _encode(scenes, placed, few, encoder, settings, progress)
    kept = np.unique(patches.label)
    if len(kept) < len(on_scenes):
        counts, folds = checked(kept)
    task = _task(patches, few, model, legend, scale, settings.synonyms)
    return Examples(task, patches.label, counts, folds, patches.windows)


@dataclass(frozen=True, slots=True)
class _Placed:
    """Labels on the first scene that each lies on.

    Attributes:
        shapes: (P,) geometries in pixels of the scene's working grid.
        scene: int64 (P,) number of the scene, -1 for labels that lie on none.
    """

    shapes: NDArray[Any]
    scene: NDArray[np.int64]


def _place(scenes: Sequence[Scene], few: FewLabels) -> _Placed:
    """Find on which scene each label lies.

    Raises:
        SceneError: None lies on any.
    """
    shapes = np.asarray(few.frame.geometry).copy()
    of_scene = np.full(len(shapes), -1)
    for number, scene in enumerate(scenes):
        on = few.on(scene)
        touching = lie_on(on, scene)
        inside = touching & (of_scene < 0)
        shapes[inside], of_scene[inside] = on[inside], number
        if not inside.any() and len(scenes) > 1:
            why = "its labels count on the scenes named before it, on which they lie too"
            warn(f"{scene.source}: {why if touching.any() else 'no label lies on it'}")
    if (of_scene < 0).all():
        raise SceneError(
            "no label lies on the scene" if len(scenes) == 1 else "no label lies on any scene",
            where=few.path,
            remedy="Check their CRS and place.",
        )
    say_outside(few, of_scene < 0)
    return _Placed(shapes, of_scene)


def _encode(
    scenes: Sequence[Scene],
    placed: _Placed,
    few: FewLabels,
    segmenter: Segmenter,
    settings: SegmentConfig,
    progress: Callable[[int, int], None] | None,
) -> Patches:
    """Return the patches of all labels.

    Raises:
        SceneError: All lie where the scenes have no data.
    """
    parts = []
    for number, scene in enumerate(scenes):
        at = np.flatnonzero(placed.scene == number)
        if len(at):
            part = collect(scene, placed.shapes[at], segmenter, settings, progress)
            parts.append(replace(part, label=at[part.label]))
    patches = joined(parts)
    if not len(patches.label):
        raise SceneError(
            "all labels lie where the scene has no data",
            where=scenes[0].source,
            remedy="`rsclip info` shows what of a scene is valid.",
        )
    bare = np.setdiff1d(np.flatnonzero(placed.scene >= 0), patches.label)
    if len(bare):
        warn(
            f"{few.path}: {len(bare)} labels lie where the scene has no data and do not count: "
            f"{listed_ids(few.frame.index[bare])}"
        )
    return patches


def _task(
    patches: Patches,
    few: FewLabels,
    model: Model,
    legend: Legend,
    logit_scale: float,
    synonyms: Synonyms,
) -> Task:
    """Return what is fitted; each label weighs as much as any other."""
    encoder = model.encoder
    assert isinstance(encoder, Segmenter)
    foreground = len(legend.foreground)
    values = few.values[patches.label]
    whole = np.bincount(patches.label, patches.cover)
    return Task(
        encoder.text_features.cpu(),
        torch.tensor([query.class_index for query in model.queries]),
        Layout.of(legend, model.queries, synonyms),
        len(legend.classes),
        foreground,
        logit_scale,
        torch.from_numpy(patches.features),
        torch.from_numpy(patches.similarities),
        torch.from_numpy(np.where(values > 0, values - 1, foreground).astype(np.int64)),
        torch.from_numpy((patches.cover / whole[patches.label]).astype(np.float32)),
        functools.partial(
            encoder.backbone.context_tower,
            [query.text if query.prompts else "" for query in model.queries],
        ),
    )


def _count(few: FewLabels, kept: NDArray[np.int64], legend: Legend) -> dict[str, int]:
    """Return class -> number of its labels; say which classes have none.

    Raises:
        LegendError: All are of one class, or a class has neither words nor labels.
    """
    values = few.values[kept]
    if len({*values.tolist()}) < 2:
        raise LegendError(
            "all labels are of one class", where=few.path, remedy="Label another class too."
        )
    names = dict(legend.names)
    unclassified = names.pop(0)
    counts = {name: int((values == value).sum()) for value, name in names.items()}
    if legend.background or (values == 0).any():
        counts[unclassified] = int((values == 0).sum())
    untold = [item.name for item in legend.classes if not item.words and not counts.get(item.name)]
    if untold:
        raise LegendError(
            f"neither words nor labels: {', '.join(untold)}",
            where=few.path,
            remedy="Label each class without words, or leave it out of --classes.",
        )
    named = [name for name, count in counts.items() if not count and name != unclassified]
    if named:
        warn(f"{few.path}: no label: nothing is learned of {', '.join(named)}")
    return counts


def _folds(
    placed: _Placed,
    few: FewLabels,
    kept: NDArray[np.int64],
    legend: Legend,
    window: int,
    *,
    must: str | None,
) -> list[Fold]:
    """Return folds of labels, by their own numbers; say which classes none of them tests.

    Raises:
        SceneError: There are none, though there must be.
    """
    found = make_folds(placed.shapes[kept], placed.scene[kept], few.values[kept], window)
    if len(found) < 2:
        what = f"the labels of each class lie in one block ({window} pixels are one)"
        more = "Label farther apart"
        if len({*few.values[kept].tolist()}) == len(kept):
            what, more = "each class has one label", "Label more places of each class"
        if must is not None:
            raise SceneError(
                f"{what}: what they teach cannot be validated",
                where=few.path,
                remedy=f"{more}{must}.",
            )
        warn(f"{few.path}: {what}: the adapter is not validated")
        return []
    if not all(each.apart for each in found):
        warn(
            f"{few.path}: some labels held out lie within a window of others of their class: the "
            "scores may flatter"
        )
    folds = [replace(each, train=kept[each.train], test=kept[each.test]) for each in found]
    tested = few.values[np.concatenate([each.test for each in folds])]
    if untested := np.setdiff1d(few.values[kept], tested).tolist():
        warn(
            f"{few.path}: too few labels, or too near one another, to be validated: "
            f"{', '.join(legend.names[value] for value in untested)}. The mean IoU leaves them "
            f"out; label each at places {window} pixels apart"
        )
    return folds
