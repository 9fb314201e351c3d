"""Whatever GDAL, rasterio and PROJ raise is one clear error; a foreign proj.db does no harm."""

import os
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
import rasterio

from rsclip.errors import ReadError, RsclipError, SceneError
from rsclip.scene.gdal import guarded
from rsclip.scene.scene import Scene
from rsclip.scene.stretch import fit
from rsclip.types import Window
from tests.rasters import write_raster


def _decode():
    return b"caf\xe9".decode()


@pytest.mark.parametrize(
    "work",
    [
        lambda: rasterio.open("/nowhere.tif"),
        lambda: rasterio.crs.CRS.from_user_input("nonsense"),
        _decode,
    ],
)
def test_what_the_libraries_raise_becomes_an_error_that_names_the_file(work):
    with pytest.raises(ReadError, match=r"^a\.tif: cannot be read: ."), guarded("a.tif", ReadError):
        work()


def test_our_own_errors_pass_through_as_they_are():
    with pytest.raises(SceneError, match=r"^it is small$"), guarded("a.tif", ReadError):
        raise SceneError("it is small")


def test_a_band_description_that_is_not_utf8_is_passed_over(make, noise):
    path = make(noise(3, 8, 8))
    with rasterio.open(path, "r+") as dataset:
        dataset.set_band_description(1, "Rouge cafe")
    path.write_bytes(path.read_bytes().replace(b"Rouge cafe", b"Rouge caf\xe9"))
    with rasterio.open(path) as dataset, pytest.raises(UnicodeDecodeError):
        _ = dataset.descriptions
    with Scene.open(path) as scene:
        assert scene.bands == (1, 2, 3)


def _with_spoilt_overview(path):
    """Write noise with one compressed overview, and spoil the overview only."""
    pixels = np.random.default_rng(0).integers(0, 4000, (1, 512, 512)).astype("uint16")
    write_raster(path, pixels, compress="deflate", tiled=True, blockxsize=256, blockysize=256)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2])
    with rasterio.open(path, overview_level="0only") as overview:
        start = int(overview.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1))
    data = bytearray(path.read_bytes())
    data[start : start + 1000] = b"\xff" * 1000
    path.write_bytes(data)
    return pixels


def test_a_damaged_overview_costs_no_scene_where_blocks_may_be_left_out(tmp_path):
    path = tmp_path / "a.tif"
    pixels = _with_spoilt_overview(path)
    with Scene.open(path) as scene, pytest.raises(ReadError, match="overview 1"):
        scene.sample(256)
    with Scene.open(path, on_read_error="nodata") as scene:
        sample, valid = scene.sample(256)
        assert valid.all()
        assert not scene.unreadable
        assert np.isin(sample[0], pixels).all()
        assert fit(scene).high[0] > 3000


def _with_mask_file(make, noise):
    path = make(noise(3, 40, 40))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(noise(40, 40) > 99)
    return path, path.with_name(path.name + ".msk")


@pytest.mark.parametrize(
    "spoil", [lambda data: b"", lambda data: b"\xff" * 50 + data[50:], lambda data: b"II*\0"]
)
def test_a_mask_file_that_cannot_be_read_is_no_missing_one(make, noise, spoil):
    path, mask = _with_mask_file(make, noise)
    with Scene.open(path) as scene:
        assert scene.valid_source == "mask file (.msk)"
    mask.write_bytes(spoil(mask.read_bytes()))
    with pytest.raises(
        SceneError, match=r"made\.tif\.msk: the mask file cannot be used.*remove it"
    ):
        Scene.open(path)


def test_a_mask_file_of_another_size_is_refused(make, noise):
    path, mask = _with_mask_file(make, noise)
    write_raster(mask, noise(1, 10, 10))
    with pytest.raises(SceneError, match="of another size"):
        Scene.open(path)


@pytest.mark.parametrize("on_read_error", ["fail", "nodata"])
@pytest.mark.parametrize(
    "work",
    [
        lambda scene: scene.read(Window(0, 0, 8, 8)),
        lambda scene: scene.sample(),
        lambda scene: next(scene.chunks()),
        fit,
    ],
)
def test_a_file_that_is_gone_when_another_thread_opens_it(
    make, noise, monkeypatch, work, on_read_error
):
    monkeypatch.setattr("rsclip.scene.reading._RETRY_SECONDS", (0,))
    path = make(noise(3, 20, 20))
    with Scene.open(path, on_read_error=on_read_error) as scene, scene.reopen() as twin:
        path.write_bytes(b"something else")
        with pytest.raises(ReadError, match=r"cannot be opened again.*was it moved"):
            work(twin)


def test_a_proj_database_of_another_installation_does_not_reach_us(tmp_path):
    with sqlite3.connect(tmp_path / "proj.db") as database:
        database.execute("CREATE TABLE metadata (key TEXT, value TEXT)")
        database.execute(
            "INSERT INTO metadata VALUES ('DATABASE.LAYOUT.VERSION.MAJOR', '1'), "
            "('DATABASE.LAYOUT.VERSION.MINOR', '0')"
        )
    database.close()
    path = write_raster(tmp_path / "a.tif", np.ones((3, 8, 8), "uint8"), crs="EPSG:2154")
    code = (
        "import sys, geopandas, shapely\n"
        "from rsclip.scene.scene import Scene\n"
        "with Scene.open(sys.argv[1]) as scene:\n"
        "    assert scene.crs.to_epsg() == 2154, scene.crs\n"
        "box = geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs='EPSG:2154')\n"
        "box.to_file(sys.argv[1] + '.gpkg')\n"
        "assert geopandas.read_file(sys.argv[1] + '.gpkg').crs.to_epsg() == 2154\n"
    )
    for name in ("PROJ_DATA", "PROJ_LIB"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)],
            env={**os.environ, name: str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("seed", range(60))
def test_a_header_with_spoilt_bytes_is_read_or_refused(make, noise, seed):
    path = make(noise(3, 16, 16), crs="EPSG:32631")
    data = bytearray(path.read_bytes())
    draw = np.random.default_rng(seed)
    for place in draw.integers(0, min(len(data), 500), 3):
        data[place] = draw.integers(256)
    path.write_bytes(data)
    try:
        with Scene.open(path) as scene:
            fit(scene)
    except RsclipError:
        pass
