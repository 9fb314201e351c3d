import json
import socket

import huggingface_hub
import pytest
from safetensors.torch import save_file

from tests.model.models import open_clip, tiny_clip, tiny_config


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty hub cache; returns a function that puts weights into it."""
    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))

    def put(repository, weights, file="open_clip_model.safetensors"):
        folder = cache / ("models--" + repository.replace("/", "--"))
        snapshot = folder / "snapshots" / "abc"
        snapshot.mkdir(parents=True)
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text("abc")
        save_file(weights, snapshot / file)
        return snapshot / file

    return put


@pytest.fixture
def tiny_vit(monkeypatch, tmp_path):
    """An architecture "tiny-vit" with tags "quick" (QuickGELU) and "plain" known to open_clip."""
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", dict(open_clip.factory._MODEL_CONFIGS))
    paths = list(open_clip.factory._MODEL_CONFIG_PATHS)
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIG_PATHS", paths)
    file = tmp_path / "tiny-vit.json"
    file.write_text(json.dumps(tiny_config()))
    open_clip.add_model_config(file)
    tags = {
        "quick": {
            "hf_hub": "someone/tiny-quick/",
            "quick_gelu": True,
            "mean": (0.1, 0.2, 0.3),
            "std": (0.4, 0.5, 0.6),
        },
        "plain": {"hf_hub": "someone/tiny-plain/"},
    }
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiny-vit", tags)
    return file


@pytest.fixture
def weights():
    return {name: value.clone() for name, value in tiny_clip(seed=5).state_dict().items()}


@pytest.fixture
def weights_file(tmp_path, weights):
    path = tmp_path / "weights.safetensors"
    save_file(weights, path)
    return path
