"""How labels are guided by the scene's image, and the blocks in which that is done."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from rsclip.config import SegmentConfig
from rsclip.labelling.bilateral import parse_upsampling
from rsclip.labelling.refinement import NEIGHBOURS, halo_of, parse_dilations
from rsclip.types import Shape

__all__ = ["CHUNK_PIXELS", "Guidance"]

CHUNK_PIXELS = 1 << 18
# Guided strips are higher, as each is worked out with a halo, but of no more pixels than this.
_ROWS = 512
_PIXELS = 1 << 22
_COLUMNS = 256
_LEAST = 64
# Of every pixel's affinities to its neighbours: as they are, and normalised.
_AFFINITY_COPIES = 2


@dataclass(frozen=True, slots=True)
class Guidance:
    """What of the image the labels take in.

    Attributes:
        dilations: Of PAMR, in pixels; () for none.
        reach: Of joint bilateral upsampling, in patches; 0 for none.
        room: Bytes for a block at once, where memory is limited.
    """

    dilations: tuple[int, ...] = ()
    reach: int = 0
    room: int | None = None

    @classmethod
    def of(cls, config: SegmentConfig, room: int | None = None) -> Self:
        """Read the settings.

        Raises:
            OptionError: They say what is no refinement, or no upsampling.
        """
        dilations = parse_dilations(config.refine) if config.refine is not None else ()
        return cls(dilations, parse_upsampling(config.upsample), room)

    def __bool__(self) -> bool:
        """Whether the image is needed."""
        return bool(self.dilations or self.reach)

    @property
    def halo(self) -> int:
        """How many pixels away an upsampled value can come from."""
        return halo_of(self.dilations) if self.dilations else 0

    def block_shape(self, columns: int, queries: int) -> Shape:
        """Return (height, width) of a block without its halo; no value depends on it.

        Args:
            columns: Of the scene.
            queries: Number of class words.
        """
        rows = min(max(_PIXELS // columns, 1), _ROWS)
        width = min(max(CHUNK_PIXELS // rows, _COLUMNS), columns)
        if self.room is not None:
            pixel = self._floats(queries) * np.float32().nbytes
            side = max(math.isqrt(self.room // pixel) - 2 * self.halo, _LEAST)
            rows, width = min(rows, side), min(width, side)
        return rows, width

    def block_floats(self, columns: int, queries: int) -> int:
        """Return how many numbers a block holds at once, its halo included."""
        rows, width = self.block_shape(columns, queries)
        around = (rows + 2 * self.halo) * min(width + 2 * self.halo, columns)
        return around * self._floats(queries)

    def held_rows(self, columns: int, queries: int, patch: int) -> int:
        """Return how many patch rows a block needs."""
        rows, _ = self.block_shape(columns, queries)
        return -(-(rows + 2 * self.halo) // patch) + 2 * self.reach

    def _floats(self, queries: int) -> int:
        affinities = _AFFINITY_COPIES * NEIGHBOURS * len(self.dilations)
        return affinities + (queries + 1 if self.reach else 0)
