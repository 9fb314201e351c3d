"""`rsclip.try_settings` and `rsclip evaluate SCENE ...`: scenes segmented, and one table."""

import json

import numpy as np
import pytest
import rasterio

import rsclip as library
from rsclip.errors import InputError, OptionError
from rsclip.study.evaluate import trials as trials_module
from tests.study.evaluate.test_evaluate import blobs, write

CLASSES = "building|house, water, forest"

pytestmark = pytest.mark.filterwarnings("ignore::rsclip.errors.RsclipWarning")


@pytest.fixture
def scene(make_scene, tmp_path):
    """A scene and labels of its grid."""
    path = make_scene()
    with rasterio.open(path) as dataset:
        profile = {**dataset.profile, "count": 1, "nodata": 255, "dtype": "uint8"}
    with rasterio.open(tmp_path / "truth.tif", "w", **profile) as dataset:
        dataset.write(np.random.default_rng(1).integers(1, 4, (70, 90), "uint8"), 1)
    return path, tmp_path / "truth.tif"


def test_every_combination_is_scored_as_its_own_mask_is(scene, tiny_model, tmp_path):
    path, labels = scene
    trials = library.try_settings(
        path, labels, CLASSES, gsd=[0.5, 1], models=[tiny_model], methods="clearclip,gem:blocks=1"
    )
    assert {(each.gsd, each.method) for each in trials} == {
        (size, method) for size in (0.5, 1) for method in ("clearclip", "gem:blocks=1")
    }
    best = [each.scores.overall["miou"] for each in trials]
    assert best == sorted(best, reverse=True)
    for each in trials:
        name, _, blocks = each.method.partition(":blocks=")
        made = library.segment(
            path, CLASSES, tmp_path / f"{each.gsd}{name}", model=tiny_model, gsd=each.gsd,
            method=name, method_option={"blocks": int(blocks)} if blocks else {},
            vector_format="none", confidence=True,
        )  # fmt: skip
        alone = library.evaluate(made.mask_path, labels, confidence=made.paths["confidence"])
        assert each.scores.overall == alone.overall
        np.testing.assert_array_equal(each.scores.confusion.matrix, alone.confusion.matrix)


def test_the_command_prints_one_table(scene, tiny_model, tmp_path, rsclip):
    path, labels = scene
    call = ["evaluate", path, "--labels", labels, "--classes", CLASSES, "--models", tiny_model]
    done = rsclip(*call, "--gsd", "0.5,1", "--json")
    assert done.exit_code == 0, done.output
    trials = library.try_settings(path, labels, CLASSES, gsd=[0.5, 1], models=[tiny_model])
    said = json.loads(done.stdout)["trials"]
    assert [each["gsd"] for each in said] == [each.gsd for each in trials]
    assert said[0]["overall"]["miou"]["value"] == trials[0].scores.overall["miou"]
    assert "mean IoU" in rsclip(*call).stdout
    assert rsclip(*call, "--gsd", "0.5,x").exit_code == 2
    for missing in ([], ["--gsd", "1"]):
        done = rsclip("evaluate", path, "--labels", labels, *missing)
        assert done.exit_code == 2
        assert "Give --classes" in done.output
    with pytest.raises(OptionError, match="100 times off"):
        # Before the first of them is tried.
        library.try_settings(path, labels, CLASSES, gsd=[0.5, 400], models=["no/such"])
    with pytest.raises(OptionError, match="pixel size"):
        library.try_settings(path, labels, CLASSES, gsd=[-1], models=[tiny_model])


def test_what_does_not_fit_is_told_before_any_scene_is_segmented(
    scene, tiny_model, tmp_path, monkeypatch
):
    path, labels = scene
    monkeypatch.setattr(trials_module, "segment_scenes", lambda *a, **k: pytest.fail("segmented"))
    elsewhere = write(tmp_path / "elsewhere.tif", blobs(1), crs="EPSG:32640")
    for wrong, message in (
        ({"labels": elsewhere}, "do not overlap"),
        ({"ignore": [1, 2, 3]}, "all labels are ignored"),
        ({"models": [tiny_model, "no/such"]}, "unknown model"),
        ({"mapping": {"1": "castle"}}, "no class 'castle'"),
        ({"aoi": "0,0,1,1"}, "outside the scene"),
    ):
        asked = {"labels": labels, "classes": CLASSES, "models": [tiny_model], **wrong}
        with pytest.raises(InputError, match=message):
            library.try_settings(path, gsd=[0.5, 1], **asked)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / f"{path.stem}_evaluation.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="outputs exist already"):
        library.try_settings(path, labels, CLASSES, tmp_path / "out", models=[tiny_model])


@pytest.mark.parametrize("sizes", [[], [0.5, 1]])
def test_the_record_says_how_maps_were_made_and_compared(sizes, scene, tiny_model, tmp_path):
    path, labels = scene
    library.try_settings(
        path, labels, CLASSES, tmp_path, gsd=sizes, models=[tiny_model], ignore=["2"]
    )
    record = json.loads((tmp_path / f"{path.stem}_evaluation.json").read_text("utf-8"))
    for made in record.get("trials", [record]):
        made = made["settings"]
        assert made["scoring"]["ignore"] == ["2"]
        assert made["segment"]["method"] == "clearclip"
        assert len(made["model"]["weights_sha256"]) == 64
        assert [each["name"] for each in made["classes"]["classes"]]
    assert not (tmp_path / f"{path.stem}_evaluation_images.csv").exists()


@pytest.mark.parametrize(
    "flags",
    [["--adapter", "x.adapter"], ["--gsd", "0.5,1"], ["--tta", "flips"], ["--words", "first"]],
)
def test_a_mask_is_not_segmented(scene, tiny_model, tmp_path, rsclip, flags):
    path, labels = scene
    out = tmp_path / "out"
    mask = library.segment(path, CLASSES, out, model=tiny_model, vector_format="none").mask_path
    for place, truth in ((mask, labels), (out, tmp_path / "truths")):
        (tmp_path / "truths").mkdir(exist_ok=True)
        (tmp_path / "truths/scene.tif").write_bytes(labels.read_bytes())
        done = rsclip("evaluate", place, "--labels", truth, *flags)
        assert done.exit_code == 2
        assert "scene_mask.tif: it is a mask (its classes are " in done.output
        assert f"Leave out {flags[0]}, or name the scene itself." in done.output
    with pytest.raises(InputError, match=r"it is a mask .*Name the scene"):
        library.try_settings(mask, labels, CLASSES, models=[tiny_model])


def test_one_band_without_class_names_is_a_scene_where_it_is_to_be_segmented(
    scene, tiny_model, tmp_path, rsclip
):
    path, labels = scene
    with rasterio.open(path) as dataset:
        profile, grey = {**dataset.profile, "count": 1}, dataset.read(1)
    with rasterio.open(tmp_path / "grey.tif", "w", **profile) as dataset:
        dataset.write(grey, 1)
    call = ["evaluate", tmp_path / "grey.tif", "--labels", labels, "--classes", CLASSES,
            "--model", tiny_model]  # fmt: skip
    done = rsclip(*call)
    assert done.exit_code == 0, done.output
    assert "its one band is taken for an image and segmented, because of --model" in done.output
    assert "its one band" not in rsclip(*call, "--bidx", "1").output
