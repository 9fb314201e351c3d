"""Scores on real imagery: by hand on images made here, and held to floors where there is some."""

import json
import os
import re

import numpy as np
import pytest

import rsclip
from rsclip.files import data_path
from rsclip.nano.real import SETS, VARIABLE, RealImage, RealSet, find_folder, images
from rsclip.nano.real_scores import evaluate_set, score, words_of, write_geotiff
from rsclip.nano.scenes import generate

pytestmark = pytest.mark.filterwarnings("ignore::rsclip.errors.RsclipWarning")

TOWN = RealSet(
    "town", 0.5, {1: ("water",), 2: ("forest", "orchard"), 3: ("building",)}, lambda name: True
)
CHIPS = RealSet("chips", 0.5, {"a": ("water",), "b": ("forest", "orchard")}, lambda name: True,
                labels=None)  # fmt: skip
# A tenth below what the shipped weights reached on these images.
FLOORS = {
    "usgs_monterey_dunes": 0.43,
    "usgs_obx_coast": 0.52,
    "oam_buildings": 0.53,
    "chesapeake_naip": 0.50,
    "eurosat_mini": 0.68,
}


def drawn(of, truth, seed=3):
    pixels = np.ascontiguousarray(generate(seed, (128, 96)).image.transpose(1, 2, 0))
    none = np.zeros(truth.shape, np.uint32)
    return RealImage(of, "a", "MIT", True, pixels.astype(np.uint8), none, truth)


def test_a_set_of_masks_is_scored_over_all_pixels_together(tmp_path):
    random = np.random.default_rng(1)
    chosen = [
        drawn(TOWN, random.integers(-1, 3, (128, 96)).astype(np.int16), seed) for seed in (3, 4)
    ]
    found = score(TOWN, evaluate_set(TOWN, chosen, "nano"))
    both = []
    for image in chosen:
        write_geotiff(image.pixels.transpose(2, 0, 1), tmp_path / "a.tif", 0.5)
        mask = rsclip.segment(tmp_path / "a.tif", words_of(TOWN), tmp_path, model="nano",
                              overwrite=True).mask()  # fmt: skip
        both.append((image.truth, np.array([-1, 0, 1, 1, 2])[mask]))
    truth, mapped = (np.stack(each) for each in zip(*both, strict=True))
    mapped = np.where(truth < 0, -1, mapped)
    iou = [
        ((truth == k) & (mapped == k)).sum() / ((truth == k) | (mapped == k)).sum()
        for k in range(3)
    ]
    assert list(found["iou"].values()) == pytest.approx(iou, abs=1e-4)
    assert found["miou"] == pytest.approx(np.mean(iou), abs=1e-4)
    assert list(found["iou"]) == ["water", "forest/orchard", "building"]


def test_of_chips_the_commonest_label_counts():
    blue = drawn(CHIPS, np.zeros((64, 64), np.int16))
    water = np.full((64, 64, 3), (30, 60, 110), np.uint8)
    chosen = [
        RealImage(CHIPS, "a", "MIT", True, water, blue.allowed, np.full((64, 64), k, np.int16))
        for k in (0, 0, 1)
    ]
    found = score(CHIPS, evaluate_set(CHIPS, chosen, "nano"))
    assert found["majority"] in (0.3333, 0.6667)
    assert found["images"] == 3


def test_one_class_alone_is_held_against_the_background():
    """Its IoU is that of the class; all else is one."""
    truth = np.full((128, 96), 2, np.int16)
    truth[:64] = 0
    found = evaluate_set(TOWN, [drawn(TOWN, truth)], "nano", alone="building")
    assert list(found.legend.names.values())[1:] == ["building"]
    assert found.support.tolist() == [64 * 96, 64 * 96]


@pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} names no real imagery")
@pytest.mark.parametrize("name", FLOORS)
def test_real_imagery_is_read_no_worse_than_this(name):
    (of,) = (each for each in SETS if each.name == name)
    every = list(images(find_folder(), of, validation=True))
    few = every[:: max(len(every) // (4 if of.labels else 12), 1)]
    found = score(of, evaluate_set(of, few, "nano"))
    reached = found["miou" if of.labels else "majority"]
    assert reached >= FLOORS[name]


def test_the_model_card_says_the_figures_that_the_notice_is_made_of():
    figures = json.loads((data_path("nano") / "figures.json").read_text())
    card = (data_path("nano").parents[2] / "docs" / "nano.md").read_text(encoding="utf-8")
    for name, found in figures.items():
        (row,) = re.findall(rf"^\| {name} \| [\d.]+ m.*$", card, re.MULTILINE)
        value, percent = re.search(r"\*\*([\d.]+)( %)?\*\*", row).groups()
        said = float(value) / (100 if percent else 1)
        assert said == pytest.approx(found.get("miou", found.get("majority")), abs=0.0051)
