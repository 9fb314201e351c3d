"""With --overwrite nothing of the earlier run stays beside the new one's outputs."""

import json
import shutil

import pytest

from rsclip.api import Failure, segment_scenes
from rsclip.config import build_config
from rsclip.errors import RunError
from tests.e2e.stub import StubEncoder, loader

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
