"""The mask against what was put in: grid, pixels, colours, COG layout."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.crs import CRS
from rio_cogeo.cogeo import cog_validate

from rsclip.errors import WriteError
from rsclip.outputs.rasters.mask import MaskWriter
from rsclip.outputs.rasters.pam import write_pam
from rsclip.words.legend import load_legend

UTM = CRS.from_epsg(32632)
NORTH_UP = Affine(0.5, 0, 500000.25, 0, -0.5, 5e6)
ROTATED = Affine(1.7, 1.5, 500000.25, 1.0, -2.6, 5e6)
SOUTH_UP = Affine(10, 0, 0, 0, 10, 0.5)
ROTATED_POLE = CRS.from_wkt(
    'GEOGCRS["rotated pole",BASEGEOGCRS["WGS 84",DATUM["World Geodetic System 1984",'
    'ELLIPSOID["WGS 84",6378137,298.257223563]]],DERIVINGCONVERSION["pole",'
    'METHOD["PROJ ob_tran o_proj=longlat"],PARAMETER["o_lon_p",0],PARAMETER["o_lat_p",39.25],'
    'PARAMETER["lon_0",18]],CS[ellipsoidal,2],AXIS["longitude",east],AXIS["latitude",north],'
    'ANGLEUNIT["degree",0.0174532925199433]]'
)
LANDCOVER = load_legend("set:landcover")
MANY = load_legend([f"w{index}" for index in range(300)])


def labels_of(shape, legend, seed=0):
    values = np.array([*legend.colours, legend.nodata], legend.dtype)
    coarse = np.random.default_rng(seed).choice(values, (shape[0] // 7 + 1, shape[1] // 7 + 1))
    return np.kron(coarse, np.ones((7, 7), legend.dtype))[: shape[0], : shape[1]]


def write(path, labels, legend=LANDCOVER, crs=UTM, transform=NORTH_UP, rows=64, tags=None):
    with MaskWriter(path, labels.shape, crs, transform, legend, tags or {}) as writer:
        for row in range(0, len(labels), rows):
            writer.write(row, labels[row : row + rows])
        assert writer.finish() == path
    return path


@pytest.mark.parametrize(
    ("shape", "legend", "crs", "transform"),
    [
        ((700, 1100), LANDCOVER, UTM, NORTH_UP),
        ((1300, 530), MANY, UTM, ROTATED),
        ((20, 20), LANDCOVER, UTM, SOUTH_UP),
        ((1, 1), LANDCOVER, None, NORTH_UP),
        ((1, 1), MANY, None, Affine.identity()),
        ((600, 520), LANDCOVER, None, SOUTH_UP),
        ((130, 30), LANDCOVER, CRS.from_epsg(4326), Affine.identity()),
        ((64, 64), LANDCOVER, CRS.from_user_input("ESRI:54009"), ROTATED),
        ((64, 64), LANDCOVER, ROTATED_POLE, NORTH_UP),
    ],
)
def test_mask_is_the_scenes_grid_and_the_labels(tmp_path, shape, legend, crs, transform):
    labels = labels_of(shape, legend)
    path = write(tmp_path / "a_mask.tif", labels, legend, crs, transform)
    # As the pipeline does: names join whatever GDAL had to put beside the file.
    write_pam(tmp_path / "a_mask.tif.aux.xml", legend)
    with rasterio.open(path) as mask:
        assert mask.shape == shape
        assert mask.crs == crs
        assert mask.transform.almost_equals(transform, 1e-9)
        assert mask.dtypes == (legend.dtype,)
        assert mask.nodata == legend.nodata
        np.testing.assert_array_equal(mask.read(1), labels)
        np.testing.assert_array_equal(mask.dataset_mask() == 0, labels == legend.nodata)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        valid, errors, notes = cog_validate(path, strict=True)
    assert (valid, errors, notes) == (True, [], [])


@pytest.mark.parametrize("legend", [LANDCOVER, MANY], ids=["uint8", "uint16"])
def test_mask_carries_colours_tags_and_layout(tmp_path, legend):
    tags = {"TIFFTAG_SOFTWARE": "rsclip 1", "RSCLIP_CLASSES": '[{"name":"Wäld <&>"}]'}
    path = write(tmp_path / "m.tif", labels_of((1200, 1500), legend), legend, tags=tags)
    with rasterio.open(path) as mask:
        table = mask.colormap(1)
        assert all(table[value][:3] == colour for value, colour in legend.colours.items())
        assert all(table[value][3] == 255 for value in legend.colours)
        assert table[legend.nodata][3] == 0
        assert tags.items() <= mask.tags().items()
        assert mask.descriptions == ("class",)
        assert mask.block_shapes == [(512, 512)]
        assert mask.compression.name == "deflate"
        assert mask.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert mask.overviews(1)
    assert [item.name for item in tmp_path.iterdir()] == ["m.tif"]


def test_overviews_hold_only_labels_that_are_there(tmp_path):
    labels = np.where(labels_of((1100, 1100), LANDCOVER) % 2, 1, 14).astype("uint8")
    path = write(tmp_path / "m.tif", labels)
    with rasterio.open(path, overview_level=0) as mask:
        assert set(np.unique(mask.read(1))) == {1, 14}


@pytest.mark.parametrize("rows", [1, 37, 128, 300, 1000])
def test_any_number_of_rows_a_time_gives_the_same_file(tmp_path, rows):
    labels = labels_of((333, 90), LANDCOVER)
    expected = write(tmp_path / "all.tif", labels, rows=333).read_bytes()
    assert write(tmp_path / "some.tif", labels, rows=rows).read_bytes() == expected


def test_views_of_larger_arrays_are_written_right(tmp_path):
    whole = labels_of((300, 200), LANDCOVER)
    with rasterio.open(write(tmp_path / "m.tif", whole[::2, ::-1])) as mask:
        np.testing.assert_array_equal(mask.read(1), whole[::2, ::-1])


def test_wrong_rows_are_refused(tmp_path):
    labels = labels_of((100, 50), LANDCOVER)
    with MaskWriter(tmp_path / "m.tif", (100, 50), UTM, NORTH_UP, LANDCOVER, {}) as writer:
        writer.write(0, labels[:40])
        for row, part in [
            (0, labels[:10]),
            (50, labels[:10]),
            (40, labels[:, :49]),
            (40, labels[:10].astype("uint16")),
            (40, labels[:61]),
        ]:
            with pytest.raises(ValueError, match=r"row|labels"):
                writer.write(row, part)
        with pytest.raises(ValueError, match="40 of 100 rows"):
            writer.finish()
    assert list(tmp_path.iterdir()) == []


def test_a_copy_cut_short_is_never_taken_for_whole(tmp_path, monkeypatch):
    labels = np.random.default_rng(0).integers(0, 15, (1100, 700), "uint8")
    copy = rasterio.shutil.copy

    def cut(source, target, **options):
        copy(source, target, **options)
        with Path(target).open("r+b") as file:
            file.truncate(file.seek(0, 2) - 1000)

    monkeypatch.setattr(rasterio.shutil, "copy", cut)
    with pytest.raises(WriteError, match=r"m\.tif: cannot be written"):
        write(tmp_path / "m.tif", labels)


def test_a_copy_of_other_labels_is_never_taken_for_whole(tmp_path, monkeypatch):
    labels = labels_of((200, 200), LANDCOVER)
    copy = rasterio.shutil.copy

    def lose_a_block(source, target, **options):
        with rasterio.open(source, "r+") as dataset:
            dataset.write(np.zeros((1, 1, 1), "uint8"), window=((150, 151), (3, 4)))
        copy(source, target, **options)

    labels[150, 3] = 7
    monkeypatch.setattr(rasterio.shutil, "copy", lose_a_block)
    with pytest.raises(WriteError, match="cannot be read back"):
        write(tmp_path / "m.tif", labels)


@pytest.mark.parametrize(
    ("given", "kept"),
    [(UTM, CRS.from_epsg(32633)), (UTM, CRS.from_wkt('LOCAL_CS["lost",UNIT["metre",1]]')),
     (CRS.from_epsg(4326), UTM), (None, UTM)],
)  # fmt: skip
def test_a_mask_in_another_crs_is_never_taken_for_whole(tmp_path, monkeypatch, given, kept):
    copy = rasterio.shutil.copy

    def copy_elsewhere(source, target, **options):
        with rasterio.open(source, "r+") as draft:
            draft.crs = kept
        copy(source, target, **options)

    monkeypatch.setattr(rasterio.shutil, "copy", copy_elsewhere)
    with pytest.raises(WriteError, match="its CRS was read back as"):
        write(tmp_path / "mask.tif", labels_of((64, 64), LANDCOVER), crs=given)


def test_a_folder_that_is_not_there_is_a_write_error(tmp_path):
    with pytest.raises(WriteError, match="cannot be written"):
        MaskWriter(tmp_path / "none" / "m.tif", (5, 5), UTM, NORTH_UP, LANDCOVER, {})


MEMORY_SCRIPT = """
import resource, sys, numpy as np
from affine import Affine
from rsclip.words.legend import load_legend
from rsclip.outputs.rasters.mask import MaskWriter
height = int(sys.argv[1])
strip = np.random.default_rng(0).integers(0, 15, (128, 4000), "uint8")
legend = load_legend("set:landcover")
with MaskWriter(sys.argv[2], (height, 4000), None, Affine.scale(2), legend, {}) as writer:
    for row in range(0, height, 128):
        writer.write(row, strip[: height - row])
    writer.finish()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_height(tmp_path):
    pytest.importorskip("resource")
    peaks = []
    for height in (1500, 9000):
        target = str(tmp_path / f"{height}.tif")
        arguments = [sys.executable, "-c", MEMORY_SCRIPT, str(height), target]
        done = subprocess.run(arguments, check=True, capture_output=True, text=True)
        peaks.append(int(done.stdout))
    # The larger mask has 30 MB more pixels.
    assert peaks[1] - peaks[0] < 20_000
