"""Whole runs against a loop as papers publish it: time as a ratio, and mean IoU on truth.

    python tests/benchmarks/reference_loop.py [--runs nano:1500 ViT-B-16:1500 nano:3000]
                                              [--write docs/performance.md]

The loop (ours, after the published sliding windows) takes one window after another, upsamples its
similarities to pixels, pads them to the scene and adds them to a canvas of the whole scene; crop
224, stride 112. `rsclip segment` has the same windows; `--preset fast`, also in int8, those that it
gives its users, of the model's own size.
The scene is a sample tile and its labels, mirrored on and on. ViT-B-16 has seeded random weights:
its times are real, its labels are not. Times are processor time, of one run each. On a scene of
more than 4,000 pixels the loop takes PART windows, and its time is that of one of them times their
number; rsclip then runs in int8 alone. `--write` puts the table between the markers of a Markdown
file.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import torch
from real import write
from torch.nn import functional as F  # noqa: N812

import rsclip
from rsclip.methods.segmenter import Segmenter
from rsclip.model.open_clip_import import import_open_clip

BEGIN, END = "<!-- reference loop: begin -->", "<!-- reference loop: end -->"
TILE = Path(__file__).parents[2] / "sample_tiles/town_river.tif"
CLASSES = {"building": 1, "road": 2, "water": 3, "forest": 4, "grassland": 5,
           "parking lot": 8}  # fmt: skip
"""Words, and their values in the tile's labels."""
CROP, STRIDE = 224, 112
WHOLE, PART = 4000, 12
WAYS = {
    "rsclip segment": {"window": CROP, "stride": STRIDE},
    "`--preset fast`": {"preset": "fast"},
    "`--preset fast --engine onnx-int8`": {"preset": "fast", "engine": "onnx-int8"},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", nargs="+", default=["nano:1500", "ViT-B-16:1500", "nano:3000"])
    parser.add_argument("--write", type=Path, help="Markdown file that gets the table")
    args = parser.parse_args()
    lines = ["| model | scene | run | the loop's time, divided by its | mIoU, % |",
             "|---|---|---|---|---|"]  # fmt: skip
    for run in args.runs:
        model, side = run.split(":")
        lines += compare(model, int(side))
        print("\n".join(lines), flush=True)
    if args.write:
        command = f"python tests/benchmarks/reference_loop.py --runs {' '.join(args.runs)}"
        said = f"Made by `{command} --write docs/performance.md`."
        write(args.write, ["", *lines, "", said, ""], BEGIN, END)


def compare(name, side):
    """Return the rows of a model and a scene."""
    torch.manual_seed(0)
    backbone = (
        rsclip.load_model("nano")
        if name == "nano"
        else rsclip.wrap(import_open_clip().create_model(name))
    )
    shown = name if name == "nano" else f"{name}, random weights"
    text = backbone.text_features([[f"a photo of {word}."] for word in CLASSES])
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        truth = mirrored(TILE.with_name("town_river_labels.tif"), side, None)
        scene = Path(folder, "scene.tif")
        mirrored(TILE, side, scene)
        # The engine's graph is built once for a model, and kept.
        mirrored(TILE, CROP, Path(folder, "small.tif"))
        for how in WAYS.values():
            segment(Path(folder, "small.tif"), folder, backbone, how)
        labels, took = loop(Segmenter(backbone, text), scene)
        miou = "-" if labels is None else score(labels, truth[0], name)
        lines.append(row(shown, side, "the loop", 1, miou))
        for way, how in list(WAYS.items())[0 if side <= WHOLE else -1 :]:
            began = time.process_time()
            result = segment(scene, folder, backbone, how)
            ratio = took / (time.process_time() - began)
            lines.append(row(shown, side, way, ratio, score(result.mask(), truth[0], name)))
    return lines


def segment(scene, folder, backbone, how):
    """Return the result of a whole run."""
    return rsclip.segment(
        scene, list(CLASSES), folder, model=backbone, device="cpu",
        templates="simple", vector_format="none", areas=False, overwrite=True, **how,
    )  # fmt: skip


def loop(segmenter, scene):
    """Return labels 1..K (H, W) by a canvas of the whole scene, and seconds of processor time.

    Of a large scene there are no labels, and the time is worked out from a few windows.
    """
    began = time.process_time()
    with rasterio.open(scene) as dataset:
        image = torch.from_numpy(dataset.read().astype(np.float32) / 255)[None]
    height, width = image.shape[2:]
    canvas = torch.zeros(1, len(CLASSES), height, width)
    count = torch.zeros(1, 1, height, width)
    tops, lefts = (
        [min(n, side - CROP) for n in range(0, side - CROP + STRIDE, STRIDE)]
        for side in (height, width)
    )
    places = [(y, x) for y in tops for x in lefts]
    part = len(places) if max(height, width) <= WHOLE else PART
    first = time.process_time()
    for y, x in places[:: len(places) // part][:part]:
        window = image[:, :, y : y + CROP, x : x + CROP]
        found = torch.from_numpy(segmenter.similarities(window.numpy()))
        found = F.interpolate(found, (CROP, CROP), mode="bilinear")
        canvas += F.pad(found, (x, width - x - CROP, y, height - y - CROP))
        count[:, :, y : y + CROP, x : x + CROP] += 1
    if part < len(places):
        return None, (time.process_time() - first) / part * len(places)
    labels = (canvas / count).argmax(1)[0].numpy() + 1
    return labels, time.process_time() - began


def mirrored(source, side, path):
    """Return a raster's pixels (C, side, side), mirrored on and on; write them where asked to."""
    with rasterio.open(source) as dataset:
        pixels, profile = dataset.read(), dataset.profile
    more = [(0, 0), *((0, max(side - n, 0)) for n in pixels.shape[1:])]
    pixels = np.pad(pixels, more, mode="symmetric")[:, :side, :side]
    if path is not None:
        with rasterio.open(path, "w", **{**profile, "height": side, "width": side}) as dataset:
            dataset.write(pixels)
    return pixels


def score(labels, truth, name):
    """Return the mean IoU of the classes in percent; of random weights "-"."""
    if name != "nano":
        return "-"
    values = np.array([*CLASSES.values()])
    known = np.isin(truth, values)
    found, true = np.append(0, values)[labels[known].clip(0, len(values))], truth[known]
    ious = [
        ((found == v) & (true == v)).sum() / ((found == v) | (true == v)).sum()
        for v in values
        if (true == v).any()
    ]
    return f"{100 * np.mean(ious):.1f}"


def row(model, side, way, ratio, miou):
    """Return one line of the table."""
    return f"| {model} | {side:,} x {side:,} | {way} | {ratio:.2f} | {miou} |"


if __name__ == "__main__":
    main()
