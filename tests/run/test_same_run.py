"""A finished run is known again without its model; a scene is looked at once."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

import rsclip
from rsclip.batch import run_batch
from rsclip.config import SegmentConfig
from rsclip.run import scenes_and_classes
from rsclip.run.same_run import describe_request, is_same_request
from rsclip.run.segment import segment_scenes
from rsclip.scene import scene as scenes
from rsclip.words import legend as legends
from tests.rasters import write_raster
from tests.run.stub import StubEncoder, loader

AGAIN = """
import sys
import rsclip
from rsclip.batch import run_batch
from rsclip.config import SegmentConfig
scene, out, many = sys.argv[1:]
if many == "1":
    report = run_batch([scene], "water, road", out, jobs=2, config=SegmentConfig(resume=True))
    print([outcome.status for outcome in report.outcomes])
else:
    print(rsclip.segment(scene, "water, road", out, model="nano", resume=True).status)
print("torch" in sys.modules, "open_clip" in sys.modules, "multiprocessing.context" in sys.modules)
"""


def again(scene, out, many=""):
    command = [sys.executable, "-W", "ignore", "-c", AGAIN, str(scene), str(out), many]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")


def test_a_finished_scene_is_skipped_without_torch(make_scene, tmp_path):
    scene = make_scene()
    rsclip.segment(scene, "water, road", tmp_path / "out", model="nano")
    assert again(scene, tmp_path / "out")[:2] == ["skipped", "False False False"]


def test_a_finished_batch_starts_no_worker(make_scene, tmp_path, monkeypatch):
    folder = tmp_path / "scenes"
    folder.mkdir()
    for name in "ab":
        make_scene(shape=(64, 64)).rename(folder / f"{name}.tif")
    run_batch([folder], "water, road", tmp_path / "out")
    assert again(folder, tmp_path / "out", "1")[:2] == [
        "['skipped', 'skipped']",
        "False False False",
    ]
    # One that is new leaves the other as it is.
    (folder / "b.tif").rename(folder / "c.tif")
    report = run_batch([folder], "water, road", tmp_path / "out")
    assert [outcome.status for outcome in report.outcomes] == ["skipped", "done"]


@pytest.fixture
def request_of():
    def ask(model="auto", source="embedded", **settings):
        config = SegmentConfig(model=model, **settings)
        return describe_request(
            legends.load_legend("water, road"), config, None, {"source": source}
        )

    return ask


def same(kept, legend="water, road", area=None, **settings):
    record = json.loads(json.dumps(kept))
    return is_same_request(record, legends.load_legend(legend), SegmentConfig(**settings), area)


def test_what_changes_labels_is_another_request(request_of, monkeypatch):
    kept = request_of()
    assert same(kept)
    assert same(kept, preview=True, batch_size=1, device="cpu", overwrite=True)
    for other in (
        {"legend": "water, forest"}, {"area": "1"}, {"threshold": 0.5}, {"model": "nano"},
        {"templates": "simple"}, {"weights": "x.pt"},
    ):  # fmt: skip
        assert not same(kept, **other), other
    monkeypatch.setenv("RSCLIP_CACHE", "elsewhere")
    assert not same(kept)
    assert not same({})
    assert not same({"request": {"hash": kept["request"]["hash"]}})


def test_auto_is_another_model_once_one_was_fetched(request_of, monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    kept, named = request_of(), request_of("nano")
    folders = [path for path in kept["request"]["files"] if path.endswith("snapshots")]
    (snapshots,) = folders
    (tmp_path / snapshots / "commit").mkdir(parents=True)
    assert not same(kept)
    assert same(named, model="nano")


def test_weights_that_changed_or_moved_are_another_model(request_of, tmp_path, monkeypatch):
    weights = tmp_path / "own.pt"
    weights.write_bytes(b"one")
    monkeypatch.chdir(tmp_path)
    kept = request_of(source="own.pt", weights="own.pt")
    assert same(kept, weights=str(weights))
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert not same(kept, weights="own.pt")
    weights.write_bytes(b"three")
    assert not same(kept, weights=str(weights))


def test_a_method_from_outside_is_asked_itself():
    legend, config = legends.load_legend("water, road"), SegmentConfig()
    for facts in ({}, {"source": "embedded", "method_sha256": "1"}):
        assert describe_request(legend, config, None, facts) == {}


@pytest.mark.parametrize("command", ["segment", "batch"])
def test_a_run_opens_scenes_reads_classes_and_hashes_files_once(command, tmp_path, monkeypatch):
    folder = tmp_path / "scenes"
    folder.mkdir()
    for name in "ab":
        write_raster(folder / f"{name}.tif", np.full((3, 64, 64), 90, "uint8"))
    files = [str(folder / "a.tif"), str(folder / "b.tif")]
    opened, parsed, hashed = [], [], []
    look, read, digest = scenes.Scene.__init__, scenes_and_classes.load_legend, hashlib.file_digest
    monkeypatch.setattr(
        scenes.Scene, "__init__",
        lambda self, name, *rest, **more: opened.append(name) or look(self, name, *rest, **more),
    )  # fmt: skip
    monkeypatch.setattr(
        scenes_and_classes,
        "load_legend",
        lambda *args, **more: parsed.append(1) or read(*args, **more),
    )
    monkeypatch.setattr(
        hashlib, "file_digest", lambda file, kind: hashed.append(file.name) or digest(file, kind)
    )
    config = SegmentConfig(resume=True, checksum=True)
    given = {"config": config, "model_loader": loader(StubEncoder())}
    # The first run does all, the second one skips all.
    for status in ("done", "skipped"):
        if command == "segment":
            ended = list(segment_scenes(files, "bright, dark", tmp_path / "out", **given))
        else:
            ended = run_batch([folder], "bright, dark", tmp_path / "out", **given).outcomes
        assert [each.status for each in ended] == [status, status]
        assert opened == files
        assert [str(name) for name in hashed] == files
        assert len(parsed) == 1
        for calls in (opened, parsed, hashed):
            calls.clear()
