"""Training scenes and crops, all drawn from seeds."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.nano.scenes import CLASSES, MORE_CLASSES, generate, generate_varied

HELD_OUT_START = 1_000_000
"""Training scenes have seeds below this number, held-out scenes from it on: never the same."""

COLLAR_SHARE = 0.1
POINTS_PER_CLASS = 64
IGNORED = -100

Bytes = npt.NDArray[np.uint8]


def train_seed(index: int) -> int:
    """Generator seed of the index-th training scene."""
    if not 0 <= index < HELD_OUT_START:
        raise ValueError(f"training scene {index} would reach into the held-out seeds")
    return index


def held_out_seed(index: int) -> int:
    """Generator seed of the index-th held-out scene."""
    if index < 0:
        raise ValueError("held-out scenes count from 0")
    return HELD_OUT_START + index


@dataclass(frozen=True)
class PoolScene:
    """A scene of the pool: `image` uint8 (H, W, 3), `labels` uint8 (H, W), and `points`.

    `points` int32 (N, 3) are (class index, row, column): at most POINTS_PER_CLASS random pixels of
    every class in the scene, as centres for crops.
    """

    image: Bytes
    labels: Bytes
    points: npt.NDArray[np.int32]


def pool_scene(index: int, variety: float = 0.0) -> PoolScene:
    """The index-th training scene; pixels without data hold the mean of the valid ones.

    A share of `variety` (0..1) of the scenes is varied: every landscape, pixels up to 30 m.
    """
    seed = train_seed(index)
    rng = np.random.default_rng(seed)
    collar = bool(rng.random() < COLLAR_SHARE)
    varied = bool(np.random.default_rng((seed, 1)).random() < variety)
    scene = generate_varied(seed) if varied else generate(seed, collar=collar)
    image = scene.image.transpose(1, 2, 0).astype(np.uint8)
    if not scene.valid.all():
        image[~scene.valid] = image[scene.valid].mean(axis=0).round().astype(np.uint8)
    points = []
    for k in range(len(CLASSES + MORE_CLASSES)):
        where = np.flatnonzero(scene.labels == k + 1)
        if len(where):
            drawn = rng.choice(where, POINTS_PER_CLASS)
            rows, columns = np.unravel_index(drawn, scene.labels.shape)
            points.append(np.stack([np.full_like(rows, k), rows, columns], axis=1))
    every = np.concatenate(points).astype(np.int32)
    return PoolScene(np.ascontiguousarray(image), scene.labels, every)


@dataclass(frozen=True)
class Batch:
    """Crops: `images` float32 (B, 3, S, S) in 0..1; `labels` int64 (B, S, S), or IGNORED."""

    images: torch.Tensor
    labels: torch.Tensor


class Pool:
    """Scenes kept in memory, and seeded batches of crops from them.

    `frequency` float64 (K,) are the shares of the `classes` among their pixels. What is none of
    the classes is IGNORED in batches.
    """

    def __init__(self, scenes: Iterable[PoolScene], classes: Sequence[str] = CLASSES) -> None:
        self.scenes, self.classes = list(scenes), tuple(classes)
        counts = np.zeros(256, np.int64)
        points = []
        for index, scene in enumerate(self.scenes):
            counts += np.bincount(scene.labels.ravel(), minlength=256)
            points.append(np.insert(scene.points, 0, index, axis=1))
        every = np.concatenate(points)
        self._points = [every[every[:, 1] == k][:, [0, 2, 3]] for k in range(len(self.classes))]
        of_classes = counts[1 : len(self.classes) + 1]
        if not of_classes.all():
            absent = [name for name, n in zip(self.classes, of_classes, strict=True) if not n]
            raise ValueError(f"no pixel of {', '.join(absent)}: the pool needs more scenes")
        self.frequency = of_classes / of_classes.sum()

    @classmethod
    def generate(
        cls, count: int, processes: int = 1, variety: float = 0.0, more: bool = False
    ) -> "Pool":
        """The first `count` training scenes; the number of processes changes nothing.

        A share of `variety` (0..1) of them is varied. With `more`, MORE_CLASSES follow CLASSES;
        without it their pixels are ignored.
        """
        classes = CLASSES + MORE_CLASSES if more else CLASSES
        # "spawn" leaves torch's threads out of the children.
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as executor:
            drawn = partial(pool_scene, variety=variety)
            return cls(executor.map(drawn, range(count), chunksize=8), classes)

    def batch(self, rng: np.random.Generator, size: int, crop: int, balanced: float) -> Batch:
        """`size` crops of `crop` pixels; a share of `balanced` lies on evenly drawn classes."""
        images = torch.empty(size, 3, crop, crop)
        labels = torch.empty(size, crop, crop, dtype=torch.long)
        for i in range(size):
            image, label = self._crop(rng, crop, balanced)
            images[i] = image
            labels[i] = label
        labels = torch.where((labels < 1) | (labels > len(self.classes)), IGNORED, labels - 1)
        gain = torch.from_numpy(rng.uniform(0.92, 1.08, (size, 1, 1, 1)).astype(np.float32))
        tint = torch.from_numpy(rng.uniform(0.97, 1.03, (size, 3, 1, 1)).astype(np.float32))
        return Batch((images * gain * tint).clamp_(0, 1), labels)

    def _crop(
        self, rng: np.random.Generator, crop: int, balanced: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        # Half the crops keep the scene's own pixels: resampling changes texture and noise.
        scale = 1.0 if rng.random() < 0.5 else float(np.exp(rng.uniform(np.log(0.6), np.log(1.6))))
        size = round(crop / scale)
        if rng.random() < balanced:
            points = self._points[int(rng.integers(len(self._points)))]
            index, row, column = (int(n) for n in points[int(rng.integers(len(points)))])
            row, column = row - int(rng.integers(size)), column - int(rng.integers(size))
        else:
            index = int(rng.integers(len(self.scenes)))
            row, column = int(rng.integers(1 << 30)), int(rng.integers(1 << 30))
            height, width = self.scenes[index].labels.shape
            row, column = row % height, column % width
        scene = self.scenes[index]
        row = min(max(row, 0), scene.labels.shape[0] - size)
        column = min(max(column, 0), scene.labels.shape[1] - size)
        window = (slice(row, row + size), slice(column, column + size))
        image, label = scene.image[window], scene.labels[window]
        turns = int(rng.integers(4))
        image, label = np.rot90(image, turns), np.rot90(label, turns)
        if rng.random() < 0.5:
            image, label = image[:, ::-1], label[:, ::-1]
        pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float() / 255
        classes = torch.from_numpy(np.ascontiguousarray(label))
        if size != crop:
            pixels = F.interpolate(pixels[None], size=(crop, crop), mode="bilinear")[0]
            nearest = ((torch.arange(crop) + 0.5) * size / crop).long()
            classes = classes[nearest][:, nearest]
        return pixels, classes.long()
