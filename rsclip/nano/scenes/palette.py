"""Colours, season and sun of one scene; colours are reflectances (red, green, blue, infrared)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Colour = npt.NDArray[np.float32]
Quad = tuple[float, float, float, float]

SOILS: tuple[Quad, ...] = (
    (0.30, 0.21, 0.14, 0.38),
    (0.38, 0.21, 0.13, 0.42),
    (0.31, 0.28, 0.24, 0.37),
    (0.15, 0.12, 0.09, 0.23),
    (0.48, 0.41, 0.31, 0.55),
    (0.42, 0.33, 0.20, 0.48),
)
GRASSES: tuple[Quad, ...] = (
    (0.13, 0.22, 0.08, 0.45),
    (0.36, 0.31, 0.18, 0.42),
    (0.22, 0.24, 0.12, 0.42),
    (0.09, 0.25, 0.07, 0.50),
    (0.28, 0.25, 0.17, 0.30),
    (0.43, 0.39, 0.25, 0.45),
)
CROPS: tuple[Quad, ...] = (
    (0.09, 0.20, 0.06, 0.48),
    (0.16, 0.28, 0.08, 0.52),
    (0.50, 0.42, 0.22, 0.55),
    (0.52, 0.50, 0.08, 0.55),
    (0.24, 0.22, 0.11, 0.40),
    (0.40, 0.34, 0.24, 0.46),
    (0.12, 0.15, 0.07, 0.38),
    (0.30, 0.34, 0.20, 0.50),
)
TREES: tuple[Quad, ...] = (
    (0.07, 0.13, 0.05, 0.42),
    (0.11, 0.19, 0.06, 0.50),
    (0.05, 0.09, 0.05, 0.30),
    (0.30, 0.18, 0.06, 0.42),
    (0.22, 0.18, 0.13, 0.28),
    (0.16, 0.18, 0.08, 0.40),
    (0.34, 0.28, 0.08, 0.45),
)
WATERS: tuple[Quad, ...] = (
    (0.04, 0.08, 0.10, 0.02),
    (0.06, 0.12, 0.07, 0.03),
    (0.20, 0.17, 0.11, 0.06),
    (0.05, 0.13, 0.22, 0.02),
    (0.03, 0.04, 0.05, 0.01),
    (0.16, 0.20, 0.22, 0.05),
    (0.10, 0.26, 0.28, 0.03),
    (0.24, 0.26, 0.25, 0.07),
)
SANDS: tuple[Quad, ...] = (
    (0.62, 0.54, 0.40, 0.66),
    (0.74, 0.70, 0.62, 0.76),
    (0.52, 0.40, 0.26, 0.58),
    (0.36, 0.33, 0.30, 0.40),
    (0.60, 0.44, 0.32, 0.64),
    (0.48, 0.45, 0.38, 0.52),
)
ASPHALTS: tuple[Quad, ...] = (
    (0.10, 0.10, 0.11, 0.13),
    (0.19, 0.19, 0.19, 0.22),
    (0.30, 0.29, 0.28, 0.33),
    (0.42, 0.40, 0.37, 0.44),
    (0.26, 0.22, 0.19, 0.30),
    (0.15, 0.14, 0.15, 0.19),
)
BALLASTS: tuple[Quad, ...] = (
    (0.26, 0.22, 0.19, 0.30),
    (0.34, 0.32, 0.30, 0.36),
    (0.20, 0.16, 0.13, 0.24),
    (0.42, 0.38, 0.34, 0.44),
    (0.30, 0.21, 0.15, 0.34),
)
ROOFS: tuple[Quad, ...] = (
    (0.42, 0.20, 0.13, 0.48),
    (0.30, 0.17, 0.13, 0.38),
    (0.09, 0.09, 0.10, 0.12),
    (0.20, 0.20, 0.21, 0.24),
    (0.72, 0.71, 0.69, 0.70),
    (0.46, 0.45, 0.43, 0.48),
    (0.14, 0.20, 0.32, 0.26),
    (0.16, 0.26, 0.20, 0.30),
    (0.50, 0.12, 0.10, 0.52),
    (0.52, 0.42, 0.30, 0.56),
    (0.24, 0.19, 0.15, 0.30),
)
POOLS: tuple[Quad, ...] = (
    (0.18, 0.52, 0.58, 0.05),
    (0.10, 0.34, 0.50, 0.04),
    (0.30, 0.60, 0.60, 0.06),
    (0.05, 0.14, 0.26, 0.03),
    (0.12, 0.32, 0.32, 0.05),
    (0.36, 0.54, 0.66, 0.06),
)
PANELS: tuple[Quad, ...] = (
    (0.04, 0.06, 0.14, 0.08),
    (0.03, 0.03, 0.04, 0.06),
    (0.10, 0.14, 0.26, 0.12),
    (0.16, 0.19, 0.25, 0.18),
    (0.09, 0.09, 0.11, 0.11),
    (0.26, 0.30, 0.36, 0.26),
)
GLASSES: tuple[Quad, ...] = (
    (0.60, 0.64, 0.66, 0.62),
    (0.74, 0.74, 0.72, 0.72),
    (0.40, 0.48, 0.46, 0.55),
    (0.36, 0.42, 0.50, 0.44),
    (0.56, 0.56, 0.50, 0.60),
    (0.28, 0.36, 0.28, 0.52),
)
CARS: tuple[Quad, ...] = (
    (0.80, 0.80, 0.80, 0.70),
    (0.05, 0.05, 0.06, 0.06),
    (0.35, 0.36, 0.38, 0.35),
    (0.50, 0.06, 0.05, 0.50),
    (0.06, 0.12, 0.35, 0.20),
    (0.60, 0.61, 0.62, 0.60),
    (0.16, 0.17, 0.18, 0.18),
    (0.30, 0.28, 0.22, 0.30),
)
PAINT: Colour = np.array((0.75, 0.75, 0.72, 0.70), np.float32)


def jitter(rng: np.random.Generator, colour: Colour, amount: float = 0.12) -> Colour:
    """The colour, brighter or darker and a little off in hue; (4,) float32."""
    bright = 1 + 1.5 * amount * (2 * rng.random() - 1)
    hue = 1 + 0.6 * amount * (2 * rng.random(4) - 1)
    return np.clip(colour * (bright * hue), 0.01, 0.95).astype(np.float32)


def pick(rng: np.random.Generator, colours: tuple[Quad, ...], amount: float = 0.12) -> Colour:
    """One of the colours, half the time on its way to a second; (4,) float32."""
    first = np.array(colours[rng.integers(len(colours))], np.float32)
    second = np.array(colours[rng.integers(len(colours))], np.float32)
    part = np.float32(max(0.0, rng.random() - 0.5))
    return jitter(rng, first + (second - first) * part, amount)


@dataclass(frozen=True)
class Palette:
    """What all objects of one scene share.

    Colours are (4,) float32 reflectances; `sun` is the unit vector (x east, y south, z up)
    towards the sun.
    """

    soil: Colour
    grass: Colour
    grass_dry: Colour
    crops: tuple[Colour, ...]
    trees: tuple[Colour, ...]
    water: Colour
    shallow: Colour
    sand: Colour
    asphalt: Colour
    pavement: Colour
    ballast: Colour
    roofs: tuple[Colour, ...]
    pool: Colour
    panel: Colour
    glass: Colour
    sun: tuple[float, float, float]
    wind: float
    wind_angle: float
    conifer: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Palette":
        """A palette drawn from the generator."""
        azimuth = 2 * np.pi * rng.random()
        elevation = np.pi * (0.15 + 0.22 * rng.random())
        water = pick(rng, WATERS)
        soil = pick(rng, SOILS)
        grass = pick(rng, GRASSES)
        return cls(
            soil=soil,
            grass=grass,
            grass_dry=jitter(rng, grass * np.float32(0.6) + soil * np.float32(0.4)),
            crops=tuple(pick(rng, CROPS) for _ in range(4)),
            trees=tuple(pick(rng, TREES) for _ in range(3)),
            water=water,
            shallow=jitter(rng, water * np.float32(0.6) + soil * np.float32(0.35)),
            sand=pick(rng, SANDS),
            asphalt=pick(rng, ASPHALTS),
            pavement=pick(rng, ASPHALTS + SANDS[5:]),
            ballast=pick(rng, BALLASTS),
            roofs=tuple(pick(rng, ROOFS) for _ in range(int(rng.integers(2, 6)))),
            pool=pick(rng, POOLS),
            panel=pick(rng, PANELS),
            glass=pick(rng, GLASSES),
            sun=(
                float(np.cos(elevation) * np.cos(azimuth)),
                float(np.cos(elevation) * np.sin(azimuth)),
                float(np.sin(elevation)),
            ),
            wind=float(rng.random()),
            wind_angle=float(np.pi * rng.random()),
            conifer=float(rng.random()),
        )
