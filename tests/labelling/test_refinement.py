"""PAMR against the paper's formula over whole arrays; blocks and strips change nothing."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from rsclip.errors import OptionError
from rsclip.labelling import guidance
from rsclip.labelling import labeller as labelling
from rsclip.labelling.bilateral import Guide
from rsclip.labelling.guidance import Guidance
from rsclip.labelling.labeller import Labeller
from rsclip.labelling.refinement import PixelRefiner, parse_dilations
from rsclip.types import Rows
from rsclip.words.legend import load_legend
from tests.layouts import plain

HALO = 80
WHOLE = (False, False, False, False)


def formula(image, values, dilations=(1, 2, 4, 8), repetitions=10):
    """The paper's sums with torch's own unfold, all pixels valid, the border repeated."""

    def places(planes, dilation):
        padded = F.pad(planes[None], [dilation] * 4, mode="replicate")
        patches = F.unfold(padded, 3, dilation=dilation)
        return patches.reshape(len(planes), 9, *planes.shape[1:])

    image, values = torch.from_numpy(image), torch.from_numpy(values)[None]
    squares = torch.cat([places(image, dilation) for dilation in dilations], dim=1)
    scale = 1e-8 + 0.1 * squares.std(dim=1, keepdim=True)
    scores = -((image[:, None] - squares).abs() / scale).mean(dim=0)
    others = [index for index in range(len(scores)) if index % 9 != 4]
    weights = scores[others].softmax(dim=0)
    for _ in range(repetitions):
        squares = torch.cat([places(values, dilation) for dilation in dilations], dim=1)
        values = (squares[:, others] * weights).sum(dim=1)
    return values[0].numpy()


def picture(height, width, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 1, (3, -(-height // 40), -(-width // 40)))
    image = np.kron(coarse, np.ones((40, 40)))[:, :height, :width]
    return (image + rng.normal(0, 0.02, image.shape)).clip(0, 1).astype(np.float32)


@pytest.mark.parametrize("dilations", [(8, 16), (1, 2, 5)])
@pytest.mark.parametrize("shape", [(60, 90), (5, 70), (1, 1), (17, 16)])
def test_the_formula(shape, dilations):
    image = picture(*shape)
    values = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    found = PixelRefiner(image, np.ones(shape, bool), WHOLE, dilations).refine(values)
    np.testing.assert_allclose(found, formula(image, values, dilations), rtol=0, atol=2e-5)


def test_a_block_with_its_halo_is_the_whole_bit_for_bit():
    shape = (2 * HALO + 61, 2 * HALO + 83)
    image, valid = picture(*shape), np.ones(shape, bool)
    valid[70:150, 70:110] = False
    values = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    whole = PixelRefiner(image, valid, WHOLE).refine(values)
    core = np.s_[20:50, HALO : HALO + 83]
    part = np.s_[: 50 + HALO, : 2 * HALO + 83]
    cut = (False, True, False, False)
    top = PixelRefiner(image[:, *part], valid[part], cut).refine(values[part])
    np.testing.assert_array_equal(top[core], whole[core])
    part = np.s_[11 : 11 + 2 * HALO + 9, 7 : 7 + 2 * HALO + 5]
    inner = PixelRefiner(image[:, *part], valid[part], (True,) * 4).refine(values[part])
    own = np.s_[HALO : HALO + 9, HALO : HALO + 5]
    np.testing.assert_array_equal(inner[own], whole[11 + HALO : 20 + HALO, 7 + HALO : 12 + HALO])


def test_pixels_without_data_give_nothing_away():
    shape = (50, 60)
    image, valid = picture(*shape), np.ones(shape, bool)
    valid[:, 25:] = False
    values = np.random.default_rng(1).uniform(0, 1, shape).astype(np.float32)
    other_image, other_values = image.copy(), values.copy()
    other_image[:, ~valid] = 0.123
    other_values[~valid] = 1e6
    found = PixelRefiner(image, valid, WHOLE).refine(values)
    other = PixelRefiner(other_image, valid, WHOLE).refine(other_values)
    np.testing.assert_array_equal(found[valid], other[valid])
    assert np.abs(found[valid] - values[valid]).max() > 0.1
    lonely = PixelRefiner(image, np.zeros(shape, bool), WHOLE).refine(values)
    np.testing.assert_array_equal(lonely, values)


def test_borders_move_to_the_edges_of_the_image():
    """A guess, half a patch off, comes to lie on the line where the image changes."""
    shape = (96, 96)
    rng = np.random.default_rng(0)
    image = np.where(np.arange(96) < 52, 0.2, 0.8) + rng.normal(0, 0.02, (3, *shape))
    guess = np.where(np.arange(96) < 46, -1.0, 1.0) * np.ones(shape)
    found = PixelRefiner(image.astype(np.float32), np.ones(shape, bool), WHOLE).refine(
        guess.astype(np.float32)
    )
    truth = np.arange(96) >= 52
    assert ((guess > 0) == truth).mean() < 0.94
    assert ((found > found.mean()) == truth).mean() > 0.99


def guide_of(image, valid, patch):
    def read(window, side=1):
        part = np.s_[
            window.row * side : window.row_stop * side, window.col * side : window.col_stop * side
        ]
        return whole[0][:, *part], whole[1][part]

    margins = [(0, -side % patch) for side in valid.shape]
    whole = np.pad(image, [(0, 0), *margins], mode="reflect"), np.pad(valid, margins, "reflect")
    return Guide(read, lambda window: read(window, patch))


def labels_of(image, valid, similarities, covered, cuts, patch, guided):
    shape = image.shape[1:]
    labeller = Labeller(
        shape, similarities.shape[1:], (patch, patch), load_legend(["a", "b", "c"]),
        plain([0, 1, 2, 2]),
        logit_scale=40, with_score=True, with_probabilities=True, guidance=guided,
        guide=guide_of(image, valid, patch),
    )  # fmt: skip
    strips = []
    for start, stop in zip([0, *cuts], [*cuts, similarities.shape[1]], strict=True):
        strips += labeller.add(Rows(start, similarities[:, start:stop], covered[start:stop]))
    rows = np.cumsum([0, *(len(strip.labels) for strip in strips)])
    assert [strip.start for strip in strips] == rows[:-1].tolist()
    assert rows[-1] == shape[0]
    return (
        np.concatenate([strip.labels for strip in strips]),
        np.concatenate([strip.score for strip in strips]),
        np.concatenate([strip.probabilities for strip in strips], axis=1),
    )


@pytest.mark.parametrize(
    "guided", [Guidance((1, 2, 4, 8)), Guidance(reach=3), Guidance((1, 2), reach=1)]
)
@pytest.mark.parametrize(
    ("rows", "columns", "pixels"), [(512, 256, 1 << 18), (37, 50, 900), (100, 1, 20_000)]
)
def test_strips_and_chunks_change_nothing(monkeypatch, rows, columns, pixels, guided):
    shape, patch = (267, 219), 16
    rng = np.random.default_rng(0)
    cells = tuple(-(-side // patch) for side in shape)
    similarities = rng.uniform(-0.2, 0.4, (4, *cells)).astype(np.float32)
    covered = np.ones(cells, bool)
    covered[11:, :6] = False
    similarities[:, ~covered] = 0
    image, valid = picture(*shape), np.ones(shape, bool)
    valid[190:, :80] = False
    args = image, valid, similarities, covered
    expected = labels_of(*args, [], patch, guided)
    monkeypatch.setattr(guidance, "_ROWS", rows)
    monkeypatch.setattr(guidance, "_COLUMNS", columns)
    for module in (guidance, labelling):
        monkeypatch.setattr(module, "CHUNK_PIXELS", pixels)
    for cuts in ([], [3, 4, 11], list(range(1, cells[0]))):
        for found, wanted in zip(labels_of(*args, cuts, patch, guided), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
    plain = np.repeat(np.repeat(similarities, patch, 1), patch, 2)[:, : shape[0], : shape[1]]
    agreement = (plain[:3].argmax(0) + 1 == expected[0])[valid].mean()
    assert 0.2 < agreement < 0.99


def test_how_it_is_written():
    assert parse_dilations("pamr") == (1, 2, 4, 8)
    assert parse_dilations(" pamr:4, 1,2,1") == (1, 2, 4)
    assert Guidance((1, 2, 4)).halo == 40


@pytest.mark.parametrize(
    "text", ["crf", "pamr:", "pamr:0", "pamr:33", "pamr:1.5", "pamr:-1", "pamr:1,2,3,4,5,6,7", ""]
)
def test_what_is_no_refinement(text):
    with pytest.raises(OptionError, match=r"refine.*pamr:8,16"):
        parse_dilations(text)


@pytest.mark.parametrize("guided", [{"dilations": (1, 2, 4, 8)}, {"reach": 5}])
def test_blocks_keep_the_room_they_are_given(guided):
    def floats(room):
        return Guidance(**guided, room=room).block_floats(40_000, queries=200)

    sizes = [floats(room) for room in (10**9, 10**8, 5 * 10**7)]
    least = floats(1)
    for room, size in zip((10**9, 10**8, 5 * 10**7), sizes, strict=True):
        assert 4 * size <= max(room, 4 * least)
    assert sizes == sorted(sizes, reverse=True)
    assert floats(10**10) == floats(None)
    # Whatever is allowed, a block has some pixels of its own.
    assert Guidance(**guided, room=1).block_shape(40_000, 200) == (64, 64)


@pytest.mark.parametrize("guided", [{"dilations": (1, 2)}, {"reach": 4}])
def test_the_room_changes_no_value(guided):
    rng = np.random.default_rng(0)
    shape, cells = (200, 300), (25, 38)
    image = rng.random((3, *shape), np.float32)
    rows = Rows(0, rng.normal(size=(3, *cells)).astype(np.float32), np.ones(cells, bool))
    found = []
    for room in (None, 100_000):
        labeller = Labeller(
            shape, cells, (8, 8), load_legend("a, b, c"), plain([0, 1, 2]), logit_scale=40,
            with_score=True, guidance=Guidance(**guided, room=room),
            guide=guide_of(image, np.ones(shape, bool), 8),
        )  # fmt: skip
        strips = list(labeller.add(rows))
        found.append((np.concatenate([strip.score for strip in strips]), len(strips)))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[1][1] > found[0][1]
