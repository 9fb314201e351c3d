"""`rsclip sample` and `rsclip evaluate --points`: from a mask to areas with intervals."""

import csv
import json
import shutil
import sqlite3
import xml.etree.ElementTree as ET

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine

import rsclip as library
from rsclip.errors import (
    ExistsError,
    LegendError,
    OptionError,
    OutputError,
    RsclipWarning,
    SceneError,
)
from tests.study.evaluate.test_evaluate import write as write_map

SHAPE = (400, 500)
PLACE = Affine(0.5, 0, 5e5, 0, -0.5, 5e6)
NAMES = {1: "building", 2: "road", 3: "water"}

pytestmark = pytest.mark.filterwarnings("ignore::rsclip.errors.RsclipWarning")


@pytest.fixture
def made(tmp_path):
    """A mask with a rare class and nodata, and the truth: a quarter of the pixels differ."""
    rng = np.random.default_rng(0)
    truth = np.where(rng.random(SHAPE) < 0.6, 3, 2).astype(np.uint8)
    truth[:40, :50] = 1
    mask = np.where(rng.random(SHAPE) < 0.25, rng.integers(1, 4, SHAPE), truth).astype(np.uint8)
    mask[-40:] = 255
    path = tmp_path / "town_mask.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=SHAPE[0], width=SHAPE[1], count=1, dtype="uint8",
        nodata=255, crs="EPSG:32632", transform=PLACE,
    ) as dataset:  # fmt: skip
        dataset.write(mask, 1)
        tags = [{"value": value, "name": name} for value, name in NAMES.items()]
        dataset.update_tags(RSCLIP_CLASSES=json.dumps(tags))
    return path, mask, truth


def pixels(frame):
    return (
        np.floor((5e6 - frame.geometry.y) / 0.5).astype(int),
        np.floor((frame.geometry.x - 5e5) / 0.5).astype(int),
    )


def change(path, labels):
    """Write labels of some points (number -> label) into a sample, as QGIS would."""
    layers = {
        layer: pyogrio.read_dataframe(path, layer=layer) for layer in ("sample", "design", "strata")
    }
    points = layers["sample"]
    points["label"] = [
        labels.get(number, had)
        for number, had in zip(points["point"], points["label"], strict=True)
    ]
    path.unlink()
    for layer, frame in layers.items():
        pyogrio.write_dataframe(frame, path, layer=layer, append=path.exists())


def label(path, truth, out, blank=0):
    """Label a copy of a sample as the truth says, but for the first points."""
    shutil.copy(path, out)
    frame = geopandas.read_file(path, layer="sample")
    rows, cols = pixels(frame)
    found = {
        int(number): NAMES[truth[row, col]]
        for number, row, col in zip(frame["point"], rows, cols, strict=True)
    }
    change(out, dict(list(found.items())[blank:]))
    return out


def test_a_sample_is_blank_stratified_and_repeatable(made, tmp_path):
    path, mask, _ = made
    first = library.sample(path, 300, tmp_path / "one.gpkg", seed=7)
    frame = geopandas.read_file(first, layer="sample")
    assert list(frame.columns) == ["point", "label", "comment", "geometry"]
    assert frame["label"].isna().all()
    rows, cols = pixels(frame)
    assert len({*zip(rows, cols, strict=True)}) == 300
    values, counts = np.unique(mask[rows, cols], return_counts=True)
    table = pyogrio.read_dataframe(first, layer="strata")
    assert values.tolist() == [1, 2, 3]
    assert dict(zip(table["stratum"], table["points"], strict=True)) == dict(
        zip(NAMES.values(), counts.tolist(), strict=True)
    )
    assert counts.min() >= 50
    np.testing.assert_array_equal(table["pixels"], [(mask == value).sum() for value in NAMES])
    np.testing.assert_allclose(table["hectares"], table["pixels"] * 0.25e-4, rtol=2e-3)
    # Neither the points' order nor what the interpreter sees tells the class.
    changes = (np.diff(mask[rows, cols].astype(int)) != 0).mean()
    assert changes > 0.4
    again = library.sample(path, 300, tmp_path / "two.gpkg", seed=7)
    assert geopandas.read_file(again, layer="sample").equals(frame)
    other = geopandas.read_file(library.sample(path, 300, tmp_path / "three.gpkg"), layer="sample")
    assert not other.geometry.equals(frame.geometry)


def test_points_are_drawn_evenly(made, tmp_path):
    path, mask, _ = made
    frame = geopandas.read_file(library.sample(path, 20_000, tmp_path / "s.gpkg"), layer="sample")
    rows, cols = pixels(frame)
    water = mask == 3
    drawn = np.zeros(SHAPE, bool)
    drawn[rows, cols] = True
    rate = (drawn & water).sum() / water.sum()
    for part in (np.s_[:200], np.s_[200:360], np.s_[:, :250], np.s_[:, 250:]):
        count = water[part].sum()
        got = (drawn & water)[part].sum()
        assert abs(got - rate * count) < 4 * np.sqrt(count * rate)


def test_the_form_offers_the_classes(made, tmp_path):
    path = library.sample(made[0], 60, tmp_path / "s.gpkg")
    with sqlite3.connect(path) as database:
        rows = database.execute(
            "SELECT f_table_name, styleQML, useAsDefault FROM layer_styles"
        ).fetchall()
    [(layer, qml, default)] = rows
    assert (layer, default) == ("sample", 1)
    field = ET.fromstring(qml.partition("\n")[2]).find("fieldConfiguration/field[@name='label']")
    assert field.find("editWidget").get("type") == "ValueMap"
    offered = [item.get("value") for item in field.iterfind(".//Option[@type='QString']")]
    assert offered == ["building", "road", "water", "unclassified"]


def test_areas_of_the_truth_lie_in_the_intervals(made, tmp_path):
    path, mask, truth = made
    held = trials = 0
    known = mask != 255
    for seed in range(8):
        drawn = library.sample(path, 300, tmp_path / f"{seed}.gpkg", seed=seed)
        found = library.assess(path, label(drawn, truth, tmp_path / f"{seed}l.gpkg"))
        assert found.hectares == pytest.approx(known.sum() * 0.25e-4, rel=2e-3)
        for value in NAMES:
            area = found.area(value)
            wanted = (truth[known] == value).mean() * found.hectares
            held += abs(area.value - wanted) <= area.half
            trials += 1
        assert found.estimates.matrix.sum() == pytest.approx(1)
    assert held >= 0.8 * trials


def test_strata_of_confidence(made, tmp_path):
    path, mask, truth = made
    confidence = np.where(mask == truth, 90, 40).astype(np.uint8)
    confidence[:, 400:] = 60
    confidence[mask == 255] = 255
    with rasterio.open(path) as dataset:
        profile = dataset.profile
    with rasterio.open(tmp_path / "c.tif", "w", **profile) as dataset:
        dataset.write(confidence, 1)
    drawn = library.sample(
        path, 300, tmp_path / "s.gpkg", strata="confidence", confidence=tmp_path / "c.tif"
    )
    table = pyogrio.read_dataframe(drawn, layer="strata")
    np.testing.assert_array_equal(
        table["pixels"], [(confidence == value).sum() for value in (40, 60, 90)]
    )
    found = library.assess(path, label(drawn, truth, tmp_path / "l.gpkg"))
    # Below 50 all is wrong and from 80 on all is right: only the middle leaves room for chance.
    assert found.estimates.overall.half < 0.04
    known = mask != 255
    assert found.estimates.overall.value == pytest.approx((mask == truth)[known].mean(), abs=0.03)
    with pytest.raises(OptionError, match="need the confidence raster"):
        library.sample(path, 30, tmp_path / "x.gpkg", strata="confidence")


def test_what_is_refused_and_what_is_said(made, tmp_path):
    path, _, truth = made
    drawn = library.sample(path, 120, tmp_path / "s.gpkg")
    with pytest.raises(SceneError, match="all 120 labels are blank"):
        library.assess(path, drawn)
    some = label(drawn, truth, tmp_path / "some.gpkg", blank=20)
    with pytest.warns(RsclipWarning, match="20 of 120 points have no label yet"):
        assert library.assess(path, some).counts.sum() == 100
    change(some, {50: "lake"})
    with pytest.raises(LegendError, match="labels that are no class of the map: lake"):
        library.assess(path, some)
    one = label(drawn, truth, tmp_path / "one.gpkg")
    design = pyogrio.read_dataframe(drawn, layer="design")
    roads = design.loc[design["stratum"] == "road", "point"].tolist()
    change(one, dict.fromkeys(roads[5:]))
    with pytest.warns(RsclipWarning, match=r"few labelled points in road \(5\)"):
        library.assess(path, one)
    change(one, dict.fromkeys(roads))
    for few in ({}, {roads[0]: "road"}):
        change(one, few)
        with pytest.raises(LegendError, match="fewer than two points are labelled in road"):
            library.assess(path, one)
    geopandas.GeoDataFrame(
        {"label": ["road"]}, geometry=geopandas.points_from_xy([5e5 + 9], [5e6 - 199]),
        crs="EPSG:32632",
    ).to_file(tmp_path / "nodata.gpkg")  # fmt: skip
    with pytest.raises(SceneError, match="1 points lie where the map has no data"):
        library.assess(path, tmp_path / "nodata.gpkg")
    with pytest.raises(ExistsError):
        library.sample(path, 120, drawn)
    with pytest.raises(OutputError, match=r"End its name in \.gpkg"):
        library.sample(path, 120, tmp_path / "s.shp")
    with pytest.raises(OptionError, match="0 points"):
        library.sample(path, 0, tmp_path / "x.gpkg")
    with pytest.raises(OptionError, match=r"5 points for 3 strata: .* Draw 6 or more"):
        library.sample(path, 5, tmp_path / "x.gpkg")
    with pytest.raises(OptionError, match="-1 is no seed"):
        library.sample(path, 120, tmp_path / "x.gpkg", seed=-1)
    with pytest.warns(RsclipWarning, match=r"few points for an interval: .*\(2\); draw more"):
        library.sample(path, 6, tmp_path / "few.gpkg")
    with pytest.raises(OptionError, match="no share between 0 and 1"):
        library.plan_sample(path, 3)


def test_other_points_count_as_a_random_sample(made, tmp_path):
    path, mask, truth = made
    rows, cols = np.random.default_rng(1).integers(0, (360, 500), (500, 2)).T
    frame = geopandas.GeoDataFrame(
        {"label": [NAMES[value] for value in truth[rows, cols]]},
        geometry=geopandas.points_from_xy(5e5 + (cols + 0.5) / 2, 5e6 - (rows + 0.5) / 2),
        crs="EPSG:32632",
    )
    frame.to_crs(4326).to_file(tmp_path / "p.gpkg")
    with pytest.warns(RsclipWarning, match="taken for a simple random sample"):
        found = library.assess(path, tmp_path / "p.gpkg")
    known = mask != 255
    assert found.estimates.overall.value == pytest.approx((mask == truth)[known].mean(), abs=0.06)


def test_the_commands(made, tmp_path, rsclip):
    path, _, truth = made
    planned = rsclip("sample", path, "--plan", "0.04", "--json")
    count, units = library.plan_sample(path, 0.04)
    assert json.loads(planned.stdout) == {"points": count, "strata": units}
    drawn = tmp_path / "s.gpkg"
    assert rsclip("sample", path, "-n", count, "-o", drawn).exit_code == 0
    done = label(drawn, truth, tmp_path / "l.gpkg")
    said = rsclip("evaluate", path, "--points", done, "-o", tmp_path / "out", "--json")
    assert said.exit_code == 0, said.output
    found = library.assess(path, done)
    assert json.loads(said.stdout)["overall_accuracy"]["value"] == found.estimates.overall.value
    record = json.loads((tmp_path / "out/town_areas_from_sample.json").read_text("utf-8"))
    assert record["classes"][0]["hectares"]["half"] == pytest.approx(found.area(1).half)
    with (tmp_path / "out/town_areas_from_sample.csv").open(encoding="utf-8", newline="") as file:
        row = next(csv.DictReader(file))
    assert row["class"] == "building"
    assert float(row["hectares_half"]) == pytest.approx(found.area(1).half, abs=1e-6)
    for end in ("md", "html"):
        text = (tmp_path / f"out/town_areas_from_sample.{end}").read_text("utf-8")
        assert f"{found.area(1).value:,.2f} +- {found.area(1).half:,.2f}" in text
    # What was planned for is what comes out, as the map is better than was expected.
    assert found.estimates.overall.half < 0.04 * 1.1
    table = rsclip("evaluate", path, "--points", done)
    assert "Olofsson et al. 2014" in table.stdout
    assert rsclip("evaluate", path).exit_code == 2
    assert rsclip("evaluate", path, "--points", done, "--ignore", "1").exit_code == 2
    blank = rsclip("evaluate", path, "--points", drawn)
    assert blank.exit_code == 2
    assert blank.stderr.count("Error:") == 1


def test_a_mask_about_a_rotated_pole_is_sampled(tmp_path):
    rotated = "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +type=crs"
    path = tmp_path / "a_mask.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=8, height=8, count=1, dtype="uint8", crs=rotated,
        transform=Affine(1e-5, 0, 20, 0, -1e-5, 10),
    ) as made:  # fmt: skip
        made.write(np.ones((1, 8, 8), "uint8"))
    points = pyogrio.read_dataframe(library.sample(path, 4, output=tmp_path / "s.gpkg"))
    assert points.crs.is_derived


def test_qgis_offers_the_classes_and_hides_the_map(in_qgis, made, tmp_path):
    path = library.sample(made[0], 60, tmp_path / "s.gpkg")
    fields, widget, choices, editable, shown = in_qgis(
        "layer = QgsVectorLayer(sys.argv[1] + '|layername=sample', 'sample', 'ogr')\n"
        "names = layer.fields().names()\n"
        "place = names.index('label')\n"
        "setup = layer.editorWidgetSetup(place)\n"
        "form = layer.editFormConfig()\n"
        "said = [names, setup.type(), [list(pair.values())[0] for pair in setup.config()['map']],\n"
        "        [not form.readOnly(i) for i in range(len(names))],\n"
        "        [[f[n] if f[n] != NULL else None for n in ('label', 'comment')]\n"
        "         for f in layer.getFeatures()]]",
        path,
    )
    # The map's class is in no field: the interpreter cannot see it.
    assert fields == ["fid", "point", "label", "comment"]
    assert widget == "ValueMap"
    assert choices == ["building", "road", "water", "unclassified"]
    assert editable == [False, False, True, True]
    assert shown == [[None, None]] * 60


def test_a_class_of_one_pixel_is_drawn_whole(tmp_path):
    values = np.ones((40, 50), np.uint8)
    values[3, 4] = 2
    path = write_map(tmp_path / "map.tif", values)
    drawn = library.sample(path, 40, tmp_path / "s.gpkg")
    design = pyogrio.read_dataframe(drawn, layer="design")
    assert (design["stratum"] == "road").sum() == 1
    found = library.assess(path, label(drawn, values, tmp_path / "l.gpkg"))
    assert found.estimates.share[2].value == pytest.approx(1 / 2000, rel=1e-3)
    whole = library.sample(path, 9999, tmp_path / "all.gpkg")
    assert len(pyogrio.read_dataframe(whole, layer="design")) == 2000


def test_few_points_of_ones_own_are_not_stratified(tmp_path):
    values = np.ones((40, 50), np.uint8)
    values[:, 40:], values[0, 0] = 2, 3
    path = write_map(tmp_path / "map.tif", values)
    rows, cols = np.random.default_rng(1).integers(5, (40, 50), (60, 2)).T
    points = geopandas.points_from_xy(5e5 + (cols + 0.5) / 2, 5e6 - (rows + 0.5) / 2)
    frame = geopandas.GeoDataFrame(
        {"label": [NAMES[value] for value in values[rows, cols]]},
        geometry=[shapely.MultiPoint([point]) for point in points], crs="EPSG:32632",
    )  # fmt: skip
    frame.to_file(tmp_path / "p.gpkg")
    with pytest.warns(RsclipWarning, match="not stratified: fewer than two labelled .* in water"):
        found = library.assess(path, tmp_path / "p.gpkg")
    share = (values[rows, cols] == 2).mean()
    assert found.estimates.share[2].value == pytest.approx(share)
    assert found.estimates.share[2].error == pytest.approx((share * (1 - share) / 59) ** 0.5)
    assert dict(found.strata) == {"the whole map": 60}
