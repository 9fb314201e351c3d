"""Every raster of the reading table through `rsclip segment`: grid and nodata exact, or refused."""

import json

import numpy as np
import pytest
import rasterio

import rsclip as library
from rsclip.errors import RsclipWarning
from tests.rasters import raster

CLASSES = "building, road, water"

# name -> what the valid mask must be: "mask" is dataset_mask(), "finite" adds NaN of any band.
READABLE = {
    "rasterio/RGB.byte.tif": "mask",
    "rasterio/RGBA.byte.tif": "mask",
    "rasterio/RGBA.uint16.tif": "mask",
    "rasterio/alpha.tif": "mask",
    "rasterio/byte.tif": "mask",
    "rasterio/cogeo.tif": "mask",
    "rasterio/float_nan.tif": "finite",
    "rasterio/rgb1.tif": "mask",
    "rasterio/rotated.tif": "mask",
    "rasterio/test_esri_wkt.tif": "mask",
    "rio-tiler/cog_rgba.tif": "mask",
    "rio-tiler/pix4d_alpha_nodata.tif": "mask",
    "rio-tiler/201404_13SED190110_201404_0x1500m_CL_1.tif": "mask",
    "rio-tiler/201404_13SED190110_201404_0x1500m_CL_1_alpha.tif": "mask",
    "rio-tiler/201404_13SED190110_201404_0x1500m_CL_1_extmask.tif": "mask",
    "rio-tiler/201404_13SED190110_201404_0x1500m_CL_1_mask.tif": "mask",
    "rio-tiler/201404_13SED190110_201404_0x1500m_CL_1_nodata.tif": "mask",
    "rio-tiler/mosaic_cog1.tif": "mask",
    "rio-tiler/rgb.tif": "mask",
    "rio-tiler/cog_cmap.tif": "mask",
    "rio-tiler/cog_dateline.tif": "mask",
    "rio-tiler/cog_nodata_nan.tif": "finite",
    "odc-geo/au-3577-rotated.tif": "finite",
    "opengeos-data/m_4709963_se_14_1_20140720.tif": "mask",
    "torchsat/tiff_8channel_uint8.tif": "mask",
    "torchsat/tiff_3channel_uint8.tif": "mask",
    "rio-cogeo/image_51px.tif": "mask",
    "rio-cogeo/image_171px.tif": "mask",
    "rio-cogeo/image_webp.tif": "mask",
    "rio-cogeo/image_geos.tif": "mask",
}


@pytest.mark.filterwarnings("ignore::rsclip.errors.RsclipWarning")
@pytest.mark.parametrize("name", READABLE)
def test_readable(name, tiny_model, tmp_path):
    scene = raster(name)
    result = library.segment(scene, CLASSES, tmp_path, model=tiny_model, overlap=0)
    with rasterio.open(scene) as source, rasterio.open(result.mask_path) as mask:
        assert mask.crs == source.crs
        assert mask.transform == source.transform
        assert mask.shape == source.shape
        assert mask.nodata == 255
        valid = source.dataset_mask() > 0
        if READABLE[name] == "finite":
            valid &= np.isfinite(source.read(source.indexes[:3])).all(axis=0)
        labels = mask.read(1)
    np.testing.assert_array_equal(labels == 255, ~valid)
    assert set(np.unique(labels[valid])) <= {1, 2, 3}
    record = json.loads(result.record.read_text(encoding="utf-8"))
    assert record["valid_pixels"] == int(valid.sum())


def test_all_nodata(tiny_model, tmp_path):
    scene = raster("rasterio/all-nodata.tif")
    with pytest.warns(RsclipWarning, match="no valid pixel"):
        result = library.segment(scene, CLASSES, tmp_path, model=tiny_model)
    assert (result.mask() == 255).all()


def test_south_up(make_scene, tiny_model, tmp_path):
    upright = make_scene("up.tif")
    with rasterio.open(upright) as source:
        profile, pixels = source.profile, source.read()
    transform = profile["transform"]
    bottom = transform @ (0, profile["height"])
    profile["transform"] = rasterio.Affine(transform.a, 0, bottom[0], 0, -transform.e, bottom[1])
    down = tmp_path / "down.tif"
    with rasterio.open(down, "w", **profile) as target:
        target.write(pixels)
    result = library.segment(down, CLASSES, tmp_path / "out", model=tiny_model)
    with rasterio.open(result.mask_path) as mask:
        assert mask.transform == profile["transform"]
    same = library.segment(upright, CLASSES, tmp_path / "out", model=tiny_model)
    np.testing.assert_array_equal(result.mask(), same.mask())


def test_bands_change_what_is_seen(tiny_model, tmp_path):
    scene = raster("opengeos-data/m_4709963_se_14_1_20140720.tif")
    plain = library.segment(scene, CLASSES, tmp_path / "a", model=tiny_model, overlap=0)
    infrared = library.segment(
        scene, CLASSES, tmp_path / "b", model=tiny_model, overlap=0, bidx=(4, 1, 2)
    )
    assert list(plain.run["scene"]["bands"]) == [1, 2, 3]
    assert list(infrared.run["scene"]["bands"]) == [4, 1, 2]
    assert np.mean(plain.mask() != infrared.mask()) > 0.01


def test_ground_control_points_only(rsclip, tiny_model, tmp_path):
    done = rsclip("segment", raster("rio-tiler/cog_gcps.tif"), "--classes", CLASSES,
                  "--model", tiny_model, "-o", tmp_path / "out")  # fmt: skip
    assert done.exit_code == 2
    assert "gdalwarp" in done.stderr
    assert not (tmp_path / "out").exists()


def test_complex_numbers(rsclip, tiny_model, tmp_path):
    done = rsclip("segment", raster("rio-cogeo/slc.tif"), "--classes", CLASSES,
                  "--model", tiny_model, "-o", tmp_path / "out")  # fmt: skip
    assert done.exit_code == 2
    assert "complex" in done.stderr


def test_damaged(rsclip, tiny_model, tmp_path):
    done = rsclip("segment", raster("rasterio/corrupt.tif"), "--classes", CLASSES,
                  "--model", tiny_model, "-o", tmp_path / "out")  # fmt: skip
    assert done.exit_code == 1, done.output
    assert "corrupt.tif" in done.stderr
    assert "rows" in done.stderr
    assert not (tmp_path / "out").exists()  # made by the run, and empty


def test_no_crs(rsclip, tmp_path, tiny_model, make_scene):
    scene = make_scene(crs=None)
    done = rsclip("segment", scene, "--classes", CLASSES, "--model", tiny_model,
                  "-o", tmp_path / "out")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "CRS" in done.stderr
    with rasterio.open(tmp_path / "out/scene_mask.tif") as mask:
        assert mask.crs is None
