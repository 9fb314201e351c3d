"""Class files: every format, and whatever can be wrong with one."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rsclip.errors import LegendError
from rsclip.words.legend import load_legend

TEXT = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=8)
ENGLISH = st.text("abcdefgh ", min_size=1, max_size=8).map(str.strip).filter(bool)


def write(folder, name, text, encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return str(path)


def test_txt_as_in_the_papers(tmp_path):
    text = "# my classes\nbuilding,house, roof\r\n\n  road  # grey\nwater|river,\nC# sign\n"
    legend = load_legend(write(tmp_path, "cls.txt", text, "utf-8-sig"))
    assert [item.words for item in legend.classes] == [
        ("building", "house", "roof"),
        ("road",),
        ("water", "river"),
        ("C# sign",),
    ]


FULL = [
    {
        "name": "Gebäude",
        "words": ["building", "house"],
        "descriptions": ["a roof, seen from above"],
        "colour": "#ff0000",
        "threshold": 0.25,
    },
    {"name": "road", "colour": "teal"},
    {"name": "Himmel", "words": ["sky"], "background": True},
]
CSV = """name,words,descriptions,color,threshold,background
Gebäude,building|house,"a roof, seen from above",#ff0000,0.25,
road,,,teal,,false

Himmel,sky,,,,TRUE
"""


def full_files(folder):
    yield write(folder, "a.yaml", yaml.safe_dump(FULL, allow_unicode=True))
    yield write(folder, "b.yml", yaml.safe_dump({"name": "mine", "classes": FULL}))
    yield write(folder, "c.json", json.dumps({"classes": FULL, "license": "CC0"}), "utf-8-sig")
    yield write(folder, "d.csv", CSV, "utf-8-sig")
    yield write(folder, "E.CSV", CSV.replace(",", ";").replace("roof;", "roof,"))


def test_all_formats_say_the_same(tmp_path):
    legends = [load_legend(path) for path in full_files(tmp_path)]
    first = legends[0].classes
    assert all(legend.classes == first for legend in legends)
    building, road, sky = first
    assert (building.name, building.words) == ("Gebäude", ("building", "house"))
    assert building.descriptions == ("a roof, seen from above",)
    assert (building.colour, building.threshold) == ((255, 0, 0), 0.25)
    assert (road.colour, road.words, road.threshold) == ((0, 128, 128), ("road",), None)
    assert (sky.background, sky.value) == (True, 0)
    assert dict(legends[1].about) == {"name": "mine"}
    assert dict(legends[2].about) == {"licence": "CC0"}


@given(
    st.lists(
        st.tuples(TEXT, ENGLISH, st.none() | st.floats(0, 1)),
        min_size=2,
        max_size=5,
        unique_by=(lambda item: item[0].casefold(), lambda item: " ".join(item[1].split())),
    )
)
def test_yaml_and_json_carry_any_name(tmp_path_factory, classes):
    entries = [
        {"name": name, "words": [words], **({} if floor is None else {"threshold": floor})}
        for name, words, floor in classes
    ]
    folder = tmp_path_factory.getbasetemp()
    try:
        one = load_legend(write(folder, "x.yaml", yaml.safe_dump(entries, allow_unicode=True)))
    except LegendError as error:
        # Two spellings that Unicode composes into one name.
        assert "there twice" in str(error)  # noqa: PT017
        return
    assert load_legend(write(folder, "x.json", json.dumps(entries))) == one
    assert [item.threshold for item in one.classes] == [floor for *_, floor in classes]


def test_same_name_in_two_spellings_of_unicode_is_one(tmp_path):
    text = "- {name: B\u00e4ume, words: trees}\n- {name: Ba\u0308ume, words: wood}\n"
    with pytest.raises(LegendError, match="there twice"):
        load_legend(write(tmp_path, "a.yaml", text))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", "no classes in the file"),
        ("a.txt", "# nothing\n", "no classes in the file"),
        ("a.txt", "road\n,\n", "line 2: the class is empty"),
        ("a.txt", "road\nwater\nriver, Road\n", "line 3: the word 'Road' is in two classes"),
        ("a.txt", "road\nRoad\n", "line 2: the class 'Road' is there twice"),
        ("a.txt", "Straße\n", "line 1: the word 'Straße' is not plain English"),
        ("a.yaml", "- road\n- [water\n", "not valid YAML at line 3"),
        ("a.yaml", "a: 1\n  b: 2\n", "begin in the same column, indented by blanks"),
        ("a.yaml", "- road\n- no\n", "class 2: False is not a class"),
        ("a.yaml", "- road\n-\n", "class 2: the class is empty"),
        ("a.yaml", "- name: road\n  name: street\n", "not valid YAML at line 2"),
        ("a.yaml", "- name: road\n  colour: #ff0000\n", "`colour` is empty"),
        ("a.yaml", "- name: yes\n", "`name` cannot be True"),
        ("a.yaml", "clases: [road]\n", "Did you mean classes"),
        ("a.yaml", "building: [house]\n", "unknown key `building`"),
        ("a.yaml", "road\n", "no list of classes"),
        ("a.yaml", "name: empty\n", "no classes in the file"),
        ("a.yaml", "- {[a, b]: c}\n", "not valid YAML at line 1"),
        ("a.yaml", "- !!python/object:os.system x\n", "not valid YAML at line 1"),
        ("a.yaml", "- 2024-13-45\n- road", "not valid YAML"),
        ("a.json", '["road",\n "water",]', "not valid JSON at line 2"),
        ("a.json", '[{"name": "road", "name": "street"}]', "the key `name` stands twice"),
        ("a.json", '[{"name": "road", "color": "#f00", "colour": "#f00"}]', "given twice"),
        ("a.csv", "building,house\nroad,street\n", "unknown column `building`"),
        ("a.csv", "colour\nred\n", "neither a `name` nor a `words`"),
        ("a.csv", "name,name\nroad,street\n", "a column stands twice"),
        ("a.csv", "name,words\nroad,street,lane\n", "line 2: 3 cells under 2 columns"),
        ("a.csv", 'name,words\nroad,"street\n', "not valid CSV at line"),
        ("a.csv", "name,threshold\nroad,half\n", "line 2: `threshold` cannot be 'half'"),
        ("a.csv", "name,background\nroad,perhaps\n", "line 2: `background` cannot be 'perhaps'"),
        ("a.csv", "name,words\nStraße,\n", "write the English word"),
    ],
)
def test_bad_files_are_refused_with_the_place(tmp_path, name, text, message):
    path = write(tmp_path, name, text)
    with pytest.raises(LegendError) as caught:
        load_legend(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_wrong_encoding_names_the_line(tmp_path):
    path = write(tmp_path, "a.yaml", "- road\n- {name: Gebäude, words: building}\n", "latin-1")
    with pytest.raises(LegendError, match="not UTF-8 text at line 2"):
        load_legend(path)


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(LegendError, match=r"none\.yaml: no such class file"):
        load_legend(str(tmp_path / "none.yaml"))
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(LegendError, match="cannot read the class file"):
        load_legend(str(tmp_path / "folder.txt"))
    with pytest.raises(LegendError, match="Class files end in"):
        load_legend(write(tmp_path, "classes.toml", "road"))
    with pytest.raises(LegendError, match="not a class file"):
        load_legend(tmp_path / "classes")


def test_a_file_named_as_a_word_does_not_shadow_the_word(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "building", "x")
    assert load_legend("building, road").classes[0].words == ("building",)


@pytest.mark.parametrize(
    "spec",
    [
        "water; road",
        "water;road, building",
        ["water; road"],
        {"water": "water; lake"},
        {"water": ["water", "lake; pond"]},
        [{"name": "water", "tuned": ["lake; pond"]}],
    ],
)
def test_a_semicolon_is_not_silently_part_of_a_word(spec):
    with pytest.raises(LegendError, match=r"semicolon.*comma between classes"):
        load_legend(spec)


def test_a_semicolon_in_a_file_or_the_background_is_told_where(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("building\nwater; road\n")
    with pytest.raises(LegendError, match=r"line 2.*semicolon"):
        load_legend(path)
    with pytest.raises(LegendError, match="semicolon"):
        load_legend("water, road", background="sky; cloud")
    # A description is a sentence, which may have one.
    load_legend([{"name": "water", "descriptions": ["still water; dark"]}, "road"])
