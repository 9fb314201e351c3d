"""A run that was stopped anywhere and goes on gives what an uninterrupted one gives."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely

from rsclip import segment
from rsclip.errors import EncodeError, OutputError, RsclipWarning, WriteError
from rsclip.run import checkpoint
from rsclip_cli.exit_codes import guard
from tests.run.killed import run
from tests.run.stub import StubEncoder


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr(checkpoint, "_SECONDS", 0.0)


@pytest.fixture
def scene(make_scene):
    """A scene with a hole, of 13 x 11 windows."""
    path = make_scene(shape=(430, 370), nodata=0)
    with rasterio.open(path, "r+") as dataset:
        pixels = dataset.read()
        pixels[:, 90:210, 100:300] = 0
        dataset.write(pixels)
    return path


def results(outcome):
    """Return the bytes of every raster and table, and the numbers of the record."""
    rasters = {}
    for key in ("mask", "confidence", "probabilities"):
        with rasterio.open(outcome.paths[key]) as dataset:
            rasters[key] = dataset.read().tobytes()
    record = json.loads(outcome.record.read_text())
    numbers = (record["results"], record["windows"]["skipped"], record["valid_pixels"])
    return rasters, outcome.paths["areas"].read_bytes(), numbers


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fail():
    raise EncodeError("the encoder failed (boom)")


@pytest.mark.parametrize("options", [{}, {"upsample": "jbu:2"}, {"refine": "pamr:2"}])
@pytest.mark.parametrize("calls", [2, 5, 9, 20, 33, 47, 58])
def test_goes_on_after_an_error_as_if_nothing_had_been(scene, tmp_path, calls, options):
    whole = run(scene, tmp_path / "whole", StubEncoder(), **options)
    out = tmp_path / "out"
    with pytest.raises(EncodeError) as caught:
        run(scene, out, StubEncoder(calls=calls, fail=fail), **options)
    again = StubEncoder()
    went_on = "resume=True goes on" in str(caught.value)
    # What waited in the writer's queue when the error came is lost. Six batches are a row.
    assert went_on or calls < 5
    assert out.exists() == went_on
    outcome = run(scene, out, again, **options)
    assert results(outcome) == results(whole)
    assert names(out) == names(tmp_path / "whole")
    total = StubEncoder()
    run(scene, tmp_path / "count", total, **options)
    assert again.calls <= total.calls - max(0, calls - 1 - 4)


def stop(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize("place", ["load_for_job", "Staging.__init__", "describe_run"])
def test_what_stops_a_run_before_its_first_row_leaves_the_rows_of_the_run_before(
    scene, tmp_path, monkeypatch, place
):
    out = tmp_path / "out"
    with pytest.raises(EncodeError):
        run(scene, out, StubEncoder(calls=40, fail=fail))
    with monkeypatch.context() as patch:
        patch.setattr(f"rsclip.run.{'encoder' if 'load' in place else 'segment'}.{place}", stop)
        with pytest.raises(KeyboardInterrupt) as caught:
            run(scene, out, StubEncoder())
    assert "Finished rows are kept" in caught.value.__notes__[0]
    rest, total = StubEncoder(), StubEncoder()
    run(scene, out, rest)
    run(scene, tmp_path / "whole", total)
    assert 0 < rest.calls < total.calls / 2 + 10


def test_ctrl_c_with_nothing_kept_tells_of_nothing(scene, tmp_path, monkeypatch):
    monkeypatch.setattr("rsclip.run.encoder.load_for_job", stop)
    with pytest.raises(KeyboardInterrupt) as caught:
        run(scene, tmp_path / "out", StubEncoder())
    assert not hasattr(caught.value, "__notes__")
    assert not (tmp_path / "out").exists()


def test_a_finished_scene_stays_as_it_is(scene, tmp_path):
    first = run(scene, tmp_path, StubEncoder())
    held = first.record.read_bytes()
    encoder = StubEncoder()
    again = run(scene, tmp_path, encoder)
    assert (again.status, encoder.calls) == ("skipped", 0)
    assert again.record.read_bytes() == held
    assert again.shares == first.shares
    np.testing.assert_array_equal(again.mask(), first.mask())
    with pytest.raises(OutputError, match="exist already"):
        run(scene, tmp_path, StubEncoder(), threshold=0.2)
    os.utime(scene, ns=(1, 1))
    with pytest.raises(OutputError, match="exist already"):
        run(scene, tmp_path, StubEncoder())
    assert run(scene, tmp_path, StubEncoder(), overwrite=True).status == "done"


def test_finished_elsewhere_and_in_other_batches_is_finished(scene, tmp_path, tiny_model):
    options = {"model": tiny_model, "templates": "simple", "resume": True}
    first = segment(scene, "water, tree", tmp_path, **options)
    for change in ({"device": "cpu"}, {"batch_size": 3}, {"max_memory": "8G"}):
        assert segment(scene, "water, tree", tmp_path, **options, **change).status == "skipped"
    assert first.status == "done"
    with pytest.raises(OutputError, match="made with other settings"):
        segment(scene, "water, tree", tmp_path, **options, precision="bf16")


def test_content_in_place_of_time_where_it_is_known(scene, tmp_path):
    run(scene, tmp_path, StubEncoder())
    with pytest.warns(UserWarning, match="finished without checksum=True"):
        assert run(scene, tmp_path, StubEncoder(), checksum=True).status == "skipped"
    run(scene, tmp_path, StubEncoder(), checksum=True, resume=False, overwrite=True)
    os.utime(scene, ns=(1, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RsclipWarning)
        assert run(scene, tmp_path, StubEncoder(), checksum=True).status == "skipped"
    out = tmp_path / "cut"
    with pytest.raises(EncodeError):
        run(scene, out, StubEncoder(calls=40, fail=fail), checksum=True)
    os.utime(scene, ns=(2, 2))
    encoder = StubEncoder()
    run(scene, out, encoder, checksum=True)
    total = StubEncoder()
    run(scene, tmp_path / "whole", total)
    assert 0 < encoder.calls < total.calls / 2 + 10


def test_what_lies_beside_a_scene_counts_where_it_changes_the_reading(make_scene, tmp_path):
    scene = make_scene(shape=(100, 120))
    out = tmp_path / "out"
    run(scene, out, StubEncoder())
    beside = scene.with_name(f"{scene.name}.aux.xml")
    # As QGIS leaves it.
    beside.write_text(
        '<PAMDataset><PAMRasterBand band="1"><Metadata><MDI key="STATISTICS_MEAN">9</MDI>'
        "</Metadata></PAMRasterBand></PAMDataset>"
    )
    assert run(scene, out, StubEncoder()).status == "skipped"
    nodata = "".join(
        f'<PAMRasterBand band="{band}"><NoDataValue>7</NoDataValue></PAMRasterBand>'
        for band in (1, 2, 3)
    )
    for change in (
        nodata,
        "<SRS>EPSG:32631</SRS>",
        "<GeoTransform>4e5, 2, 0, 5e6, 0, -2</GeoTransform>",
    ):
        beside.write_text(f"<PAMDataset>{change}</PAMDataset>")
        with pytest.raises(OutputError, match="from an input that has changed since"):
            run(scene, out, StubEncoder())


def test_an_area_is_what_its_file_holds(scene, tmp_path):
    with rasterio.open(scene) as dataset:
        places = [dataset.transform @ xy for xy in [(10, 20), (300, 20), (300, 200), (10, 200)]]
        crs = dataset.crs.to_wkt()

    def draw(name, points):
        frame = geopandas.GeoDataFrame(geometry=[shapely.Polygon(points)], crs=crs)
        frame.to_file(tmp_path / name)
        return str(tmp_path / name)

    out = tmp_path / "out"
    first = run(scene, out, StubEncoder(), aoi=draw("a.gpkg", places))
    # The same area under another name, from another vertex on.
    moved = draw("b.gpkg", [*places[1:], places[0]])
    assert run(scene, out, StubEncoder(), aoi=moved).status == "skipped"
    changed = draw("a.gpkg", places[:3])
    with pytest.raises(OutputError, match="exist already, made with other settings"):
        run(scene, out, StubEncoder(), aoi=changed)
    again = run(scene, out, StubEncoder(), aoi=changed, overwrite=True)
    assert again.run["valid_pixels"] < first.run["valid_pixels"]

    # The rows of one area never stand beside those of another.
    with pytest.raises(EncodeError):
        run(scene, tmp_path / "cut", StubEncoder(calls=28, fail=fail), aoi=draw("a.gpkg", places))
    assert list((tmp_path / "cut").glob(".rsclip-*/work/state.npz"))
    draw("a.gpkg", places[:3])
    with pytest.warns(UserWarning, match="starts over"):
        assert results(run(scene, tmp_path / "cut", StubEncoder(), aoi=changed)) == results(again)


@pytest.mark.parametrize("change", ["settings", "input", "batches", "damage", "no resume"])
def test_starts_over_where_it_must(scene, tmp_path, change):
    out = tmp_path / "out"
    # Guided strips are so high that none of this scene's would be in the log yet.
    options, size = {"upsample": "bilinear"} if change == "damage" else {}, 2
    with pytest.raises(EncodeError):
        run(scene, out, StubEncoder(calls=40, fail=fail), **options)
    (work,) = out.glob(".rsclip-*/work")
    if change == "settings":
        options = {"logit_scale": 40}
    elif change == "input":
        os.utime(scene, ns=(1, 1))
    elif change == "batches":
        size = 3
    elif change == "damage":
        log = work / "rows.log"
        held = log.read_bytes()
        # At its beginning: what was written after the last commit may well be damaged.
        log.write_bytes(held[:100] + bytes(200) + held[300:])
    else:
        options = {"resume": False}
    encoder = StubEncoder(batch_size=size)
    if change == "no resume":
        outcome = run(scene, out, encoder, **options)
    else:
        with pytest.warns(UserWarning, match="starts over"):
            outcome = run(scene, out, encoder, **options)
    total = StubEncoder(batch_size=size)
    assert results(outcome) == results(run(scene, tmp_path / "whole", total, **options))
    assert encoder.calls == total.calls


def kill_and_go_on(scene, tmp_path, moments):
    """Kill a run after each of so many seconds, or, for None, when it has kept something."""
    whole = results(run(scene, tmp_path / "whole", StubEncoder()))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    out = tmp_path / "out"
    kept = 0
    for moment in moments:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.run.killed", str(scene), str(out)],
            stdout=subprocess.PIPE, env=environment,
        )  # fmt: skip
        process.stdout.readline()
        if moment is None:
            while process.poll() is None and not list(out.glob(".rsclip-*/work/state.npz")):
                time.sleep(0.001)
        else:
            time.sleep(moment)
        process.kill()
        process.communicate()
        kept += bool(list(out.glob(".rsclip-*/work/state.npz")))
        outcome = run(scene, out, StubEncoder())
        assert results(outcome) == whole
        assert not list(out.glob(".rsclip-*"))
        for path in out.iterdir():
            path.unlink()
    return kept


def test_a_full_disk_keeps_what_was_done(make_scene, tmp_path):
    disk = tmp_path / "small"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root on Linux")
    try:
        pixels = np.random.default_rng(0).integers(1, 255, (3, 150, 150), "uint8")
        scene = make_scene(shape=(1200, 1200))
        with rasterio.open(scene, "r+") as dataset:
            # Blocks of noise of the patch's size: a mask that does not compress.
            dataset.write(np.kron(pixels, np.ones((1, 8, 8), "uint8")))
        with pytest.raises(WriteError, match=r"the disk is full.*resume=True goes on from there"):
            run(scene, disk / "out", StubEncoder())
        subprocess.run(["mount", "-o", "remount,size=30m", str(disk)], check=True)
        encoder, total = StubEncoder(), StubEncoder()
        outcome = run(scene, disk / "out", encoder)
        whole = run(scene, tmp_path / "whole", total)
        assert results(outcome) == results(whole)
        assert encoder.calls < total.calls
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize("calls", [1, 30])
def test_going_on_is_offered_where_there_is_something_to_go_on_from(scene, tmp_path, capsys, calls):
    with pytest.raises(SystemExit), guard():
        run(scene, tmp_path / "out", StubEncoder(calls=calls, fail=interrupt))
    said = capsys.readouterr().err
    assert said.startswith("Interrupted: no half-made output was left behind.")
    assert ("--resume goes on from there" in said) == (calls == 30)
    assert (tmp_path / "out").exists() == (calls == 30)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("move", [1, 4])
def test_killed_while_outputs_get_their_names(scene, tmp_path, move, overwrite):
    out = tmp_path / "out"
    if overwrite:
        run(scene, out, StubEncoder(), threshold=0.6)
    code = (
        "import os, signal, sys; from tests.run.killed import *\n"
        "from rsclip.outputs.files import moves\n"
        "move, left = moves.move, [int(sys.argv[3])]\n"
        "def deadly(*args, **options):\n"
        "    move(*args, **options); left[0] -= 1\n"
        "    left[0] or os.kill(os.getpid(), signal.SIGKILL)\n"
        "moves.move = deadly\n"
        "run(sys.argv[1], sys.argv[2], StubEncoder(), overwrite=sys.argv[4] == 'True')"
    )
    arguments = [sys.executable, "-c", code, str(scene), str(out), str(move), str(overwrite)]
    assert subprocess.run(arguments, check=False).returncode == -9
    encoder = StubEncoder()
    outcome = run(scene, out, encoder)
    assert (outcome.status, encoder.calls) == ("skipped", 0)
    assert results(outcome) == results(run(scene, tmp_path / "whole", StubEncoder()))
    assert names(out) == names(tmp_path / "whole")


def test_killed_at_three_moments(scene, tmp_path):
    # At the last moment there surely is something to go on from, on any machine.
    assert kill_and_go_on(scene, tmp_path, [0.15, 0.3, None]) > 0


@pytest.mark.long
def test_killed_at_twenty_moments(scene, tmp_path):
    moments = random.Random(6).choices([step / 100 for step in range(1, 90)], k=20)
    assert kill_and_go_on(scene, tmp_path, moments) > 5
