"""Masks of bands of their own: a pixel that any chosen band calls invalid is nodata."""

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rsclip.scene.scene import Scene
from rsclip.types import Window
from tests.rasters import write_raster

SHAPE = (12, 16)


def with_masks(path, pixels, masks):
    """Write pixels (C, H, W) with a .msk file in which each band has a mask of its own."""
    write_raster(path, pixels, photometric="minisblack")
    write_raster(path.with_name(path.name + ".msk"), np.where(masks, 255, 0).astype("uint8"))
    with rasterio.open(path.with_name(path.name + ".msk"), "r+") as dataset:
        dataset.update_tags(**{f"INTERNAL_MASK_FLAGS_{b}": 0 for b in dataset.indexes})
    return path


def of_bands(path, pixels, masks, where):
    """Write pixels with masks as a VRT: a mask band for each band, or one for all."""
    write_raster(path.with_name("pixels.tif"), pixels)
    write_raster(path.with_name("masks.tif"), np.where(masks, 255, 0).astype("uint8"))

    def band(number, name, inside=""):
        place = f'band="{number}"' if name == "pixels.tif" else ""
        return (
            f'<VRTRasterBand dataType="Byte" {place}><SimpleSource>'
            f'<SourceFilename relativeToVRT="1">{name}</SourceFilename>'
            f"<SourceBand>{number}</SourceBand></SimpleSource>{inside}</VRTRasterBand>"
        )

    height, width = pixels.shape[1:]
    text = f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">'
    text += "<SRS>EPSG:32633</SRS><GeoTransform>500000,0.5,0,5000000,0,-0.5</GeoTransform>"
    for number in range(1, len(pixels) + 1):
        has_own = where != "all" and number in where
        own = f"<MaskBand>{band(number, 'masks.tif')}</MaskBand>" if has_own else ""
        text += band(number, "pixels.tif", own)
    if where == "all":
        text += f"<MaskBand>{band(1, 'masks.tif')}</MaskBand>"
    path.write_text(text + "</VRTDataset>")
    return path


def read(path, **options):
    with Scene.open(path, **options) as scene:
        window = Window(0, 0, *scene.working_shape)
        valid = scene.read(window)[1]
        np.testing.assert_array_equal(scene.sample()[1], scene.read_own(
            Window(0, 0, *scene.shape))[1])  # fmt: skip
        np.testing.assert_array_equal(next(scene.chunks())[1], scene.sample()[1])
        if options.get("gsd") is None:
            np.testing.assert_array_equal(scene.read_valid(window), valid)
        return valid, scene.valid_source


@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(masks=arrays(bool, (4, *SHAPE)), bands=st.permutations([1, 2, 3, 4]), kind=st.booleans())
def test_any_chosen_band_makes_a_pixel_invalid(tmp_path_factory, masks, bands, kind):
    pixels = np.full((4, *SHAPE), 77, "uint8")
    folder = tmp_path_factory.mktemp("masks")
    path = (
        with_masks(folder / "own.tif", pixels, masks)
        if kind
        else of_bands(folder / "own.vrt", pixels, masks, (1, 2, 3, 4))
    )
    chosen = bands[:3]
    with rasterio.open(path) as dataset:
        expected = (dataset.read_masks(chosen) > 0).all(axis=0)
    valid, words = read(path, bidx=chosen)
    np.testing.assert_array_equal(valid, expected)
    assert words == "each band's own mask"


@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(
    pixels=arrays("uint8", (3, *SHAPE), elements=st.integers(0, 2)),
    mask=arrays(bool, SHAPE),
    kind=st.sampled_from(["nodata", "all", "equal", "none"]),
)
def test_what_rasterio_says_of_the_whole_file_holds(tmp_path_factory, pixels, mask, kind):
    folder = tmp_path_factory.mktemp("masks")
    masks = np.stack([mask] * 3)
    if kind == "nodata":
        path = write_raster(folder / "own.tif", pixels, nodata=0)
    else:
        where = {"all": "all", "equal": (1, 2, 3), "none": ()}[kind]
        path = of_bands(folder / "own.vrt", pixels, masks, where)
    with rasterio.open(path) as dataset:
        expected = dataset.dataset_mask() > 0
    np.testing.assert_array_equal(read(path)[0], expected)


def test_a_band_without_a_mask_is_valid_throughout(tmp_path):
    masks = np.ones((3, *SHAPE), bool)
    masks[1, :4] = masks[2, :, :5] = False
    path = of_bands(tmp_path / "own.vrt", np.full((3, *SHAPE), 9, "uint8"), masks, (2, 3))
    np.testing.assert_array_equal(read(path)[0], masks[1] & masks[2])
    np.testing.assert_array_equal(read(path, bidx=[2])[0], masks[1])
    assert read(path, bidx=[1])[0].all()


def test_special_values_of_a_cube_are_invalid(tmp_path, noise):
    pixels = noise(3, *SHAPE, dtype="int16") * 20
    pixels[0, :3], pixels[1, :, :4], pixels[2, 8, 8] = -32768, -32767, -32764
    path = write_raster(tmp_path / "cube.cub", pixels, driver="ISIS3")
    with rasterio.open(path) as dataset:
        expected = (dataset.read_masks([1, 2, 3]) > 0).all(axis=0)
    valid, words = read(path)
    np.testing.assert_array_equal(valid, expected)
    assert not valid[:3].any()
    assert not valid[8, 8]
    assert words == "each band's own mask"


@pytest.mark.parametrize("gsd", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("given", [None, 200])
def test_masks_of_bands_hold_on_a_working_grid(tmp_path, gsd, given):
    pixels = np.full((3, *SHAPE), 100, "uint8")
    masks = np.ones((3, *SHAPE), bool)
    masks[0, :4] = masks[1, :, :6] = False
    pixels[:, ~(masks[0] & masks[1])] = 255
    pixels[:, 8:, 12:] = 100 if given is None else given
    path = of_bands(tmp_path / "own.vrt", pixels, masks, (1, 2, 3))
    expected = masks[0] & masks[1]
    if given is not None:
        expected[8:, 12:] = False
    with Scene.open(path, gsd=gsd, nodata=given) as scene:
        seen, valid = scene.read(Window(0, 0, *scene.working_shape))
    scale = 0.5 / gsd
    index = [((np.arange(int(n * scale)) + 0.5) / scale).astype(int) for n in SHAPE]
    np.testing.assert_array_equal(valid, expected[np.ix_(*index)])
    assert (seen[:, valid] == 100).all()
