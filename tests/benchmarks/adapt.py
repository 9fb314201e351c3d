"""What few labels gain: mean IoU against the number of labelled squares, zero-shot and adapted.

    python tests/benchmarks/adapt.py [--real DIR] [--squares 2 5 10] [--seeds 5]
        [--places classes|random|suggested ...] [--picture FILE.svg]

Squares of 8 m (a pixel at least) are drawn at random inside the truth's classes, so many of each.
With `--places random` or `suggested` as many squares of two patches in all lie anywhere, or where
`suggest` asks for them; each gets the class of most of its pixels, or none if that is less than
0.8 of it. Suggested places are the same in every draw, and are measured once. Then `adapt` chooses
the kind, and the scenes are segmented with the adapter; labelled pixels do not count. `--picture`
draws the mean gain over the sets against the number of squares, a line for each of `--places`.
Labels that `adapt` refuses, as too few, gain nothing. Of real sets only places that training never
saw are used. Images are encoded once, whatever the number of runs.
"""

import argparse
import hashlib
import itertools
import json
import os
import tempfile
import warnings
from collections import defaultdict
from pathlib import Path

import geopandas
import numpy as np
import rasterio
import shapely
import torch
import yaml
from rasterio.transform import from_origin

import rsclip
from rsclip.errors import InputError
from rsclip.methods.base import DenseFeatures, Method
from rsclip.nano.real import SETS, VARIABLE, groups, images
from rsclip.study.plots import line_chart

ROOT = Path(__file__).resolve().parents[2]
TILES = ("town_river", "greenhouses")
MULTI_CLASS = ("usgs_monterey_dunes", "chesapeake_naip", "eurosat_mini")
METRES = 8
MOST_IMAGES, MOST_CHIPS = 4, 48
LEAST_SHARE = 0.005
LEAST_CLEAR = 0.8


def cache_features():
    """Let every window be encoded once: its features do not depend on adapters."""
    kept, encode = {}, Method._compared

    def compared(self, trunk, text, options):
        keys = [hashlib.sha1(each.numpy().tobytes()).digest() for each in trunk.images]
        if not all(key in kept for key in keys):
            features, similarities = encode(self, trunk, text, options)
            kept.update(zip(keys, features.tokens, strict=True))
            return features, similarities
        features = DenseFeatures(torch.stack([kept[key] for key in keys]), trunk.cls)
        return features, self.compare(features, text, options)

    Method._compared = compared


def tile(name):
    """Return the classes of a sample tile, and its scene with labels 1..N."""
    classes = yaml.safe_load((ROOT / "sample_tiles/classes.yaml").read_text())["classes"]
    with rasterio.open(ROOT / f"sample_tiles/{name}_labels.tif") as dataset:
        truth = dataset.read(1).astype(int)
    truth[truth == 255] = 0
    # What the tile does not show cannot be labelled: it stays a class, to be mistaken for.
    spec = {each["name"]: each["words"] for each in classes}
    return spec, [(ROOT / f"sample_tiles/{name}.tif", truth)]


def real(root, name, folder):
    """Return the classes of a real set, and its scenes with labels 1..N, 0 unknown."""
    of = next(each for each in SETS if each.name == name)
    spec = {"/".join(group[:2]): list(group) for group in groups(of)}
    scenes = []
    chosen = list(images(root, of, validation=True))
    # Of all places and classes some.
    step = -(-len(chosen) // (MOST_CHIPS if of.labels is None else MOST_IMAGES))
    for number, image in enumerate(chosen[::step]):
        path = folder / f"{name}-{number}.tif"
        height, width = image.pixels.shape[:2]
        at = from_origin(
            500_000 + 50_000 * (number % 8), 5_300_000 - 50_000 * (number // 8), of.gsd, of.gsd
        )
        with rasterio.open(path, "w", driver="GTiff", count=3, height=height, width=width,
                           dtype="uint8", crs="EPSG:32632", transform=at) as dataset:  # fmt: skip
            dataset.write(image.pixels.transpose(2, 0, 1))
        scenes.append((path, image.truth.astype(int) + 1))
    return spec, scenes


def squares(scenes, names, count, seed):
    """Return squares of each class, and which pixels of each scene they cover."""
    rng = np.random.default_rng(seed)
    covered = [np.zeros(truth.shape, bool) for _, truth in scenes]
    found = defaultdict(list)
    for value, name in enumerate(names, 1):
        places = []
        for number, (path, truth) in enumerate(scenes):
            with rasterio.open(path) as dataset:
                transform = dataset.transform
                metres = abs(transform.a) if dataset.crs.is_projected else 0.5
            side = min(max(round(METRES / metres), 1), *truth.shape)
            inside = np.lib.stride_tricks.sliding_window_view(truth == value, (side, side))
            whole = inside.reshape(*inside.shape[:2], -1).all(axis=2)
            places += [(number, row, col, side, transform) for row, col in np.argwhere(whole)]
        for at in rng.permutation(len(places)):
            number, row, col, side, transform = places[at]
            own = covered[number][row : row + side, col : col + side]
            if len(found[name]) == count:
                break
            if own.any():
                continue
            own[:] = True
            corners = [(col, row), (col + side, row), (col + side, row + side), (col, row + side)]
            found[name].append(shapely.Polygon([transform @ corner for corner in corners]))
    with rasterio.open(scenes[0][0]) as dataset:
        crs = dataset.crs
    pairs = [(name, shape) for name, shapes in found.items() for shape in shapes]
    frame = geopandas.GeoDataFrame(
        {"class": [name for name, _ in pairs]}, geometry=[shape for _, shape in pairs], crs=crs
    )
    return frame, covered


def anywhere(scenes, names, count, seed, suggested, spec, folder, backbone):
    """Return squares of two patches, and which pixels of each scene they cover."""
    rng = np.random.default_rng(seed)
    side = 2 * backbone.patch
    per_scene = -(-count * len(names) // len(scenes))
    covered = [np.zeros(truth.shape, bool) for _, truth in scenes]
    shapes, classes = [], []
    for number, (path, truth) in enumerate(scenes):
        with rasterio.open(path) as dataset:
            transform, crs = dataset.transform, dataset.crs
        if suggested:
            todo = rsclip.suggest(path, folder / "todo.gpkg", per_scene, classes=spec,
                                  backbone=backbone, overwrite=True)  # fmt: skip
            bounds = geopandas.read_file(todo).geometry
            corners = [~transform @ (box.bounds[0], box.bounds[3]) for box in bounds]
            places = [(round(row), round(col)) for col, row in corners]
        else:
            limits = [(size - side) // backbone.patch + 1 for size in truth.shape]
            cells = rng.permutation(limits[0] * limits[1])[:per_scene]
            places = [
                (cell // limits[1] * backbone.patch, cell % limits[1] * backbone.patch)
                for cell in cells
            ]
        for row, col in places:
            inside = truth[row : row + side, col : col + side]
            counts = np.bincount(inside.ravel(), minlength=len(names) + 1)
            best = int(counts.argmax())
            if best == 0 or counts[best] < LEAST_CLEAR * inside.size:
                continue
            if covered[number][row : row + side, col : col + side].any():
                continue
            covered[number][row : row + side, col : col + side] = True
            ends = [(col, row), (col + side, row), (col + side, row + side), (col, row + side)]
            shapes.append(shapely.Polygon([transform @ end for end in ends]))
            classes.append(names[best - 1])
    return geopandas.GeoDataFrame({"class": classes}, geometry=shapes, crs=crs), covered


def score(scenes, covered, spec, folder, **options):
    """Return the mean IoU of the scenes' pixels together, of classes that are not rare."""
    count = len(spec)
    matrix = np.zeros((count + 1, count + 1), np.int64)
    for (path, truth), taken in zip(scenes, covered, strict=True):
        mask = rsclip.segment(
            path, None if options.get("adapter") else spec, folder, overwrite=True,
            vector_format="none", areas=False, **options,
        ).mask()  # fmt: skip
        known = (truth > 0) & ~taken
        pairs = truth[known] * (count + 1) + np.minimum(mask[known], count)
        matrix += np.bincount(pairs, minlength=matrix.size).reshape(matrix.shape)
    right, true, predicted = np.diag(matrix), matrix.sum(1), matrix.sum(0)
    held = true >= max(LEAST_SHARE * matrix.sum(), 1)
    return float((right / np.maximum(true + predicted - right, 1))[held].mean())


def gains_of(figures, of, places, count):
    """Return what each draw of a set gained."""
    key = of, places, count
    own = [each for each in figures if (each["set"], each["places"], each["squares"]) == key]
    return np.array([each["adapted"] - each["zero_shot"] for each in own])


def curve(figures):
    """Return the mean gain over the sets against the number of squares, as SVG."""
    sets, places, counts = (
        list(dict.fromkeys(each[key] for each in figures)) for key in ("set", "places", "squares")
    )
    lines = {
        name: [np.mean([gains_of(figures, of, name, count).mean() for of in sets])
               for count in counts]
        for name in places
    }  # fmt: skip
    chart = line_chart(lines, counts, title="What few labels gain", x="places asked for, a class",
                       y="mean gain in mean IoU")  # fmt: skip
    # Beside a page the chart has to bring its own colours and letters.
    style = "<style>svg{background:#fff;font:12px sans-serif}.grid{stroke:#ccc}</style>"
    start, rest = chart.split(">", 1)
    return f'{start} xmlns="http://www.w3.org/2000/svg">{style}{rest}\n'


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", default=os.environ.get(VARIABLE), help="folder of real imagery")
    parser.add_argument("--squares", type=int, nargs="+", default=[10])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sets", nargs="+", default=[*TILES, *MULTI_CLASS])
    parser.add_argument("--kind", default="auto")
    parser.add_argument("--places", nargs="+", choices=["classes", "random", "suggested"],
                        default=["classes"])  # fmt: skip
    parser.add_argument("--model", default="nano")
    parser.add_argument("--output", type=Path, help="where the figures go as JSON")
    parser.add_argument("--picture", type=Path, help="where the curve goes as SVG")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    cache_features()
    backbone, figures = rsclip.load_model(args.model), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for of in args.sets:
            if of not in TILES and args.real is None:
                print(f"{of}: left out, {VARIABLE} is not set")
                continue
            spec, scenes = tile(of) if of in TILES else real(Path(args.real), of, folder)
            for count, places in itertools.product(args.squares, args.places):
                for seed in range(1 if places == "suggested" else args.seeds):
                    if places == "classes":
                        frame, covered = squares(scenes, list(spec), count, seed)
                    else:
                        frame, covered = anywhere(
                            scenes, list(spec), count, seed, places == "suggested", spec, folder,
                            backbone,
                        )  # fmt: skip
                    frame.to_file(folder / "few.gpkg")
                    paths = [path for path, _ in scenes]
                    plain = score(scenes, covered, spec, folder, model=backbone)
                    try:
                        kind = rsclip.adapt(
                            paths, folder / "few.gpkg", spec, folder / "x.adapter", kind=args.kind,
                            backbone=backbone, overwrite=True,
                        ).kind  # fmt: skip
                    except InputError:
                        kind, adapted = "refused", plain
                    else:
                        adapted = score(
                            scenes, covered, spec, folder, model=backbone,
                            adapter=folder / "x.adapter",
                        )  # fmt: skip
                    figures.append(
                        {"set": of, "places": places, "squares": count, "labels": len(frame),
                         "seed": seed, "zero_shot": plain,
                         "adapted": adapted, "kind": kind}
                    )  # fmt: skip
                    print(figures[-1], flush=True)
                gains = gains_of(figures, of, places, count)
                print(f"{of}, {count} squares, {places}: gain {gains.mean():+.3f} "
                      f"+- {gains.std():.3f}", flush=True)  # fmt: skip
    if args.output:
        args.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if args.picture:
        args.picture.write_text(curve(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
