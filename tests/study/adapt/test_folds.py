"""Folds of labels: contiguous, apart, and never of a class that fitting has not seen."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsclip.study.adapt.choosing import Candidate, choose, preferred
from rsclip.study.adapt.folds import make_folds

WINDOW = 32

labels = st.lists(
    st.tuples(
        st.integers(0, 400), st.integers(0, 400), st.integers(1, 30), st.integers(0, 2),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=40,
)  # fmt: skip


@given(labels)
def test_no_fold_tests_what_it_has_seen(found):
    boxes = np.array([(x, y, x + side, y + side) for x, y, side, _, _ in found], float)
    scenes = np.array([scene for *_, scene, _ in found])
    classes = np.array([value for *_, value in found])
    folds = make_folds(boxes, scenes, classes, WINDOW)
    tested = [number for fold in folds for number in fold.test]
    assert len(tested) == len({*tested})
    for fold in folds:
        assert not {*fold.test} & {*fold.train}
        assert {*classes[fold.test]} <= {*classes[fold.train]}
        if fold.apart:
            for one in fold.test:
                for other in fold.train:
                    a, b = boxes[one], boxes[other]
                    gaps = [a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3]]
                    assert scenes[one] != scenes[other] or max(gaps) >= WINDOW


def test_labels_of_one_window_give_no_folds():
    boxes = np.array([(x, x, x + 2, x + 2) for x in range(0, 28, 4)], float)
    classes = np.arange(7) % 2 + 1
    assert make_folds(boxes, np.zeros(7, int), classes, WINDOW) == []


def test_scattered_labels_are_all_tested_apart():
    at = np.arange(8) * 100.0
    x, y = (each.ravel() for each in np.meshgrid(at, at))
    boxes = np.stack([x, y, x + 8, y + 8], axis=1)
    classes = np.arange(64) % 3 + 1
    folds = make_folds(boxes, np.zeros(64, int), classes, WINDOW)
    assert len(folds) == 10
    assert all(fold.apart for fold in folds)
    assert sorted(number for fold in folds for number in fold.test) == list(range(64))


def test_a_gain_within_its_error_is_no_gain():
    """Two classes, ten folds; a label more or less is right in every fold, or in two of them."""
    before = np.tile([[6.0, 4.0], [4.0, 6.0]], (10, 1, 1))
    change = np.array([[1.0, -1.0], [-1.0, 1.0]])
    steady, lucky = before + change, before.copy()
    lucky[0] += 4 * change
    lucky[1] -= 3 * change
    entropy = np.ones(10)
    unchanged = Candidate(None, {}, before, entropy)
    gain, error = Candidate("linear", {}, lucky, entropy).gain(unchanged)
    assert 0 < gain < error
    assert not Candidate("linear", {}, lucky, entropy).beats(unchanged)
    assert Candidate("linear", {}, steady, entropy).beats(unchanged)
    assert not unchanged.beats(unchanged)
    # The cross entropy falls wherever logits are recalibrated.
    assert not Candidate("linear", {}, lucky, entropy - 0.2).beats(unchanged)
    # A sure gain of less than a point of IoU is not worth it.
    assert not Candidate("linear", {}, before + 0.05 * change, entropy).beats(unchanged)


def test_the_first_is_preferred_unless_another_of_its_kind_is_surely_better():
    before = np.tile([[6.0, 4.0], [4.0, 6.0]], (10, 1, 1))
    change = np.array([[1.0, -1.0], [-1.0, 1.0]])
    lucky = before.copy()
    lucky[0] += 4 * change
    lucky[1] -= 3 * change
    first, by_chance, steady, other = (
        Candidate(kind, {}, matrices, np.ones(10))
        for kind, matrices in (
            ("linear", before), ("linear", lucky), ("linear", before + change),
            ("bias", before + 2 * change),
        )
    )  # fmt: skip
    assert preferred([first, by_chance, other]) is first
    assert preferred([first, by_chance, steady, other]) is steady


def test_why_a_candidate_was_chosen_or_not_is_said():
    before = np.tile([[6.0, 4.0], [4.0, 6.0]], (10, 1, 1))
    change = np.array([[1.0, -1.0], [-1.0, 1.0]])
    lucky = before.copy()
    lucky[0] += 4 * change
    lucky[1] -= 3 * change
    unchanged, worse, by_chance, tiny, sure, more = (
        Candidate(kind, {"strength": 1.0} if kind else {}, matrices)
        for kind, matrices in (
            (None, before), ("linear", before - change), ("linear", lucky),
            ("prototype", before + 0.05 * change), ("bias", before + change),
            ("bias", before + 2 * change),
        )
    )  # fmt: skip
    found = choose([unchanged, worse, by_chance, tiny, sure], auto=True)
    assert found.chosen is sure
    assert found.reasons == [
        "", "gains nothing", "gains no more than the standard error",
        "gains less than 1 point of mean IoU", "chosen: the first that surely gains",
    ]  # fmt: skip
    header, rows = found.table(every=False)
    assert [row[0] for row in rows] == ["zero-shot", "linear", "prototype", "bias"]
    for column, (gain, error) in (
        ("gain", sure.gain(unchanged)), ("accuracy gain", sure.accuracy_gain(unchanged))
    ):  # fmt: skip
        assert rows[-1][header.index(column)] == f"{100 * gain:+.1f} +- {100 * error:.1f}"
    both = choose([unchanged, sure, more], auto=True).reasons
    assert both[1] == "surely gains too, but strength 1 surely more"
    assert re.fullmatch(r"chosen: \d+\.\d \+- 0\.0 more accuracy than strength 1", both[2])
    none = choose([unchanged, worse, by_chance], auto=True)
    assert none.chosen is unchanged
    assert none.reasons[0] == "chosen: no adapter surely gains"
    asked = choose([unchanged, worse, by_chance], auto=False)
    assert asked.chosen is by_chance
    assert asked.reasons[2].endswith("but it gains no more than the standard error")


def test_guesses_that_are_only_spread_more_evenly_are_no_gain():
    """Mean IoU rises from 1/4 to 1/3 where half of the guesses are of the other class;
    half of the labels are right as before."""
    one_class = np.tile([[10.0, 0.0], [10.0, 0.0]], (10, 1, 1))
    even = np.tile([[5.0, 5.0], [5.0, 5.0]], (10, 1, 1))
    unchanged, spread = Candidate(None, {}, one_class), Candidate("bias", {}, even)
    assert spread.gain(unchanged) == (pytest.approx(1 / 3 - 1 / 4), pytest.approx(0))
    assert spread.accuracy_gain(unchanged) == (0, 0)
    assert not spread.beats(unchanged)
