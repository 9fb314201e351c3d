"""proxyclip against a plain loop over its equations."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

import rsclip
from rsclip.config import SegmentConfig
from rsclip.errors import OptionError
from rsclip.labelling.windows import plan_grid
from rsclip.methods import get_method, parse_options
from rsclip.methods.segmenter import Segmenter
from rsclip.model import SecondVit, Trunk
from tests.methods.test_every_method import TEXT, pictures
from tests.model.models import tiny_clip


def by_loops(affinity, values, gamma, beta):
    """Return A v of one image, float64 (N, heads * d), written as the equations read."""
    unit = [row / np.linalg.norm(row) for row in affinity.astype(np.float64)]
    similarity = np.array([[one @ other for other in unit] for one in unit])
    mean = similarity.mean()
    mixed = np.zeros_like(values, np.float64)
    for i in range(len(unit)):
        scores = gamma * (similarity[i] - beta * mean)
        weights = [
            math.exp(score) if score >= 0 or j == i else 0.0 for j, score in enumerate(scores)
        ]
        for j, weight in enumerate(weights):
            mixed[i] += weight / sum(weights) * values[j]
    return mixed


def resized_by_loops(plane, wanted):
    """Return a plane (h, w, C) on another grid: bilinear between cell centres, held at the rim."""
    (height, width), result = plane.shape[:2], np.zeros((*wanted, plane.shape[2]))
    for row in range(wanted[0]):
        for col in range(wanted[1]):
            y = min(max((row + 0.5) * height / wanted[0] - 0.5, 0), height - 1)
            x = min(max((col + 0.5) * width / wanted[1] - 0.5, 0), width - 1)
            top, left = int(y), int(x)
            low, right = min(top + 1, height - 1), min(left + 1, width - 1)
            above = plane[top, left] * (1 - x + left) + plane[top, right] * (x - left)
            below = plane[low, left] * (1 - x + left) + plane[low, right] * (x - left)
            result[row, col] = above * (1 - y + top) + below * (y - top)
    return result


@pytest.mark.parametrize("grid", [(3, 5), (6, 10), (4, 4), (2, 3)], ids=str)
@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize(("values", "gamma", "beta"), [("v", 3, 1.2), ("qq", 10, 0.9)])
def test_proxyclip_is_its_equations(grid, second, values, gamma, beta):
    backbone = rsclip.wrap(tiny_clip(vision={"layers": 4}))
    images = torch.from_numpy(pictures(2, 24, 40))
    outside = torch.randn(2, *grid, 7, generator=torch.Generator().manual_seed(1)) + 0.5
    trunk = Trunk(
        backbone, backbone.normalise(images), affinity=(lambda: outside) if second else None
    )
    options = parse_options("proxyclip", {"values": values, "gamma": gamma, "beta": beta})
    with torch.inference_mode():
        found = get_method("proxyclip").features(trunk, options).tokens
        block, tokens = backbone.blocks[-1], trunk.entering(3)
        heads, width = block.attn.num_heads, backbone.width
        projected = functional.linear(
            block.ln_1(tokens), block.attn.in_proj_weight, block.attn.in_proj_bias
        )
        for image in range(2):
            q, _, v = projected[image].double().split(width, dim=-1)
            if values == "qq":
                q, v = (each.reshape(-1, heads, width // heads).transpose(0, 1) for each in (q, v))
                weights = (q @ q.mT / math.sqrt(width // heads)).softmax(-1)
                v = (weights @ v).transpose(0, 1).flatten(1)
            v = v[1:].numpy()
            affinity = outside[image].flatten(0, 1) if second else trunk.entering(2)[image, 1:]
            wanted = grid if second else trunk.grid
            v = resized_by_loops(v.reshape(3, 5, -1), wanted).reshape(-1, width)
            mixed = by_loops(affinity.numpy(), v, gamma, beta)
            out = block.attn.out_proj(torch.from_numpy(mixed).float())
            expected = backbone.head(out).reshape(*wanted, -1)
            torch.testing.assert_close(found[image], expected, rtol=0, atol=1e-5)


def test_the_mean_is_that_of_an_image_not_of_the_batch():
    backbone = rsclip.wrap(tiny_clip(vision={"layers": 4}))
    images = backbone.normalise(torch.from_numpy(pictures(3, 24, 40)))
    outside = torch.randn(3, 6, 10, 7, generator=torch.Generator().manual_seed(1))
    outside[0] += 2
    method, options = get_method("proxyclip"), parse_options("proxyclip")

    def tokens(chosen):
        trunk = Trunk(backbone, images[chosen], affinity=lambda: outside[chosen])
        with torch.inference_mode():
            return method.features(trunk, options).tokens

    torch.testing.assert_close(
        tokens(slice(0, 3)), torch.cat([tokens(slice(i, i + 1)) for i in range(3)]),
        rtol=0, atol=2e-6,
    )  # fmt: skip


def second_vit(patch, width=12):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm.models.VisionTransformer(
        img_size=4 * patch, patch_size=patch, embed_dim=width, depth=2, num_heads=2,
        num_classes=0, dynamic_img_size=True,
    )  # fmt: skip
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    model.pretrained_cfg = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.2, 0.3)}
    return SecondVit("small", model.eval(), patch, width, "memory", "0" * 64)


@pytest.mark.parametrize("patch", [4, 8, 12])
@pytest.mark.parametrize("tta", ["none", "flips"])
def test_a_second_vit_sets_the_grid_whatever_the_batch(patch, tta):
    backbone, second = rsclip.wrap(tiny_clip()), second_vit(patch)
    images = pictures(3, 48, 72)
    settings = {"method": "proxyclip", "device": "cpu", "second": second, "tta": tta}
    together = Segmenter(backbone, TEXT, batch_size=3, **settings)
    assert (together.patch, together.window_unit) == (patch, math.lcm(8, patch))
    found = together.similarities(images)
    assert found.shape == (3, 3, 48 // patch, 72 // patch)
    assert together.similarities(images[:0]).shape == (0, *found.shape[1:])
    alone = Segmenter(backbone, TEXT, batch_size=1, **settings).similarities(images)
    np.testing.assert_allclose(found, alone, rtol=0, atol=2e-5)
    own = Segmenter(backbone, TEXT, method="proxyclip", device="cpu", tta=tta)
    if patch == 8:
        assert np.abs(own.similarities(images) - found).max() > 1e-3


def test_an_affinity_is_for_methods_that_take_one():
    backbone = rsclip.wrap(tiny_clip())
    for others, patch in ((), 8), ([("sclip", None)], 8), ([("proxyclip", None)], 4):
        with pytest.raises(OptionError, match=r"clearclip takes no affinity .*proxyclip") as caught:
            Segmenter(backbone, TEXT, device="cpu", others=others, second=second_vit(patch))
        assert caught.value.exit_code == 2
    both = Segmenter(
        backbone, TEXT, device="cpu", others=[("proxyclip", None)], second=second_vit(8)
    )
    assert both.similarities(pictures(1, 32, 32)).shape == (1, 6, 4, 4)


def test_windows_are_whole_patches_of_both():
    backbone = rsclip.wrap(tiny_clip())
    segmenter = Segmenter(backbone, TEXT, method="proxyclip", device="cpu", second=second_vit(12))
    with pytest.raises(OptionError, match=r"32 pixels is not whole patches of both.* is 24"):
        plan_grid((90, 90), segmenter, SegmentConfig())
    # A scene smaller than the window cuts it, to whole patches of both still.
    assert plan_grid((30, 40), segmenter, SegmentConfig(window=96)).window == (48, 48)
    assert plan_grid((90, 90), segmenter, SegmentConfig(window=48, stride=12)).stride == (12, 12)
