"""Windows that were read, in batches for the encoder."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rsclip.scene.scene import gdal_env
from rsclip.types import Chip, FloatArray, Tile

__all__ = ["Batch", "in_batches"]

_NO_IMAGES = np.empty(0, np.float32)


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows that go through the encoder together.

    Attributes:
        tiles: Where they lie.
        images: float32 (B, 3, H, W).
        done: How many windows were read by then, the skipped ones included.
        clean: No window that was read waits for a later batch: a run can be taken up here.
    """

    tiles: list[Tile]
    images: FloatArray
    done: int
    clean: bool = True


def in_batches(
    chips: Iterable[Chip | None], first: int, size: int, columns: int
) -> Iterator[Batch]:
    """Yield batches of windows, always the same ones.

    Args:
        chips: Windows; None for one that no label needs.
        first: Number of the first: 0, a row's first, or a clean batch's `done`.
        size: Windows a batch.
        columns: Windows a row.
    """
    with gdal_env():
        waiting: list[Chip] = []
        done = first
        for chip in chips:
            done += 1
            if chip is not None:
                waiting.append(chip)
            if len(waiting) == size:
                yield _batch(waiting, done)
                waiting = []
            elif done % columns == 0:
                # Nothing to encode, but to tell how far it is: there may be no data for long.
                yield Batch([], _NO_IMAGES, done - len(waiting), clean=not waiting)
        if waiting:
            yield _batch(waiting, done)


def _batch(chips: Sequence[Chip], done: int) -> Batch:
    return Batch([chip.tile for chip in chips], np.stack([chip.image for chip in chips]), done)
