import numpy as np
import pytest

from rsclip.nano.scenes import CLASSES, MORE_CLASSES
from rsclip.nano.words import (
    CAPTION_TEMPLATES,
    IMAGENET_TEMPLATES,
    OVERHEAD_TEMPLATES,
    ClassWords,
    Vocabulary,
    caption,
    load_vocabulary,
)


def test_classes_are_the_generators_in_its_order():
    assert tuple(c.name for c in load_vocabulary().classes) == CLASSES
    more = load_vocabulary(more=True)
    assert tuple(c.name for c in more.classes) == CLASSES + MORE_CLASSES


def test_words_of_more_classes_are_other_words_without_them():
    plain, more = load_vocabulary(), load_vocabulary(more=True)
    assert more.classes[: len(CLASSES)] == plain.classes
    assert {"snow", "wetland", "clouds"} <= set(plain.other)
    added = {w for c in more.classes[len(CLASSES) :] for w in (*c.trained, *c.related, *c.unseen)}
    assert set(plain.other) - set(more.other) == added & set(plain.other)


def test_every_class_has_its_words_and_its_name_comes_first():
    for words in load_vocabulary(more=True).classes:
        assert len(words.trained) >= 8, words.name
        assert len(words.unseen) == 3, words.name
        assert words.trained[0] == words.name


def test_words_of_the_usual_sets_are_paired_with_pixels():
    trained = {w for c in load_vocabulary().classes for w in c.trained}
    usual = {
        "OpenEarthMap": [
            "bareland",
            "rangeland",
            "road",
            "tree",
            "water",
            "agriculture land",
            "building",
        ],
        "LoveDA": ["building", "road", "water", "barren", "forest", "agriculture"],
        "iSAID": ["swimming pool"],
        "Potsdam": ["impervious surfaces", "building", "low vegetation", "tree"],
        "UAVid": ["building", "road", "tree", "low vegetation"],
        "ESA WorldCover": [
            "tree cover",
            "grassland",
            "cropland",
            "built-up",
            "permanent water bodies",
            "bare sparse vegetation",
        ],
        "Dynamic World": ["water", "trees", "grass", "crops", "built-up area", "bare ground"],
        "CORINE": [
            "urban fabric",
            "non-irrigated arable land",
            "olive grove",
            "broad-leaved forest",
            "coniferous forest",
            "mixed forest",
            "natural grassland",
            "beaches dunes sands",
            "sparsely vegetated areas",
            "water bodies",
            "fruit trees and berry plantations",
        ],
        "NLCD": [
            "open water",
            "barren land",
            "deciduous forest",
            "evergreen forest",
            "mixed forest",
            "cultivated crops",
        ],
    }
    assert {name: [w for w in words if w not in trained] for name, words in usual.items()} == {
        name: [] for name in usual
    }


def test_a_word_in_two_lists_is_refused():
    with pytest.raises(ValueError, match="twice: river"):
        Vocabulary((ClassWords("water", ("water", "river"), (), ("river",)),), ())


def test_templates_have_one_hole():
    assert len(IMAGENET_TEMPLATES) == 80
    for template in (*IMAGENET_TEMPLATES, *OVERHEAD_TEMPLATES, *CAPTION_TEMPLATES):
        assert template.count("{}") == 1


def test_caption_names_every_word():
    text = caption(np.random.default_rng(0), ["lake", "trees", "street"])
    assert "lake, trees and street" in text
    assert "lake" in caption(np.random.default_rng(0), ["lake"])
