"""How far colour alone goes: one Gaussian over red, green and blue per class.

Run as `python tests/nano/scenes/colour_only.py`. A model that reads texture must score well above
the figure printed here; otherwise the scenes would only teach colours.
"""

import argparse
from collections.abc import Iterable, Iterator

import numpy as np

from rsclip.nano.scenes import CLASSES, generate


def pixels(seeds: Iterable[int], shape: tuple[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Colours (N, 3) float64 0..255 and class numbers (N,) from 0 of each seed's scene."""
    for seed in seeds:
        scene = generate(seed, shape)
        yield scene.image.reshape(3, -1).T.astype(np.float64), scene.labels.ravel() - 1


def colour_only_iou(fit: Iterable[int], score: Iterable[int], shape: tuple[int, int]) -> np.ndarray:
    """IoU of each class, (14,), of the better of equal and measured class weights."""
    count = len(CLASSES)
    number, total = np.zeros(count), np.zeros((count, 3))
    square = np.zeros((count, 3, 3))
    for colours, classes in pixels(fit, shape):
        for index in range(count):
            own = colours[classes == index]
            number[index] += len(own)
            total[index] += own.sum(axis=0)
            square[index] += own.T @ own
    mean = total / number[:, None]
    spread = square / number[:, None, None] - mean[:, :, None] * mean[:, None, :] + np.eye(3)
    inverse, volume = np.linalg.inv(spread), np.linalg.slogdet(spread)[1]
    tables = np.zeros((2, count, count))
    for colours, classes in pixels(score, shape):
        likely = np.empty((count, len(classes)))
        for index in range(count):
            away = colours - mean[index]
            likely[index] = -0.5 * (((away @ inverse[index]) * away).sum(axis=1) + volume[index])
        for table, weight in zip(
            tables, (0.0, np.log(number / number.sum())[:, None]), strict=True
        ):
            guess = (likely + weight).argmax(axis=0)
            table += np.bincount(classes * count + guess, minlength=count**2).reshape(count, count)
    hits = tables.diagonal(axis1=1, axis2=2)
    iou = hits / np.maximum(tables.sum(axis=1) + tables.sum(axis=2) - hits, 1)
    return iou[iou.mean(axis=1).argmax()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fit", type=int, default=30, help="scenes to fit on")
    parser.add_argument("--score", type=int, default=20, help="other scenes to score")
    options = parser.parse_args()
    iou = colour_only_iou(
        range(10_000, 10_000 + options.fit), range(20_000, 20_000 + options.score), (512, 512)
    )
    for name, value in zip(CLASSES, iou, strict=True):
        print(f"{name:14s} {value:.3f}")
    print(f"{'mean':14s} {iou.mean():.3f}")


if __name__ == "__main__":
    main()
