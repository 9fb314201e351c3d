"""A layer's parts make the model's own forward, and their statistics do not know batches."""

import contextlib
import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import rsclip
from rsclip.methods.lastblock import ATTENTIONS, attention_output
from rsclip.model import Trunk
from rsclip.study.diagnose.layers import PARTS, LayerStudy, layer_parts
from rsclip.study.diagnose.statistics import frobenius_norm, normalised_entropy
from tests.model.models import tiny_clip

MODELS = {
    "plain": {"vision": {"layers": 4}},
    "quick-gelu, patch 14": {
        "vision": {"layers": 3, "patch_size": 14, "image_size": 56, "width": 32},
        "quick_gelu": True,
    },
    "layer scale": {"vision": {"layers": 5, "ls_init_value": 0.4, "head_width": 4}},
}


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def backbone(request):
    return rsclip.wrap(tiny_clip(seed=3, **request.param))


def images(backbone, count=2):
    random = np.random.default_rng(0)
    return torch.from_numpy(random.standard_normal((count, 3, *backbone.image_shape))).float()


def own_forward(model, pictures):
    """Run open_clip's forward: what enters and leaves each block, and the image's embedding."""
    entered, left = [], []

    def keep(_block, given, out):
        entered.append(given[0])
        left.append(out)

    hooks = [block.register_forward_hook(keep) for block in model.visual.transformer.resblocks]
    whole = model.encode_image(pictures)
    for hook in hooks:
        hook.remove()
    return entered, left, whole


def after_ffn(block, x_sum):
    return x_sum + block.ls_2(block.mlp(block.ln_2(x_sum)))


@torch.inference_mode()
def test_the_forward_is_open_clips_own(backbone):
    pictures = images(backbone)
    entered, left, whole = own_forward(backbone.model, pictures)
    trunk = Trunk(backbone, pictures)
    for layer, block in enumerate(backbone.blocks):
        parts = layer_parts(trunk, layer)
        assert tuple(parts) == PARTS
        torch.testing.assert_close(
            parts["X_res"] + parts["X_attn"], parts["X_sum"], rtol=0, atol=1e-5
        )
        # Tokens reach 20 here: float32 itself errs by more than 1e-5 (open_clip's against its own
        # float64 by as much), so that theirs is 1e-5 of the largest entry.
        for ours, theirs in (
            (parts["X_res"], entered[layer]),
            (after_ffn(block, parts["X_sum"]), left[layer]),
        ):
            atol = 1e-5 * theirs.abs().max().item()
            torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)
    last = after_ffn(backbone.blocks[-1], layer_parts(trunk, backbone.depth - 1)["X_sum"])
    torch.testing.assert_close(backbone.head(last[:, 0]), whole, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_without_rounding_the_whole_forward_is_exact(backbone, monkeypatch):
    """In float64, from the pixels on: each layer's tokens within 1e-5 of open_clip's."""
    pictures = images(backbone).double()
    entered, left, whole = own_forward(copy.deepcopy(backbone.model).double(), pictures)
    exact = rsclip.wrap(backbone.model)
    exact.model.double()
    # Casts to float32 would be all that is left of the rounding.
    monkeypatch.setattr(torch.Tensor, "float", lambda self: self)
    trunk = Trunk(exact, pictures)
    for layer, block in enumerate(exact.blocks):
        parts = layer_parts(trunk, layer)
        for ours, theirs in (
            (parts["X_res"], entered[layer]),
            (parts["X_res"] + parts["X_attn"], parts["X_sum"]),
            (after_ffn(block, parts["X_sum"]), left[layer]),
        ):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    last = after_ffn(exact.blocks[-1], layer_parts(trunk, exact.depth - 1)["X_sum"])
    torch.testing.assert_close(exact.head(last[:, 0]), whole, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_without_rounding_the_parts_are_exact(backbone):
    """In float64, each layer by itself: nothing is left to rounding."""
    model = copy.deepcopy(backbone.model).double()
    entered, left, _ = own_forward(model, images(backbone).double())
    blocks = list(model.visual.transformer.resblocks)
    trunk = SimpleNamespace(
        backbone=SimpleNamespace(blocks=blocks, autocast=contextlib.nullcontext),
        entering=entered.__getitem__,
        grid=(4, 4),
    )
    for layer, block in enumerate(blocks):
        parts = layer_parts(trunk, layer)
        torch.testing.assert_close(
            after_ffn(block, parts["X_sum"]), left[layer], rtol=0, atol=1e-11
        )
        own = block.attention(block.ln_1(entered[layer]))
        torch.testing.assert_close(parts["X_attn"], block.ls_1(own), rtol=0, atol=1e-11)


@torch.inference_mode()
def test_statistics_are_those_of_the_patches_window_by_window(backbone):
    pictures = images(backbone, 5)
    study = LayerStudy(backbone.depth, backbone.width)
    for some in (pictures[:3], pictures[3:]):
        study.add(Trunk(backbone, some))
    assert study.windows == 5
    found = study.statistics()
    assert [(each.layer, each.part) for each in found] == [
        (layer + 1, part) for layer in range(backbone.depth) for part in PARTS
    ]
    trunk = Trunk(backbone, pictures)
    for each in found:
        patches = layer_parts(trunk, each.layer - 1)[each.part][:, 1:].double()
        assert each.entropy == pytest.approx(normalised_entropy(patches).mean().item(), abs=1e-6)
        assert each.norm == pytest.approx(frobenius_norm(patches).mean().item(), rel=1e-5)
        assert each.maximum == pytest.approx(patches.amax((1, 2)).mean().item(), rel=1e-5)
        means = np.sort(patches.mean((0, 1)).numpy())[::-1]
        np.testing.assert_allclose(each.channels, means, atol=1e-5)


@torch.inference_mode()
def test_norms_by_attention_are_of_the_last_layer(backbone):
    pictures = images(backbone)
    study = LayerStudy(backbone.depth, backbone.width)
    trunk = Trunk(backbone, pictures)
    study.add(trunk)
    norms = study.attention_norms()
    assert tuple(norms) == ATTENTIONS
    last = study.statistics()[-2]
    assert last.part == "X_attn"
    assert norms["qk"] == pytest.approx(last.norm, rel=1e-6)
    x = trunk.entering(backbone.depth - 1)
    for attention in ("identity", "qq+kk"):
        attended = attention_output(backbone.blocks[-1], x, trunk.grid, attention)
        assert norms[attention] == pytest.approx(
            np.linalg.norm(attended[:, 1:].numpy(), axis=(1, 2)).mean(), rel=1e-5
        )
