"""One scene shared out in bands gives what one process gives, whoever falls away meanwhile."""

import functools
import os
import shutil
import signal
import threading
import time
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from rsclip import load_model, segment
from rsclip.adapters.adapter_file import write_adapter
from rsclip.adapters.kinds import KINDS
from rsclip.batch import one_scene
from rsclip.batch.one_scene import SceneWorkers
from rsclip.config import build_config
from rsclip.errors import EncodeError, OptionError, ReadError, RsclipWarning, RunError
from rsclip.methods import parse_options
from rsclip.run import bands, checkpoint, encoder
from rsclip.run.plan import plan_scenes
from rsclip.run.segment import Failure, segment_scenes
from rsclip.words.legend import load_legend
from tests.batch import workers
from tests.batch.conftest import CLASSES
from tests.rasters import write_raster
from tests.run.stub import StubEncoder, loader
from tests.run.test_affinity import written
from tests.run.test_resume import results

ALL = {"confidence": True, "probabilities": True, "margin": True, "resume": True}


@pytest.fixture
def scene(tmp_path):
    """Wide blobs of 37 rows of windows, with a hole across a joint and a dark end."""
    rng = np.random.default_rng(3)
    pixels = np.kron(rng.integers(20, 250, (3, 80, 9)), np.ones((1, 15, 17))).astype("uint8")
    pixels[:, 540:700, 30:90] = 0
    pixels[:, 1000:] = 1
    path = tmp_path / "scene.tif"
    write_raster(path, pixels, nodata=0)
    return path


class Here:
    """Workers that are this process, with a model of their own."""

    remote = False

    def __init__(self, config, count=3, encoder=None, load=None):
        self.workers, self.done = count, []
        self._config, self._load = config, load or loader(encoder or StubEncoder())

    def __call__(self, source, orders, model, progress):
        classes = bands.ClassesRead.read(CLASSES)
        for order in orders:
            bands.run_band(
                source, classes, self._config, order, self._load,
                lambda done, _, order=order: progress(order.number, done),
            )  # fmt: skip
            self.done.append(order.number)
            yield order.number


def run(scene, out, *, shared=None, own=workers.plain, progress=None, **options):
    """Run a scene, by workers that `shared` makes of its settings."""
    config = build_config({**ALL, **options})
    (outcome,) = segment_scenes(
        [scene], CLASSES, out, config=config, model_loader=own, progress=progress,
        workers=None if shared is None else shared(config),
    )  # fmt: skip
    if isinstance(outcome, Failure):
        raise outcome.error
    return outcome


def pool(model=workers.plain, jobs=2, **options):
    return lambda config: SceneWorkers(CLASSES, config, jobs=jobs, loader=model, **options)


def same(one, other):
    assert results(one) == results(other)
    with rasterio.open(one.paths["margin"]) as first, rasterio.open(other.paths["margin"]) as last:
        assert (first.read() == last.read()).all()
    names = [sorted(path.name for path in out.record.parent.iterdir()) for out in (one, other)]
    assert names[0] == names[1]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"upsample": "jbu:2"},
        {"refine": "pamr:2"},
        {"overlap": 0.0, "blend": "mean"},
        {"gsd": 0.6},
        {"gsd": 0.6, "resample_output": "working"},
        {"aoi": "POLYGON((500010 4999900, 500060 4999900, 500060 4999400, 500010 4999900))"},
        {"threshold": 0.6, "area_threshold": 0.2},
        {"sieve": 40, "vector_format": "gpkg", "stac": True, "preview": True},
        {"stretch": "percentile:2,98", "score": "paper", "evidence": "none"},
    ],
    ids=str,
)
def test_bands_give_what_one_run_gives(scene, tmp_path, options):
    with rasterio.open(scene, "r+") as dataset:
        dataset.crs, dataset.transform = "EPSG:32633", rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 5e6)
    whole = run(scene, tmp_path / "whole", **options)
    told = []
    shared = run(scene, tmp_path / "shared", shared=Here, **options,
                 progress=lambda *windows: told.append(windows))  # fmt: skip
    same(whole, shared)
    assert shared.run["bands"] > 1
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] > whole.run["windows"]["total"]
    if "vector_format" in options:
        first, last = (each.polygons() for each in (whole, shared))
        assert first.equals(last)


def rules(folder):
    (folder / "rules.yaml").write_text("bright: red > 120\ndark: blue < 60; weight=3\n")
    return {"evidence": folder / "rules.yaml"}


def adapter(folder):
    layout = {"class_index": torch.tensor([0, 1]), "logit_scale": torch.tensor(50.0)}
    learned = {"bias": torch.tensor([0.3, -0.2]), "log_factor": torch.tensor(0.1)}
    facts = {
        "legend": load_legend(CLASSES).to_dict(), "method": "clearclip", "settings": {},
        "method_options": asdict(parse_options("clearclip", {})), "pixel_size": None, "report": {},
        "model": {"name": "tiny", "weights_sha256": load_model(folder).weights_sha256},
    }  # fmt: skip
    return layout | learned | {"strength": torch.tensor(1.0)}, facts


@pytest.mark.parametrize("kind", ["evidence", "adapter", "affinity", "tta", "onnx", "pamr"])
def test_bands_of_a_real_model_give_what_one_run_gives(make_scene, tmp_path, tiny_model, kind):
    # PAMR looks further.
    scene = make_scene(shape=(1600 if kind == "pamr" else 640, 48))
    options = {"tta": {"tta": "d4"}, "pamr": {"refine": "pamr:2"}}.get(kind, {})
    if kind == "evidence":
        options = rules(tmp_path)
    elif kind == "adapter":
        tensors, facts = adapter(tiny_model)
        write_adapter(tmp_path / "x.adapter", KINDS["bias"](tensors), facts)
        options = {"adapter": tmp_path / "x.adapter"}
    elif kind == "affinity":
        options = {"method": "proxyclip", "affinity": str(written(tmp_path, "dino-vits8", 1))}
    elif kind == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnx")
        options = {"engine": "onnx"}
    config = build_config({"model": tiny_model, "confidence": True, **options})
    model = encoder.load_model(load_legend(CLASSES), config)
    pixels = []
    for shared in (None, Here(config, 2, load=lambda *_: model)):
        (done,) = segment_scenes([scene], CLASSES, tmp_path / f"out{len(pixels)}", config=config,
                                 model_loader=lambda *_: model, workers=shared)  # fmt: skip
        with rasterio.open(done.paths["confidence"]) as dataset:
            pixels.append((done.mask(), dataset.read(1).astype(int)))
    assert done.run["bands"] == 2
    assert ("engine" in done.run["model"]) == (kind == "onnx")
    (whole, sure), (joined, as_sure) = pixels
    assert len(np.unique(whole)) > 1
    assert (whole == joined).mean() >= 0.9999
    assert abs(sure - as_sure).max() <= 1


def test_processes_give_what_one_process_gives(scene, tmp_path):
    whole = run(scene, tmp_path / "whole")
    same(whole, run(scene, tmp_path / "shared", shared=pool()))


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_killed_worker_costs_its_band_a_try(scene, tmp_path, monkeypatch, deaths):
    fuse = tmp_path / "fuse"
    fuse.write_text(str(deaths))
    monkeypatch.setenv("RSCLIP_TEST_FUSE", str(fuse))
    out = tmp_path / "shared"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if deaths == 1:
            shared = run(scene, out, shared=pool(workers.deadly))
            same(run(scene, tmp_path / "whole"), shared)
        else:
            with pytest.raises(RunError, match=r"was killed \(SIGKILL.*2 times") as caught:
                run(scene, out, shared=pool(workers.deadly))
            assert "resume=True goes on" in str(caught.value)
            assert not [path for path in out.iterdir() if not path.name.startswith(".")]
            # The worker does not die again: only what it left is done.
            same(run(scene, tmp_path / "whole"), run(scene, out, shared=pool(workers.deadly)))
    assert any("band 2 of 2" in str(item.message) for item in said)


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr(checkpoint, "_SECONDS", 0.0)


def boom():
    raise EncodeError("the encoder failed (boom)")


@pytest.mark.parametrize("calls", [3, 50, 80])
def test_finished_bands_and_rows_are_not_done_again(scene, tmp_path, often, calls):
    whole = run(scene, tmp_path / "whole")
    out = tmp_path / "out"
    broken = StubEncoder(calls=calls, fail=boom)
    with pytest.raises(EncodeError, match="boom"):
        run(scene, out, shared=functools.partial(Here, encoder=broken))
    assert not [path for path in out.iterdir() if not path.name.startswith(".")]
    # Other numbers of workers go on with the same bands, and so does one process alone.
    total = StubEncoder()
    run(scene, tmp_path / "total", shared=functools.partial(Here, encoder=total))
    for count in (5, 1):
        left = tmp_path / f"left{count}"
        shutil.copytree(out, left)
        again = StubEncoder()
        rest = run(scene, left, shared=functools.partial(Here, count=count, encoder=again))
        same(whole, rest)
        # What waited in the writer's queue when the error came is lost.
        assert again.calls <= total.calls - max(calls - 8, 0)


def test_a_plan_counts_the_windows_of_bands(scene, tmp_path, often):
    def plan(out, count, **options):
        config = build_config({**ALL, **options})
        workers_of = Here(config, count) if count else None
        (found,) = plan_scenes([scene], CLASSES, out, config=config, model_loader=workers.plain,
                               workers=workers_of)  # fmt: skip
        return found

    out = tmp_path / "out"
    told = []
    alone, shared = plan(out, 0), plan(out, 3)
    with pytest.raises(EncodeError):
        run(scene, out, progress=lambda *windows: told.append(windows),
            shared=functools.partial(Here, encoder=StubEncoder(calls=50, fail=boom)))  # fmt: skip
    assert shared.windows == told[-1][1] > alone.windows
    rest = plan(out, 3)
    assert rest.windows + rest.kept == shared.windows
    assert 0 < rest.kept <= told[-1][0]
    assert "begun" in rest.reason
    assert plan(out, 3, resume=False).kept == plan(out, 3, threshold=0.3).kept == 0


def test_other_settings_start_over(scene, tmp_path, often):
    out = tmp_path / "out"
    with pytest.raises(EncodeError):
        run(scene, out, shared=lambda c: Here(c, encoder=StubEncoder(calls=60, fail=boom)))
    whole = run(scene, tmp_path / "whole", threshold=0.6)
    with pytest.warns(RsclipWarning, match="starts over"):
        same(whole, run(scene, out, shared=Here, threshold=0.6))


def test_what_one_process_began_one_process_ends(scene, tmp_path, often):
    out = tmp_path / "out"
    with pytest.raises(EncodeError):
        run(scene, out, own=loader(StubEncoder(calls=60, fail=boom)))
    rest = StubEncoder()
    idle = []
    run(scene, out, own=loader(rest), shared=lambda c: idle.append(Here(c)) or idle[0])
    assert not idle[0].done
    assert rest.calls < 60


def test_a_small_scene_needs_no_worker(make_scene, tmp_path, monkeypatch):
    monkeypatch.setattr(one_scene, "choose_executor", lambda *_: pytest.fail("workers began"))
    assert "bands" not in run(make_scene(), tmp_path / "out", shared=pool(jobs=4)).run


def test_unreadable_blocks_are_nodata_in_bands_too(tmp_path, scene):
    with rasterio.open(scene) as dataset:
        pixels, profile = dataset.read(), dataset.profile
    profile |= {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate"}
    with rasterio.open(scene, "w", **profile) as dataset:
        dataset.write(pixels)
    with rasterio.open(scene) as dataset:
        place = int(dataset.get_tag_item("BLOCK_OFFSET_1_9", "TIFF", bidx=1))
    with scene.open("r+b") as file:
        file.seek(place)
        file.write(b"\xff" * 16)
    with pytest.raises(ReadError):
        run(scene, tmp_path / "failed", shared=Here)
    options = {"on_read_error": "nodata"}
    whole = run(scene, tmp_path / "whole", **options)
    shared = run(scene, tmp_path / "shared", shared=Here, **options)
    same(whole, shared)
    assert whole.run["unreadable"] == shared.run["unreadable"] != []


def test_bad_numbers_and_addresses_are_refused(scene, tmp_path, rsclip):
    for options, said in (
        (["--jobs", "0"], "--jobs: 0 does not fit"),
        (["--jobs", "2", "--dask", "tcp://127.0.0.1:9"], "Give either --dask or --jobs"),
    ):
        ended = rsclip("segment", scene, "--classes", CLASSES, "-o", tmp_path / "out", *options)
        assert ended.exit_code == 2
        assert said in ended.stderr
        assert not (tmp_path / "out").exists()


def test_nobody_at_the_address(scene, tmp_path, rsclip):
    pytest.importorskip("distributed")
    ended = rsclip("segment", scene, "--classes", CLASSES, "-o", tmp_path / "out",
                "--dask", "tcp://127.0.0.1:9")  # fmt: skip
    assert ended.exit_code == 2
    assert "no dask scheduler answers" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_workers_cannot_take_a_model_that_python_holds(scene, tmp_path, tiny_model):
    model = load_model(tiny_model)
    with pytest.raises(OptionError, match="jobs: workers load the model themselves"):
        segment(scene, CLASSES, tmp_path, model=model, jobs=2)


@pytest.mark.long
def test_a_cluster_that_loses_a_worker_gives_the_same(scene, tmp_path):
    distributed = pytest.importorskip("distributed")
    whole = run(scene, tmp_path / "whole")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
        local_directory=str(tmp_path / "dask"), silence_logs=50,
    ) as cluster:  # fmt: skip
        victim = next(iter(cluster.workers.values())).process.process.pid
        told = threading.Event()

        def kill():
            told.wait()
            time.sleep(0.5)
            os.kill(victim, signal.SIGKILL)

        thread = threading.Thread(target=kill)
        thread.start()
        shared = run(
            scene, tmp_path / "shared", progress=lambda *_: told.set(),
            shared=lambda config: SceneWorkers(
                CLASSES, config, dask=cluster.scheduler_address, loader=workers.slow
            ),
        )  # fmt: skip
        thread.join()
    same(whole, shared)


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_the_memory_of_a_worker_does_not_grow_with_the_scene(tmp_path, monkeypatch):
    peaks = []
    for height in (2_000, 16_000):
        folder = tmp_path / str(height)
        folder.mkdir()
        monkeypatch.setenv("RSCLIP_TEST_FUSE", str(folder))
        path = tmp_path / f"scene{height}.tif"
        rng = np.random.default_rng(1)
        pixels = np.kron(rng.integers(20, 250, (3, height // 20, 30)), np.ones((1, 20, 20)))
        write_raster(path, pixels.astype("uint8"), tiled=True, blockxsize=256, blockysize=256)
        run(path, tmp_path / f"out{height}", shared=pool(workers.measured))
        peaks.append(max(int(each.read_text()) for each in folder.iterdir()))
    assert peaks[1] <= 1.1 * peaks[0], peaks
