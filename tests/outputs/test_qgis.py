"""Styles and projects as QGIS itself reads them, and their SLD."""

import shutil
import sqlite3
import xml.etree.ElementTree as ET
from pathlib import Path

import geopandas
import pytest

from rsclip.outputs.polygons.gpkg_style import embed_style
from rsclip.outputs.styles.qgz import ImageLayer, relative_source, write_project
from rsclip.outputs.styles.qml import hex_colour
from rsclip.outputs.styles.sld import mask_sld, polygons_sld
from rsclip.scene.scene import Scene


@pytest.fixture(scope="session")
def polygons(finished, legend, tmp_path_factory):
    """A folder with scene, mask, styled polygons and a project of all three."""
    folder = tmp_path_factory.mktemp("project")
    for path in (finished.mask_path, finished.paths["names"], finished.paths["style"]):
        shutil.copy(path, folder)
    shutil.copy(finished.scene, folder / "scene.tif")
    path = Path(shutil.copy(finished.paths["polygons"], folder))
    with Scene.open(folder / "scene.tif") as scene:
        image = ImageLayer(relative_source(scene.source, folder), scene.bands, None)
        write_project(
            folder / "scene.qgz", "scene", scene.crs, scene.transform, scene.shape, legend, image,
            "scene_mask.tif", path.name,
        )  # fmt: skip
    return path


def expected(legend):
    return {str(value): [name, hex_colour(legend.colours[value])]
            for value, name in legend.names.items()}  # fmt: skip


def test_qgis_shows_the_mask_with_names_and_colours(in_qgis, finished, legend):
    said = in_qgis(
        "layer = QgsRasterLayer(sys.argv[1], 'mask')\n"
        "kind = layer.renderer().type()\n"
        "said = [layer.isValid(), kind, {str(int(c.value)): [c.label, c.color.name()]"
        " for c in layer.renderer().classes()}, layer.dataProvider().sourceNoDataValue(1),"
        " {str(int(c.value)): c.color.alpha() for c in layer.renderer().classes()}]",
        finished.mask_path,
    )
    # Where no class was found the imagery below is to be seen.
    seen = {value: 0 if value == "0" else 255 for value in expected(legend)}
    assert said == [True, "paletted", expected(legend), 255, seen]


def test_qgis_opens_the_polygons_styled(in_qgis, polygons, legend):
    said = in_qgis(
        "layer = QgsVectorLayer(sys.argv[1] + '|layername=polygons', 'polygons', 'ogr')\n"
        "r = layer.renderer()\n"
        "said = [layer.isValid(), r.type(), r.classAttribute(), {str(c.value()): [c.label(),"
        " c.symbol().color().name()] for c in r.categories()}]",
        polygons,
    )
    assert said == [True, "categorizedSymbol", "class_id", expected(legend)]


PROJECT = """
project = QgsProject()
read = project.read(sys.argv[1])
root = project.layerTreeRoot()
layers = root.layerOrder()
said = [read, [[l.name(), l.isValid(), l.renderer().type(), l.crs().authid()] for l in layers],
        project.crs().authid(), [root.findLayer(l.id()).isVisible() for l in layers],
        [l.renderer().opacity() for l in layers if l.type() == 1],
        project.filePathStorage() == 1 if hasattr(project, 'filePathStorage') else True]
from qgis.PyQt.QtCore import QSize
settings = QgsMapSettings()
settings.setLayers([l for l in layers if root.findLayer(l.id()).isVisible()])
settings.setExtent(project.viewSettings().defaultViewExtent())
settings.setDestinationCrs(project.crs())
settings.setOutputSize(QSize(200, 200))
job = QgsMapRendererParallelJob(settings)
job.start()
job.waitForFinished()
image = job.renderedImage()
said.append([image.pixelColor(100, 100).name(), image.pixelColor(1, 1).name()])
"""


def test_qgis_opens_the_project_without_a_click(in_qgis, polygons, tmp_path):
    # Elsewhere too: paths are relative.
    folder = tmp_path / "moved"
    shutil.copytree(polygons.parent, folder)
    read, layers, crs, visible, opacity, relative, colours = in_qgis(PROJECT, folder / "scene.qgz")
    assert read
    assert layers == [
        ["polygons", True, "categorizedSymbol", "EPSG:32633"],
        ["classes", True, "paletted", "EPSG:32633"],
        ["scene", True, "multibandcolor", "EPSG:32633"],
    ]
    assert crs == "EPSG:32633"
    assert visible == [False, True, True]
    assert opacity == [0.5, 1.0]
    assert relative
    # The rotated scene fills the middle; its corners are not painted black.
    assert colours[0] != colours[1] == "#ffffff"


def test_qgis_opens_the_runs_own_project(in_qgis, finished):
    read, layers, *_ = in_qgis(PROJECT, finished.paths["project"])
    assert read
    assert [layer[:2] for layer in layers] == [
        ["polygons", True],
        ["classes", True],
        ["scene", True],
    ]


def test_a_style_is_replaced_and_strangers_are_refused(polygons, legend, tmp_path):
    path = tmp_path / "a.gpkg"
    shutil.copy(polygons, path)
    embed_style(path, legend)
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT f_table_name, useAsDefault FROM layer_styles").fetchall()
        kinds = dict(database.execute("SELECT table_name, data_type FROM gpkg_contents"))
    assert rows == [("polygons", 1)]
    assert kinds == {"polygons": "features", "layer_styles": "attributes"}
    assert set(geopandas.list_layers(path)["name"]) == {"polygons", "layer_styles"}
    with pytest.raises(ValueError, match="no layer 'fields'"):
        embed_style(path, legend, "fields")


def test_sld_has_the_same_names_and_colours(finished, legend):
    text = finished.paths["mask_sld"].read_text(encoding="utf-8")
    assert text == mask_sld(legend, "scene_mask")
    space = {"sld": "http://www.opengis.net/sld", "ogc": "http://www.opengis.net/ogc"}
    entries = ET.fromstring(text).findall(".//sld:ColorMapEntry", space)
    found = {item.get("quantity"): [item.get("label"), item.get("color")] for item in entries}
    assert found.pop("255") == ["nodata", "#000000"]
    clear = {item.get("quantity") for item in entries if item.get("opacity") == "0"}
    assert clear == {"0", "255"}
    assert found == expected(legend)
    rules = ET.fromstring(polygons_sld(legend)).findall(".//sld:Rule", space)
    assert {
        rule.findtext(".//ogc:Literal", None, space): [
            rule.findtext("sld:Title", None, space),
            rule.findtext(".//sld:Fill/sld:CssParameter", None, space),
        ]
        for rule in rules
    } == expected(legend)


def test_qgis_reads_the_sld(in_qgis, polygons, legend, tmp_path):
    path = tmp_path / "polygons.sld"
    path.write_text(polygons_sld(legend), encoding="utf-8")
    said = in_qgis(
        "layer = QgsVectorLayer(sys.argv[1] + '|layername=polygons', 'polygons', 'ogr')\n"
        "message, done = layer.loadSldStyle(sys.argv[2])\n"
        "said = [done, layer.renderer().type(), len(layer.renderer().rootRule().children())]",
        polygons, path,
    )  # fmt: skip
    assert said == [True, "RuleRenderer", len(legend.names)]
