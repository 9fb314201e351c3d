"""Folds of labels: contiguous, apart, and never of a class that fitting has not seen."""

import re
import tracemalloc

import numpy as np
import pytest
import shapely
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
    shapes = shapely.box(*boxes.T)
    folds = make_folds(shapes, scenes, classes, WINDOW)
    tested = [number for fold in folds for number in fold.test]
    assert len(tested) == len({*tested})
    for fold in folds:
        assert not {*fold.test} & {*fold.train}
        assert {*classes[fold.test]} <= {*classes[fold.train]}
        near = set()
        for one in fold.test:
            for other in fold.train:
                a, b = boxes[one], boxes[other]
                gap = max(a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3])
                if scenes[one] == scenes[other] and gap < WINDOW:
                    assert gap >= 0
                    near.add(other)
        assert not (fold.apart and near)
        # Near labels are fitted only of classes that have no others.
        far = {*fold.train} - near
        assert not {classes[number] for number in far} & {classes[number] for number in near}


@pytest.mark.parametrize("make", [
    lambda x, y: shapely.box(x, y, x + 8, y + 8),
    lambda x, y: shapely.Point(x + 0.5, y + 0.5),
])  # fmt: skip
def test_copies_of_a_label_are_never_on_both_sides(make):
    """Nine places a window apart, each labelled thrice, two classes."""
    places = [(x, y) for y in (0, 40, 80) for x in (0, 40, 80)] * 3
    shapes = np.array([make(x + copy // 9 * 0.2, y) for copy, (x, y) in enumerate(places)])
    classes = np.array([1 + (x > 40) for x, _ in places])
    folds = make_folds(shapes, np.zeros(27, int), classes, WINDOW)
    assert len(folds) > 1
    for fold in folds:
        assert not {*fold.test % 9} & {*fold.train % 9}


def test_parts_of_a_chain_stay_together_and_neighbours_are_cut():
    """Overlapping labels reach through the scene; parcels beside them share their edges."""
    chain = [shapely.box(x, 0, x + 30, 8) for x in range(0, 400, 20)]
    parcels = [shapely.box(x, 40, x + 20, 48) for x in range(0, 400, 20)]
    shapes = np.array(chain + parcels)
    classes = np.repeat([1, 2], 20) + (np.arange(40) % 2) * np.repeat([0, 1], 20)
    folds = make_folds(shapes, np.zeros(40, int), classes, WINDOW)
    assert len(folds) > 1
    assert all({*range(20)} <= {*fold.train} or not {*range(20)} & {*fold.train} for fold in folds)


def test_only_the_class_that_would_be_lacking_is_fitted_near_by():
    """Two squares of class 3 lie near one another, and both near labels of the others."""
    x = np.array([*np.arange(12) * 100.0, 510, 530])
    shapes = shapely.box(x, 0, x + 8, 8)
    classes = np.array([1, 2] * 6 + [3, 3])
    folds = make_folds(shapes, np.zeros(14, int), classes, WINDOW)
    for fold in folds:
        near = [n for n in fold.train if np.abs(x[n] - x[fold.test]).min() - 8 < WINDOW]
        assert {*classes[near]} <= {3}
    assert any(not fold.apart for fold in folds)


def test_memory_does_not_grow_with_the_square_of_labels():
    """12,000 labels: each held out against each fitted are 100 MB for every number of a pair."""
    places = np.stack(np.meshgrid(np.arange(120), np.arange(100)), axis=-1).reshape(-1, 2) * 4.0
    classes = (places[:, 0] > 240).astype(int) + 1
    shapes = shapely.points(places)
    tracemalloc.start()
    try:
        folds = make_folds(shapes, np.zeros(12_000, int), classes, WINDOW)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(len(fold.test) for fold in folds) == 12_000
    assert peak < 50e6


def test_labels_of_one_window_give_no_folds():
    x = np.arange(0, 28, 4)
    classes = np.arange(7) % 2 + 1
    assert make_folds(shapely.box(x, x, x + 2, x + 2), np.zeros(7, int), classes, WINDOW) == []


def test_scattered_labels_are_all_tested_apart():
    at = np.arange(8) * 100.0
    x, y = (each.ravel() for each in np.meshgrid(at, at))
    classes = np.arange(64) % 3 + 1
    folds = make_folds(shapely.box(x, y, x + 8, y + 8), np.zeros(64, int), classes, WINDOW)
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
    # A steady gain of less than a point of IoU is not worth it.
    assert not Candidate("linear", {}, before + 0.05 * change, entropy).beats(unchanged)


def test_the_first_is_preferred_unless_another_of_its_kind_is_better_beyond_its_error():
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
        "gains less than 1 point of mean IoU",
        "chosen: the first that gains more accuracy than its standard error",
    ]  # fmt: skip
    header, rows = found.table(every=False)
    assert [row[0] for row in rows] == ["zero-shot", "linear", "prototype", "bias"]
    for column, (gain, error) in (
        ("gain", sure.gain(unchanged)), ("accuracy gain", sure.accuracy_gain(unchanged))
    ):  # fmt: skip
        assert rows[-1][header.index(column)] == f"{100 * gain:+.1f} +- {100 * error:.1f}"
    both = choose([unchanged, sure, more], auto=True).reasons
    assert both[1] == "gains too, but strength 1 more, by 1.5 standard errors"
    assert re.fullmatch(r"chosen: \d+\.\d \+- 0\.0 more accuracy than strength 1", both[2])
    none = choose([unchanged, worse, by_chance], auto=True)
    assert none.chosen is unchanged
    assert (
        none.reasons[0]
        == "chosen: no adapter gains more accuracy than its standard error, and a point of IoU"
    )
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
