"""`rsclip.evaluate` and `rsclip evaluate`: a mask of any tool against labels of any kind."""

import csv
import json
import math

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

import rsclip as library
from rsclip.errors import (
    AreaError,
    ExistsError,
    LegendError,
    OptionError,
    OutputError,
    RsclipWarning,
    SceneError,
)
from rsclip.study.evaluate.boundaries import Boundaries
from rsclip.study.evaluate.intervals import Blocks, intervals
from rsclip.study.evaluate.result import Reliability

SHAPE = (300, 410)
PLACE = Affine(0.5, 0, 5e5, 0, -0.5, 5e6)
NAMES = {1: "building", 2: "road", 3: "water"}

pytestmark = pytest.mark.filterwarnings("ignore::rsclip.errors.RsclipWarning")


def blobs(seed, classes=(1, 2, 3), size=10, shape=SHAPE):
    rng = np.random.default_rng(seed)
    coarse = rng.choice(classes, (-(-shape[0] // size), -(-shape[1] // size))).astype(np.uint8)
    return np.repeat(np.repeat(coarse, size, 0), size, 1)[: shape[0], : shape[1]]


def write(path, values, names=NAMES, nodata=255, **settings):
    profile = {"crs": "EPSG:32632", "transform": PLACE, **settings}
    with rasterio.open(
        path, "w", driver="GTiff", height=values.shape[0], width=values.shape[1], count=1,
        dtype=values.dtype, nodata=nodata, **profile,
    ) as dataset:  # fmt: skip
        dataset.write(values, 1)
        if names:
            classes = [{"value": value, "name": name} for value, name in names.items()]
            dataset.update_tags(RSCLIP_CLASSES=json.dumps(classes))
    return path


@pytest.fixture
def pair(tmp_path):
    """A mask and labels of three classes with some nodata each; the arrays too."""
    truth = blobs(1)
    mask = np.where(np.random.default_rng(2).random(SHAPE) < 0.8, truth, blobs(3))
    mask[:20, :30] = 255
    truth[40:60] = 255
    files = write(tmp_path / "town_mask.tif", mask), write(tmp_path / "truth.tif", truth)
    return *files, mask, truth


def plain(mask, truth, count):
    """The confusion by plain counting."""
    matrix = np.zeros((count, count), int)
    for true in range(count):
        for found in range(count):
            matrix[true, found] = ((truth == true) & (mask == found)).sum()
    return matrix


def test_scores_are_those_of_scikit_learn(pair):
    metrics = pytest.importorskip("sklearn.metrics")
    mask_path, truth_path, mask, truth = pair
    found = library.evaluate(mask_path, truth_path)
    both = (mask != 255) & (truth != 255)
    one, other = truth[both], mask[both]
    values = [1, 2, 3]
    assert found.support.tolist() == [0, *((one == value).sum() for value in values)]
    for ours, theirs in (
        ("iou", metrics.jaccard_score), ("f1", metrics.f1_score),
        ("precision", metrics.precision_score), ("recall", metrics.recall_score),
    ):  # fmt: skip
        wanted = theirs(one, other, labels=values, average=None)
        np.testing.assert_allclose(found.classes[ours][1:], wanted, rtol=1e-12)
    assert found.overall["accuracy"] == pytest.approx(metrics.accuracy_score(one, other))
    weighted = metrics.jaccard_score(one, other, average="weighted")
    assert found.overall["weighted_iou"] == pytest.approx(weighted)
    assert found.overall["miou"] == pytest.approx(
        metrics.jaccard_score(one, other, average="macro")
    )
    np.testing.assert_array_equal(found.confusion.matrix, plain(mask, truth, 4))
    assert found.unmapped == ((mask == 255) & (truth != 255)).sum() > 0


def reference_boundaries(truth, mask, count, tolerance):
    """Precision and recall of outlines with distances of the whole raster."""

    def outline(values, of):
        own = np.zeros(values.shape, bool)
        for shift in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            other = np.full(values.shape, -1)
            rows = slice(max(shift[0], 0), values.shape[0] + min(shift[0], 0))
            cols = slice(max(shift[1], 0), values.shape[1] + min(shift[1], 0))
            back = (slice(max(-shift[0], 0), values.shape[0] + min(-shift[0], 0)),
                    slice(max(-shift[1], 0), values.shape[1] + min(-shift[1], 0)))  # fmt: skip
            other[rows, cols] = values[back]
            own |= (values == of) & (other >= 0) & (other != of)
        return own

    sums = []
    for of in range(count):
        true, found = outline(truth, of), outline(mask, of) & (truth >= 0)
        near = [
            distance_transform_edt(~line) <= tolerance if line.any() else np.zeros_like(line)
            for line in (true, found)
        ]
        sums.append([found.sum(), (found & near[0]).sum(), true.sum(), (true & near[1]).sum()])
    return np.array(sums).T


@settings(max_examples=15)
@given(
    seed=st.integers(0, 50), tolerance=st.sampled_from([1.0, 1.5, 2.0, 3.7, 9.0]),
    step=st.integers(1, 40), count=st.sampled_from([2, 5, 9, 70]),
)  # fmt: skip
def test_outlines_are_those_of_plain_distances_however_rows_are_cut(seed, tolerance, step, count):
    rng = np.random.default_rng(seed)
    truth, mask = (
        np.kron(rng.integers(-1, count, (6, 7)), np.ones((6, 5), int)).astype(np.int32)
        for _ in range(2)
    )
    found = Boundaries(count, tolerance)
    for top in range(0, len(truth), step):
        first = max(top - found.halo, 0)
        stop = min(top + step, len(truth))
        rows = slice(first, stop + found.halo)
        found.add(truth[rows], mask[rows], slice(top - first, stop - first))
    wanted = reference_boundaries(truth, mask, count, tolerance)
    got = [found.predicted, found.predicted_met, found.true, found.true_met]
    np.testing.assert_array_equal(got, wanted)


def test_a_shift_within_the_tolerance_costs_no_boundary_f1(tmp_path):
    truth = blobs(1, size=30)
    mask = write(tmp_path / "m.tif", np.roll(truth, 2, 1))
    labels = write(tmp_path / "t.tif", truth)
    near = library.evaluate(mask, labels, boundary="2")
    assert near.overall["boundary_f1"] > 0.95
    assert library.evaluate(mask, labels, boundary="1m").overall == near.overall
    assert library.evaluate(mask, labels, boundary=1).overall["boundary_f1"] < 0.8
    assert "boundary_f1" not in library.evaluate(mask, labels, boundary=None).overall


def test_intervals_hold_the_truth_and_narrow_with_more_blocks():
    rng = np.random.default_rng(0)
    held, widths = 0, {}
    for trial in range(40):
        # Whole blocks are right or wrong: their pixels are not independent.
        right = rng.random((20, 20)) < 0.7
        blocks = np.zeros((400, 3, 2), np.int64)
        blocks[:, 0, 1] = blocks[:, 2, 1] = right.ravel() * 100
        blocks[:, 1, 1], blocks[:, 2, 0] = 100, ~right.ravel() * 100
        (low, high) = intervals(blocks, (0,))[0]["accuracy"]
        held += low <= 0.7 <= high
        if trial == 0:
            widths = {len(part): np.subtract(*intervals(part, (0,))[0]["accuracy"][::-1])
                      for part in (blocks[:50], blocks)}  # fmt: skip
    assert held >= 34
    assert widths[400] < 0.6 * widths[50]
    assert intervals(blocks[:9], (0,)) == ({}, {})


def test_blocks_add_up_to_the_whole():
    truth, mask = blobs(1).astype(np.int32), blobs(4).astype(np.int32)
    blocks = Blocks(SHAPE, 4, 64)
    for top in range(0, SHAPE[0], 32):
        blocks.add(top, truth[top : top + 32], mask[top : top + 32])
    np.testing.assert_array_equal(blocks.total.matrix, plain(mask, truth, 4))
    first = plain(mask[:64, :64], truth[:64, :64], 4)
    sums = [np.diag(first), first.sum(1), first.sum(0)]
    np.testing.assert_array_equal(blocks.filled[0], sums)
    assert len(blocks.filled) == 5 * 7


def test_calibration_error_is_that_of_plain_bins():
    rng = np.random.default_rng(0)
    percent = rng.integers(0, 101, 5000).astype(np.uint8)
    right = rng.random(5000) < percent / 100 * 0.8
    found = Reliability()
    found.add(percent, right)
    tenth = np.minimum(percent // 10, 9)
    wanted = sum(
        (tenth == i).mean() * abs(percent[tenth == i].mean() / 100 - right[tenth == i].mean())
        for i in range(10)
    )
    assert found.error == pytest.approx(wanted)
    assert math.isnan(Reliability().error)


def test_labels_as_polygons_points_and_in_another_crs(pair, tmp_path):
    mask_path, _, mask, _ = pair
    boxes = [(5e5 + 20, 5e6 - 40, 5e5 + 60, 5e6 - 22), (5e5 + 100, 5e6 - 140, 5e5 + 160, 5e6 - 80)]
    frame = geopandas.GeoDataFrame(
        {"class_name": ["road", "water"]}, geometry=[shapely.box(*box) for box in boxes],
        crs="EPSG:32632",
    )  # fmt: skip
    frame.to_file(tmp_path / "polygons.gpkg")
    found = library.evaluate(mask_path, tmp_path / "polygons.gpkg")
    assert found.support.tolist() == [0, 0, 80 * 36, 120 * 120]
    frame.to_crs(4326).to_file(tmp_path / "degrees.gpkg")
    with pytest.warns(RsclipWarning, match="another CRS than the scene: they are reprojected"):
        there = library.evaluate(mask_path, tmp_path / "degrees.gpkg")
    assert abs(there.support - found.support).max() < 20
    rows, cols = np.random.default_rng(0).integers(0, (300, 410), (400, 2)).T
    x, y = PLACE.c + (cols + 0.5) * PLACE.a, PLACE.f + (rows + 0.5) * PLACE.e
    points = geopandas.GeoDataFrame(
        {"label": [NAMES[1 + number % 3] for number in range(400)]},
        geometry=geopandas.points_from_xy(x, y), crs="EPSG:32632",
    )  # fmt: skip
    points.to_file(tmp_path / "points.gpkg")
    dots = library.evaluate(mask_path, tmp_path / "points.gpkg")
    last = {(row, col): 1 + number % 3 for number, (row, col) in enumerate(zip(rows, cols))}  # noqa: B905
    matrix = np.zeros((4, 4), int)
    for (row, col), value in last.items():
        if mask[row, col] != 255:
            matrix[value, mask[row, col]] += 1
    np.testing.assert_array_equal(dots.confusion.matrix, matrix)
    assert dots.boundaries is None


def test_masks_of_other_tools(pair, tmp_path):
    _, _, mask, truth = pair
    # Values that are not 1..N, and 0 as a class of its own name.
    codes = np.array([0, 21, 41, 0, *[255] * 252], np.uint8)
    names = {21: "Building", 41: "road", 0: "water"}
    path = write(tmp_path / "nlcd.tif", codes[mask], names)
    labels = write(tmp_path / "names.tif", truth)
    found = library.evaluate(path, labels)
    assert [item.name for item in found.legend.foreground] == ["water", "Building", "road"]
    order = [3, 1, 2]
    np.testing.assert_array_equal(
        found.confusion.matrix[1:, 1:], plain(mask, truth, 4)[np.ix_(order, order)]
    )
    # Without any names, by value.
    bare = write(tmp_path / "bare.tif", codes[np.where(mask == 3, 255, mask)], None)
    same = write(tmp_path / "same.tif", codes[np.where(truth == 3, 255, truth)], None)
    assert library.evaluate(bare, same).legend.names == {0: "unclassified", 1: "21", 2: "41"}
    with pytest.raises(LegendError, match="values that are none of the 2 classes: 21, 41"):
        library.evaluate(bare, same, classes="building, road")


def test_what_labels_cannot_tell_is_no_error_and_the_catch_all_is_told_apart(tmp_path):
    mask, truth = np.ones((64, 64), np.uint8), np.ones((64, 64), np.uint8)
    mask[:, 40:], truth[:, 32:] = 2, 0
    found = library.evaluate(
        write(tmp_path / "m.tif", mask),
        write(tmp_path / "t.tif", truth, {0: "other", 1: "building"}),
    )
    # Road at "other" is right, as these labels know no roads; building there is not.
    np.testing.assert_array_equal(
        found.confusion.matrix, plain(np.where(mask == 2, 0, mask), truth, 4)
    )
    assert any("the labels have no road, water" in text for text in found.warnings)
    assert found.overall["miou"] == pytest.approx((32 / 40 + 24 / 32) / 2)
    assert found.overall["miou_without_other"] == pytest.approx(32 / 40)


@pytest.mark.filterwarnings("default::rsclip.errors.RsclipWarning")
def test_names_to_ignore_that_no_label_has_are_told(pair, tmp_path):
    mask_path, _, _, truth = pair
    named = write(tmp_path / "named.tif", truth)
    with pytest.warns(RsclipWarning, match=r"ignore names labels that are not there: clutterr$"):
        library.evaluate(mask_path, named, ignore=["Clutterr", "water", 255])


def test_mapping_ignored_labels_and_area(pair, tmp_path):
    mask_path, _, mask, truth = pair
    codes = np.array([0, 10, 20, 30, *[255] * 252], np.uint8)
    coded = codes[truth]
    labels = write(tmp_path / "coded.tif", coded, None)
    (tmp_path / "m.yaml").write_text("10: building\n20: Road\n30: other\n", encoding="utf-8")
    (tmp_path / "m.csv").write_text("label,class\n10,building\n20,road\n30,other\n", "utf-8")
    merged = np.where(truth == 3, 0, truth)
    for name in ("m.yaml", "m.csv"):
        found = library.evaluate(mask_path, labels, mapping=tmp_path / name)
        wanted = np.where((merged == 0) & (mask == 3), 0, mask)
        np.testing.assert_array_equal(found.confusion.matrix, plain(wanted, merged, 4))
    every = {"10": "building", "20": "road", "30": None}
    without = library.evaluate(mask_path, labels, mapping=every)
    kept = np.where(truth == 3, 255, truth)
    np.testing.assert_array_equal(without.confusion.matrix, plain(mask, kept, 4))
    named = write(tmp_path / "named.tif", truth)
    for ignore in (["water"], [3]):
        ignored = library.evaluate(mask_path, named, ignore=ignore)
        np.testing.assert_array_equal(ignored.confusion.matrix, without.confusion.matrix)
    area = library.evaluate(mask_path, named, aoi=f"{5e5},{5e6 - 100},{5e5 + 50},{5e6}")
    inside = plain(mask[:200, :100], truth[:200, :100], 4)
    np.testing.assert_array_equal(area.confusion.matrix, inside)


def test_what_is_refused(pair, tmp_path):
    mask_path, truth_path, _, truth = pair
    far = write(tmp_path / "far.tif", truth, transform=PLACE @ Affine.translation(9e4, 0))
    with pytest.raises(SceneError, match="the labels do not overlap"):
        library.evaluate(mask_path, far)
    coded = write(tmp_path / "coded.tif", truth * 10, None, nodata=None)
    with pytest.raises(LegendError, match=r"labels that the mapping lacks: 20, 246"):
        library.evaluate(mask_path, coded, mapping={"10": "building", "30": "water"})
    with pytest.raises(LegendError, match="the map has no class 'river'"):
        library.evaluate(mask_path, truth_path, mapping={"1": "river"})
    with pytest.raises(LegendError, match="all labels are ignored"):
        library.evaluate(mask_path, truth_path, ignore=[1, 2, 3])
    empty = write(tmp_path / "empty_mask.tif", np.where(truth == 255, 1, 255).astype(np.uint8))
    with pytest.raises(SceneError, match="labelled pixels lie where the map has no data"):
        library.evaluate(empty, truth_path)
    with pytest.raises(AreaError, match="no label lies in the area"):
        library.evaluate(mask_path, truth_path, aoi=f"{5e5},{5e6 - 29},{5e5 + 5},{5e6 - 21}")
    for bad in ("x", "-1", "2km", "500"):
        with pytest.raises(OptionError, match=r"^boundary"):
            library.evaluate(mask_path, truth_path, boundary=bad)
    assert "boundary_f1" not in library.evaluate(mask_path, truth_path, boundary=0).overall
    with pytest.raises(OptionError, match="no side of a block"):
        library.evaluate(mask_path, truth_path, block=0)
    with pytest.raises(OptionError, match=r"1 pixels make 123,000 blocks\. Give 4 pixels or more"):
        library.evaluate(mask_path, truth_path, block=1)
    (tmp_path / "m.csv").write_text("1;2;3\n", "utf-8")
    with pytest.raises(OptionError, match="not two columns"):
        library.evaluate(mask_path, truth_path, mapping=tmp_path / "m.csv")
    blank = geopandas.GeoDataFrame(
        {"label": ["", None]}, geometry=geopandas.points_from_xy([5e5 + 9, 5e5 + 8], [5e6 - 9] * 2),
        crs="EPSG:32632",
    )  # fmt: skip
    blank.to_file(tmp_path / "blank.gpkg")
    with pytest.raises(SceneError, match="all 2 labels are blank"):
        library.evaluate(mask_path, tmp_path / "blank.gpkg")


def test_outputs(pair, tmp_path):
    mask_path, truth_path, mask, truth = pair
    confidence = np.where(mask == 255, 255, 80).astype(np.uint8)
    write(tmp_path / "c.tif", confidence, None)
    out = tmp_path / "out"
    found = library.evaluate(mask_path, truth_path, out, confidence=tmp_path / "c.tif")
    assert {path.name for path in out.iterdir()} == {path.name for path in found.paths.values()}
    assert found.paths["page"].name == "town_evaluation.html"
    both = (mask != 255) & (truth != 255)
    with rasterio.open(found.paths["errors"]) as dataset:
        bands = dataset.read()
        assert dataset.descriptions == ("all classes", "building", "road", "water")
        assert (dataset.transform, dataset.crs.to_epsg(), dataset.nodata) == (PLACE, 32632, 255)
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    np.testing.assert_array_equal(bands[0][both], np.where(mask == truth, 1, 4)[both])
    assert (bands[:, ~both] == 255).all()
    for value in (1, 2, 3):
        true, mapped = truth == value, mask == value
        wanted = np.select([true & mapped, mapped, true], [1, 2, 3], 0)
        np.testing.assert_array_equal(bands[value][both], wanted[both])
    record = json.loads(found.paths["record"].read_text("utf-8"))
    assert record["overall"]["miou"]["value"] == pytest.approx(found.overall["miou"])
    low, high = record["overall"]["miou"]["interval"]
    assert low < found.overall["miou"] < high
    assert record["overall"]["calibration_error"]["value"] == pytest.approx(
        abs(0.8 - found.overall["accuracy"]), abs=1e-9
    )
    with found.paths["scores"].open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["class"] for line in lines] == ["building", "road", "water"]
    assert float(lines[0]["iou"]) == pytest.approx(found.classes["iou"][1], abs=1e-6)
    page = found.paths["page"].read_text("utf-8")
    assert "data:image/png;base64," in page
    assert "http" not in page.replace("http-equiv", "")
    text = found.paths["markdown"].read_text("utf-8")
    assert f"| overall accuracy | {100 * found.overall['accuracy']:.1f} [" in text
    with pytest.raises(ExistsError):
        library.evaluate(mask_path, truth_path, out)
    # No output replaces an input.
    own = write(out / "town_errors.tif", truth)
    with pytest.raises(OutputError):
        library.evaluate(mask_path, own, out, overwrite=True)


def test_the_command_equals_the_library(pair, tmp_path, rsclip):
    mask_path, truth_path, *_ = pair
    found = library.evaluate(mask_path, truth_path, tmp_path / "one")
    done = rsclip("evaluate", mask_path, "--labels", truth_path, "-o", tmp_path / "two", "--json")
    assert done.exit_code == 0, done.output
    for key, path in found.paths.items():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), key
    said = json.loads(done.stdout)
    assert said["overall"]["miou"]["value"] == found.overall["miou"]
    table = rsclip("evaluate", mask_path, "--labels", truth_path)
    assert "mean IoU without the catch-all" in table.stdout
    assert "95 % intervals" in table.stdout
    wrong = rsclip("evaluate", mask_path, "--labels", tmp_path / "none.tif")
    assert wrong.exit_code == 2
    assert wrong.stderr.count("Error:") == 1
