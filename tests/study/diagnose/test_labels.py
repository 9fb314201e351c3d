"""The truth on a scene's grid, and the scores taken from it."""

import contextlib
import itertools
import shlex
import shutil
import subprocess
import warnings

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.warp import Resampling, reproject

from rsclip.errors import LegendError, RsclipError, RsclipWarning, SceneError
from rsclip.scene.scene import Scene
from rsclip.study.metrics import Confusion
from rsclip.study.truth import open_labels
from rsclip.types import Window
from rsclip.words.legend import load_legend

WHOLE = Window(0, 0, 70, 90)


@pytest.fixture
def truth(make_scene, tmp_path):
    """A scene and labels 1..3 of its grid, 255 in a corner."""
    scene = make_scene()
    labels = np.repeat(np.repeat(np.arange(63).reshape(7, 9) % 3 + 1, 10, 0), 10, 1)
    labels = labels.astype(np.uint8)
    labels[:15, :20] = 255
    with rasterio.open(scene) as dataset:
        profile = dataset.profile | {"count": 1, "nodata": 255, "photometric": "MINISBLACK"}
    with rasterio.open(tmp_path / "labels.tif", "w", **profile) as dataset:
        dataset.write(labels, 1)
    expected = labels.astype(np.int32)
    expected[labels == 255] = -1
    return scene, tmp_path / "labels.tif", expected


def read(path, scene, words="road, water, tree", window=WHOLE):
    with Scene.open(scene) as opened, open_labels(path, opened, load_legend(words)) as labels:
        return labels.read(window), labels.classes


def test_which_layer_of_a_file_is_read_is_said(make_scene, tmp_path):
    scene, path = make_scene(), tmp_path / "labels.gpkg"
    pyogrio.write_dataframe(pd.DataFrame({"note": ["no labels"]}), path, layer="notes")
    shapes = [shapely.box(500000, 4999000, 501000, 5000000)]
    for name in ("road", "water"):
        frame = geopandas.GeoDataFrame({"class": [name]}, geometry=shapes, crs=32633)
        frame.to_file(path, layer=f"{name}s")
    with pytest.warns(
        RsclipWarning, match="from its first layer, roads, and not from waters"
    ) as said:
        _, classes = read(path, scene)
    assert classes == (1,)
    if shutil.which("ogr2ogr"):
        command = str(said[0].message).split("`")[1]
        subprocess.run(shlex.split(command), check=True, cwd=tmp_path)
        assert read(tmp_path / "labels_layer.gpkg", scene)[1] == (2,)


def test_a_raster_of_the_same_grid_is_read_as_it_is(truth):
    scene, path, expected = truth
    found, classes = read(path, scene)
    np.testing.assert_array_equal(found, expected)
    assert classes == (1, 2, 3)
    part, _ = read(path, scene, window=Window(11, 17, 30, 40))
    np.testing.assert_array_equal(part, expected[11:41, 17:57])
    # A legend of two classes: the third is another class, not unknown.
    fewer, _ = read(path, scene, "road, water")
    np.testing.assert_array_equal(fewer, np.where(expected == 3, 0, expected))


def test_names_beat_values(truth):
    scene, path, expected = truth
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(
            RSCLIP_CLASSES='[{"value": 1, "name": "Water"}, {"value": 2, "name": "trees"}]'
        )
    found, classes = read(path, scene, "road, water, tree|trees")
    assert classes == (2, 3)
    wanted = np.select([expected == 1, expected == 2, expected == -1], [2, 3, -1], 0)
    np.testing.assert_array_equal(found, wanted)
    with pytest.raises(LegendError, match="no class in common: the labels have Water, trees"):
        read(path, scene, "sand, snow")


def test_another_crs_is_reprojected_and_said(truth, tmp_path):
    scene, path, expected = truth
    with rasterio.open(path) as dataset:
        transform, width, height = rasterio.warp.calculate_default_transform(
            dataset.crs, "EPSG:4326", dataset.width, dataset.height, *dataset.bounds
        )
        fine = transform @ rasterio.Affine.scale(0.25)
        target = np.full((height * 4, width * 4), 255, np.uint8)
        reproject(rasterio.band(dataset, 1), target, dst_transform=fine, dst_crs="EPSG:4326",
                  dst_nodata=255, resampling=Resampling.nearest)  # fmt: skip
    with rasterio.open(
        tmp_path / "far.tif", "w", driver="GTiff", height=height * 4, width=width * 4, count=1,
        dtype="uint8", crs="EPSG:4326", transform=fine, nodata=255,
    ) as dataset:  # fmt: skip
        dataset.write(target, 1)
    with pytest.warns(RsclipWarning, match="reprojected"):
        found, _ = read(tmp_path / "far.tif", scene)
    assert (found == expected).mean() > 0.95


def test_polygons(truth, tmp_path):
    scene, _, _ = truth
    with rasterio.open(scene) as dataset:
        left, bottom, right, top = dataset.bounds
        middle = (left + right) / 2
        frame = geopandas.GeoDataFrame(
            {"class_name": ["Water", "sand"]},
            geometry=[
                shapely.box(left, bottom, middle, top),
                shapely.box(middle, bottom, right, top - 5),
            ],
            crs=dataset.crs,
        )  # fmt: skip
    frame.to_crs(4326).to_file(tmp_path / "truth.geojson")
    with pytest.warns(RsclipWarning, match="reprojected"):
        found, classes = read(tmp_path / "truth.geojson", scene)
    assert classes == (2,)
    assert (found[:, :44] == 2).all()
    assert (found[12:, 47:] == 0).all()
    assert (found[:8, 47:] == -1).all()


def test_what_is_refused(truth, make_scene, tmp_path):
    scene, path, _ = truth
    far = make_scene("far_scene.tif", transform=rasterio.Affine(0.5, 0, 7e5, 0, -0.5, 5e6))
    with pytest.raises(SceneError, match="do not overlap"):
        read(path, far)
    with pytest.raises(SceneError, match="no such file"):
        read(tmp_path / "gone.tif", scene)
    (tmp_path / "text.txt").write_text("hello")
    with pytest.raises(SceneError, match="neither a raster nor a vector"):
        read(tmp_path / "text.txt", scene)


@given(
    arrays(np.int64, 200, elements=st.integers(-1, 3)),
    arrays(np.int64, 200, elements=st.integers(0, 3)),
)
def test_scores_are_those_of_plain_counting(truth, predicted):
    confusion = Confusion(4)
    confusion.add(truth[:77], predicted[:77])
    confusion.add(truth[77:], predicted[77:])
    known = truth >= 0
    ious = []
    for value in range(4):
        ours, theirs = predicted[known] == value, truth[known] == value
        union = (ours | theirs).sum()
        hits = (ours & theirs).sum()
        iou = hits / union if union else np.nan
        np.testing.assert_allclose(confusion.iou[value], iou)
        precision, recall = (hits / n if n else np.nan for n in (ours.sum(), theirs.sum()))
        np.testing.assert_allclose(confusion.precision[value], precision)
        np.testing.assert_allclose(confusion.recall[value], recall)
        if hits:
            harmonic = 2 / (1 / precision + 1 / recall)
            np.testing.assert_allclose(confusion.f1[value], harmonic)
        if theirs.any():
            ious.append(iou)
    np.testing.assert_allclose(confusion.miou, np.mean(ious) if ious else np.nan)
    right = (predicted == truth)[known]
    np.testing.assert_allclose(confusion.accuracy, right.mean() if len(right) else np.nan)


def write_polygons(path, scene, columns, shapes=None, crs="own"):
    with rasterio.open(scene) as dataset:
        left, bottom, right, top = dataset.bounds
        own = dataset.crs
    cuts = np.linspace(left, right, len(next(iter(columns.values()))) + 1)
    boxes = [shapely.box(a, bottom, b, top) for a, b in itertools.pairwise(cuts)]
    frame = geopandas.GeoDataFrame(
        columns, geometry=shapes or boxes, crs=own if crs == "own" else crs
    )
    frame.to_file(path)
    return path


@pytest.mark.parametrize(
    ("columns", "wanted"),
    [
        ({"CLASS": ["Water", "tree"]}, [2, 3]),
        ({"class_name": [" water ", "WATER_"]}, [2, 2]),
        # A column of nothing stands beside the one that tells.
        ({"class_name": [None, None], "class": ["road", "tree"]}, [1, 3]),
        # A polygon without a class says nothing.
        ({"label": ["road", None]}, [1, -1]),
    ],
)
def test_class_columns_as_people_write_them(truth, tmp_path, columns, wanted):
    scene, _, _ = truth
    with warnings.catch_warnings():
        warnings.simplefilter("error", RsclipWarning)
        found, _ = read(write_polygons(tmp_path / "truth.gpkg", scene, columns), scene)
    assert [int(value) for value in (found[35, 20], found[35, 70])] == wanted


def test_classes_that_the_legend_lacks_are_named(truth, tmp_path):
    scene, path, _ = truth
    polygons = write_polygons(tmp_path / "t.gpkg", scene, {"class": ["road", "sand", "snow"]})
    with pytest.warns(RsclipWarning, match="legend lacks: sand, snow"):
        found, classes = read(polygons, scene)
    assert classes == (1,)
    assert found[35, 45] == found[35, 80] == 0
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(
            RSCLIP_CLASSES='[{"value": 1, "name": "water"}, {"value": 2, "name": "sand"}]'
        )
    with pytest.warns(RsclipWarning, match="legend lacks: sand"):
        read(path, scene)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("no data", -1), ("NoData", -1), ("No_Data", -1), ("unlabelled", -1), ("Unlabeled", -1),
     ("", -1), (" ", -1), ("background", 0), ("none", 0), ("0", 0), ("sand", 0)],
)  # fmt: skip
def test_polygons_named_as_unknown_are_no_other_class(truth, tmp_path, name, wanted):
    scene, _, _ = truth
    polygons = write_polygons(tmp_path / "t.gpkg", scene, {"class": ["road", name]})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", RsclipWarning)
        found, classes = read(polygons, scene)
    assert [int(value) for value in (found[35, 20], found[35, 70])] == [1, wanted]
    assert classes == (1,)
    said = [str(each.message) for each in said if each.category is RsclipWarning]
    lacking = f"{polygons}: classes of the labels that the legend lacks: {name}"
    assert said == ([lacking] if wanted == 0 else [])


def test_a_class_of_the_legend_may_have_any_name(truth, tmp_path):
    scene, _, _ = truth
    polygons = write_polygons(tmp_path / "t.gpkg", scene, {"class": ["road", "unlabelled"]})
    found, classes = read(polygons, scene, "road,unlabelled")
    assert classes == (1, 2)
    assert found[35, 70] == 2


CODED = """classes:
  - {name: building, code: 2}
  - {name: road, code: 1}
  - {name: water, code: 30}
  - {name: sky, code: 7, background: true}
"""


@pytest.mark.parametrize(
    ("columns", "wanted"),
    [
        ({"class_id": ["1", "3"]}, [1, 3]),
        ({"value": [2.0, 3.0]}, [2, 3]),
        ({"DN": ["2", "3.0"]}, [2, 3]),
        ({"name": ["Main Street", "Mill"], "class_id": [1, 2]}, [1, 2]),
    ],
)
def test_numbers_of_polygons_are_said(truth, tmp_path, columns, wanted):
    scene, _, _ = truth
    path = write_polygons(tmp_path / "truth.gpkg", scene, columns)
    with pytest.warns(RsclipWarning, match="values are taken for 1 road, 2 water, 3 tree"):
        found, _ = read(path, scene)
    assert [int(value) for value in (found[35, 20], found[35, 70])] == wanted


def test_rasters_and_polygons_have_one_rule_for_values(truth, tmp_path):
    scene, path, _ = truth
    (tmp_path / "classes.yaml").write_text(CODED)
    codes = [1, 2, 30, 7, 3]
    values = np.repeat(np.repeat([codes], 90, 0), 14, 1)
    with rasterio.open(path, "r+") as dataset:
        dataset.write(np.pad(values, ((0, 0), (0, 20)), mode="edge").astype("uint8"), 1)
    with rasterio.open(scene) as dataset:
        x, y = dataset.transform.c, dataset.transform.f
    cuts = [shapely.box(x + 7 * i, y - 45, x + 7 * i + 7 + 10 * (i == 4), y) for i in range(5)]
    polygons = write_polygons(tmp_path / "t.gpkg", scene, {"class_id": codes}, cuts)
    found = []
    for file in (path, polygons):
        with pytest.warns(RsclipWarning) as said:
            found.append(read(file, scene, tmp_path / "classes.yaml", WHOLE))
        said = " ".join(str(each.message) for each in said)
        assert "values are taken for 2 building, 1 road, 30 water, 7 sky" in said
        assert said.endswith("legend lacks: 3")
    (raster, classes), (vector, others) = found
    np.testing.assert_array_equal(raster, vector)
    assert classes == others == (1, 2, 3)
    assert raster[0, :70:14].tolist() == [2, 1, 3, 0, 0]


def test_values_without_names_are_said(truth):
    scene, path, _ = truth
    with pytest.warns(RsclipWarning, match="values are taken for 1 road, 2 water, 3 tree"):
        read(path, scene)


@pytest.mark.parametrize(
    ("zero", "wanted", "lacking"),
    [
        ("Road", 1, None),
        ("sand", 0, "sand"),
        ("No_Data", -1, None),
        ("background", 0, None),
    ],
)
def test_value_0_is_a_class_where_its_name_says_so(truth, zero, wanted, lacking):
    scene, path, _ = truth
    values = np.indices((70, 90))[0] % 2
    with rasterio.open(path, "r+") as dataset:
        dataset.write(values.astype("uint8"), 1)
    path.with_name(f"{path.name}.aux.xml").write_text(
        f"<PAMDataset><PAMRasterBand band='1'><CategoryNames><Category>{zero}</Category>"
        "<Category>water</Category></CategoryNames></PAMRasterBand></PAMDataset>"
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", RsclipWarning)
        found, classes = read(path, scene)
    assert (found[0::2] == wanted).all()
    assert (found[1::2] == 2).all()
    assert classes == tuple(sorted({wanted, 2} - {0, -1}))
    said = [str(each.message) for each in said if each.category is RsclipWarning]
    assert said == (
        [f"{path}: classes of the labels that the legend lacks: sand"] if lacking else []
    )


def test_a_raster_that_names_only_the_unknown_is_read_by_value(truth):
    scene, path, _ = truth
    with rasterio.open(path, "r+") as dataset:
        dataset.write((np.indices((70, 90))[0] % 3).astype("uint8"), 1)
    path.with_name(f"{path.name}.aux.xml").write_text(
        "<PAMDataset><PAMRasterBand band='1'><CategoryNames><Category>unlabelled</Category>"
        "</CategoryNames></PAMRasterBand></PAMDataset>"
    )
    with pytest.warns(RsclipWarning, match="values are taken for"):
        found, _ = read(path, scene)
    assert (found[0::3] == -1).all()
    assert (found[1::3] == 1).all()


def test_values_that_are_not_whole_are_no_classes_and_nan_is_unknown(truth, tmp_path):
    scene, path, _ = truth
    with rasterio.open(path) as dataset:
        profile = {**dataset.profile, "dtype": "float32", "nodata": None}
    values = np.full((70, 90), 2, "float32")
    values[:10], values[10:20], values[20:30], values[30:40] = 1.6, np.nan, -1, 4e9
    with rasterio.open(tmp_path / "float.tif", "w", **profile) as dataset:
        dataset.write(values, 1)
    with pytest.warns(RsclipWarning, match=r"legend lacks: -1, 1\.6\d*, 4000000000$"):
        found, _ = read(tmp_path / "float.tif", scene)
    wanted = np.select([np.isnan(values), values == 2], [-1, 2], 0)
    np.testing.assert_array_equal(found, wanted)
    with rasterio.open(tmp_path / "float.tif", "r+") as dataset:
        dataset.write(np.where(values == 2, np.float32(2.5), values), 1)
    with pytest.raises(LegendError, match=r"labels have -1, 1\.6\d*, 2\.5, 4000000000"):
        read(tmp_path / "float.tif", scene)


def test_labels_of_the_wrong_kind(truth, tmp_path):
    scene, path, expected = truth
    points = [shapely.Point(5e5 + 10, 5e6 - 10), shapely.Point(5e5 + 20, 5e6 - 10)]
    columns = {"class": ["road", "water"]}
    with pytest.raises(SceneError, match=r"holds Point. Labels are polygons"):
        read(write_polygons(tmp_path / "points.gpkg", scene, columns, points), scene)
    dates = {"class": pd.to_datetime(["2020-01-01", "2021-01-01"])}
    with pytest.raises(LegendError, match="no class in common: the labels have 2020-01-01"):
        read(write_polygons(tmp_path / "dates.gpkg", scene, dates), scene)
    halves = {"value": [2.7, 3.2]}
    with pytest.raises(LegendError, match="no class in common"):
        read(write_polygons(tmp_path / "halves.gpkg", scene, halves), scene)
    with pytest.warns(RsclipWarning, match="no CRS"):
        read(write_polygons(tmp_path / "placeless.gpkg", scene, columns, crs=None), scene)
    with rasterio.open(path, "r+") as dataset:
        dataset.write(np.where(expected > 0, 99, 255).astype("uint8"), 1)
    with pytest.raises(LegendError, match="no class in common: the labels have 99"):
        read(path, scene)


LOCAL = 'LOCAL_CS["Site",UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]'
LUNAR = "+proj=longlat +R=1737400 +no_defs"


@pytest.mark.parametrize("of_scene", [None, LOCAL, LOCAL.replace("Site", "Plant")])
def test_labels_in_a_local_crs_are_compared_by_pixels_or_refused(truth, of_scene):
    scene, path, expected = truth
    with rasterio.open(path, "r+") as dataset:
        dataset.crs = LOCAL
    if of_scene:
        with rasterio.open(scene, "r+") as dataset:
            dataset.crs = of_scene
    if of_scene == LOCAL:
        found, _ = read(path, scene)
    else:
        with pytest.warns(RsclipWarning, match="no place on Earth in common: .* pixel by pixel"):
            found, _ = read(path, scene)
    np.testing.assert_array_equal(found, expected)
    if of_scene == LOCAL:
        return
    with rasterio.open(path) as dataset:
        profile, pixels = dataset.profile | {"width": 60}, dataset.read(1)[:, :60]
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(pixels, 1)
    with pytest.raises(SceneError, match=r"\(70, 60\) pixels.*not known where they lie"):
        read(path, scene)


def test_polygons_in_a_local_crs_are_refused(truth, tmp_path):
    scene, _, _ = truth
    columns = {"class": ["road", "water"]}
    path = write_polygons(tmp_path / "local.gpkg", scene, columns, crs=LOCAL)
    with pytest.raises(SceneError, match="no place on Earth in common"):
        read(path, scene)


def test_labels_of_another_globe_are_refused(truth, tmp_path):
    scene, path, _ = truth
    columns = {"class": ["road", "water"]}
    with pytest.raises(SceneError, match="cannot be brought to the scene's CRS"):
        read(write_polygons(tmp_path / "moon.gpkg", scene, columns, crs=LUNAR), scene)
    with rasterio.open(path, "r+") as dataset:
        dataset.crs = LUNAR
    with pytest.raises(SceneError, match="cannot be opened"):
        read(path, scene)


@pytest.mark.parametrize("at", [4, 8, 60, 180, 240, 300])
def test_damaged_labels_are_one_message(truth, tmp_path, at):
    scene, path, _ = truth
    spoilt = bytearray(path.read_bytes())
    spoilt[at : at + 40] = b"\xff" * 40
    path.write_bytes(spoilt)
    with contextlib.suppress(RsclipError):
        read(path, scene)
    gpkg = write_polygons(tmp_path / "p.gpkg", scene, {"class": ["road", "water"]})
    spoilt = bytearray(gpkg.read_bytes())
    for place in range(at, len(spoilt), 997):
        spoilt[place] ^= 0xFF
    gpkg.write_bytes(spoilt)
    with pytest.raises(SceneError, match="neither a raster nor a vector file"):
        read(gpkg, scene)


def test_the_coarse_truth_shows_small_polygons(make_scene, tmp_path):
    scene = make_scene(shape=(3000, 2400), count=1)
    with rasterio.open(scene) as dataset:
        x, y = dataset.transform @ (1500.0, 2000.0)
    small = [shapely.box(x, y - 0.6, x + 0.6, y), shapely.box(x - 900, y, x - 890, y + 10)]
    path = write_polygons(tmp_path / "t.gpkg", scene, {"class": ["road", "water"]}, small)
    with Scene.open(scene) as opened, open_labels(path, opened, load_legend("road, water")) as them:
        coarse = them.coarse()
        exact = them.read(Window(0, 0, 3000, 2400))
    assert coarse.shape == (1024, 819)
    rows, cols = np.nonzero(exact > 0)
    assert set(exact[rows, cols].tolist()) == {1}
    shown = coarse[rows * 1024 // 3000, cols * 819 // 2400]
    assert (shown == 1).any()
