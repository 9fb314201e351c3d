"""The sliding case: windows, stitcher and labels against the papers' canvas of pixels."""

import itertools

import numpy as np
import pytest
import rasterio
import torch
from torch.nn.functional import interpolate

import rsclip as library
from rsclip.labelling.labeller import Labeller
from rsclip.labelling.stitcher import Stitcher
from rsclip.labelling.windows import Grid
from rsclip.methods.segmenter import Segmenter
from rsclip.types import Rows
from rsclip.words.legend import load_legend
from tests.layouts import plain
from tests.parity.cases import load_case

CASE = "clearclip-tiny-slide"


@pytest.fixture(scope="module")
def case():
    return load_case(CASE)


def test_patch_grid_is_the_mean_over_the_covering_windows(case):
    settings, arrays, backbone = case
    image = arrays["image"].transpose(2, 0, 1).astype(np.float32) / 255
    crop, stride = settings["crop"], settings["stride"]
    grid = Grid(image.shape[1:], (crop, crop), (stride, stride), backbone.patch)
    segmenter = Segmenter(backbone, arrays["text_features"], device="cpu")
    stitcher = Stitcher(grid, segmenter.queries, "mean")
    # Each window by itself, on its own place of a canvas: the reference, on the patch grid.
    padding = [(0, 0), *((0, a - b) for a, b in zip(grid.padded_shape, grid.shape, strict=True))]
    padded = np.pad(image, padding, mode="reflect")
    total = np.zeros((segmenter.queries, *grid.cells))
    count = np.zeros(grid.cells)
    parts = []
    for index, start in enumerate(grid.row_starts):
        for tile in grid.tiles():
            if tile.window.row != start:
                continue
            row, col, height, width = tile.window
            chip = padded[None, :, row : row + height, col : col + width]
            similarities = segmenter.similarities(chip)[0]
            stitcher.add(tile, similarities)
            rows, cols = grid.window_cells
            place = np.s_[..., row // 16 : row // 16 + rows, col // 16 : col // 16 + cols]
            total[place] += similarities
            count[place] += 1
        parts.append(stitcher.take(grid.final_cell_rows(index)).similarities)
    stitched = np.concatenate(parts, axis=1)
    np.testing.assert_allclose(stitched, total / count, rtol=0, atol=1e-4)
    # The papers' canvas, sampled at patch centres, is the same up to their per-window upsampling.
    canvas = arrays["slide.logits"]
    height, width = canvas.shape[1] // 16 * 16, canvas.shape[2] // 16 * 16
    blocks = canvas[:, :height, :width].reshape(len(canvas), height // 16, 16, width // 16, 16)
    centres = blocks[:, :, 7:9, :, 7:9].mean(axis=(2, 4))
    both = stitched[:, : centres.shape[1], : centres.shape[2]]
    assert np.median(np.abs(both - centres)) < 5e-3


def test_windows_upsampled_as_published_give_the_published_pixels(case):
    """Their loop around our windows: upsampled each by itself, averaged on a canvas of pixels."""
    settings, arrays, backbone = case
    image = arrays["image"].transpose(2, 0, 1).astype(np.float32) / 255
    crop, stride = settings["crop"], settings["stride"]
    height, width = image.shape[1:]
    segmenter = Segmenter(backbone, arrays["text_features"], device="cpu")
    total = np.zeros((segmenter.queries, height, width), np.float32)
    count = np.zeros((height, width), np.float32)
    for row, col in itertools.product(
        *({min(start, size - crop) for start in range(0, size, stride)} for size in (height, width))
    ):
        place = np.s_[row : row + crop, col : col + crop]
        found = torch.from_numpy(segmenter.similarities(image[None, :, *place]))
        upsampled = interpolate(found, size=(crop, crop), mode="bilinear", align_corners=False)
        total[:, *place] += upsampled[0].numpy()
        count[place] += 1
    np.testing.assert_allclose(total / count, arrays["slide.logits"], rtol=0, atol=1e-4)


def test_the_papers_score_is_the_published_probability(case):
    settings, arrays, _ = case
    canvas = arrays["slide.logits"].astype(np.float32)
    shape = canvas.shape[1:]
    words: dict[int, list[str]] = {}
    for query, index in zip(settings["queries"], settings["class_index"], strict=True):
        words.setdefault(index, []).append(query)
    legend = load_legend(["|".join(words[index]) for index in sorted(words)])
    labeller = Labeller(
        shape, shape, (1, 1), legend, plain(settings["class_index"]), score="paper",
        logit_scale=settings["logit_scale"], with_score=True, with_probabilities=True,
    )  # fmt: skip
    strips = list(labeller.add(Rows(0, canvas, np.ones(shape, bool))))
    score = np.concatenate([strip.score for strip in strips])
    shares = np.concatenate([strip.probabilities for strip in strips], axis=1)
    labels = np.concatenate([strip.labels for strip in strips])
    published = arrays["slide.class_probability"]
    np.testing.assert_allclose(score, published.max(0), rtol=0, atol=1e-5)
    # Whole percent.
    np.testing.assert_allclose(shares / 100, published, rtol=0, atol=0.00501)
    assert (labels - 1 == arrays["slide.label"]).mean() > 0.9999


def test_labels_agree_with_the_published_loop(case, tmp_path):
    """Through the whole pipeline: a GeoTIFF in, a mask out."""
    settings, arrays, backbone = case
    image = arrays["image"].transpose(2, 0, 1)
    scene = tmp_path / "scene.tif"
    with rasterio.open(
        scene, "w", driver="GTiff", count=3, dtype="uint8", height=image.shape[1],
        width=image.shape[2], crs="EPSG:32633", transform=rasterio.Affine(1, 0, 0, 0, -1, 0),
    ) as dataset:  # fmt: skip
        dataset.write(image)
    words: dict[int, list[str]] = {}
    for query, index in zip(settings["queries"], settings["class_index"], strict=True):
        words.setdefault(index, []).append(query)
    legend = load_legend(["|".join(words[index]) for index in sorted(words)])
    result = library.segment(
        scene, legend, tmp_path, backbone=backbone, window=settings["crop"],
        stride=settings["stride"], blend="mean", logit_scale=settings["logit_scale"],
        device="cpu", upsample="bilinear",
    )  # fmt: skip
    agreement = np.mean(result.mask() - 1 == arrays["slide.label"])
    assert agreement >= 0.98, agreement
