"""What --dry-run and --max-memory promise."""

import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
import rasterio.shutil

import rsclip as library
from rsclip.config import build_config
from rsclip.errors import EncodeError, ExistsError, OptionError
from rsclip.outputs.files.staging import Staging
from rsclip.run import checkpoint, plan
from rsclip.run.encoder import load_for_job
from rsclip.run.memory_limit import parse_size
from rsclip.run.plan import plan_scenes
from tests.run.killed import OPTIONS, run
from tests.run.stub import StubEncoder, loader


def test_dry_run_tells_and_writes_nothing(rsclip, make_scene, tiny_model, tmp_path):
    done_before, new = make_scene("done.tif"), make_scene("new.tif", shape=(200, 240))
    other = make_scene("other.tif")
    out = tmp_path / "out"
    common = ["--classes", "road, water", "--model", tiny_model, "-o", out]
    assert rsclip("segment", done_before, *common).exit_code == 0
    assert rsclip("segment", other, *common, "--logit-scale", "30").exit_code == 0
    held = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    scenes = [done_before, new, other, tmp_path / "gone.tif"]
    said = rsclip("segment", *scenes, *common, "--dry-run", "--json")
    assert said.exit_code == 0, said.output
    facts = json.loads(said.stdout)
    plans = facts["scenes"]
    assert [plan["status"] for plan in plans] == ["finished", "new", "exists", "unusable"]
    assert "no such file" in plans[3]["reason"]
    assert "exist already" in plans[2]["reason"]
    assert plans[1]["windows"] == 12 * 14
    assert plans[1]["memory_mb"] > 400
    assert 0 < plans[1]["disk_mb"] < 1
    names = ("windows", "seconds", "memory_mb", "disk_mb")
    assert facts["total"] == {"scenes": 4, "new": 1} | {name: plans[1][name] for name in names}
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == held
    table = rsclip("segment", *scenes, *common, "--dry-run").stdout
    assert "168" in table
    assert "1 of 4 scenes to do" in table


def test_loading_the_model_is_counted_once(make_scene, tiny_model, tmp_path, monkeypatch):
    now = 0.0

    def load(job, backbone, model_loader):
        nonlocal now
        now += 7
        return load_for_job(job, backbone, model_loader)

    monkeypatch.setattr(plan, "load_for_job", load)
    monkeypatch.setattr(plan, "time", SimpleNamespace(perf_counter=lambda: now))
    monkeypatch.setattr(plan, "_seconds_a_window", lambda *_: 0.5)
    scenes = [tmp_path / "gone.tif", make_scene("a.tif"), make_scene("b.tif")]
    config = build_config({"model": tiny_model})
    gone, first, second = plan_scenes(scenes, "road, water", tmp_path / "out", config=config)
    assert gone.seconds == 0
    assert second.seconds == pytest.approx(second.windows * 0.5, abs=0.06)
    assert first.seconds == round(second.seconds + 9, 1)
    # Timed before, windows tell that the loading is counted.
    again = plan_scenes(scenes[1:], "road, water", tmp_path, config=config, window_seconds=0.5)
    assert [each.seconds for each in again] == [second.seconds] * 2


def test_dry_run_counts_windows_of_the_area_only(rsclip, make_scene, tiny_model, tmp_path):
    common = ["segment", make_scene(shape=(400, 400)), "--classes", "road, water", "--model",
              tiny_model, "-o", tmp_path / "out", "--json"]  # fmt: skip
    (whole,) = json.loads(rsclip(*common, "--dry-run").stdout)["scenes"]
    area = ["--aoi", "500010,4999980,500020,4999990"]
    (part,) = json.loads(rsclip(*common, *area, "--dry-run").stdout)["scenes"]
    assert 0 < part["windows"] < whole["windows"] / 4
    one = rsclip(*(item for item in common if item != "--json"), "--dry-run").stdout
    assert "1 of 1 scene to do: about" in one
    (off,) = json.loads(rsclip(*common, "--aoi", "0,0,9,9", "--dry-run").stdout)["scenes"]
    assert (off["status"], off["windows"]) == ("outside", 0)
    assert rsclip(*common, *area).exit_code == 0
    windows = json.loads((tmp_path / "out/scene_run.json").read_text())["windows"]
    assert windows["total"] - windows["skipped"] == part["windows"]


def test_dry_run_knows_a_shapefile_without_a_crs_as_finished(
    rsclip, make_scene, tiny_model, tmp_path
):
    common = [make_scene(crs=None), "--classes", "road, water", "--model", tiny_model,
              "--vector-format", "shp", "-o", tmp_path / "out"]  # fmt: skip
    assert rsclip("segment", *common).exit_code == 0
    assert not (tmp_path / "out" / "scene_polygons.prj").exists()
    (plan,) = json.loads(rsclip("segment", *common, "--dry-run", "--json").stdout)["scenes"]
    assert plan["status"] == "finished"


def look_ahead(scene, out, **options):
    """Plan a scene by the stub, and hold that not a byte of the output folder changes."""
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    config = build_config({**OPTIONS, **options})
    (plan,) = plan_scenes(
        [scene], "bright, dark", out, config=config, model_loader=loader(StubEncoder())
    )
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.name != "lock"}
    assert {path: time for path, time in before.items() if path.name != "lock"} == after
    return plan


def fail():
    raise EncodeError("the encoder failed (boom)")


@pytest.mark.parametrize("aoi", [None, "500010,4999900,500150,4999990"])
def test_dry_run_counts_what_a_begun_scene_still_needs(make_scene, tmp_path, monkeypatch, aoi):
    monkeypatch.setattr(checkpoint, "_SECONDS", 0.0)
    scene, out = make_scene(shape=(430, 370)), tmp_path / "out"
    whole = look_ahead(scene, out, aoi=aoi)
    with pytest.raises(EncodeError):
        run(scene, out, StubEncoder(calls=33, fail=fail), aoi=aoi)
    plan = look_ahead(scene, out, aoi=aoi)
    assert (plan.status, plan.windows + plan.kept) == ("new", whole.windows)
    assert plan.kept > 0
    assert plan.reason == f"begun: {plan.kept} windows are done"
    # What is begun counts for a run of its kind only.
    for other in ({"resume": False}, {"threshold": 0.2}):
        assert look_ahead(scene, out, aoi=aoi, **other).kept == 0
    encoder = StubEncoder()
    run(scene, out, encoder, aoi=aoi)
    assert encoder.calls == -(-plan.windows // encoder.batch_size)


def test_dry_run_says_what_a_run_would_of_outputs_that_are_there(make_scene, tmp_path):
    scene = make_scene()
    run(scene, tmp_path / "out", StubEncoder())
    plan = look_ahead(scene, tmp_path / "out", threshold=0.2)
    with pytest.raises(ExistsError, match="made with other settings") as said:
        run(scene, tmp_path / "out", StubEncoder(), threshold=0.2)
    assert (plan.status, plan.reason) == ("exists", str(said.value))
    (tmp_path / "out" / "scene_areas.csv").unlink()
    plan = look_ahead(scene, tmp_path / "out")
    without = "scene_areas.csv is made from the finished mask, without the model"
    assert (plan.status, plan.reason) == ("finished", without)
    (tmp_path / "out" / "scene_mask.tif").unlink()
    plan = look_ahead(scene, tmp_path / "out")
    gone = "scene_mask.tif, scene_areas.csv are gone: the scene is done again"
    assert (plan.status, plan.reason) == ("new", gone)


@pytest.mark.parametrize("count", [1, 3])
def test_dry_run_leaves_a_run_alone_that_was_killed_as_it_published(make_scene, tmp_path, count):
    scene, out = make_scene(), tmp_path / "out"
    code = f"""
import os, signal, sys
from rsclip.outputs.files import moves
from tests.run.killed import run
from tests.run.stub import StubEncoder
move, left = moves.move, [{count}]
def deadly(*paths, **options):
    move(*paths, **options)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
moves.move = deadly
run(sys.argv[1], sys.argv[2], StubEncoder())
"""
    done = subprocess.run([sys.executable, "-c", code, str(scene), str(out)], check=False)
    assert done.returncode == -9
    assert not (out / "scene_run.json").exists()
    # The next run brings it to its end and leaves it at that.
    assert look_ahead(scene, out).status == "finished"
    assert run(scene, out, StubEncoder()).status == "skipped"


def test_the_time_is_of_the_right_order(rsclip, make_scene, tiny_model, tmp_path):
    scene = make_scene(shape=(900, 900))
    common = ["--classes", "road, water", "--model", tiny_model, "-o", tmp_path / "out"]
    (plan,) = json.loads(rsclip("segment", scene, *common, "--dry-run", "--json").stdout)["scenes"]
    began = time.perf_counter()
    assert rsclip("segment", scene, *common).exit_code == 0
    took = time.perf_counter() - began
    # Machines are noisy: only a plan that means something else would be this far off.
    assert plan["seconds"] / 10 < took < plan["seconds"] * 10 + 5


def test_the_batch_keeps_the_limit(make_scene, tiny_model, tmp_path):
    scene = make_scene(shape=(300, 300))
    options = {"model": tiny_model, "window": 256}
    free = library.segment(scene, "road, water", tmp_path / "free", batch_size=64, **options)
    kept = library.segment(
        scene, "road, water", tmp_path / "kept", batch_size=64, max_memory="800M", **options
    )
    assert free.run["model"]["batch_size"] == 64
    assert 1 <= kept.run["model"]["batch_size"] < 64
    assert (free.mask() == kept.mask()).mean() >= 0.9999
    with pytest.raises(OptionError, match=r"about .* MB are needed"):
        library.segment(scene, "road, water", tmp_path / "no", max_memory="100M", **options)
    assert not (tmp_path / "no").exists()


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak there")
@pytest.mark.parametrize(
    "options",
    [
        "",
        "--refine pamr",
        "--upsample jbu --gsd 2",
        "--preview --probabilities",
        "--method scclip --gsd 0.4",
    ],
)
def test_the_limit_holds_for_the_whole_process(make_scene, tmp_path, options):
    assert peak_mb(make_scene(shape=(300, 2400)), tmp_path / "out", 860, options) <= 860


def peak_mb(scene, out, limit, options):
    """Return the peak of a run under a memory limit, in a process of its own."""
    command = [
        "segment", str(scene), "--classes", "road, water, forest, grassland", "--model", "nano",
        "--max-memory", f"{limit}M", "-o", str(out), "--quiet", *options.split(),
    ]  # fmt: skip
    code = f"from rsclip_cli.main import cli; cli({command!r}, standalone_mode=False)"
    # Of this program alone: getrusage also counts the process that it was forked from.
    peak = "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{peak}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) / 1024


@pytest.fixture
def one_strip(tmp_path):
    """A scene of 41 MB whose rows are one compressed strip, as some programs write them."""
    path = tmp_path / "strip.tif"
    pixels = np.random.default_rng(0).integers(0, 256, (3, 300, 44_000), np.uint8)
    with rasterio.open(
        path, "w", driver="GTiff", height=300, width=44_000, count=3, dtype="uint8",
        compress="lzw", interleave="pixel", blockysize=300, crs="EPSG:32633",
        transform=rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 5e6),
    ) as dataset:  # fmt: skip
        dataset.write(pixels)
    return path


def test_a_scene_of_one_strip_takes_memory(rsclip, one_strip, tiny_model, tmp_path):
    tiled = tmp_path / "tiled.tif"
    rasterio.shutil.copy(one_strip, tiled, driver="GTiff", tiled=True, compress="lzw")

    def needed(path):
        return json.loads(rsclip("info", path, "--model", tiny_model, "--json").stdout)["memory_mb"]

    size = one_strip.stat().st_size / 2**20
    assert size > 40
    assert needed(one_strip) - needed(tiled) == pytest.approx(2 * size, rel=0.1)


def test_a_scene_that_another_run_is_at_is_blocked(rsclip, make_scene, tiny_model, tmp_path):
    names = {"mask": "scene_mask.tif", "record": "scene_run.json"}
    command = ["segment", make_scene(), "--classes", "road, water", "--model", tiny_model,
               "-o", tmp_path, "--dry-run", "--json"]  # fmt: skip
    with Staging(tmp_path, names):
        (plan,) = json.loads(rsclip(*command).stdout)["scenes"]
    assert plan["status"] == "blocked"
    assert "another run" in plan["reason"]
    (plan,) = json.loads(rsclip(*command).stdout)["scenes"]
    assert plan["status"] == "new"


@pytest.mark.parametrize("outputs", [3, {"mask": ["x"]}, "[" * 20_000])
def test_a_record_that_somebody_changed_ends_no_dry_run(
    rsclip, make_scene, tiny_model, tmp_path, outputs
):
    command = ["segment", make_scene(), "--classes", "road, water", "--model", tiny_model,
               "-o", tmp_path, "--resume"]  # fmt: skip
    assert rsclip(*command).exit_code == 0
    record = tmp_path / "scene_run.json"
    content = json.loads(record.read_text())
    record.write_text(
        outputs if isinstance(outputs, str) else json.dumps({**content, "outputs": outputs})
    )
    (tmp_path / "scene_areas.csv").unlink()
    (plan,) = json.loads(rsclip(*command, "--dry-run", "--json").stdout)["scenes"]
    assert plan["status"] == "exists"
    assert rsclip(*command).exit_code == 2


def test_a_limit_that_huge_strips_break_says_so(
    rsclip, one_strip, tiny_model, tmp_path, monkeypatch
):
    from rsclip.run import memory

    monkeypatch.setattr(memory, "_LARGE_STRIP", 2**24)
    done = rsclip("segment", one_strip, "--classes", "a, b", "--model", tiny_model, "--max-memory",
                  "700M", "-o", tmp_path / "out")  # fmt: skip
    assert done.exit_code == 2
    assert "huge strips" in done.stderr
    assert "TILED=YES" in done.stderr


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak there")
def test_the_limit_holds_for_a_scene_of_one_strip(one_strip, tmp_path):
    assert peak_mb(one_strip, tmp_path / "out", 940, "--gsd 8 --overlap 0") <= 940


def test_sizes():
    assert parse_size("2G") == parse_size("2 GiB") == 2 * 2**30
    assert parse_size("1500m") == 1500 * 2**20
    assert parse_size("2.5gb") == int(2.5 * 2**30)
    for text in ("", "two", "-1G", "0", "1X"):
        with pytest.raises(OptionError, match="max_memory"):
            parse_size(text)
