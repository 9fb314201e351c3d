"""One stretch per scene: pixels of any type to 0..1, the same in every window."""

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rsclip.config import DEFAULT_STRETCH
from rsclip.errors import OptionError
from rsclip.types import BoolArray, FloatArray

__all__ = ["Radiometry", "Stretch", "fit", "parse_stretch"]

Kind = Literal["none", "minmax", "percentile", "range"]

_EXAMPLES = "Examples: none, minmax, percentile:2,98, range:0,3000."
# Enough for percentiles to a tenth of a percent.
_ENOUGH_PIXELS = 10_000


class _Source(Protocol):
    """What a stretch needs of a scene."""

    @property
    def full_range(self) -> tuple[float, float]: ...

    def sample(self, max_side: int = ...) -> tuple[NDArray[Any], BoolArray]: ...

    def chunks(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Stretch:
    """How the ends of the stretch are found.

    Attributes:
        kind: "none" (by the pixels' type and bits), "minmax", "percentile" or "range".
        low: Percentile or value that becomes 0; unused by none and minmax.
        high: Percentile or value that becomes 1.
    """

    kind: Kind
    low: float = 0.0
    high: float = 1.0

    def __str__(self) -> str:
        """As the option is written."""
        if self.kind in ("none", "minmax"):
            return self.kind
        return f"{self.kind}:{self.low:g},{self.high:g}"


def parse_stretch(text: str) -> Stretch:
    """Read none, minmax, percentile:LO,HI or range:LO,HI.

    Raises:
        OptionError: It is none of these, or the ends do not fit.
    """
    kind, _, ends = text.strip().partition(":")
    if kind in ("none", "minmax") and not ends:
        return Stretch(kind)  # type: ignore[arg-type]  # just compared
    if kind not in ("percentile", "range"):
        raise _wrong(text)
    try:
        low, high = (float(part) for part in ends.split(","))
    except ValueError:
        raise _wrong(text) from None
    if not (math.isfinite(low) and math.isfinite(high)):
        raise _wrong(text, "Both ends must be finite. ")
    if not low < high:
        raise _wrong(text, "The first number must be the smaller one. ")
    if kind == "percentile" and not 0 <= low < high <= 100:
        raise _wrong(text, "Percentiles lie between 0 and 100. ")
    return Stretch(kind, low, high)  # type: ignore[arg-type]  # just compared


def stretch_for(text: str | None, dtype: DTypeLike) -> Stretch:
    """Return the stretch that is meant: unsaid, none for 8-bit pixels, else `DEFAULT_STRETCH`.

    Raises:
        OptionError: As `parse_stretch`.
    """
    if text is None:
        text = "none" if np.dtype(dtype) == np.uint8 else DEFAULT_STRETCH
    return parse_stretch(text)


def _wrong(text: str, why: str = "") -> OptionError:
    return OptionError(f"{text!r} is no stretch", where="--stretch", remedy=why + _EXAMPLES)


@dataclass(frozen=True, slots=True)
class Radiometry:
    """A scene's stretch, fitted.

    Attributes:
        stretch: How the ends were found.
        low: Per band (red, green, blue) the pixel value that becomes 0; above `high` where the
            file has 0 as white.
        high: Per band the pixel value that becomes 1.
        fill: Per band the mean of the valid stretched pixels, 0..1: stands in for invalid ones.
        sample_size: Valid pixels that these were taken from.
        valid_share: Share (0..1) of valid pixels in the sample.
    """

    stretch: Stretch
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    fill: tuple[float, float, float]
    sample_size: int
    valid_share: float

    @property
    def scene_is_empty(self) -> bool:
        """The whole scene holds no valid pixel."""
        return self.sample_size == 0

    def apply(self, pixels: NDArray[Any], valid: BoolArray) -> FloatArray:
        """Stretch pixels (3, h, w) of the scene's type to float32 0..1; fill where not valid."""
        image = np.empty(pixels.shape, np.float32)
        for band, plane in enumerate(pixels):
            image[band] = np.where(
                valid, _stretched(plane, valid, self.low[band], self.high[band]), self.fill[band]
            )
        return image

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the run record."""
        return {
            "stretch": str(self.stretch),
            "kind": self.stretch.kind,
            "low": list(self.low),
            "high": list(self.high),
            "fill": list(self.fill),
            "sample_size": self.sample_size,
            "valid_share": self.valid_share,
        }

    def describe(self) -> str:
        """Say the stretch in one line."""
        ends = [f"{low:.6g} to {high:.6g}" for low, high in zip(self.low, self.high, strict=True)]
        if self.scene_is_empty and self.stretch.kind in ("minmax", "percentile"):
            return f"{self.stretch} (no valid pixel)"
        return f"{self.stretch} ({ends[0] if len(set(ends)) == 1 else '; '.join(ends)})"


def fit(scene: _Source, stretch: str | None = None) -> Radiometry:
    """Fit the stretch of a scene to its valid pixels, from one decimated read.

    Where that meets no valid pixel, the scene is read block by block until enough are found.

    Args:
        scene: An open scene.
        stretch: none, minmax, percentile:LO,HI or range:LO,HI. Default: none for 8-bit pixels,
            else `config.DEFAULT_STRETCH`.

    Raises:
        OptionError: `stretch` is none of these.
        ReadError: The pixels cannot be read.
    """
    if stretch is not None:
        parse_stretch(stretch)
    pixels, valid = scene.sample()
    asked = stretch_for(stretch, pixels.dtype)
    values = pixels[:, valid]
    share = float(valid.mean())
    if not values.shape[1]:
        values = _search(scene, values)
    ends = [_ends(asked, band, scene.full_range) for band in values]
    seen = np.ones(values.shape[1], np.bool_)
    fill = [
        float(_stretched(band, seen, *each).mean(dtype=np.float64)) if band.size else 0.0
        for band, each in zip(values, ends, strict=True)
    ]
    lows, highs = zip(*ends, strict=True)
    return Radiometry(asked, lows, highs, _three(fill), values.shape[1], share)


def _search(scene: _Source, nothing: NDArray[Any]) -> NDArray[Any]:
    found = [nothing]
    count = 0
    for pixels, valid in scene.chunks():
        if valid.any():
            found.append(pixels[:, valid])
            count += found[-1].shape[1]
        if count >= _ENOUGH_PIXELS:
            break
    return np.concatenate(found, axis=1)


def _ends(
    stretch: Stretch, values: NDArray[Any], full_range: tuple[float, float]
) -> tuple[float, float]:
    if stretch.kind == "none":
        return full_range
    low, high = _ascending(stretch, values)
    return (high, low) if full_range[0] > full_range[1] else (low, high)


def _ascending(stretch: Stretch, values: NDArray[Any]) -> tuple[float, float]:
    if stretch.kind == "range":
        return stretch.low, stretch.high
    if not values.size:
        return 0.0, 1.0
    if stretch.kind == "percentile":
        low, high = np.percentile(values.astype(np.float64), (stretch.low, stretch.high))
        if low < high:
            return float(low), float(high)
    # Nearly all pixels alike: the few that differ are all there is to see.
    return float(values.min()), float(values.max())


def _stretched(values: NDArray[Any], valid: BoolArray, low: float, high: float) -> NDArray[Any]:
    """Map low..high to 0..1 and clip; where low is high, below it 0, above it 1, at it 0.5."""
    # Types beyond 16 bits may hold values that float32 cannot tell apart.
    work: Any = np.float32 if values.dtype.itemsize <= 2 else np.float64
    offset: NDArray[Any] = np.where(valid, values, work(low)).astype(work) - work(low)
    if high != low:
        offset /= work(high - low)
        return offset.clip(0, 1)
    return np.asarray(np.sign(offset) / work(2) + work(0.5))


def _three(values: list[float]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue
