"""`rsclip.try_settings` and `rsclip evaluate SCENE ...`: scenes segmented, and one table."""

import json

import numpy as np
import pytest
import rasterio

import rsclip as library
from rsclip.errors import OptionError

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
            vector_format="none",
        )  # fmt: skip
        alone = library.evaluate(made.mask_path, labels)
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
