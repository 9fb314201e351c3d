"""A real cluster of processes: the same results, and a lost worker's scenes are done by others."""

import os
import signal
import time

import numpy as np
import pytest

from rsclip.batch import run_batch
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


def scenes(folder, count):
    rng = np.random.default_rng(1)
    for index in range(count):
        coarse = rng.integers(20, 250, (3, 10, 10))
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
    began = time.monotonic()
    report = run_batch(
        [folder], CLASSES, tmp_path / "out", model_loader=workers.deadly,
        dask=cluster.scheduler_address,
    )  # fmt: skip
    assert statuses(report)["dark"] == "failed"
    assert "lost, again and again" in report.failed[0].problem.message
    assert report.count("done") == 3
    assert time.monotonic() - began < 120
