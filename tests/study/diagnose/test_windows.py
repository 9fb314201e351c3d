"""The sample of windows: seeded, valid, spread over scenes, with the truth of its very pixels."""

import dataclasses

import numpy as np
import pytest
import rasterio

from rsclip.config import SegmentConfig
from rsclip.errors import InputError, RsclipWarning, SceneError
from rsclip.model.outline import ModelOutline
from rsclip.scene.scene import Scene
from rsclip.study.diagnose.scenes import find_scenes, labels_of
from rsclip.study.diagnose.windows import sample_windows
from rsclip.types import ModelDefaults
from rsclip.words.legend import load_legend

MODEL = ModelOutline(patch=8, window=(32, 32), width=16, parameters=1000)
LEGEND = load_legend(["building", "road", "water", "forest", "sand"])


def windows(scenes, count=8, seed=0, **changes):
    labels = changes.pop("labels", None)
    config = SegmentConfig(**changes)
    return list(
        sample_windows(
            [str(scene) for scene in scenes], MODEL, config,
            count=count, seed=seed, labels=labels, legend=LEGEND,
        )
    )  # fmt: skip


def places(found):
    return [(each.scene, *each.window) for each in found]


def write_labels(path, scene, values):
    with rasterio.open(scene) as dataset:
        profile = dataset.profile
    profile.update(count=1, dtype="uint8", nodata=255, photometric=None)
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(values.astype("uint8"), 1)
    return path


def checks(shape):
    rows, cols = np.indices(shape)
    return 1 + (rows // 3 + 2 * (cols // 3)) % 5


def test_a_seed_gives_one_sample(make_scene):
    scene = make_scene(shape=(320, 320))
    assert places(windows([scene])) == places(windows([scene]))
    assert places(windows([scene])) != places(windows([scene], seed=1))
    whole = windows([scene], count=1000)
    assert len({*places(whole)}) == len(whole) == 100
    # A larger sample holds the smaller one.
    assert places(whole)[:8] == places(windows([scene]))


def test_windows_hold_the_scenes_pixels(make_scene):
    scene = make_scene(shape=(70, 90))
    with rasterio.open(scene) as dataset:
        pixels = dataset.read()
    padded = np.pad(pixels, ((0, 0), (0, 2), (0, 6)), mode="reflect")
    found = windows([scene], count=99)
    assert len(found) == 9
    for each in found:
        at = each.window
        expected = padded[:, at.row : at.row_stop, at.col : at.col_stop] / np.float32(255)
        np.testing.assert_allclose(each.image, expected, atol=1e-6)
        assert each.truth is None


def test_windows_without_data_are_passed_over_and_poor_ones_come_last(make_scene):
    scene = make_scene(shape=(128, 128), nodata=0)
    with rasterio.open(scene, "r+") as dataset:
        pixels = dataset.read()
        pixels[:, :, 32:60] = 0  # an eighth is left of the second column of windows
        pixels[:, :, 96:] = 0
        dataset.write(pixels)
    found = windows([scene], count=99)
    assert len(found) == 12
    assert {each.window.col for each in found[:8]} == {0, 64}
    assert {each.window.col for each in found[8:]} == {32}


def test_no_valid_window_is_an_error(make_scene):
    scene = make_scene(shape=(64, 64), nodata=0)
    with rasterio.open(scene, "r+") as dataset:
        dataset.write(np.zeros((3, 64, 64), "uint8"))
    with pytest.raises(SceneError, match="no window has a valid pixel") as caught:
        windows([scene])
    assert caught.value.exit_code == 2


def test_the_truth_is_that_of_the_pixels(make_scene, tmp_path):
    scene = make_scene(shape=(70, 90), nodata=0)
    with rasterio.open(scene, "r+") as dataset:
        pixels = dataset.read()
        pixels[:, 5:9, 3:8] = 0
        dataset.write(pixels)
    values = checks((70, 90))
    values[20, 20] = 255
    expected = values.astype(int)
    expected[20, 20] = expected[5:9, 3:8] = -1
    expected = np.pad(expected, ((0, 2), (0, 6)), constant_values=-1)
    found = windows([scene], count=99, labels=write_labels(tmp_path / "truth.tif", scene, values))
    assert len(found) == 9
    for each in found:
        at = each.window
        np.testing.assert_array_equal(
            each.truth, expected[at.row : at.row_stop, at.col : at.col_stop]
        )


@pytest.mark.parametrize("factor", [2, 0.5])
def test_the_truth_of_another_pixel_size_is_the_nearest(make_scene, tmp_path, factor):
    scene = make_scene(shape=(96, 64))
    values = checks((96, 64))
    labels = write_labels(tmp_path / "truth.tif", scene, values)
    shape = round(96 / factor), round(64 / factor)
    rows, cols = (((np.arange(size) + 0.5) * factor).astype(int) for size in shape)
    expected = values[np.ix_(rows, cols)]
    found = windows([scene], count=99, labels=labels, gsd=0.5 * factor)
    seen = np.zeros(shape, bool)
    for each in found:
        at = each.window
        inside = expected[at.row : at.row_stop, at.col : at.col_stop]
        np.testing.assert_array_equal(each.truth[: inside.shape[0], : inside.shape[1]], inside)
        seen[at.row : at.row_stop, at.col : at.col_stop] = True
    assert seen.all()


def test_windows_are_spread_over_scenes_and_a_bad_one_is_left_out(make_scene, tmp_path):
    scenes = [make_scene(name, shape=(128, 128)) for name in ("a.tif", "b.tif")]
    scenes.append(make_scene("small.tif", shape=(32, 32)))
    found = windows(scenes, count=9)
    assert len(found) == 9
    assert sum("small" in each.scene for each in found) == 1
    assert all(sum(f"{name}.tif" in each.scene for each in found) >= 3 for name in "ab")
    bad = tmp_path / "bad.tif"
    bad.write_bytes(b"II*\0 no raster")
    with pytest.warns(RsclipWarning, match=r"bad\.tif.*left out"):
        found = windows([*scenes[:2], bad], count=8)
    assert len(found) == 8
    with pytest.warns(RsclipWarning), pytest.raises(InputError, match=r"bad\.tif"):
        windows([bad, bad])


@pytest.mark.parametrize("seed", range(6))
def test_what_a_scene_lacks_others_make_up(make_scene, tmp_path, seed):
    large, medium = (
        make_scene(name, shape=(side, side)) for name, side in (("a.tif", 320), ("b.tif", 96))
    )
    small = make_scene("small.tif", shape=(32, 32))
    bad = tmp_path / "bad.tif"
    bad.write_bytes(b"II*\0 no raster")
    scenes = [large, medium, small, bad]
    with pytest.warns(RsclipWarning, match="left out") as said:
        found = windows(scenes, count=24, seed=seed)
    assert len([each for each in said if each.category is RsclipWarning]) == 1
    assert len(found) == len({*places(found)}) == 24
    by_scene = [sum(each.scene == str(scene) for each in found) for scene in scenes]
    # A part of 24 by four scenes is six at least.
    assert by_scene[0] >= 6
    assert by_scene[1] >= 6
    assert by_scene[2:] == [1, 0]
    with pytest.warns(RsclipWarning, match="left out"):
        assert places(windows(scenes, count=24, seed=seed)) == places(found)
    # There is no more than there is.
    assert len(windows([large, medium, small], count=1000, seed=seed)) == 100 + 9 + 1


def test_a_scene_far_smaller_than_the_window_is_named(make_scene):
    tiny, scene = make_scene("tiny.tif", shape=(20, 20)), make_scene(shape=(64, 64))
    with pytest.warns(RsclipWarning, match=r"tiny\.tif: less than half of each window") as said:
        assert len(windows([tiny, scene])) == 5
    assert len([each for each in said if each.category is RsclipWarning]) == 1


def test_folders_hold_scenes_and_their_labels(make_scene, tmp_path):
    for name in ("a.tif", "a_labels.tif", "a_mask.tif", "b.TIF"):
        make_scene(name)
    # Any format of GDAL's, without a quicklook beside a scene and the preview of a run.
    for name in ("notes.txt", "c.jpg", "a.png", "a_preview.png"):
        (tmp_path / name).touch()
    assert [path.rpartition("/")[2] for path in find_scenes(tmp_path)] == [
        "a.tif",
        "b.TIF",
        "c.jpg",
    ]
    assert labels_of(tmp_path, str(tmp_path / "a.tif")) == tmp_path / "a_labels.tif"
    assert labels_of(tmp_path, str(tmp_path / "b.TIF")) is None
    other = tmp_path / "truth"
    other.mkdir()
    (other / "b.gpkg").touch()
    assert labels_of(other, str(tmp_path / "b.TIF")) == other / "b.gpkg"
    with pytest.raises(SceneError, match="no scene in this folder"):
        find_scenes(other)


def test_few_labels_on_a_large_scene_are_found_at_once(make_scene, tmp_path, monkeypatch):
    scene = make_scene(shape=(640, 960))
    values = np.full((640, 960), 255)
    values[300:310, 710:720] = 2
    labels = write_labels(tmp_path / "labels.tif", scene, values)
    reads = []
    read = Scene.read
    monkeypatch.setattr(Scene, "read", lambda self, at: reads.append(at) or read(self, at))
    (found,) = windows([scene], count=4, labels=labels)
    assert (found.truth == 2).sum() == 100
    # Of 600 windows, pixels are read of the labelled one only.
    assert len(reads) == 1


def test_pixels_that_the_model_does_not_know_are_studied_as_segment_works_at_them(make_scene):
    scene = make_scene(shape=(320, 320), transform=rasterio.Affine(0.1, 0, 5e5, 0, -0.1, 5e6))
    asked = SegmentConfig()
    own, given = (
        list(sample_windows([str(scene)], model, config, count=4, seed=0))
        for model, config in (
            (dataclasses.replace(MODEL, defaults=ModelDefaults((0.2, 1.0))), asked),
            (MODEL, asked.replace(gsd=0.2)),
        )
    )
    assert places(own) == places(given)
    for one, other in zip(own, given, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
