"""Plain records that the stages hand to one another, and the words they use.

shape is always (height, width); arrays of pixels are (C, H, W).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BoolArray",
    "Chip",
    "FloatArray",
    "ModelDefaults",
    "Rows",
    "Score",
    "Shape",
    "Synonyms",
    "Tile",
    "Window",
]

Shape = tuple[int, int]
"""(height, width)."""

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

Score = Literal["class", "paper"]
Synonyms = Literal["max", "mean", "lse"]


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of pixels: offsets and size along rows and columns."""

    row: int
    col: int
    height: int
    width: int

    @property
    def shape(self) -> Shape:
        """(height, width)."""
        return self.height, self.width

    @property
    def row_stop(self) -> int:
        """First row below the window."""
        return self.row + self.height

    @property
    def col_stop(self) -> int:
        """First column right of the window."""
        return self.col + self.width

    def __iter__(self) -> Iterator[int]:
        """Yield row, col, height, width."""
        return iter((self.row, self.col, self.height, self.width))

    def __str__(self) -> str:
        """Rows and columns as half-open ranges."""
        return f"rows {self.row}:{self.row_stop}, columns {self.col}:{self.col_stop}"


@dataclass(frozen=True, slots=True)
class Tile:
    """One cell of the processing grid.

    Attributes:
        index: Position in row-major order, from 0.
        window: The pixels that the encoder sees, on the padded working grid.
    """

    index: int
    window: Window


@dataclass(frozen=True, slots=True)
class Chip:
    """The pixels of one tile, ready for the encoder.

    Attributes:
        tile: Where the pixels come from.
        image: float32 (3, h, w) in 0..1, invalid pixels filled.
        valid: bool (h, w), False where the scene has no data.
    """

    tile: Tile
    image: FloatArray
    valid: BoolArray


@dataclass(frozen=True, slots=True)
class Rows:
    """Finished rows of the patch grid.

    Attributes:
        start: First patch row.
        similarities: float32 (Q, n, columns), zero where not covered.
        covered: bool (n, columns), False where every window was skipped.
    """

    start: int
    similarities: FloatArray
    covered: BoolArray


@dataclass(frozen=True, slots=True)
class ModelDefaults:
    """What a model states of its use, which holds where the user does not say otherwise.

    Attributes:
        gsd_range: Smallest and largest ground sampling distance in metres that the model was
            trained on, or None where it does not say.
        logit_scale: Factor from cosine similarity to logits that its probabilities were
            calibrated with, or None where it does not say.
        version: Which weights of this name they are, or None where it does not say.
    """

    gsd_range: tuple[float, float] | None = None
    logit_scale: float | None = None
    version: str | None = None
