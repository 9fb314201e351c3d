"""Second ViTs: the registry, files and bundles, and timm's own forward."""

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from rsclip.errors import ModelError
from rsclip.model import load_backbone
from rsclip.model.open_clip_import import import_open_clip
from rsclip.model.weights.catalog import bundle_model, describe_model, list_models
from rsclip.model.weights.registry import vits
from rsclip.model.weights.second import find_second_vit, load_second_vit
from tests.model.models import tiny_clip

import_open_clip()
timm = pytest.importorskip("timm")


def made(name, **settings):
    torch.manual_seed(1)
    model = timm.create_model(vits()[name].timm, pretrained=False, num_classes=0, **settings)
    return model.eval()


@pytest.fixture(scope="module")
def dino(tmp_path_factory):
    """The smallest DINO with seeded weights, in a file."""
    path = tmp_path_factory.mktemp("vit") / "dino.safetensors"
    save_file(made("dino-vits16").state_dict(), path)
    return path


@pytest.mark.parametrize(
    "name", ["dino-vits8", "dinov2-vits14", "dinov2-vits14-reg", "dinov3-vits16"]
)
def test_features_are_those_of_timm(name, tmp_path):
    reference = made(name, dynamic_img_size=True)
    torch.save({"state_dict": reference.state_dict()}, tmp_path / "weights.pth")
    found = load_second_vit(str(tmp_path / "weights.pth"))
    assert found.name == name
    images = torch.rand(2, 3, 3 * found.patch, 5 * found.patch)
    config = reference.pretrained_cfg
    mean, std = (torch.tensor(config[key]).view(3, 1, 1) for key in ("mean", "std"))
    with torch.inference_mode():
        tokens = reference.forward_features((images - mean) / std)
        features = found.features(images)
    assert features.shape == (2, 3, 5, found.width)
    expected = tokens[:, reference.num_prefix_tokens :].reshape(features.shape)
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-5)
    # A row of patches is a row of the grid.
    assert (features[0, 0] - features[0, 1]).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["dino-vits16", "dinov2-vits14-reg", "dinov3-vits16"])
def test_layers_are_what_the_blocks_add(name, tmp_path):
    reference = made(name, dynamic_img_size=True)
    with torch.no_grad():
        for key, scale in reference.named_parameters():
            # At first next to nothing, in training no more.
            if "gamma" in key:
                scale.fill_(0.5)
    torch.save(reference.state_dict(), tmp_path / "weights.pth")
    found = load_second_vit(str(tmp_path / "weights.pth"))
    images = torch.rand(2, 3, 2 * found.patch, 3 * found.patch)
    with torch.inference_mode():
        layers = found.layers(images)
        features = found.features(images)
        assert len(layers) == found.depth == 12
        # Each block adds its second half to the sum, and gives it to the next.
        for block, (entering, whole), (following, _) in zip(
            reference.blocks, layers, layers[1:], strict=False
        ):
            ffn = block.mlp(block.norm2(whole))
            scale = getattr(block, "ls2", None)
            ffn = block.gamma_2 * ffn if scale is None else scale(ffn)
            torch.testing.assert_close(whole + ffn, following, rtol=0, atol=1e-5)
            assert (whole - entering).abs().max() > 1e-4
    assert layers[0][0].shape == (2, 6, found.width)
    # Nothing is left behind.
    assert not any(part._forward_pre_hooks for part in found.model.modules())
    torch.testing.assert_close(found.features(images), features, rtol=0, atol=0)


def test_the_registry_says_what_timm_says():
    for row in vits().values():
        architecture, tag = row.timm.split(".")
        config = timm.models.get_pretrained_cfg(row.timm)
        assert (config.architecture, config.tag) == (architecture, tag)
        assert row.repository == config.hf_hub_id
        assert row.image == config.input_size[1]
        own = row.licence.lower().split(" (")[0].replace(" ", "-")
        assert own == config.license
        with torch.device("meta"):
            model = timm.create_model(row.timm, pretrained=False, num_classes=0)
        shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
        assert shapes["patch_embed.proj.weight"] == row.stem
        assert ("reg_token" in shapes, "pos_embed" in shapes) == row.signs
        assert abs(sum(each.numel() for each in model.parameters()) / row.parameters - 1) < 0.06


def test_listed_and_described():
    listed = {item.name: item for item in list_models()}
    assert listed["dino-vits8"].patch == 8
    assert listed["dino-vits8"].megabytes == 81
    facts = describe_model("dinov3-vitb16")
    assert facts["licence"].startswith("DINOv3 License")
    assert facts["path"] is None


def test_a_bundle_carries_one(dino, tmp_path):
    path = bundle_model("auto", tmp_path / "carried.safetensors", dino)
    carried, original = load_second_vit(str(path)), load_second_vit(str(dino))
    images = torch.rand(1, 3, 32, 48)
    torch.testing.assert_close(carried.features(images), original.features(images))
    facts = describe_model("auto", path)
    assert (facts["name"], facts["licence"]) == ("dino-vits16", "Apache-2.0")
    with pytest.raises(ModelError, match="holds dino-vits16, a self-supervised ViT"):
        load_backbone("auto", path)
    damaged = bytearray(path.read_bytes())
    damaged[-4:] = b"\0\0\0\1"
    path.write_bytes(damaged)
    with pytest.raises(ModelError, match="weights do not match their hash"):
        load_second_vit(str(path))


def test_a_clip_is_no_affinity(tmp_path):
    path = tmp_path / "clip.safetensors"
    save_file(tiny_clip().state_dict(), path)
    with pytest.raises(ModelError, match=r"these are the weights of a CLIP.*Give the CLIP to"):
        load_second_vit(str(path))
    for name in ("ViT-B-16/openai", "nano", "remoteclip-b32"):
        with pytest.raises(ModelError, match="is no self-supervised ViT"):
            find_second_vit(name)


def test_a_second_vit_is_no_clip(dino):
    with pytest.raises(ModelError, match=r"reads no words.*method='proxyclip'"):
        load_backbone("dino-vits8")
    with pytest.raises(ModelError, match=r"reads no words.*method='proxyclip'"):
        load_backbone("auto", dino)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch_embed.proj.weight": torch.zeros(100, 3, 16, 16)}, "no second ViT.*100, 3, 16, 16"),
        ({"norm.weight": None}, "without norm.weight"),
        ({"norm.weight": torch.full((384,), torch.nan)}, "hold NaN"),
        ({"head.weight": torch.zeros(2, 384)}, "unknown head.weight"),
    ],
)
def test_other_weights_are_refused(dino, tmp_path, change, message):
    tensors = {**load_file(dino), **change}
    path = tmp_path / "changed.safetensors"
    save_file({key: value for key, value in tensors.items() if value is not None}, path)
    with pytest.raises(ModelError, match=message) as caught:
        load_second_vit(str(path))
    assert caught.value.exit_code == 2


def test_what_is_not_here_is_told_with_the_ways_out(tmp_path):
    with pytest.raises(ModelError, match="models fetch dino-vitb8"):
        find_second_vit("dino-vitb8")
    with pytest.raises(ModelError, match="no such file of weights"):
        find_second_vit(str(tmp_path / "none.pth"))
    with pytest.raises(ModelError, match=r"Give dino-vits8, .* or self"):
        find_second_vit("dinosaur")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"patch": 8}, "lacks timm"),
        ({"patch": "8"}, "`patch` cannot be"),
        ({"depth": 3}, "other keys"),
        (3, "other keys"),
    ],
)
def test_a_broken_row_is_told(entry, message, tmp_path, monkeypatch):
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({"vits": {"mine": entry}}))
    monkeypatch.setenv("RSCLIP_MODELS", str(path))
    with pytest.raises(ModelError, match=message):
        vits()
