"""A test for each kind of raster that the reading table names."""

import warnings

import numpy as np
import pyproj
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning

from rsclip.errors import OptionError, ReadError, RsclipWarning, SceneError
from rsclip.scene.scene import Scene
from rsclip.scene.stretch import fit
from rsclip.types import Window
from tests.rasters import raster

FAMILY = "rio-tiler/201404_13SED190110_201404_0x1500m_CL_1"

# name -> (bands as red, green, blue; type; where valid pixels come from)
FILES = {
    "rasterio/RGB.byte.tif": ((1, 2, 3), "uint8", "nodata value 0"),
    "rasterio/RGBA.byte.tif": ((1, 2, 3), "uint8", "alpha band 4"),
    "rasterio/RGBA.uint16.tif": ((3, 2, 1), "uint16", "alpha band 4"),
    "rasterio/alpha.tif": ((1, 2, 3), "uint8", "alpha band 4"),
    "rasterio/byte.tif": ((1, 1, 1), "uint8", "none: every pixel is valid"),
    "rasterio/cogeo.tif": ((1, 2, 3), "uint8", "internal mask"),
    "rasterio/test_esri_wkt.tif": ((1, 1, 1), "uint16", "none: every pixel is valid"),
    "rio-tiler/cog_rgba.tif": ((1, 2, 3), "uint8", "alpha band 4"),
    "rio-tiler/pix4d_alpha_nodata.tif": ((1, 2, 3), "uint8", "alpha band 4"),
    f"{FAMILY}.tif": ((1, 2, 3), "uint8", "none: every pixel is valid"),
    f"{FAMILY}_alpha.tif": ((1, 2, 3), "uint8", "alpha band 4"),
    f"{FAMILY}_extmask.tif": ((1, 2, 3), "uint8", "mask file (.msk)"),
    f"{FAMILY}_mask.tif": ((1, 2, 3), "uint8", "internal mask"),
    f"{FAMILY}_nodata.tif": ((1, 2, 3), "uint8", "nodata value 0"),
    "rio-tiler/mosaic_cog1.tif": ((1, 2, 3), "uint16", "nodata value 0"),
    "rio-tiler/rgb.tif": ((1, 2, 3), "uint16", "nodata value 0"),
    "rio-tiler/cog_dateline.tif": ((1, 1, 1), "uint16", "none: every pixel is valid"),
    "opengeos-data/m_4709963_se_14_1_20140720.tif": ((1, 2, 3), "uint8", "nodata value 0"),
    "torchsat/tiff_8channel_uint8.tif": ((1, 2, 3), "uint8", "none: every pixel is valid"),
    "torchsat/tiff_3channel_uint8.tif": ((1, 2, 3), "uint8", "none: every pixel is valid"),
    "rio-cogeo/image_51px.tif": ((1, 2, 3), "uint8", "none: every pixel is valid"),
    "rio-cogeo/image_webp.tif": ((1, 2, 3), "uint8", "none: every pixel is valid"),
    "rio-cogeo/image_geos.tif": ((1, 2, 3), "uint8", "internal mask"),
}


@pytest.mark.parametrize("name", FILES)
def test_pixels_and_valid_mask_are_those_of_rasterio(name, whole):
    path = raster(name)
    bands, dtype, source = FILES[name]
    pixels, valid, expected = whole(path)
    np.testing.assert_array_equal(valid, expected)
    with Scene.open(path) as scene, rasterio.open(path) as dataset:
        assert (scene.bands, scene.dtype, scene.valid_source) == (bands, dtype, source)
        assert (scene.shape, scene.crs) == (dataset.shape, dataset.crs)
        assert scene.transform == dataset.transform == scene.working_transform
        np.testing.assert_array_equal(pixels, dataset.read(bands))
        window = Window(scene.shape[0] // 3, scene.shape[1] // 4, *(s // 2 for s in scene.shape))
        np.testing.assert_array_equal(
            scene.read_valid(window),
            expected[window.row : window.row_stop, window.col : window.col_stop],
        )
    assert pixels.dtype == dtype


@pytest.mark.parametrize(
    ("name", "source", "share"),
    [
        ("rio-tiler/cog_nodata_nan.tif", "nodata value 0, NaN pixels", 147316 / 549**2),
        ("odc-geo/au-3577-rotated.tif", "NaN pixels", 8285 / 128**2),
    ],
)
def test_nan_is_nodata_declared_or_not(name, source, share, whole):
    path = raster(name)
    _, valid, masked = whole(path)
    with Scene.open(path) as scene, rasterio.open(path) as dataset:
        assert scene.valid_source == source
        np.testing.assert_array_equal(valid, masked & np.isfinite(dataset.read(1)))
        assert valid.mean() == pytest.approx(share)
        radiometry = fit(scene)
        image = radiometry.apply(*scene.read(Window(0, 0, *scene.shape)))
    assert np.isfinite(image).all()
    assert radiometry.valid_share == pytest.approx(share)


def test_tiny_float_with_nan_and_no_crs(whole):
    with pytest.warns(RsclipWarning, match=r"no coordinate reference system"):
        _, valid, masked = whole(raster("rasterio/float_nan.tif"))
    np.testing.assert_array_equal(valid, masked)
    assert valid.sum() == 5


def test_no_crs_warns_once_and_is_read():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with Scene.open(raster("rasterio/rotated.tif")) as scene, scene.reopen() as twin:
            assert (scene.crs, scene.pixel_size_m) == (None, None)
            assert twin.read(Window(0, 0, 15, 10))[0].shape == (3, 15, 10)
    assert not [each for each in caught if each.category is NotGeoreferencedWarning]
    assert len([each for each in caught if each.category is RsclipWarning]) == 1


def test_naip_bands_as_asked():
    path = raster("opengeos-data/m_4709963_se_14_1_20140720.tif")
    window = Window(100, 200, 64, 48)
    with Scene.open(path, bidx=(4, 1, 2)) as scene, rasterio.open(path) as dataset:
        assert scene.bands == (4, 1, 2)
        expected = dataset.read((4, 1, 2), window=((100, 164), (200, 248)))
        np.testing.assert_array_equal(scene.read(window)[0], expected)


def test_eight_bands_any_three_or_one_of_them():
    path = raster("torchsat/tiff_8channel_uint8.tif")
    with Scene.open(path, bidx=[8]) as scene, rasterio.open(path) as dataset:
        assert scene.bands == (8, 8, 8)
        np.testing.assert_array_equal(
            scene.read(Window(0, 0, *scene.shape))[0], np.stack([dataset.read(8)] * 3)
        )
    with pytest.raises(OptionError, match=r"band 9 .* has 8 bands"):
        Scene.open(path, bidx=(9, 1, 2))


def test_palette_becomes_colours(whole):
    path = raster("rio-tiler/cog_cmap.tif")
    with Scene.open(path) as scene, rasterio.open(path) as dataset:
        assert scene.valid_source == "nodata value 0, transparent palette entries"
        window = Window(4000, 2100, 600, 700)
        pixels, valid = scene.read(window)
        place = rasterio.windows.Window(2100, 4000, 700, 600)
        index, colours = dataset.read(1, window=place), dataset.colormap(1)
        for value in np.unique(index):
            assert set(map(tuple, pixels[:, index == value].T)) == {colours[value][:3]}
        np.testing.assert_array_equal(valid, dataset.dataset_mask(window=place) > 0)
        assert valid.any()
        assert not valid.all()


def test_one_band_stands_three_times():
    path = raster("rasterio/byte.tif")
    with Scene.open(path) as scene:
        pixels, valid = scene.read(Window(0, 0, 224, 224))
    with rasterio.open(path) as dataset:
        expected = np.pad(dataset.read(1), ((0, 204), (0, 204)), "reflect")
    np.testing.assert_array_equal(pixels, np.stack([expected] * 3))
    assert valid.all()


def test_all_nodata_is_no_error():
    for name in ("rasterio/all-nodata.tif", "rio-tiler/inverted_lat.tif"):
        with Scene.open(raster(name)) as scene:
            pixels, valid = scene.read(Window(0, 0, 64, 64))
            radiometry = fit(scene)
        assert not valid.any()
        assert radiometry.scene_is_empty
        assert radiometry.valid_share == 0
        assert np.isfinite(radiometry.apply(pixels, valid)).all()
        assert "no valid pixel" in radiometry.describe()


def test_blue_green_red_order_is_put_right():
    with Scene.open(raster("rasterio/all-nodata.tif")) as scene:
        assert scene.bands == (3, 2, 1)


def test_damaged_file_fails_on_read_naming_file_and_window():
    path = raster("rasterio/corrupt.tif")
    with Scene.open(path) as scene:
        with pytest.raises(ReadError) as caught:
            scene.read(Window(512, 512, 512, 512))
        assert str(path) in str(caught.value)
        assert "rows 512:1024, columns 512:1024" in str(caught.value)
        assert caught.value.exit_code == 1
        with pytest.raises(ReadError, match=r"corrupt\.tif, rows"):
            fit(scene)


def test_ground_control_points_only_is_refused_with_the_line_to_run():
    path = raster("rio-tiler/cog_gcps.tif")
    with pytest.raises(SceneError) as caught:
        Scene.open(path)
    line = str(caught.value).split("Warp it first: ")[1]
    words = line.split()
    assert words[0] == "gdalwarp"
    assert words[-2:] == [str(path), "cog_gcps_warped.tif"]
    # The zone named is where the points are.
    zone = pyproj.CRS(words[words.index("-t_srs") + 1])
    west, south, east, north = zone.area_of_use.bounds
    with rasterio.open(path) as dataset:
        points, _ = dataset.gcps
    assert west - 3 < np.mean([point.x for point in points]) < east + 3
    assert south <= np.mean([point.y for point in points]) <= north


def test_complex_pixels_are_refused():
    with pytest.raises(SceneError, match=r"complex.*gdal_translate DERIVED_SUBDATASET:AMPLITUDE"):
        Scene.open(raster("rio-cogeo/slc.tif"))


@pytest.mark.parametrize(
    ("name", "rows", "cols", "tolerance"),
    [
        ("rasterio/RGB.byte.tif", 300.04, 300.04, 1e-2),
        # Geographic: degrees of longitude shrink with the latitude (36.2 N).
        ("torchsat/tiff_3channel_uint8.tif", 0.29960, 0.24283, 1e-4),
        # Web Mercator at 37.6 N: metres on the ground are cos(latitude) of those on the map.
        ("rasterio/cogeo.tif", 0.4731, 0.4731, 1e-2),
        ("rasterio/test_esri_wkt.tif", 10, 10, 1e-2),
        ("rio-tiler/cog_dateline.tif", 100.01, 100.01, 1e-3),
        ("rio-cogeo/image_geos.tif", 10000, 10001.1, 1e-5),
        ("odc-geo/au-3577-rotated.tif", 31250, 29687, 0.05),
    ],
)
def test_pixel_size_in_metres(name, rows, cols, tolerance):
    with Scene.open(raster(name)) as scene:
        assert scene.pixel_size_m == pytest.approx((rows, cols), rel=tolerance)
