"""Class words pulled apart."""

import numpy as np
import torch
from torch.nn.functional import normalize

import rsclip as library
from rsclip.methods.decorrelation import decorrelated

TEXT = normalize(torch.randn(5, 16, generator=torch.Generator().manual_seed(2)) + 2, dim=1)


def cosines(text):
    return (text @ text.T)[~torch.eye(len(text), dtype=torch.bool)]


def test_the_equation():
    s = (1 - 0.3) / 0.3
    values, vectors = np.linalg.eigh((TEXT @ TEXT.T + s * torch.eye(5)).numpy())
    wanted = vectors @ np.diag(values**-0.5) @ vectors.T @ TEXT.numpy()
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(decorrelated(TEXT, range(5), 0.3), wanted, atol=1e-5)


def test_classes_come_apart_and_words_stay_with_theirs():
    before = cosines(TEXT).mean()
    half, whole = (decorrelated(TEXT, range(5), each) for each in (0.5, 1.0))
    assert cosines(whole).abs().max() < 1e-4 < cosines(half).mean() < before
    assert (whole * TEXT).sum(1).min() > (whole @ TEXT.T).fill_diagonal_(-1).max()
    torch.testing.assert_close(decorrelated(TEXT, range(5), 0.0), TEXT)
    # Two words of the first class; the last query is nobody's.
    moved = decorrelated(TEXT, [0, 0, 1, 2, None], 1.0)
    torch.testing.assert_close(moved[4], TEXT[4])
    assert moved[0] @ moved[1] > moved[0] @ moved[2]


def test_equal_classes_change_nothing_that_is_not_finite():
    twins = TEXT[[0, 0, 1]]
    assert decorrelated(twins, range(3), 1.0).isfinite().all()


def test_labels_change_and_the_record_says_so(make_scene, tmp_path, tiny_model):
    settings = {"model": tiny_model, "vector_format": "none"}
    scene = make_scene(shape=(64, 64))
    words = "building|house, road, water|!shadow"
    plain = library.segment(scene, words, tmp_path / "a", **settings)
    apart = library.segment(scene, words, tmp_path / "b", decorrelate=1.0, **settings)
    mean = library.segment(scene, words, tmp_path / "c", synonyms="mean", **settings)
    assert apart.run["settings"]["decorrelate"] == 1.0
    assert mean.run["settings"]["synonyms"] == "mean"
    assert {"text": "shadow", "class": "water", "negative": True} in plain.run["queries"]
    hashes = {each.run["settings_hash"] for each in (plain, apart, mean)}
    assert len(hashes) == 3
    assert (plain.mask() != apart.mask()).any()
