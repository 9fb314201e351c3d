"""The rasters that a student learns from, and windows drawn from them."""

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rsclip.config import SegmentConfig
from rsclip.errors import InputError, RsclipWarning
from rsclip.files import expand
from rsclip.run.scenes_and_classes import open_scene
from rsclip.run.working_pixel_size import apply_defaults
from rsclip.scene.raster_files import raster_files
from rsclip.scene.scene import Scene, gdal_env
from rsclip.scene.stretch import Radiometry, fit
from rsclip.types import FloatArray, ModelDefaults, Shape, Window

__all__ = ["Image", "draw_batches", "find_images", "hold_out", "open_images", "windows_of"]

HELD_OUT = 0.1
"""Share of the images that the report is made from, without labels."""
_FROM_ONE = 4
"""Windows of a batch that come from one image: it is opened once for all of them."""
_TRIES = 10
_LEAST_VALID = 0.25
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Image:
    """A raster, closed, with its stretch.

    Attributes:
        path: Its file.
        scene: What is known of it; `reopen` it to read.
        radiometry: Its stretch.
    """

    path: Path
    scene: Scene
    radiometry: Radiometry


def find_images(folder: str | Path) -> list[Path]:
    """Return the rasters below a folder, in a fixed order.

    Raises:
        InputError: There is no such folder, or no raster in it.
    """
    root = expand(folder)
    if not root.is_dir():
        raise InputError("no such folder", where=folder, remedy="Name a folder of rasters.")
    # A pattern finds nothing where the folder may not be read, without a word.
    next(root.iterdir(), None)
    files = [
        path
        for path in sorted(root.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts)
    ]
    found = raster_files(files)
    if not found:
        raise InputError(
            f"none of its {len(files)} files is a raster" if files else "the folder is empty",
            where=folder,
            remedy="Name a folder of GeoTIFFs or other rasters.",
        )
    return found


def open_images(
    paths: Sequence[Path], config: SegmentConfig, defaults: ModelDefaults
) -> list[Image]:
    """Look at rasters once: bands, working grid and stretch, as a run of `segment` takes them.

    Images without a valid pixel are left out.

    Args:
        paths: The rasters.
        config: How they are read.
        defaults: The pixel sizes of the teacher.

    Raises:
        InputError: One cannot be opened, some have no red, green and blue, or none has a pixel.
        ReadError: Pixels cannot be read.
    """
    images, grey = [], []
    for path in paths:
        with warnings.catch_warnings():
            # Nothing is written that would need a place on Earth.
            warnings.simplefilter("ignore", RsclipWarning)
            scene = open_scene(path, config)
        with scene:
            if config.bidx is None and not scene.has_palette and len(set(scene.bands)) < 3:
                grey.append(path.name)
                continue
            apply_defaults(scene, config, defaults)
            images.append(Image(path, scene, fit(scene, config.stretch)))
    if grey:
        more = f" and {len(grey) - _SHOWN} more" if len(grey) > _SHOWN else ""
        raise InputError(
            f"{len(grey)} of {len(paths)} rasters have no red, green and blue band: "
            f"{', '.join(grey[:_SHOWN])}{more}",
            where=paths[0].parent,
            remedy="Move them away, or name the bands to show with --bidx, such as 1 or 4,3,2.",
        )
    images = [each for each in images if not each.radiometry.scene_is_empty]
    if not images:
        raise InputError("no raster holds a valid pixel", where=paths[0].parent)
    return images


def hold_out(images: Sequence[Image], labelled: set[Path]) -> tuple[list[Image], list[Image]]:
    """Return images to learn from, and those that only the report sees.

    These are the labelled ones; without labels every tenth, one at least.

    Raises:
        InputError: None is left to learn from.
    """
    every = round(1 / HELD_OUT)
    last = min(every, len(images)) - 1
    held = labelled or {each.path for each in images[last::every]}
    rest = [each for each in images if each.path not in held]
    seen = [each for each in images if each.path in held]
    if not (rest and seen):
        raise InputError(
            f"{len(rest)} of {len(images)} images are left to learn from, and {len(seen)} for the "
            "report, which needs some that the student has not seen",
            where=images[0].path.parent,
            remedy="Add images, with and without labels."
            if labelled
            else "Add images, or cut a large one into pieces.",
        )
    return rest, seen


def draw_batches(
    images: Sequence[Image], shape: Shape, size: int, seed: int, steps: range
) -> Iterator[FloatArray]:
    """Yield a batch of windows for each step, drawn from (seed, step): float32 (B, 3, h, w), 0..1.

    Large images are drawn more often, by the root of their area; windows are turned and mirrored.

    Raises:
        ReadError: Pixels cannot be read.
    """
    areas = np.array([math.prod(each.scene.working_shape) for each in images], float)
    chance = np.sqrt(areas) / np.sqrt(areas).sum()
    turns = 4 if shape[0] == shape[1] else 1
    with gdal_env():
        for step in steps:
            rng = np.random.default_rng((seed, step))
            batch: list[FloatArray] = []
            while len(batch) < size:
                image = images[rng.choice(len(images), p=chance)]
                for pixels in _drawn(image, shape, min(_FROM_ONE, size - len(batch)), rng):
                    turned = np.rot90(pixels, int(rng.integers(turns)), axes=(1, 2))
                    batch.append(turned[:, :, ::-1] if rng.random() < 0.5 else turned)
            yield np.stack(batch)


def _drawn(
    image: Image, shape: Shape, count: int, rng: np.random.Generator
) -> Iterator[FloatArray]:
    """Yield windows at random places, mostly with data."""
    height, width = image.scene.working_shape
    with image.scene.reopen() as scene:
        for _ in range(count):
            for _ in range(_TRIES):
                row = int(rng.integers(max(height - shape[0], 0) + 1))
                col = int(rng.integers(max(width - shape[1], 0) + 1))
                pixels, valid = scene.read(Window(row, col, *shape))
                if valid.mean() >= _LEAST_VALID:
                    break
            yield image.radiometry.apply(pixels, valid)


def windows_of(images: Sequence[Image], shape: Shape, most: int) -> FloatArray:
    """Return windows side by side of all images in turn, `most` in all: float32 (N, 3, h, w).

    Raises:
        InputError: No window holds enough valid pixels.
        ReadError: Pixels cannot be read.
    """
    each_most = -(-most // len(images))
    found = []
    with gdal_env():
        for image in images:
            height, width = image.scene.working_shape
            starts = [
                (row, col)
                for row in range(0, max(height - shape[0], 0) + 1, shape[0])
                for col in range(0, max(width - shape[1], 0) + 1, shape[1])
            ]
            chosen = starts[:: -(-len(starts) // each_most)]
            with image.scene.reopen() as scene:
                for row, col in chosen:
                    pixels, valid = scene.read(Window(row, col, *shape))
                    if valid.mean() >= _LEAST_VALID:
                        found.append(image.radiometry.apply(pixels, valid))
    if not found:
        raise InputError(
            f"no window of {shape[0]} x {shape[1]} pixels of the held-out images is mostly valid",
            where=images[0].path.parent,
            remedy="Add images that are larger or have fewer pixels without data.",
        )
    return np.stack(found[:most])
