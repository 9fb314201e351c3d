"""--refine and --area-threshold through whole runs: files, counts, areas of interest, cuts."""

import csv
import json

import numpy as np
import pytest
import rasterio

import rsclip as library
from rsclip.labelling import guidance, labeller
from rsclip.outputs.rasters.cog import CogWriter

CLASSES = "road, water, forest"


def mask_of(scene, out, model, **options):
    return library.segment(scene, CLASSES, out, model=model, device="cpu", **options)


GUIDED = [{"refine": "pamr:2,8"}, {"upsample": "jbu:3"}, {"upsample": "jbu:2", "refine": "pamr:1"}]


@pytest.mark.parametrize("options", GUIDED)
def test_the_guided_map_keeps_grid_and_nodata(make_scene, tiny_model, tmp_path, options):
    scene = make_scene(shape=(210, 190), nodata=0)
    with rasterio.open(scene, "r+") as dataset:
        dataset.write(np.zeros((3, 60, 80), np.uint8), window=rasterio.windows.Window(0, 0, 80, 60))
    plain = mask_of(scene, tmp_path / "a", tiny_model)
    refined = mask_of(scene, tmp_path / "b", tiny_model, confidence=True, **options)
    a, b = plain.mask(), refined.mask()
    np.testing.assert_array_equal(a == 255, b == 255)
    assert 0 < (a != b).mean() < 0.6
    assert refined.run["settings"].items() >= options.items()
    with rasterio.open(scene) as source, rasterio.open(refined.mask_path) as mask:
        assert (mask.transform, mask.crs, mask.shape) == (
            source.transform, source.crs, source.shape
        )  # fmt: skip


@pytest.mark.parametrize("gsd", [None, 0.8, 0.3])
@pytest.mark.parametrize("guided", GUIDED)
def test_strips_of_the_guided_map_change_no_label(
    make_scene, tiny_model, tmp_path, monkeypatch, gsd, guided
):
    scene = make_scene(shape=(260, 200))
    options = {**guided, "gsd": gsd}
    whole = mask_of(scene, tmp_path / "a", tiny_model, **options).mask()
    monkeypatch.setattr(guidance, "_ROWS", 23)
    monkeypatch.setattr(guidance, "_COLUMNS", 31)
    for module in (guidance, labeller):
        monkeypatch.setattr(module, "CHUNK_PIXELS", 1)
    cut = mask_of(scene, tmp_path / "b", tiny_model, **options).mask()
    np.testing.assert_array_equal(cut, whole)


@pytest.mark.parametrize("options", GUIDED)
def test_an_area_of_interest_has_the_guided_labels_of_the_whole(
    make_scene, tiny_model, tmp_path, options
):
    scene = make_scene(shape=(420, 440))
    whole = mask_of(scene, tmp_path / "a", tiny_model, **options)
    with rasterio.open(scene) as dataset:
        left, top = dataset.transform @ (150, 160)
        right, bottom = dataset.transform @ (200, 200)
    part = mask_of(
        scene, tmp_path / "b", tiny_model, aoi=f"{left},{bottom},{right},{top}", **options
    )  # fmt: skip
    assert part.run["windows"]["skipped"] > 0
    inside = part.mask() != 255
    assert inside.sum() == 40 * 50
    np.testing.assert_array_equal(part.mask()[inside], whole.mask()[inside])


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--refine=crf", "'crf' is no refinement. It is pamr"),
        ("--upsample=featup", "'featup' is no upsampling. It is bilinear, jbu"),
    ],
)
def test_what_is_no_refinement(rsclip, make_scene, tiny_model, tmp_path, flag, said):
    done = rsclip("segment", make_scene(), "--classes", CLASSES, "--model", tiny_model,
                  flag, "-o", tmp_path / "out")  # fmt: skip
    assert done.exit_code == 2
    assert said in done.stderr
    assert not (tmp_path / "out").exists()


def test_small_classes_become_unclassified_everywhere(rsclip, make_scene, tiny_model, tmp_path):
    scene = make_scene(shape=(700, 150))
    plain = mask_of(scene, tmp_path / "a", tiny_model, confidence=True)
    shares = {name: share for name, share in plain.shares.items() if name != "unclassified"}
    ranked = sorted(shares, key=shares.get)
    assert 0 < shares[ranked[0]] < shares[ranked[1]]
    least = (shares[ranked[0]] + shares[ranked[1]]) / 2
    done = rsclip("segment", scene, "--classes", CLASSES, "--model", tiny_model, "--confidence",
                  "--area-threshold", least, "--device", "cpu", "-o", tmp_path / "b")  # fmt: skip
    assert done.exit_code == 0, done.output
    value = [item.name for item in plain.legend.foreground].index(ranked[0]) + 1
    expected = np.where(plain.mask() == value, 0, plain.mask())
    with (
        rasterio.open(tmp_path / "b/scene_mask.tif") as mask,
        rasterio.open(plain.mask_path) as before,
    ):
        np.testing.assert_array_equal(mask.read(1), expected)
        assert mask.colormap(1) == before.colormap(1)
        assert mask.overviews(1) == before.overviews(1)
    run = json.loads((tmp_path / "b/scene_run.json").read_text())
    assert run["folded"] == [ranked[0]]
    assert plain.run["folded"] == []
    pixels = {item["name"]: item["pixels"] for item in run["results"]}
    counted = {item["name"]: item["pixels"] for item in plain.run["results"]}
    assert pixels[ranked[0]] == 0
    assert pixels["unclassified"] == counted["unclassified"] + counted[ranked[0]]
    assert pixels[ranked[1]] == counted[ranked[1]]
    with (tmp_path / "b/scene_areas.csv").open() as file:
        areas = {row["class"]: float(row["pixels"]) for row in csv.DictReader(file)}
    assert areas[ranked[0]] == 0
    # The score of the best class stays, as below a threshold.
    with (
        rasterio.open(tmp_path / "b/scene_confidence.tif") as b,
        rasterio.open(plain.paths["confidence"]) as a,
    ):
        np.testing.assert_array_equal(a.read(1), b.read(1))


def test_a_class_as_large_as_it_must_be_stays(make_scene, tiny_model, tmp_path):
    scene = make_scene()
    plain = mask_of(scene, tmp_path / "a", tiny_model)
    least = min(share for name, share in plain.shares.items() if name != "unclassified" and share)
    found = mask_of(scene, tmp_path / "b", tiny_model, area_threshold=least)
    np.testing.assert_array_equal(found.mask(), plain.mask())
    none = mask_of(scene, tmp_path / "c", tiny_model, area_threshold=1)
    assert set(np.unique(none.mask())) <= {0, *np.unique(plain.mask())}
    assert none.run["folded"]


@pytest.mark.parametrize("shape", [(1, 1), (130, 513), (300, 1025)])
def test_relabelling_reaches_every_pixel_and_is_checked(tmp_path, shape):
    from rsclip.outputs.rasters.cog import Bands

    labels = np.random.default_rng(0).integers(0, 5, shape).astype(np.uint8)
    bands = Bands(["class"], "uint8", 255, "MODE")
    place = None, rasterio.Affine(1, 0, 0, 0, -1, 0)
    with CogWriter(tmp_path / "a.tif", shape, *place, bands, {"KEY": "kept"}) as writer:
        with pytest.raises(ValueError, match="rows were written"):
            writer.relabel({3: 0})
        writer.write(0, labels)
        writer.relabel({3: 0, 4: 1})
        writer.finish()
    with rasterio.open(tmp_path / "a.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(1), np.array([0, 1, 2, 0, 1])[labels])
        assert dataset.tags()["KEY"] == "kept"


def test_a_sieve_follows_the_area_threshold(make_scene, tiny_model, tmp_path):
    scene = make_scene(shape=(120, 140))
    words = "building, road, water"
    plain = library.segment(scene, words, tmp_path / "plain", model=tiny_model)
    smallest = min(plain.shares, key=lambda name: plain.shares[name] or 2)
    options = {"area_threshold": min(plain.shares[smallest] + 0.01, 1), "sieve": 50}
    both = library.segment(scene, words, tmp_path / "both", model=tiny_model, **options)
    labels = both.mask()
    counts = {each["value"]: each["pixels"] for each in both.run["results"]}
    assert counts == {value: int((labels == value).sum()) for value in range(4)}
    assert both.shares[smallest] == 0
