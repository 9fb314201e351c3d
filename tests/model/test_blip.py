"""BLIP: a folder in the form of transformers, read as any CLIP is.

tests/data/blip/make.py says how the small model was made, and the numbers of transformers.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from safetensors.torch import load_file, save_file

import rsclip as library
from rsclip.errors import ModelError
from rsclip.model import Trunk, load_backbone, model_outline
from tests.data.blip.make import TEXTS

FOLDER = Path(__file__).parents[1] / "data/blip"


@pytest.fixture(scope="module")
def expected():
    with np.load(FOLDER / "expected.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file}


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(FOLDER, tmp_path / "blip"))


def read_images(backbone, expected):
    trunk = Trunk(backbone, expected["images"])
    return backbone.head(trunk.entering(backbone.depth))


@torch.inference_mode()
def test_images_and_words_are_read_as_transformers_reads_them(expected):
    backbone = load_backbone(FOLDER)
    patches = read_images(backbone, expected)
    assert (patches - expected["patches"]).abs().max() < 1e-5 * expected["patches"].abs().max()
    words = backbone.text_features([[text] for text in TEXTS])
    torch.testing.assert_close(words, expected["words"], atol=1e-5, rtol=0)
    cls = torch.nn.functional.normalize(patches[:, 0], dim=-1)
    torch.testing.assert_close(cls @ words.T, expected["scores"], atol=1e-5, rtol=0)
    # A word is the same whatever it is encoded with.
    torch.testing.assert_close(backbone.text_features([TEXTS[1:2]]), words[1:2], atol=0, rtol=0)


def test_tokenizer_json_does_as_well_as_the_vocabulary(folder, expected):
    from tokenizers import BertWordPieceTokenizer

    own = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
    own.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").unlink()
    words = load_backbone(folder).text_features([[text] for text in TEXTS])
    torch.testing.assert_close(words, expected["words"], atol=1e-5, rtol=0)


def test_weights_of_torch_do_too(folder, expected):
    tensors = load_file(folder / "model.safetensors")
    tensors["text_encoder.embeddings.position_ids"] = torch.arange(48)[None]
    torch.save(tensors, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with torch.inference_mode():
        patches = read_images(load_backbone(folder), expected)
    assert (patches - expected["patches"]).abs().max() < 1e-5 * expected["patches"].abs().max()


@pytest.mark.parametrize("method", ["clip", "maskclip", "sclip", "naclip", "clearclip", "segearth"])
def test_the_attention_family_maps_by_it(rsclip, make_scene, tmp_path, method):
    scene, classes = make_scene(), "water, road"
    flags = ["--model", FOLDER, "--method", method]
    done = rsclip("segment", scene, "--classes", classes, *flags, "-o", tmp_path / "cli")
    assert done.exit_code == 0, done.stderr
    made = library.segment(scene, classes, tmp_path / "library", model=str(FOLDER), method=method)
    mask = made.mask()
    assert set(np.unique(mask)) <= {1, 2}
    with rasterio.open(tmp_path / "cli/scene_mask.tif") as dataset:
        assert (dataset.read(1) == mask).all()
    assert made.run["model"]["activation"] == "GELU"


def test_planning_needs_no_weights(folder):
    (folder / "model.safetensors").unlink()
    outline = model_outline(str(folder))
    assert (outline.patch, outline.window, outline.width) == (8, (32, 32), 32)
    with pytest.raises(ModelError, match=r"holds no model\.safetensors"):
        load_backbone(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architectures": ["BlipForConditionalGeneration"]}, "share.*one for retrieval"),
        ({"vision_config": {"hidden_act": "relu"}}, "hidden_act"),
        ({"text_config": {"num_attention_heads": 7}}, "does not divide 24"),
        ({"vision_config": {"num_attention_heads": 0}}, "no config of a BLIP"),
        ({"vision_config": 3}, "no config of a BLIP"),
        ({"image_text_hidden_size": "wide"}, "embed_dim"),
        ({"image_text_hidden_size": 13}, "do not fit"),
    ],
)
def test_a_config_that_does_not_serve(folder, change, message):
    content = json.loads((folder / "config.json").read_text())
    for key, value in change.items():
        nested = isinstance(value, dict)
        content[key] = {**content[key], **value} if nested else value
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match=message):
        load_backbone(folder)


def test_weights_of_another_model_are_refused(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["text_proj.bias"]
    save_file({**tensors, "qformer.weight": torch.ones(2)}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"without text_proj.bias; unknown qformer.weight"):
        load_backbone(folder)


def test_without_a_vocabulary_or_the_package(folder, monkeypatch):
    (folder / "vocab.txt").unlink()
    with pytest.raises(ModelError, match=r"tokenizer cannot be read .*tokenizer\.json"):
        load_backbone(folder)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ModelError, match=r'pip install "rsclip\[blip\]"'):
        load_backbone(folder)


@pytest.mark.parametrize(("last", "count"), [(59, 59), (62, 65)])
def test_a_vocabulary_of_another_model_or_cut_short(folder, last, count):
    words = [*(folder / "vocab.txt").read_text().split()[:last], "river", "lake", "pond"]
    (folder / "vocab.txt").write_text("\n".join(words[:count]) + "\n")
    with pytest.raises(ModelError, match=rf"vocab.txt: the tokenizer has {count} tokens.* 64: "):
        load_backbone(folder)


def test_another_vocabulary_is_another_model(rsclip, make_scene, folder, tmp_path):
    flags = ["--classes", "water, road", "--model", folder, "-o", tmp_path / "out", "--resume"]
    scene, words = make_scene(), folder / "vocab.txt"
    assert rsclip("segment", scene, *flags).exit_code == 0
    lines = words.read_text().split("\n")
    water, road = lines.index("water"), lines.index("road")
    lines[water], lines[road] = lines[road], lines[water]
    words.write_text("\n".join(lines))
    done = rsclip("segment", scene, *flags)
    assert done.exit_code == 2
    assert "model: text_tower" in done.stderr
    backbone = load_backbone(folder)
    kept = load_backbone(FOLDER).text_features([["water"], ["road"]])
    torch.testing.assert_close(backbone.text_features([["road"], ["water"]]), kept)


def test_it_is_neither_fetched_nor_bundled(rsclip, tmp_path):
    done = rsclip("models", "bundle", FOLDER, "-o", tmp_path / "blip.safetensors")
    assert done.exit_code == 2
    assert "cannot be bundled" in done.stderr
    assert not (tmp_path / "blip.safetensors").exists()
    assert rsclip("models", "info", FOLDER).exit_code == 0
