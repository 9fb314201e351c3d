"""From reflectance to what a camera stores: haze, blur, noise, gain and gamma."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from rsclip.nano.scenes.noise import Array

REFLECTANCE_SCALE = 10000
_LEVELS = 4096


def sense(
    rng: np.random.Generator, refl: Array, noise: Array, reflectance: bool
) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """Image of a scene.

    `refl` (4, H, W) float32 0..1 and `noise` (H, W) white noise. With `reflectance`: uint16,
    reflectance times 10000, 1..10000. Otherwise uint8, 1..255, with a gain and gamma of the
    scene's own. 0 is left to nodata.
    """
    haze = 0.10 * rng.random() ** 2
    sigma = 0.25 + 0.55 * rng.random()
    grain = 0.004 + 0.016 * rng.random() ** 2
    # Exposed for the scene's mean, as cameras are; whole numbers, so that no sum rounds.
    total = int((refl[:3] * np.float32(REFLECTANCE_SCALE)).astype(np.int64).sum())
    mean = total / (3 * refl[0].size * REFLECTANCE_SCALE) + haze
    exposure = min(3.0, max(0.7, (0.19 + 0.28 * rng.random()) / mean))
    gain = exposure * (1 + 0.11 * (2 * rng.random(4) - 1))
    gamma = 0.55 + 0.4 * rng.random()
    grey = 0.35 * rng.random() ** 2
    tint = np.array((0.8, 0.95, 1.2, 0.5)) * haze
    lut = (np.arange(_LEVELS + 1) / _LEVELS) ** gamma * 254 + 1
    lut8 = np.floor(lut + 0.5).astype(np.uint8)
    out = np.empty(refl.shape, np.uint16 if reflectance else np.uint8)
    dull = refl[:3].mean(axis=0) if grey > 0.02 else None
    for band in range(len(refl)):
        field = refl[band]
        if dull is not None and band < 3:
            field = field + (dull - field) * np.float32(grey)
        field = ndimage.gaussian_filter1d(field, sigma, axis=0, truncate=2.5)
        field = ndimage.gaussian_filter1d(field, sigma, axis=1, truncate=2.5)
        field = field * np.float32(1 - haze) + np.float32(tint[band])
        shift = 7 * band  # each band sees another part of the noise
        field += np.roll(noise, (shift, 3 * shift), (0, 1)) * np.float32(grain)
        if reflectance:
            stored = np.clip(field * np.float32(REFLECTANCE_SCALE), 1, REFLECTANCE_SCALE)
            out[band] = (stored + np.float32(0.5)).astype(np.uint16)
        else:
            level = np.clip(field * np.float32(gain[band] * _LEVELS), 0, _LEVELS)
            out[band] = lut8[level.astype(np.int32)]
    return out
