"""How a picture of the same ground may look: haze, exposure, curves, stretch, sharpness, JPEG."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

Floats = npt.NDArray[Any]
BLUE_HAZE = np.array((0.75, 0.85, 1.0), np.float32)


def vary(rng: np.random.Generator, pixels: npt.NDArray[np.uint8]) -> Floats:
    """Another rendering of a crop: uint8 (H, W, 3) to float32 (H, W, 3) in 0..1."""
    image: Floats = pixels.astype(np.float32) / np.float32(255)
    if rng.random() < 0.25:
        image = image + (BLUE_HAZE - image) * np.float32(0.35 * rng.random() ** 2)
    if rng.random() < 0.2:
        image = stretched(image, rng.uniform(0.5, 4))
    gain = rng.uniform(0.75, 1.3) * rng.uniform(0.93, 1.07, 3)
    image = np.clip(image * gain.astype(np.float32), 0, 1) ** np.float32(rng.uniform(0.75, 1.3))
    grey = image.mean(axis=2, keepdims=True)
    image = grey + (image - grey) * np.float32(rng.uniform(0.6, 1.3))
    if rng.random() < 0.3:
        blurred = ndimage.gaussian_filter(image, (rng.uniform(0.4, 0.9),) * 2 + (0,))
        image = blurred if rng.random() < 0.5 else image + (image - blurred)
    image = np.clip(image, 0, 1).astype(np.float32)
    if rng.random() < 0.3:
        image = _jpeg(image, int(rng.integers(35, 96)))
    return image


def stretched(image: Floats, percent: float) -> Floats:
    """Each band spread between two percentiles, as `rsclip segment` spreads 16-bit scenes."""
    low, high = np.percentile(image, (percent, 100 - percent), axis=(0, 1))
    spread: Floats = np.clip((image - low) / np.maximum(high - low, 0.02), 0, 1).astype(np.float32)
    return spread


def _jpeg(image: Floats, quality: int) -> Floats:
    """The image through JPEG of this quality."""
    stored = io.BytesIO()
    Image.fromarray((image * 255 + 0.5).astype(np.uint8)).save(stored, "JPEG", quality=quality)
    back: Floats = np.asarray(Image.open(stored), np.float32) / 255
    return back
