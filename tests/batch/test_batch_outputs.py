"""What a batch writes over all its scenes: mosaic, merged polygons, catalogue."""

import errno
import os
import shutil

import geopandas
import numpy as np
import pyogrio
import pystac
import pytest
import rasterio
import rasterio.shutil

from rsclip.batch import plan_batch, run_batch
from rsclip.batch.manifest import read_extras
from rsclip.config import SegmentConfig
from rsclip.errors import InputError, OptionError, OutputError
from tests.batch import workers
from tests.batch.conftest import CLASSES, Memory
from tests.rasters import write_raster


def place(folder, name, left, top, crs="EPSG:32633", **profile):
    rng = np.random.default_rng(list(name.encode()))
    pixels = np.kron(rng.integers(20, 250, (3, 4, 4)), np.ones((1, 16, 16))).astype("uint8")
    profile.setdefault("transform", rasterio.Affine(2, 0, left, 0, -2, top))
    write_raster(folder / f"{name}.tif", pixels, crs=crs, **profile)


@pytest.fixture
def scenes(tmp_path):
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    place(root, "a", 500000, 5000000)
    place(root / "sub", "b", 500128 + 64, 5000000)  # a gap of 32 pixels
    return root


def run(root, out, listener=None, **options):
    return run_batch([root], CLASSES, out, recursive=True, model_loader=workers.plain,
                     listener=listener, **options)  # fmt: skip


def test_the_mosaic_has_every_mask_in_its_place(scenes, tmp_path):
    out = tmp_path / "out"
    report = run(scenes, out, mosaic=True)
    assert report.extras[1:] == [out / "mosaic.vrt"]
    with rasterio.open(out / "mosaic.vrt") as mosaic, rasterio.open(out / "a_mask.tif") as a, \
            rasterio.open(out / "sub/b_mask.tif") as b:  # fmt: skip
        labels = mosaic.read(1)
        assert labels.shape == (64, 64 + 32 + 64)
        assert mosaic.transform == a.transform
        assert mosaic.crs == a.crs
        np.testing.assert_array_equal(labels[:, :64], a.read(1))
        np.testing.assert_array_equal(labels[:, 96:], b.read(1))
        assert (labels[:, 64:96] == mosaic.nodata).all()
        assert mosaic.colormap(1)[1] == a.colormap(1)[1]


ALL = {"mosaic": True, "merge_polygons": True, "stac_catalog": True}


@pytest.mark.parametrize("name", ["mosaic.vrt", "mosaic_EPSG32633.vrt", "polygons.gpkg",
                                  "catalog.json"])  # fmt: skip
def test_files_that_no_batch_wrote_are_left_alone(scenes, tmp_path, name):
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("the user's own")
    with pytest.raises(OutputError, match=rf"{name}: a file of this name exists, which no batch"):
        run(scenes, out, **ALL)
    assert [path.name for path in out.iterdir()] == [name]
    assert (out / name).read_text() == "the user's own"
    # Of another name, or not asked for: no matter.
    (out / name).rename(out / f"my_{name}")
    run(scenes, out, **ALL)
    again = run(scenes, out, **ALL)
    assert again.count("skipped") == 2
    assert (out / f"my_{name}").read_text() == "the user's own"
    (out / "mosaic.vrt").unlink()
    (out / "mosaic.vrt").write_text("x")
    run(scenes, out, config=SegmentConfig(resume=True, overwrite=True), **ALL)


def test_outputs_beside_inputs_replace_none(scenes):
    place(scenes, "c", 500000, 5000000)
    (scenes / "c.tif").rename(scenes / "mosaic.vrt")
    with pytest.raises(OutputError, match=r"mosaic\.vrt: it is an input"):
        run(scenes, scenes, mosaic=True, config=SegmentConfig(resume=True, overwrite=True))
    (scenes / "mosaic.vrt").unlink()
    place(scenes, "mosaic_2020", 500000, 5000000)
    run(scenes, scenes, mosaic=True)
    assert (scenes / "mosaic_2020.tif").exists()
    # A scene that came since is found; what the batch wrote is none.
    place(scenes, "a_new", 500000, 5000000)
    report = run(scenes, scenes, mosaic=True)
    assert (report.count("done"), report.count("skipped")) == (1, 3)


def test_a_scene_that_is_refused_stays_in_the_mosaic(scenes, tmp_path):
    out = tmp_path / "out"
    run(scenes, out, mosaic=True)
    before = (out / "mosaic.vrt").read_bytes()
    report = run(scenes, out, mosaic=True, config=SegmentConfig(resume=True, logit_scale=30))
    assert report.count("failed") == 2
    assert (out / "mosaic.vrt").read_bytes() == before
    # A retry would only be refused again.
    with pytest.raises(InputError, match="2 were refused"):
        run_batch([], retry_failed=out, model_loader=workers.plain)
    place(scenes, "c", 500000, 5000000)
    memory = Memory()
    run(scenes, out, memory, mosaic=True, config=SegmentConfig(resume=True, logit_scale=30))
    assert [note for note in memory.notes if "other settings than most: c" in note]


def test_one_mosaic_for_each_crs_and_what_cannot_take_part_is_said(scenes, tmp_path):
    place(scenes, "c", 500000, 5000000, crs="EPSG:32634")
    place(scenes, "turned", 0, 0, transform=rasterio.Affine(1, 1, 5e5, 1, -1, 5e6))
    place(scenes, "nowhere", 0, 0, crs=None)
    out, memory = tmp_path / "out", Memory()
    report = run(scenes, out, memory, mosaic=True)
    names = ["manifest.csv", "mosaic_EPSG32633.vrt", "mosaic_EPSG32634.vrt"]
    assert sorted(path.name for path in report.extras) == names
    said = " ".join(memory.notes)
    assert "turned: not in the mosaic: its grid is not north-up" in said
    assert "nowhere: not in the mosaic: it has no CRS" in said


def test_merged_polygons_are_all_polygons(scenes, tmp_path):
    place(scenes, "c", 500000, 5000000, crs="EPSG:32634")
    out, memory = tmp_path / "out", Memory()
    place(scenes, "nowhere", 0, 0, crs=None)
    run(scenes, out, memory, merge_polygons=True)
    merged = geopandas.read_file(out / "polygons.gpkg", layer="polygons")
    parts = [geopandas.read_file(out / f"{name}_polygons.gpkg") for name in ("a", "c", "sub/b")]
    assert len(merged) == sum(map(len, parts)) > 0
    assert set(merged["scene"]) == {"a", "c", "sub/b"}
    assert merged.crs == "EPSG:4326"
    assert merged["area_m2"].sum() == pytest.approx(sum(part["area_m2"].sum() for part in parts))
    assert merged.geometry.is_valid.all()
    assert "layer_styles" in pyogrio.list_layers(out / "polygons.gpkg")[:, 0]
    assert any("nowhere" in text for text in memory.notes)


def test_a_mask_or_polygons_that_somebody_changed_are_left_out(scenes, tmp_path):
    """A tool's float mask, one without nodata, a table in a layer's place: the others count."""
    place(scenes, "c", 500000, 5000000)
    place(scenes, "d", 500000, 5000000)
    out, memory = tmp_path / "out", Memory()
    run(scenes, out, **ALL)
    for name, dtype in (("a", "float32"), ("c", "uint8")):
        with rasterio.open(out / f"{name}_mask.tif") as mask:
            pixels, place_of = mask.read(), {"crs": mask.crs, "transform": mask.transform}
        (out / f"{name}_mask.tif").unlink()
        write_raster(out / f"{name}_mask.tif", pixels.astype(dtype), **place_of)
    (out / "c_polygons.gpkg").write_bytes(b"SQLite format 3\0 cut")
    read = geopandas.read_file(out / "d_polygons.gpkg", layer="polygons")
    (out / "d_polygons.gpkg").unlink()
    pyogrio.write_dataframe(read.drop(columns="geometry"), out / "d_polygons.gpkg",
                            layer="polygons")  # fmt: skip
    # While it is there it stays: what cannot be read now may be there again tomorrow.
    (out / "polygons.gpkg").unlink()
    report = run(scenes, out, memory, **ALL)
    assert report.unwritten == []
    names = {path.name for path in report.extras}
    assert names == {"manifest.csv", "mosaic.vrt", "polygons.gpkg", "catalog.json"}
    why = "its nodata or type is not that of a mask"
    for name in ("a", "c"):
        assert f"{name}: not in the mosaic: {why}" in memory.notes
    for name in ("c", "d"):
        assert any(note.startswith(f"{name}: not in polygons.gpkg: ") for note in memory.notes)
    with rasterio.open(out / "mosaic.vrt") as mosaic:
        assert {path.rpartition("/")[2] for path in mosaic.files} == {
            "mosaic.vrt", "b_mask.tif", "d_mask.tif",
        }  # fmt: skip
    merged = geopandas.read_file(out / "polygons.gpkg", layer="polygons")
    assert set(merged["scene"]) == {"a", "sub/b"}


def test_one_file_over_all_that_fails_keeps_no_other_from_being_written(
    scenes, tmp_path, monkeypatch
):
    def odd(*_):
        raise TypeError("odd")

    monkeypatch.setattr("rsclip.batch.mosaic._vrt", odd)
    report = run(scenes, tmp_path / "out", **ALL)
    (error,) = report.unwritten
    assert "unexpected TypeError: odd" in str(error)
    names = ["manifest.csv", "polygons.gpkg", "catalog.json"]
    assert [path.name for path in report.extras] == names
    assert report.count("done") == 2


def test_no_polygons_are_merged_where_no_scene_has_any(scenes, tmp_path):
    out, memory = tmp_path / "out", Memory()
    none = SegmentConfig(resume=True, vector_format="none")
    with pytest.raises(OptionError, match=r"merge_polygons=True: .*vector_format='none'"):
        run(scenes, out, config=none, merge_polygons=True)
    assert not out.exists()
    run(scenes, out, merge_polygons=True)
    assert (out / "polygons.gpkg").exists()
    held = (out / "polygons.gpkg").read_bytes()
    wholes = {path: path.read_bytes() for path in out.rglob("*_polygons.gpkg")}
    for path in wholes:
        path.write_bytes(b"")
    report = run(scenes, out, memory, merge_polygons=True)
    # A drive may be away for a moment: what was merged before is still good.
    (error,) = report.unwritten
    assert "polygons of a scene cannot be read" in str(error)
    assert (out / "polygons.gpkg").read_bytes() == held
    for path, whole in wholes.items():
        path.write_bytes(whole)
        frame = geopandas.read_file(path, layer="polygons").set_crs(None, allow_override=True)
        path.unlink()
        frame.to_file(path, layer="polygons")
    report = run(scenes, out, memory, merge_polygons=True)
    assert "no polygons.gpkg: no scene has polygons" in memory.notes
    # The earlier batch's would pass for this one's.
    assert any("polygons.gpkg of an earlier batch is removed" in note for note in memory.notes)
    assert not (out / "polygons.gpkg").exists()
    assert [path.name for path in report.extras] == ["manifest.csv"]


@pytest.mark.parametrize("name", ["polygons.gpkg", "catalog.json", "mosaic.vrt"])
def test_a_file_of_the_users_under_a_name_of_ours_stays(scenes, tmp_path, name):
    out = tmp_path / "out"
    options = {"mosaic": True, "merge_polygons": True, "stac_catalog": True}
    run(scenes, out, **options)
    assert name in read_extras(out)
    (out / name).unlink()
    if name == "polygons.gpkg":
        shutil.copy(out / "a_polygons.gpkg", out / name)
    else:
        (out / name).write_text("{}" if name == "catalog.json" else "<VRTDataset/>")
    held = (out / name).read_bytes()
    with pytest.raises(OutputError, match=rf"{name}: .*which no batch wrote"):
        run(scenes, out, **options)
    assert (out / name).read_bytes() == held
    run(scenes, out, config=SegmentConfig(resume=True, overwrite=True), **options)
    assert (out / name).read_bytes() != held


def test_a_name_is_claimed_only_for_what_is_written(scenes, tmp_path):
    out = tmp_path / "out"
    for path in scenes.rglob("*.tif"):
        path.write_bytes(b"")
    run(scenes, out, merge_polygons=True)
    assert read_extras(out) == set()


def test_of_one_crs_it_is_kept(scenes, tmp_path):
    run(scenes, tmp_path / "out", merge_polygons=True)
    merged = geopandas.read_file(tmp_path / "out/polygons.gpkg", layer="polygons")
    assert merged.crs == "EPSG:32633"


def test_the_catalogue_leads_to_every_item(scenes, tmp_path):
    out = tmp_path / "out"
    run(scenes, out, stac_catalog=True)
    catalogue = pystac.Catalog.from_file(str(out / "catalog.json"))
    items = list(catalogue.get_items())
    assert sorted(item.id for item in items) == ["a", "b"]
    catalogue.validate()
    for item in items:
        assert rasterio.open(item.assets["mask"].get_absolute_href()).count == 1


def test_extras_count_scenes_of_earlier_batches(scenes, tmp_path):
    out = tmp_path / "out"
    run(scenes, out)
    again = run(scenes, out, mosaic=True)
    assert again.count("skipped") == 2
    with rasterio.open(out / "mosaic.vrt") as mosaic:
        assert len(mosaic.files) == 3


def test_a_table_of_the_user_is_never_replaced(scenes):
    path = scenes / "manifest.csv"
    path.write_text("scene\na.tif\n")
    with pytest.raises(OutputError, match="no batch wrote"):
        run_batch([path], CLASSES, scenes, model_loader=workers.plain)
    assert path.read_text() == "scene\na.tif\n"


def test_an_area_of_interest_is_an_input(scenes, tmp_path):
    """Even of an earlier batch's own making."""
    out = tmp_path / "out"
    run(scenes, out, merge_polygons=True)
    config = SegmentConfig(resume=True, overwrite=True, aoi=str(out / "polygons.gpkg"))
    with pytest.raises(OutputError, match="it is an input"):
        plan_batch([scenes], CLASSES, out, config=config, merge_polygons=True)


@pytest.mark.parametrize("kind", ["mosaic.vrt", "polygons.gpkg"])
def test_one_scene_that_cannot_be_read_shrinks_no_earlier_file(scenes, tmp_path, kind):
    out, options = tmp_path / "out", {"mosaic": True, "merge_polygons": True}
    run(scenes, out, **options)
    held = (out / kind).read_bytes()
    (out / "a_mask.tif" if kind == "mosaic.vrt" else out / "a_polygons.gpkg").write_bytes(b"")
    (error,) = run(scenes, out, **options).unwritten
    assert "cannot be read" in str(error)
    assert (out / kind).read_bytes() == held


def test_a_merged_layer_that_is_open_is_not_replaced(scenes, tmp_path):
    out = tmp_path / "out"
    run(scenes, out, merge_polygons=True)
    assert sorted(out.glob("polygons.gpkg*")) == [out / "polygons.gpkg"]
    held = (out / "polygons.gpkg").read_bytes()
    (out / "polygons.gpkg-wal").write_bytes(b"")
    (error,) = run(scenes, out, merge_polygons=True).unwritten
    assert "open in another program" in str(error)
    assert (out / "polygons.gpkg").read_bytes() == held


def test_a_copy_of_a_mask_as_vrt_is_no_mosaic_of_ours(scenes, tmp_path):
    out = tmp_path / "out"
    run(scenes, out, mosaic=True)
    rasterio.shutil.copy(out / "a_mask.tif", out / "mosaic.vrt", driver="VRT")
    with pytest.raises(OutputError, match="which no batch wrote"):
        run(scenes, out, mosaic=True)
    for encoding in ("gb2312", "foo"):
        head = f'<?xml version="1.0" encoding="{encoding}"?>'
        (out / "mosaic.vrt").write_text(f"{head}<VRTDataset/>")
        with pytest.raises(OutputError, match="which no batch wrote"):
            run(scenes, out, mosaic=True)


def test_merged_polygons_on_both_sides_of_the_date_line_are_valid(tmp_path):
    root, out, memory = tmp_path / "in", tmp_path / "out", Memory()
    root.mkdir()
    # 180 degrees east at 60 degrees north, in the zones on its two sides.
    place(root, "east", 332705.18 - 64, 6655205.48, crs="EPSG:32601")
    place(root, "west", 667294.82 - 64, 6655205.48, crs="EPSG:32660")
    run(root, out, memory, merge_polygons=True)
    merged = geopandas.read_file(out / "polygons.gpkg", layer="polygons")
    assert merged.geometry.is_valid.all()
    parts = merged.explode()
    assert (parts.bounds.maxx - parts.bounds.minx).max() < 0.01
    assert "MultiPolygon" in set(merged.geom_type)
    wholes = [geopandas.read_file(out / f"{name}_polygons.gpkg") for name in ("east", "west")]
    assert len(merged) == sum(map(len, wholes))
    assert merged["area_m2"].sum() == pytest.approx(sum(part["area_m2"].sum() for part in wholes))


@pytest.mark.parametrize("kind", ["gpkg", "geojson", "fgb", "shp", "parquet"])
def test_polygons_of_every_format_are_read_once_to_be_merged(scenes, tmp_path, monkeypatch, kind):
    from rsclip.batch import merged_polygons

    read = []
    original = merged_polygons.read_polygons
    monkeypatch.setattr(
        merged_polygons, "read_polygons", lambda path: read.append(path) or original(path)
    )
    out, config = tmp_path / "out", SegmentConfig(resume=True, vector_format=kind)
    run(scenes, out, merge_polygons=True, config=config)
    assert sorted(path.name for path in read) == [f"a_polygons.{kind}", f"b_polygons.{kind}"]
    merged = geopandas.read_file(out / "polygons.gpkg", layer="polygons")
    assert merged.crs == ("EPSG:4326" if kind == "geojson" else "EPSG:32633")
    assert {"area_m2", "mean_confidence"} <= set(merged.columns)


@pytest.mark.parametrize("kind", ["mosaic.vrt", "polygons.gpkg", "catalog.json"])
def test_on_a_full_disk_no_draft_of_a_file_over_all_stays(scenes, tmp_path, monkeypatch, kind):
    out = tmp_path / "out"
    run(scenes, out)
    before = sorted(path.name for path in out.rglob("*"))

    synced = os.fsync

    def full(number):
        for draft in out.glob(f".{kind}.new"):
            if os.path.samestat(os.fstat(number), draft.stat()):
                raise OSError(errno.ENOSPC, "No space left on device")
        synced(number)

    monkeypatch.setattr("os.fsync", full)
    report = run(scenes, out, **ALL)
    (error,) = report.unwritten
    assert "the disk is full" in str(error)
    assert kind in str(error)
    # The others are written, and nothing else.
    others = {"mosaic.vrt", "polygons.gpkg", "catalog.json"} - {kind}
    left = sorted(path.name for path in out.rglob("*"))
    items = {"a_stac.json", "b_stac.json"}
    assert set(left) - set(before) - items == others
