"""`rsclip batch` as it is used: exit codes, what is said, and the folder of real rasters."""

import csv
import json
import subprocess
import sys
import time

import numpy as np
import pytest
import rasterio

from rsclip.batch.manifest import read_manifest
from tests.rasters import folder as rasters
from tests.rasters import write_raster

WORDS = "building, water"


def test_some_failed_is_exit_3_and_the_rest_is_done(folder, tmp_path, tiny_model, rsclip):
    arguments = ["batch", folder, "--recursive", "--classes", WORDS, "--model", tiny_model,
                 "--templates", "simple", "-o", tmp_path / "out", "--score", "paper",
                 "--tta", "flips"]  # fmt: skip
    done = rsclip(*arguments)
    assert done.exit_code == 3, done.output
    head, counts = done.stdout.splitlines()[:2]
    assert dict(zip(head.split(), counts.split(), strict=True)) | {"seconds": ""} == {
        "done": "3", "skipped": "0", "failed": "1", "warnings": "0", "seconds": "",
    }  # fmt: skip
    assert "bad.tif" in done.stderr
    assert "--retry-failed" in done.stderr
    again = rsclip(*arguments, "--json")
    assert again.exit_code == 3
    said = json.loads(again.stdout)
    assert [said[key] for key in ("done", "skipped", "failed")] == [0, 3, 1]
    (folder / "north/bad.tif").unlink()
    (folder / "a.tif").rename(folder / "north/bad.tif")
    retried = rsclip("batch", "--retry-failed", tmp_path / "out/manifest.jsonl", "--quiet",
                     "--tta", "none")  # fmt: skip
    assert (retried.exit_code, retried.output) == (0, "")
    assert (tmp_path / "out/north/bad_mask.tif").exists()
    # What is said outright counts, also where it is the default.
    record = json.loads((tmp_path / "out/north/bad_run.json").read_text())
    assert (record["settings"]["score"], record["settings"]["tta"]) == ("paper", "none")
    # On by default here, and off on request.
    assert rsclip(*arguments, "--no-resume", "--on-error", "stop").exit_code == 3


def test_the_table_is_told_though_a_file_over_all_cannot_be_written(
    folder, tmp_path, tiny_model, rsclip
):
    out = tmp_path / "out"
    # Where a draft of the table would be written.
    (out / ".manifest.csv.new").mkdir(parents=True)
    done = rsclip("batch", folder, "--classes", WORDS, "--model", tiny_model, "--templates",
                  "simple", "-o", out)  # fmt: skip
    assert done.exit_code == 1, done.output
    assert done.stdout.split()[:2] == ["done", "skipped"]
    assert "manifest.csv: cannot be written" in done.stderr
    assert read_manifest(out)[0].status == "done"
    assert rsclip("batch", folder, "--recursive", "--classes", WORDS, "--model", tiny_model,
                  "--templates", "simple", "-o", out).exit_code == 3  # fmt: skip


def test_bad_input_is_exit_2(folder, tmp_path, tiny_model, rsclip):
    (tmp_path / "empty").mkdir()
    for arguments, says in (
        ([tmp_path / "empty"], "the folder is empty"),
        ([f"{folder}/*.jp2"], "nothing matches"),
        ([folder, "--model", tmp_path / "absent"], "Error: "),
        ([folder, "--max-memory", "100M"], "even with one window at a time"),
        ([folder, "--max-memory", "much"], "is no size"),
        ([], "no scene was named"),
    ):
        done = rsclip("batch", "--classes", WORDS, "--model", tiny_model, "-o", tmp_path / "out",
                      *arguments)  # fmt: skip
        assert done.exit_code == 2, done.output
        assert says in done.stderr
        assert "failed" not in done.stderr


def test_workers_from_the_command_line(folder, tmp_path, tiny_model):
    """A script without a guard against being run again by its workers."""
    arguments = ["batch", folder, "--recursive", "--classes", WORDS, "--model", tiny_model,
                 "--templates", "simple", "--jobs", "2", "-o", tmp_path / "out"]  # fmt: skip
    (tmp_path / "tool.py").write_text("from rsclip_cli.main import main\nmain()\n")
    done = subprocess.run(
        [sys.executable, tmp_path / "tool.py", *map(str, arguments)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "4 scenes, 2 at a time" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(read_manifest(tmp_path / "out")) == 4


def test_dry_run_writes_nothing(folder, tmp_path, tiny_model, rsclip):
    arguments = ["batch", folder, "--recursive", "--classes", WORDS, "--model", tiny_model,
                 "--templates", "simple", "-o", tmp_path / "out"]  # fmt: skip
    done = rsclip(*arguments, "--dry-run", "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    plans = facts["scenes"]
    assert (facts["total"]["scenes"], facts["total"]["new"]) == (4, 3)
    assert facts["total"]["windows"] == sum(plan["windows"] for plan in plans)
    assert [plan["status"] for plan in plans] == ["new", "new", "unusable", "new"]
    assert all(plan["windows"] > 0 and plan["memory_mb"] > 0 for plan in plans[:2])
    assert not (tmp_path / "out").exists()
    rsclip(*arguments)
    plans = json.loads(rsclip(*arguments, "--dry-run", "--json").stdout)["scenes"]
    assert [plan["status"] for plan in plans] == ["finished", "finished", "unusable", "finished"]
    assert "3 of 4 scenes" in rsclip(*arguments, "--dry-run", "-o", tmp_path / "new").stdout


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_scheduler_that_does_not_answer_is_exit_2(folder, tmp_path, tiny_model, rsclip, more):
    pytest.importorskip("distributed")
    done = rsclip("batch", folder, "--classes", WORDS, "--model", tiny_model, "-o",
                  tmp_path / "out", "--dask", "tcp://127.0.0.1:9", *more)  # fmt: skip
    assert done.exit_code == 2, done.output
    assert "no dask scheduler answers" in done.stderr


def test_dry_run_refuses_what_the_run_would(folder, tmp_path, tiny_model, rsclip):
    arguments = ["batch", folder, "--classes", WORDS, "--model", tiny_model, "--dry-run",
                 "-o", tmp_path / "out"]  # fmt: skip
    for more, says in (
        (["--jobs", "0"], "--jobs: 0 does not fit"),
        (["--dask", "tcp://127.0.0.1:9", "--jobs", "2"], "either --dask or --jobs"),
    ):
        done = rsclip(*arguments, *more)
        assert done.exit_code == 2, done.output
        assert says in done.stderr


def test_after_an_early_end_the_whole_batch_is_to_be_run_again(
    folder, tmp_path, tiny_model, rsclip
):
    """A retry of what failed would never run the scenes that were not begun."""
    (folder / "0.tif").write_bytes(b"II*")
    arguments = ["batch", folder, "--recursive", "--classes", WORDS, "--model", tiny_model,
                 "--templates", "simple", "-o", tmp_path / "out"]  # fmt: skip
    done = rsclip(*arguments, "--on-error", "stop")
    assert done.exit_code == 3, done.output
    assert "1 of 5 scenes failed, 4 not begun. It says why. Run the same batch" in done.stderr
    assert "--retry-failed" not in done.stderr
    (folder / "0.tif").unlink()
    assert "--retry-failed" in rsclip(*arguments).stderr


@pytest.mark.long
def test_the_folder_of_real_rasters(tmp_path, tiny_model, rsclip):
    """Some cannot be read by design: exit 3, masks of the others, and a manifest that says why."""
    root = rasters()
    if not root.is_dir():
        pytest.skip(f"no folder of test rasters at {root}")
    out = tmp_path / "out"
    arguments = ["batch", root, "--recursive", "--classes", WORDS, "--model", tiny_model,
                 "--templates", "simple", "--overlap", "0", "-o", out, "--json"]  # fmt: skip
    done = rsclip(*arguments)
    assert done.exit_code == 3, done.output
    ends = {outcome.task.name: outcome for outcome in read_manifest(out)}
    reasons = {name: outcome.problem.message for name, outcome in ends.items() if outcome.problem}
    assert {"rasterio/corrupt", "rio-cogeo/slc", "rio-tiler/cog_gcps"} == set(reasons)
    assert "pixels cannot be read" in reasons["rasterio/corrupt"]
    assert "complex numbers" in reasons["rio-cogeo/slc"]
    assert "ground control points" in reasons["rio-tiler/cog_gcps"]
    for name, outcome in ends.items():
        if outcome.status == "done":
            with rasterio.open(outcome.task.source) as scene, \
                    rasterio.open(out / outcome.outputs["mask"]) as mask:  # fmt: skip
                assert (mask.shape, mask.crs) == (scene.shape, scene.crs), name
                assert mask.transform == scene.transform, name
    with (out / "manifest.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(ends)
    again = json.loads(rsclip(*arguments).stdout)
    assert (again["done"], again["skipped"], again["failed"]) == (0, len(ends) - 3, 3)


@pytest.mark.long
def test_a_worker_killed_in_the_middle_of_a_scene(tmp_path, tiny_model):
    """With a real model and nobody's help: the scene goes on, and all masks are the same."""
    psutil = pytest.importorskip("psutil")
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    rng = np.random.default_rng(2)
    for index in range(4):
        pixels = np.kron(rng.integers(20, 250, (3, 44, 44)), np.ones((1, 16, 16)))
        write_raster(scenes / f"s{index}.tif", pixels.astype("uint8"))
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    command = [sys.executable, "-c", "from rsclip_cli.main import main; main()", "batch", scenes,
               "--classes", WORDS, "--model", tiny_model, "--templates", "simple"]  # fmt: skip
    subprocess.run([*command, "-o", alone], check=True, capture_output=True)
    process = subprocess.Popen(
        [*command, "-o", shared, "--jobs", "2"], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not list(shared.glob(".rsclip-*_run.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = [
        each
        for each in psutil.Process(process.pid).children()
        if "spawn_main" in " ".join(each.cmdline())
    ]
    workers[0].kill()
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    assert "killed (SIGKILL" in said
    for index in range(4):
        one, other = (rasterio.open(path / f"s{index}_mask.tif") for path in (alone, shared))
        np.testing.assert_array_equal(one.read(), other.read())
    assert max(outcome.tries for outcome in read_manifest(shared)) == 2


@pytest.mark.parametrize(
    "options", [[], ["--jobs", "2"], ["--checksum", "--jobs", "2"], ["--dry-run"]], ids=" ".join
)
def test_a_finished_batch_needs_no_model_and_no_worker(tmp_path, options, rsclip):
    scene = tmp_path / "in" / "a.tif"
    scene.parent.mkdir()
    write_raster(scene, np.full((3, 64, 64), 90, "uint8"))
    arguments = ["batch", scene.parent, "--classes", WORDS, "--model", "nano", "--overlap", "0",
                 "--checksum", "-o", tmp_path / "out", "--quiet"]  # fmt: skip
    assert rsclip(*arguments).exit_code == 0
    code = """
import atexit, multiprocessing.context as context, sys
def refuse(self): raise AssertionError("a worker was started")
context.SpawnProcess.start = refuse
atexit.register(lambda: print({"torch", "open_clip", "geopandas"} & set(sys.modules)))
from rsclip_cli.main import main
main()
"""
    arguments.remove("--checksum")
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments), *options],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("set()\n")
    assert ("finished before" in done.stdout) == ("--dry-run" in options)
