"""Folders of scenes: layout kept, failures told, what is done skipped, whoever does the work."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio

from rsclip.batch import run_batch
from rsclip.batch.manifest import Manifest, read_manifest
from rsclip.config import SegmentConfig
from rsclip.errors import InputError, OptionError, OutputError
from tests.e2e.stub import StubEncoder, loader
from tests.rasters import folder as rasters_folder

CLASSES = "bright, dark"


@pytest.fixture
def scenes(make_scene, tmp_path):
    """A folder of three scenes, one of them damaged, in two levels."""
    folder = tmp_path / "scenes"
    (folder / "north").mkdir(parents=True)
    for name in ("a.tif", "north/b.tif"):
        shutil.move(make_scene(), folder / name)
    (folder / "north/bad.tif").write_bytes(b"not a raster")
    return folder


def run(inputs, out, **options):
    encoder = StubEncoder()
    report = run_batch(inputs, CLASSES, out, model_loader=loader(encoder), **options)
    return report, encoder


def lines(out):
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()][1:]


def mask(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def test_layout_is_kept_and_a_bad_scene_stops_none(scenes, tmp_path):
    out = tmp_path / "out"
    report, _ = run([scenes], out, recursive=True)
    assert {(each.task.name, each.status) for each in report.outcomes} == {
        ("a", "done"), ("north/b", "done"), ("north/bad", "failed"),
    }  # fmt: skip
    assert (out / "a_mask.tif").exists()
    assert (out / "north/b_mask.tif").exists()
    (bad,) = report.failed
    assert "bad.tif" in bad.problem.message
    assert "not a raster" in (out / "manifest.csv").read_text()
    # Again: what is done is skipped, what failed is tried.
    again, encoder = run([scenes], out, recursive=True)
    assert again.count("skipped") == 2
    assert encoder.calls == 0
    # Other settings are refused without --overwrite, and the manifest says so.
    other, _ = run([scenes / "a.tif"], out, config=SegmentConfig(resume=True, logit_scale=20))
    assert "exist already" in other.failed[0].problem.message
    assert "exist already" in lines(out)[-1]["error"]["message"]


def test_retry_runs_what_failed_and_nothing_else(scenes, make_scene, tmp_path):
    out = tmp_path / "out"
    run([scenes], out, recursive=True)
    shutil.move(make_scene(), scenes / "north/bad.tif")
    report, _ = run([], out, retry_failed=out / "manifest.jsonl")
    assert [each.task.name for each in report.outcomes] == ["north/bad"]
    assert report.count("done") == 1
    assert (out / "north/bad_mask.tif").exists()
    with pytest.raises(InputError, match="no scene of it has failed"):
        run([], out, retry_failed=out / "manifest.jsonl")


def test_the_first_failure_can_stop_it(scenes, tmp_path):
    (scenes / "0_bad.tif").write_bytes(b"rubbish")
    report, encoder = run([scenes], tmp_path / "out", on_error="stop")
    assert [each.status for each in report.outcomes] == ["failed"]
    assert report.unfinished == 1
    assert encoder.calls == 0


def test_a_list_names_classes_and_options(make_scene, tmp_path):
    first, second = make_scene("one.tif"), make_scene("two.tif", shape=(200, 200))
    (tmp_path / "list.csv").write_text(
        "scene,classes,gsd,bands\n"
        f'{first.name},"light, dim",,\n'
        f"{second.name},,1.0,\"3,2,1\"\n"
    )  # fmt: skip
    report, _ = run([tmp_path / "list.csv"], tmp_path / "out")
    one, two = (
        json.loads((tmp_path / "out" / f"{name}_run.json").read_text()) for name in ("one", "two")
    )
    assert report.count("done") == 2
    assert [each["name"] for each in one["classes"]["classes"]] == ["light", "dim"]
    assert two["scene"]["working_shape"] == [100, 100]
    assert two["scene"]["bands"] == [3, 2, 1]


def test_what_is_wrong_is_said_before_anything_runs(scenes, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.txt").write_text(f"{scenes}/a.tif\n{scenes}/gone1.tif\n{scenes}/gone2.tif\n")
    shutil.copy(scenes / "a.tif", tmp_path / "a.tif")
    out = tmp_path / "out"
    for inputs, message in (
        ([tmp_path / "empty"], "the folder is empty"),
        ([str(tmp_path / "*.nothing")], "nothing|no file"),
        ([tmp_path / "list.txt"], r"(?s)gone1.*gone2"),
        ([scenes / "a.tif", tmp_path / "a.tif"], "both would be written as a_mask"),
        ([tmp_path / "nowhere"], "no such file or folder"),
    ):
        with pytest.raises(InputError, match=message):
            run(inputs, out)
    with pytest.raises(OptionError, match="--jobs"):
        run([scenes], out, jobs=0)
    assert not list(out.glob("*_mask.tif"))


def test_a_manifest_cut_by_a_kill_or_of_another_version(scenes, tmp_path):
    out = tmp_path / "out"
    run([scenes / "a.tif"], out)
    path = out / "manifest.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"scene": "cut sho')
    assert [each.task.name for each in read_manifest(path)] == ["a"]
    run([scenes / "a.tif"], out)
    assert len(lines(out)) == 2
    path.write_bytes(whole.replace(b'"rsclip_manifest": 1', b'"rsclip_manifest": 99'))
    with pytest.raises(InputError, match="version"):
        run([scenes / "a.tif"], out)


def test_two_batches_into_one_folder(scenes, tmp_path):
    with Manifest(tmp_path / "out"), pytest.raises(OutputError, match="another batch"):
        run([scenes], tmp_path / "out")


def test_a_mosaic_over_all_masks(make_scene, tmp_path):
    places = [rasterio.Affine(0.5, 0, 5e5 + 45 * i, 0, -0.5, 5e6) for i in range(2)]
    scenes = [make_scene(f"t{i}.tif", transform=place) for i, place in enumerate(places)]
    report, _ = run(scenes, tmp_path / "out", mosaic=True)
    (vrt,) = [path for path in report.extras if path.suffix == ".vrt"]
    joined = mask(vrt)
    assert joined.shape == (70, 180)
    np.testing.assert_array_equal(joined[:, :90], mask(tmp_path / "out/t0_mask.tif"))
    np.testing.assert_array_equal(joined[:, 90:], mask(tmp_path / "out/t1_mask.tif"))


def test_the_command_ends_with_3_and_a_table(rsclip, scenes, tiny_model, tmp_path):
    common = ["--classes", "road, water", "--model", tiny_model, "-o", tmp_path / "out"]
    done = rsclip("batch", scenes, "--recursive", *common)
    assert done.exit_code == 3, done.output
    assert "1 of 3 scenes failed" in done.stderr
    said = json.loads(rsclip("batch", scenes / "a.tif", *common, "--json").stdout)
    assert [each["status"] for each in said["scenes"]] == ["skipped"]


def test_worker_processes_give_the_same_and_survive_one_that_dies(make_scene, tiny_model, tmp_path):
    folder = tmp_path / "scenes"
    folder.mkdir()
    for index in range(4):
        shutil.move(make_scene(shape=(700, 700)), folder / f"s{index}.tif")
    alone, crew = tmp_path / "alone", tmp_path / "crew"
    command = [sys.executable, "-c", "from rsclip_cli.main import main; main()", "batch",
               str(folder), "--classes", "road, water", "--model", tiny_model]  # fmt: skip
    subprocess.run([*command, "-o", str(alone)], check=True, capture_output=True)
    process = subprocess.Popen(
        [*command, "-o", str(crew), "--jobs", "2"], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not list(crew.glob(".rsclip-*_run.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    kill_a_worker(process.pid)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    assert "killed (SIGKILL" in said
    for index in range(4):
        np.testing.assert_array_equal(
            mask(crew / f"s{index}_mask.tif"), mask(alone / f"s{index}_mask.tif")
        )
    assert max(line["tries"] for line in lines(crew)) == 2


def kill_a_worker(parent):
    import psutil

    workers = [
        each
        for each in psutil.Process(parent).children()
        if "spawn_main" in " ".join(each.cmdline())
    ]
    assert workers
    os.kill(workers[0].pid, signal.SIGKILL)


@pytest.mark.long
def test_a_cluster_gives_the_same_and_survives_a_worker_that_dies(make_scene, tiny_model, tmp_path):
    distributed = pytest.importorskip("distributed", reason="dask is an extra")
    folder = tmp_path / "scenes"
    folder.mkdir()
    for index in range(4):
        shutil.move(make_scene(shape=(700, 700)), folder / f"s{index}.tif")
    config = SegmentConfig(resume=True, model=tiny_model)
    alone = run_batch([folder], "road, water", tmp_path / "alone", config=config)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        import threading

        def kill():
            while not list((tmp_path / "many").glob(".rsclip-*_run.json")):
                time.sleep(0.05)
            os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)

        threading.Thread(target=kill, daemon=True).start()
        many = run_batch(
            [folder], "road, water", tmp_path / "many", config=config,
            dask=cluster.scheduler_address,
        )  # fmt: skip
    assert (alone.count("done"), many.count("done")) == (4, 4)
    for index in range(4):
        np.testing.assert_array_equal(
            mask(tmp_path / f"many/s{index}_mask.tif"), mask(tmp_path / f"alone/s{index}_mask.tif")
        )


def test_nobody_at_the_address(scenes, tmp_path):
    pytest.importorskip("distributed", reason="dask is an extra")
    with pytest.raises(OptionError, match=r"127.0.0.1:9"):
        run([scenes / "a.tif"], tmp_path / "out", dask="tcp://127.0.0.1:9")


@pytest.mark.long
def test_real_rasters_end_as_they_should(tiny_model, tmp_path):
    rasters = rasters_folder()
    if not rasters.exists():
        pytest.skip("the folder of real rasters is absent")
    config = SegmentConfig(resume=True, model=tiny_model, gsd=None, overlap=0.0)
    report = run_batch([rasters], "road, water", tmp_path, config=config, recursive=True)
    failed = {Path(each.task.source).name: each.problem.message for each in report.failed}
    assert set(failed) == {"corrupt.tif", "slc.tif", "cog_gcps.tif"}
    assert "complex" in failed["slc.tif"]
    again = run_batch([rasters], "road, water", tmp_path, config=config, recursive=True)
    assert again.count("skipped") == report.count("done")
