"""Windows: the same pixels as the whole, reflection over the edge, decimated samples."""

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling

from rsclip.errors import RsclipWarning
from rsclip.scene.scene import Scene
from rsclip.scene.stretch import fit
from rsclip.types import Window
from tests.rasters import write_raster


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("windows")


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    pad=st.tuples(st.integers(0, 90), st.integers(0, 90)),
    data=st.data(),
)
def test_overhang_is_np_pad_of_the_whole_scene(folder, shape, pad, data):
    rng = np.random.default_rng(shape)
    pixels = rng.integers(0, 3, (2, *shape)).astype("uint8")
    path = write_raster(folder / "scene.tif", pixels, nodata=0)
    valid = (pixels != 0).any(axis=0)
    around = [(0, pad[0]), (0, pad[1])]
    padded = np.pad(pixels[[0, 0, 0]], [(0, 0), *around], "reflect")
    valid = np.pad(valid, around, "reflect")
    row = data.draw(st.integers(0, shape[0] - 1))
    col = data.draw(st.integers(0, shape[1] - 1))
    height = data.draw(st.integers(1, shape[0] + pad[0] - row))
    width = data.draw(st.integers(1, shape[1] + pad[1] - col))
    with Scene.open(path) as scene:
        got, got_valid = scene.read(Window(row, col, height, width))
    place = (slice(row, row + height), slice(col, col + width))
    np.testing.assert_array_equal(got, padded[:, *place])
    inside = valid[row : min(row + height, shape[0]), col : min(col + width, shape[1])]
    if inside.any():
        np.testing.assert_array_equal(got_valid, valid[place])
    else:
        assert not got_valid.any()


def test_a_window_valid_only_by_reflection_is_empty(make):
    pixels = np.zeros((1, 10, 10), "uint8")
    pixels[0, 5] = 1
    with Scene.open(make(pixels, nodata=0)) as scene:
        assert not scene.read(Window(7, 0, 8, 10))[1].any()
        assert scene.read(Window(5, 0, 8, 10))[1].any()


@pytest.mark.parametrize(
    "layout",
    [
        {"tiled": True, "blockxsize": 64, "blockysize": 64},
        {"blockysize": 1},
        {"blockysize": 7, "interleave": "band"},
        {"tiled": True, "blockxsize": 512, "blockysize": 512},
    ],
)
@pytest.mark.parametrize("shape", [(300, 410), (3, 900), (900, 1)])
def test_sample_is_the_scene_at_evenly_spread_pixels(make, noise, layout, shape):
    pixels = noise(3, *shape)
    pixels[:, :, : shape[1] // 3] = 0
    path = make(pixels, nodata=0, **layout)
    with Scene.open(path) as scene:
        got, valid = scene.sample(max_side=100)
    assert max(got.shape[1:]) == 100
    index = [
        ((np.arange(n) + 0.5) * size / n).astype(int)
        for n, size in zip(got.shape[1:], shape, strict=True)
    ]
    np.testing.assert_array_equal(got, pixels[:, index[0][:, None], index[1]])
    np.testing.assert_array_equal(valid, got.any(axis=0))


def test_sample_of_a_small_scene_is_the_scene(make, noise, whole):
    path = make(noise(3, 30, 50))
    with Scene.open(path) as scene:
        got, valid = scene.sample(max_side=64)
    expected, expected_valid, _ = whole(path)
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(valid, expected_valid)


def add_overviews(path, factors, resampling=Resampling.average):
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews(factors, resampling)
    return path


def test_sample_comes_from_overviews_where_there_are_some(make, noise):
    pixels = np.kron(noise(3, 64, 64), np.ones((8, 8), "uint8"))
    path = add_overviews(make(pixels, tiled=True, blockxsize=64, blockysize=64), [2, 4, 8])
    with Scene.open(path) as scene:
        got, _ = scene.sample(max_side=64)
    np.testing.assert_array_equal(got, pixels[:, ::8, ::8])


def test_an_overview_that_mixed_an_undeclared_nodata_is_not_used(make, noise):
    pixels = noise(1, 64, 64) // 2 + 100
    pixels[:, :, :33] = 0
    path = add_overviews(make(pixels), [2, 4, 8])
    with Scene.open(path, nodata=0) as scene:
        got, valid = scene.sample(max_side=8)
    assert got[0][valid].min() >= 100


@pytest.fixture
def landscape():
    """Pixels uint16 (3, 512, 512) of smooth fields with noise, 500 to about 3000."""
    rng = np.random.default_rng(5)
    fields = np.kron(rng.gamma(3, 300, (3, 32, 32)), np.ones((16, 16)))
    return (500 + fields + rng.normal(0, 40, fields.shape)).clip(500, 6000).astype("uint16")


@pytest.mark.parametrize(
    "resampling", ["nearest", "average", "cubic", "bilinear", "lanczos", "mode"]
)
@pytest.mark.parametrize("dtype", ["uint16", "float32", "uint8"])
def test_overviews_that_fit_are_used_without_a_word(make, landscape, resampling, dtype, recwarn):
    pixels = (landscape if dtype != "uint8" else landscape // 24).astype(dtype)
    pixels[:, :90, :200] = 0
    path = add_overviews(make(pixels, nodata=0), [2, 4, 8], Resampling[resampling])
    with rasterio.open(path, overview_level=2) as dataset:
        expected = dataset.read()
    with Scene.open(path) as scene:
        np.testing.assert_array_equal(scene.sample(64)[0], expected)
    assert not [each for each in recwarn.list if each.category is RsclipWarning]


def spoil_overviews(path, value):
    """Fill the overviews of a raster with a value, as a writer that stopped early leaves them."""
    with rasterio.open(path) as dataset:
        levels = range(len(dataset.overviews(1)))
    for level in levels:
        with rasterio.open(path, "r+", overview_level=level) as dataset:
            dataset.write(np.full((dataset.count, *dataset.shape), value, dataset.dtypes[0]))
    return path


@pytest.mark.parametrize("nodata", [None, 0])
def test_overviews_that_do_not_fit_the_pixels_are_not_used(make, landscape, nodata):
    with Scene.open(make(landscape, "bare.tif")) as scene:
        expected = fit(scene)
        small = scene.sample(64)[0]
    path = add_overviews(make(landscape, nodata=nodata), [2, 4, 8])
    spoil_overviews(path, 0)
    with Scene.open(path) as scene:
        with pytest.warns(
            RsclipWarning, match="overviews do not fit its pixels.*gdaladdo -r average"
        ):
            got = scene.sample(64)[0]
        twin = scene.reopen()
        again = twin.sample(32)[0]
        twin.close()
        found = fit(scene)
    np.testing.assert_array_equal(got, small)
    assert again.min() >= 500
    assert (found.low, found.high) == (expected.low, expected.high)


def test_nodata_declared_after_averaging_does_not_shift_the_stretch(make, landscape):
    rng = np.random.default_rng(6)
    for row, col in rng.integers(0, 500, (40, 2)):
        landscape[:, row : row + 11, col : col + 11] = 65535
    path = add_overviews(make(landscape), [2, 4, 8])
    with rasterio.open(path, "r+") as dataset:
        dataset.nodata = 65535
    with Scene.open(path) as scene, pytest.warns(RsclipWarning, match="do not fit"):
        got, valid = scene.sample(64)
    assert got[:, valid].max() <= 6000


def test_chunks_cover_every_pixel_once(make, noise):
    pixels = noise(3, 700, 90)
    for layout in ({"blockysize": 1}, {"tiled": True, "blockxsize": 64, "blockysize": 64}):
        with Scene.open(make(pixels, nodata=0, **layout)) as scene:
            parts = [part[0].reshape(3, -1) for part in scene.chunks()]
        got = np.concatenate(parts, axis=1)
        assert got.shape == (3, 700 * 90)
        assert got.sum(dtype=int) == pixels.sum(dtype=int)


def test_reading_after_close_is_refused(make, noise):
    scene = Scene.open(make(noise(1, 8, 8)))
    scene.close()
    with pytest.raises(ValueError, match="closed"):
        scene.read(Window(0, 0, 8, 8))
