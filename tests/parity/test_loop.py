"""Window similarity equals a hand-written loop on random models of any shape."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rsclip.methods.lastblock import ATTENTIONS
from rsclip.methods.segmenter import Segmenter
from rsclip.model import wrap
from tests.model.models import open_clip, seeded, tiny_config
from tests.parity.loop import similarities

KINDS = [kind for kind in ATTENTIONS if "gaussian" not in kind]


@st.composite
def problems(draw):
    patch = draw(st.sampled_from([3, 4, 8, 14]))
    trained = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    heads, head_width = draw(st.integers(1, 3)), draw(st.sampled_from([4, 8]))
    config = tiny_config(
        vision={
            "patch_size": patch,
            "image_size": tuple(side * patch for side in trained),
            "width": heads * head_width,
            "head_width": head_width,
            "layers": draw(st.integers(1, 3)),
            "ls_init_value": draw(st.sampled_from([None, 0.5])),
        },
        text={"vocab_size": 16, "context_length": 8},
        quick_gelu=draw(st.booleans()),
    )
    grid = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    options = {
        "attention": draw(st.sampled_from(KINDS)),
        "residual": draw(st.booleans()),
        "ffn": draw(st.booleans()),
    }
    return config, grid, draw(st.integers(1, 3)), options, draw(st.integers(0, 99))


@settings(max_examples=40, deadline=None)
@given(problems())
def test_similarities_equal_the_loop(problem):
    config, (rows, cols), batch, options, seed = problem
    model = seeded(open_clip.model.CLIP(**config), seed)
    backbone = wrap(model)
    rng = np.random.default_rng(seed)
    images = rng.uniform(0, 1, (batch, 3, rows * backbone.patch, cols * backbone.patch))
    images = images.astype(np.float32)
    text = rng.standard_normal((5, backbone.dim)).astype(np.float32)
    found = Segmenter(backbone, text, options=options, device="cpu").similarities(images)
    mean, std = (np.reshape(values, (1, 3, 1, 1)) for values in (backbone.mean, backbone.std))
    expected = similarities(model.state_dict(), (images - mean) / std, text, config, **options)
    assert found.shape == (batch, 5, rows, cols)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


@settings(max_examples=15, deadline=None)
@given(problems(), st.integers(1, 4))
def test_the_batch_changes_no_result(problem, batch_size):
    config, (rows, cols), _, options, seed = problem
    backbone = wrap(seeded(open_clip.model.CLIP(**config), seed))
    rng = np.random.default_rng(seed)
    shape = (5, 3, rows * backbone.patch, cols * backbone.patch)
    images = rng.uniform(0, 1, shape).astype(np.float32)
    text = torch.from_numpy(rng.standard_normal((3, backbone.dim)).astype(np.float32))
    segmenter = Segmenter(backbone, text, options=options, device="cpu", batch_size=batch_size)
    alone = np.concatenate([segmenter.similarities(image[None]) for image in images])
    together = Segmenter(backbone, text, options=options, device="cpu").similarities(images)
    # Features of four channels may nearly cancel: their direction then has few digits left.
    np.testing.assert_allclose(segmenter.similarities(images), alone, rtol=0, atol=1e-4)
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-4)
