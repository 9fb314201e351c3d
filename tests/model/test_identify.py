"""Architectures told from the shapes of a file."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from rsclip.errors import ModelError
from rsclip.model import load_backbone
from rsclip.model.weights.identify import identify
from tests.model.models import open_clip, tiny_config
from tests.model.test_load import refused, similarities


def shapes_of(arch):
    with torch.device("meta"):
        model = open_clip.model.CLIP(**open_clip.get_model_config(arch))
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


@pytest.mark.parametrize("arch", ["ViT-B-32-256", "ViT-B-16-plus-240", "ViT-g-14"])
def test_architectures_whose_weights_are_all_of_one_kind(arch):
    found, architecture = identify(shapes_of(arch), "file")
    assert found == arch
    assert architecture.config == open_clip.get_model_config(arch)


@pytest.mark.parametrize("arch", ["ViT-B-16", "ViT-B-32", "ViT-L-14", "ViT-H-14", "ViT-bigG-14"])
def test_architectures_whose_activation_no_file_tells(arch):
    with pytest.raises(ModelError) as caught:
        identify(shapes_of(arch), "file")
    text = str(caught.value)
    assert f"weights of {arch} differ in activation" in text
    assert "(QuickGELU" in text
    assert "(GELU" in text
    assert caught.value.exit_code == 2


@pytest.fixture
def only_plain(tiny_vit, monkeypatch):
    tags = {"plain": {"hf_hub": "someone/tiny-plain/"}}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiny-vit", tags)


def test_weights_alone(only_plain, weights_file, tmp_path, weights):
    backbone = load_backbone("auto", weights_file)
    assert backbone.name == "tiny-vit"
    named = load_backbone("tiny-vit/plain", weights_file)
    np.testing.assert_array_equal(similarities(backbone), similarities(named))
    torch.save({"state_dict": weights}, tmp_path / "weights.pt")
    assert load_backbone("auto", tmp_path / "weights.pt").name == "tiny-vit"


def test_a_file_with_its_config_beside_it(tmp_path, weights):
    folder = tmp_path / "model"
    folder.mkdir()
    save_file(weights, folder / "open_clip_model.safetensors")
    config = {
        "model_cfg": tiny_config(quick_gelu=True),
        "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    backbone = load_backbone("auto", folder / "open_clip_model.safetensors")
    assert backbone.facts()["activation"] == "QuickGELU"
    assert backbone.mean == (0.5, 0.5, 0.5)


def test_files_of_other_models(tmp_path, weights):
    path = tmp_path / "x.safetensors"
    save_file(weights, path)
    text = refused("auto", path)
    assert "no architecture of open_clip fits the file" in text
    assert "patch 8, image 32, width 16, layers 2" in text
    save_file({"vision_model.embeddings.patch_embedding.weight": torch.zeros(2)}, path)
    assert "form of Hugging Face transformers" in refused("auto", path)
    save_file({"conv1.weight": torch.zeros(2)}, path)
    assert "not the weights of a CLIP" in refused("auto", path)


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("visual.conv1.weight", (16, 3, 8)),
        ("visual.positional_embedding", (0,)),
        ("visual.positional_embedding", (0, 16)),
        ("visual.proj", (12,)),
        ("token_embedding.weight", ()),
    ],
)
def test_tensors_of_another_rank_are_named(key, shape):
    shapes = {**shapes_of("ViT-B-32"), key: shape}
    with pytest.raises(ModelError, match="not the weights of a CLIP") as caught:
        identify(shapes, "file")
    assert f"{key} is {shape}" in str(caught.value)
