"""The bundled class sets, and `rsclip classes`."""

import json
import re
import warnings

import pytest

from rsclip.errors import LegendError, RsclipWarning
from rsclip.words.class_sets import bundled_sets, describe_sets
from rsclip.words.legend import Legend, class_file, load_legend, load_set_or_file

TUNED = [item.name for item in describe_sets() if item.tuned]


@pytest.mark.parametrize("name", bundled_sets())
def test_bundled_sets_load_cite_a_source_and_survive_a_record(name):
    legend = load_legend(f"set:{name}")
    about = dict(legend.about)
    assert about["name"] == name
    # A paper or the page of the definition, which anyone can open; our own sets say so.
    own = about["source"].startswith("rsclip")
    assert own or re.search(r", https?://[\w.-]+/\S+$", about["source"])
    assert about["description"]
    assert Legend.from_dict(legend.to_dict()) == legend
    assert len({item.colour for item in legend.foreground}) >= len(legend.foreground) - 1


@pytest.mark.parametrize("name", TUNED)
def test_tuned_words_change_the_words_and_nothing_else(name):
    plain, tuned = load_legend(f"set:{name}"), load_legend(f"set:{name}:tuned")

    def rest(legend):
        return [(c.name, c.code, c.value, c.background) for c in legend.classes]

    assert rest(plain) == rest(tuned)
    assert [c.words for c in plain.classes] != [c.words for c in tuned.classes]
    # Nobody looks for "background" or "clutter" with a CLIP where better words are at hand.
    assert all(len(c.words) > 1 for c in tuned.background)


@pytest.mark.parametrize(
    ("name", "count", "codes"),
    [
        ("voc20", 20, range(1, 21)),
        ("voc21", 20, range(21)),
        ("context59", 59, range(1, 60)),
        ("context60", 59, range(60)),
        ("coco-stuff", 171, range(171)),
        ("coco-object", 80, range(81)),
        ("cityscapes", 19, range(19)),
        ("ade20k", 150, range(1, 151)),
        ("openearthmap", 8, range(1, 9)),
        ("loveda", 6, range(1, 8)),
        ("isaid", 15, range(16)),
        ("udd5", 4, range(5)),
        ("vdd", 6, range(7)),
        ("worldcover", 11, [*range(10, 91, 10), 95, 100]),
        ("dynamicworld", 9, range(9)),
        ("corine1", 5, range(1, 6)),
        ("nlcd", 16, [11, 12, 21, 22, 23, 24, 31, 41, 42, 43, 52, 71, 81, 82, 90, 95]),
        ("potsdam", 5, None),
        ("vaihingen", 5, None),
        ("uavid", 7, None),
    ],
)
def test_published_sets_have_the_published_codes(name, count, codes):
    legend = load_legend(f"set:{name}")
    assert len(legend.foreground) == count
    found = sorted(item.code for item in legend.classes if item.code is not None)
    assert found == list(codes or [])


@pytest.mark.parametrize(
    ("name", "colours"),
    [
        ("voc20", {"aeroplane": "#800000", "person": "#c08080", "tvmonitor": "#004080"}),
        ("cityscapes", {"road": "#804080", "car": "#00008e", "bicycle": "#770b20"}),
        ("ade20k", {"wall": "#787878", "sky": "#06e6e6", "flag": "#5c00ff"}),
        ("worldcover", {"tree cover": "#006400", "mangroves": "#00cf75"}),
        ("dynamicworld", {"water": "#419bdf", "built area": "#c4281b"}),
        ("nlcd", {"open water": "#466b9f", "cultivated crops": "#ab6c28"}),
        ("isaid", {"plane": "#007fff", "harbor": "#00649b"}),
        ("uavid", {"moving car": "#400080", "human": "#404000"}),
        ("potsdam", {"building": "#0000ff", "car": "#ffff00"}),
        ("udd5", {"vegetation": "#6b8e23", "building": "#66669c", "vehicle": "#00008e"}),
    ],
)
def test_official_colours(name, colours):
    classes = {c["name"]: c["colour"] for c in load_legend(f"set:{name}").to_dict()["classes"]}
    assert {key: classes[key] for key in colours} == colours


def test_official_order_of_the_long_sets():
    stuff = {c.code: c.name for c in load_legend("set:coco-stuff").classes}
    assert [stuff[i] for i in (0, 79, 80, 170)] == ["person", "toothbrush", "banner", "wood"]
    ade = {c.code: c.name for c in load_legend("set:ade20k").classes}
    assert [ade[i] for i in (1, 13, 101, 128, 150)] == [
        "wall",
        "person",
        "poster",
        "bicycle",
        "flag",
    ]


@pytest.mark.parametrize("name", ["context59", "context60"])
def test_context_says_which_of_its_two_numberings_it_has(name):
    legend = load_legend(f"set:{name}")
    objects = [c.name for c in sorted(legend.foreground, key=lambda c: c.code)][:20]
    assert objects[0] == "aeroplane"
    assert objects[-1] == "tvmonitor"
    assert objects[:10] != sorted(c.name for c in legend.foreground)[:10]
    assert "by the alphabet" in dict(legend.about)["description"]


def test_tuned_words_of_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("- {name: bareland, tuned: [bare soil], code: 7}\n- road\n")
    assert [c.words for c in load_legend(str(path)).classes] == [("bareland",), ("road",)]
    legend = load_legend(f"{path}:tuned")
    assert [c.words for c in legend.classes] == [("bare soil",), ("road",)]
    assert [c.code for c in legend.classes] == [7, None]
    assert class_file(f"{path}:tuned") == path
    table = tmp_path / "mine.csv"
    table.write_text("name,tuned,code\nbareland,bare soil|dirt,7\nroad,,\n")
    assert load_legend(f"{table}:tuned").classes[0].words == ("bare soil", "dirt")
    assert load_legend(table).classes[0].code == 7


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- {name: a, code: 70000}", "0 to 65535"),
        ("- {name: a, code: x}", "0 to 65535"),
        ("- {name: a, code: true}", "0 to 65535"),
        ("- {name: a, tuned: [Straße]}", "plain English"),
        ("- {name: a, code: 1}\n- {name: b, code: 1}", "the code 1 is that of 'a' too"),
    ],
)
def test_bad_codes_and_tuned_words(tmp_path, content, message):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(LegendError, match=message):
        load_legend(path)


def test_tuned_words_that_are_not_there():
    with pytest.raises(LegendError, match=r"has no variant `tuned`.* It has set:flood .* only"):
        load_legend("set:flood:tuned")
    with pytest.raises(LegendError, match=r"has no variant `foo`.*set:flood .* only"):
        load_legend("set:flood:foo")
    with pytest.raises(LegendError, match=r"`tund`.*set:loveda .* and set:loveda:tuned"):
        load_set_or_file("loveda:tund")
    with pytest.raises(LegendError, match="in two classes"):
        # Words may hold a colon; only sets and files have variants.
        load_legend("a:tuned, b|a:tuned")


def test_a_bare_name_is_a_set_never_a_word(tmp_path):
    assert load_set_or_file("loveda") == load_set_or_file("set:LoveDA") == load_legend("set:loveda")
    with pytest.raises(LegendError, match="Did you mean loveda"):
        load_set_or_file("lovda")


def test_a_word_that_is_the_name_of_a_set_is_said_to_be_one():
    with pytest.warns(RsclipWarning, match="the bundled set is set:urban"):
        load_legend("urban", background="water")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_legend("urban, water")
        load_legend("set:urban")


def test_command_lists_and_shows(rsclip):
    listed = json.loads(rsclip("classes", "--json").stdout)
    assert [item["name"] for item in listed] == list(bundled_sets())
    assert "flood" in rsclip("classes").stdout
    shown = rsclip("classes", "worldcover:tuned").stdout
    assert "#006400" in shown
    assert "forest | trees" in shown
    facts = json.loads(rsclip("classes", "flood", "--json").stdout)
    assert "dark smooth standing water" in facts["classes"][0]["descriptions"]
    done = rsclip("classes", "lovda")
    assert done.exit_code == 2
    assert "Did you mean loveda" in done.stderr
