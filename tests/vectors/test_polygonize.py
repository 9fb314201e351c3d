"""`rsclip polygonize` and its library call: formats, names, bad input."""

import json
import sqlite3
import xml.etree.ElementTree as ET

import geopandas
import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pytest
import rasterio
import rasterio.shutil
import shapely
from geopandas.testing import assert_geodataframe_equal
from rasterio.features import rasterize, sieve

import rsclip as library
from rsclip.errors import (
    InputError,
    OptionError,
    OutputError,
    ReadError,
    RsclipWarning,
    SceneError,
    WriteError,
)
from rsclip.outputs.polygonize import read_polygons
from rsclip.outputs.polygons import geojson
from rsclip.outputs.polygons import vector_file as vectors
from rsclip.vectors.features import Features
from tests.vectors.make import blobs, write_labels

FIELDS = ["class_id", "class_name", "area_m2", "perimeter_m", "mean_confidence", "scene"]
FORMATS = ["gpkg", "geojson", "fgb", "shp", "parquet"]


@pytest.fixture
def labels():
    return blobs()


@pytest.fixture
def mask(tmp_path, labels):
    return write_labels(tmp_path / "town_mask.tif", labels)


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def shapes_of(frame):
    return sorted(
        each.wkb_hex
        for each in shapely.normalize(shapely.set_precision(frame.geometry.values, 1e-6))
    )


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("place", ["utm", "rotated", None])
def test_every_format_gives_the_mask_back(tmp_path, labels, kind, place):
    mask = write_labels(tmp_path / "town_mask.tif", labels, place)
    output = tmp_path / "out" / f"town.{kind}"
    if kind == "geojson" and place is None:
        with pytest.raises(OutputError, match=r"no CRS.*gpkg"):
            library.write_polygons(mask, output)
        assert left(tmp_path) == ["town_mask.tif"]
        return
    assert library.write_polygons(mask, output) == output
    frame = read_polygons(output)
    assert frame.is_valid.all()
    with rasterio.open(mask) as dataset:
        if kind == "geojson":
            assert frame.crs.to_epsg() == 4326
            frame = frame.to_crs(dataset.crs)
        assert (frame.crs is None) == (place is None)
        assert place is None or frame.crs == dataset.crs
        burnt = rasterize(
            zip(frame.geometry, frame.class_id, strict=True), labels.shape,
            transform=dataset.transform, dtype="uint8",
        )  # fmt: skip
    np.testing.assert_array_equal(burnt, np.where(labels == 255, 0, labels))
    assert set(frame.scene) == {"town"}
    assert frame.class_name.tolist() == [str(value) for value in frame.class_id]
    fields = FIELDS if place else [name.replace("_m2", "_px").replace("_m", "_px", 1)
                                   if name.startswith(("area", "perimeter")) else name
                                   for name in FIELDS]  # fmt: skip
    if kind == "shp":
        short = {
            "perimeter_m": "perim_m",
            "perimeter_px": "perim_px",
            "mean_confidence": "mean_conf",
        }
        written = pyogrio.read_info(output)["fields"].tolist()
        assert written == [short.get(name, name) for name in fields]
        assert all(len(name) <= 10 for name in written)
        assert (output.parent / "town.prj").exists() == (place is not None)
    assert list(frame.columns) == [*fields, frame.geometry.name]


def test_a_geopackage_has_its_layer_and_its_style(tmp_path, mask):
    output = library.write_polygons(mask, tmp_path / "a.gpkg")
    with sqlite3.connect(output) as database:
        (style,) = database.execute("SELECT styleQML FROM layer_styles").fetchone()
        column = database.execute("SELECT column_name FROM gpkg_geometry_columns").fetchone()
        kind = database.execute("SELECT geometry_type_name FROM gpkg_geometry_columns").fetchone()
    assert (column, kind) == (("geom",), ("POLYGON",))
    values = {
        item.get("value") for item in ET.fromstring(style[style.index("<qgis") :]).iter("category")
    }
    assert values == {"0", "1", "2", "3"}
    assert pyogrio.read_info(output, layer="polygons")["geometry_type"] == "Polygon"


def test_geojson_follows_rfc_7946(tmp_path, mask):
    path = library.write_polygons(mask, tmp_path / "a.geojson")
    content = json.loads(path.read_text(encoding="utf-8"))
    assert "crs" not in content
    text = path.read_text(encoding="utf-8")
    for feature in content["features"]:
        outer, *holes = feature["geometry"]["coordinates"]
        assert shapely.LinearRing(outer).is_ccw
        assert not any(shapely.LinearRing(hole).is_ccw for hole in holes)
        for x, y in outer:
            assert 8 < x < 22
            assert 40 < y < 50
            assert x == round(x, 7)
    assert "e-" not in text.partition("features")[2].partition("geometry")[2][:2000]


@pytest.mark.parametrize("smooth", [False, True])
def test_geojson_of_pixels_of_5_mm(tmp_path, labels, smooth):
    turned = rasterio.Affine.translation(5e5, 5e6) @ rasterio.Affine.rotation(30)
    with rasterio.open(
        tmp_path / "mask.tif", "w", driver="GTiff", height=120, width=150, count=1, dtype="uint8",
        nodata=255, crs="EPSG:32633", transform=turned @ rasterio.Affine.scale(0.005, -0.005),
    ) as dataset:  # fmt: skip
        dataset.write(labels, 1)
    exact = library.polygonize(tmp_path / "mask.tif", smooth=smooth)
    path = library.write_polygons(tmp_path / "mask.tif", tmp_path / "a.geojson", smooth=smooth)
    frame = read_polygons(path)
    assert len(frame) == len(exact)
    assert set(frame.geom_type) == {"Polygon"}
    assert frame.is_valid.all()
    np.testing.assert_allclose(
        frame.to_crs(32633).area, exact.area, rtol=0.02, atol=0.02 * 0.005**2
    )


def test_geojson_leaves_out_what_has_no_area(tmp_path):
    def feature(name, *parts):
        many = {"type": "GeometryCollection", "geometries": parts}
        geometry = parts[0] if len(parts) == 1 else many
        text = json.dumps({"name": name})
        return f'{{ "type": "Feature", "properties": {text}, "geometry": {spaced(geometry)} }}'

    def spaced(geometry):
        return json.dumps(geometry).replace('{"', '{ "')

    square = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    line = {"type": "LineString", "coordinates": [[0, 0], [1, 0]]}
    point = {"type": "Point", "coordinates": [0, 0]}
    features = [
        feature("line", line), feature("Größe", square), feature("mixed", square, line),
        feature("specks", point, line), feature("point", point),
    ]  # fmt: skip
    path = tmp_path / "a.geojson"
    head = '{\n"type": "FeatureCollection",\n"features": [\n'
    path.write_text(head + ",\n".join(features) + "\n]\n}\n", encoding="utf-8")
    assert geojson.keep_polygons(path) == 2
    kept = json.loads(path.read_text(encoding="utf-8"))["features"]
    assert [(each["properties"]["name"], each["geometry"]["type"]) for each in kept] == [
        ("Größe", "Polygon"), ("mixed", "Polygon"),
    ]  # fmt: skip
    before = path.read_bytes()
    assert geojson.keep_polygons(path) == 2
    assert path.read_bytes() == before
    path.write_text(head + features[0] + "\n]\n}\n", encoding="utf-8")
    assert geojson.keep_polygons(path) == 0
    assert json.loads(path.read_text(encoding="utf-8"))["features"] == []


def test_a_sliver_is_left_out_of_geojson_and_said(tmp_path):
    place = np.array([5e5, 5e6])
    slivers = [
        shapely.Polygon(np.add(place, [(0, 0), (3, 0), (0, height)])) for height in (3, 1e-4)
    ]
    some = Features(
        np.array(slivers, object), np.array([1, 2]), np.ones(2), np.ones(2), None
    )  # fmt: skip
    path = tmp_path / "a.geojson"
    crs = rasterio.CRS.from_epsg(32633)
    with pytest.warns(RsclipWarning, match=r"a\.geojson: 1 of 2 polygons .* left out"):
        vectors.VectorWriter(path, {}, "a", crs, on_ground=True).write(iter([some]))
    assert read_polygons(path).class_id.tolist() == [1]


def test_geojson_is_cut_at_the_date_line(tmp_path):
    labels = np.ones((10, 40), np.uint8)
    mask = write_labels(tmp_path / "mask.tif", labels, "date line")
    frame = read_polygons(library.write_polygons(mask, tmp_path / "a.geojson"))
    west, _, east, _ = frame.total_bounds
    assert (west, east) == (pytest.approx(-180), pytest.approx(180))
    assert frame.geometry[0].geom_type == "MultiPolygon"


def test_geoparquet_says_what_it_holds(tmp_path, mask):
    path = library.write_polygons(mask, tmp_path / "a.parquet")
    about = json.loads(pq.read_metadata(path).metadata[b"geo"])
    column = about["columns"][about["primary_column"]]
    assert about["version"] == "1.1.0"
    assert column["geometry_types"] == ["Polygon"]
    assert column["crs"]["id"] == {"authority": "EPSG", "code": 32633}
    np.testing.assert_allclose(column["bbox"], geopandas.read_parquet(path).total_bounds)


def test_an_empty_mask_gives_an_empty_layer(tmp_path):
    mask = write_labels(tmp_path / "mask.tif", np.full((20, 30), 255, np.uint8))
    for kind in FORMATS:
        frame = read_polygons(library.write_polygons(mask, tmp_path / f"{kind}.{kind}"))
        assert len(frame) == 0
        # GeoJSON without features has no place for fields.
        assert kind == "geojson" or "class_id" in frame.columns
    assert len(library.polygonize(mask)) == 0


def test_the_command_line_equals_the_library(rsclip, tmp_path, mask):
    options = {"simplify": 1.0, "min_area": 2.0, "smooth": True}
    done = rsclip("polygonize", mask, "-o", tmp_path / "cli.gpkg", "--simplify", 1,
                  "--min-area", 2, "--smooth", "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["polygons"] == str(tmp_path / "cli.gpkg")
    one = read_polygons(tmp_path / "cli.gpkg")
    other = library.polygonize(mask, **options)
    assert shapes_of(one) == shapes_of(other)
    assert one.area_m2.min() >= 2


@pytest.mark.parametrize("place", ["utm", "rotated", None])
@pytest.mark.parametrize("scored", [False, True])
def test_polygons_in_memory_equal_those_of_a_file_and_need_none(
    tmp_path, monkeypatch, labels, place, scored
):
    mask = write_labels(tmp_path / "town_mask.tif", labels, place)
    confidence = write_labels(tmp_path / "score.tif", labels * 20, place) if scored else None
    path = library.write_polygons(mask, tmp_path / "a.gpkg", confidence=confidence)
    expected = read_polygons(path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    frame = library.polygonize(mask, confidence=confidence)
    assert len(frame) > 20
    assert frame.mean_confidence.notna().all() == scored
    assert frame.crs == expected.crs
    assert_geodataframe_equal(frame, expected)


def test_the_default_name_is_the_masks_stem(rsclip, tmp_path, mask, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert rsclip("polygonize", mask).output.strip() == "town_polygons.gpkg"
    again = rsclip("polygonize", mask)
    assert again.exit_code == 2
    assert "--overwrite" in again.output
    assert rsclip("polygonize", mask, "--overwrite").exit_code == 0


def test_names_come_from_the_mask(tmp_path, labels):
    said = json.dumps([{"value": 1, "name": "Gebäude"}, {"value": 0, "name": "rest"}])
    mask = write_labels(tmp_path / "a.tif", labels, tags={"RSCLIP_CLASSES": said})
    names = library.polygonize(mask).set_index("class_id").class_name.to_dict()
    assert names == {1: "Gebäude", 2: "2", 3: "3"}
    mask = write_labels(tmp_path / "b.tif", labels, colours={2: (10, 20, 30, 255)})
    (tmp_path / "b.tif.aux.xml").write_text(
        "<PAMDataset><PAMRasterBand band='1'><CategoryNames><Category>none</Category>"
        "<Category>road</Category><Category/><Category>川</Category></CategoryNames>"
        "</PAMRasterBand></PAMDataset>",
        encoding="utf-8",
    )
    output = library.write_polygons(mask, tmp_path / "b.gpkg")
    names = read_polygons(output).set_index("class_id").class_name.to_dict()
    assert names == {1: "road", 2: "2", 3: "川"}
    with sqlite3.connect(output) as database:
        (style,) = database.execute("SELECT styleQML FROM layer_styles").fetchone()
    assert "10,20,30" in style


ROAD_AND_RIVER = (
    "<GDALRasterAttributeTable tableType='thematic'>"
    "<FieldDefn index='0'><Name>Ser</Name><Type>0</Type><Usage>0</Usage></FieldDefn>"
    "<FieldDefn index='1'><Name>{value}</Name><Type>0</Type><Usage>{of_value}</Usage></FieldDefn>"
    "<FieldDefn index='2'><Name>Rgb</Name><Type>2</Type><Usage>0</Usage></FieldDefn>"
    "<FieldDefn index='3'><Name>{name}</Name><Type>2</Type><Usage>{of_name}</Usage></FieldDefn>"
    "<Row index='0'><F>7</F><F>0</F><F>x</F><F>rest</F></Row>"
    "<Row index='1'><F>8</F><F>1</F><F>x</F><F>road</F></Row>"
    "<Row index='2'><F>9</F><F>3</F><F>x</F><F>川</F></Row>"
    "</GDALRasterAttributeTable>"
)


def class_names(mask):
    return library.polygonize(mask).set_index("class_id").class_name.to_dict()


@pytest.mark.parametrize(
    "columns",
    [
        {"value": "v", "of_value": 5, "name": "n", "of_name": 2},
        {"value": "VALUE", "of_value": 0, "name": "Class_Name", "of_name": 0},
    ],
)
def test_names_come_from_an_attribute_table(tmp_path, labels, columns):
    mask = write_labels(tmp_path / "a.tif", labels)
    table = f"<PAMRasterBand band='1'>{ROAD_AND_RIVER.format(**columns)}</PAMRasterBand>"
    (tmp_path / "a.tif.aux.xml").write_text(f"<PAMDataset>{table}</PAMDataset>", encoding="utf-8")
    assert class_names(mask) == {1: "road", 2: "2", 3: "川"}


def test_an_attribute_table_that_is_junk_gives_no_names(tmp_path, labels):
    mask = write_labels(tmp_path / "a.tif", labels)
    broken = ROAD_AND_RIVER.format(value="v", of_value=5, name="n", of_name=2)
    broken = broken.replace("<Name>v</Name><Type>0</Type>", "<Name>v</Name><Type>1</Type>")
    broken = broken.replace("<F>1</F>", "<F>nan</F>").replace("<F>3</F>", "<F>2.5</F>")
    (tmp_path / "a.tif.aux.xml").write_text(
        f"<PAMDataset><PAMRasterBand band='1'>{broken}</PAMRasterBand></PAMDataset>"
    )
    assert class_names(mask) == {1: "1", 2: "2", 3: "3"}


def test_names_come_from_within_a_vrt_and_an_erdas_file(tmp_path, labels):
    mask = write_labels(tmp_path / "a.tif", labels)
    vrt = tmp_path / "b.vrt"
    rasterio.shutil.copy(mask, vrt, driver="VRT")
    names = "<CategoryNames><Category/><Category>road</Category></CategoryNames>"
    text = vrt.read_text()
    vrt.write_text(text.replace("<ColorInterp>", f"{names}<ColorInterp>"))
    assert class_names(vrt) == {1: "road", 2: "2", 3: "3"}
    table = ROAD_AND_RIVER.format(value="Value", of_value=5, name="Class", of_name=2)
    vrt.write_text(text.replace("<ColorInterp>", f"{table}<ColorInterp>"), encoding="utf-8")
    assert class_names(vrt) == {1: "road", 2: "2", 3: "川"}
    rasterio.shutil.copy(vrt, tmp_path / "c.img", driver="HFA")
    assert class_names(tmp_path / "c.img")[1] == "road"


def test_names_come_from_the_table_that_arcgis_writes(tmp_path, labels):
    mask = write_labels(tmp_path / "a.tif", labels)
    frame = geopandas.GeoDataFrame(
        {"Value": [1, 3], "Count": [10, 20], "Red": [0.1, 0.2], "Class_Name": ["road", "river"]}
    )
    pyogrio.write_dataframe(frame, tmp_path / "a.dbf", driver="ESRI Shapefile")
    (tmp_path / "a.dbf").rename(tmp_path / "a.tif.vat.dbf")
    assert class_names(mask) == {1: "road", 2: "2", 3: "river"}
    (tmp_path / "a.tif.vat.dbf").write_bytes(b"junk")
    assert class_names(mask) == {1: "1", 2: "2", 3: "3"}


def test_sieve_merges_small_regions_as_in_a_run(tmp_path, labels, rsclip):
    for name, array, nodata in (
        ("a", labels, 255),
        ("b", labels.astype(np.uint32) * 70_000, 255 * 70_000),
        ("c", np.where(labels == 255, -1, labels.astype(np.int16)).astype(np.int8), -1),
    ):
        mask = write_labels(tmp_path / f"{name}.tif", array, nodata=nodata)
        with rasterio.open(mask) as dataset:
            before = dataset.checksum(1)
        frame = library.polygonize(mask, sieve=8)
        with rasterio.open(mask) as dataset:
            assert dataset.checksum(1) == before
            place = dataset.transform
        expected = sieve(labels, 8, mask=labels != 255)
        factor = 70_000 if name == "b" else 1
        burnt = rasterize(
            zip(frame.geometry, frame.class_id // factor, strict=True), labels.shape,
            transform=place, dtype="uint8",
        )  # fmt: skip
        np.testing.assert_array_equal(burnt, np.where(expected == 255, 0, expected))
        assert len(frame) < len(library.polygonize(mask)) / 2
    done = rsclip("polygonize", tmp_path / "a.tif", "-o", tmp_path / "a.gpkg", "--sieve", 8)
    assert done.exit_code == 0, done.output
    assert left(tmp_path) == ["a.gpkg", "a.tif", "b.tif", "c.tif"]


def test_sieve_goes_around_nodata_that_a_mask_band_marks(tmp_path):
    labels = np.ones((40, 40), np.uint8)
    labels[20, 20] = 2
    labels[:, 30:] = 3
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        mask = write_labels(tmp_path / "b.tif", labels, nodata=None)
        with rasterio.open(mask, "r+") as dataset:
            dataset.write_mask(labels != 3)
    frame = library.polygonize(mask, sieve=500)
    assert list(frame.class_id) == [1]
    assert frame.area_m2.sum() == pytest.approx(1200 * 0.25, rel=1e-2)


@pytest.mark.parametrize("name", ["a.GPKG", "a.Shp", "a.GeoJSON", "a.FGB", "a.PARQUET"])
def test_endings_in_capitals_and_full_names_in_every_format(tmp_path, mask, name):
    path = library.write_polygons(mask, tmp_path / name)
    assert path.name == name.replace("Shp", "shp")
    assert path.name in left(tmp_path)
    frame = read_polygons(path)
    expected = library.polygonize(mask)
    assert set(frame.columns) - {"geometry", "geom"} == set(expected.columns) - {"geometry", "geom"}
    np.testing.assert_allclose(sorted(frame.perimeter_m), sorted(expected.perimeter_m))


def test_classes_of_orthogonal_as_text_or_as_a_list(tmp_path, labels):
    said = json.dumps([{"value": 1, "name": "house, flat"}, {"value": 2, "name": "hall"}])
    mask = write_labels(tmp_path / "a.tif", labels, tags={"RSCLIP_CLASSES": said})
    one = library.polygonize(mask, orthogonal="hall, ")
    assert shapes_of(one) == shapes_of(library.polygonize(mask, orthogonal=["hall"]))
    # Only a list can name it.
    both = library.polygonize(mask, orthogonal=["house, flat", "hall"])
    assert shapes_of(both) != shapes_of(one)
    with pytest.raises(OptionError, match=r"no class is named 'unclassified'.*house, flat, hall"):
        library.polygonize(mask, orthogonal="unclassified")


def test_masks_of_other_tools(tmp_path):
    labels = blobs(nodata=False).astype(np.int16) * 11
    mask = write_labels(tmp_path / "a.tif", labels, nodata=-9999)
    assert set(library.polygonize(mask).class_id) == {11, 22, 33}
    # Nodata by a mask band, not by a value.
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        mask = write_labels(tmp_path / "b.tif", labels, nodata=None)
        with rasterio.open(mask, "r+") as dataset:
            valid = np.ones(labels.shape, bool)
            valid[:60] = False
            dataset.write_mask(valid)
    frame = library.polygonize(mask)
    assert frame.area.sum() == pytest.approx((labels[60:] > 0).sum() * 0.25)


def test_mean_confidence_is_that_of_the_pixels(tmp_path, mask, labels):
    percent = np.random.default_rng(0).integers(0, 101, labels.shape).astype(np.uint8)
    percent[labels == 255] = 255
    confidence = write_labels(tmp_path / "confidence.tif", percent)
    frame = library.polygonize(mask, confidence=confidence)
    with rasterio.open(mask) as dataset:
        for row in frame.sample(20, random_state=1).itertuples():
            inside = rasterize([row.geometry], labels.shape, transform=dataset.transform) == 1
            assert row.mean_confidence == pytest.approx(percent[inside].mean() / 100)
    assert library.polygonize(mask).mean_confidence.isna().all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"simplify": -1}, OptionError, "simplify.*from 0 to"),
        ({"min_area": -0.5}, OptionError, "min_area.*from 0 to"),
        ({"simplify": float("nan")}, OptionError, "simplify"),
        ({"orthogonal": "house"}, OptionError, "no class is named 'house'"),
        ({"orthogonal": ["1", "house"]}, OptionError, "no class is named 'house'"),
        ({"orthogonal": [1]}, OptionError, "orthogonal.*names"),
        ({"orthogonal": "0"}, OptionError, "no class is named '0'"),
        ({"sieve": 0}, OptionError, "sieve.*takes a .*number"),
        ({"overlap": 0.5}, OptionError, "unknown option `overlap`"),
    ],
)
def test_options_that_cannot_be(mask, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        library.write_polygons(mask, tmp_path / "out" / "a.gpkg", **options)
    assert left(tmp_path) == ["town_mask.tif"]


@pytest.mark.parametrize("name", ["a.kml", "a"])
def test_an_unknown_ending_is_refused(mask, tmp_path, name):
    with pytest.raises(OutputError, match=r"ending.*\.gpkg, \.geojson"):
        library.write_polygons(mask, tmp_path / name)


def test_rasters_that_are_no_masks(tmp_path):
    scores = np.full((5, 5), 2, np.float32)
    scores[3, 2] = 0.25
    with pytest.raises(SceneError, match=r"the value 0.25 is no class value"):
        library.polygonize(write_labels(tmp_path / "a.tif", scores, nodata=None))
    waves = np.zeros((5, 5), np.complex64)
    with pytest.raises(SceneError, match=r"complex64, not class values"):
        library.polygonize(write_labels(tmp_path / "w.tif", waves, nodata=None))
    with rasterio.open(
        tmp_path / "b.tif", "w", driver="GTiff", width=5, height=5, count=3, dtype="uint8"
    ) as dataset:
        dataset.write(np.zeros((3, 5, 5), np.uint8))
    with pytest.raises(SceneError, match="3 bands"):
        library.polygonize(tmp_path / "b.tif")
    with pytest.raises(SceneError, match="no such file"):
        library.polygonize(tmp_path / "c.tif")
    mask = write_labels(tmp_path / "d.tif", np.ones((5, 5), np.uint8))
    other = write_labels(tmp_path / "e.tif", np.ones((4, 5), np.uint8))
    with pytest.raises(InputError, match=r"\(4, 5\) is not the mask's \(5, 5\)"):
        library.polygonize(mask, confidence=other)


def test_a_mask_is_never_written_over(tmp_path, mask):
    with rasterio.open(mask) as dataset:
        before = dataset.checksum(1)
    twin = mask.rename(tmp_path / "town.gpkg")
    with pytest.raises(OutputError, match="over the input"):
        library.write_polygons(twin, twin, overwrite=True)
    with rasterio.open(twin) as dataset:
        assert dataset.checksum(1) == before


@pytest.mark.parametrize(
    "kind",
    [kind if kind == "gpkg" else pytest.param(kind, marks=pytest.mark.long) for kind in FORMATS],
)
def test_a_damaged_mask_leaves_nothing(tmp_path, kind):
    # The first strip is whole and has something to write.
    labels = np.ones((3000, 2000), np.uint8)
    labels[100:110, 100:110] = 2
    labels[1500:] = np.random.default_rng(0).integers(0, 9, (1500, 2000))
    mask = write_labels(tmp_path / "mask.tif", labels, compress="deflate")
    with mask.open("r+b") as file:
        file.seek(mask.stat().st_size // 2)
        file.write(b"\xff" * 100_000)
    with pytest.raises(ReadError, match=r"rows .* cannot be read"):
        library.write_polygons(mask, tmp_path / "out" / f"a.{kind}")
    assert left(tmp_path) == ["mask.tif"]


def test_a_shapefile_beyond_its_limit_says_so(tmp_path, mask, monkeypatch):
    monkeypatch.setattr(vectors, "_SHAPEFILE_LIMIT", 20_000)
    with pytest.raises(WriteError, match=r"a\.shp: .*2 GB.*vector_format='gpkg'"):
        library.write_polygons(mask, tmp_path / "out" / "a.shp")
    assert left(tmp_path) == ["town_mask.tif"]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_full_disk_is_called_so(small_disk, tmp_path, kind):
    labels = np.random.default_rng(0).integers(1, 4, (150, 150), "uint8")
    mask = write_labels(tmp_path / "town_mask.tif", labels)
    size = library.write_polygons(mask, tmp_path / f"a.{kind}").stat().st_size // 1024
    # Enough for nothing, for the first features, for most of them.
    for kilobytes in (64, size // 3, size * 2 // 3):
        folder = small_disk(max(kilobytes, 64))
        with pytest.raises(WriteError, match="the disk is full"):
            library.write_polygons(mask, folder / f"a.{kind}")
        assert left(folder) == []


@pytest.mark.parametrize("megabytes", [1, 3, 6, 8])
def test_a_full_disk_is_called_so_when_sqlite_has_freed_it(small_disk, tmp_path, megabytes):
    labels = np.random.default_rng(0).integers(1, 4, (330, 330), "uint8")
    mask = write_labels(tmp_path / "town_mask.tif", labels)
    assert library.write_polygons(mask, tmp_path / "a.gpkg").stat().st_size > 10 * 2**20
    folder = small_disk(megabytes * 1024)
    with pytest.raises(WriteError, match="the disk is full"):
        library.write_polygons(mask, folder / "a.gpkg")
    assert left(folder) == []


@pytest.mark.parametrize("wrong", ["above 100", "float", "elsewhere"])
def test_a_confidence_raster_of_something_else(tmp_path, wrong):
    profile = {"driver": "GTiff", "height": 20, "width": 30, "count": 1, "crs": "EPSG:32633"}
    place = rasterio.Affine(2, 0, 5e5, 0, -2, 5e6)
    with rasterio.open(
        tmp_path / "mask.tif", "w", dtype="uint8", transform=place, **profile
    ) as dataset:
        dataset.write(np.ones((1, 20, 30), np.uint8))
    dtype = "float32" if wrong == "float" else "uint8"
    if wrong == "elsewhere":
        place = place @ rasterio.Affine.translation(5, 0)
    with rasterio.open(
        tmp_path / "score.tif", "w", dtype=dtype, transform=place, **profile
    ) as dataset:
        dataset.write(np.full((1, 20, 30), 255 if wrong == "above 100" else 1, dtype))
    with pytest.raises(SceneError, match=r"above 100 percent|float32|lies elsewhere"):
        library.polygonize(tmp_path / "mask.tif", confidence=tmp_path / "score.tif")


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [
        ("float32", float(np.float32(-3.4028234663852886e38))),  # QGIS's raster calculator
        ("float32", np.nan),
        ("float64", -9999),
        ("int64", -9999),
        ("uint32", 2**32 - 1),
    ],
)
@pytest.mark.parametrize("sieve", [None, 3])
def test_masks_of_any_type_of_numbers(tmp_path, labels, dtype, nodata, sieve):
    plain = write_labels(tmp_path / "a.tif", labels)
    wide = labels.astype(dtype)
    wide[labels == 255] = nodata
    other = write_labels(tmp_path / "b.tif", wide, nodata=nodata)
    expected = library.polygonize(plain, sieve=sieve)
    found = library.polygonize(other, sieve=sieve)
    assert len(expected) > 3
    columns = ["class_id", "class_name", "area_m2", "geometry"]
    assert found[columns].equals(expected[columns])


def test_what_is_no_number_is_no_class(tmp_path):
    pixels = np.ones((6, 6), np.float32)
    pixels[2, :] = np.nan
    pixels[4, 4] = np.inf
    frame = library.polygonize(write_labels(tmp_path / "a.tif", pixels, nodata=None))
    assert frame.area_m2.sum() == pytest.approx(29 * 0.25, rel=1e-2)


@pytest.mark.parametrize("dtype", ["uint32", "int64", "float64"])
def test_class_values_that_no_vector_file_takes(tmp_path, dtype):
    mask = write_labels(tmp_path / "big.tif", np.full((4, 4), 3_000_000_004, dtype), nodata=None)
    with pytest.raises(SceneError, match="the value 3000000004 is beyond"):
        library.polygonize(mask)


def test_the_masks_own_style_stays(make_scene, tiny_model, tmp_path):
    result = library.segment(make_scene(), "road, water", tmp_path, model=tiny_model,
                            vector_format="none")  # fmt: skip
    style = result.paths["style"].read_bytes()
    output = result.mask_path.with_suffix(".fgb")
    library.write_polygons(result.mask_path, output, overwrite=True)
    assert output.exists()
    assert result.paths["style"].read_bytes() == style
    other = library.write_polygons(result.mask_path, tmp_path / "other.fgb")
    assert b"categorizedSymbol" in other.with_suffix(".qml").read_bytes()


def test_a_style_that_was_there_stays_and_the_polygons_come(tmp_path, mask):
    one = library.write_polygons(mask, tmp_path / "a.fgb")
    style = one.with_suffix(".qml")
    style.write_text("mine")
    with pytest.warns(RsclipWarning, match=r"a\.qml exists and was kept: overwrite=True"):
        other = library.write_polygons(mask, tmp_path / "a.shp")
    assert other.exists()
    assert style.read_text() == "mine"
    library.write_polygons(mask, other, overwrite=True)
    assert "categorizedSymbol" in style.read_text()


def test_names_that_are_no_text(tmp_path, mask):
    odd = tmp_path / "town\udcff_mask.tif"
    odd.write_bytes(mask.read_bytes())
    with pytest.raises(SceneError, match=r"town\\udcff_mask\.tif: its name is not UTF-8"):
        library.polygonize(odd)
    with pytest.raises(OutputError, match=r"b\\udcff\.gpkg: .*not UTF-8"):
        library.write_polygons(mask, tmp_path / "b\udcff.gpkg")
    assert left(tmp_path) == ["town_mask.tif", odd.name]


def test_a_geopackage_that_qgis_could_not_open_is_warned_of(tmp_path, mask):
    folder = tmp_path / "a%20b"
    with pytest.warns(RsclipWarning, match=r"QGIS cannot open a GeoPackage.*'%20'.*fgb"):
        assert library.write_polygons(mask, folder / "a.gpkg").exists()


def test_a_geopackage_too_long_for_sqlite_is_refused_before_the_work(tmp_path, mask):
    folder = tmp_path.joinpath(*["é" * 60] * 4)
    folder.mkdir(parents=True)
    with pytest.raises(OutputError, match="that SQLite takes"):
        library.write_polygons(mask, output=folder / "a.gpkg")
    with pytest.raises(OutputError, match="that SQLite takes"):
        library.sample(mask, 9, output=folder / "a.gpkg")
    assert not list(folder.iterdir())
