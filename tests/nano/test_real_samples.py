"""Real scenes whose truth is polygons or a raster of another type, on samples made here."""

import os
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from shapely.geometry import box

from rsclip.errors import InputError
from rsclip.nano import real_samples
from rsclip.nano.real import BIT, VARIABLE, RealSet
from rsclip.nano.real_samples import SAMPLES, Sample, samples

GRID = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_300_000, 1, 1)}
TOWN = RealSet("town", 1.0, {0: ("grassland",), 4: ("building",)}, lambda name: False)


@pytest.fixture
def town(tmp_path):
    folder = tmp_path / "town"
    folder.mkdir()

    def write(name, array, **more):
        with rasterio.open(
            folder / name, "w", driver="GTiff", count=len(array), dtype=array.dtype,
            height=4, width=6, **GRID, **more,
        ) as dataset:  # fmt: skip
            dataset.write(array)

    rows = ["file\tlicence", "a.tif\tCC BY 4.0", "b.tif\tMIT"]
    (folder / "README.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    write("a.tif", np.full((3, 4, 6), 80, np.uint8))
    ramp = np.linspace(1000, 3000, 24).reshape(1, 4, 6).astype(np.uint16)
    write("b.tif", ramp * np.array([1, 2, 3], np.uint16).reshape(3, 1, 1))
    truth = np.zeros((1, 4, 6), np.int16)
    truth[0, 0] = (4, 4, -1, 0, 0, 0)
    write("b_truth.tif", truth)
    polygons = gpd.GeoDataFrame(
        {"code": [4]}, geometry=[box(500_001, 5_299_998, 500_003, 5_299_999)], crs=GRID["crs"]
    )
    polygons.to_crs("EPSG:4326").to_file(folder / "a.gpkg")
    return tmp_path


def test_polygons_are_burnt_and_rasters_read_on_the_grid_of_the_image(town, monkeypatch):
    of_set = (Sample("a.tif", "a.gpkg", field="code"), Sample("b.tif", "b_truth.tif"))
    monkeypatch.setattr(real_samples, "SAMPLES", ((TOWN, of_set),))
    burnt, read = samples(town)
    wanted = np.full((4, 6), BIT["grassland"])
    wanted[1, 1:3] = BIT["building"]
    np.testing.assert_array_equal(burnt.allowed, wanted)
    assert read.allowed[0].tolist() == [BIT["building"]] * 2 + [0] + [BIT["grassland"]] * 3
    assert read.truth[0].tolist() == [1, 1, -1, 0, 0, 0]
    assert (burnt.licence, read.licence) == ("CC BY 4.0", "MIT")
    assert read.pixels.dtype == np.uint8
    assert (read.pixels.min(), read.pixels.max()) == (0, 255)


def test_a_sample_without_a_licence_is_refused(town, monkeypatch):
    monkeypatch.setattr(real_samples, "SAMPLES", ((TOWN, (Sample("b_truth.tif", "a.gpkg"),)),))
    with pytest.raises(InputError, match=r"does not name b_truth\.tif"):
        list(samples(town))


def test_the_real_samples_have_licences_and_truth():
    folder = Path(os.environ.get(VARIABLE, "absent"))
    if not all((folder / of.name).is_dir() for of, _ in SAMPLES):
        pytest.skip(f"the samples are not at hand: set {VARIABLE} to the folder of real imagery")
    for image in samples(folder):
        assert image.licence
        assert image.truth.max() >= 1
        assert image.pixels.std() > 5
