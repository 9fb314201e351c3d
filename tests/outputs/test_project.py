"""The project of whole runs, on scenes and names that are hard on QGIS; rendered by QGIS itself."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from rsclip.config import build_config
from rsclip.errors import OutputError, RsclipWarning
from rsclip.run.segment import Failure, segment_scenes
from tests.outputs.conftest import ROTATED
from tests.run.stub import StubEncoder, loader

SCENE = """
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor
project = QgsProject()
project.read(sys.argv[1])
(layer,) = project.mapLayersByName(sys.argv[2])
settings = QgsMapSettings()
settings.setLayers([layer])
settings.setExtent(layer.extent())
settings.setDestinationCrs(project.crs())
settings.setOutputSize(QSize(200, 200))
settings.setBackgroundColor(QColor(255, 0, 255))
job = QgsMapRendererParallelJob(settings)
job.start()
job.waitForFinished()
image = job.renderedImage()
said = [[image.pixelColor(x, y).name() for x in range(0, 200, 4)] for y in range(0, 200, 4)]
"""
EMPTY = "#ff00ff"


def run(scene, folder, **options):
    (outcome,) = segment_scenes(
        [scene], "bright, dark", folder, config=build_config({"qgis_project": True, **options}),
        model_loader=loader(StubEncoder()),
    )  # fmt: skip
    if isinstance(outcome, Failure):
        raise outcome.error
    return outcome


def write_dark(path, dtype, empty):
    """A rotated scene: a bright top, a dark rest, the left tenth without data."""
    high, low = (6000, 300) if dtype == "uint16" else (200, 0)
    pixels = np.full((3, 200, 200), low, dtype)
    pixels[:, :60] = high
    nodata = None if empty in ("alpha", None) else empty
    if nodata is not None:
        pixels[..., :20] = nodata
    with rasterio.open(
        path, "w", driver="GTiff", height=200, width=200, count=4 if empty == "alpha" else 3,
        dtype=dtype, nodata=nodata, crs="EPSG:32633", transform=ROTATED,
    ) as dataset:  # fmt: skip
        dataset.write(pixels, [1, 2, 3])
        if empty == "alpha":
            alpha = np.full((200, 200), np.iinfo(dtype).max, dtype)
            alpha[:, :20] = 0
            dataset.write(alpha, 4)
            dataset.colorinterp = [*dataset.colorinterp[:3], ColorInterp.alpha]


@pytest.mark.parametrize(
    ("dtype", "empty"),
    [("uint16", 0), ("uint16", 255), ("uint16", "alpha"), ("uint8", 255), ("uint8", "alpha")],
)
def test_dark_pixels_of_a_rotated_scene_are_shown(in_qgis, tmp_path, dtype, empty):
    write_dark(tmp_path / "scene.tif", dtype, empty)
    result = run(tmp_path / "scene.tif", tmp_path / "out")
    image = np.array(in_qgis(SCENE, result.paths["project"], "scene"))
    assert {image[0, 0], image[0, -1], image[-1, 0], image[-1, -1]} == {EMPTY}
    # Turned by 37 degrees, a square fills this much of its extent; nine tenths of it are valid.
    valid = 0.9 * (5 / 7) ** 2
    assert (image != EMPTY).mean() == pytest.approx(valid, abs=0.02)
    assert (image == "#000000").mean() == pytest.approx(valid * 140 / 200, abs=0.02)


@pytest.mark.parametrize(("dtype", "corner"), [("uint8", EMPTY), ("uint16", "#000000")])
def test_corners_of_a_rotated_scene_that_says_nothing(in_qgis, tmp_path, dtype, corner):
    write_dark(tmp_path / "scene.tif", dtype, None)
    result = run(tmp_path / "scene.tif", tmp_path / "out")
    image = np.array(in_qgis(SCENE, result.paths["project"], "scene"))
    assert {image[0, 0], image[0, -1], image[-1, 0], image[-1, -1]} == {corner}


LAYERS = """
project = QgsProject()
said = [project.read(sys.argv[1]), {l.name(): l.isValid() for l in project.mapLayers().values()}]
"""


@pytest.mark.parametrize("kind", ["gpkg", "fgb", "geojson"])
def test_projects_of_odd_names_open(in_qgis, make_scene, tmp_path, kind):
    name = "a%20b #1 ?x=y & 'c'; 100% |ö"
    folder = tmp_path / "out #1 & ?"
    result = run(make_scene(f"{name}.tif"), folder, vector_format=kind)
    stem = "a_20b #1 ?x=y & 'c'_ 100% |ö"
    assert result.mask_path.name == f"{stem}_mask.tif"
    assert len(result.polygons()) > 0
    said = in_qgis(LAYERS, result.paths["project"])
    assert said == [True, {stem: True, "classes": True, "polygons": True}]


def test_a_project_in_a_folder_that_sqlite_would_decode(in_qgis, make_scene, tmp_path):
    folder = tmp_path / "a%20b"
    with pytest.warns(RsclipWarning, match=r"QGIS cannot open a GeoPackage.*fgb"):
        run(make_scene(), folder)
    result = run(make_scene(), folder, vector_format="fgb", overwrite=True)
    said = in_qgis(LAYERS, result.paths["project"])
    assert said == [True, {"scene": True, "classes": True, "polygons": True}]


PLACES = """
project = QgsProject()
project.read(sys.argv[1])
said = {}
for layer in project.mapLayers().values():
    turn = QgsCoordinateTransform(layer.crs(), project.crs(), project)
    box = turn.transformBoundingBox(layer.extent())
    said[layer.name()] = [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()]
"""


@pytest.mark.parametrize("kind", ["gpkg", "geojson", "fgb", "shp"])
def test_layers_of_a_project_lie_on_each_other(in_qgis, make_scene, tmp_path, kind):
    result = run(make_scene(), tmp_path / "out", vector_format=kind)
    places = in_qgis(PLACES, result.paths["project"])
    left, bottom, right, top = places["classes"]
    assert places["polygons"] == pytest.approx(places["classes"], abs=0.6)
    assert (left, top, right - left) == pytest.approx((500000, 5000000, 60), abs=30)
    assert top - bottom > 20


def test_a_project_leaves_out_what_qgis_may_not_open(in_qgis, make_scene, tmp_path):
    with pytest.warns(RsclipWarning, match=r"GeoParquet.*vector_format='gpkg'"):
        result = run(make_scene(), tmp_path / "out", vector_format="parquet")
    assert result.paths["polygons"].exists()
    said = in_qgis(LAYERS, result.paths["project"])
    assert said == [True, {"scene": True, "classes": True}]


@pytest.mark.parametrize("letter", [";", "!"])
def test_a_folder_that_vector_files_cannot_be_in(make_scene, tmp_path, letter):
    folder = tmp_path / f"a{letter}b"
    with pytest.raises(OutputError, match=r"in it\. Choose another folder, or vector_format"):
        run(make_scene(), folder)
    assert not folder.exists()
    assert run(make_scene(), folder, vector_format="none", qgis_project=False).mask_path.exists()
