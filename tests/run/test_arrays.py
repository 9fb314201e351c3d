"""What Python holds is a scene too: the same labels as its file gives, on the same grid."""

import gc
import sys

import numpy as np
import pytest
import rasterio
from rasterio.vrt import WarpedVRT

import rsclip
from rsclip.errors import OptionError, WriteError
from rsclip.run.arrays import as_file
from rsclip.scene.scene import Scene
from rsclip.types import Window
from tests.rasters import write_raster

WORDS = "road, water"


@pytest.fixture
def scene(make_scene, tiny_model, tmp_path):
    """Return a scene's path, its pixels, place, and the labels of its file."""
    path = make_scene()
    with rasterio.open(path) as dataset:
        pixels, place = dataset.read(), {"transform": dataset.transform, "crs": dataset.crs}
    return path, pixels, place, rsclip.segment(path, WORDS, tmp_path / "f", model=tiny_model).mask()


def test_an_array_gives_the_labels_of_its_file(scene, tiny_model):
    _, pixels, place, labels = scene
    result = rsclip.segment(pixels, WORDS, model=tiny_model, **place)
    assert np.array_equal(result.mask(), labels)
    with rasterio.open(result.mask_path) as mask:
        assert (mask.transform, mask.crs) == (place["transform"], place["crs"])
    assert len(result.polygons()) > 0
    folder = result.mask_path.parent.parent
    del result
    gc.collect()
    assert not folder.exists()


def test_six_numbers_one_band_and_a_mask(scene, tiny_model, tmp_path):
    _, pixels, place, _ = scene
    band = np.ma.masked_array(pixels[0], np.zeros(pixels[0].shape, bool))
    band[:, :20] = np.ma.masked
    result = rsclip.segment(
        band,
        WORDS,
        tmp_path / "out",
        model=tiny_model,
        crs=32633,
        transform=tuple(place["transform"]),
    )
    assert result.mask_path == tmp_path / "out" / "array_mask.tif"
    assert ((result.mask() == 255) == np.ma.getmaskarray(band)).all()


def test_an_open_dataset_and_a_warped_one(scene, tiny_model, tmp_path):
    path, _, _, labels = scene
    with rasterio.open(path) as dataset:
        result = rsclip.segment(dataset, WORDS, model=tiny_model)
        assert np.array_equal(result.mask(), labels)
        assert result.scene == str(path)
        with WarpedVRT(dataset, crs="EPSG:3857") as warped:
            result = rsclip.segment(warped, WORDS, tmp_path / "w", model=tiny_model)
            assert result.mask().shape == warped.shape
            assert rasterio.open(result.mask_path).crs == warped.crs
    with rasterio.MemoryFile(path.read_bytes()) as memory, memory.open() as dataset:
        assert np.array_equal(rsclip.segment(dataset, WORDS, model=tiny_model).mask(), labels)
    with pytest.raises(OptionError, match="closed"):
        rsclip.segment(dataset, WORDS, model=tiny_model)


def test_a_dataarray(scene, tiny_model):
    rioxarray = pytest.importorskip("rioxarray")
    path, _, place, labels = scene
    with rioxarray.open_rasterio(path) as array:
        for given in (array, array.transpose("y", "x", "band")):
            result = rsclip.segment(given, WORDS, model=tiny_model)
            assert np.array_equal(result.mask(), labels)
            with rasterio.open(result.mask_path) as mask:
                assert (mask.transform, mask.crs) == (place["transform"], place["crs"])
        with pytest.raises(OptionError, match="is no scene"):
            rsclip.segment(array.expand_dims("time"), WORDS, model=tiny_model)


def test_a_missing_extra_is_named(scene, tiny_model, monkeypatch):
    rioxarray = pytest.importorskip("rioxarray")
    with rioxarray.open_rasterio(scene[0]) as array:
        monkeypatch.setitem(sys.modules, "rioxarray", None)
        with pytest.raises(OptionError, match=r"pip install 'rsclip\[xarray\]'"):
            rsclip.segment(array, WORDS, model=tiny_model)


@pytest.mark.parametrize(
    ("given", "place", "says"),
    [
        (np.zeros((64, 64, 3), np.uint8), {}, r"array\.transpose\(2, 0, 1\)"),
        (np.zeros((2, 3, 64, 64), np.uint8), {}, r"Give \(C, H, W\)"),
        (np.zeros((3, 0, 64), np.uint8), {}, r"Give \(C, H, W\)"),
        (np.zeros((3, 64, 64), bool), {}, "pixels cannot be bool"),
        (np.zeros((3, 64, 64), np.uint8), {"transform": (1, 2)}, "six numbers"),
        (np.zeros((3, 64, 64), np.uint8), {"crs": "nowhere"}, "EPSG:32633"),
        ([[1]], {}, "cannot be a list"),
        (None, {}, "cannot be a NoneType"),
        ("a.tif", {"crs": "EPSG:4326"}, "only an array takes"),
    ],
)
def test_what_is_no_scene_is_refused(given, place, says, tiny_model):
    with pytest.raises(OptionError, match=says):
        rsclip.segment(given, WORDS, model=tiny_model, **place)


def test_a_model_by_name_loaded_or_of_open_clip(scene, tiny_model, tmp_path):
    path, pixels, _, labels = scene
    loaded = rsclip.load_model(tiny_model)
    assert isinstance(loaded, rsclip.Backbone)
    result = rsclip.segment(path, WORDS, tmp_path / "b", model=loaded)
    assert np.array_equal(result.mask(), labels)
    images = pixels[:, :64, :64].transpose(1, 2, 0)[np.newaxis]
    by_name = rsclip.similarity(tiny_model, images, ["road"])
    assert np.array_equal(by_name, rsclip.similarity(loaded, images, ["road"]))
    assert np.array_equal(by_name, rsclip.similarity(loaded.model, images, ["road"]))


def test_masks_of_an_arrays_bands_hold_as_those_of_a_file(tmp_path):
    pixels = np.full((3, 20, 30), 90, "uint8")
    masks = np.zeros(pixels.shape, bool)
    masks[0, :4] = masks[2, :, :6] = True
    path = as_file(np.ma.masked_array(pixels, masks), tmp_path)
    with Scene.open(path) as scene:
        assert np.array_equal(scene.read(Window(0, 0, 20, 30))[1], ~masks.any(axis=0))
    with Scene.open(path, bidx=[3]) as scene:
        assert np.array_equal(scene.read(Window(0, 0, 20, 30))[1], ~masks[2])


def test_an_array_masked_by_a_nodata_value_is_nodata_where_every_band_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 2, (3, 20, 30)).astype("uint8")
    source = write_raster(tmp_path / "source.tif", pixels, nodata=0)
    with rasterio.open(source) as dataset:
        array, expected = dataset.read(masked=True), dataset.dataset_mask() > 0
    with Scene.open(as_file(array, tmp_path)) as scene:
        assert np.array_equal(scene.read(Window(0, 0, 20, 30))[1], expected)


@pytest.mark.parametrize("masked", [False, True])
def test_a_full_temporary_folder_is_named(small_disk, masked):
    folder = small_disk(64)
    pixels = np.random.default_rng(1).integers(0, 255, (3, 300, 300)).astype("uint8")
    if masked:
        folder = small_disk(300)
        pixels = np.ma.masked_array(pixels, pixels % 2 == 0)
    with pytest.raises(WriteError, match=r"temporary folder.*TMPDIR"):
        as_file(pixels, folder)


@pytest.mark.parametrize("nodata", [-9999, 300, float("nan")])
def test_a_nodata_value_that_no_pixel_can_have_is_none(tmp_path, nodata):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("rioxarray")
    grid = {"y": [1.5, 0.5], "x": [0.5, 1.5]}
    array = xarray.DataArray(np.ones((3, 2, 2), "uint8"), grid, ("band", "y", "x"))
    with rasterio.open(as_file(array.assign_attrs(_FillValue=nodata), tmp_path)) as dataset:
        assert dataset.nodata is None
        assert dataset.read().all()
