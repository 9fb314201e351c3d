"""`rsclip prompts`: how a model reads class words."""

import json
import warnings

import numpy as np
import PIL.Image
import pytest

from rsclip.config import SegmentConfig
from rsclip.errors import OutputError, RsclipWarning
from rsclip.model import load_backbone
from rsclip.model.open_clip_import import import_open_clip
from rsclip.model.text import count_tokens, rare_words
from rsclip.study.prompts import ClosePair, report_prompts, write_matrix
from rsclip.words.class_sets import describe_sets
from rsclip.words.legend import load_legend
from rsclip.words.prompts import load_templates

CLASSES = "road|street, highway, water, bare soil"


@pytest.fixture(scope="module")
def nano():
    return load_backbone("nano")


def report(classes, nano, **options):
    return report_prompts(classes, SegmentConfig(model="nano", device="cpu", **options), nano)


def test_cosines_are_those_of_the_closest_words(nano):
    found = report(CLASSES, nano, templates="simple")
    fills = [template.format for template in load_templates("simple")]
    words = ["road", "street", "highway", "water", "bare soil"]
    classify = import_open_clip().build_zero_shot_classifier
    features = classify(nano.model, nano.tokenizer, words, fills).T
    cosines = (features @ features.T).numpy()
    assert found.cosines.shape == (4, 4)
    np.testing.assert_allclose(np.diag(found.cosines), 1, atol=1e-6)
    np.testing.assert_array_equal(found.cosines, found.cosines.T)
    np.testing.assert_allclose(found.cosines[0, 1], max(cosines[0, 2], cosines[1, 2]), atol=1e-5)
    np.testing.assert_allclose(found.cosines[2, 3], cosines[3, 4], atol=1e-5)


def test_pairs_are_too_close_on_the_models_own_scale(nano):
    found = report(CLASSES, nano)
    assert found.different < found.limit < found.same
    assert [(pair.first, pair.second) for pair in found.pairs] == [("road", "highway")]
    assert found.pairs[0].cosine > found.limit
    advice = found.pairs[0].advice
    assert "road from highway" in advice
    assert 'merge them as "road|highway"' in advice
    # A class's main word stays; a synonym may go.
    assert "leave out" not in ClosePair("road", "highway", 0.9, ("road", "highway")).advice
    spare = ClosePair("road", "highway", 0.9, ("street", "highway")).advice
    assert 'leave out "street" if its class has other words' in spare
    assert all(f'"{word}"' in advice for word in found.pairs[0].words)


def test_background_classes_may_be_as_close_as_they_like(nano):
    assert report("water, sand", nano, background="road, highway").pairs == []
    assert len(report("water, road", nano, background="highway").pairs) == 1


def test_what_the_model_itself_cannot_read_is_flagged(nano):
    text = "a field " + "of ripe golden wheat " * 20
    with warnings.catch_warnings():
        # A flag says it, once.
        warnings.simplefilter("error", RsclipWarning)
        found = report(
            {"wheat": {"words": ["farmland", text]}, "x": ["gewerbegebietsflaeche"]},
            nano,
            templates="simple",
        )
    kinds = {(flag.class_name, flag.kind) for flag in found.flags}
    assert {("wheat", "cut"), ("x", "rare"), ("x", "unlearned")} <= kinds
    cut = next(flag for flag in found.flags if flag.kind == "cut")
    assert "7 of its prompts are cut at the model's 77 tokens" in cut.reason
    rare = next(flag for flag in found.flags if flag.kind == "rare")
    pieces = count_tokens(nano.tokenizer, "gewerbegebietsflaeche") - 2
    assert f"gewerbegebietsflaeche (in {pieces} pieces)" in rare.reason


def test_a_word_of_a_paragraph_leaves_the_table_narrow(rsclip):
    text = "a field " + "of ripe golden wheat " * 20
    done = rsclip("prompts", f"{text}, water", "--model", "nano")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    (header,) = (line for line in lines if line.startswith("value  class"))
    assert header.index("words and descriptions") == len("value  ") + 24 + 2
    row = next(line for line in lines if line.startswith("1 "))
    assert row.split("  ", 2)[-1].strip().startswith("a field of ripe golde...")
    begin = next(i for i, line in enumerate(lines) if line.startswith("1 "))
    end = next(i for i, line in enumerate(lines) if line.startswith("2 "))
    assert end - begin <= 2
    assert lines[end - 1].endswith("...")
    (flag,) = (line for line in lines if "are cut at" in line)
    assert len(flag) < 250
    assert "a prompt is cut" not in done.output


def test_pairs_by_words_that_the_model_has_not_learned_are_counted_not_advised(nano, rsclip):
    found = report("road, highway, plaything, land", nano)
    unlearned = {flag.text for flag in found.flags if flag.kind == "unlearned"}
    assert "plaything" in unlearned
    assert {"road", "highway"}.isdisjoint(unlearned)
    assert [(pair.first, pair.second) for pair in found.pairs] == [("road", "highway")]
    above = int((np.triu(found.cosines, 1) > found.limit).sum())
    assert found.unlearned_pairs == above - 1 > 0
    assert found.to_dict()["too_close_by_words_not_learned"] == found.unlearned_pairs
    shown = rsclip("prompts", "road, highway, plaything, land", "--model", "nano").stdout
    assert f"left out: {found.unlearned_pairs} pairs" in shown
    assert '"plaything" and' not in shown


def test_a_far_word_does_not_hide_that_two_learned_words_are_close(nano):
    (pair,) = report({"a": ["plaything", "road"], "b": ["toy", "highway"]}, nano).pairs
    assert pair.words == ("road", "highway")


def test_recommended_words_are_neither_rare_nor_cut(nano):
    texts = [
        text
        for item in describe_sets()
        for one in load_legend(f"set:{item.name}{':tuned' if item.tuned else ''}").classes
        for text in (*one.words, *one.descriptions)
    ]
    assert [text for text in texts if rare_words(nano.tokenizer, text)] == []
    assert max(count_tokens(nano.tokenizer, text) for text in texts) < 40


def test_the_picture_has_a_frame_around_close_pairs(nano, tmp_path):
    path = write_matrix(report(CLASSES, nano), tmp_path / "out" / "matrix.png")
    pixels = np.asarray(PIL.Image.open(path).convert("RGB")).astype(int)
    framed = (np.abs(pixels - (200, 60, 30)).sum(axis=2) == 0).sum()
    without = write_matrix(report("road, water, sand, forest", nano), tmp_path / "plain.png")
    plain = np.asarray(PIL.Image.open(without).convert("RGB")).astype(int)
    note = (np.abs(plain - (200, 60, 30)).sum(axis=2) == 0).sum()
    # Two frames of 48 pixels a side and 3 wide; the note above is red in both pictures.
    assert framed - note > 2 * 4 * 40 * 3
    with pytest.raises(OutputError):
        write_matrix(report(CLASSES, nano), path)


def test_a_word_of_a_paragraph_leaves_the_picture_small(nano, tmp_path):
    found = report("a field " + "of ripe golden wheat " * 20 + ", water", nano)
    assert max(PIL.Image.open(write_matrix(found, tmp_path / "m.png")).size) < 900


def test_command_prints_what_the_library_returns(nano, rsclip, tmp_path):
    arguments = ["prompts", CLASSES, "--model", "nano", "--device", "cpu"]
    done = rsclip(*arguments, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == report(CLASSES, nano).to_dict()
    png = tmp_path / "m.png"
    text = rsclip(*arguments, "--png", png).stdout
    assert png.is_file()
    for part in ("80 templates", "road / highway", "too close", "street"):
        assert part in text
    before = png.read_bytes()
    again = rsclip(*arguments, "--png", png)
    assert again.exit_code == 2
    assert "--overwrite, or give --png another name" in again.stderr
    assert png.read_bytes() == before
    assert rsclip(*arguments, "--png", png, "--overwrite").exit_code == 0
    done = rsclip("prompts", "two cars, road without cars", "--model", "nano")
    assert "Paiss" in done.stdout
    assert "Alhamoud" in done.stdout


def test_many_words_that_a_small_model_has_not_learned_are_one_line(rsclip):
    shown = rsclip("prompts", "set:cityscapes", "--model", "nano").stdout
    lines = shown.splitlines()
    assert sum("take a larger model" in line for line in lines) == 1
    assert sum(line.startswith("- left out:") for line in lines) == 1


def test_a_name_that_no_font_writes_has_its_number(nano, tmp_path, monkeypatch):
    import rsclip.outputs.pictures.matrix as matrix

    seen = []

    def draw(cosines, names, plain, *rest):
        seen.append(plain)
        return PIL.Image.new("RGB", (4, 4))

    monkeypatch.setattr(matrix, "render_matrix", draw)
    write_matrix(report("road, 建物, Straße|street", nano), tmp_path / "m.png")
    assert seen == [["road", "class 2", "street"]]


def test_words_that_are_not_plain_english_are_flagged(nano, rsclip, make_scene, tmp_path):
    done = rsclip("prompts", "Gebäude, Wald, road", "--model", "nano")
    assert done.exit_code == 0, done.output
    assert 'write the English name for "gebäude"' in " ".join(done.stdout.split())
    # What looks like English is told by the vocabulary.
    assert "wald" in done.stdout.lower()
    # A run refuses what is no plain English at all.
    done = rsclip("segment", make_scene(), "--classes", "Gebäude, road", "--model", "nano",
                  "-o", tmp_path / "out")  # fmt: skip
    assert done.exit_code == 2
    assert "not plain English" in done.stderr


def test_decorrelated_cosines_are_shown_beside_the_others(tiny_model, rsclip):
    words = "building|house, road, water|!shadow"
    shown = rsclip("prompts", words, "--model", tiny_model, "--decorrelate", "1")
    assert shown.exit_code == 0, shown.output
    assert "The same, decorrelated:" in shown.output
    assert "water | !shadow" in shown.output
    told = rsclip("prompts", words, "--model", tiny_model, "--decorrelate", "1", "--json")
    report = json.loads(told.output)
    apart, before = np.array(report["decorrelated"]), np.array(report["cosines"])
    assert apart[1, 2] == pytest.approx(0, abs=1e-3)
    assert before[1, 2] > 0.1
    refused = rsclip("prompts", words, "--model", tiny_model, "--decorrelate", "2")
    assert refused.exit_code == 2
    assert "--decorrelate" in refused.output
