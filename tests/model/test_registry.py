"""Aliases, and what the hub's own description of weights is checked against."""

import json

import pytest
import torch

from rsclip.errors import ModelError
from rsclip.model import load_backbone
from rsclip.model.weights.architecture import activation, architecture_of
from rsclip.model.weights.catalog import describe_model, list_models
from rsclip.model.weights.files import file_sha256
from rsclip.model.weights.names import parse_name
from rsclip.model.weights.origin import origin_of
from rsclip.model.weights.registry import checkpoints, licence_of, read_registry
from tests.model.models import open_clip, tiny_config
from tests.model.test_load import refused


def test_every_alias_is_described(hub):
    for name in checkpoints():
        facts = describe_model(name)
        assert facts["licence"]
        assert "arXiv" in facts["source"]
        assert facts["path"] is None
        assert facts["patch"] == (32 if name.endswith("b32") else 14)


def test_every_tag_that_serves_has_a_licence(hub):
    listed = list_models()
    assert len(listed) > 60
    assert [item.name for item in listed if not item.licence] == []
    assert not [item.name for item in listed if "RN50" in item.name or "SigLIP" in item.name]
    assert licence_of("nobody") == ("", "")


@pytest.fixture
def registry(tmp_path, monkeypatch):
    def write(text):
        path = tmp_path / "models.yaml"
        path.write_text(text)
        monkeypatch.setenv("RSCLIP_MODELS", str(path))
        read_registry.cache_clear()
        return path

    return write


def test_an_alias_decides_the_activation(hub, tiny_vit, weights, registry):
    registry(
        "models:\n  mine:\n    arch: tiny-vit\n    quick_gelu: true\n"
        "    repository: me/mine\n    file: weights.safetensors\n"
    )
    assert "not on this machine" in refused("mine")
    path = hub("me/mine", weights, "weights.safetensors")
    backbone = load_backbone("mine")
    assert backbone.facts()["activation"] == "QuickGELU"
    assert backbone.source == str(path)
    assert [item.name for item in list_models(here=True)] == ["nano", "mine"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models: [1]", "`models` is not a mapping"),
        ("- a", "broken"),
        ("models: {a: 3}", "not a mapping"),
        ("models: {a: {arch: ViT-B-32}}", "lacks quick_gelu"),
        ("models: {a: {arch: ViT-B-32, quick_gelu: true}}", "lacks repository and file, or url"),
        ("models: {a: {arch: ViT-B-32, quick_gelu: 'yes', url: x}}", "`quick_gelu` cannot be"),
        ("models: {a: {arch: x, quick_gelu: true, url: ftp//x}}", "`url` cannot be 'ftp//x'"),
        (
            "models: {a: {arch: x, quick_gelu: true, url: 'https://x/y', sha256: abc}}",
            "`sha256` cannot",
        ),
        (
            "models: {a: {arch: x, quick_gelu: true, repository: b c, file: f}}",
            "`repository` cannot",
        ),
        (
            "models: {../../a: {arch: x, quick_gelu: true, url: 'https://x/y'}}",
            "not a name for a model",
        ),
        (
            "models: {Nano: {arch: x, quick_gelu: true, url: 'https://x/y'}}",
            "neither auto nor nano",
        ),
        ("licences: {openai: MIT}", "a licence is a mapping of words"),
        ("licences: {openai: {license: MIT}}", "`licence` and `source`"),
        ("licences: {openai: {licence: [1]}}", "a licence is a mapping of words"),
        ("models: {a: {arch: x, quickgelu: true, url: x}}", "unknown key `quickgelu`"),
        ("models: {a: {arch: q, quick_gelu: true, url: 'https://x/y'}}", "unknown architecture q"),
        ("models: {a: 1, a: 2}", "stands twice"),
        ("models: {", "not valid YAML"),
    ],
)
def test_a_broken_registry(registry, text, message):
    path = registry(text)
    found = refused("a")
    assert message in found
    assert str(path) in found or "registry" in found


def test_a_registry_that_is_not_there(registry, monkeypatch):
    registry("models: {}").unlink()
    assert "no such model registry" in refused("a")


def put_config(weights_path, quick_gelu, mean):
    config = {"model_cfg": tiny_config(quick_gelu=quick_gelu), "preprocess_cfg": {"mean": mean}}
    weights_path.with_name("open_clip_config.json").write_text(json.dumps(config))


def test_weights_whose_repository_says_something_else(hub, tiny_vit, weights):
    path = hub("someone/tiny-quick", weights)
    put_config(path, True, [0.1, 0.2, 0.3])
    assert load_backbone("tiny-vit/quick").name == "tiny-vit/quick"
    put_config(path, False, [0.1, 0.2, 0.3])
    assert "activation QuickGELU, the file's GELU" in refused("tiny-vit/quick")
    put_config(path, True, [0.5, 0.5, 0.5])
    assert "mean [0.1, 0.2, 0.3], the file's [0.5, 0.5, 0.5]" in refused("tiny-vit/quick")
    # The way out that the message names.
    assert load_backbone(path.parent).mean == (0.5, 0.5, 0.5)


def test_bad_hub_names(hub):
    assert "not the name of a repository" in refused("hf-hub:only-owner")
    assert "rsclip models fetch hf-hub:me/mine" in refused("hf-hub:me/mine")


def test_list_command(hub, tiny_vit, weights, rsclip):
    path = hub("someone/tiny-quick", weights)
    listed = json.loads(rsclip("models", "list", "--here", "--json").stdout)
    assert [item["name"] for item in listed] == ["nano", "tiny-vit/quick"]
    assert listed[1]["size"] == path.stat().st_size
    table = rsclip("models", "list").stdout
    assert "ViT-L-14/openai" in table
    assert "remoteclip-l14" in table


def test_info_command(hub, rsclip):
    done = rsclip("models", "info", "ViT-L-14/laion2b_s32b_b82k")
    assert done.exit_code == 0
    for part in ("14 pixels", "0.5, 0.5, 0.5", "GELU", "MIT", "rsclip models fetch"):
        assert part in done.stdout
    done = rsclip("models", "info", "RN50/openai")
    assert done.exit_code == 2
    assert "ResNet" in done.stderr
    with pytest.raises(ModelError, match="Did you mean remoteclip"):
        describe_model("remoteclip-l41")
    assert open_clip.list_models()


def test_licences_of_ones_own_registry(registry):
    registry("licences:\n  mine:\n    licence: MIT\n    source: me\n")
    assert licence_of("mine_v2") == ("MIT", "me")
    assert licence_of("openai")[0] == "MIT"
    # One's own word goes before ours, the longest beginning before the others.
    registry("licences:\n  openai:\n    licence: bought\n  dfn2b_s39b:\n    licence: other\n")
    assert licence_of("openai") == licence_of("OpenAI") == ("bought", "")
    assert licence_of("DFN2B-S39B")[0] == "other"
    assert licence_of("dfn2b_s39b")[0] == "other"
    assert licence_of("dfn2b")[0] == "Apple's own"


def test_an_architecture_alone_leaves_its_activation_to_the_weights(hub, rsclip):
    facts = describe_model("ViT-B-16")
    assert facts["activation"] == "that of the weights"
    assert {"openai", "laion2b_s34b_b88k"} <= set(facts["tags"])
    said = rsclip("models", "info", "ViT-B-16").stdout
    assert "openai" in said
    assert "fetch ViT-B-16" not in said
    assert describe_model("ViT-B-16/openai")["activation"] == "QuickGELU"


# Alias: architecture, activation, where its file is.
ALIASES = {
    "remoteclip-b32": ("ViT-B-32", "QuickGELU", "chendelong/RemoteCLIP", "RemoteCLIP-ViT-B-32.pt"),
    "remoteclip-l14": ("ViT-L-14", "QuickGELU", "chendelong/RemoteCLIP", "RemoteCLIP-ViT-L-14.pt"),
    "georsclip-b32": ("ViT-B-32", "QuickGELU", "Zilun/GeoRSCLIP", "ckpt/RS5M_ViT-B-32.pt"),
    "georsclip-l14": ("ViT-L-14", "QuickGELU", "Zilun/GeoRSCLIP", "ckpt/RS5M_ViT-L-14.pt"),
    "georsclip-h14": ("ViT-H-14", "GELU", "Zilun/GeoRSCLIP", "ckpt/RS5M_ViT-H-14.pt"),
    "skyclip-b32": ("ViT-B-32", "GELU", "", "SkyScript/ckpt/SkyCLIP_ViT_B32_top50pct.zip"),
    "skyclip-l14": ("ViT-L-14", "QuickGELU", "", "SkyScript/ckpt/SkyCLIP_ViT_L14_top50pct.zip"),
}


def test_aliases_lead_where_their_file_is(hub):
    """Written out by hand from the authors' pages: the registry is not its own witness."""
    assert set(checkpoints()) == set(ALIASES)
    for name, (arch, kind, repository, file) in ALIASES.items():
        parsed = parse_name(name.upper())
        assert (parsed.kind, parsed.arch) == ("alias", arch)
        architecture = architecture_of(parsed)
        assert activation(architecture.config) == kind
        known = dict(open_clip.get_model_config(arch))
        assert {key: architecture.config[key] for key in known} == known
        origin = origin_of(parsed)
        assert origin.repository == repository
        if repository:
            assert (origin.files, origin.url) == ((file,), "")
        else:
            assert origin.url.endswith(f"amazonaws.com/{file}")
            assert (origin.files, origin.member) == ((), "*.pt")


def test_damaged_weights_are_listed_as_damaged(hub, weights, rsclip):
    path = hub("timm/vit_base_patch16_clip_224.openai", weights, "open_clip_model.safetensors")

    def listed():
        (item,) = [each for each in list_models(here=True) if each.name == "ViT-B-16/openai"]
        return item

    assert not listed().damaged
    held = path.resolve().read_bytes()
    path.resolve().write_bytes(held[:-10])
    assert listed().damaged
    assert "damaged: fetch it again" in rsclip("models", "list", "--here").stdout


def test_info_says_that_weights_are_damaged(hub, rsclip, tmp_path):
    blobs = tmp_path / "hub" / "models--timm--vit_base_patch16_clip_224.openai" / "blobs"
    path = hub("timm/vit_base_patch16_clip_224.openai", {"a": torch.zeros(9)})
    blobs.mkdir()
    blob = blobs / file_sha256(path)
    path.replace(blob)
    path.symlink_to(blob)
    assert describe_model("ViT-B-16/openai")["damaged"] is False
    # One bit, at the same length: only its hash tells.
    blob.write_bytes(blob.read_bytes()[:-1] + b"\x01")
    assert describe_model("ViT-B-16/openai")["damaged"] is True
    assert (
        "`rsclip models fetch ViT-B-16/openai` mends it"
        in rsclip("models", "info", "ViT-B-16/openai").stdout
    )


def test_an_architecture_whose_name_decides_the_activation_says_it():
    assert describe_model("ViT-B-32-quickgelu")["activation"] == "QuickGELU"
    assert describe_model("ViT-B-32")["activation"] == "that of the weights"


def test_a_tag_left_out_is_told_as_that(hub):
    with pytest.raises(ModelError, match=r"no tag after the slash. Known: openai, "):
        describe_model("ViT-B-16/")
