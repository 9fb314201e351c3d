"""Opening: names, refusals, bands and masks of made rasters, GDAL's settings, URLs, threads."""

import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from rsclip.errors import OptionError, ReadError, RsclipWarning, SceneError
from rsclip.scene.scene import GDAL_CACHE_MB, Scene, gdal_env
from rsclip.scene.stretch import fit
from rsclip.types import Window
from tests.rasters import raster, write_raster


@pytest.mark.parametrize(
    ("source", "stem"),
    [
        ("a/b/scene.tif", "scene"),
        ("RGB.byte.tif", "RGB.byte"),
        ("https://host/path/scene.tif?token=a/b#x", "scene"),
        ("s3://bucket/key/scene.tif", "scene"),
        ("/vsizip/data.zip/inner/scene.tif", "scene"),
        ("/vsizip/{data.zip}/scene.tif", "scene"),
        ("/vsizip/data.zip", "data"),
        ("zip+https://host/data.zip!scene.tif", "scene"),
        ("GTIFF_DIR:2:scene.tif", "scene"),
        ("GTIFF_DIR:2:/data/scene.tif", "scene"),
        ('NETCDF:"/data/scene.nc":red', "scene_red"),
        ("C:\\data\\scene.tif", "scene"),
        ("https://host/", "host"),
        ("https://host/my%20town.tif", "my_20town"),
        ("s3://bucket/a;b.tif", "a_b"),
        (" scene.tif", "_scene"),
        ("a\tb\nc .tif", "a_b_c_"),
        ('HDF5:"a/b.h5"://group/red', "b_group_red"),
        ("HDF5:a/b.h5://red", "b_red"),
        ("HDF5:a/b.h5://group/red", "b_group_red"),
    ],
)
def test_stem(source, stem):
    assert Scene.stem_of(source) == stem


def test_stem_of_a_file_that_is_there_is_its_own(make, noise):
    path = make(noise(1, 4, 4), "odd? name:1.tif")
    with Scene.open(path) as scene:
        assert scene.stem == "odd? name:1"
    path = make(noise(1, 4, 4), "a%20b;c! 100%.tif")
    with Scene.open(path) as scene:
        assert scene.stem == "a_20b_c_ 100%"


def test_refusals_say_what_is_wrong(tmp_path, make, noise):
    with pytest.raises(SceneError, match="no such file"):
        Scene.open(tmp_path / "absent.tif")
    (tmp_path / "text.tif").write_text("not a raster")
    with pytest.raises(SceneError, match="not a raster that GDAL can read"):
        Scene.open(tmp_path / "text.tif")
    with pytest.raises(SceneError, match="is a folder"):
        Scene.open(tmp_path)
    with pytest.raises(SceneError, match=r"zip.*Check the path"):
        Scene.open(f"/vsizip/{tmp_path}/absent.zip/a.tif")
    path = make(noise(2, 4, 4))
    for bands in [(0,), (3,), (1, 2, 3), (1, 2), ()]:
        with pytest.raises(OptionError, match="bands"):
            Scene.open(path, bidx=bands)
    for nodata in (-1, 256, 0.5, float("nan")):
        with pytest.raises(OptionError, match=r"nodata.*no value of uint8"):
            Scene.open(path, nodata=nodata)


def test_a_raster_of_rasters_is_refused_with_their_names(tmp_path, noise):
    container = tmp_path / "maps.gpkg"
    for name in ("red", "blue"):
        write_raster(container, noise(1, 8, 8), driver="GPKG", RASTER_TABLE=name,
                     APPEND_SUBDATASET="YES")  # fmt: skip
    with pytest.raises(
        SceneError, match=r"holds 2 rasters.*Name one of them: GPKG:.*:red"
    ) as caught:
        Scene.open(container)
    name = str(caught.value).split("Name one of them: ")[1].split(", ")[0]
    with Scene.open(name) as scene:
        assert scene.stem == "maps_red"


def test_rational_polynomials_only_are_refused_with_the_line_to_run(make, noise):
    rpcs = rasterio.rpc.RPC(
        height_off=0, height_scale=1, lat_off=-33.9, lat_scale=1, long_off=18.4, long_scale=1,
        line_off=0, line_scale=1, samp_off=0, samp_scale=1, err_bias=None, err_rand=None,
        line_num_coeff=[1.0] * 20, line_den_coeff=[1.0] * 20,
        samp_num_coeff=[1.0] * 20, samp_den_coeff=[1.0] * 20,
    )  # fmt: skip
    path = make(noise(1, 8, 8), crs=None, transform=rasterio.Affine.identity(), rpcs=rpcs)
    with pytest.raises(SceneError, match=r"gdalwarp .* -rpc -t_srs EPSG:32734 "):
        Scene.open(path)


def test_no_georeference_is_a_warning(make, noise):
    path = make(noise(1, 8, 8), crs=None, transform=rasterio.Affine.identity())
    with pytest.warns(RsclipWarning, match="no georeference"):
        Scene.open(path).close()


def mark(path, *, colours=None, names=None):
    with rasterio.open(path, "r+") as dataset:
        if colours:
            dataset.colorinterp = [ColorInterp[each] for each in colours]
        if names:
            dataset.descriptions = names
    return path


GREY = ["gray", *["undefined"] * 4]


@pytest.mark.parametrize(
    ("colours", "names", "bands"),
    [
        (["blue", "green", "red", "undefined", "alpha"], None, (3, 2, 1)),
        (["alpha", "red", "green", "blue", "undefined"], None, (2, 3, 4)),
        (["alpha", *GREY[1:]], None, (2, 3, 4)),
        (GREY, ["Blue", "Green", "Red", "Red edge", "NIR"], (3, 2, 1)),
        (GREY, ["B2 - blue", "B3 - green", "B4 - red", "B5 - red edge 1", "B8"], (3, 2, 1)),
        # Named on purpose beats marked by default.
        (["red", "green", "blue", "undefined", "undefined"], ["blue", "green", "red", "a", "b"],
         (3, 2, 1)),
        (GREY, ["B02", "B03", "B04", "B05", "B08"], (3, 2, 1)),
        (GREY, ["B2", "B3", "B4", "B8", "B11"], (3, 2, 1)),
        # Landsat 7 has its infrared there.
        (GREY, ["B1", "B2", "B3", "B4", "B5"], (1, 2, 3)),
        (GREY, ["red", "red", "green", "blue", "x"], (1, 2, 3)),
    ],
)  # fmt: skip
def test_bands_by_name_and_interpretation(make, noise, colours, names, bands):
    path = mark(make(noise(5, 4, 4), photometric="minisblack"), colours=colours, names=names)
    with Scene.open(path) as scene:
        assert scene.bands == bands


def test_alpha_is_never_an_image_band(make, noise):
    path = mark(make(noise(2, 4, 4)), colours=["gray", "alpha"])
    with Scene.open(path) as scene:
        assert (scene.bands, scene.valid_source) == ((1, 1, 1), "alpha band 2")
    with pytest.raises(OptionError, match="is its alpha band"):
        Scene.open(path, bidx=[2])


def test_alpha_counts_beside_infrared_too(make, noise):
    pixels = noise(5, 6, 6)
    pixels[4, :, :3] = 0
    colours = ["red", "green", "blue", "undefined", "alpha"]
    with Scene.open(mark(make(pixels), colours=colours)) as scene:
        np.testing.assert_array_equal(scene.read_valid(Window(0, 0, 6, 6)), pixels[4] > 0)


def test_transparent_palette_entries_are_invalid(tmp_path):
    index = np.arange(12, dtype="uint8").reshape(1, 3, 4)
    table = {i: (i * 20, 255 - i, 7, 0 if i in (2, 5) else 255) for i in range(256 // 20)}
    # A GeoTIFF's palette has no alpha, a PNG's has.
    with rasterio.open(
        tmp_path / "made.png", "w", driver="PNG", height=3, width=4, count=1, dtype="uint8",
        crs="EPSG:32633", transform=rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 5e6),
    ) as dataset:  # fmt: skip
        dataset.write(index)
        dataset.write_colormap(1, table)
    with Scene.open(tmp_path / "made.png") as scene:
        pixels, valid = scene.read(Window(0, 0, 3, 4))
        np.testing.assert_array_equal(scene.read_valid(Window(0, 0, 3, 4)), valid)
    np.testing.assert_array_equal(valid, ~np.isin(index[0], (2, 5)))
    np.testing.assert_array_equal(pixels[0], index[0] * 20)


def test_nodata_given_replaces_the_declared_one_where_every_band_has_it(make, noise):
    pixels = noise(3, 6, 6)
    pixels[:, 0] = 9
    pixels[0, 1] = 9
    pixels[:, 2] = 7
    with Scene.open(make(pixels, nodata=7), nodata=9) as scene:
        valid = scene.read_valid(Window(0, 0, 6, 6))
        assert scene.valid_source == "nodata value 9 (--nodata)"
    expected = ~(pixels == 9).all(axis=0)
    np.testing.assert_array_equal(valid, expected)
    assert not expected[0].any()
    assert expected[1:3].all()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint16", "int16", "uint32", "float64"])
def test_nodata_of_every_type_is_rasterios(make, noise, whole, dtype):
    pixels = noise(2, 20, 20, dtype="uint8") // 85
    _, valid, expected = whole(make(pixels.astype(dtype), nodata=1))
    np.testing.assert_array_equal(valid, expected)
    assert valid.any()
    assert not valid.all()


def test_infinity_is_no_data(make, whole):
    pixels = np.ones((3, 4, 4), "float32")
    pixels[1, 0, 0], pixels[2, 1, 1] = np.inf, np.nan
    _, valid, _ = whole(make(pixels))
    assert valid.sum() == 14
    assert not valid[0, 0]
    assert not valid[1, 1]


def test_settings_of_gdal_leave_the_users_alone(monkeypatch):
    monkeypatch.delenv("GDAL_CACHEMAX", raising=False)
    assert gdal_env().options["GDAL_CACHEMAX"] == GDAL_CACHE_MB * 2**20
    monkeypatch.setenv("GDAL_CACHEMAX", "512")
    assert "GDAL_CACHEMAX" not in gdal_env().options


def test_a_handle_of_its_own_for_each_thread(make, noise):
    pixels = noise(3, 256, 256)
    path = make(pixels, tiled=True, blockxsize=32, blockysize=32, compress="deflate")
    wrong = []

    def work(scene, seed):
        with gdal_env(), scene.reopen() as own:
            for row, col in np.random.default_rng(seed).integers(0, 200, (50, 2)):
                got, _ = own.read(Window(int(row), int(col), 40, 50))
                if not np.array_equal(got, pixels[:, row : row + 40, col : col + 50]):
                    wrong.append((row, col))

    with Scene.open(path) as scene:
        threads = [threading.Thread(target=work, args=(scene, seed)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


@pytest.fixture
def address(tmp_path):
    # A process of its own: rasterio asks for some things without letting other threads run.
    command = [sys.executable, str(Path(__file__).with_name("range_server.py")), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        server.terminate()


def test_url_with_a_mask_file_beside_it(make, noise, address, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    pixels = noise(3, 40, 50)
    path = make(pixels, "far.tif")
    masked = np.where(np.arange(50) < 20, 0, 255) * np.ones((40, 1))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(masked.astype("uint8"))
    assert path.with_name("far.tif.msk").exists()
    with gdal_env(), Scene.open(f"{address}/far.tif") as scene:
        assert (scene.stem, scene.valid_source) == ("far", "mask file (.msk)")
        got, valid = scene.read(Window(0, 0, 40, 50))
    np.testing.assert_array_equal(got, pixels)
    np.testing.assert_array_equal(valid, masked > 0)
    with gdal_env(), pytest.raises(SceneError, match=r"absent\.tif: cannot be opened.*404"):
        Scene.open(f"{address}/absent.tif")


def test_virtual_paths(tmp_path, make, noise, whole):
    pixels = noise(3, 12, 10)
    path = make(pixels, "inner.tif")
    archive = tmp_path / "scenes.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(path, "folder/inner.tif")
    for source in (f"/vsizip/{archive}/folder/inner.tif", f"GTIFF_DIR:1:{path}"):
        got, _, _ = whole(source)
        np.testing.assert_array_equal(got, pixels)


def test_a_file_cut_short_fails_on_read_not_on_open(make, noise):
    path = make(noise(1, 300, 300), "cut.tif")
    path.write_bytes(path.read_bytes()[:40000])
    with Scene.open(path) as scene, pytest.raises(ReadError, match=r"cut\.tif, rows") as caught:
        fit(scene)
    assert "damaged" in str(caught.value)


def test_local_masks_and_overviews_are_found_under_our_settings():
    path = raster("rio-tiler/201404_13SED190110_201404_0x1500m_CL_1_extmask.tif")
    with gdal_env(), Scene.open(path) as scene:
        assert not scene.read_valid(Window(0, 0, *scene.shape)).all()
