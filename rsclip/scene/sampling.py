"""Which pixels a decimated read picks, and how many blocks it reads at once."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["decimate", "groups", "whole_blocks"]


def decimate(size: int, count: int) -> NDArray[np.intp]:
    """Return `count` pixels spread evenly over `size`, nearest to the centres."""
    return ((np.arange(count) + 0.5) * (size / count)).astype(np.intp).clip(0, size - 1)


def groups(index: NDArray[np.intp], step: int) -> list[NDArray[np.intp]]:
    """Split ascending positions where they pass a multiple of `step`."""
    return np.split(index, np.flatnonzero(np.diff(index // step)) + 1)


def whole_blocks(block: int, size: int, room: int, least: int) -> int:
    """Return as many whole blocks as have room, in pixels; a block too large is cut.

    Args:
        block: Side of a block.
        size: Side of the raster.
        room: Pixels that may be read at once along this axis.
        least: Pixels of a block that is cut.
    """
    if block >= size:
        return min(size, max(1, room, least))
    return min(size, block * max(1, room // block))


def reflect(start: int, count: int, size: int) -> NDArray[np.intp]:
    """Return the pixels that `count` positions from `start` on mirror, as np.pad's "reflect".

    Args:
        start: First position.
        count: Number of positions.
        size: Pixels along the axis; positions outside 0..size-1 are mirrored at the last pixel.
    """
    if size == 1:
        return np.zeros(count, np.intp)
    position = np.abs(np.arange(start, start + count)) % (2 * size - 2)
    return np.where(position < size, position, 2 * size - 2 - position)
