"""The STAC item against pystac: its object model, its extensions and the core schema it bundles.

The extensions' published schemas lie on the network and are not fetched: `stac_schemas` has what
their texts ask.
"""

import itertools
import json
from urllib.parse import unquote, urljoin, urlsplit

import pystac
import pytest
from pystac.errors import STACValidationError
from pystac.extensions.mlm import MLMExtension
from pystac.validation import JsonSchemaSTACValidator, validate_dict
from rasterio.transform import from_origin

import rsclip
from rsclip.outputs.records.stac import relative_href
from tests.outputs.stac_schemas import SCHEMAS


@pytest.fixture
def item(finished):
    return pystac.Item.from_file(str(finished.paths["stac"]))


@pytest.fixture
def validator():
    """Pystac's validator, with the extensions' schemas in its cache and no way to the network."""

    class Offline(JsonSchemaSTACValidator):
        def _get_schema(self, schema_uri):
            assert schema_uri in self.schema_cache, f"{schema_uri} is not here"
            return self.schema_cache[schema_uri]

    validator = Offline()
    validator.schema_cache = {**validator.schema_cache, **SCHEMAS}
    return validator


def test_the_item_is_valid_with_all_its_extensions(finished, validator):
    written = json.loads(finished.paths["stac"].read_text(encoding="utf-8"))
    assert set(written["stac_extensions"]) == set(SCHEMAS)
    checked = validate_dict(written, validator=validator)
    assert set(SCHEMAS) < set(checked)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda item: item["properties"].update({"proj:shape": [1, 2, 3]}),
        lambda item: item["properties"].update({"proj:epsg": 32633}),
        lambda item: item["assets"]["mask"]["bands"][0].update(data_type="byte"),
        lambda item: item["assets"]["mask"]["classification:classes"][0].pop("name"),
        lambda item: item["assets"]["mask"]["classification:classes"][0].update(color_hint="#fff"),
        lambda item: item["properties"].pop("mlm:input"),
        lambda item: item["properties"]["mlm:output"][0]["result"].pop("dim_order"),
        lambda item: item["assets"].pop("model"),
        lambda item: item["assets"]["model"].pop("mlm:artifact_type"),
    ],
)
def test_the_schemas_see_what_is_wrong(finished, validator, spoil):
    written = json.loads(finished.paths["stac"].read_text(encoding="utf-8"))
    spoil(written)
    with pytest.raises(STACValidationError):
        validate_dict(written, validator=validator)


def test_fields_of_all_extensions(item, finished, legend):
    assert item.id == "scene"
    assert item.ext.proj.code == "EPSG:32633"
    assert item.ext.proj.shape == [160, 192]
    assert item.ext.proj.transform[:6] == pytest.approx([0.4, 0.3, 5e5, 0.3, -0.4, 5e6])
    mask = item.assets["mask"]
    assert mask.to_dict()["bands"][0]["nodata"] == 255
    classes = {each.value: each for each in mask.ext.classification.classes}
    assert {value: each.properties["title"] for value, each in classes.items()} == legend.names
    assert {classes[value].name for value in (1, 2, 3)} == {"Geb_ude", "road_rail", "class_3"}
    model = MLMExtension.ext(item)
    assert model.output[0].tasks == ["semantic-segmentation"]
    assert model.hyperparameters.to_dict()["method"] == "clearclip"
    assert len(item.assets["probabilities"].to_dict()["bands"]) == 3


def test_every_asset_is_there(item, finished):
    folder = finished.record.parent
    for key, asset in item.assets.items():
        if key != "model":
            assert (folder / asset.href).is_file(), key
    assert {path.name for path in finished.paths.values()} - {
        asset.href.removeprefix("./") for asset in item.assets.values()
    } == {"scene_mask.tif.aux.xml", "scene_stac.json"}
    json.dumps(item.to_dict())


@pytest.mark.parametrize(
    ("kind", "media"),
    [("gpkg", "application/geopackage+sqlite3"), ("geojson", "application/geo+json"),
     ("fgb", "application/vnd.flatgeobuf"), ("shp", "application/vnd.shp"),
     ("parquet", "application/vnd.apache.parquet")],
)  # fmt: skip
def test_polygons_of_any_format_are_told_as_what_they_are(
    make_scene, tiny_model, tmp_path, kind, media
):
    result = rsclip.segment(make_scene(), "road, water", tmp_path, model=tiny_model, stac=True,
                            vector_format=kind)  # fmt: skip
    assets = json.loads(result.paths["stac"].read_text())["assets"]
    assert assets["polygons"]["type"] == media
    parts = {key for key in result.paths if key.startswith("polygons")}
    assert parts <= set(assets)


def test_the_footprint_turns_with_the_scene(item):
    west, south, east, north = item.bbox
    (ring,) = item.geometry["coordinates"]
    assert ring[0] == ring[-1]
    assert 15 <= west < east < 15.01
    assert 45.1 < south < north < 45.2
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(ring))
    assert area > 0  # counter-clockwise, as RFC 7946 asks


def test_a_scene_beyond_the_date_line_has_an_item(make_scene, tiny_model, tmp_path, validator):
    scene = make_scene(crs="EPSG:4326", transform=from_origin(200, 10, 1e-5, 1e-5))
    result = rsclip.segment(scene, "road, water", tmp_path, model=tiny_model, stac=True)
    written = json.loads(result.paths["stac"].read_text(encoding="utf-8"))
    validate_dict(written, validator=validator)
    assert written["bbox"][0] == -160


@pytest.mark.parametrize(
    "name", ["site #3_mask.tif", "what?_mask.tif", "a b.tif", "100%25.tif", "Straße.tif", "a:b.tif"]
)
def test_an_href_leads_to_its_file(name):
    page = "file:///a%20folder/item.json"
    path = urlsplit(urljoin(page, relative_href(name))).path
    assert unquote(path) == f"/a folder/{name}"
