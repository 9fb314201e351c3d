"""Words that a CLIP cannot read."""

import pytest

from rsclip.words.class_sets import describe_sets
from rsclip.words.legend import load_legend
from rsclip.words.unreadable_words import check_legend, check_text


def kinds(text):
    return {flag.kind for flag in check_text(text, "class")}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("field without trees", "negation"),
        ("not a road", "negation"),
        ("No building", "negation"),
        ("non-irrigated land", "negation"),
        ("street free of cars", "negation"),
        ("treeless land", "negation"),
        ("a roofless house", "negation"),
        ("devoid of vegetation", "negation"),
        ("undeveloped land", "negation"),
        ("tree-free land", "negation"),
        ("land that isn't water", "negation"),
        ("bare of vegetation", "negation"),
        ("anything but water", "negation"),
        ("field minus trees", "negation"),
        ("land that cannot be built on", "negation"),
        ("unroofed house", "negation"),
        ("hardly any trees", "negation"),
        ("non-forest", "negation"),
        ("windowless building", "negation"),
        ("hundreds of tents", "count"),
        ("thirteen ships", "count"),
        ("twenty houses", "count"),
        ("hundred trees", "count"),
        ("one car", "count"),
        ("Three cars", "count"),
        ("THREE CARS", "count"),
        ("one detail", "count"),
        ("two detached houses", "count"),
        ("a group of 12 mills", "count"),
        ("3 meadows", "count"),
        ("house by the sea", "relation"),
        ("ship at the dock", "relation"),
        ("Two Houses", "count"),
        ("Hundred Trees", "count"),
        ("One Car", "count"),
        ("nine elms", "count"),
        ("Two Cars in Nine Elms", "count"),
        ("single tree", "count"),
        ("few trees", "count"),
        ("some cars", "count"),
        ("plenty of houses", "count"),
        ("countless boats", "count"),
        ("parking lot with 20 cars", "count"),
        ("ships in a group of 12", "count"),
        ("many trees", "count"),
        ("a few houses", "count"),
        ("pair of planes", "count"),
        ("boat on the river", "relation"),
        ("boat on river", "relation"),
        ("bridge over water", "relation"),
        ("trees along a road", "relation"),
        ("two cars", "count"),
        ("a group of 12 ships", "count"),
        ("several tents", "count"),
        ("house next to a river", "relation"),
        ("house by the lake", "relation"),
        ("power plant by the river", "relation"),
        ("road through forest", "relation"),
        ("road crossing a river", "relation"),
        ("boats at the pier", "relation"),
        ("car to the left", "relation"),
        ("boat left of the pier on the river", "relation"),
        ("building with a red roof", "relation"),
        ("trees amid houses", "relation"),
        ("house atop a hill", "relation"),
        ("house upon a hill", "relation"),
        ("field beyond the road", "relation"),
        ("terrace overlooking the sea", "relation"),
        ("yard containing cars", "relation"),
        ("a boat left of the pier", "relation"),
        ("trees taller than houses", "relation"),
        ("a red roof and green lawn", "colours"),
        ("golden field and blue lake", "colours"),
        ("silver car and red roof", "colours"),
        ("tan desert, teal lagoon", "colours"),
        ("blue-roofed house and white car", "colours"),
        ("grey-green field, brown soil", "colours"),
        ("Straße", "language"),
        ("Gebäude", "language"),
        ("forêt dense", "language"),
        ("bâtiment", "language"),
        ("здание", "language"),
        ("建物", "language"),
        ("Häuser", "language"),
        ("Background", "catch-all"),
        ("other", "catch-all"),
    ],
)
def test_flagged(text, kind):
    flags = [flag for flag in check_text(text, "class") if flag.kind == kind]
    assert len(flags) == 1
    assert flags[0].text == text
    assert flags[0].paper or kind == "catch-all"


@pytest.mark.parametrize(
    "text",
    [
        "building", "nonwoven", "underpass", "leftover", "tennis court", "one-way street",
        "red brick roof", "dark green lawn", "dark smooth standing water", "greenhouse", "notice",
        "background radiation", "other side of the road", "blackberry", "gasworks", "overpass",
        "a roof seen from above",
        "parking lot of a mall", "above-ground pool", "building under construction",
        "near infrared", "wireless mast",
        "two-storey house", "4-lane highway", "grey-green field", "black and white photograph",
        "Los Angeles", "Las Vegas", "unpaved road", "stainless steel roof", "less dense forest",
        "orchard in bloom", "vines in rows", "car in traffic", "on-street parking",
        "free-standing house", "offshore wind turbine", "overhead line",
        "homeless camp", "driverless car", "cloudless sky", "seedless grape", "duty-free shop",
        "non-residential building", "nonresidential building", "runway 27", "runway 27 threshold",
        "highway 66",
        "group of trees", "single-family house",
        "single family house", "one-storey house", "man in black", "roof with solar panels",
        "forest damaged by fire", "ship at sea", "city at night", "low tide", "level crossing",
        "drive through restaurant", "blue-roofed house", "golden wheat field", "silver birch",
        "man at work", "people at work", "ship at berth", "ship at dock", "aircraft at gate",
        "city by night", "sea by night", "city by day", "day by day", "cut by hand",
        "one way street", "one storey house", "single detached house",
        "non-irrigated arable land", "non irrigated arable land", "500 kV line", "10 m road",
        "grade 1 listed building", "20 foot container", "40 ft container", "pole of 10 m",
        "zero energy house", "ground zero memorial", "zero-emission bus",
    ],
)  # fmt: skip
def test_not_flagged(text):
    assert kinds(text) == set()


def test_the_foreign_word_is_named():
    (flag,) = check_text("große Straße", "class")
    assert 'the English name for "große", "straße"' in flag.reason


@pytest.mark.parametrize(
    "name",
    [
        f"set:{item.name}{variant}"
        for item in describe_sets()
        for variant in (("", ":tuned") if item.tuned else ("",))
    ],
)
def test_the_words_of_bundled_sets_are_readable(name):
    """Apart from a background class's own name, which stands beside what it is made of."""
    flags = [flag for flag in check_legend(load_legend(name)) if flag.kind != "catch-all"]
    assert flags == []


def test_flags_follow_classes_and_read_descriptions():
    legend = load_legend(
        [{"name": "tent", "descriptions": ["three white tents"]}, "road without cars"],
        background="other",
    )
    found = [(flag.class_name, flag.kind) for flag in check_legend(legend)]
    assert found == [
        ("tent", "count"),
        ("road without cars", "negation"),
        ("other", "catch-all"),
    ]
