"""A random sample of windows of scenes: the same for the same seed."""

import contextlib
import copy
import warnings
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsclip.config import SegmentConfig
from rsclip.errors import InputError, OptionError, RsclipError, RsclipWarning, SceneError, warn
from rsclip.labelling.windows import Grid, plan_grid
from rsclip.model.outline import ModelOutline
from rsclip.run.scenes_and_classes import open_scene
from rsclip.run.working_pixel_size import apply_defaults, warn_of_pixel_size
from rsclip.scene.scene import Scene, gdal_env
from rsclip.scene.stretch import fit
from rsclip.study.diagnose.scenes import labels_of
from rsclip.study.truth import Labels, open_labels
from rsclip.types import BoolArray, FloatArray, Shape, Window
from rsclip.words.legend import Legend

__all__ = ["Sample", "sample_windows"]

# Windows with less are taken only where there are no others: what fills them would be studied.
_ENOUGH_VALID = 0.5

Truth = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Sample:
    """A window of the sample.

    Attributes:
        scene: As it was named.
        window: On the scene's working grid; it may hang over at the bottom and right.
        image: float32 (3, h, w) in 0..1, invalid pixels filled.
        valid: bool (h, w).
        truth: int32 (h, w): legend values, 0 other classes, -1 unknown or not valid; None without
            labels.
    """

    scene: str
    window: Window
    image: FloatArray
    valid: BoolArray
    truth: Truth | None


@dataclass(slots=True)
class _Source:
    """A scene, and how far its windows are looked through.

    Attributes:
        scene: As it was named.
        random: As it was when the scene was first opened: it gives its windows' order.
        looked: Windows looked at.
        left: There may be more.
        whole: A window taken was at least half valid, inside the scene.
        taken: Windows taken.
    """

    scene: str
    random: np.random.Generator | None = None
    looked: int = 0
    left: bool = True
    whole: bool = False
    taken: int = 0


def sample_windows(
    scenes: Sequence[str],
    model: ModelOutline,
    config: SegmentConfig,
    *,
    count: int,
    seed: int,
    labels: str | Path | None = None,
    legend: Legend | None = None,
) -> Generator[Sample, None, None]:
    """Yield up to `count` windows that hold valid pixels and, with labels, known ones.

    Windows do not overlap (but the last of a row or column may overlap the one before it) and are
    spread evenly over the scenes, which are opened one after the other, and once more where others
    had fewer than their part. Windows that are at least half valid come first; a scene that has
    none of them is named in a warning.

    Args:
        scenes: Files, URLs or GDAL virtual paths.
        model: What windows are laid by.
        config: Bands, stretch, pixel size, window and the like.
        count: How many.
        seed: Of the choice.
        labels: A file for every scene, or a folder; see `labels_of`.
        legend: Classes of the labels.

    Raises:
        InputError: No scene can be used, or no window of any has valid (and labelled) pixels. A
            scene of several that cannot be used is left out with a warning.
        OptionError: The window does not fit the model.
    """
    random = np.random.default_rng(seed)
    sources = [_Source(scenes[index]) for index in random.permutation(len(scenes))]
    found = 0
    first: RsclipError | None = None
    while found < count and (round_of := [each for each in sources if each.left]):
        for done, source in enumerate(round_of):
            quota = -(-(count - found) // (len(round_of) - done))
            if quota == 0:
                break
            if source.random is None:
                source.random = copy.deepcopy(random)
                order = random
            else:
                order = copy.deepcopy(source.random)
            try:
                for sample in _of_scene(source, model, config, quota, order, labels, legend):
                    found += 1
                    yield sample
            except InputError as error:
                if len(scenes) == 1 or isinstance(error, OptionError):
                    raise
                source.left = False
                first = first or error
                warn(f"{error} (left out)")
    for source in sources:
        if source.taken and not source.whole:
            warn(
                f"{source.scene}: less than half of each window taken is valid: what fills them is "
                "studied too"
            )
    if not found:
        raise first or SceneError(
            "no window has pixels that are both valid and labelled"
            if labels is not None
            else "no window has a valid pixel",
            where=scenes[0] if len(scenes) == 1 else f"{len(scenes)} scenes",
            remedy="`rsclip info` shows what of a scene is valid.",
        )


def _of_scene(
    source: _Source,
    model: ModelOutline,
    config: SegmentConfig,
    count: int,
    random: np.random.Generator,
    labels: str | Path | None,
    legend: Legend | None,
) -> Iterator[Sample]:
    """Yield up to `count` more windows of a scene."""
    with gdal_env(), contextlib.ExitStack() as stack:
        with warnings.catch_warnings():
            if source.looked:
                # All was said when it was opened first.
                warnings.simplefilter("ignore", RsclipWarning)
            scene = stack.enter_context(open_scene(source.scene, config))
            apply_defaults(scene, config, model.defaults)
            warn_of_pixel_size(scene, config, model.defaults.gsd_range)
            known = None
            if labels is not None and legend is not None:
                path = _path_of(labels, source.scene)
                known = stack.enter_context(open_labels(path, scene, legend))
        grid = plan_grid(scene.working_shape, model, config.replace(stride=None, overlap=0.0))
        radiometry = fit(scene, config.stretch)
        found = 0
        for window in _shuffled(scene, grid, random, known)[source.looked :]:
            if found == count:
                return
            source.looked += 1
            truth = None if known is None else _truth(scene, known, window)
            # Labels are cheaper to read than pixels.
            if truth is not None and not (truth > 0).any():
                continue
            pixels, valid = scene.read(window)
            if truth is not None:
                truth[~valid] = -1
            if not (valid if truth is None else truth > 0).any():
                continue
            found += 1
            source.taken += 1
            # What hangs over mirrors the scene and is no more of it.
            height, width = scene.working_shape
            own = valid[: height - window.row, : width - window.col]
            source.whole |= bool(own.sum() >= _ENOUGH_VALID * valid.size)
            yield Sample(source.scene, window, radiometry.apply(pixels, valid), valid, truth)
        source.left = False


def _path_of(labels: str | Path, source: str) -> Path:
    path = labels_of(labels, source)
    if path is None:
        stem = Scene.stem_of(source)
        raise SceneError(f"no {stem}_labels.* or {stem}.* in {labels}", where=source)
    return path


def _shuffled(
    scene: Scene, grid: Grid, random: np.random.Generator, known: Labels | None
) -> list[Window]:
    """Return the windows in random order, those that look labelled and valid first.

    Both are seen in decimated reads of the whole scene.
    """
    windows = [tile.window for tile in grid.tiles()]
    _, valid = scene.sample()
    shares = np.array([_share(valid, window, scene.working_shape) for window in windows])
    tiers = np.select([shares >= _ENOUGH_VALID, shares > 0], [0, 1], 2)
    if known is not None:
        labelled = known.coarse() > 0
        seen = [_share(labelled, window, scene.working_shape) > 0 for window in windows]
        tiers = np.where(seen, tiers, 3)
    order = random.permutation(len(windows))
    return [windows[i] for i in order[np.argsort(tiers[order], kind="stable")]]


def _share(valid: BoolArray, window: Window, shape: Shape) -> float:
    """Return the share of a window's pixels that a decimated mask of the whole scene has."""
    rows, cols = (
        slice(
            min(int(start * small / size), small - 1),
            max(round(stop * small / size), int(start * small / size) + 1),
        )
        for start, stop, small, size in (
            (window.row, window.row_stop, valid.shape[0], shape[0]),
            (window.col, window.col_stop, valid.shape[1], shape[1]),
        )
    )
    return float(valid[rows, cols].mean())


def _truth(scene: Scene, labels: Labels, window: Window) -> Truth:
    """Return the labels under a window of the working grid, nearest; -1 outside the scene."""
    truth = np.full(window.shape, -1, np.int32)
    own = []
    for start, stop, size, factor, inside in zip(
        (window.row, window.col),
        (window.row_stop, window.col_stop),
        scene.working_shape,
        scene.scale,
        scene.shape,
        strict=True,
    ):
        centres = np.arange(start, min(stop, size)) + 0.5
        own.append((centres * factor).astype(np.intp).clip(0, inside - 1))
    rows, cols = own
    row, col = int(rows[0]), int(cols[0])
    under = labels.read(Window(row, col, int(rows[-1]) + 1 - row, int(cols[-1]) + 1 - col))
    truth[: len(rows), : len(cols)] = under[np.ix_(rows - row, cols - col)]
    return truth
