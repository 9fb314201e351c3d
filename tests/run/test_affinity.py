"""`--affinity`: a second ViT in a run, from the command line to the record."""

import json

import pytest
import rasterio
import torch
from safetensors.torch import save_file

import rsclip as library
from rsclip.errors import OptionError
from rsclip.model.open_clip_import import import_open_clip
from rsclip.model.weights.registry import vits

CLASSES = "building|house, road, water"
# A window of whole patches of 8 and of 14 pixels.
HOW = {"method": "proxyclip", "window": 56, "vector_format": "none"}


def written(folder, name, seed):
    import_open_clip()
    import timm

    torch.manual_seed(seed)
    model = timm.create_model(vits()[name].timm, pretrained=False, num_classes=0)
    path = folder / f"{name}-{seed}.safetensors"
    save_file(model.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def dino(tmp_path_factory):
    return written(tmp_path_factory.mktemp("vit"), "dinov2-vits14", 1)


def labels(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1)


@pytest.mark.parametrize("second", [False, True])
def test_labels_are_those_of_any_batch_and_area(make_scene, tiny_model, dino, tmp_path, second):
    scene, affinity = make_scene(), dino if second else "self"

    def run(name, **more):
        return labels(
            library.segment(
                scene, CLASSES, tmp_path / name, model=tiny_model, affinity=affinity, **HOW, **more
            ).mask_path
        )

    whole = run("whole", batch_size=8)
    assert (run("one", batch_size=1) == whole).mean() >= 0.9999
    left, top = 500_000 + 0.5 * 30, 5_000_000 - 0.5 * 20
    part = run("part", aoi=f"{left},{top - 15},{left + 20},{top}")
    inside = part != 255
    assert 0 < inside.mean() < 0.5
    assert (part[inside] == whole[inside]).mean() >= 0.9999
    plain = library.segment(scene, CLASSES, tmp_path / "plain", model=tiny_model, **HOW)
    assert (labels(plain.mask_path) == whole).all() != second


def test_the_second_vit_counts_under_a_memory_limit(make_scene, tiny_model, dino, tmp_path):
    scene = make_scene(shape=(300, 300))

    def batch(affinity, limit):
        how = {**HOW, "window": 224, "batch_size": 64, "max_memory": limit}
        out = tmp_path / f"{limit}-{affinity == 'self'}"
        made = library.segment(scene, CLASSES, out, model=tiny_model, affinity=affinity, **how)
        return made.run["model"]["batch_size"]

    assert 1 < batch(dino, "1G") < batch("self", "1G") < 64
    # Its weights and those of its file take 177 MB.
    assert batch("self", "750M") > 1
    with pytest.raises(OptionError, match=r"about .* MB are needed"):
        batch(dino, "750M")


def test_the_record_holds_the_second_vit_and_another_one_is_another_run(
    rsclip, make_scene, tiny_model, dino, tmp_path
):
    scene, out = make_scene(), tmp_path / "out"

    def run(affinity, *more):
        flags = [part for name, value in HOW.items()
                 for part in (f"--{name.replace('_', '-')}", value)]  # fmt: skip
        return rsclip("segment", scene, "--classes", CLASSES, "--model", tiny_model,
                      "--affinity", affinity, *flags, "-o", out, *more)  # fmt: skip

    assert run(dino).exit_code == 0
    model = json.loads((out / "scene_run.json").read_text())["model"]
    assert model["affinity"]["patch"] == 14
    assert len(model["affinity"]["weights_sha256"]) == 64
    before = (out / "scene_mask.tif").stat().st_mtime_ns
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(dino.read_bytes())
    for same in (dino, moved):
        assert run(same, "--resume").exit_code == 0
        assert (out / "scene_mask.tif").stat().st_mtime_ns == before
    done = run(written(tmp_path, "dinov2-vits14", 2), "--resume")
    assert done.exit_code == 2
    assert "model: affinity" in done.stderr
    assert "model: affinity" in run("self", "--resume").stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--method", "clearclip"], "clearclip takes no affinity of another model"),
        (["--method", "clearclip", "--affinity", "self"], "clearclip takes no affinity"),
        (["--window", "64"], "64 pixels is not whole patches of both models"),
        (["--affinity", "nano"], "'nano' is no self-supervised ViT"),
        (["--affinity", "none.safetensors"], "there is no such file of weights"),
        (["--affinity", "dinov2-vits41"], "Did you mean dinov2-vits14?"),
        (["--affinity", ""], "--affinity"),
    ],
)
def test_one_message_and_nothing_written(
    rsclip, make_scene, tiny_model, dino, tmp_path, flags, message
):
    done = rsclip("segment", make_scene(), "--classes", CLASSES, "--model", tiny_model,
                  "--method", "proxyclip", "--affinity", dino, *flags,
                  "-o", tmp_path / "out")  # fmt: skip
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("Error") == 1
    assert not (tmp_path / "out").exists()
