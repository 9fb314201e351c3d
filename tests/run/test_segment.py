"""`rsclip segment` from end to end, on small scenes and a small model of random weights."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import rasterio

import rsclip as library
from rsclip.run import provenance
from tests.run import kinds

CLASSES = "building|house, road, water"


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1), dataset.profile, dataset.tags()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


OUTPUTS = [
    "scene_areas.csv", "scene_mask.qml", "scene_mask.tif", "scene_mask.tif.aux.xml",
    "scene_polygons.gpkg", "scene_run.json",
]  # fmt: skip


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_the_command_line_equals_the_library(rsclip, make_scene, tiny_model, tmp_path, kind):
    scene = make_scene()
    flags = [f"--{name}={value}" for name, value in kind.items()]
    done = rsclip("segment", scene, "--classes", kinds.CLASSES, "--model", tiny_model,
                  "-o", tmp_path / "cli", "--overlap", "0.25", "--json", *flags)  # fmt: skip
    assert done.exit_code == 0, done.output
    result = library.segment(
        scene, kinds.CLASSES, tmp_path / "lib", model=tiny_model, overlap=0.25, **kind
    )
    assert names(tmp_path / "cli") == names(tmp_path / "lib") == OUTPUTS
    by_cli, by_library = read(tmp_path / "cli/scene_mask.tif"), read(result.mask_path)
    np.testing.assert_array_equal(by_cli[0], by_library[0])
    assert by_cli[1] == by_library[1]
    (said,) = json.loads(done.stdout)
    assert said["shares"] == dict(result.shares)
    assert sum(result.shares.values()) == pytest.approx(1)


def test_mask_has_the_scenes_grid_and_says_how_it_was_made(make_scene, tiny_model, tmp_path):
    scene = make_scene(transform=rasterio.Affine(0.4, 0.3, 5e5, 0.3, -0.4, 5e6))
    result = library.segment(scene, CLASSES, tmp_path / "out", model=tiny_model)
    labels, profile, tags = read(result.mask_path)
    with rasterio.open(scene) as dataset:
        assert profile["crs"] == dataset.crs
        assert profile["transform"] == dataset.transform
        assert labels.shape == dataset.shape
    assert labels.dtype == np.uint8
    assert profile["nodata"] == 255
    assert set(np.unique(labels)) <= {1, 2, 3}
    record = json.loads(result.record.read_text(encoding="utf-8"))
    assert record["settings"]["overlap"] is None
    assert record["settings"]["model"] == tiny_model
    assert record["model"]["weights_sha256"] == tags["RSCLIP_WEIGHTS_SHA256"]
    assert [item["name"] for item in record["results"]] == [
        "unclassified", "building", "road", "water",
    ]  # fmt: skip
    assert record["model"]["method_options"]["attention"] == "qq"
    assert "itap of a {}." in record["model"]["templates"]
    assert record["model"]["batch_size"] >= 1
    assert {"rsclip", "torch", "gdal"} <= set(record["software"])
    counts = {item["value"]: item["pixels"] for item in record["results"]}
    assert counts == {value: int((labels == value).sum()) for value in range(4)}
    # 70 x 90 at window 32, stride 16, padded to 72 x 96.
    assert record["windows"]["total"] == 4 * 5
    np.testing.assert_array_equal(result.mask(), labels)


def test_the_record_keeps_no_secret():
    kept = provenance.without_secrets("https://me:pw@host/a.tif?key=abc&X-Sig=d%3D&b")
    assert kept == "https://host/a.tif?key=...&X-Sig=...&b"
    assert provenance.without_secrets("/data/a=b?.tif") == "/data/a=b?.tif"


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_a_second_run_and_another_batch_size_agree(make_scene, tiny_model, tmp_path, kind):
    scene = make_scene(shape=(130, 150))
    masks = [
        library.segment(
            scene, kinds.CLASSES, tmp_path / str(index), model=tiny_model, batch_size=size, **kind
        ).mask()
        for index, size in enumerate((3, 3, 1, 64))
    ]
    np.testing.assert_array_equal(masks[0], masks[1])
    for other in masks[2:]:
        assert np.mean(masks[0] == other) >= 0.9999


def test_nodata_is_nodata_all_the_way(make_scene, tiny_model, tmp_path):
    scene = make_scene(shape=(150, 150), nodata=0)
    with rasterio.open(scene, "r+") as dataset:
        pixels = dataset.read()
        pixels[:, :100, :100] = 0
        dataset.write(pixels)
        valid = dataset.dataset_mask() > 0
    result = library.segment(scene, CLASSES, tmp_path / "out", model=tiny_model)
    labels = result.mask()
    np.testing.assert_array_equal(labels == 255, ~valid)
    # Windows wholly inside the collar never reached the encoder.
    assert result.run["windows"]["skipped"] > 0
    assert sum(result.shares.values()) == pytest.approx(1)


def test_threshold_background_and_scores(make_scene, tiny_model, tmp_path):
    scene = make_scene()
    sure = library.segment(scene, CLASSES, tmp_path / "a", model=tiny_model, threshold=0.999)
    assert (sure.mask() == 0).mean() > 0.5
    plain = library.segment(scene, CLASSES, tmp_path / "b", model=tiny_model).mask()
    paper = library.segment(
        scene, CLASSES, tmp_path / "c", model=tiny_model, score="paper", threshold=0.01
    ).mask()
    np.testing.assert_array_equal(plain, paper)
    alone = library.segment(scene, "water", tmp_path / "d", model=tiny_model)
    assert [item.name for item in alone.legend.foreground] == ["water"]
    assert len(alone.legend.background) > 3


def test_working_at_another_resolution_keeps_the_scenes_grid(make_scene, tiny_model, tmp_path):
    scene = make_scene(shape=(200, 240))
    result = library.segment(scene, CLASSES, tmp_path / "out", model=tiny_model, gsd=1.3)
    labels, profile, _ = read(result.mask_path)
    with rasterio.open(scene) as dataset:
        assert profile["transform"] == dataset.transform
        assert labels.shape == dataset.shape
    assert result.run["scene"]["working_shape"] == (77, 92)
    assert (labels != 255).all()


def test_all_nodata_ends_well_with_a_warning(rsclip, make_scene, tiny_model, tmp_path):
    scene = make_scene(nodata=0)
    with rasterio.open(scene, "r+") as dataset:
        dataset.write(np.zeros((3, 70, 90), np.uint8))
    done = rsclip("segment", scene, "--classes", CLASSES, "--model", tiny_model, "-o", tmp_path)
    assert done.exit_code == 0, done.output
    assert "no valid pixel" in done.stderr
    assert (read(tmp_path / "scene_mask.tif")[0] == 255).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--classes", "a,,b"], "empty"),
        (["--classes", "set:nowhere"], "nowhere"),
        (["--classes", "missing.yaml"], "missing.yaml"),
        (["--classes", "a, b", "--window", "30"], "The nearest is 32"),
        (["--classes", "a, b", "--stride", "64"], "larger than the window"),
        (["--classes", "a, b", "--overlap", "0.95"], "--overlap"),
        (["--classes", "a, b", "--bidx", "1,2,9"], "9"),
        (["--classes", "a, b", "--bidx", "1,x"], "4,1,2"),
        (["--classes", "a, b", "--method", "clearclop"], "clearclip"),
        (["--classes", "a, b", "--method-option", "atention=kk"], "attention"),
        (["--classes", "a, b", "--stretch", "percentile:98,2"], "percentile"),
        (["--classes", "a, b", "--templates", "imagenet"], "imagenet80"),
        (["--classes", "a, b", "--device", "cuda"], "CUDA"),
        (["--classes", "a, b", "--model", "ViT-B-61"], "ViT-B-16"),
        (["--classes", "a, b", "--config", "nothing.yaml"], "nothing.yaml"),
        (["--classes", "a, b", "--threshold", "2"], "--threshold"),
    ],
)
def test_wrong_input_is_one_message_and_exit_2(
    rsclip, make_scene, tiny_model, tmp_path, arguments, message
):
    model = [] if "--model" in arguments else ["--model", tiny_model]
    done = rsclip("segment", make_scene(), *arguments, *model, "-o", tmp_path / "out")
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists() or names(tmp_path / "out") == []


def test_missing_and_unreadable_scenes(rsclip, tiny_model, tmp_path):
    done = rsclip("segment", tmp_path / "no.tif", "--classes", CLASSES, "--model", tiny_model)
    assert done.exit_code == 2
    assert "no.tif" in done.stderr
    text = tmp_path / "text.tif"
    text.write_text("not a raster")
    done = rsclip("segment", text, "--classes", CLASSES, "--model", tiny_model, "-o", tmp_path)
    assert done.exit_code == 2
    assert "text.tif" in done.stderr
    assert names(tmp_path) == ["text.tif"]


def test_config_file_under_flags(rsclip, make_scene, tiny_model, tmp_path):
    config = tmp_path / "run.yaml"
    config.write_text(f"model: {tiny_model}\npreset: paper\nlogit-scale: 40\n")
    done = rsclip("segment", make_scene(), "--classes", CLASSES, "--config", config,
                  "--logit-scale", "30", "-o", tmp_path / "out")  # fmt: skip
    assert done.exit_code == 0, done.output
    settings = json.loads((tmp_path / "out/scene_run.json").read_text())["settings"]
    assert (settings["logit_scale"], settings["blend"], settings["overlap"]) == (30, "mean", 0.5)
    config.write_text("treshold: 0.5\n")
    done = rsclip("segment", make_scene(), "--classes", CLASSES, "--config", config)
    assert done.exit_code == 2
    assert "Did you mean threshold?" in done.stderr


def test_existing_outputs_need_overwrite_and_inputs_are_safe(
    rsclip, make_scene, tiny_model, tmp_path
):
    scene = make_scene()
    common = ["--classes", CLASSES, "--model", tiny_model, "-o", tmp_path]
    assert rsclip("segment", scene, *common).exit_code == 0
    before = (tmp_path / "scene_mask.tif").read_bytes()
    done = rsclip("segment", scene, *common)
    assert done.exit_code == 2
    assert "--overwrite" in done.stderr
    assert (tmp_path / "scene_mask.tif").read_bytes() == before
    assert rsclip("segment", scene, *common, "--overwrite").exit_code == 0
    # A scene whose mask would be another input, as `..._CL_1.tif` and `..._CL_1_mask.tif` are.
    twin = make_scene("scene_mask.tif")
    held = twin.read_bytes()
    done = rsclip("segment", scene, twin, *common, "--overwrite")
    assert done.exit_code == 2
    assert "scene_mask.tif" in done.stderr
    assert twin.read_bytes() == held


def test_two_scenes_of_one_stem_are_refused(rsclip, make_scene, tiny_model, tmp_path):
    (tmp_path / "b").mkdir()
    first, second = make_scene(), make_scene("b/scene.tif")
    done = rsclip("segment", first, second, "--classes", CLASSES, "--model", tiny_model,
                  "-o", tmp_path / "out")  # fmt: skip
    assert done.exit_code == 2
    assert str(first) in done.stderr
    assert str(second) in done.stderr
    assert not (tmp_path / "out").exists()


def test_one_of_several_failing_lets_the_others_run(rsclip, make_scene, tiny_model, tmp_path):
    good, other = make_scene("good.tif"), make_scene("other.tif")
    done = rsclip("segment", good, tmp_path / "gone.tif", other, "--classes", CLASSES,
                  "--model", tiny_model, "-o", tmp_path / "out")  # fmt: skip
    assert done.exit_code == 1
    assert "gone.tif" in done.stderr
    assert {"good_mask.tif", "other_mask.tif"} <= set(names(tmp_path / "out"))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(make_scene, tiny_model, tmp_path, how):
    scene = make_scene(shape=(1500, 1500))
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", "from rsclip_cli.main import main; main()", "segment", str(scene),
         "--classes", CLASSES, "--model", tiny_model, "-o", str(out), "--batch-size", "1"],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        # A shell's background jobs have it switched off, these tests among them.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (out.exists() and any(out.rglob("*.tif"))) and time.monotonic() < deadline:
        time.sleep(0.02)
    # Among the windows: not just when the drafts are there.
    time.sleep(0.5)
    process.send_signal(how)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert "Interrupted" in said
    assert "Traceback" not in said
    assert not out.exists()  # made by the run, and empty


def test_help_answers_without_torch(repository):
    code = (
        "import sys; sys.argv = ['rsclip', '--help']\n"
        "from rsclip_cli.main import main\n"
        "try: main()\nfinally: print('torch' in sys.modules, 'rasterio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "segment" in done.stdout
    assert done.stdout.splitlines()[-1] == "False False"


def test_a_sieve_larger_than_the_scene(make_scene, tiny_model, tmp_path):
    scene = make_scene(shape=(40, 50))
    masks = [
        library.segment(scene, CLASSES, tmp_path / str(sieve), model=tiny_model, sieve=sieve).mask()
        for sieve in (40 * 50, 10**6)
    ]
    np.testing.assert_array_equal(*masks)
