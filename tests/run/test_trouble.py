"""What goes wrong in the middle of a run: one message, the next scene runs, nothing is left."""

import _thread
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import rasterio

import rsclip as library
from rsclip.config import build_config
from rsclip.errors import EncodeError, OptionError, OutputError, RunError, WriteError
from rsclip.run.segment import Failure, segment_scenes
from tests.run.stub import StubEncoder, loader


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def run(scenes, out, encoder, **options):
    return list(
        segment_scenes(
            scenes, "bright, dark", out, config=build_config(options), model_loader=loader(encoder)
        )
    )


def boom():
    raise EncodeError("the encoder failed (boom)")


def exhausted():
    raise MemoryError


@pytest.mark.parametrize(
    ("fail", "message"), [(boom, "boom"), (exhausted, "first.tif.*memory.*batch_size")]
)
def test_an_encoder_that_fails_once_costs_one_scene(make_scene, tmp_path, fail, message):
    scenes = [make_scene("first.tif", (400, 400)), make_scene("second.tif", (400, 400))]
    failure, result = run(scenes, tmp_path / "out", StubEncoder(calls=5, fail=fail))
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, RunError)
    with pytest.raises(RunError, match=message):
        raise failure.error
    assert set(np.unique(result.mask())) <= {1, 2}
    assert all(name.startswith("second_") for name in names(tmp_path / "out"))
    assert not [each for each in threading.enumerate() if each.name.startswith("rsclip")]


@pytest.fixture
def _interrupts():
    """Ctrl-C as in a terminal: a shell's background jobs have it switched off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interrupts")
def test_an_interrupt_between_windows_leaves_nothing(make_scene, tmp_path):
    scene = make_scene(shape=(400, 400))
    with pytest.raises(KeyboardInterrupt):
        run([scene], tmp_path / "out", StubEncoder(calls=5, fail=_thread.interrupt_main))
    assert not (tmp_path / "out").exists()
    assert not [each for each in threading.enumerate() if each.name.startswith("rsclip")]


def test_a_disk_that_fills_at_any_moment(make_scene, tmp_path, capfd):
    scene = make_scene(shape=(600, 400))
    pixels = np.random.default_rng(0).integers(1, 255, (3, 75, 50), "uint8")
    with rasterio.open(scene, "r+") as dataset:
        # Blocks of noise of the patch's size: a mask that does not compress.
        dataset.write(np.kron(pixels, np.ones((1, 8, 8), "uint8")))
    options = {"probabilities": True, "preview": True, "qgis_project": True}
    run([scene], tmp_path / "whole", StubEncoder(), **options)
    needed = sum(path.stat().st_size for path in (tmp_path / "whole").iterdir())
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root on Linux")
    try:
        shares = np.random.default_rng(1).uniform(0.02, 0.95, 10)
        for size in (int(needed * share) for share in shares):
            remount = ["mount", "-o", f"remount,size={size}", str(folder)]
            subprocess.run(remount, check=True)
            (failure,) = run([scene], folder, StubEncoder(), **options)
            assert isinstance(failure.error, WriteError), size
            assert "the disk is full" in str(failure.error), size
            assert names(folder) == [], size
        # One message is enough: libtiff has its own.
        assert "No space left" not in capfd.readouterr().err
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_window_that_fits_no_scene_is_said_once(make_scene, tmp_path):
    scenes = [make_scene("first.tif"), make_scene("second.tif")]
    for options in ({"window": 60}, {"stretch": "foo"}, {"stretch": "range:0,inf"}):
        with pytest.raises(OptionError, match=r"window|stretch"):
            run(scenes, tmp_path / "out", StubEncoder(), **options)
    assert not (tmp_path / "out").exists()


def test_a_lost_terminal_ends_like_an_interrupt_and_a_closed_pipe_quietly(
    make_scene, tiny_model, tmp_path
):
    code = "from rsclip_cli.main import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "segment",
        str(make_scene(shape=(900, 900))),
        "--classes",
        "bright, dark",
        "--model",
        tiny_model,
        "-o",
        str(tmp_path / "out"),
    ]
    # The tests themselves may run under `nohup`, which children take over.
    process = subprocess.Popen(
        [*command, "--batch-size", "1"], stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (tmp_path / "out").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGHUP)
    said = process.communicate(timeout=60)[1]
    assert (process.returncode, "Interrupted" in said) == (1, True), said
    assert not (tmp_path / "out").exists()
    kept = subprocess.Popen(["nohup", *command, "--batch-size", "1"], stderr=subprocess.PIPE,
                            stdout=subprocess.DEVNULL, text=True)  # fmt: skip
    deadline = time.monotonic() + 60
    while not (tmp_path / "out").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    kept.send_signal(signal.SIGHUP)
    said = kept.communicate(timeout=120)[1]
    assert kept.returncode == 0, said
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*command[:3], "info", command[4], "--model", tiny_model],
        stdout=write, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == ""


def test_nothing_that_a_run_reads_is_replaced(make_scene, tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scene = make_scene("a.tif")
    classes = tmp_path / "a_run.json"
    classes.write_text('["bright", "dark"]')
    templates = tmp_path / "a_areas.csv"
    templates.write_text("a photo of {}.")
    weights = tmp_path / "a_mask.qml"
    shutil.copy(f"{tiny_model}/open_clip_model.safetensors", weights)
    # A mosaic of what would become its own mask.
    part = make_scene("b_mask.tif")
    (tmp_path / "b.vrt").write_text(
        '<VRTDataset rasterXSize="90" rasterYSize="70"><SRS>EPSG:32633</SRS>'
        "<GeoTransform>5e5,.5,0,5e6,0,-.5</GeoTransform>"
        + "".join(
            f'<VRTRasterBand dataType="Byte" band="{band}"><SimpleSource>'
            f'<SourceFilename relativeToVRT="1">b_mask.tif</SourceFilename>'
            f"<SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>"
            for band in (1, 2, 3)
        )
        + "</VRTDataset>"
    )
    held = {path: path.read_bytes() for path in (classes, templates, weights, part)}
    for source, words, options in (
        (scene, " a_run.json ", {}),
        (scene, classes, {}),
        (scene, "bright, dark", {"templates": "a_areas.csv"}),
        (scene, "bright, dark", {"weights": str(weights)}),
        (tmp_path / "b.vrt", "bright, dark", {}),
    ):
        with pytest.raises(OutputError, match="written over the input"):
            library.segment(source, words, ".", overwrite=True, model=tiny_model, **options)
    wrapped = f"vrt://{part}?bands=1,2,3"
    with pytest.raises(OutputError, match="written over the input"):
        run([make_scene("b.tif"), wrapped], ".", StubEncoder(), overwrite=True)
    assert {path: path.read_bytes() for path in held} == held


def test_a_path_too_long_for_sqlite_is_refused_before_the_work(make_scene, tmp_path):
    folder = tmp_path
    while len(os.fsencode(folder)) < 450:
        folder = folder / ("f" * 40)
    with pytest.raises(OutputError, match="bytes that SQLite takes"):
        library.segment(make_scene(), "bright, dark", folder, model="nano")
    assert not (tmp_path / ("f" * 40)).exists()
