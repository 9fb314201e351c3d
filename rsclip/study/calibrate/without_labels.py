"""Without labels: at which pixel size, and by which words, does the model agree with itself?"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import torch
from torch.nn.functional import interpolate

from rsclip.config import ADAPT_OPTIONS, DEFAULT_LOGIT_SCALE, SegmentConfig, build_config
from rsclip.errors import OptionError
from rsclip.keywords import CalibrateKeywords
from rsclip.methods.segmenter import Segmenter
from rsclip.outputs.files.staging import Staging
from rsclip.run.encoder import Model, load_model, outline_of
from rsclip.run.scenes_and_classes import files_read, open_scene
from rsclip.run.working_pixel_size import apply_defaults
from rsclip.scene.scene import gdal_env
from rsclip.scene.working_grid import is_within_reach
from rsclip.study.calibrate.class_file import check_class_file, write_class_file
from rsclip.study.diagnose.windows import Sample, sample_windows
from rsclip.study.variations import vary
from rsclip.types import FloatArray
from rsclip.words.class_scores import Layout
from rsclip.words.legend import Legend, LegendSpec

if TYPE_CHECKING:
    from rsclip.model import Backbone

__all__ = ["Agreement", "calibrate_without_labels"]

_WINDOWS = 24
_SEED = 0
_SIZES = (0.5, 1.0, 2.0)
_SMALLER = 0.75


@dataclass(frozen=True)
class Agreement:
    """How far a model agrees with itself at a pixel size and with some words.

    Attributes:
        gsd: Pixel size in metres; None: the scene's own.
        words: One of `variations.WORD_VARIANTS`.
        agreement: Share of patches (0 to 1) that have the same class in the mirrored image, and in
            one of three quarters of the size: the mean of both.
        legend: The classes with these words.
    """

    gsd: float | None
    words: str
    agreement: float
    legend: Legend


def calibrate_without_labels(
    scenes: str | Path | Sequence[str | Path],
    classes: LegendSpec,
    output: str | Path,
    *,
    gsd: Sequence[float] = (),
    words: Sequence[str] = (),
    config: SegmentConfig | None = None,
    backbone: "Backbone | None" = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Unpack[CalibrateKeywords],
) -> list[Agreement]:
    """Choose pixel size and words by how far the model agrees with itself, into a class file.

    Windows drawn from the scenes are mapped as they are, mirrored, and smaller. That a model agrees
    with itself does not say that it is right: docs/accuracy.md tells how often it was.

    Args:
        scenes: A file, URL or GDAL virtual path, or several.
        classes: As `rsclip.segment` takes them.
        output: The class file, YAML.
        gsd: Pixel sizes in metres; empty: half, once and twice the one that `segment` works at.
        words: Some of "given", "first" (of each class alone) and "tuned" (of a set or a class
            file); empty: as given.
        config: Settings; `config.ADAPT_OPTIONS` but `gsd` are those that count.
        backbone: A ready model, in place of the configuration's.
        progress: Called with (windows done, windows in all), anew for each combination.
        **options: Fields of `SegmentConfig`.

    Returns:
        All combinations, the best first: it is the one in the file.

    Raises:
        InputError: Scenes, classes or options are wrong.
        RunError: A read or the write failed; nothing is left under the final name.
    """
    names = [scenes] if isinstance(scenes, str | Path) else list(scenes)
    check_class_file(output)
    merged = build_config({} if config is None else config.to_dict(), options).to_dict()
    settings = build_config({name: merged[name] for name in ADAPT_OPTIONS if name != "gsd"})
    outline = outline_of(settings, backbone)
    sizes = tuple(gsd) or _sizes(names[0], settings, outline.defaults)
    every = vary(classes, settings.background, gsd=sizes, words=words)
    inputs = [*names, *files_read(every[0].classes.file, settings)]
    path = Path(output)
    with (
        gdal_env(),
        Staging.for_file(path, "classes", overwrite=settings.overwrite, inputs=inputs) as staging,
    ):
        found = []
        models: dict[str, Model] = {}
        for each in every:
            if each.words not in models:
                models[each.words] = load_model(each.classes.legend, settings, backbone)
            own = settings.replace(gsd=each.gsd)
            drawn = sample_windows([str(name) for name in names], outline, own, count=_WINDOWS,
                                   seed=_SEED)  # fmt: skip
            share = _agreement(drawn, models[each.words], each.classes.legend, own, progress)
            found.append(Agreement(each.gsd, each.words, share, each.classes.legend))
        # Of equals the first one: as the user has it.
        found.sort(key=lambda one: -one.agreement)
        best = found[0]
        known = best.legend.calibration
        write_class_file(
            staging.path("classes"),
            replace(best.legend, calibration=replace(known, gsd=best.gsd or known.gsd)),
        )
        staging.publish()
    return found


def _sizes(scene: str | Path, settings: SegmentConfig, defaults: Any) -> tuple[float, ...]:
    """Return half, once and twice the size that `segment` works at, within the model's range."""
    with gdal_env(), open_scene(scene, settings) as opened:
        own = opened.pixel_size_m
        chosen = apply_defaults(opened, settings, defaults).gsd
    if own is None:
        raise OptionError(
            "the scene's pixel size in metres is unknown: there is none to choose from",
            where=str(scene),
            remedy="Give a scene with a CRS.",
        )
    base = chosen or float(f"{max(own):.4g}")
    low, high = defaults.gsd_range or (0.0, np.inf)
    tried = [base * factor for factor in _SIZES]
    within = [size for size in tried if low <= size <= high and is_within_reach(own, size)]
    return tuple(dict.fromkeys([base, *within]))


def _agreement(
    drawn: Iterator[Sample],
    model: Model,
    legend: Legend,
    settings: SegmentConfig,
    progress: Callable[[int, int], None] | None,
) -> float:
    segmenter = model.encoder
    assert isinstance(segmenter, Segmenter)
    layout = Layout.of(legend, model.queries, settings.synonyms)
    scale = settings.logit_scale or model.defaults.logit_scale or DEFAULT_LOGIT_SCALE
    values = np.array([item.value for item in legend.classes])

    def logits(image: FloatArray) -> FloatArray:
        found = segmenter.similarities(np.ascontiguousarray(image[None]))[0]
        plain: FloatArray = layout.logits(np.moveaxis(found, 0, -1), scale)
        return plain

    same, seen = 0.0, 0
    for done, sample in enumerate(drawn, 1):
        patch = segmenter.patch
        own = logits(sample.image)
        mirrored = logits(sample.image[..., ::-1])[:, ::-1]
        sides = tuple(max(round(_SMALLER * side / patch), 1) * patch
                      for side in sample.image.shape[1:])  # fmt: skip
        small = _resized(sample.image, sides)
        again = np.moveaxis(_resized(np.moveaxis(logits(small), -1, 0), own.shape[:2]), 0, -1)
        rows, cols = own.shape[:2]
        valid = sample.valid.reshape(rows, patch, cols, patch).mean((1, 3)) > 0.5
        labels = values[own.argmax(-1)]
        for other in (mirrored, again):
            same += float((labels == values[other.argmax(-1)])[valid].sum()) / 2
        seen += int(valid.sum())
        if progress is not None:
            progress(done, _WINDOWS)
    return same / max(seen, 1)


def _resized(image: FloatArray, shape: Sequence[int]) -> FloatArray:
    """Return (C, H, W) in another shape, bilinear, antialiased."""
    tensor = torch.from_numpy(np.ascontiguousarray(image))[None]
    found = interpolate(tensor, tuple(shape), mode="bilinear", align_corners=False, antialias=True)
    result: FloatArray = found[0].numpy()
    return result
