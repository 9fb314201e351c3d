"""Polygons of whole runs: in every format, on every kind of grid, as QGIS opens them."""

import json
import sqlite3

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.features import rasterize, sieve

from rsclip.config import build_config
from rsclip.errors import OptionError, OutputError
from rsclip.outputs.styles.qml import hex_colour
from rsclip.run.segment import Failure, segment_scenes
from tests.rasters import raster
from tests.run.stub import StubEncoder, loader

OPENED = """
layer = QgsVectorLayer(sys.argv[1], 'polygons', 'ogr')
r = layer.renderer()
used = {f['class_id'] for f in layer.getFeatures()}
rect = layer.extent()
said = [layer.isValid(), layer.crs().authid(), layer.featureCount(), r.type(),
        {c.value(): [c.label(), c.symbol().color().name()] for c in r.categories()
         if int(c.value()) in used},
        [rect.xMinimum(), rect.yMinimum(), rect.xMaximum(), rect.yMaximum()],
        sum(not f.geometry().isGeosValid() for f in layer.getFeatures())]
from qgis.PyQt.QtCore import QSize
settings = QgsMapSettings()
settings.setLayers([layer])
settings.setExtent(rect)
settings.setDestinationCrs(layer.crs())
settings.setOutputSize(QSize(300, 300))
job = QgsMapRendererParallelJob(settings)
job.start()
job.waitForFinished()
image = job.renderedImage()
said.append(len({image.pixelColor(x, y).name() for x in range(0, 300, 7)
                 for y in range(0, 300, 7)}))
"""


def run(scene, folder, **options):
    (outcome,) = segment_scenes(
        [scene], "bright, dark", folder, config=build_config(options),
        model_loader=loader(StubEncoder()),
    )  # fmt: skip
    if isinstance(outcome, Failure):
        raise outcome.error
    return outcome


def burnt(frame, mask):
    with rasterio.open(mask) as dataset:
        shapes = zip(frame.geometry, frame.class_id, strict=True)
        return rasterize(shapes, dataset.shape, transform=dataset.transform, dtype="uint8")


@pytest.fixture(params=["sample tile", "rotated", "NAIP"])
def place(request, make_scene, repository):
    if request.param == "sample tile":
        return repository / "sample_tiles" / "town_river.tif"
    if request.param == "NAIP":
        return raster("opengeos-data/m_4709963_se_14_1_20140720.tif")
    rotated = rasterio.Affine(0.4, 0.3, 5e5, 0.3, -0.4, 5e6)
    return make_scene(shape=(300, 400), transform=rotated)


@pytest.mark.parametrize("options", [{}, {"simplify": 4.0, "min_area": 20.0}, {"smooth": True}])
def test_qgis_opens_what_a_run_writes(in_qgis, place, tmp_path, options):
    result = run(place, tmp_path, confidence=True, **options)
    frame = result.polygons()
    said = in_qgis(OPENED, f"{result.paths['polygons']}|layername=polygons")
    valid, crs, count, kind, categories, extent, broken, colours = said
    assert valid
    assert (count, kind, broken) == (len(frame), "categorizedSymbol", 0)
    with rasterio.open(place) as scene:
        assert crs == scene.crs.to_string()
    legend = result.legend
    assert categories == {
        str(value): [legend.names[value], hex_colour(legend.colours[value])]
        for value in sorted(set(frame.class_id))
    }
    np.testing.assert_allclose(extent, frame.total_bounds)
    assert colours > len(categories)
    assert frame.mean_confidence.between(0, 1).all()
    assert set(frame.scene) == {place.stem}


def test_polygons_of_a_run_are_its_mask(place, tmp_path):
    result = run(place, tmp_path)
    frame, labels = result.polygons(), result.mask()
    np.testing.assert_array_equal(
        burnt(frame, result.mask_path), np.where(labels == result.legend.nodata, 0, labels)
    )
    areas = {item["value"]: item["m2"] for item in result.run["results"] if item["value"]}
    for value, area in frame.groupby("class_id").area_m2.sum().items():
        assert area == pytest.approx(areas[value], abs=1e-4)
    # The scores themselves were not asked for.
    means = {item["value"]: item["mean_confidence"] for item in result.run["results"]}
    weighted = frame.mean_confidence * frame.area_m2
    for value, rows in frame.groupby("class_id"):
        mean = weighted[rows.index].sum() / rows.area_m2.sum()
        # Percent in the raster, and pixels of one ground area or nearly.
        assert mean == pytest.approx(means[value], abs=0.006)
    assert not any("confidence" in path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["geojson", "fgb", "shp"])
def test_qgis_finds_the_style_beside_other_formats(in_qgis, make_scene, tmp_path, kind):
    scene = make_scene(shape=(200, 200))
    result = run(scene, tmp_path / "out", vector_format=kind)
    assert result.paths["polygons_style"].name == "scene_polygons.qml"
    valid, _, count, renderer, categories, *_ = in_qgis(OPENED, result.paths["polygons"])
    assert (valid, count, renderer) == (True, len(result.polygons()), "categorizedSymbol")
    assert set(categories) <= {"1", "2"}
    assert categories


@pytest.mark.parametrize("kind", ["gpkg", "geojson", "fgb", "shp", "parquet", "none"])
def test_every_format_of_a_run_holds_the_same(make_scene, tmp_path, kind):
    scene = make_scene(shape=(200, 240), nodata=0)
    options = {"vector_format": kind, "sld": True, "stac": True, "qgis_project": True}
    result = run(scene, tmp_path / "out", **options)
    frame = result.polygons()
    on_disk = {path.name for path in (tmp_path / "out").iterdir()}
    assert on_disk == {path.name for path in result.paths.values()}
    assert ("polygons" in result.paths) == (kind != "none")
    assert ("polygons_sld" in result.paths) == (kind != "none")
    if kind == "geojson":
        frame = frame.to_crs("EPSG:32633")
    np.testing.assert_array_equal(burnt(frame, result.mask_path), result.mask())


def test_the_sieve_cleans_the_mask_and_what_is_made_of_it(make_scene, tmp_path):
    scene = make_scene(shape=(200, 240), nodata=0)
    with rasterio.open(scene, "r+") as dataset:
        pixels = dataset.read()
        pixels[:, :60, :50] = 0
        pixels[:, ::9, ::7] = 250
        dataset.write(pixels)
    plain = run(scene, tmp_path / "plain", confidence=True)
    clean = run(scene, tmp_path / "clean", confidence=True, sieve=400)
    labels = plain.mask()
    expected = sieve(labels, 400, mask=(labels != 255).astype("uint8"))
    assert (expected != labels).any()
    np.testing.assert_array_equal(clean.mask(), expected)
    np.testing.assert_array_equal(burnt(clean.polygons(), clean.mask_path),
                                  np.where(expected == 255, 0, expected))  # fmt: skip
    with rasterio.open(clean.paths["confidence"]) as dataset:
        percent = dataset.read(1)
        assert dataset.overviews(1) is not None
    for item in clean.run["results"]:
        inside = expected == item["value"]
        assert item["pixels"] == inside.sum()
        assert item["share"] == pytest.approx(inside.sum() / (expected != 255).sum())
        if inside.any():
            assert item["mean_confidence"] == pytest.approx(percent[inside].mean() / 100, abs=1e-5)
    tags = rasterio.open(clean.mask_path).tags()
    assert json.loads(tags["RSCLIP_SETTINGS"])["sieve"] == 400


def test_neighbours_share_their_edges_in_a_whole_run(place, tmp_path):
    frame = run(place, tmp_path, simplify=3.0).polygons()
    assert frame.is_valid.all()
    assert shapely.coverage_is_valid(frame.geometry.values)


def test_a_class_that_is_not_there_stops_before_any_work(rsclip, make_scene, tiny_model, tmp_path):
    with pytest.raises(OptionError, match=r"orthogonal: no class is named 'hut'.*bright, dark"):
        run(make_scene(), tmp_path / "out", orthogonal="hut")
    for flag, value in (("--simplify", "-1"), ("--min-area", "-1"), ("--sieve", "0")):
        done = rsclip("segment", make_scene(), "--classes", "a, b", "--model", tiny_model,
                      flag, value, "-o", tmp_path / "out")  # fmt: skip
        assert done.exit_code == 2
        assert flag in done.output
    done = rsclip("segment", make_scene(), "--classes", "a, b", "--vector-format", "kml")
    assert done.exit_code == 2
    assert "gpkg" in done.output
    assert not (tmp_path / "out").exists()


def test_geojson_needs_a_crs_and_the_others_do_not(make_scene, tmp_path):
    scene = make_scene(crs=None)
    with pytest.raises(OutputError, match=r"no CRS.*vector_format"):
        run(scene, tmp_path / "out", vector_format="geojson")
    assert not (tmp_path / "out").exists()
    result = run(scene, tmp_path / "out", vector_format="shp")
    assert "polygons_prj" not in result.paths
    assert result.polygons().area_px.sum() == 70 * 90


def test_the_geopackage_is_of_a_version_that_qgis_3_22_knows(make_scene, tmp_path):
    outcome = run(make_scene(), tmp_path)
    with sqlite3.connect(outcome.paths["polygons"]) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
    assert version <= 10300
