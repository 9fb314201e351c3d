"""With --overwrite nothing of the earlier run stays beside the new one's outputs."""

import json
import shutil
import sqlite3
import subprocess
import sys

import pytest

import rsclip as library
from rsclip.config import build_config
from rsclip.errors import RunError
from rsclip.run.segment import Failure, segment_scenes
from tests.run.stub import StubEncoder, loader

EVERYTHING = {"preview": True, "sld": True, "confidence": True, "vector_format": "shp"}


def run(scene, folder, encoder=None, **options):
    (outcome,) = segment_scenes(
        [scene], "bright, dark", folder, config=build_config(options),
        model_loader=loader(encoder or StubEncoder()),
    )  # fmt: skip
    if isinstance(outcome, Failure):
        raise outcome.error
    return outcome


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_outputs_of_the_earlier_run_go_and_nothing_else(make_scene, tmp_path):
    scene, folder = make_scene(), tmp_path / "out"
    first = run(scene, folder, **EVERYTHING)
    listed = json.loads(first.record.read_text(encoding="utf-8"))["outputs"]
    assert listed == {key: path.name for key, path in first.paths.items()}
    assert set(listed.values()) == names(folder)
    for mine in ("scene_notes.txt", "scene_polygons.gpkg"):
        (folder / mine).write_text("mine")
    second = run(scene, folder, overwrite=True, vector_format="none")
    assert names(folder) == {path.name for path in second.paths.values()} | {
        "scene_notes.txt", "scene_polygons.gpkg",
    }  # fmt: skip


def test_a_run_that_fails_leaves_the_earlier_ones(make_scene, tmp_path):
    scene, folder = make_scene(), tmp_path / "out"
    run(scene, folder, **EVERYTHING)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail():
        raise RunError("the encoder failed")

    with pytest.raises(RunError):
        run(scene, folder, StubEncoder(1, fail), overwrite=True, vector_format="none")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("record", ["listing", "not json", "no mapping"])
def test_a_record_cannot_have_other_files_removed(make_scene, tmp_path, record):
    folder = tmp_path / "out"
    run(make_scene(), folder)
    # The scene stands in the output folder, and is named like an output of its own.
    scene = shutil.move(tmp_path / "scene.tif", folder / "scene.tif")
    others = [folder / "other_mask.tif", tmp_path / "scene_outside.txt", folder / "scene_folder"]
    for path in others[:2]:
        path.write_text("mine")
    others[2].mkdir()
    path = folder / "scene_run.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    stale = ["scene.tif", "other_mask.tif", "../scene_outside.txt", "scene_folder", 7]
    content["outputs"] = dict(enumerate(stale)) if record == "listing" else stale
    path.write_text("{" if record == "not json" else json.dumps(content))
    run(scene, folder, overwrite=True)
    assert all(each.exists() for each in [*others, scene])


def test_what_other_programs_keep_beside_outputs_goes_with_them(make_scene, tiny_model, tmp_path):
    scene, out = make_scene(), tmp_path / "out"
    options = {"model": tiny_model, "confidence": True}
    first = library.segment(scene, "road, water", out, **options)
    gpkg = first.paths["polygons"]
    # A writer that died in WAL mode: its journal would be played over the new file.
    code = (
        f"import sqlite3, os; c = sqlite3.connect({str(gpkg)!r}); "
        "c.execute('pragma journal_mode=wal'); c.execute('create table x (a)'); c.commit(); "
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert gpkg.with_name(f"{gpkg.name}-wal").exists()
    statistics = out / "scene_confidence.tif.aux.xml"
    statistics.write_text("<PAMDataset/>")
    other = out / "scene_polygons.txt"
    other.write_text("the user's own")
    again = library.segment(scene, "road, water", out, overwrite=True, threshold=0.4, **options)
    names = {path.name for path in out.iterdir()}
    assert not [name for name in names if name.endswith(("-wal", "-shm"))]
    assert not statistics.exists()
    assert other.exists()
    assert again.paths["names"].exists()
    with sqlite3.connect(gpkg) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    shape = library.segment(scene, "road, water", out, vector_format="shp", model=tiny_model,
                            overwrite=True).paths["polygons"]  # fmt: skip
    index = shape.with_suffix(".qix")
    index.write_bytes(b"of another file")
    library.segment(scene, "road, water", out, vector_format="shp", model=tiny_model,
                    overwrite=True)  # fmt: skip
    assert not index.exists()
