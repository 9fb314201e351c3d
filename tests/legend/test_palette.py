"""Colours: read, looked up, chosen."""

import itertools

import pytest

from rsclip.legend import load_legend
from rsclip.palette import UNCLASSIFIED_RGB, _distance, choose_colours, parse_colour


@pytest.mark.parametrize(
    ("value", "colour"),
    [
        ("#0A0b0C", (10, 11, 12)),
        ([1, 2, 3], (1, 2, 3)),
        ("[1, 2, 3]", (1, 2, 3)),
        ("255|0|7", (255, 0, 7)),
        ("DarkGreen", (0, 100, 0)),
    ],
)
def test_colours_read(value, colour):
    assert parse_colour(value) == colour


@pytest.mark.parametrize("value", ["", "#fff", "reddish", "1,2", "1,2,999", [1, 2], [1.5, 2, 3], 7])
def test_what_is_no_colour_is_refused(value):
    with pytest.raises(ValueError, match="no colour"):
        parse_colour(value)


def test_land_cover_words_have_their_colours():
    water, forest, flats, odd = choose_colours(
        [
            (["lake", "pond"], None),
            (["dense Forests"], None),
            (["residential building"], None),
            (["gizmo"], None),
        ]
    )
    assert water[2] > max(water[:2])
    assert forest[1] > max(forest[0], forest[2])
    assert flats[0] > max(flats[1:])
    assert odd not in (water, forest, flats)


@pytest.mark.parametrize("count", [2, 14, 30])
def test_chosen_colours_differ_visibly_and_from_grey(count):
    words = ["water", "river", "lake", "forest", "trees", "house"]
    classes = [
        ([words[index] if index < len(words) else f"w{index}"], None) for index in range(count)
    ]
    colours = choose_colours(classes)
    assert min(_distance(*pair) for pair in itertools.combinations(colours, 2)) >= 55
    assert all(_distance(colour, UNCLASSIFIED_RGB) >= 50 for colour in colours)
    assert choose_colours(classes) == colours


def test_no_two_of_many_classes_share_a_colour_and_none_is_grey():
    legend = load_legend([f"w{index}" for index in range(3000)])
    colours = [item.colour for item in legend.classes]
    assert len(set(colours)) == 3000
    assert all(max(colour) - min(colour) >= 30 for colour in colours)


def test_colours_of_the_file_stay_and_are_avoided():
    given = (31, 120, 209)
    one, two, three = choose_colours([(["water"], None), (["x"], given), (["y"], given)])
    assert (two, three) == (given, given)
    assert _distance(one, given) >= 55
