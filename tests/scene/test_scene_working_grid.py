"""The working grid: same extent, means of valid pixels only, the same for any window."""

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from rsclip.errors import OptionError, SceneError
from rsclip.scene.scene import Scene
from rsclip.types import Window
from tests.rasters import raster

NORTH_UP = Affine(0.5, 0, 5e5, 0, -0.5, 5e6)
SOUTH_UP = Affine(0.5, 0, 5e5, 0, 0.5, 5e6)
ROTATED = Affine(0.4, 0.3, 5e5, 0.3, -0.4, 5e6)


def corners(transform, shape):
    height, width = shape
    return np.array([transform @ xy for xy in [(0, 0), (width, 0), (0, height), (width, height)]])


@pytest.mark.parametrize("transform", [NORTH_UP, SOUTH_UP, ROTATED])
@pytest.mark.parametrize("gsd", [0.17, 0.5, 0.93, 2, 11])
def test_extent_is_the_same_exactly(make, noise, transform, gsd):
    path = make(noise(3, 61, 47), transform=transform)
    with Scene.open(path, gsd=gsd) as scene:
        height, width = scene.working_shape
        assert height == max(1, round(61 * scene.pixel_size_m[0] / gsd))
        assert width == max(1, round(47 * scene.pixel_size_m[1] / gsd))
        assert scene.scale == (61 / height, 47 / width)
        assert scene.pixel_size_m == pytest.approx((0.5, 0.5), rel=1e-3)
        np.testing.assert_allclose(
            corners(scene.working_transform, scene.working_shape),
            corners(scene.transform, scene.shape),
            rtol=0, atol=1e-8,
        )  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "torchsat/tiff_3channel_uint8.tif",
        "odc-geo/au-3577-rotated.tif",
        "rio-tiler/cog_dateline.tif",
        "rio-cogeo/image_geos.tif",
        "rasterio/test_esri_wkt.tif",
    ],
)
def test_pixels_become_square_metres_in_any_crs(name):
    with Scene.open(raster(name)) as plain:
        gsd = 2.5 * max(plain.pixel_size_m)
    with Scene.open(raster(name), gsd=gsd) as scene:
        sizes = [a * b for a, b in zip(scene.pixel_size_m, scene.scale, strict=True)]
        assert sizes == pytest.approx([gsd, gsd], rel=0.5 / min(scene.working_shape))
        pixels, valid = scene.read(Window(0, 0, *scene.working_shape))
    assert pixels.dtype == plain.dtype
    assert np.isfinite(pixels[:, valid]).all()


def test_whole_factors_are_block_means(make, noise):
    pixels = noise(3, 60, 80, dtype="uint16")
    with Scene.open(make(pixels), gsd=2.0) as scene:
        assert scene.working_shape == (15, 20)
        got, valid = scene.read(Window(0, 0, 15, 20))
    means = pixels.reshape(3, 15, 4, 20, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(got, means, rtol=0, atol=0.51)  # whole numbers, ties either way
    assert valid.all()


@pytest.mark.parametrize("gsd", [0.15, 0.5, 0.8, 1.0, 3.3])
@pytest.mark.parametrize("kind", ["nodata", "alpha", "internal mask", "msk", "nan"])
def test_nodata_never_bleeds_into_means(make, kind, gsd):
    """A scene of one colour stays so, whatever its nodata pixels hold."""
    dtype = "float32" if kind == "nan" else "uint8"
    hole = np.zeros((60, 70), bool)
    hole[:, :23] = hole[40:, 31:] = hole[7, 50] = True
    pixels = np.full((3, 60, 70), 200, dtype)
    pixels[:, hole] = np.nan if kind == "nan" else 0
    if kind == "alpha":
        pixels = np.concatenate([pixels, np.where(hole, 0, 255).astype(dtype)[None]])
    path = make(pixels, nodata=0 if kind == "nodata" else None)
    if kind in ("internal mask", "msk"):
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=kind != "msk"),
            rasterio.open(path, "r+") as dataset,
        ):
            dataset.write_mask(~hole)
    with Scene.open(path, gsd=gsd) as scene:
        assert (kind if kind != "msk" else ".msk") in scene.valid_source.lower()
        got, valid = scene.read(Window(0, 0, *scene.working_shape))
        shape = scene.working_shape
        # The scene's own mask is untouched by the working grid.
        np.testing.assert_array_equal(scene.read_valid(Window(0, 0, 60, 70)), ~hole)
    assert (got[:, valid] == 200).all()
    # Every valid pixel of the scene lies under a valid working pixel, and holes stay holes.
    rows, cols = np.nonzero(~hole)
    seen = valid[(rows * shape[0]) // 60, (cols * shape[1]) // 70]
    # Between pixel centres, next to a hole, a finer grid knows nothing for sure.
    assert seen.all() if gsd >= 0.5 else seen.mean() > 0.95
    assert not valid[:, : int(22 * shape[1] / 70) - 1].any()


@pytest.mark.parametrize("gsd", [0.15, 0.5, 1.0, 3.3])
@pytest.mark.parametrize("declared", ["declared", "given"])
@pytest.mark.parametrize("kind", ["alpha", "internal mask", "msk"])
def test_a_mask_meets_a_nodata_value(make, kind, declared, gsd):
    """A declared value yields to mask and alpha, a given one adds to them: warped or not."""
    hole = np.zeros((60, 70), bool)
    hole[:, :23] = True
    stripe = np.zeros((60, 70), bool)
    stripe[20:40, 40:60] = True
    pixels = np.full((3, 60, 70), 200, np.uint8)
    pixels[:, hole] = 90
    pixels[:, stripe] = 7
    if kind == "alpha":
        pixels = np.concatenate([pixels, np.where(hole, 0, 255).astype(np.uint8)[None]])
    path = make(pixels, nodata=7 if declared == "declared" else None)
    if kind != "alpha":
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=kind != "msk"),
            rasterio.open(path, "r+") as dataset,
        ):
            dataset.write_mask(~hole)
    given = 7 if declared == "given" else None
    with Scene.open(path, gsd=gsd, nodata=given) as scene:
        whole = scene.read_valid(Window(0, 0, 60, 70))
        height, width = scene.working_shape
        got, valid = scene.read(Window(0, 0, height, width))
    np.testing.assert_array_equal(whole, ~hole if declared == "declared" else ~hole & ~stripe)
    # Far enough from an edge to hold one kind of pixel only.
    rows, cols = np.mgrid[:height, :width]
    rows, cols = (rows + 0.5) * 60 / height, (cols + 0.5) * 70 / width
    reach = 4.5
    in_stripe = (abs(rows - 30) < 10 - reach) & (abs(cols - 50) < 10 - reach)
    assert in_stripe.any()
    assert not valid[cols < 23 - reach].any()
    assert (got[:, valid & in_stripe] == 7).all()
    assert valid[in_stripe].all() == (declared == "declared")
    assert valid[in_stripe].any() == (declared == "declared")
    assert (got[:, valid & (cols < 40 - reach)] == 200).all()
    if declared == "given":
        assert (got[:, valid] == 200).all()
        assert valid[(cols > 23 + reach) & (cols < 40 - reach)].all()


@pytest.mark.parametrize("gsd", [0.13, 0.7, 1.0, 4.4])
def test_windows_equal_the_whole_bit_for_bit(make, noise, gsd):
    pixels = noise(3, 90, 120).astype("float32") / 7
    pixels[:, 30:50, 20:60] = np.nan
    path = make(pixels, tiled=True, blockxsize=32, blockysize=32)
    with Scene.open(path, gsd=gsd) as scene:
        height, width = scene.working_shape
        whole, whole_valid = scene.read(Window(0, 0, height, width))
        for row, col in [(0, 0), (height // 3, width // 2), (height // 2, 1)]:
            window = Window(row, col, height - row - 1, width // 3)
            got, valid = scene.read(window)
            place = (slice(row, window.row_stop), slice(col, window.col_stop))
            np.testing.assert_array_equal(valid, whole_valid[place])
            np.testing.assert_array_equal(got[:, valid], whole[:, *place][:, valid])


def test_linear_ramps_stay_where_they_are(make):
    """Means and interpolation shift nothing: a ramp of coordinates reads as coordinates."""
    height, width = 64, 48
    ramp = np.mgrid[:height, :width].astype("float32") + 0.5
    path = make(np.stack([ramp[0], ramp[1], ramp[0]]))
    for gsd in (0.21, 0.5, 1.3, 2.0):
        with Scene.open(path, gsd=gsd) as scene:
            got, _ = scene.read(Window(0, 0, *scene.working_shape))
            rows, cols = (np.arange(n) + 0.5 for n in scene.working_shape)
        inner = (slice(3, -3), slice(3, -3))
        # Means over parts of pixels, constant each, stray by up to an eighth of a pixel's share.
        room = 1e-4 if scene.scale[0] <= 1 else 0.13 / min(scene.scale)
        exact = np.broadcast_to(rows[:, None] * scene.scale[0], scene.working_shape)
        np.testing.assert_allclose(got[0][inner], exact[inner], atol=room)
        exact = np.broadcast_to(cols * scene.scale[1], scene.working_shape)
        np.testing.assert_allclose(got[1][inner], exact[inner], atol=room)


def test_overviews_serve_a_coarse_grid(make, noise):
    pixels = np.kron(noise(3, 32, 32), np.ones((8, 8), "uint8"))
    path = make(pixels)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4], rasterio.enums.Resampling.average)
    with Scene.open(path, gsd=4.0) as scene:
        got, _ = scene.read(Window(0, 0, *scene.working_shape))
    np.testing.assert_array_equal(got, pixels[:, ::8, ::8])


def test_overhang_on_the_working_grid_reflects_it(make, noise):
    with Scene.open(make(noise(3, 30, 30)), gsd=1.1) as scene:
        height, width = scene.working_shape
        whole, _ = scene.read(Window(0, 0, height, width))
        got, _ = scene.read(Window(2, 3, 40, 40))
    expected = np.pad(whole, [(0, 0), (0, 42 - height), (0, 43 - width)], "reflect")[:, 2:, 3:]
    np.testing.assert_array_equal(got, expected)


def test_palettes_keep_their_colours(make):
    """A mean of indices would be a colour from nowhere."""
    index = np.tile(np.array([[0, 2]], "uint8"), (8, 4))[None]
    path = make(index)
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {0: (0, 0, 0, 255), 1: (255, 0, 0, 255), 2: (0, 100, 200, 255)})
    with Scene.open(path, gsd=1.0) as scene:
        got, _ = scene.read(Window(0, 0, *scene.working_shape))
    assert set(map(tuple, got.reshape(3, -1).T)) <= {(0, 0, 0), (0, 100, 200)}


@pytest.mark.filterwarnings("ignore::rsclip.errors.RsclipWarning")
def test_what_cannot_be_scaled_is_refused(make, noise):
    with pytest.raises(SceneError, match=r"gsd needs.*gdal_edit\.py -a_srs"):
        Scene.open(make(noise(1, 9, 9), crs=None), gsd=1)
    for gsd in (0.001, 0.005, 50, 60):
        with pytest.raises(OptionError, match=r"gsd.*100 times off"):
            Scene.open(make(noise(1, 9, 9)), gsd=gsd)
