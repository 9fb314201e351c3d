"""Batches end to end: in this process and in workers, alone, again, with failures and kills."""

import contextlib
import errno
import json
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import warnings

import numpy as np
import pytest
import rasterio
import torch

from rsclip.batch import plan_batch, run_batch
from rsclip.batch.manifest import Manifest, read_manifest
from rsclip.batch.processes import only_one
from rsclip.batch.tasks import Task
from rsclip.batch.worker import Models, find_finished_tasks, run_scene
from rsclip.config import SegmentConfig
from rsclip.errors import (
    AreaError,
    EncodeError,
    InputError,
    LegendError,
    ModelError,
    OptionError,
    OutputError,
    RsclipWarning,
)
from rsclip.outputs.companions import output_names
from rsclip.outputs.files.staging import Staging
from tests.batch import workers
from tests.batch.conftest import CLASSES
from tests.rasters import write_raster
from tests.run.stub import StubEncoder, loader

RESUME = SegmentConfig(resume=True)


def run(folder, out, **options):
    options.setdefault("model_loader", workers.plain)
    return run_batch([folder], CLASSES, out, recursive=True, **options)


def masks(out):
    found = {}
    for path in sorted(out.rglob("*_mask.tif")):
        with rasterio.open(path) as dataset:
            found[path.relative_to(out).as_posix()] = dataset.read().tobytes()
    return found


def statuses(report):
    return {outcome.task.name: outcome.status for outcome in report.outcomes}


def test_one_bad_scene_stops_no_other(folder, tmp_path, memory):
    out = tmp_path / "out"
    report = run(folder, out, listener=memory)
    assert statuses(report) == {
        "a": "done", "north/b": "done", "north/bad": "failed", "north/deep/c": "done",
    }  # fmt: skip
    assert sorted(masks(out)) == ["a_mask.tif", "north/b_mask.tif", "north/deep/c_mask.tif"]
    (failed,) = report.failed
    assert failed.problem.kind == "SceneError"
    assert str(folder / "north/bad.tif") in failed.problem.message
    assert read_manifest(out) == [
        outcome.replace(notes=(), warnings=tuple(outcome.all_warnings))
        for outcome in report.outcomes
    ]
    assert memory.ended == list(statuses(report))
    assert (out / "manifest.csv").read_text().count("\n") == 5


def test_run_again_it_skips_what_is_done(folder, tmp_path):
    out = tmp_path / "out"
    run(folder, out)
    before = masks(out)
    encoder = StubEncoder()
    again = run(folder, out, model_loader=loader(encoder))
    assert encoder.calls == 0
    assert [again.count(kind) for kind in ("done", "skipped", "failed")] == [0, 3, 1]
    # Another input, other settings: refused, told, and replaced only where that is asked for.
    os.utime(folder / "a.tif", ns=(1, 1))
    changed = run(folder, out)
    assert statuses(changed)["a"] == "failed"
    assert "an input that has changed since" in changed.failed[0].problem.message
    assert statuses(changed)["north/b"] == "skipped"
    other = run(folder, out, config=RESUME.replace(logit_scale=9))
    assert other.count("failed") == 4
    assert "made with other settings (logit_scale: 50.0 -> 9.0). Replace them" in (
        read_manifest(out)[0].problem.message
    )
    assert masks(out) == before
    forced = run(folder, out, config=RESUME.replace(logit_scale=9, overwrite=True))
    assert forced.count("done") == 3


def test_by_checksum_a_copy_is_the_same_input(folder, tmp_path):
    out, config = tmp_path / "out", RESUME.replace(checksum=True)
    run(folder, out, config=config)
    os.utime(folder / "a.tif", ns=(1, 1))
    assert run(folder, out, config=config).count("skipped") == 3
    assert run(folder, out).count("skipped") == 2
    # The same size and time, another content.
    about = (folder / "a.tif").stat()
    content = bytearray((folder / "a.tif").read_bytes())
    content[-1] ^= 255
    (folder / "a.tif").write_bytes(content)
    os.utime(folder / "a.tif", ns=(about.st_atime_ns, about.st_mtime_ns))
    assert statuses(run(folder, out, config=config))["a"] == "failed"
    # Where the first run kept no sums, time decides.
    other = tmp_path / "other"
    run(folder, other)
    assert run(folder, other, config=config).count("skipped") == 3


def test_with_workers_and_checksums_a_file_is_hashed_once(folder, tmp_path, monkeypatch):
    """By the first process where an earlier run is known, and by no worker again."""
    out, config = tmp_path / "out", RESUME.replace(checksum=True)
    run(folder, out, config=config)
    assert run(folder, out, config=config, jobs=2).count("skipped") == 3
    path = folder / "a.tif"
    content = bytearray(path.read_bytes())
    content[-1] ^= 255
    path.write_bytes(content)
    tasks, _ = plan_batch([path], CLASSES, out, config=config)
    finished, (task,) = find_finished_tasks(tasks, out, Models())
    assert finished == []
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("hashed again"))
    outcome = run_scene(pickle.loads(pickle.dumps(task)), out, Models(workers.plain))
    assert "an input that has changed since" in outcome.problem.message


def test_retry_runs_just_those_that_failed(folder, tmp_path):
    out = tmp_path / "out"
    run(folder, out, config=RESUME.replace(areas=False))
    (folder / "a.tif").replace(folder / "north/bad.tif")
    encoder = StubEncoder()
    report = run_batch([], retry_failed=out / "manifest.jsonl", model_loader=loader(encoder))
    assert statuses(report) == {"north/bad": "done"}
    # As they were run.
    assert (out / "north/bad_mask.tif").exists()
    assert not (out / "north/bad_areas.csv").exists()
    assert {item.task.name: item.status for item in read_manifest(out)}["north/bad"] == "done"
    with pytest.raises(InputError, match="no scene in this manifest has failed"):
        run_batch([], retry_failed=out)
    with pytest.raises(OptionError, match="retry_failed"):
        run_batch([folder], CLASSES, out, retry_failed=out)


def test_a_manifest_alone_runs_no_python_file(folder, tmp_path, monkeypatch):
    """A manifest may come from somebody else: the file has to be named by the user too."""
    out = tmp_path / "out"
    run(folder, out)
    mine = tmp_path / "my methods.py"
    mine.write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w').close()\n"
        "from rsclip.methods import METHODS\n"
        "MINE = METHODS['clearclip']\n"
    )
    path = out / "manifest.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if isinstance(line.get("settings"), dict):
            line["settings"]["method"] = f"{mine}:MINE"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "a.tif").replace(folder / "north/bad.tif")
    with pytest.raises(OptionError, match=r"names a Python file.*method='.*my methods.py:MINE'"):
        run_batch([], retry_failed=out, model_loader=workers.plain)
    assert not (tmp_path / "ran").exists()
    # Named from another folder than the one that a later retry starts in.
    monkeypatch.chdir(tmp_path)
    config = RESUME.replace(method="my methods.py:MINE")
    tasks, _ = plan_batch([], None, None, retry_failed=out, config=config)
    assert tasks[0].config().method == f"{mine}:MINE"
    tasks, _ = plan_batch(
        [], None, None, retry_failed=out, config=config, given=[{"method": "clip"}]
    )
    assert tasks[0].config().method == "clip"


def test_what_only_stands_in_the_way_for_a_while_is_tried_again(folder, tmp_path):
    """Outputs locked by another run are no outputs of other settings."""
    out = tmp_path / "out"
    names = output_names("a", RESUME)
    with Staging(out, names):
        report = run_batch([folder / "a.tif"], CLASSES, out, model_loader=workers.plain)
    (failed,) = report.failed
    assert "another run is making these outputs" in failed.problem.message
    assert not failed.refused
    again = run_batch([], retry_failed=out, model_loader=workers.plain)
    assert again.count("done") == 1


@pytest.mark.parametrize("lost", [["a_areas.csv"], ["a_mask.tif", "a_mask.tif.aux.xml"]])
def test_a_finished_scene_that_has_lost_files_is_made_again(folder, tmp_path, lost):
    out, scene = tmp_path / "out", folder / "a.tif"

    def again(**options):
        config = SegmentConfig(resume=True, **options)
        return run_batch([scene], CLASSES, out, config=config, model_loader=workers.plain)

    again()
    areas = (out / "a_areas.csv").read_bytes()
    for name in lost:
        (out / name).unlink()
    # What differs otherwise stays as it is, and is named rightly.
    (refused,) = again(threshold=0.2).failed
    assert "made with other settings" in refused.problem.message
    (outcome,) = again().outcomes
    assert outcome.status == "done"
    # The table is made from what is there.
    gone = f"{scene}: {', '.join(lost)} are gone: the scene is done again"
    assert outcome.warnings == ((gone,) if "a_mask.tif" in lost else ())
    assert (out / "a_areas.csv").read_bytes() == areas
    assert all((out / name).exists() for name in lost)
    assert again().count("skipped") == 1


@pytest.mark.parametrize("by", ["edit", "old edit", "journal"])
def test_what_was_changed_by_hand_is_never_replaced_unasked(folder, tmp_path, by):
    out, scene = tmp_path / "out", folder / "a.tif"
    config = SegmentConfig(resume=True)
    run_batch([scene], CLASSES, out, config=config, model_loader=workers.plain)
    (out / "a_mask.tif").unlink()
    changed = out / "a_polygons.gpkg"
    if by != "journal":
        with contextlib.closing(sqlite3.connect(changed)) as file, file:
            file.execute("CREATE TABLE mine (note TEXT)")
        if by == "old edit":
            os.utime(changed, (1e9, 1e9))
            os.utime(out / "a_run.json")
    else:
        (out / "a_polygons.gpkg-wal").write_bytes(b"work")
    held = {path: path.read_bytes() for path in out.iterdir() if path.name.startswith("a")}
    report = run_batch([scene], CLASSES, out, config=config, model_loader=workers.plain)
    (refused,) = report.failed
    assert "a_mask.tif would have to be made" in refused.problem.message
    assert changed.name in refused.problem.message
    assert {path: path.read_bytes() for path in held} == held


def test_what_lies_beside_outputs_that_are_made_again_stays(folder, tmp_path):
    out, scene = tmp_path / "out", folder / "a.tif"
    config = SegmentConfig(resume=True)
    run_batch([scene], CLASSES, out, config=config, model_loader=workers.plain)
    (out / "a_areas.csv").unlink()
    (out / "a_mask.tif.ovr").write_bytes(b"mine")
    report = run_batch([scene], CLASSES, out, config=config, model_loader=workers.plain)
    assert report.count("done") == 1
    assert (out / "a_areas.csv").exists()
    assert (out / "a_mask.tif.ovr").read_bytes() == b"mine"


def test_scenes_outside_the_area_of_interest_are_skipped(folder, tmp_path):
    """One area over a folder of tiles: a night without a failure."""
    place = rasterio.Affine(1, 0, 9000, 0, -1, 9000)
    write_raster(folder / "far.tif", np.full((3, 64, 64), 90, "uint8"), transform=place)
    (folder / "north/bad.tif").unlink()
    out = tmp_path / "out"
    with rasterio.open(folder / "a.tif") as scene:
        box = ",".join(map(str, scene.bounds))
    report = run(folder, out, config=RESUME.replace(aoi=box))
    ends = {outcome.task.name: outcome for outcome in read_manifest(out)}
    assert statuses(report) == dict.fromkeys(ends, "done") | {"far": "skipped"}
    assert ends["far"].problem.message == "outside the area of interest"
    assert "far.tif,skipped" in (out / "manifest.csv").read_text()
    with pytest.raises(InputError, match="no scene in this manifest has failed"):
        run_batch([], retry_failed=out)
    # Outputs that were there before stay known.
    run(folder, tmp_path / "all")
    near = RESUME.replace(aoi="8990,8990,9010,9010")
    assert run(folder, tmp_path / "all", config=near).count("failed") == 1
    assert all("mask" in outcome.outputs for outcome in read_manifest(tmp_path / "all"))


def test_an_area_that_is_wrong_for_all_ends_the_batch(folder, tmp_path):
    with pytest.raises(AreaError, match="outside every scene"):
        run(folder / "north/deep", tmp_path / "out", config=RESUME.replace(aoi="8e6,8e6,9e6,9e6"))
    for aoi, says in (("absent.gpkg", "no such file"), ("1,1,0,0", "no box"), ("x", "no area")):
        with pytest.raises(OptionError, match=says):
            run(folder, tmp_path / "new", config=RESUME.replace(aoi=aoi))
    assert not (tmp_path / "new").exists()


def test_a_disk_full_for_the_manifest_ends_the_batch_with_what_is_known(
    folder, tmp_path, monkeypatch
):
    class Full:
        """A file on a disk without room for more."""

        def __init__(self, file):
            self._file = file

        def __getattr__(self, name):
            return getattr(self._file, name)

        def flush(self):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            self._file.close()
            self.flush()

    class Small(Manifest):
        def append(self, outcome):
            if outcome.task.name != "a":
                self._file = Full(self._file)
            super().append(outcome)

    monkeypatch.setattr("rsclip.batch.runner.Manifest", Small)
    report = run(folder, tmp_path / "out")
    assert statuses(report) == {"a": "done", "north/b": "done"}
    assert report.unfinished == 2
    assert "the disk is full" in str(report.unwritten[0])
    monkeypatch.undo()
    again = run(folder, tmp_path / "out")
    assert again.count("skipped") == 2


def test_an_odd_error_is_a_failure_of_its_scene_only(folder, tmp_path):
    def boom():
        raise ZeroDivisionError("odd")

    report = run(folder, tmp_path / "out", model_loader=loader(StubEncoder(calls=2, fail=boom)))
    assert report.count("failed") == 2
    assert "ZeroDivisionError" in report.failed[0].problem.message


def test_on_error_stop_stops(folder, tmp_path):
    def boom():
        raise EncodeError("boom")

    encoder = StubEncoder(calls=1, fail=boom)
    report = run(folder, tmp_path / "out", on_error="stop", model_loader=loader(encoder))
    assert statuses(report) == {"a": "failed"}
    assert report.unfinished == 3


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_model_that_cannot_be_used_fails_no_scene(folder, tmp_path, jobs):
    with pytest.raises(ModelError, match="no such model"):
        run(folder, tmp_path / "out", jobs=jobs, model_loader=workers.broken)
    assert read_manifest(tmp_path / "out") == [] or jobs == 1


def test_workers_give_what_one_process_gives(folder, tmp_path, memory):
    alone = run(folder, tmp_path / "alone")
    report = run(folder, tmp_path / "out", jobs=2, listener=memory)
    assert statuses(report) == statuses(alone)
    assert masks(tmp_path / "out") == masks(tmp_path / "alone")
    assert {worker for worker, _ in memory.started} == {"worker 1", "worker 2"}
    again = run(folder, tmp_path / "out", jobs=2)
    assert again.count("skipped") == 3


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_killed_worker_costs_its_scene_a_try(folder, tmp_path, memory, monkeypatch, deaths):
    write_raster(folder / "dark.tif", np.ones((3, 64, 64), "uint8"))
    fuse = tmp_path / "fuse"
    fuse.write_text(str(deaths))
    monkeypatch.setenv("RSCLIP_TEST_FUSE", str(fuse))
    report = run(folder, tmp_path / "out", jobs=2, model_loader=workers.deadly, listener=memory)
    ends = {outcome.task.name: outcome for outcome in report.outcomes}
    assert [ends[name].status for name in ("a", "north/b", "north/deep/c")] == ["done"] * 3
    assert ends["dark"].tries == 2
    assert any("SIGKILL" in text and "tried once more" in text for text in memory.notes)
    if deaths == 1:
        assert ends["dark"].status == "done"
        assert (tmp_path / "out/dark_mask.tif").exists()
    else:
        assert "killed (SIGKILL" in ends["dark"].problem.message
    assert not list((tmp_path / "out").rglob(".rsclip-dark*")) or deaths == 2


def test_workers_share_the_processors(folder, tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run(folder, tmp_path / "out", jobs=2, model_loader=workers.threads)
    said = json.loads((tmp_path / "out/a_run.json").read_text())["model"]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert said["OMP_NUM_THREADS"] == str(max(1, cores // 2))
    assert "OMP_NUM_THREADS" not in os.environ


def test_one_worker_a_gpu(folder, tmp_path, memory, monkeypatch):
    monkeypatch.setattr("rsclip.batch.processes.gpus_for", lambda device, jobs: ["4", "7"])
    report = run(folder, tmp_path / "out", jobs=3, model_loader=workers.threads, listener=memory)
    assert report.count("done") == 3
    seen = {
        json.loads(path.read_text())["model"]["CUDA_VISIBLE_DEVICES"]
        for path in (tmp_path / "out").rglob("*_run.json")
    }
    assert seen <= {"4", "7"}
    assert any("one worker per GPU" in text for text in memory.notes)


@pytest.mark.parametrize("device", ["cuda:0", "mps"])
def test_one_worker_for_a_device_that_is_named(folder, tmp_path, memory, device):
    """It is one, whatever --jobs says: the others would only take its memory."""
    report = run(folder, tmp_path / "out", jobs=3, model_loader=workers.plain, listener=memory,
                 config=SegmentConfig(device=device, resume=True))  # fmt: skip
    assert {outcome.worker for outcome in report.outcomes} == {"worker 1"}
    assert any(f"would share {device}" in text for text in memory.notes)


def test_auto_may_be_a_mac(monkeypatch):
    assert [only_one(device) for device in ("cpu", "cuda", "cuda:7")] == [None, None, "cuda:7"]
    for kind, shared in (("cpu", None), ("cuda", None), ("mps", "mps")):
        monkeypatch.setattr(
            "rsclip.methods.device.parse_device", lambda _, kind=kind: torch.device(kind)
        )
        assert only_one("auto") == shared


def test_a_list_names_classes_and_bands(folder, tmp_path):
    path = folder / "list.csv"
    path.write_text('scene,classes,bands\na.tif,,"3,2,1"\nnorth/b.tif,"water, road",\n')
    report = run_batch([path], CLASSES, tmp_path / "out", model_loader=workers.plain)
    assert report.count("done") == 2
    records = [json.loads((tmp_path / f"out/{name}_run.json").read_text())
               for name in ("a", "north/b")]  # fmt: skip
    assert records[0]["settings"]["bidx"] == [3, 2, 1]
    assert [item["name"] for item in records[1]["classes"]["classes"]] == ["water", "road"]


def test_what_is_wrong_with_all_is_said_before_any(folder, tmp_path):
    out = tmp_path / "out"
    for error, says, options in (
        (LegendError, "a", {"classes": "a, a"}),
        (OptionError, "classes", {"classes": None}),
        (OptionError, "jobs", {"jobs": 0}),
    ):
        settings = {"classes": CLASSES, **options}
        with pytest.raises(error, match=says):
            run_batch([folder], output_dir=out, model_loader=workers.plain, **settings)
    assert not masks(tmp_path)
    # A scene named like another's output, in the same folder.
    (folder / "a_mask.tif").write_bytes(b"")
    with pytest.raises(OutputError, match="replace an input"):
        plan_batch([folder], CLASSES, folder)


def test_an_unreachable_cluster_is_refused(folder, tmp_path):
    pytest.importorskip("distributed")
    with pytest.raises(OptionError, match="no dask scheduler answers"):
        run(folder, tmp_path / "out", dask="tcp://127.0.0.1:9")
    with pytest.raises(OptionError, match="no dask scheduler answers"):
        run(folder, tmp_path / "out", dask="nonsense://x")
    with pytest.raises(OptionError, match="either dask or jobs"):
        run(folder, tmp_path / "out", dask="tcp://127.0.0.1:9", jobs=2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_batch_leaves_no_worker_and_goes_on_later(folder, tmp_path, number):
    psutil = pytest.importorskip("psutil")
    out = tmp_path / "out"
    batch = subprocess.Popen(
        [sys.executable, "-m", "tests.batch.workers", str(folder), str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert batch.stdout.readline().startswith("worker")
    children = psutil.Process(batch.pid).children(recursive=True)
    assert len(children) >= 2
    batch.send_signal(number)
    batch.communicate(timeout=60)
    assert batch.returncode != 0
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    report = run(folder, out)
    assert report.count("done") + report.count("skipped") == 3
    run(folder, tmp_path / "alone")
    assert masks(out) == masks(tmp_path / "alone")
    assert not list(out.rglob(".rsclip-*_run*"))


def test_what_a_model_said_or_failed_at_is_not_told_of_the_next_scene(folder, tmp_path):
    """A worker of a cluster lives on for other batches, whose models are others."""

    def model(legend, config):
        if config.window == 64:
            raise ModelError("no such model", where="--model")
        warnings.warn(f"window {config.window}", RsclipWarning, stacklevel=1)
        return workers.plain(legend, config)

    models = Models(model)

    def outcome(name, source, **settings):
        task = Task(str(source), name, CLASSES, settings)
        return run_scene(task, tmp_path / "out", models)

    with pytest.raises(ModelError):
        outcome("a", folder / "a.tif", window=64)
    damaged = outcome("bad", folder / "north" / "bad.tif", window=32)
    assert damaged.status == "failed"
    assert "no such model" not in str(damaged.problem)
    assert outcome("b", folder / "a.tif", window=48).notes[-1:] == ("window 48",)
    assert "window 48" not in outcome("c", folder / "north" / "b.tif", window=32).notes


def test_a_worker_in_a_long_window_ends_with_the_first_process():
    psutil = pytest.importorskip("psutil")
    code = (
        "import multiprocessing, time; from tests.batch.workers import stuck\n"
        "if __name__ == '__main__':\n"
        "    multiprocessing.get_context('spawn').Process(target=stuck).start(); time.sleep(600)"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    worker = psutil.Process(int(first.stdout.readline()))
    first.kill()
    first.wait()
    _, alive = psutil.wait_procs([worker], timeout=60)
    for process in alive:
        process.kill()
    assert not alive


def test_a_name_that_is_not_utf8_fails_alone(folder, tmp_path):
    try:
        (folder / "a.tif").rename(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.tif"))
    except OSError:
        pytest.skip("this disk takes UTF-8 names only")
    out = tmp_path / "out"
    for status in ("done", "skipped"):
        report = run_batch([folder], CLASSES, out, recursive=True, model_loader=workers.plain)
        assert report.count(status) == 2
        (problem,) = [each for each in report.failed if "UTF-8" in str(each.problem)]
        assert problem.task.name == "caf\udce9"
    (failed,) = [
        each for each in read_manifest(out / "manifest.jsonl") if each.task.name == "caf\udce9"
    ]
    assert failed.status == "failed"


def test_warnings_of_model_and_classes_are_counted_and_kept(folder, tmp_path, memory):
    """Those of every scene in the manifest, as in its run record; in the summary each once."""

    def model(legend, config):
        warnings.warn("a small model", RsclipWarning, stacklevel=1)
        return workers.plain(legend, config)

    out = tmp_path / "out"
    options = {"recursive": True, "listener": memory, "model_loader": model}
    report = run_batch([folder], "roads.yaml, water", out, **options)
    ends = [outcome for outcome in read_manifest(out) if outcome.status == "done"]
    assert len(ends) == 3
    for outcome in ends:
        assert "a small model" in outcome.warnings
        assert any("looks like a file" in text for text in outcome.warnings)
    shown = [
        text for text in memory.notes if "a small model" in text or "looks like a file" in text
    ]
    assert len(shown) == len(set(shown)) == 2
    assert report.warnings == len(shown) + sum(len(each.warnings) for each in report.outcomes)
    again = run_batch([folder], "roads.yaml, water", out, **options)
    assert again.count("skipped") == 3
    kept = {outcome.task.name: outcome for outcome in read_manifest(out)}
    assert all(set(each.warnings) <= set(kept[each.task.name].warnings) for each in ends)
    assert "a small model" in (out / "manifest.csv").read_text()


def test_a_retry_that_allows_unread_blocks_suits_the_next_nightly_run(folder, tmp_path):
    """The nightly batch does not give the option, and finds its scenes done."""
    out, scene = tmp_path / "out", folder / "north/bad.tif"
    pixels = np.random.default_rng(3).integers(0, 255, (3, 128, 128), dtype="uint8")
    scene.unlink()
    write_raster(scene, pixels, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    content = bytearray(scene.read_bytes())
    # In the middle of a block of pixels.
    content[len(content) // 2 : len(content) // 2 + 200] = bytes(200)
    scene.write_bytes(content)
    assert statuses(run(folder, out))["north/bad"] == "failed"
    config = SegmentConfig(resume=True, on_read_error="nodata")
    retry = run_batch([], retry_failed=out, config=config, model_loader=workers.plain)
    assert statuses(retry) == {"north/bad": "done"}
    assert json.loads((out / "north/bad_run.json").read_text())["unreadable"]
    nightly = run(folder, out)
    assert [nightly.count(status) for status in ("done", "skipped", "failed")] == [0, 4, 0]
    assert all(outcome.status == "skipped" for outcome in read_manifest(out))
