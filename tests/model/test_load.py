"""Names and files to models; what is wrong is refused with one message."""

import hashlib
import json
import re
import time
import warnings
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from rsclip.errors import ModelError, RsclipWarning
from rsclip.methods.segmenter import Segmenter
from rsclip.model import load_backbone
from rsclip.model.weights import find, names
from rsclip.model.weights.catalog import describe_model, list_models
from rsclip.model.weights.files import read_weights
from rsclip.model.weights.names import parse_name
from rsclip.model.weights.origin import cached_weights
from tests.model.models import tiny_clip, tiny_config


def refused(name, weights=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RsclipWarning)
        with pytest.raises(ModelError) as caught:
            load_backbone(name, weights)
    return str(caught.value)


def test_weights_need_no_name(tmp_path):
    with pytest.raises(ModelError, match=r"none\.safetensors"):
        load_backbone(weights=tmp_path / "none.safetensors")


def test_no_model_is_suggested_that_would_be_refused():
    text = refused("nope")
    assert "unknown model" in text
    assert not re.search(r"RN\d", text)
    assert "Did you mean ViT-B-16, " in refused("vit-b-16")
    assert "ResNet" in refused("RN50/openai")


def similarities(backbone):
    image = np.random.default_rng(0).uniform(0, 1, (1, 3, 32, 32)).astype(np.float32)
    text = np.random.default_rng(1).standard_normal((3, backbone.dim))
    return Segmenter(backbone, text, device="cpu").similarities(image)


@pytest.mark.parametrize(("tag", "activation"), [("quick", "QuickGELU"), ("plain", "GELU")])
def test_the_activation_follows_the_tag(hub, tiny_vit, weights, tag, activation):
    path = hub(f"someone/tiny-{tag}", weights)
    backbone = load_backbone(f"tiny-vit/{tag}")
    kinds = {type(block.mlp.gelu).__name__ for block in backbone.blocks}
    kinds |= {type(block.mlp.gelu).__name__ for block in backbone.model.transformer.resblocks}
    assert kinds == {activation}
    assert backbone.source == str(path)
    expected = tiny_clip(seed=5, quick_gelu=tag == "quick")
    image = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(backbone.model.encode_image(image), expected.encode_image(image))


def test_mean_and_std_follow_the_tag(hub, tiny_vit, weights, weights_file):
    hub("someone/tiny-quick", weights)
    for backbone in (
        load_backbone("tiny-vit/quick"),
        load_backbone("tiny-vit/quick", weights_file),
    ):
        assert backbone.mean == (0.1, 0.2, 0.3)
        assert backbone.std == (0.4, 0.5, 0.6)
        assert backbone.facts()["activation"] == "QuickGELU"


def test_a_pickle_serves_where_the_cache_has_no_safetensors(hub, tiny_vit, weights):
    path = hub("someone/tiny-plain", weights, "unused.safetensors")
    torch.save(weights, path.with_name("open_clip_pytorch_model.bin"))
    assert cached_weights(parse_name("tiny-vit/plain")).name == "open_clip_pytorch_model.bin"
    assert load_backbone("tiny-vit/plain").weights_sha256


def test_absent_weights_name_the_ways_out_at_once(hub):
    start = time.perf_counter()
    text = refused("ViT-B-16/openai")
    assert time.perf_counter() - start < 3
    assert "nothing is downloaded" in text
    assert "weights=FILE" in text
    assert "rsclip models bundle ViT-B-16/openai" in text
    assert "model='nano'" in text
    assert "\n" not in text


def test_auto_takes_the_default_when_it_is_here(hub, tiny_vit, weights, monkeypatch):
    monkeypatch.setattr(find, "DEFAULT", "tiny-vit/quick")
    hub("someone/tiny-quick", weights)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_backbone("auto").name == "tiny-vit/quick"


def test_auto_falls_back_to_nano_and_says_so(hub, hub_folder, monkeypatch):
    monkeypatch.setattr(names, "data_path", lambda name: hub_folder)
    figures = {"town": {"miou": 0.4}, "shore": {"miou": 0.5}, "chips": {"majority": 0.7}}
    (hub_folder / "figures.json").write_text(json.dumps(figures))
    with pytest.warns(RsclipWarning, match=r"nano.* 0\.45, .* 70% .*\n.*ViT-B-16/openai"):
        backbone = load_backbone("auto")
    assert (backbone.name, backbone.source) == ("nano", "embedded")


@pytest.fixture
def hub_folder(tmp_path, weights):
    folder = tmp_path / "folder"
    folder.mkdir()
    settings = {
        "model_cfg": tiny_config(quick_gelu=True),
        "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2], "size": [32, 32]},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(settings))
    save_file({k: v.half() for k, v in weights.items()}, folder / "open_clip_model.safetensors")
    return folder


def test_a_folder_in_hub_form(hub_folder, weights_file):
    backbone = load_backbone(hub_folder)
    assert backbone.mean == (0.5, 0.5, 0.5)
    assert backbone.facts()["activation"] == "QuickGELU"
    assert {value.dtype for value in backbone.model.state_dict().values()} == {torch.float32}
    whole = load_backbone(hub_folder, weights_file)
    np.testing.assert_allclose(similarities(backbone), similarities(whole), atol=1e-2)
    (hub_folder / "open_clip_model.safetensors").unlink()
    assert "holds no open_clip_model.safetensors" in refused(hub_folder)


@pytest.fixture
def own_name(hub_folder):
    return (hub_folder / "open_clip_model.safetensors").rename(hub_folder / "mine.safetensors")


def test_the_config_beside_the_only_weights_of_a_folder_is_theirs(own_name, tiny_vit):
    backbone = load_backbone("auto", own_name)
    assert backbone.facts()["activation"] == "QuickGELU"
    assert backbone.mean == (0.5, 0.5, 0.5)
    assert "activation GELU, the file's QuickGELU" in refused("tiny-vit/plain", own_name)


def test_a_config_beside_several_weights_is_not_used_and_said_so(own_name, tiny_vit, weights):
    torch.save(weights, own_name.with_name("epoch_2.pt"))
    with pytest.warns(RsclipWarning, match=r"config.json is not used: .*epoch_2.pt.*model="):
        backbone = load_backbone("tiny-vit/plain", own_name)
    assert backbone.facts()["activation"] == "GELU"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backbone = load_backbone(own_name.parent, own_name)
    assert backbone.facts()["activation"] == "QuickGELU"


def test_weights_in_every_form_are_the_same_model(tmp_path, tiny_vit, weights, weights_file):
    forms = {
        "bare.pt": weights,
        "wrapped.pth": {"epoch": 3, "state_dict": weights},
        "inner.pt": {"model": weights, "optimizer": {"lr": 0.1}},
        "parallel.bin": {"state_dict": {f"module.{k}": v for k, v in weights.items()}},
        "openai.pt": {**weights, "input_resolution": torch.tensor(32)},
        "vector.pt": {**weights, "logit_scale": weights["logit_scale"].reshape(1)},
    }
    expected = similarities(load_backbone("tiny-vit/plain", weights_file))
    for name, content in forms.items():
        torch.save(content, tmp_path / name)
        found = similarities(load_backbone("tiny-vit/plain", tmp_path / name))
        np.testing.assert_array_equal(found, expected)
    old = tmp_path / "old.pt"
    torch.save(weights, old, _use_new_zipfile_serialization=False)
    np.testing.assert_array_equal(similarities(load_backbone("tiny-vit/plain", old)), expected)
    old.write_bytes(old.read_bytes()[:5000])
    assert "cut short" in refused("tiny-vit/plain", old)
    # An architecture's own file, and safetensors without its suffix as hub blobs are.
    blob = tmp_path / "blob"
    blob.write_bytes(weights_file.read_bytes())
    np.testing.assert_array_equal(similarities(load_backbone(tiny_vit, blob)), expected)


def test_a_bare_architecture_that_leaves_the_activation_open_is_refused(tiny_vit, weights_file):
    text = refused("tiny-vit", weights_file)
    assert "tiny-vit/quick (QuickGELU" in text
    assert "tiny-vit/plain (GELU" in text
    # So is one whose only weights differ from what it would be built as.
    assert "ViT-H-14-378/dfn5b (QuickGELU" in refused("ViT-H-14-378", weights_file)


def test_the_hash_is_the_files_or_the_tensors(tiny_vit, weights_file):
    digest = hashlib.sha256(weights_file.read_bytes()).hexdigest()
    assert load_backbone("tiny-vit/plain", weights_file).weights_sha256 == digest


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ViT-B-16/opena", "Did you mean openai"),
        ("VIT-B16/openai", "ViT-B-16/openai"),
        ("nanoo", "nano"),
        ("ViT-B/16", "ViT-B-16"),
        ("qqqq", "ARCH/TAG"),
        ("ViT-B-16", "ViT-B-16/openai"),
        ("./nowhere", "no such model folder"),
        ("nowhere.json", "no such architecture file"),
    ],
)
def test_unknown_names(hub, name, hint):
    assert hint in refused(name)


def test_nano_may_not_be_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(names, "data_path", lambda name: tmp_path)
    assert "not part of this installation" in refused("nano")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("RN50/openai", "ResNet"),
        ("ViT-B-16-SigLIP/webli", "timm"),
        ("coca_ViT-B-32/laion2b_s13b_b90k", "CoCa"),
        ("roberta-ViT-B-32/laion2b_s12b_b32k", "text tower"),
        ("ViT-L-14-CLIPA/datacomp1b", "tokenizer bert-base-uncased"),
    ],
)
def test_named_models_that_cannot_serve(hub, name, reason):
    text = refused(name)
    assert "cannot be used" in text
    assert reason in text


def test_weights_that_do_not_fit(tmp_path, tiny_vit, weights):
    weights["visual.conv1.weight"] = torch.zeros(16, 3, 4, 4)
    weights["extra"] = torch.zeros(2)
    del weights["visual.proj"]
    path = tmp_path / "other.safetensors"
    save_file(weights, path)
    text = refused("tiny-vit/plain", path)
    assert "visual.conv1.weight is (16, 3, 4, 4) in the file, (16, 3, 8, 8) in the model" in text
    assert "without visual.proj" in text
    assert "unknown extra" in text


def test_another_model_names_a_few_tensors_only(tmp_path, weights_file):
    text = refused("ViT-B-32/openai", weights_file)
    assert "more" in text
    assert len(text) < 1500


@pytest.mark.parametrize("keep", [0, 4, 40, 5000, -10])
@pytest.mark.parametrize("form", ["safetensors", "pt"])
def test_truncated_files(tmp_path, tiny_vit, weights, form, keep):
    path = tmp_path / f"cut.{form}"
    save_file(weights, path) if form == "safetensors" else torch.save(weights, path)
    path.write_bytes(path.read_bytes()[:keep])
    said = refused("tiny-vit/plain", path)
    assert ("damaged, cut short or not a weights file" if keep else "an empty file") in said


def test_files_that_are_not_weights(tmp_path, tiny_vit):
    path = tmp_path / "file.pt"
    torch.save([1, 2], path)
    assert "no state dict" in refused("tiny-vit/plain", path)
    torch.save({"a": 3}, path)
    assert "not a tensor" in refused("tiny-vit/plain", path)
    assert "no such file of weights" in refused("tiny-vit/plain", tmp_path / "absent.pt")


def test_a_pickled_program_is_not_run(tmp_path, tiny_vit):
    path, mark = tmp_path / "evil.pt", tmp_path / "mark"

    class Evil:
        def __reduce__(self):
            return type(mark).touch, (mark,)

    torch.save({"state_dict": Evil()}, path)
    assert "more than tensors" in refused("tiny-vit/plain", path)
    assert not mark.exists()


def test_torchscript_is_refused_by_name(tmp_path, tiny_vit):
    class Double(torch.nn.Module):
        def forward(self, x):
            return 2 * x

    path = tmp_path / "ViT-B-16.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(Double()).save(str(path))
    text = refused("tiny-vit/quick", path)
    assert "TorchScript" in text
    assert "safetensors" in text


def test_broken_architecture_files(tmp_path, weights_file):
    path = tmp_path / "arch.json"
    for content, reason in [
        ("{", "cannot be read"),
        ("[]", "does not describe an architecture"),
        ("{}", "vision_cfg"),
        (json.dumps(tiny_config(vision={"colour": 3})), "colour"),
    ]:
        path.write_text(content)
        assert reason in refused(path, weights_file)
    path.write_text(json.dumps(tiny_config()))
    assert "weights=FILE" in refused(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git LFS"),
        (b"\n<!DOCTYPE html><html>404</html>", "web page"),
        (b"", "an empty file"),
        (b"hello, these are words\n", "like text"),
        # Cut by the look at its beginning within a letter of two bytes.
        (("x" + "ä" * 600).encode(), "like text"),
        (b'{"embed_dim": 512}', "JSON"),
        (b"%PDF-1.7\n%\xe2\xe3", "a PDF"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "gzip: unpack"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "a picture"),
        (b"II*\0" + bytes(40), "a TIFF"),
    ],
)
def test_what_people_take_for_weights_is_named(tmp_path, content, what):
    for suffix in ("pt", "safetensors"):
        path = tmp_path / f"file.{suffix}"
        path.write_bytes(content)
        assert what in refused("ViT-B-16/openai", path)


def test_an_archive_and_a_folder_are_no_weights(tmp_path):
    path = tmp_path / "sky.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("epoch_20.pt", b"weights")
    assert "unpack it first" in refused("ViT-B-16/openai", path)
    assert "a folder, not a file of weights" in refused("ViT-B-16/openai", tmp_path)


def test_a_length_that_reads_like_another_file_is_none(tmp_path):
    """The first bytes of safetensors are a number: 0x3C20 reads " <", as web pages begin."""
    tensors = {"a": torch.zeros(2)}
    path = tmp_path / "w.safetensors"
    for filler in range(0x3C20):
        save_file(tensors, path, {"x": "y" * (0x3BD0 + filler)})
        if path.read_bytes()[:2] == b" <":
            break
    assert path.read_bytes()[:2] == b" <"
    assert list(read_weights(path)) == ["a"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"patch_size": 0}, "`patch_size` of the architecture is 0"),
        ({"layers": "a"}, "`layers` of the architecture is 'a'"),
        ({"width": None}, "`width` of the architecture is None"),
        ({"image_size": 3}, "`image_size` of the architecture is 3"),
        ({"image_size": "big"}, "`image_size` of the architecture is 'big'"),
        ({"head_width": 5}, "`head_width` of the architecture is 5"),
        ({"head_width": 0}, "`head_width` of the architecture is 0"),
        ({"pool_type": "avg"}, "cannot be used: it has no CLS token to pool by (pool_type 'avg')"),
        ({"pool_type": "none"}, "no CLS token"),
        ({"attentional_pool": True}, "attentional pooler"),
        ({"qk_norm": True}, "attention blocks are not the plain ones"),
        ({"colour": 3}, "knows no vision_cfg.colour"),
    ],
)
def test_an_architecture_that_cannot_serve_is_not_described(tmp_path, rsclip, change, named):
    config = tiny_config()
    config["vision_cfg"] = {**config["vision_cfg"], **change}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(config))
    done = rsclip("models", "info", path)
    assert done.exit_code == 2
    assert named in done.stderr


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            {"text": {"heads": 3}},
            "`heads` of the architecture is 3, which does not divide 8 channels",
        ),
        ({"text": {"letters": 26}}, "knows no text_cfg.letters"),
        ({"author": "me"}, "knows no author"),
    ],
)
def test_text_towers_and_keys_that_open_clip_would_not_build(tmp_path, change, named):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(tiny_config(**change)))
    with pytest.raises(ModelError, match=named):
        describe_model(str(path))


def test_a_model_that_cannot_serve_is_not_listed_as_here(hub, weights):
    for name, pool in (("me/good", "tok"), ("me/bad", "avg")):
        path = hub(name, weights)
        config = {"model_cfg": tiny_config(vision={"pool_type": pool})}
        path.with_name("open_clip_config.json").write_text(json.dumps(config))
    assert {item.name for item in list_models(here=True)} == {"nano", "hf-hub:me/good"}
