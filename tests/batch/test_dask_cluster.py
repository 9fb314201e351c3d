"""A real cluster of processes: the same results, and a lost worker's scenes are done by others."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from rsclip.batch import run_batch
from rsclip.batch.manifest import read_manifest
from rsclip.errors import ModelError
from tests.batch import workers
from tests.batch.conftest import CLASSES, Memory
from tests.batch.test_batch import masks, statuses
from tests.rasters import write_raster

distributed = pytest.importorskip("distributed")


@pytest.fixture
def fuse(tmp_path, monkeypatch):
    """Deaths left, known to workers that are begun after."""
    path = tmp_path / "fuse"
    path.write_text("100")
    monkeypatch.setenv("RSCLIP_TEST_FUSE", str(path))


@pytest.fixture
def cluster(tmp_path):
    """Two worker processes of one thread each, which are replaced when they die."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
        local_directory=str(tmp_path / "dask"), silence_logs=50,
    ) as cluster:  # fmt: skip
        yield cluster


@pytest.fixture
def scheduler(tmp_path):
    """A scheduler and one worker as they are begun by hand: its address and its process."""
    file = tmp_path / "scheduler.json"
    commands = (
        ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
         "--scheduler-file", file],
        ["distributed.cli.dask_worker", "--scheduler-file", file, "--nthreads", "1", "--no-nanny",
         "--no-dashboard", "--local-directory", tmp_path / "dask", "--death-timeout", "20"],
    )  # fmt: skip
    processes = [
        subprocess.Popen([sys.executable, "-m", *map(str, command)], stderr=subprocess.DEVNULL)
        for command in commands
    ]
    deadline = time.monotonic() + 30
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    yield json.loads(file.read_text())["address"], processes[0]
    for process in processes:
        process.kill()
        process.wait()


def scenes(folder, count, size=10):
    rng = np.random.default_rng(1)
    for index in range(count):
        coarse = rng.integers(20, 250, (3, size, size))
        pixels = np.kron(coarse, np.ones((1, 16, 16))).astype("uint8")
        write_raster(folder / f"scene{index}.tif", pixels)


def test_a_cluster_gives_what_one_process_gives(folder, tmp_path, cluster):
    alone = run_batch([folder], CLASSES, tmp_path / "alone", recursive=True,
                      model_loader=workers.plain)  # fmt: skip
    pids = [worker.process.process.pid for worker in cluster.workers.values()]
    options = {"recursive": True, "dask": cluster.scheduler_address}
    report = run_batch([folder], CLASSES, tmp_path / "out", model_loader=workers.plain, **options)
    assert statuses(report) == statuses(alone)
    assert masks(tmp_path / "out") == masks(tmp_path / "alone")
    again = run_batch([folder], CLASSES, tmp_path / "out", model_loader=workers.plain, **options)
    assert again.count("skipped") == 3
    # It is left as it was found.
    assert [worker.process.process.pid for worker in cluster.workers.values()] == pids


def test_the_cluster_says_what_each_worker_does(folder, tmp_path, cluster, memory):
    (folder / "north/bad.tif").unlink()
    report = run_batch([folder], CLASSES, tmp_path / "out", recursive=True, listener=memory,
                       dask=cluster.scheduler_address, model_loader=workers.slow)  # fmt: skip
    begun = dict(memory.started)
    assert sorted(name for _, name in memory.started) == ["a", "north/b", "north/deep/c"]
    assert {(out.worker, out.task.name) for out in report.outcomes} == set(memory.started)
    assert set(memory.windows) == set(begun)
    assert all(0 < done <= total for done, total in memory.windows.values())


@pytest.mark.long
def test_a_worker_killed_mid_run_loses_nothing(tmp_path, cluster, tiny_model):
    from rsclip.config import SegmentConfig

    folder = tmp_path / "scenes"
    folder.mkdir()
    scenes(folder, 8)
    config = SegmentConfig(model=tiny_model, resume=True, templates="simple")
    run_batch([folder], CLASSES, tmp_path / "alone", config=config)
    victims = [worker.process.process.pid for worker in cluster.workers.values()]

    class Killer(Memory):
        def end(self, outcome):
            super().end(outcome)
            if len(self.ended) == 2:
                os.kill(victims[0], signal.SIGKILL)

    report = run_batch(
        [folder], CLASSES, tmp_path / "out", config=config, listener=Killer(),
        dask=cluster.scheduler_address,
    )  # fmt: skip
    assert report.count("done") == 8
    assert masks(tmp_path / "out") == masks(tmp_path / "alone")
    assert not list((tmp_path / "out").rglob(".rsclip-scene*"))


@pytest.mark.long
def test_a_scene_that_kills_every_worker_fails_alone(tmp_path, fuse, cluster):
    folder = tmp_path / "scenes"
    folder.mkdir()
    scenes(folder, 3)
    write_raster(folder / "dark.tif", np.ones((3, 64, 64), "uint8"))
    report = run_batch(
        [folder], CLASSES, tmp_path / "out", model_loader=workers.deadly,
        dask=cluster.scheduler_address,
    )  # fmt: skip
    assert statuses(report)["dark"] == "failed"
    assert "several workers were lost" in report.failed[0].problem.message
    assert report.count("done") == 3


def test_a_scheduler_that_goes_away_fails_no_scene(folder, tmp_path, scheduler):
    class Killer(Memory):
        def end(self, outcome):
            super().end(outcome)
            scheduler[1].kill()

    memory = Killer()
    report = run_batch(
        [folder], CLASSES, tmp_path / "out", recursive=True, dask=scheduler[0], listener=memory,
        model_loader=workers.slow,
    )  # fmt: skip
    assert len(report.outcomes) + report.unfinished == 4
    assert report.unfinished >= 2
    # That no worker has joined yet may be said too.
    (note,) = [text for text in memory.notes if "the scheduler is gone" in text]
    assert note.endswith(f"left for another run: {report.unfinished}")
    assert len(read_manifest(tmp_path / "out")) == len(report.outcomes)


@pytest.mark.long
def test_a_scheduler_that_goes_away_is_told_once(tmp_path, scheduler, tiny_model):
    address, process = scheduler
    folder, out = tmp_path / "scenes", tmp_path / "out"
    folder.mkdir()
    scenes(folder, 4, size=20)
    options = ["batch", folder, "--classes", CLASSES, "--model", tiny_model,
               "--templates", "simple"]  # fmt: skip
    command = [sys.executable, "-c", "from rsclip_cli.main import main; main()", *options]
    run = subprocess.Popen(
        [*map(str, command), "-o", str(out), "--dask", address],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(out.glob("*_mask.tif")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    table, said = run.communicate(timeout=60)
    assert run.returncode == 1, said
    assert said.count("the scheduler is gone") == 1
    assert "scenes are left to do. Run the same batch again" in said
    assert len(said.splitlines()) < 10, said
    assert "not begun" in table
    known = read_manifest(out)
    assert len(known) < 4
    assert {outcome.status for outcome in known} <= {"done"}
    # Another run does the rest, and it all is as if nothing had happened.
    for target in (out, tmp_path / "alone"):
        subprocess.run([*map(str, command), "-o", str(target)], check=True, capture_output=True)
    assert masks(out) == masks(tmp_path / "alone")
    assert {outcome.status for outcome in read_manifest(out)} <= {"done", "skipped"}


def test_workers_keep_nothing_of_another_batch(folder, tmp_path, fuse, cluster):
    """No error, warning, class file or weights: the next batch may have others of the same name."""
    (folder / "north/bad.tif").unlink()
    told, classes = tmp_path / "fuse", tmp_path / "classes.yaml"
    options = {"recursive": True, "dask": cluster.scheduler_address}

    def batch(out):
        return run_batch([folder], classes, tmp_path / out, model_loader=workers.told, **options)

    classes.write_text("classes: [bright, dark]")
    told.write_text("broken")
    with pytest.raises(ModelError, match="no such model"):
        batch("broken")
    for name, words in (("first", "bright, dark"), ("second", "dark, grey, bright")):
        told.write_text(name)
        classes.write_text(f"classes: [{words}]")
        report = batch(name)
        assert report.count("done") == 3
        assert {outcome.notes for outcome in report.outcomes} == {(name,)}
        assert {tuple(outcome.shares)[1:] for outcome in report.outcomes} == {
            tuple(words.split(", "))
        }
