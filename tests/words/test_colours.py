"""Colours: read, looked up, chosen."""

import itertools

import numpy as np
import pytest

from rsclip.words.colours import UNCLASSIFIED_RGB, _distance, choose_colours, parse_colour
from rsclip.words.legend import load_legend


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


COMMON = [
    "building", "road", "water", "forest", "tree", "grass", "grassland", "cropland", "bare soil",
    "parking lot", "sand", "shrub", "swimming pool",
]  # fmt: skip
# Linear RGB as it looks to full colour blindness: Machado, Oliveira and Fernandes 2009, severity 1.
EYES = {
    "normal": np.eye(3),
    "protanopic": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopic": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
}  # fmt: skip
# sRGB to XYZ (IEC 61966-2-1), D65.
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
     [0.0193339, 0.1191920, 0.9503041]]
)  # fmt: skip


def lab(colour, eye):
    """Return CIE L*a*b* of an sRGB colour as an eye sees it."""
    part = np.array(colour) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    seen = XYZ @ np.clip(np.array(EYES[eye]) @ linear, 0, 1) / [0.95047, 1, 1.08883]
    root = np.where(seen > 0.008856, np.cbrt(seen), 7.787 * seen + 16 / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


@pytest.mark.parametrize("eye", EYES)
def test_common_land_cover_is_told_apart_by_every_eye(eye):
    colours = choose_colours([([word], None) for word in COMMON])
    pairs = itertools.combinations(zip(COMMON, colours, strict=True), 2)
    nearest = min(
        (np.linalg.norm(lab(one, eye) - lab(other, eye)), first, second)
        for (first, one), (second, other) in pairs
    )
    # CIE76; 2.3 is a just noticeable difference, the colours before had 2.6.
    assert nearest[0] >= 18, nearest


@pytest.mark.parametrize("eye", EYES)
def test_the_twenty_classes_of_the_earth_are_told_apart_by_every_eye(eye):
    colours = {item.name: item.colour for item in load_legend("set:earth").classes}
    assert len(colours) == 20
    for (first, one), (second, other) in itertools.combinations(colours.items(), 2):
        assert np.linalg.norm(lab(one, eye) - lab(other, eye)) >= 12, (first, second)
    assert all(lab(colours[name], eye)[0] >= 80 for name in ("snow", "cloud"))


def test_plants_of_one_legend_stay_green():
    words = ["forest", "woodland", "tree", "grass", "grassland", "meadow", "vegetation", "lawn"]
    for colour in choose_colours([([word], None) for word in words]):
        assert colour[1] >= max(colour) - 5, colour
        assert colour[2] < colour[1], colour
