"""A trunk hands out the model's own tokens, each block run once."""

import numpy as np
import pytest
import torch

import rsclip
from rsclip.methods.lastblock import LastBlockOptions, attention_output, combine
from rsclip.model import Trunk
from tests.model.models import tiny_clip

IMAGES = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, 32, 32))).float()


@pytest.fixture
def backbone():
    return rsclip.wrap(tiny_clip(vision={"layers": 4, "ls_init_value": 0.4}))


@torch.inference_mode()
def test_tokens_are_those_of_open_clips_own_forward(backbone):
    kept = {}
    handles = [
        block.register_forward_hook(lambda _m, _i, out, n=n: kept.__setitem__(n + 1, out))
        for n, block in enumerate(backbone.blocks)
    ]
    whole = backbone.model.encode_image(IMAGES)
    for handle in handles:
        handle.remove()
    trunk = Trunk(backbone, IMAGES)
    for index, tokens in kept.items():
        torch.testing.assert_close(trunk.entering(index), tokens, rtol=0, atol=1e-4)
    torch.testing.assert_close(trunk.cls(), whole, rtol=0, atol=1e-4)


@torch.inference_mode()
def test_every_block_comes_apart_and_together(backbone):
    trunk = Trunk(backbone, IMAGES)
    options = LastBlockOptions(attention="qk", residual=True, ffn=True)
    for index, block in enumerate(backbone.blocks):
        x = trunk.entering(index)
        attended = attention_output(block, x, trunk.grid, "qk")
        found = combine(block, x, attended, options)
        torch.testing.assert_close(found, trunk.entering(index + 1), rtol=0, atol=1e-5)


@torch.inference_mode()
def test_each_block_runs_once_and_only_as_far_as_needed(backbone):
    ran = []
    for number, block in enumerate(backbone.blocks):
        block.register_forward_pre_hook(lambda *_, number=number: ran.append(number))
    trunk = Trunk(backbone, IMAGES, first=2)
    trunk.entering(2)
    assert ran == [0, 1]
    trunk.entering(3)
    trunk.entering(2)
    assert ran == [0, 1, 2]
    trunk.cls()
    assert ran == [0, 1, 2, 3]
    for index in (1, 5):
        with pytest.raises(ValueError, match="from block 2 to 4"):
            trunk.entering(index)


def test_exact_positions_differ_off_the_trained_grid_only(backbone):
    trained, other = (4, 4), (3, 6)
    assert torch.equal(backbone.positions(trained, exact=True), backbone.positions(trained))
    exact, scaled = backbone.positions(other, exact=True), backbone.positions(other)
    assert exact.shape == scaled.shape == (19, 16)
    assert not torch.allclose(exact, scaled, atol=1e-3)
