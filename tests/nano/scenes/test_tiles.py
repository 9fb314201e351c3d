"""The committed sample tiles are what the generator writes."""

import math
from itertools import pairwise

import numpy as np
import pytest
import rasterio
import yaml

from rsclip.nano.scenes import CLASSES
from rsclip.nano.scenes.tiles import TILES, write_tiles
from rsclip.vectors.label_raster import LabelRaster

NAMES = [name for tile in TILES for name in tile.names]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles")
    write_tiles(folder)
    return folder


@pytest.fixture
def tiles(repository):
    return repository / "sample_tiles"


def test_eight_tiles_in_ten_megabytes(tiles):
    assert len(NAMES) == 8
    assert {path.name for path in tiles.iterdir()} == {
        *(f"{name}.tif" for name in NAMES),
        *(f"{name}_labels.tif" for name in NAMES),
        *(f"{name}_labels.tif.aux.xml" for name in NAMES),
        "classes.yaml",
        "README.md",
    }
    assert sum(path.stat().st_size for path in tiles.iterdir()) <= 10_000_000


@pytest.mark.parametrize("name", [f"{name}{end}" for name in NAMES for end in ("", "_labels")])
def test_committed_tile_equals_the_regenerated(tiles, written, name):
    """Decoded, not as bytes of the file: another GDAL may deflate otherwise."""
    with rasterio.open(tiles / f"{name}.tif") as old, rasterio.open(written / f"{name}.tif") as new:
        assert old.profile == new.profile
        assert old.descriptions == new.descriptions
        assert old.colorinterp == new.colorinterp
        np.testing.assert_array_equal(old.read(), new.read())


def test_writing_twice_gives_the_same_bytes(written, tmp_path):
    write_tiles(tmp_path)
    for path in written.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_class_file_names_the_classes_in_order(tiles, written):
    text = (tiles / "classes.yaml").read_text(encoding="utf-8")
    assert text == (written / "classes.yaml").read_text(encoding="utf-8")
    classes = yaml.safe_load(text)["classes"]
    assert tuple(entry["name"] for entry in classes) == CLASSES
    assert all(set(entry) == {"name", "words", "colour"} for entry in classes)
    assert len({entry["colour"] for entry in classes}) == len(CLASSES)


def test_labels_carry_the_names(tiles, written):
    for name in NAMES:
        path = tiles / f"{name}_labels.tif"
        with LabelRaster(path) as labels:
            found = labels.names()
        assert [found[value] for value in range(1, len(CLASSES) + 1)] == list(CLASSES)
        beside = f"{path.name}.aux.xml"
        assert (tiles / beside).read_bytes() == (written / beside).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_labels_lie_on_the_image(tiles, name):
    with (
        rasterio.open(tiles / f"{name}.tif") as image,
        rasterio.open(tiles / f"{name}_labels.tif") as labels,
    ):
        assert labels.crs == image.crs
        assert labels.transform == image.transform
        assert labels.shape == image.shape
        assert labels.nodata == 255
        values = set(np.unique(labels.read(1)).tolist())
        assert values <= {*range(1, 15), 255}
        assert (255 in values) == (image.nodata is not None)


def test_all_classes_are_shown(tiles):
    seen = set()
    for name in NAMES:
        with rasterio.open(tiles / f"{name}_labels.tif") as labels:
            values, counts = np.unique(labels.read(1), return_counts=True)
            seen |= set(values[counts > 500].tolist())
    assert seen >= set(range(1, 15))


def test_coast_is_raw_reflectance_with_a_collar(tiles):
    with rasterio.open(tiles / "coast.tif") as image:
        assert (image.count, image.dtypes[0], image.nodata) == (4, "uint16", 0)
        pixels = image.read()
    with rasterio.open(tiles / "coast_labels.tif") as labels:
        collar = labels.read(1) == 255
    assert collar.any()
    np.testing.assert_array_equal((pixels == 0).all(axis=0), collar)
    np.testing.assert_array_equal((pixels == 0).any(axis=0), collar)


def test_farmland_is_in_degrees_with_half_metre_pixels(tiles):
    with rasterio.open(tiles / "farmland.tif") as image:
        assert image.crs.to_epsg() == 4326
        latitude = image.transform.f
        tall = abs(image.transform.e) * 111_200
        wide = image.transform.a * 111_320 * math.cos(math.radians(latitude))
    assert tall == pytest.approx(0.5, rel=0.01)
    assert wide == pytest.approx(0.5, rel=0.01)


def test_solar_park_has_a_turned_grid_of_square_pixels(tiles):
    with rasterio.open(tiles / "solar_park.tif") as image:
        grid = image.transform
        assert image.crs.is_projected
    assert min(abs(grid.b), abs(grid.d)) > 0.1
    assert math.hypot(grid.a, grid.d) == pytest.approx(0.5)
    assert math.hypot(grid.b, grid.e) == pytest.approx(0.5)
    assert grid.a * grid.b + grid.d * grid.e == pytest.approx(0)


def test_neighbours_touch_and_join(tiles):
    parts = ["rail_yard_west", "rail_yard_middle", "rail_yard_east"]
    for left, right in pairwise(parts):
        with rasterio.open(tiles / f"{left}.tif") as a, rasterio.open(tiles / f"{right}.tif") as b:
            assert a.crs == b.crs
            assert (a.bounds.right, a.bounds.top) == (b.bounds.left, b.bounds.top)
            assert a.bounds.bottom == b.bounds.bottom
            first, second = a.read().astype(int), b.read().astype(int)
        seam = np.abs(first[:, :, -1] - second[:, :, 0]).mean()
        inside = np.abs(np.diff(first, axis=2)).mean()
        assert seam < 1.5 * inside, "the seam is rougher than the scene"
