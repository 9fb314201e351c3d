"""The stretch: what is asked, what is fitted, what comes out."""

import json

import numpy as np
import pytest

from rsclip.errors import OptionError
from rsclip.scene.scene import Scene
from rsclip.scene.stretch import fit, parse_stretch
from rsclip.types import Window
from tests.rasters import raster


def fitted(path, stretch=None, **options):
    with Scene.open(path, **options) as scene:
        radiometry = fit(scene, stretch)
        pixels, valid = scene.read(Window(0, 0, *scene.shape))
        return radiometry, radiometry.apply(pixels, valid), pixels, valid


@pytest.mark.parametrize(
    "text",
    ["", "linear", "percentile", "percentile:2", "percentile:98,2", "percentile:-1,50", "range:a,b",
     "range:5,5", "range:nan,1", "none:1", "percentile:2,98,99", "range:0,inf"],
)  # fmt: skip
def test_a_stretch_that_is_none_is_refused_with_examples(text):
    with pytest.raises(OptionError, match=r"stretch.*percentile:2,98"):
        parse_stretch(text)


@pytest.mark.parametrize("text", ["none", "minmax", "percentile:0.5,99.5", "range:-1,3000"])
def test_a_stretch_is_written_as_it_is_read(text):
    assert str(parse_stretch(text)) == text


def test_eight_bit_pixels_stay_as_they_are(make, noise):
    pixels = noise(3, 20, 30)
    radiometry, image, *_ = fitted(make(pixels))
    np.testing.assert_array_equal(image, pixels.astype("float32") / np.float32(255))
    assert image.dtype == np.float32
    assert radiometry.describe() == "none (0 to 255)"


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "float64"])
def test_other_types_stretch_by_percentiles_of_valid_pixels(make, dtype):
    rng = np.random.default_rng(2)
    pixels = (rng.gamma(3, 500, (3, 80, 90)) + 100).astype(dtype)
    pixels[:, 20:40] = 0
    radiometry, image, _, valid = fitted(make(pixels, nodata=0))
    seen = pixels[:, valid]
    np.testing.assert_allclose(radiometry.low, np.percentile(seen, 2, axis=1))
    np.testing.assert_allclose(radiometry.high, np.percentile(seen, 98, axis=1))
    np.testing.assert_allclose(radiometry.fill, image[:, valid].mean(axis=1), rtol=1e-5)
    for band, fill in zip(image, radiometry.fill, strict=True):
        assert (band[~valid] == np.float32(fill)).all()
    assert 0.015 < (image[:, valid] == 0).mean() < 0.025
    assert 0.015 < (image[:, valid] == 1).mean() < 0.025
    assert radiometry.sample_size == valid.sum()


def test_kinds(make):
    ramp = np.linspace(1000, 2000, 3 * 24 * 24).reshape(3, 24, 24).astype("uint16")
    path = make(ramp)
    _, image, *_ = fitted(path, "none")
    np.testing.assert_allclose(image, ramp / 65535, rtol=1e-6)
    radiometry, image, *_ = fitted(path, "minmax")
    assert radiometry.low == tuple(band.min() for band in ramp)
    assert (image.min(), image.max()) == (0, 1)
    radiometry, image, *_ = fitted(path, "range:1500,3500")
    np.testing.assert_allclose(image, ((ramp - 1500.0) / 2000).clip(0, 1), atol=1e-6)
    assert "1500 to 3500" in radiometry.describe()


def test_floats_without_a_stretch_are_taken_as_0_to_1(make):
    pixels = np.linspace(-0.5, 1.5, 300).reshape(3, 10, 10).astype("float32")
    _, image, *_ = fitted(make(pixels), "none")
    np.testing.assert_allclose(image, pixels.clip(0, 1))


def test_small_differences_on_large_values_survive(make):
    pixels = (1_000_000_000 + np.arange(300).reshape(3, 10, 10)).astype("uint32")
    _, image, *_ = fitted(make(pixels), "minmax")
    assert np.unique(image[0]).size == 100


@pytest.mark.parametrize("stretch", ["minmax", "percentile:2,98"])
def test_a_constant_band_divides_by_nothing(make, stretch):
    pixels = np.full((3, 9, 9), 700, "uint16")
    with np.errstate(all="raise"):
        _, image, *_ = fitted(make(pixels), stretch)
    assert (image == 0.5).all()


def test_nearly_all_pixels_alike_stretch_over_the_rest(make, noise):
    pixels = np.zeros((3, 50, 50), "uint16")
    pixels[:, 0, :20] = noise(3, 20, dtype="uint16")
    radiometry, image, *_ = fitted(make(pixels))
    assert radiometry.high == tuple(band.max() for band in pixels)
    assert np.unique(image[0]).size > 2


def test_a_scene_whose_sample_is_empty_is_searched(make):
    pixels = np.zeros((1, 3000, 40), "uint16")
    pixels[0, 3:30:3, 20] = np.arange(9) + 100
    path = make(pixels, nodata=0, compress="deflate")
    with Scene.open(path) as scene:
        assert not scene.sample()[1].any()
        radiometry = fit(scene, "minmax")
    assert (radiometry.low[0], radiometry.high[0]) == (100, 108)
    assert radiometry.sample_size == 9
    assert not radiometry.scene_is_empty


def test_the_record_is_plain(make, noise):
    radiometry, *_ = fitted(make(noise(3, 20, 30, dtype="uint16")))
    record = json.loads(json.dumps(radiometry.to_dict()))
    assert record["stretch"] == "percentile:2,98"
    assert len(record["low"]) == len(record["fill"]) == 3
    assert record["sample_size"] == 600


def test_uint16_scene_with_a_collar_is_not_stretched_over_the_collar():
    radiometry, image, _, valid = fitted(raster("rio-tiler/mosaic_cog1.tif"))
    assert min(radiometry.low) > 5000
    assert 0.2 < image[:, valid].mean() < 0.4


@pytest.mark.parametrize("bits", [1, 2, 4, 7])
def test_bytes_of_fewer_bits_are_read_as_bright_as_they_are(make, bits):
    pixels = np.random.default_rng(3).integers(0, 2**bits, (3, 20, 30), "uint8")
    radiometry, image, *_ = fitted(make(pixels, nbits=bits))
    np.testing.assert_allclose(image, pixels / np.float32(2**bits - 1), rtol=1e-6)
    assert radiometry.describe() == f"none (0 to {2**bits - 1})"


def test_twelve_bits_of_sixteen_without_a_stretch(make):
    pixels = np.random.default_rng(3).integers(0, 4096, (3, 20, 30), "uint16")
    _, image, *_ = fitted(make(pixels, nbits=12), "none")
    np.testing.assert_allclose(image, pixels / np.float32(4095), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("stretch", [None, "none", "minmax", "percentile:5,95", "range:20,220"])
def test_grey_that_has_0_as_white_is_no_negative(make, noise, dtype, stretch):
    pixels = noise(1, 30, 40, dtype=dtype)
    _, image, *_ = fitted(make(pixels, "black.tif"), stretch)
    radiometry, turned, *_ = fitted(make(pixels, "white.tif", photometric="miniswhite"), stretch)
    np.testing.assert_allclose(turned, 1 - image, atol=1e-5)
    assert np.ptp(image) > 0
    assert radiometry.fill[0] == pytest.approx(turned.mean(), rel=1e-4)


def test_grey_that_has_0_as_white_of_four_bits(make):
    pixels = np.arange(16, dtype="uint8").repeat(20).reshape(1, 16, 20)
    radiometry, image, *_ = fitted(make(pixels, nbits=4, photometric="miniswhite"))
    assert radiometry.describe() == "none (15 to 0)"
    np.testing.assert_allclose(image[0], 1 - pixels[0] / 15, atol=1e-6)
