"""Which scenes a batch has, and where their outputs go."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import rasterio.shutil
from rasterio.drivers import raster_driver_extensions
from rasterio.errors import RasterioError

from rsclip.batch import run_batch
from rsclip.batch.manifest import Manifest
from rsclip.batch.scenes import find_scenes
from rsclip.errors import InputError, OptionError, OutputError, RsclipWarning
from rsclip.scene.source import stem_of
from tests.batch import workers
from tests.rasters import write_raster


def found(*arguments, **options):
    entries = find_scenes(arguments, "nowhere", **options)
    return [(Path(entry.source).name, entry.folder) for entry in entries]


def test_a_folder_keeps_its_layout(folder):
    assert found(folder) == [("a.tif", "")]
    assert found(folder, recursive=True) == [
        ("a.tif", ""), ("b.tif", "north"), ("bad.tif", "north"), ("c.TIF", "north/deep"),
    ]  # fmt: skip


def test_a_folder_inside_that_may_not_be_read_is_left_out_and_said(folder, monkeypatch):
    scandir = os.scandir

    def refused(path):
        if str(path).endswith("deep"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.warns(RsclipWarning, match=r"deep: its scenes are left out .Permission denied"):
        assert ("c.TIF", "north/deep") not in found(folder, recursive=True)


def test_a_pattern_keeps_what_is_below_its_fixed_part(folder):
    assert found(f"{folder}/*/b*.tif") == [("b.tif", "north"), ("bad.tif", "north")]
    assert found(f"{folder}/**/*.[tT][iI][fF]") == found(folder, recursive=True)
    # Any file that a pattern names is meant.
    assert found(f"{folder}/north/*.md") == [("notes.md", "")]


def test_one_scene_named_twice_is_one(folder):
    assert found(folder / "a.tif", folder, f"{folder}/a.t*") == [("a.tif", "")]


def test_urls_and_virtual_paths_are_left_as_they_are():
    names = ["https://host/x.tif?k=[1]*", "/vsizip//a.zip/b.tif", 'NETCDF:"c.nc":red']
    assert [entry.source for entry in find_scenes(names, "nowhere")] == names


def test_a_colon_in_a_name_is_only_a_colon(folder, tmp_path):
    """Times of day in names; drivers' names before names stay what they are."""
    stamped = folder / "S2:2023-01-01T10:20:30.tif"
    (folder / "a.tif").rename(stamped)
    (folder / "cube.nc").write_bytes(b"")
    (folder / "1").mkdir()
    path = folder / "list.txt"
    path.write_text(
        'HDF5:"cube.nc"://c/b\nHDF5:cube.nc://b\n'
        f'{stamped.name}\nNETCDF:"cube.nc":red\nGTIFF_DIR:1:north/b.tif\nhttps://host/x.tif\n'
        f'NETCDF:"{folder}/cube.nc":blue\nWMS:https://host/wms\n'
    )
    entries = find_scenes([path], "nowhere")
    assert [entry.source for entry in entries] == [
        f'HDF5:"{folder}/cube.nc"://c/b', f"HDF5:{folder}/cube.nc://b",
        str(stamped), f'NETCDF:"{folder}/cube.nc":red', f"GTIFF_DIR:1:{folder}/north/b.tif",
        "https://host/x.tif", f'NETCDF:"{folder}/cube.nc":blue', "WMS:https://host/wms",
    ]  # fmt: skip
    assert stem_of(stamped) == "S2:2023-01-01T10:20:30"
    stamped.unlink()
    assert stem_of(stamped) == "S2:2023-01-01T10:20:30"
    long = f"{'x' * 300}.tif"
    path.write_text(f'{stamped.name}\nNETCDF:"gone.nc":red\nHDF5:"gone.h5"://x\n{long}\n')
    with pytest.raises(InputError, match="4 files are missing") as caught:
        find_scenes([path], "nowhere")
    assert "line 1: S2:2023-01-01T10:20:30.tif; line 2: NETCDF" in str(caught.value)
    with pytest.raises(InputError, match=r"S2:2023-01-01T10:20:30\.tif: no such file"):
        find_scenes([stamped.name], "nowhere")


def test_outputs_of_earlier_runs_are_no_scenes(folder):
    for name in ("a_mask.tif", "a_confidence.tif", "a_run.json", "north/b_mask.tif"):
        (folder / name).write_text("")
    with Manifest(folder) as manifest:
        manifest.append_extras(["mosaic.vrt"])
    (folder / "mosaic.vrt").write_text("")
    assert found(folder) == [("a.tif", "")]
    # New scenes of like names are scenes; so is a mosaic that no batch wrote.
    (folder / "a_new.tif").write_text("")
    (folder / "mosaic_2020.vrt").write_text("")
    assert found(folder) == [("a.tif", ""), ("a_new.tif", ""), ("mosaic_2020.vrt", "")]
    for name in ("a_new.tif", "mosaic_2020.vrt"):
        (folder / name).unlink()
    (folder / "a_compare.json").write_text("")
    (folder / "a_sclip_mask.tif").write_text("")
    assert found(folder) == [("a.tif", "")]
    # b_mask.tif without b's record is a scene of this name.
    assert ("b_mask.tif", "north") in found(folder, recursive=True)
    inside = find_scenes([folder], folder / "north", recursive=True)
    assert [Path(entry.source).name for entry in inside] == ["a.tif"]


def test_outputs_of_a_run_killed_as_it_published_are_no_scenes(folder):
    (folder / "a_mask.tif").write_text("")
    assert ("a_mask.tif", "") in found(folder)
    (folder / ".rsclip-a_run.json").mkdir()
    assert found(folder) == [("a.tif", "")]


def test_a_text_list(folder):
    path = folder / "list.txt"
    path.write_text("\ufeff# of today\n\nnorth/b.tif\n  a.tif  \nhttps://host/z.tif\n")
    assert found(path) == [("b.tif", "north"), ("a.tif", ""), ("z.tif", "")]


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_table_may_name_classes_bands_gsd_and_folder(folder, separator):
    path = folder / "list.csv"
    rows = [
        ["path", "classes", "bands", "gsd", "folder"],
        ["a.tif", '"water, road"', '"3,2,1"', "0.5", "2024/x"],
        ["north/b.tif", "", "", "", ""],
    ]
    path.write_text("\r\n".join(separator.join(row) for row in rows))
    first, second = find_scenes([path], "nowhere")
    if separator == ",":
        assert first.classes == "water, road"
        assert first.settings == {"bidx": [3, 2, 1], "gsd": 0.5}
        assert (first.folder, second.folder) == ("2024/x", "north")
        assert (second.classes, dict(second.settings)) == (None, {})
    assert Path(second.source) == folder / "north/b.tif"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("scene,clases\na.tif,x\n", "unknown column 'clases'"),
        ("classes\nx\n", "no column `scene`"),
        ("scene,path\na.tif,b.tif\n", "is named twice"),
        ("scene,bands\na.tif,3,2,1\n", "4 cells, the header 2"),
        ("scene,bands\na.tif,red\n", "bands 'red': not a number"),
        ("scene,folder\na.tif,../up\n", "not below the output folder"),
        ("scene\n", "names no scene"),
        ("scene\nx.tif\na.tif\ny/z.tif\n", "2 files are missing: line 2: x.tif; line 4: y/z.tif"),
        ('scene\n"a.tif\n', "not valid CSV at line 2"),
    ],
)
def test_a_bad_table_is_refused(folder, text, says):
    path = folder / "list.csv"
    path.write_text(text)
    with pytest.raises((InputError, OptionError), match=says) as caught:
        find_scenes([path], "nowhere")
    assert str(path) in str(caught.value)


def test_nothing_to_do_is_said(folder, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for given, says in (
        (empty, "the folder is empty"),
        (f"{folder}/*.jp2", "nothing matches"),
        (folder / "absent.tif", "no such file or folder"),
        (folder / "absent.csv", "no such list"),
    ):
        with pytest.raises(InputError, match=says):
            find_scenes([given], "nowhere")
    (folder / "a.tif").unlink()
    with pytest.raises(InputError, match="use recursive=True"):
        find_scenes([folder], "nowhere")
    with pytest.raises(InputError, match="no scene was named"):
        find_scenes([], "nowhere")


def test_two_scenes_of_one_name_are_refused(folder):
    (folder / "A.vrt").write_text("")
    with pytest.raises(OutputError, match=r"A.vrt and .*a.tif.* both would be written"):
        find_scenes([folder], "nowhere")


def test_an_output_folder_that_cannot_be_looked_at_is_refused(rsclip, folder, tmp_path):
    for command in ("segment", "batch"):
        done = rsclip(command, folder / "a.tif", "--classes", "a, b", "-o", tmp_path / ("x" * 300))
        assert done.exit_code == 2
        assert "the output folder cannot be written: File name too long" in done.stderr


def test_a_folder_gives_scenes_of_every_format_but_no_quicklook_and_no_picture_of_ours(tmp_path):
    folder = tmp_path / "scenes"
    folder.mkdir()
    wanted = ["a.JPG", "b.jpeg", "c.png", "d.jp2", "e.vrt", "f.img", "g.tif", "h.cub"]
    others = [
        "g.jpg",
        "g.png",
        "c_preview.png",
        "c_run.json",
        "d_compare.png",
        "d_compare.json",
        "c.png.aux.xml",
        "g.tif.ovr",
        "x.txt",
    ]
    for name in wanted + others:
        (folder / name).write_bytes(b"")
    found = find_scenes([str(folder)], tmp_path / "out")
    assert sorted(Path(entry.source).name for entry in found) == sorted(wanted)


def test_photographs_without_a_place_on_earth_are_segmented(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (3, 64, 64), np.uint8)
    write_raster(folder / "DJI_0001.JPG", pixels, driver="JPEG", crs=None, transform=None)
    report = run_batch([folder], "bright, dark", tmp_path / "out", model_loader=workers.plain)
    assert [outcome.status for outcome in report.outcomes] == ["done"]


def test_a_folder_takes_every_raster_format_of_gdal(folder):
    """Found by GDAL's own list, and read: one file of each format that can be written here."""
    (folder / "a.tif").unlink()
    pixels = np.full((1, 16, 16), 7, "uint8")
    written = []
    for name in ("vrt", "jp2", "img", "bil", "ntf", "rsw", "pgm", "webp", "mrf"):
        path = folder / f"{name}.{name}"
        driver = raster_driver_extensions().get(name)
        if driver is None:
            continue
        count = 3 if name == "webp" else 1
        source = folder / ".source.tif"
        write_raster(source, np.repeat(pixels, count, axis=0))
        try:
            rasterio.shutil.copy(source, path, driver=driver)
            written.append((path.name, ""))
        except (RasterioError, SystemError):  # a driver that only reads
            path.unlink(missing_ok=True)
    assert len(written) > 4
    for name in ("a.aux.xml", "notes.rst", "paper.pdf", "bil.hdr", "plan.gpkg", "b.txt"):
        (folder / name).touch()
    assert sorted(found(folder)) == sorted(written)
