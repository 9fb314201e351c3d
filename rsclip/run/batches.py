"""Windows that are read, in batches for the encoder."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rsclip.scene.scene import Scene, gdal_env
from rsclip.scene.stretch import Radiometry
from rsclip.types import Chip, FloatArray, Shape, Tile, Window

__all__ = ["Batch", "at_a_time", "in_batches", "read_together"]

_NO_IMAGES = np.empty(0, np.float32)
# Pixels that are read at once. Windows of 224 pixels that overlap by half so share most of what
# they could; more would only take memory.
_PIXELS = 2**18


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


def at_a_time(window: Shape) -> int:
    """Return how many windows of a shape `read_together` is for."""
    return max(_PIXELS // (window[0] * window[1]), 1)


def read_together(
    scene: Scene, radiometry: Radiometry, tiles: Sequence[Tile]
) -> Iterator[Chip | None]:
    """Read tiles that lie side by side, and yield each one's chip; None for one without data.

    Windows overlap: so what they share is read and stretched once.

    Args:
        scene: An open scene.
        radiometry: Its stretch.
        tiles: Of one row, from left to right.

    Raises:
        ReadError: The pixels cannot be read.
    """
    first, last = tiles[0].window, tiles[-1].window
    pixels, valid = scene.read(
        Window(first.row, first.col, first.height, last.col_stop - first.col)
    )
    image = radiometry.apply(pixels, valid) if valid.any() else None
    height, width = scene.working_shape
    for tile in tiles:
        row, col = tile.window.row, tile.window.col
        columns = slice(col - first.col, tile.window.col_stop - first.col)
        own = valid[:, columns]
        # What hangs over the scene is its mirror image, and tells nothing.
        seen = own[: height - row, : max(width - col, 0)].any()
        yield Chip(tile, image[..., columns], own) if image is not None and seen else None


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
