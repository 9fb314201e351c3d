"""The scale of the scores is found where it is known, and the shipped model carries it."""

import json

import numpy as np
import pytest

from rsclip.files import data_path
from rsclip.nano import export
from rsclip.nano.calibrate import best_scale, calibration_error, group_probabilities, log_loss
from rsclip.nano.model import NanoShape


def drawn(scale, pixels=40_000):
    """Cosines of 4 words of 3 groups, and truth drawn from their probabilities at a scale."""
    random = np.random.default_rng(5)
    cosines = random.uniform(0.0, 0.2, (pixels, 4)).astype(np.float32)
    members = np.array([0, 1, 1, 2])
    odds = np.exp(scale * cosines.astype(np.float64))
    word = (random.uniform(size=(pixels, 1)) > np.cumsum(odds / odds.sum(1, keepdims=True), 1)).sum(
        1
    )
    return cosines, members, members[word]


@pytest.mark.parametrize("scale", [12, 60])
def test_the_scale_that_truth_was_drawn_with_is_found(scale):
    one = drawn(scale)
    found = best_scale([one])
    assert found == pytest.approx(scale, rel=0.05)
    assert calibration_error(*one, found) < 0.01
    assert calibration_error(*one, 3 * scale) > 0.1
    assert log_loss(*one, found) < log_loss(*one, 3 * scale)


def test_sets_of_another_size_count_the_same():
    small, large = drawn(12, 5_000), drawn(60)
    assert best_scale([small, large]) == pytest.approx(best_scale([drawn(12), large]), abs=2)


def test_words_of_a_group_are_added_up():
    cosines, members, _ = drawn(20, 100)
    found = group_probabilities(cosines, members, 20)
    odds = np.exp(20 * cosines)
    expected = np.stack([odds[:, 0], odds[:, 1] + odds[:, 2], odds[:, 3]], 1)
    np.testing.assert_allclose(found, expected / odds.sum(1, keepdims=True), rtol=1e-4)


def test_the_shipped_model_says_what_an_export_would():
    shipped = json.loads((data_path("nano") / "open_clip_config.json").read_text())
    shape = NanoShape(layers=shipped["model_cfg"]["vision_cfg"]["layers"])
    assert shipped == export.config(shape)
