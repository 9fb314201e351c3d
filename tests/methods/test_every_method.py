"""What holds for every method: batches, shapes, patches, depths, the bias, and refusals."""

import numpy as np
import pytest
import torch

import rsclip
from rsclip.errors import OptionError
from rsclip.methods import METHODS, parse_options
from rsclip.methods.segmenter import Segmenter
from tests.model.models import tiny_clip

BLOCKS = {"gem": {"blocks": 2}, "clipsurgery": {"blocks": 2}}
VARIANTS = [
    *((name, BLOCKS.get(name, {})) for name in METHODS),
    ("clipsurgery", {"blocks": 2, "feature_surgery": True}),
    ("gem", {"blocks": 2, "residual": False, "iterations": 2}),
    ("scclip", {"attention": "qk", "neighbours": 4, "contamination": 0.3}),
    ("scclip", {"bias_lambda": -0.3}),
    ("proxyclip", {"values": "qq", "beta": 0.9, "layer": 8}),
    ("clearclip", {"residual": True, "beta": 30, "normalised": True, "alpha": 2}),
]
TEXT = np.random.default_rng(0).standard_normal((3, 12)).astype(np.float32)


def pictures(count, height, width, seed=1):
    """Blocks of flat colour with noise: like imagery, far from all alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 1, (count, 3, -(-height // 8), -(-width // 8)))
    fine = np.kron(coarse, np.ones((8, 8)))[..., :height, :width]
    return (fine + rng.normal(0, 0.05, fine.shape)).clip(0, 1).astype(np.float32)


def run(backbone, images, method, options, **settings):
    segmenter = Segmenter(backbone, TEXT, method=method, options=options, device="cpu", **settings)
    return segmenter.similarities(images)


@pytest.mark.parametrize(("method", "options"), VARIANTS, ids=str)
@pytest.mark.parametrize(("patch", "layers"), [(8, 2), (14, 5), (4, 12)])
def test_a_batch_of_different_images_equals_one_at_a_time(method, options, patch, layers):
    backbone = rsclip.wrap(
        tiny_clip(vision={"patch_size": patch, "image_size": 4 * patch, "layers": layers})
    )
    images = pictures(3, 6 * patch, 9 * patch)
    together = run(backbone, images, method, options, batch_size=3)
    assert together.shape == (3, 3, 6, 9)
    alone = np.concatenate([run(backbone, image[None], method, options) for image in images])
    np.testing.assert_allclose(together, alone, rtol=0, atol=2e-5)
    assert np.abs(together[0] - together[1]).max() > 1e-3


def symmetric_clip():
    """A model that does not know rows from columns."""
    model = tiny_clip(vision={"layers": 4, "image_size": 32, "width": 32})
    visual = model.visual
    with torch.no_grad():
        kernel = visual.conv1.weight
        kernel.copy_((kernel + kernel.mT) / 2)
        plane = visual.positional_embedding[1:].reshape(4, 4, -1)
        visual.positional_embedding[1:] = ((plane + plane.transpose(0, 1)) / 2).flatten(0, 1)
    return rsclip.wrap(model)


@pytest.mark.parametrize(("method", "options"), VARIANTS, ids=str)
@pytest.mark.parametrize("shape", [(4, 11), (7, 5), (1, 6)])
def test_a_transposed_image_gives_the_transposed_result(method, options, shape):
    backbone = symmetric_clip()
    images = pictures(2, shape[0] * 8, shape[1] * 8, seed=sum(shape))
    found = run(backbone, images, method, options)
    turned = run(backbone, images.swapaxes(2, 3).copy(), method, options)
    np.testing.assert_allclose(turned, found.swapaxes(2, 3), rtol=0, atol=2e-5)
    if min(shape) > 1:
        # It would not hold by chance: reading the grid by columns is another result.
        wrong = found.reshape(2, 3, *shape[::-1])
        assert np.abs(turned - wrong).max() > 1e-2


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 2)])
def test_windows_of_hardly_any_patch(method, shape):
    backbone = rsclip.wrap(tiny_clip())
    images = pictures(2, shape[0] * 8, shape[1] * 8)
    found = run(backbone, images, method, BLOCKS.get(method))
    assert found.shape == (2, 3, *shape)


@pytest.mark.parametrize("method", METHODS)
def test_a_flat_image_is_no_trouble(method):
    backbone = rsclip.wrap(tiny_clip())
    found = run(backbone, np.full((1, 3, 40, 32), 0.5, np.float32), method, BLOCKS.get(method))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(4))
def test_patches_that_are_all_alike_are_no_trouble(method, seed):
    """Without position embeddings the patches of a flat image differ by rounding only."""
    model = tiny_clip()
    torch.nn.init.zeros_(model.visual.positional_embedding)
    colour = np.random.default_rng(seed).uniform(0, 1, (1, 3, 1, 1))
    image = np.broadcast_to(colour, (1, 3, 64, 64)).astype(np.float32)
    found = run(rsclip.wrap(model), image, method, BLOCKS.get(method))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_bias_shifts_each_query_of_each_image(method):
    backbone = rsclip.wrap(tiny_clip())
    images = pictures(2, 24, 40)
    options = BLOCKS.get(method, {})
    plain = run(backbone, images, method, {**options, "bias_lambda": 0})
    shift = run(backbone, images, method, {**options, "bias_lambda": -0.3}) - plain
    np.testing.assert_allclose(shift, shift[..., :1, :1] + 0 * shift, rtol=0, atol=1e-6)
    assert np.abs(shift).max() <= 0.3 + 1e-6
    assert np.abs(shift[0, :, 0, 0] - shift[1, :, 0, 0]).max() > 1e-4
    twice = run(backbone, images, method, {**options, "bias_lambda": -0.6}) - plain
    np.testing.assert_allclose(twice, 2 * shift, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("method", "options"), VARIANTS, ids=str)
def test_half_precision_stays_close(method, options):
    backbone = rsclip.wrap(tiny_clip(vision={"layers": 3}))
    images = pictures(2, 40, 48)
    exact = run(backbone, images, method, options)
    rough = run(backbone, images, method, options, precision="bf16")
    # A patch at the edge of the outlier quantile may fall to the other side.
    assert 0 < np.median(np.abs(rough - exact)) < 0.05


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("gem", {}, "gem changes the last 6 blocks; this model has 2.*blocks=N', N up to 2"),
        ("clipsurgery", {"blocks": 3}, "changes the last 3 blocks; this model has 2"),
        (
            "scclip",
            {"multi_start": 9, "multi_end": 9},
            r"no layer lies from 9 .*method_option='multi_start=N', N below 9",
        ),
        ("scclip", {"pre_layer": 11}, "whole number from 0 to 10"),
        ("scclip", {"contamination": 0.6}, "number from 0 to 0.5"),
        ("naclip", {"gaussian_std": 0}, "gaussian_std"),
        ("clip", {"beta": 101}, "number from 0 to 100"),
        ("clip", {"blocks": 3}, "clip has no option 'blocks'"),
        ("gem", {"block": 3}, "Did you mean blocks"),
    ],
)
def test_what_is_refused_before_any_image(method, options, message):
    with pytest.raises(OptionError, match=message) as caught:
        Segmenter(rsclip.wrap(tiny_clip()), TEXT, method=method, options=options, device="cpu")
    assert caught.value.exit_code == 2


def test_one_block_is_too_few_for_scclip():
    backbone = rsclip.wrap(tiny_clip(vision={"layers": 1}))
    with pytest.raises(OptionError, match="two blocks or more; this model has 1"):
        Segmenter(backbone, TEXT, method="scclip", device="cpu")


def test_alpha_zero_with_the_residual_segments_from_the_residual():
    backbone = rsclip.wrap(tiny_clip())
    images = pictures(2, 24, 40)
    found = run(backbone, images, "clearclip", {"alpha": 0, "residual": True})
    with torch.inference_mode():
        trunk = rsclip.model.Trunk(backbone, backbone.normalise(torch.from_numpy(images)))
        tokens = trunk.head(trunk.entering(backbone.depth - 1)[:, 1:])
    unit = torch.nn.functional.normalize(tokens, dim=-1).numpy()
    text = TEXT / np.linalg.norm(TEXT, axis=1, keepdims=True)
    np.testing.assert_allclose(found, np.einsum("bhwd,qd->bqhw", unit, text), rtol=0, atol=1e-5)


def test_all_channels_cut_leave_the_attention():
    backbone = rsclip.wrap(tiny_clip())
    images = pictures(2, 24, 40)
    without = run(backbone, images, "clearclip", {})
    cut = run(backbone, images, "clearclip", {"residual": True, "beta": 100})
    np.testing.assert_allclose(cut, without, rtol=0, atol=1e-6)


def test_layers_scale_with_the_depth():
    from rsclip.methods.scclip import _Layers

    options = parse_options("scclip")
    # As the paper's numbers for 12 blocks: what leaves layer i enters block i + 1.
    assert _Layers.of(12, options) == _Layers(9, 4, 4, 11)
    assert _Layers.of(24, options) == _Layers(17, 7, 7, 21)
    for depth in range(2, 50):
        layers = _Layers.of(depth, options)
        assert 1 <= layers.start < layers.stop <= depth
        assert 1 <= layers.post <= layers.pre < depth
