"""The drawing surface: reflectance, labels and height of one scene, and windows into them."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rsclip.nano.scenes.noise import Array, Field, NoiseBank
from rsclip.nano.scenes.palette import Colour, Palette

Mask = npt.NDArray[np.bool_]
Window = tuple[slice, slice]


@dataclass(frozen=True)
class Patch:
    """A part of the canvas: a window, the pixels meant, and a local frame in metres.

    `mask` bool, `u` and `v` float32, all (h, w); the frame's origin is the patch's middle and
    the patch reaches about `half_u`, `half_v` metres from it.
    """

    window: Window
    mask: Mask
    u: Array
    v: Array
    half_u: float
    half_v: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the window."""
        return (self.mask.shape[0], self.mask.shape[1])

    def only(self, mask: Mask) -> "Patch":
        """The same patch without the pixels that are false in `mask` (h, w)."""
        return Patch(self.window, self.mask & mask, self.u, self.v, self.half_u, self.half_v)

    def inset(self, metres: float) -> "Patch":
        """The same patch without its rim, measured in the local frame."""
        half_u, half_v = self.half_u - metres, self.half_v - metres
        mask = self.mask & (np.abs(self.u) <= half_u) & (np.abs(self.v) <= half_v)
        return Patch(self.window, mask, self.u, self.v, half_u, half_v)


@dataclass(frozen=True)
class Trees:
    """Crowns to be drawn last: middles and radii in metres, what they are, and their colour.

    Crowns whose middle no longer lies on one of the labels in `ground` are dropped, since
    something else was drawn there after they were planted.
    """

    x: Array
    y: Array
    radius: Array
    label: int
    colours: tuple[Colour, ...]
    cone: bool
    height: float
    ground: tuple[int, ...]


@dataclass
class Canvas:
    """One scene while it is drawn.

    `refl` (4, H, W) float32 reflectance, bands red, green, blue, infrared; `labels` (H, W)
    uint8; `height` (H, W) float32 metres above ground; `locked` (H, W) bool, true where later
    objects must not go. `x` (1, W) and `y` (H, 1) are pixel centres in metres.
    """

    rng: np.random.Generator
    palette: Palette
    bank: NoiseBank
    gsd: float
    refl: Array
    labels: npt.NDArray[np.uint8]
    height: Array
    locked: Mask
    x: Array
    y: Array
    trees: list[Trees] = field(default_factory=list)

    @classmethod
    def blank(
        cls, rng: np.random.Generator, palette: Palette, shape: tuple[int, int], gsd: float
    ) -> "Canvas":
        """An empty canvas of (H, W) pixels of `gsd` metres."""
        rows, cols = shape
        return cls(
            rng=rng,
            palette=palette,
            bank=NoiseBank.make(rng, shape, gsd),
            gsd=gsd,
            refl=np.zeros((4, rows, cols), np.float32),
            labels=np.zeros(shape, np.uint8),
            height=np.zeros(shape, np.float32),
            locked=np.zeros(shape, np.bool_),
            x=((np.arange(cols, dtype=np.float32) + np.float32(0.5)) * np.float32(gsd))[None, :],
            y=((np.arange(rows, dtype=np.float32) + np.float32(0.5)) * np.float32(gsd))[:, None],
        )

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in metres."""
        return self.labels.shape[1] * self.gsd, self.labels.shape[0] * self.gsd

    def whole(self) -> Patch:
        """The whole canvas as a patch."""
        rows, cols = self.labels.shape
        wide, tall = self.size
        u = np.broadcast_to(self.x - np.float32(wide / 2), (rows, cols))
        v = np.broadcast_to(self.y - np.float32(tall / 2), (rows, cols))
        return Patch((slice(0, rows), slice(0, cols)), ~self.locked, u, v, wide / 2, tall / 2)

    def rect(
        self, cx: float, cy: float, angle: float, half_u: float, half_v: float
    ) -> Patch | None:
        """A turned rectangle around (cx, cy) metres, or None where none of it is on the canvas."""
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        reach_x = abs(cos) * half_u + abs(sin) * half_v
        reach_y = abs(sin) * half_u + abs(cos) * half_v
        rows, cols = self.labels.shape
        top = max(0, int((cy - reach_y) / self.gsd) - 1)
        left = max(0, int((cx - reach_x) / self.gsd) - 1)
        bottom = min(rows, int((cy + reach_y) / self.gsd) + 2)
        right = min(cols, int((cx + reach_x) / self.gsd) + 2)
        if top >= bottom or left >= right:
            return None
        dx = self.x[:, left:right] - np.float32(cx)
        dy = self.y[top:bottom] - np.float32(cy)
        u = dx * cos + dy * sin
        v = dy * cos - dx * sin
        mask = (np.abs(u) <= half_u) & (np.abs(v) <= half_v)
        return Patch((slice(top, bottom), slice(left, right)), mask, u, v, half_u, half_v)

    def free(self, patch: Patch) -> bool:
        """Whether the patch has pixels and none of them is locked."""
        return bool(patch.mask.any()) and not bool((patch.mask & self.locked[patch.window]).any())

    def fill(self, patch: Patch, label: int, colour: Colour, shade: Field) -> None:
        """Set the patch to `label` and to `colour` times `shade` (h, w), at height 0."""
        mask = patch.mask
        self.labels[patch.window][mask] = label
        self.height[patch.window][mask] = 0
        for band in range(4):
            np.copyto(self.refl[band][patch.window], shade * colour[band], where=mask)

    def blend(self, patch: Patch, colour: Colour, weight: Field) -> None:
        """Move the patch's pixels towards `colour` by `weight` (h, w), 0..1; label unchanged."""
        part = weight * patch.mask
        for band in range(4):
            under = self.refl[band][patch.window]
            under += (colour[band] - under) * part

    def raise_to(self, patch: Patch, height: Field | float) -> None:
        """Set the patch's height in metres."""
        np.copyto(self.height[patch.window], np.float32(height), where=patch.mask)

    def lock(self, patch: Patch) -> None:
        """Keep later objects off the patch."""
        self.locked[patch.window] |= patch.mask

    def axes(self, patch: Patch, angle: float) -> tuple[Array, Array]:
        """Metres along and across a direction of the ground, whatever the patch's own frame."""
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        x, y = self.x[:, patch.window[1]], self.y[patch.window[0]]
        return x * cos + y * sin, y * cos - x * sin

    def cut(self, scale: int, shape: tuple[int, int]) -> Array:
        """Shorthand for a random cut of the noise bank."""
        return self.bank.cut(self.rng, scale, shape)
