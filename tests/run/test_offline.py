"""Models without network: from a hub cache, from a bundle, and absent ones."""

import json
import os
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import rasterio
import torch
from safetensors.torch import save_file

from rsclip.model.open_clip_import import import_open_clip
from tests.data.parity.recipe import seeded_weights

# Patch, trained window, QuickGELU, mean: three kinds that open_clip's towers come in.
KINDS = {
    "b16": (16, 64, True, [0.48145466, 0.4578275, 0.40821073]),
    "l14": (14, 56, False, [0.5, 0.5, 0.5]),
    "b32": (32, 96, False, [0.48145466, 0.4578275, 0.40821073]),
}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Three tiny models laid out as snapshots of a hub cache, and no network."""
    from huggingface_hub import constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    for kind, (patch, window, quick, mean) in KINDS.items():
        config = {
            "embed_dim": 16,
            "quick_gelu": quick,
            "vision_cfg": {
                "layers": 2, "width": 32, "head_width": 16, "patch_size": patch,
                "image_size": window,
            },
            "text_cfg": {
                "context_length": 77, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1,
            },
        }  # fmt: skip
        model = import_open_clip().model.CLIP(**config)
        shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
        weights = {name: torch.from_numpy(a) for name, a in seeded_weights(shapes, patch).items()}
        folder = cache / f"models--me--tiny-{kind}"
        snapshot = folder / "snapshots" / "abc"
        snapshot.mkdir(parents=True)
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text("abc")
        save_file(weights, snapshot / "open_clip_model.safetensors")
        stated = {"model_cfg": config, "preprocess_cfg": {"mean": mean, "std": [0.25] * 3}}
        (snapshot / "open_clip_config.json").write_text(json.dumps(stated))

    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return cache


@pytest.mark.parametrize("kind", KINDS)
def test_a_fetched_model_segments_and_so_does_its_bundle(hub, kind, make_scene, rsclip, tmp_path):
    patch, window, quick, mean = KINDS[kind]
    scene, name = make_scene(shape=(120, 130)), f"hf-hub:me/tiny-{kind}"
    words = ["--classes", "road, water, tree", "--device", "cpu"]
    done = rsclip("segment", scene, *words, "--model", name, "-o", tmp_path / "a")
    assert done.exit_code == 0, done.output
    bundle = tmp_path / "carried.safetensors"
    assert rsclip("models", "bundle", name, "-o", bundle).exit_code == 0
    # On the other machine there is no cache at all.
    hub.rename(tmp_path / "gone")
    done = rsclip("segment", scene, *words, "--weights", bundle, "-o", tmp_path / "b")
    assert done.exit_code == 0, done.output
    masks = [rasterio.open(tmp_path / folder / "scene_mask.tif").read(1) for folder in "ab"]
    np.testing.assert_array_equal(*masks)
    records = [json.loads((tmp_path / f / "scene_run.json").read_text())["model"] for f in "ab"]
    for record in records:
        assert record["name"] == name
        assert record["patch"] == patch
        assert record["image_shape"] == [window, window]
        assert record["activation"] == ("QuickGELU" if quick else "GELU")
        assert record["mean"] == mean
    info = rsclip("info", scene, "--weights", bundle)
    assert info.exit_code == 0, info.output
    assert f"{window} x {window} pixels" in info.output


def test_list_shows_what_is_in_the_cache(hub, rsclip):
    listed = json.loads(rsclip("models", "list", "--here", "--json").stdout)
    assert [item["name"] for item in listed] == [
        "nano", *(f"hf-hub:me/tiny-{kind}" for kind in sorted(KINDS)),
    ]  # fmt: skip


def test_a_truncated_file_in_the_cache_is_not_computed_with(hub, make_scene, rsclip, tmp_path):
    (weights,) = hub.glob("models--me--tiny-b16/snapshots/*/*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-8])
    done = rsclip("segment", make_scene(), "--classes", "road, water", "--model",
                  "hf-hub:me/tiny-b16", "-o", tmp_path / "out")  # fmt: skip
    assert done.exit_code == 2
    assert "damaged, cut short" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["ViT-B-16/openai", "remoteclip-l14", "hf-hub:me/mine"])
def test_absent_weights_fail_fast_in_one_message(tmp_path, make_scene, name):
    """Online too, as far as the environment says: a run downloads nothing."""
    environment = {
        **{key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"},
        "HF_HUB_CACHE": str(tmp_path / "empty"),
        "HF_ENDPOINT": "http://127.0.0.1:9",
    }
    command = [
        sys.executable, "-c", "from rsclip_cli.main import main; main()", "segment",
        str(make_scene()), "--classes", "road, water", "--model", name, "-o", str(tmp_path / "out"),
    ]  # fmt: skip
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    # open_clip itself asks the hub for 46 s; ten are promised, twenty more are for a busy machine.
    assert time.monotonic() - began < 30
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    for way in (f"rsclip models fetch {name}", "rsclip models bundle", "--weights FILE", "nano"):
        assert way in line
