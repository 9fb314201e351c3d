"""Labels and scores against torch's own interpolation and softmax over whole arrays."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rsclip.labelling import labeller as labelling
from rsclip.labelling.labeller import Labeller
from rsclip.types import Rows
from rsclip.words.class_scores import Layout
from rsclip.words.legend import load_legend
from tests.layouts import plain

SCALE = 50.0


def run(labeller, similarities, cuts, covered=None):
    """Feed patch rows in pieces cut at `cuts`; join the strips."""
    rows = similarities.shape[1]
    covered = np.ones(similarities.shape[1:], bool) if covered is None else covered
    strips = []
    edges = [0, *sorted(set(cuts)), rows]
    for start, stop in itertools.pairwise(edges):
        part = Rows(start, similarities[:, start:stop], covered[start:stop])
        strips.extend(labeller.add(part))
    assert [strip.start for strip in strips] == list(
        np.cumsum([0, *(len(strip.labels) for strip in strips)])[:-1]
    )
    labels = np.concatenate([strip.labels for strip in strips])
    scores = [strip.score for strip in strips]
    return labels, None if scores[0] is None else np.concatenate(scores)


def reference(similarities, patch, class_index, score, combine=None, bias=0.0):
    """Upsample with torch, then softmax as the papers or as ours: labels and their score."""
    pixels = torch.nn.functional.interpolate(
        torch.from_numpy(similarities)[None], scale_factor=patch, mode="bilinear"
    )[0]
    index = torch.tensor(class_index)
    groups = [index == k for k in range(int(index.max()) + 1)]
    if combine:
        classes = torch.stack([combine(pixels[group]) for group in groups])
        classes = (SCALE * classes + torch.tensor(bias)[:, None, None]).softmax(0)
    elif score == "paper":
        probability = (SCALE * pixels).softmax(0)
        classes = torch.stack([probability[group].amax(0) for group in groups])
    else:
        classes = torch.stack([pixels[group].amax(0) for group in groups])
        classes = (SCALE * classes).softmax(0)
    best = classes.max(0)
    return best.indices.numpy(), best.values.numpy()


@settings(deadline=None, max_examples=40)
@given(
    rows=st.integers(1, 7),
    cols=st.integers(1, 7),
    patch=st.sampled_from([4, 7, 8]),
    score=st.sampled_from(["class", "paper"]),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_labels_and_scores_equal_the_reference(rows, cols, patch, score, seed, data):
    class_index = [0, 0, 1, 2, 2, 2, 3]
    legend = load_legend(["a|aa", "b", "c|cc|ccc", "d"])
    rng = np.random.default_rng(seed)
    similarities = rng.uniform(-0.1, 0.1, (7, rows, cols)).astype(np.float32)
    shape = (
        data.draw(st.integers((rows - 1) * patch + 1, rows * patch)),
        data.draw(st.integers((cols - 1) * patch + 1, cols * patch)),
    )
    cuts = data.draw(st.lists(st.integers(1, rows), max_size=3)) if rows > 1 else []
    labeller = Labeller(
        shape,
        (rows, cols),
        (patch, patch),
        legend,
        plain(class_index),
        logit_scale=SCALE,
        score=score,
        with_score=True,
    )
    labels, scores = run(labeller, similarities, [cut for cut in cuts if cut < rows])
    expected, probability = reference(similarities, patch, class_index, score)
    crop = slice(shape[0]), slice(shape[1])
    np.testing.assert_allclose(scores, probability[crop], rtol=0, atol=2e-5)
    assert np.mean(labels == expected[crop] + 1) > 0.999


COMBINED = {
    "max": lambda words: words.amax(0),
    "mean": lambda words: words.mean(0),
    "lse": lambda words: (SCALE * words).logsumexp(0) / SCALE,
}


@pytest.mark.parametrize("synonyms", COMBINED)
def test_synonyms_and_biases_follow_their_equations(synonyms):
    legend = load_legend(["a|aa", "b", "c|cc|ccc", "d"])
    index, bias = [0, 0, 1, 2, 2, 2, 3], [0.0, 1.5, -0.7, 0.2]
    similarities = np.random.default_rng(3).uniform(-0.1, 0.1, (7, 4, 5)).astype(np.float32)
    layout = plain(index, bias=tuple(bias), synonyms=synonyms)
    labeller = Labeller(
        (32, 40), (4, 5), (8, 8), legend, layout, logit_scale=SCALE, with_score=True
    )
    labels, scores = run(labeller, similarities, [2])
    expected, probability = reference(similarities, 8, index, "class", COMBINED[synonyms], bias)
    np.testing.assert_allclose(scores, probability, rtol=0, atol=2e-5)
    assert np.mean(labels == expected + 1) > 0.999


@pytest.mark.parametrize("score", ["class", "paper"])
def test_a_negative_word_lowers_its_class_where_it_wins(score):
    legend = load_legend("water|!shadow, soil")
    # Water, shadow, soil: sure of water; a shadow; a shadow that is water all the same.
    similarities = np.array([[[0.3, 0.2, 0.3]], [[0.05] * 3], [[0.1, 0.3, 0.32]]])
    layout = Layout(words=((0,), (1,)), negatives=((2,), ()), bias=(0.0, 0.0))
    labeller = Labeller(
        (1, 3), (1, 3), (1, 1), legend, layout, logit_scale=1.0, score=score, with_score=True
    )
    labels, scores = run(labeller, similarities.astype(np.float32), [])
    assert labels.tolist() == [[1, 1, 1]]
    lowered = np.array([0.3, 0.2 - 0.1, 0.3 - 0.02])
    best, other = np.exp(lowered), np.exp(0.05)
    np.testing.assert_allclose(scores[0], best / (best + other), rtol=1e-5)


def test_the_cut_into_strips_and_chunks_changes_no_bit(monkeypatch):
    legend = load_legend(["a", "b", "c"])
    similarities = np.random.default_rng(5).normal(size=(3, 9, 11)).astype(np.float32)

    def labels(chunk, cuts):
        monkeypatch.setattr(labelling, "CHUNK_PIXELS", chunk)
        labeller = Labeller(
            (70, 85), (9, 11), (8, 8), legend, plain([0, 1, 2]), logit_scale=SCALE, with_score=True
        )
        return run(labeller, similarities, cuts)

    whole = labels(1 << 20, [])
    for chunk, cuts in ((1, [4]), (37, [1, 2, 3, 8]), (700, [5])):
        parts = labels(chunk, cuts)
        np.testing.assert_array_equal(parts[0], whole[0])
        np.testing.assert_array_equal(parts[1], whole[1])


def test_threshold_and_background_become_unclassified():
    legend = load_legend(["a", "b"], background="sky")
    similarities = np.zeros((3, 1, 3), np.float32)
    similarities[:, 0, 0] = [0.9, 0, 0]  # a, sure
    similarities[:, 0, 1] = [0.011, 0.01, 0]  # a, unsure
    similarities[:, 0, 2] = [0, 0, 0.9]  # the background

    def middle(threshold):
        labeller = Labeller(
            (1, 3), (1, 3), (1, 1), legend, plain([0, 1, 2]), logit_scale=SCALE, threshold=threshold
        )
        return run(labeller, similarities, [])[0].tolist()

    assert middle(None) == [[1, 1, 0]]
    assert middle(0.6) == [[1, 0, 0]]


def test_a_class_threshold_beats_the_common_one():
    legend = load_legend({"classes": [{"name": "a", "threshold": 0.9}, {"name": "b"}]})
    similarities = np.array([[[0.03, 0.0]], [[0.0, 0.03]]], np.float32)  # 0.82 for either
    labeller = Labeller(
        (1, 2), (1, 2), (1, 1), legend, plain([0, 1]), logit_scale=SCALE, threshold=0.5
    )
    assert run(labeller, similarities, [])[0].tolist() == [[0, 2]]


def test_cells_of_a_fraction_of_a_pixel_sample_where_they_lie():
    """At --gsd the patch grid has its own scale: a ramp must stay the same ramp."""
    legend = load_legend(["a", "b"])
    cells, size, pixels = 20, 3.7, 74
    centres = (np.arange(cells) + 0.5) * size
    similarities = np.stack([centres, np.full(cells, 30.2)])[:, None, :].astype(np.float32)
    labeller = Labeller((1, pixels), (1, cells), (1, size), legend, plain([0, 1]), logit_scale=1.0)
    labels = run(labeller, similarities, [])[0][0]
    # Pixel k's centre is k + 0.5: class a (the ramp) wins above 30.2.
    expected = np.where(np.arange(pixels) + 0.5 > 30.2, 1, 2)
    np.testing.assert_array_equal(labels, expected)


def test_skipped_patches_do_not_drag_their_neighbours_down():
    legend = load_legend(["a", "b"])
    similarities = np.array([[[-0.2, 0.0]], [[-0.3, 0.0]]], np.float32)
    covered = np.array([[True, False]])
    labeller = Labeller(
        (1, 8), (1, 2), (1, 4), legend, plain([0, 1]), logit_scale=SCALE, with_score=True
    )
    labels, scores = run(labeller, similarities, [], covered)
    # Up to half a patch beyond the covered one; past it nothing is known.
    assert labels[0].tolist() == [1] * 6 + [0] * 2
    np.testing.assert_allclose(scores[0, :5], scores[0, 0], rtol=1e-5)


def test_the_uint16_legend_gives_uint16_labels():
    legend = load_legend([f"class{k:03d}" for k in range(300)])
    similarities = np.zeros((300, 2, 2), np.float32)
    similarities[299] = 1
    labeller = Labeller((8, 8), (2, 2), (4, 4), legend, plain(range(300)), logit_scale=SCALE)
    labels, _ = run(labeller, similarities, [])
    assert labels.dtype == np.uint16
    assert (labels == 300).all()


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_every_pixel_row_comes_once(rows):
    legend = load_legend(["a", "b"])
    similarities = np.zeros((2, rows, 3), np.float32)
    labeller = Labeller(
        (rows * 16 - 3, 40), (rows, 3), (16, 16), legend, plain([0, 1]), logit_scale=SCALE
    )
    labels, _ = run(labeller, similarities, list(range(1, rows)))
    assert labels.shape == (rows * 16 - 3, 40)
