"""Methods that are not part of rsclip: a file that the user names, and installed packages."""

import json
import re
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

import rsclip as library
from rsclip.errors import OptionError
from rsclip.methods import METHODS, describe_methods, get_method, method_names, plugins
from rsclip.model.weights.load import load_backbone
from rsclip.study.compare.choices import parse_choices

DOCS = Path(__file__).parents[2] / "docs" / "methods.md"
EXAMPLE = re.search(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)[1]
IMAGES = np.random.default_rng(5).integers(0, 256, (2, 64, 64, 3), np.uint8)
WORDS = ["water", "road"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "values.py"
    path.write_text(EXAMPLE)
    return path


@pytest.fixture
def packages(monkeypatch):
    def put(**points):
        found = {
            name: EntryPoint(name, value, plugins.ENTRY_POINTS) for name, value in points.items()
        }
        monkeypatch.setattr("rsclip.methods.installed", lambda: found)
        monkeypatch.setattr(plugins, "installed", lambda: found)
        plugins.method_of_package.cache_clear()

    return put


def test_the_example_of_the_docs_is_what_it_says(file):
    backbone = load_backbone("nano")
    ours = library.similarity(backbone, IMAGES, WORDS, method=f"{file}:VALUES")
    theirs = library.similarity(backbone, IMAGES, WORDS, method="maskclip")
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_segment_by_a_file_records_its_hash(file, rsclip, make_scene, tmp_path):
    args = ("segment", make_scene(), "--classes", "water, road", "--model", "nano")
    out = tmp_path / "out"
    done = rsclip(*args, "--method", f"{file}:VALUES", "-o", out)
    assert done.exit_code == 0, done.output
    (record,) = (json.loads(path.read_text()) for path in out.glob("*_run.json"))
    assert record["model"]["method_sha256"] == plugins.origin(f"{file}:VALUES")["method_sha256"]


def test_a_file_that_changed_is_run_again(file):
    assert get_method(f"{file}:VALUES").summary == "Values alone."
    file.write_text(EXAMPLE.replace("Values alone.", "Others."))
    assert get_method(f"{file}:VALUES").summary == "Others."


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("x = 1", "x", "is a int, not a Method"),
        ("x = 1", "METHOD", "defines no METHOD"),
        ("x = (", "x", "SyntaxError"),
        ("import nothing_of_that_name", "x", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "x", "SystemExit"),
        ("x = '\udcff'", "x", "SyntaxError|Unicode"),
        (EXAMPLE.replace("options=MethodOptions()", "options=None"), "VALUES", "MethodOptions"),
    ],
)
def test_a_file_that_holds_no_method(tmp_path, content, name, message):
    path = tmp_path / "mine.py"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(OptionError, match=message):
        get_method(f"{path}:{name}")


def test_what_a_file_lacks_is_named(file, tmp_path):
    with pytest.raises(OptionError, match="Its methods: VALUES"):
        get_method(f"{file}:VALUE")
    with pytest.raises(OptionError, match=r"values\.py:NAME"):
        get_method(str(file))
    with pytest.raises(OptionError, match="cannot be read"):
        get_method(f"{tmp_path}/absent.py:VALUES")


def test_a_method_of_another_shape_is_refused(file):
    file.write_text(EXAMPLE.replace("trunk.head(merge_heads(block, v)[:, 1:])", (
        "trunk.head(merge_heads(block, v)[:, 1:])[:, 1:]"
    )))  # fmt: skip
    with pytest.raises(OptionError, match="gives similarities of shape"):
        library.similarity(load_backbone("nano"), IMAGES, WORDS, method=f"{file}:VALUES")


def test_compare_takes_a_file_with_options(file):
    first, second = parse_choices(f"clip,{file}:VALUES:bias_lambda=-0.3")
    assert (first.method, second.method) == ("clip", f"{file}:VALUES")
    assert second.options.bias_lambda == -0.3


def test_a_package_offers_a_method(packages):
    packages(theirs="rsclip.methods.gem:METHOD", clip="rsclip.methods.gem:METHOD")
    assert method_names() == [*METHODS, "theirs"]
    assert get_method("theirs") is METHODS["gem"]
    assert get_method("clip") is METHODS["clip"]
    assert describe_methods()[-1]["name"] == "theirs"


def test_a_package_that_cannot_be_imported_is_named(packages):
    packages(theirs="nothing_of_that_name:METHOD")
    with pytest.raises(OptionError, match=r"'theirs' of .* cannot be imported"):
        get_method("theirs")
    with pytest.warns(UserWarning, match="cannot be imported"):
        assert [each["name"] for each in describe_methods()] == list(METHODS)
