"""What lies between varied ground and stored pixels: clouds, haze, blur and a sensor's curve."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from rsclip.nano.scenes import far_ground as far
from rsclip.nano.scenes import tones as t
from rsclip.nano.scenes.canvas import Canvas
from rsclip.nano.scenes.classes import CLOUD_COVER
from rsclip.nano.scenes.noise import Array
from rsclip.scene.stretch import fit

# Light that air alone sends to the sensor, as reflectance on a clear day.
_AIR = np.array((0.025, 0.045, 0.075, 0.01), np.float32)[:, None, None]
FULL_RANGE = 4095.0


def add_clouds(canvas: Canvas) -> None:
    """Clouds with soft edges, and their shadows; the ground keeps its label under both edges."""
    rng = canvas.rng
    field = far.broad(canvas, 40 + 160 * rng.random())
    level = np.float32(np.quantile(field[::4, ::4], 1 - (0.03 + 0.4 * rng.random() ** 2)))
    weight = np.clip((field - level) * np.float32(0.8 + 2 * rng.random()), 0, 1)
    weight = weight * np.float32(0.75 + 0.25 * rng.random())
    sun = canvas.palette.sun
    far_off = 10 + 50 * rng.random()
    shift = (round(-sun[1] * far_off), round(-sun[0] * far_off))
    shadow = ndimage.uniform_filter(np.roll(weight, shift, (0, 1)), 3)
    canvas.refl *= 1 - shadow * np.float32(0.35 + 0.25 * rng.random())
    bumps = 1 + far.emboss(canvas, far.rough(canvas, 3)) * np.float32(0.05)
    white = np.array(t.CLOUD, np.float32)
    for band in range(4):
        under = canvas.refl[band]
        under += (white[band] * bumps - under) * weight
    canvas.labels[weight > 0.15] = far.UNKNOWN
    canvas.labels[weight > 0.5] = CLOUD_COVER


def _surroundings(rng: np.random.Generator, count: int) -> Array:
    """Colours (3, count) of ground that the rest of a large scene may hold."""
    plants = (t.FORESTS, t.MEADOWS, t.GREEN_CROPS, t.BARE_CROPS)
    tables = (*plants, t.DIRT, t.WATER_TONES, t.TOWN_ROOFS, t.SAND_TONES)
    found = np.concatenate([t.tones(rng, table, 6) for table in tables])
    odds = rng.random(len(tables)).repeat(6) ** 1.5
    return found[rng.choice(len(found), count, p=odds / odds.sum()), :3].T


@dataclass(frozen=True)
class _Numbers:
    """Digital numbers (3, N, M) as a stretch takes its source."""

    pixels: npt.NDArray[np.uint16]

    @property
    def full_range(self) -> tuple[float, float]:
        """Smallest and largest number of the sensor."""
        return 0.0, FULL_RANGE

    def sample(self, max_side: int = 512) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Every few pixels, all valid."""
        step = max(1, -(-max(self.pixels.shape[1:]) // max_side))
        some = self.pixels[:, ::step, ::step]
        return some, np.ones(some.shape[1:], np.bool_)

    def chunks(self) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]]:
        """The whole in one piece."""
        yield self.pixels, np.ones(self.pixels.shape[1:], np.bool_)


def picture(rng: np.random.Generator, refl: Array, noise: Array) -> npt.NDArray[np.uint8]:
    """Reflectance (3, H, W) as uint8 1..255, the way one of several products would store it.

    A fixed linear scale, `segment`'s own percentile stretch of 12-bit numbers, or a camera's
    exposure and gamma; before that haze, the optics' blur and noise.
    """
    clear = rng.random() < 0.35
    air = _AIR[:3] * np.float32(0.4 * rng.random() if clear else 0.5 + 1.6 * rng.random())
    seen = refl * (1 - air) + air
    grey = np.float32(0.3 * rng.random() ** 2)
    seen += (seen.mean(axis=0) - seen) * grey
    sigma = 0.35 + 1.0 * rng.random() ** 1.2
    seen = ndimage.gaussian_filter(seen, (0, sigma, sigma), truncate=2.5)
    grain = np.float32(0.0003 + 0.004 * rng.random() ** 2)
    for band in range(3):
        seen[band] += np.roll(noise, (7 * band, 21 * band), (0, 1)) * grain
    way = rng.random()
    balance = (1 + 0.08 * (2 * rng.random((3, 1, 1)) - 1)).astype(np.float32)
    if way < 0.45:
        gain = min(2.6 + 1.1 * rng.random(), 0.75 / float(seen.mean()))
        shown = seen * balance * np.float32(gain)
    elif way < 0.7:
        scale = np.float32(2500 + 3000 * rng.random())
        numbers = np.clip(seen * scale + 60, 0, FULL_RANGE).astype(np.uint16)
        # The scene is a part of a larger one, whose other ground takes part in the stretch.
        rest = _surroundings(rng, int(numbers[0].size * (0.3 + 1.5 * rng.random()) / 64) + 64)
        rest = np.clip((rest * (1 - air[:, 0]) + air[:, 0]) * scale + 60, 0, FULL_RANGE)
        every = np.concatenate([numbers[:, ::8, ::8].reshape(3, -1), rest], axis=1)
        stretch = fit(_Numbers(every[:, None].astype(np.uint16)))
        shown = stretch.apply(numbers, np.ones(numbers.shape[1:], np.bool_))
    else:
        gain = min((0.16 + 0.3 * rng.random()) / float(seen.mean()), 4.0)
        gamma = np.float32(0.5 + 0.5 * rng.random())
        shown = np.clip(seen * balance * np.float32(gain), 0, 1) ** gamma
    stored8: npt.NDArray[np.uint8] = np.clip(shown * 254 + 1.5, 1, 255).astype(np.uint8)
    return stored8
