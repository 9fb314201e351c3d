"""Classes given as words, Python values and bundled sets."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsclip.errors import LegendError, RsclipWarning
from rsclip.words.class_sets import bundled_sets
from rsclip.words.legend import Legend, LegendClass, load_legend
from rsclip.words.prompts import class_queries

WORD = st.text("abcdefghijklmnopqrstuvwxyz '-", min_size=1, max_size=12).map(
    lambda text: " ".join(text.split())
)


@given(
    st.lists(st.lists(WORD.filter(bool), min_size=1, max_size=4), min_size=2, max_size=6),
    st.data(),
)
def test_words_line_gives_back_what_was_written(classes, data):
    seen = set()
    for words in classes:
        for index, word in enumerate(words):
            words[index] = f"{word}{len(seen)}"
            seen.add(words[index])
    blank = st.sampled_from(["", " ", "  "])
    line = ",".join(
        "|".join(data.draw(blank) + word + data.draw(blank) for word in words) for words in classes
    )
    legend = load_legend(line)
    assert [list(item.words) for item in legend.classes] == classes
    assert [item.name for item in legend.classes] == [words[0] for words in classes]
    assert [item.value for item in legend.classes] == list(range(1, len(classes) + 1))


def test_python_values_say_the_same_as_words():
    words = load_legend("building|house, road")
    assert load_legend(["building|house", "road"]) == words
    assert load_legend({"building": ["building", "house"], "road": "road"}) == words
    assert load_legend({"classes": ["building|house", {"name": "road"}]}) == words
    assert load_legend(words) == words


def test_a_class_may_have_no_words_where_labels_teach_it(tmp_path):
    (tmp_path / "c.yaml").write_text("[pond, {name: Teich B, words: []}]")
    (tmp_path / "c.txt").write_text("pond\n?Teich B\n")
    (tmp_path / "c.csv").write_text("name,words\npond,pond\n?Teich B,\n")
    legend = load_legend("pond, ?Teich B", without_words=True)
    assert [(item.name, item.words) for item in legend.classes] == [
        ("pond", ("pond",)),
        ("Teich B", ()),
    ]
    files = [tmp_path / f"c.{end}" for end in ("yaml", "txt", "csv")]
    for spec in (*files, ["pond", "?Teich B"], {"pond": "pond", "Teich B": []}, legend):
        assert load_legend(spec, without_words=True) == legend
        with pytest.raises(LegendError, match=r"'Teich B' has no words: .*with adapter"):
            load_legend(spec)
    assert Legend.from_dict(legend.to_dict()) == legend
    spoken, silent = class_queries(legend, ["a {}", "the {}"])
    assert (spoken.prompts, silent.prompts) == (("a pond", "the pond"), ())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("pond, ?", "the class has no name"),
        ("pond, ?marsh|bog", "'.marsh' is a class without words"),
        ("?marsh, ?bog", "no class has words"),
        ("pond|marsh, ?marsh", "'marsh' is in two classes"),
        ([{"name": "?marsh", "words": "bog"}, "pond"], "no words, and yet `words`"),
        ([{"name": "marsh", "words": [], "not": "bog"}, "pond"], "no words, and yet `not`"),
    ],
)
def test_what_a_class_without_words_cannot_have_is_told(spec, message):
    with pytest.raises(LegendError, match=message):
        load_legend(spec, without_words=True)


def test_mapping_names_are_shown_and_words_are_encoded():
    legend = load_legend(
        {"Gebäude": ["building", "house"], "Straße": {"words": "road", "threshold": 0.2}}
    )
    assert [item.name for item in legend.classes] == ["Gebäude", "Straße"]
    assert legend.classes[1].words == ("road",)
    assert legend.classes[1].threshold == 0.2


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "no classes"),
        ("  ", "no classes"),
        ([], "no classes"),
        ({}, "no classes"),
        ("building,,road", "class 2: the class is empty"),
        ("building,|,road", "class 2: the class is empty"),
        (["building", ""], "class 2: the class is empty"),
        ("water, river|WATER", "'WATER' is in two classes, 'water' and 'river'"),
        ({"a": ["house"], "b": ["roof", "House"]}, "'House' is in two classes, 'a' and 'b'"),
        (["road", "Road|street"], "'Road' is there twice"),
        ("Gebäude, road", "write the English word"),
        (["trees, shrubs"], 'synonyms with "|"'),
        ([False, "road"], "in quotes"),
        ([{"name": "road", "wrods": ["road"]}], "Did you mean words"),
        ([{"name": "road", "treshold": 1}], "Did you mean threshold"),
        ([{"name": "road", "threshold": 1.5}], "between 0 and 1"),
        ([{"name": "road", "threshold": float("nan")}], "between 0 and 1"),
        ([{"name": "road", "threshold": True}], "a number between 0 and 1"),
        ([{"name": "road", "colour": "#12345"}], "no colour"),
        ([{"name": "road", "colour": [1, 2, 256]}], "no colour"),
        ([{"name": "road", "background": "yes"}], "true or false"),
        ([{"name": "road", "words": [1]}], "in quotes"),
        ([{"name": "road", "descriptions": ["Straße von oben"]}], "CLIP reads English"),
        ([{"threshold": 0.5}], "the class is empty"),
        ([{"name": "road", "background": True}], "only background"),
        ({"road": "road\x07"}, "not text"),
        (3, "int"),
    ],
)
def test_bad_classes_are_refused_by_name(spec, message):
    with pytest.raises(LegendError) as caught:
        load_legend(spec)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


def test_repeated_synonyms_of_one_class_count_once():
    assert load_legend("house|House| house |home, road").classes[0].words == ("house", "home")


def test_single_class_competes_with_background_words_and_says_so():
    with pytest.warns(RsclipWarning, match="'solar panel' is the only class") as caught:
        legend = load_legend("solar panel")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert [item.name for item in legend.foreground] == ["solar panel"]
    assert len(legend.background) >= 5
    assert {item.value for item in legend.background} == {0}


@pytest.mark.parametrize(
    ("words", "absent"),
    [
        ("water", "water"),
        ("river", "water"),
        ("House", "building"),
        ("residential buildings", "building"),
        ("trees", "trees"),
        ("tree", "trees"),
    ],
)
def test_bundled_background_gives_way_to_the_class(words, absent):
    with pytest.warns(RsclipWarning):
        legend = load_legend(words)
    assert absent not in {item.name for item in legend.background}
    assert len(legend.background) >= 4


def test_a_swimming_pool_still_competes_with_water():
    with pytest.warns(RsclipWarning):
        assert "water" in {item.name for item in load_legend("swimming pool").background}


def test_background_words_are_classes_written_as_zero():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        legend = load_legend("building", background="sky, cloud|haze")
    assert [(item.name, item.words, item.value) for item in legend.background] == [
        ("sky", ("sky",), 0),
        ("cloud", ("cloud", "haze"), 0),
    ]
    with pytest.raises(LegendError, match="'building' is there twice"):
        load_legend("building, road", background="building")
    with pytest.raises(LegendError, match="'house' is in two classes"):
        load_legend("building|house, road", background="sky|house")
    with pytest.raises(LegendError, match="background words"):
        load_legend("building, road", background=" ")


def test_background_classes_come_last_wherever_they_are_written():
    legend = load_legend([{"name": "sky", "background": True}, "road", "water"])
    assert [(item.name, item.value) for item in legend.classes] == [
        ("road", 1),
        ("water", 2),
        ("sky", 0),
    ]


@pytest.mark.parametrize(
    ("count", "dtype", "nodata"), [(254, "uint8", 255), (255, "uint16", 65535)]
)
def test_type_follows_the_number_of_written_classes(count, dtype, nodata):
    legend = load_legend([f"w{index}" for index in range(count)], background="sky, sea")
    assert (legend.dtype, legend.nodata) == (dtype, nodata)
    assert legend.foreground[-1].value == count


def test_more_classes_than_uint16_holds_are_refused():
    with pytest.raises(LegendError, match="65535 classes"):
        load_legend([f"w{index}" for index in range(65535)])


def test_unknown_set_names_the_nearest_and_all():
    with pytest.raises(LegendError) as caught:
        load_legend("set:lovedo")
    assert "Did you mean loveda?" in str(caught.value)
    assert all(name in str(caught.value) for name in bundled_sets())
    with pytest.raises(LegendError, match="Bundled: "):
        load_legend("set:../colours")


def test_landcover_and_earth_are_the_classes_that_nano_was_trained_on():
    from rsclip.nano.scenes import CLASSES, MORE_CLASSES

    land, earth = (load_legend(f"set:{name}").classes for name in ("landcover", "earth"))
    assert tuple(item.name for item in land) == CLASSES
    assert tuple(item.name for item in earth) == CLASSES + MORE_CLASSES
    assert [item.words for item in land] == [item.words for item in earth[: len(land)]]


def test_official_sets_are_as_published():
    loveda = load_legend("set:loveda")
    assert [item.name for item in loveda.foreground] == [
        "building", "road", "water", "barren", "forest", "agriculture",
    ]  # fmt: skip
    assert [item.name for item in loveda.background] == ["background"]
    assert loveda.colours[1] == (255, 0, 0)
    assert [item.name for item in load_legend("set:openearthmap").classes] == [
        "bareland", "rangeland", "developed space", "road", "tree", "water", "agriculture land",
        "building",
    ]  # fmt: skip


def test_record_of_a_legend_with_everything_reads_back():
    legend = load_legend(
        [
            {
                "name": "Wald",
                "words": ["forest", "trees"],
                "descriptions": ["dense tree crowns, dark green"],
                "colour": [1, 2, 3],
                "threshold": 0.25,
            },
            "road",
        ],
        background="sky",
    )
    assert Legend.from_dict(legend.to_dict()) == legend
    with pytest.raises(LegendError):
        Legend.from_dict({"classes": [{"name": "road"}]})
    with pytest.raises(LegendError):
        Legend.from_dict({})


def test_legends_made_by_hand_are_checked():
    with pytest.raises(LegendError, match=r"1\.\.N"):
        Legend((LegendClass("road", ("road",), value=2),))
    with pytest.raises(LegendError, match="no class has words"):
        Legend((LegendClass("road", (), value=1),))
    with pytest.raises(LegendError, match="only background"):
        Legend((LegendClass("sky", ("sky",), background=True),))


def test_unclassified_is_taken():
    with pytest.raises(LegendError, match="'Unclassified' is taken by the value 0"):
        load_legend("water, Unclassified")
    assert load_legend(["water", {"name": "unclassified", "background": True}]).background


@pytest.mark.parametrize("word", ["set:loveda", "roads.yaml|road", "a\\b"])
def test_a_word_like_a_file_is_questioned(word):
    with pytest.warns(RsclipWarning, match="looks like a file or a set"):
        load_legend(f"water, {word}, tree")


def test_negative_words_stand_in_files_and_on_the_command_line(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("- {name: water, not: [shadow, dark roof]}\n- road\n")
    (table := tmp_path / "c.csv").write_text("words,not\nwater,shadow|dark roof\nroad,\n")
    for spec in ("water|!shadow|!dark roof, road", str(path), str(table)):
        legend = load_legend(spec)
        assert legend.classes[0].negatives == ("shadow", "dark roof")
        assert legend.classes[0].words == ("water",)
        assert Legend.from_dict(legend.to_dict()) == legend
    queries = class_queries(legend, ("a {}",))
    assert [(each.text, each.class_index, each.negative) for each in queries] == [
        ("water", 0, False), ("shadow", 0, True), ("dark roof", 0, True), ("road", 1, False)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("water|!Water, road", "the word 'Water' speaks for the class and against it"),
        ([{"name": "water", "not": ["water"]}], "the word 'water' speaks for the class and"),
        ("water|!, road", "a negative word is empty"),
        ("!shadow, road", "the class is empty"),
        ([{"name": "water", "not": ["größe"]}], "is not plain English"),
        ([{"name": "water", "not": 3}], "`not` cannot be 3"),
        ([{"name": "water", "bias": "high"}], "`bias` cannot be 'high'"),
        ([{"name": "water", "bias": float("nan")}], "`bias` cannot be nan"),
        ({"logit_scale": 0, "classes": ["water"]}, "`logit_scale` cannot be 0"),
        ({"gsd": "fine", "classes": ["water"]}, "`gsd` cannot be 'fine'"),
        ({"calibrated_for": "nano", "classes": ["water"]}, "`calibrated_for` cannot be 'nano'"),
    ],
)
def test_bad_negatives_and_calibrations_are_refused(spec, message):
    with pytest.raises(LegendError) as caught:
        load_legend(spec)
    assert message in str(caught.value)


def test_a_calibration_stays_with_its_legend():
    spec = {
        "logit_scale": 61.5, "gsd": 0.5,
        "calibrated_for": {"model": "nano", "weights_sha256": "ab", "method": "clearclip"},
        "classes": [{"name": "water", "bias": -0.4, "threshold": 0.3}, "road"],
    }  # fmt: skip
    legend = load_legend(spec)
    assert legend.classes[0].bias == -0.4
    assert (legend.calibration.logit_scale, legend.calibration.gsd) == (61.5, 0.5)
    assert Legend.from_dict(legend.to_dict()) == legend == load_legend(legend)
