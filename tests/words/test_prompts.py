"""Templates and queries."""

import importlib.util
from pathlib import Path

import pytest

from rsclip.errors import OptionError
from rsclip.words.legend import load_legend
from rsclip.words.prompts import TEMPLATES, class_queries, load_templates, word_prompts


def open_clip_templates():
    """Read open_clip's templates without importing it (that needs torch)."""
    spec = importlib.util.find_spec("open_clip")
    if spec is None or spec.origin is None:
        pytest.skip("open_clip is not installed")
    path = Path(spec.origin).with_name("zero_shot_metadata.py")
    own = importlib.util.spec_from_file_location("zero_shot_metadata", path)
    module = importlib.util.module_from_spec(own)
    own.loader.exec_module(module)
    return module


def test_bundled_templates_are_open_clips_in_order():
    module = open_clip_templates()
    for name, fills in [
        ("imagenet80", module.OPENAI_IMAGENET_TEMPLATES),
        ("simple", module.SIMPLE_IMAGENET_TEMPLATES),
    ]:
        assert word_prompts("oak tree", load_templates(name)) == tuple(
            fill("oak tree") for fill in fills
        )
    assert len(load_templates("imagenet80")) == 80
    assert len(load_templates("simple")) == 7


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_takes_the_word_once(name):
    templates = load_templates(name)
    assert all(template.count("{}") == 1 for template in templates)
    assert len(set(templates)) == len(templates)


def test_template_files(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_bytes("\ufeffa map of {}.\r\n\r\n{} from above\n".encode())
    assert load_templates(str(path)) == ("a map of {}.", "{} from above")
    assert load_templates(path) == ("a map of {}.", "{} from above")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no template in the file"),
        ("a map of {}.\na map\n", "line 2: no {}"),
        ("{} and {}", "line 1: more than one {}"),
    ],
)
def test_bad_template_files(tmp_path, text, message):
    path = tmp_path / "mine.txt"
    path.write_text(text)
    with pytest.raises(OptionError) as caught:
        load_templates(str(path))
    assert message in str(caught.value)


def test_unknown_and_missing_templates(tmp_path):
    with pytest.raises(OptionError, match="Did you mean imagenet80"):
        load_templates("imagenet")
    with pytest.raises(OptionError, match="no such template file"):
        load_templates(str(tmp_path / "none.txt"))
    (tmp_path / "latin.txt").write_bytes(b"{} \xe9")
    with pytest.raises(OptionError, match="UTF-8"):
        load_templates(tmp_path / "latin.txt")


def test_queries_follow_the_classes_words_first():
    legend = load_legend(
        [
            {"name": "sky", "background": True},
            {"name": "Wald", "words": ["forest", "trees"], "descriptions": ["dark {green} crowns"]},
            {"name": "Straße", "words": ["road"], "descriptions": ["a grey line"]},
        ]
    )
    queries = class_queries(legend, ["a {}.", "the {}"])
    assert [(query.text, query.prompts, query.class_index) for query in queries] == [
        ("forest", ("a forest.", "the forest"), 0),
        ("trees", ("a trees.", "the trees"), 0),
        ("dark {green} crowns", ("dark {green} crowns", "Wald, dark {green} crowns"), 0),
        ("road", ("a road.", "the road"), 1),
        ("a grey line", ("a grey line", "road, a grey line"), 1),
        ("sky", ("a sky.", "the sky"), 2),
    ]
    assert all(legend.classes[query.class_index].words for query in queries)
