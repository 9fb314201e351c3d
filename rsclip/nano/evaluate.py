"""Score a nano model on held-out scenes: `python -m rsclip.nano.evaluate --output DIR`.

Scenes are written as GeoTIFFs and go through `rsclip.run.segment.segment_scenes` at default
settings, so that the figures are those a user gets.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.config import SegmentConfig
from rsclip.files import data_path
from rsclip.nano.data import held_out_seed, train_seed
from rsclip.nano.export import load_nano
from rsclip.nano.model import encode_text
from rsclip.nano.real_scores import write_geotiff
from rsclip.nano.scenes import CLASSES, SyntheticScene, generate
from rsclip.nano.sliding import Counts, confusion, iou
from rsclip.nano.text_tower import Tokens
from rsclip.nano.words import IMAGENET_TEMPLATES, Vocabulary, load_vocabulary
from rsclip.run.segment import Failure, segment_scenes

GSD = 0.5
COLOUR_SCENES = 100


def write_scene(scene: SyntheticScene, path: Path) -> None:
    """Write a scene as a GeoTIFF of `GSD` metres in UTM; pixels without data as nodata 0."""
    write_geotiff(scene.image, path, GSD, nodata=0)


def count(truth: npt.NDArray[Any], found: npt.NDArray[Any]) -> Counts:
    """Confusion (K, K + 1) of label values; the last column is anything but a class."""
    classes = len(CLASSES)
    used = (truth >= 1) & (truth <= classes)
    rows = truth[used].astype(np.int64) - 1
    columns = found[used].astype(np.int64) - 1
    columns = np.where((columns < 0) | (columns >= classes), classes, columns)
    flat = np.bincount(rows * (classes + 1) + columns, minlength=classes * (classes + 1))
    return flat.reshape(classes, classes + 1)


def scores(counts: Counts) -> npt.NDArray[np.float64]:
    """IoU (K,); a pixel left without a class is a miss."""
    both = np.diag(counts).astype(np.float64)
    found = counts[:, :-1].sum(axis=0)
    result: npt.NDArray[np.float64] = both / (found + counts.sum(axis=1) - both)
    return result


def segment_all(
    paths: Sequence[Path],
    truths: Sequence[npt.NDArray[np.uint8]],
    words: Sequence[str],
    **options: Any,
) -> npt.NDArray[np.float64]:
    """IoU (K,) of one word a class, in the order of CLASSES, over all scenes together."""
    total = np.zeros((len(CLASSES), len(CLASSES) + 1), np.int64)
    with tempfile.TemporaryDirectory() as folder:
        config = SegmentConfig(**options)
        results = segment_scenes(paths, list(words), folder, config=config)
        for result, truth in zip(results, truths, strict=True):
            if isinstance(result, Failure):
                raise result.error
            total += count(truth, result.mask())
    return scores(total)


def colour_baseline(scenes: Sequence[SyntheticScene], priors: bool) -> npt.NDArray[np.float64]:
    """IoU (K,) of one Gaussian per class over red, green and blue, fitted on training scenes."""
    pixels, labels = [], []
    for index in range(COLOUR_SCENES):
        scene = generate(train_seed(index))
        pixels.append(scene.image.reshape(3, -1).T[::7])
        labels.append(scene.labels.ravel()[::7])
    x, y = np.concatenate(pixels).astype(np.float64), np.concatenate(labels)
    models = []
    for k in range(len(CLASSES)):
        own = x[y == k + 1]
        covariance = np.cov(own.T)
        constant = -0.5 * float(np.linalg.slogdet(covariance)[1])
        constant += float(np.log(len(own) / len(x))) if priors else 0.0
        models.append((own.mean(axis=0), np.linalg.inv(covariance), constant))
    total = np.zeros((len(CLASSES), len(CLASSES) + 1), np.int64)
    for scene in scenes:
        flat = scene.image.reshape(3, -1).T.astype(np.float64)
        fits = [
            constant - 0.5 * np.einsum("ni,ij,nj->n", flat - mean, inverse, flat - mean)
            for mean, inverse, constant in models
        ]
        total += count(scene.labels.ravel(), np.argmax(fits, axis=0) + 1)
    return scores(total)


def word_sets(vocabulary: Vocabulary) -> dict[str, list[str]]:
    """The word lists that are scored: class names, other trained words, three sets of unseen."""
    sets = {"trained": [c.name for c in vocabulary.classes]}
    sets["synonyms"] = [c.trained[3] for c in vocabulary.classes]
    for k in range(3):
        sets[f"unseen {k + 1}"] = [c.unseen[k] for c in vocabulary.classes]
    return sets


def vanilla(model: str, scenes: Sequence[SyntheticScene]) -> npt.NDArray[np.float64]:
    """IoU (K,) of the class names with the ordinary last block (q-k, residual, FFN)."""
    folder = data_path("nano") if model == "nano" else Path(model)
    clip, shape = load_nano(folder)
    clip.eval()
    tokens, words = Tokens(), []
    with torch.no_grad():
        for name in CLASSES:
            prompts = tokens([(template, name) for template in IMAGENET_TEMPLATES])
            words.append(encode_text(clip, prompts).mean(dim=0))
    embedded = F.normalize(torch.stack(words), dim=-1)
    (counts,) = confusion(clip, shape, [embedded], scenes, attention="qk")
    return iou(counts)


def evaluate(count_scenes: int, model: str) -> dict[str, Any]:
    """All figures of the model card, as plain values for JSON."""
    scenes = [generate(held_out_seed(i)) for i in range(count_scenes)]
    truths = [scene.labels for scene in scenes]
    results: dict[str, Any] = {"scenes": count_scenes, "classes": list(CLASSES)}

    def add(name: str, values: npt.NDArray[np.float64], words: Sequence[str] | None = None) -> None:
        results[name] = {"miou": round(float(values.mean()), 4), "iou": values.round(4).tolist()}
        if words:
            results[name]["words"] = list(words)
        print(f"{name:24} {values.mean():.3f}  {' '.join(f'{v:.2f}' for v in values)}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"scene-{i:03}.tif" for i in range(count_scenes)]
        for scene, path in zip(scenes, paths, strict=True):
            write_scene(scene, path)
        for name, words in word_sets(load_vocabulary()).items():
            add(name, segment_all(paths, truths, words, model=model), words)
        values = segment_all(paths, truths, CLASSES, templates="remote-sensing", model=model)
        add("templates remote-sensing", values)
    add("vanilla last block", vanilla(model, scenes))
    add("colour only", colour_baseline(scenes, priors=True))
    add("colour only, no priors", colour_baseline(scenes, priors=False))
    unseen = float(np.mean([results[f"unseen {k + 1}"]["miou"] for k in range(3)]))
    ratio = round(unseen / results["trained"]["miou"], 4)
    results["unseen"] = {"miou": round(unseen, 4), "ratio": ratio}
    print(f"unseen / trained: {ratio:.3f}")
    return results


def main() -> None:
    """Parse the command line, score, write figures.json."""
    parser = argparse.ArgumentParser(description="Score a nano model on held-out scenes.")
    parser.add_argument("--output", type=Path, required=True, help="folder for figures.json")
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--model", default="nano", help="nano or the folder of a model")
    arguments = parser.parse_args()
    figures = evaluate(arguments.scenes, arguments.model)
    arguments.output.mkdir(parents=True, exist_ok=True)
    text = json.dumps(figures, indent=2) + "\n"
    (arguments.output / "figures.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
