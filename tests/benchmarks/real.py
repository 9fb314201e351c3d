"""Scores on real imagery at default settings, on places that training never sees.

    python tests/benchmarks/real.py --real DIR [--model nano] [--output FILE.json]

Of a set with masks: mean IoU of what its labels tell apart, over all pixels together. Of a set of
chips: the share whose commonest label is right. The words are our class names; where a label may be
any of several classes, each of them is right, and their union is one class of the score.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import rasterio

import rsclip
from rsclip.nano.real import SETS, find_folder, groups, images
from rsclip.run.segment import segment_scenes


def write(image, path):
    """An image as a GeoTIFF in UTM at the pixel size of its set."""
    height, width, bands = image.pixels.shape
    size = image.of.gsd
    with rasterio.open(
        path, "w", driver="GTiff", count=bands, height=height, width=width, dtype="uint8",
        crs="EPSG:32632", transform=rasterio.Affine(size, 0, 5e5, 0, -size, 5e6),
    ) as dataset:  # fmt: skip
        dataset.write(image.pixels.transpose(2, 0, 1))


def counts(of, chosen, model, folder):
    """Confusion (groups, groups) of each image of a set: truth by row, found by column."""
    known = groups(of)
    words = [word for group in known for word in group]
    column = np.array([k for k, group in enumerate(known) for _ in group])
    paths = [folder / f"{of.name}-{index}.tif" for index in range(len(chosen))]
    for image, path in zip(chosen, paths, strict=True):
        write(image, path)
    config = rsclip.SegmentConfig(model=model)
    results = segment_scenes(paths, words, folder, config=config)
    for image, result in zip(chosen, results, strict=True):
        found = result.mask()
        used = (image.truth >= 0) & (found > 0) & (found <= len(words))
        pairs = image.truth[used] * len(known) + column[found[used] - 1]
        yield np.bincount(pairs, minlength=len(known) ** 2).reshape(len(known), -1)


def score(of, found):
    """The set's figures from its images' confusions."""
    total = np.sum(found, axis=0)
    if of.labels is None:
        right = [int(one.sum(axis=0).argmax()) == int(one.sum(axis=1).argmax()) for one in found]
        return {"chips": len(found), "majority": round(float(np.mean(right)), 4)}
    both = np.diag(total)
    held = total.sum(axis=1) > 0
    iou = both[held] / (total.sum(axis=0) + total.sum(axis=1) - both)[held]
    names = ["/".join(g) if len(g) < 5 else "other" for g in groups(of)]
    return {
        "images": len(found),
        "miou": round(float(iou.mean()), 4),
        "accuracy": round(float(both.sum() / total.sum()), 4),
        "iou": dict(zip(np.array(names)[held].tolist(), iou.round(4).tolist(), strict=True)),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, help="folder of real imagery")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--output", type=Path, help="where the figures go as JSON")
    args = parser.parse_args()
    root, figures = find_folder(args.real), {}
    for of in SETS:
        chosen = list(images(root, of, validation=True))
        if chosen:
            with tempfile.TemporaryDirectory() as folder:
                figures[of.name] = score(of, list(counts(of, chosen, args.model, Path(folder))))
            print(of.name, figures[of.name], flush=True)
    if args.output:
        args.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
