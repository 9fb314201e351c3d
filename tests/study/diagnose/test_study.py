"""`rsclip diagnose`: what it writes, that the library writes the same, and what it refuses."""

import csv
import json
import math

import numpy as np
import pytest
import rasterio
import torch
from safetensors.torch import save_file

from rsclip.methods.lastblock import ATTENTIONS
from rsclip.model.open_clip_import import import_open_clip
from rsclip.model.weights.registry import vits
from rsclip.model.weights.second import load_second_vit
from rsclip.study.diagnose import study
from rsclip.study.diagnose.report import NAMES
from rsclip.study.diagnose.sweeps import find_variants

CLASSES = "building|house, road, water"


def table(folder, name):
    with (folder / NAMES[name]).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def scene(make_scene):
    return make_scene(shape=(128, 160))


@pytest.fixture
def labels(scene, tmp_path):
    with rasterio.open(scene) as dataset:
        profile = dataset.profile
    profile.update(count=1, dtype="uint8", nodata=255, photometric=None)
    rows, cols = np.indices((128, 160))
    path = tmp_path / "truth.tif"
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write((1 + (rows // 40 + cols // 40) % 3).astype("uint8"), 1)
    return path


def test_every_number_is_in_a_table(rsclip, scene, labels, tiny_model, tmp_path):
    out = tmp_path / "out"
    done = rsclip(
        "diagnose", scene, "--model", tiny_model, "--classes", CLASSES, "--labels", labels,
        "--windows", 6, "-o", out, "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert sorted(path.name for path in out.iterdir()) == sorted(NAMES.values())
    assert said["windows"] == 6 == len(table(out, "windows"))
    layers = table(out, "layers")
    assert len(layers) == 2 * 3
    assert all(0 <= float(row["entropy"]) <= 1 for row in layers)
    channels = table(out, "channels")
    assert len(channels) == 2 * 3 * 64
    first = [float(row["mean"]) for row in channels[:64]]
    assert first == sorted(first, reverse=True)
    assert {int(row["channel"]) for row in channels[:64]} == {*range(64)}
    assert [row["attention"] for row in table(out, "attention")] == list(ATTENTIONS)
    scores = table(out, "scores")
    assert len(scores) == len(find_variants())
    # A variant's score is the mean over its classes.
    classes = table(out, "classes")
    assert len(classes) == 3 * len(scores)
    for number, row in enumerate(scores):
        ious = [float(each["iou"]) for each in classes[3 * number : 3 * number + 3]]
        assert float(row["miou"]) == pytest.approx(np.mean(ious), rel=1e-6)
    # A sweep's plain point is the ablation's.
    settings = ("attention", "residual", "ffn", "alpha", "beta", "normalised")
    plain = {
        row["sweep"]: row["miou"]
        for row in scores
        if [row[name] for name in settings] == ["qq", "1", "0", "1", "0", "0"]
    }
    assert len(plain) == 3
    assert len({*plain.values()}) == 1
    record = json.loads((out / "study.json").read_text(encoding="utf-8"))
    assert len(record["model"]["weights_sha256"]) == 64
    assert record["seed"] == 0
    assert record["settings"]["model"] == tiny_model


def test_the_library_writes_what_the_command_writes(rsclip, scene, labels, tiny_model, tmp_path):
    options = {"classes": CLASSES, "labels": labels, "windows": 5, "seed": 3, "gsd": 0.8}
    flags = [part for key, value in options.items() for part in (f"--{key}", value)]
    done = rsclip("diagnose", scene, "--model", tiny_model, "-o", tmp_path / "a", *flags)
    assert done.exit_code == 0, done.output
    steps = []
    found = study(
        scene, tmp_path / "b", model=tiny_model, progress=lambda *at: steps.append(at), **options
    )
    for key, name in NAMES.items():
        if key not in ("report", "record"):
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert steps[-1] == (5, 5)
    assert found.windows == 5
    assert found.paths["report"] == tmp_path / "b" / "report.html"


def test_batches_change_nothing(scene, labels, tiny_model, tmp_path):
    found = [
        study(
            scene, tmp_path / str(size), classes=CLASSES, labels=labels, windows=7,
            model=tiny_model, batch_size=size,
        )
        for size in (1, 7)
    ]  # fmt: skip
    for one, other in zip(found[0].layers, found[1].layers, strict=True):
        assert one.entropy == pytest.approx(other.entropy, abs=1e-6)
        assert one.norm == pytest.approx(other.norm, rel=1e-6)
    for one, other in zip(found[0].scores, found[1].scores, strict=True):
        assert one.miou == pytest.approx(other.miou, abs=1e-3)


def test_without_classes_the_layers_alone_are_measured(rsclip, scene, tiny_model, tmp_path):
    out = tmp_path / "out"
    done = rsclip("diagnose", scene, "--model", tiny_model, "-o", out, "--windows", 2)
    assert done.exit_code == 0, done.output
    assert "mIoU" not in done.stdout
    assert table(out, "scores") == table(out, "classes") == []
    assert len(table(out, "layers")) == 6
    text = (out / "report.html").read_text(encoding="utf-8")
    assert "<svg" in text
    assert "<img" not in text


def test_with_classes_alone_label_maps_are_drawn(scene, tiny_model, tmp_path):
    found = study(scene, tmp_path / "out", classes=CLASSES, model=tiny_model, windows=2)
    assert found.scores == []
    text = found.paths["report"].read_text(encoding="utf-8")
    assert text.count("<img") == 2 * 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--labels", "{labels}"], "mean nothing without classes"),
        (["--labels", "nowhere.tif", "--classes", CLASSES], "no such file"),
        (["--windows", 0], "1 or more"),
        (["--seed", -1], "0 or more"),
        (["--window", 33], "multiple of the model's patch"),
        (["--method", "sclip"], "No such option"),
    ],
)
def test_wrong_options_are_refused_and_leave_nothing(
    rsclip, scene, labels, tiny_model, tmp_path, arguments, message
):
    out = tmp_path / "out"
    given = [str(each).format(labels=labels) for each in arguments]
    done = rsclip("diagnose", scene, "--model", tiny_model, "-o", out, *given)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not out.exists()


def test_scenes_without_data_and_outputs_in_the_way_are_refused(
    rsclip, make_scene, scene, tiny_model, tmp_path
):
    empty = make_scene("empty.tif", shape=(64, 64), nodata=0)
    with rasterio.open(empty, "r+") as dataset:
        dataset.write(np.zeros((3, 64, 64), "uint8"))
    out = tmp_path / "out"
    done = rsclip("diagnose", empty, "--model", tiny_model, "-o", out)
    assert done.exit_code == 2
    assert "no window has a valid pixel" in done.stderr
    assert not out.exists()
    assert rsclip("diagnose", scene, "--model", tiny_model, "-o", out).exit_code == 0
    before = (out / "layers.csv").read_bytes()
    done = rsclip("diagnose", scene, "--model", tiny_model, "-o", out, "--windows", 2)
    assert done.exit_code == 2
    assert "--overwrite" in done.stderr
    assert (out / "layers.csv").read_bytes() == before
    again = ("diagnose", scene, "--model", tiny_model, "-o", out, "--windows", 2, "--overwrite")
    assert rsclip(*again).exit_code == 0
    assert (out / "layers.csv").read_bytes() != before


def test_nano_segments_a_sample_tile_from_its_last_layer_better_than_by_chance(
    repository, tmp_path
):
    tiles = repository / "sample_tiles"
    found = study(
        tiles / "town_river.tif", tmp_path, classes=tiles / "classes.yaml",
        labels=tiles / "town_river_labels.tif", windows=16,
    )  # fmt: skip
    scores = {
        (each.variant.sweep, each.variant.name, each.variant.options.attention): each.miou
        for each in found.scores
    }
    assert all(math.isfinite(value) for value in scores.values())
    clearclip = scores["ablation", "neither", "qq"]
    assert clearclip > 0.4
    # As the paper has it: the trained output is worse than q-q attention alone.
    assert clearclip > scores["ablation", "RC + FFN", "qk"] + 0.1
    assert scores["beta", "100", "qq"] == pytest.approx(clearclip)


@pytest.fixture(scope="module")
def dino(tmp_path_factory):
    import_open_clip()
    import timm

    torch.manual_seed(0)
    model = timm.create_model(vits()["dino-vits16"].timm, pretrained=False, num_classes=0)
    path = tmp_path_factory.mktemp("vit") / "dino.safetensors"
    save_file(model.state_dict(), path)
    return path


def test_a_second_vit_stands_beside_the_clip(rsclip, scene, tiny_model, dino, tmp_path):
    common = ["diagnose", scene, "--windows", 3, "--batch-size", 2, "--json"]
    alone = rsclip(*common, "--model", tiny_model, "-o", tmp_path / "alone")
    done = rsclip(*common, "--model", tiny_model, "--affinity", dino, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    said, before = json.loads(done.stdout), json.loads(alone.stdout)
    assert (said["layers"], before["beside"]) == (before["layers"], [])
    assert len(said["beside"]) == 12 * 3
    rows = [row for row in table(tmp_path / "out", "layers") if row["model"] == "dino-vits16"]
    assert [float(row["norm"]) for row in rows] == [
        pytest.approx(each["norm"], rel=1e-6) for each in said["beside"]
    ]
    assert len(table(tmp_path / "out", "channels")) == 2 * 3 * 64 + 12 * 3 * 384
    record = json.loads((tmp_path / "out/study.json").read_text(encoding="utf-8"))
    assert record["affinity"]["name"] == "dino-vits16"
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert all(line in page for line in ("dino-vits16 (ViT)", "ViT X_sum", "CLIP X_sum"))
    # By hand: the first layer's residual of the same windows.
    vit, norms = load_second_vit(str(dino)), []
    with rasterio.open(scene) as dataset:
        pixels = dataset.read().astype(np.float32) / 255
    for row in table(tmp_path / "out", "windows"):
        top, left, height, width = (int(row[key]) for key in ("row", "col", "height", "width"))
        window = torch.from_numpy(pixels[:, top : top + height, left : left + width])[None]
        with torch.inference_mode():
            norms.append(float(vit.layers(window)[0][0].norm()))
    assert said["beside"][0]["norm"] == pytest.approx(np.mean(norms), rel=1e-5)


def test_a_second_vit_as_the_model_stands_beside_the_one_chosen_for_us(
    rsclip, make_scene, dino, tmp_path
):
    scene = make_scene(shape=(80, 96))
    done = rsclip("diagnose", scene, "--weights", dino, "--windows", 1, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    record = json.loads((tmp_path / "out/study.json").read_text(encoding="utf-8"))
    assert (record["model"]["name"], record["affinity"]["name"]) == ("nano", "dino-vits16")
    assert "\ndino-vits16\n" in done.stdout


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--affinity", "self"], "the model's own layers are studied in any case"),
        (["--affinity", "dino-vits61"], "Did you mean dino-vits16?"),
        (["--model", "dinov2-vitb14"], "the weights of dinov2-vitb14 are not on this machine"),
        (["--affinity", "DINO", "--window", "24"], "24 pixels is not whole patches of both"),
    ],
)
def test_what_cannot_stand_beside(rsclip, scene, tiny_model, dino, tmp_path, flags, said):
    given = [str(dino) if flag == "DINO" else flag for flag in flags]
    done = rsclip("diagnose", scene, "--model", tiny_model, *given, "-o", tmp_path / "out")
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("Error") == 1
    assert not (tmp_path / "out").exists()
