"""Areas and perimeters where a grid reaches beyond the edge of the Earth."""

import warnings

import numpy as np
import pyproj
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin

import rsclip
from rsclip.errors import RsclipWarning
from rsclip.geo.area import GroundArea
from tests.rasters import raster, write_raster

EARTH = 510_065_621_724_088.0  # WGS 84
# What a satellite 35,786 km up sees of a sphere, 6378.1 / 42164 being the cosine of its rim.
CAP = EARTH / 2 * (1 - 6378.137 / 42164.16)
GEOS = "+proj=geos +h=35786023 +lon_0=0 +sweep=y +ellps=WGS84"
WORLDS = {
    "Mollweide": ("ESRI:54009", from_origin(-18.04e6, 9.02e6, 5e4, 5e4), (361, 722), EARTH),
    "coarse": ("ESRI:54009", from_origin(-18.1e6, 9.1e6, 1e5, 1e5), (182, 362), EARTH),
    "Robinson": ("ESRI:54030", from_origin(-17.1e6, 8.7e6, 5e4, 5e4), (348, 684), EARTH),
    "sinusoidal": ("+proj=sinu +ellps=WGS84", from_origin(-20.1e6, 10.1e6, 5e4, 5e4),
                   (404, 804), EARTH),
    "lobes": ("+proj=igh +ellps=WGS84", from_origin(-20.1e6, 8.8e6, 5e4, 5e4), (352, 804), EARTH),
    "geostationary": (GEOS, from_origin(-5.6e6, 5.6e6, 25e3, 25e3), (448, 448), CAP),
    "turned": ("ESRI:54009", Affine.rotation(20) @ Affine(1e5, 0, -20e6, 0, -1e5, 20e6),
               (400, 400), EARTH),
}  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore:.*beyond the edge")


def ground(name):
    crs, transform, shape, _ = WORLDS[name]
    return GroundArea(CRS.from_user_input(crs), transform, shape)


def centres_on_earth(name):
    """Return which pixels' centres have a place that leads back to them."""
    crs, transform, shape, _ = WORLDS[name]
    rows, cols = np.indices(shape) + 0.5
    x, y = transform @ (cols, rows)
    there = pyproj.Transformer.from_crs(crs, pyproj.CRS(crs).geodetic_crs, always_xy=True)
    back = there.transform(*there.transform(x, y), direction="INVERSE")
    return (abs(back[0] - x) < 1) & (abs(back[1] - y) < 1)


@pytest.mark.parametrize("name", WORLDS)
def test_pixels_add_up_to_the_earth_and_none_is_negative(name):
    area = ground(name)
    rows = area.rows(0, WORLDS[name][2][0])
    assert rows.min() == 0
    assert rows.sum() == pytest.approx(WORLDS[name][3], rel=5e-3)
    assert area.total() == pytest.approx(rows.sum(), rel=1e-9)
    # Strips give what the whole gives.
    np.testing.assert_array_equal(area.rows(100, 117), rows[100:117])
    on = centres_on_earth(name)
    # Where the map meets itself a pixel's middle may lie in the gap.
    assert (rows[on] > 0).all()
    assert (rows[~on] > 0).sum() < 2 * sum(rows.shape)


@pytest.mark.parametrize("name", ["Mollweide", "coarse", "Robinson", "sinusoidal"])
@pytest.mark.parametrize("simplify", [None, 6e4])
def test_polygons_of_the_whole_earth(tmp_path, name, simplify):
    crs, transform, _, _ = WORLDS[name]
    labels = centres_on_earth(name).astype("uint8")
    path = write_raster(tmp_path / "m.tif", labels[None], crs=crs, transform=transform)
    frame = rsclip.polygonize(path, simplify=simplify)
    assert frame.area_m2.sum() == pytest.approx(EARTH, rel=1e-2)
    assert (frame.area_m2 > 0).all()
    assert 0.5 < frame.perimeter_m.sum() / frame.length.sum() < 1.5


@pytest.mark.parametrize("simplify", [None, 5e4])
def test_polygons_up_to_the_limb_add_up_to_the_pixels(tmp_path, simplify):
    crs, transform, shape, _ = WORLDS["geostationary"]
    blocks = np.kron(np.arange(56 * 56).reshape(56, 56) * 7 % 5 + 1, np.ones((8, 8)))
    labels = blocks.astype("uint8")
    path = write_raster(tmp_path / "m.tif", labels[None], crs=crs, transform=transform)
    frame = rsclip.polygonize(path, simplify=simplify)
    assert (frame.area_m2 >= 0).all()
    rows = ground("geostationary").rows(0, shape[0])
    for value, area in frame.groupby("class_id").area_m2.sum().items():
        expected = rows[labels == value].sum()
        assert area == pytest.approx(expected, rel=1e-9 if simplify is None else 3e-2)
    assert frame.area_m2.sum() == pytest.approx(CAP, rel=1e-2)
    assert np.isfinite(frame.perimeter_m).all()
    # A pixel on the limb lies aslant: its ground is some fifteen times as long.
    assert (frame.perimeter_m < 15 * frame.length).all()


def test_what_lies_off_the_earth_is_told():
    with pytest.warns(RsclipWarning, match="parts of the grid lie beyond the edge"):
        ground("Mollweide")
    with pytest.warns(RsclipWarning, match="the map's own plane"):
        plane = GroundArea(CRS.from_user_input(GEOS), from_origin(6e6, 6e6, 1e3, 1e3), (9, 9))
    assert plane.total() == pytest.approx(81e6)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:3857", from_origin(20037508 - 200, 6e6, 1, 1)),
        ("EPSG:4087", from_origin(20037508 - 2e5, 6e6, 1e3, 1e3)),
        ("EPSG:32601", from_origin(280000, 5300000, 30, 30)),
        ("EPSG:3413", from_origin(-5000, 5000, 25, 25)),
    ],
)
def test_the_date_line_and_the_poles_are_no_edge(crs, transform):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RsclipWarning)
        area = GroundArea(CRS.from_user_input(crs), transform, (400, 400)).rows(0, 400)
    assert area.min() > 0.3 * transform.a**2


def test_grads_are_not_degrees():
    # Lambert zone II, whose base counts longitude in grads.
    area = GroundArea(CRS.from_epsg(27572), from_origin(6e5, 2.2e6, 10, 10), (300, 400))
    assert area.total() == pytest.approx(12e6, rel=1e-3)


def test_a_geostationary_scene():
    path = raster("rio-cogeo/image_geos.tif")
    with rasterio.open(path) as dataset:
        area = GroundArea(dataset.crs, dataset.transform, dataset.shape)
        rows = area.rows(0, dataset.height)
    assert rows.min() == 0
    # 10 km pixels, more than forty times as large at the limb.
    assert 1e8 < rows.max() < 5e9
    assert CAP / 2 < rows.sum() < CAP
