"""`rsclip methods` says what the registry holds, and what it shows can be given back."""

import json
import re

import pytest

from rsclip.methods import METHODS
from rsclip.methods.options import describe_options

NAMES = [
    "clearclip", "clip", "clipsurgery", "gem", "maskclip", "naclip", "proxyclip", "scclip",
    "sclip", "segearth",
]  # fmt: skip


def test_the_list(rsclip):
    done = rsclip("methods")
    assert done.exit_code == 0, done.output
    heads = [line.split(":")[0] for line in done.output.splitlines() if line[:1].strip()]
    assert heads == NAMES == list(METHODS)
    # Line breaks aside, every paper and every default is there.
    words = " ".join(done.output.split())
    for method in METHODS.values():
        assert method.citation in words
    assert "attention=kk+gaussian residual=false ffn=false alpha=1" in words
    assert "bias_lambda=-0.3 attention=qq+kk+vv" in words
    assert max(map(len, done.output.splitlines())) <= 100


def test_one_method_explained(rsclip):
    done = rsclip("methods", "scclip")
    assert done.exit_code == 0
    assert "contamination=0.05" in done.output
    assert "Takes a number from 0 to 0.5." in done.output
    assert "clearclip" not in done.output


def test_json_is_whole(rsclip):
    methods = json.loads(rsclip("methods", "--json").output)
    assert [method["name"] for method in methods] == NAMES
    assert all(option["help"] for method in methods for option in method["options"])


def test_an_unknown_name(rsclip):
    done = rsclip("methods", "clearcliip")
    assert done.exit_code == 2
    assert "Did you mean clearclip?" in done.stderr


@pytest.mark.parametrize("method", NAMES)
def test_every_method_makes_a_map(rsclip, make_scene, tiny_model, tmp_path, method):
    """With every default of the list written out as --method-option, as a user would copy it."""
    (facts,) = json.loads(rsclip("methods", method, "--json").output)
    given = {item["name"]: item["default"] for item in facts["options"]}
    if "blocks" in given:
        given["blocks"] = 2
    options = [
        part for name, value in given.items() for part in ("--method-option", f"{name}={value}")
    ]
    done = rsclip(
        "segment", make_scene(), "--classes", "road, water", "--model", tiny_model,
        "--method", method, *options, "-o", tmp_path / "out",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    model = json.loads((tmp_path / "out/scene_run.json").read_text())["model"]
    assert model["method"] == method
    assert model["method_options"].keys() == given.keys()


def test_method_and_options_from_a_file(rsclip, make_scene, tiny_model, tmp_path):
    config = tmp_path / "run.yaml"
    config.write_text(
        f"model: {tiny_model}\nmethod: scclip\nmethod-option: {{beta: 0.2, attention: qk}}\n"
    )
    done = rsclip("segment", make_scene(), "--classes", "road, water", "--config", config,
                  "--method-option", "beta=0.3", "-o", tmp_path / "out")  # fmt: skip
    assert done.exit_code == 0, done.output
    options = json.loads((tmp_path / "out/scene_run.json").read_text())["model"]["method_options"]
    assert (options["beta"], options["attention"], options["neighbours"]) == (0.3, "qk", 30)


def test_too_few_blocks_is_one_message(rsclip, make_scene, tiny_model, tmp_path):
    done = rsclip("segment", make_scene(), "--classes", "road, water", "--model", tiny_model,
                  "--method", "gem", "-o", tmp_path / "out")  # fmt: skip
    assert done.exit_code == 2
    assert "this model has 2. Give --method-option blocks=N" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_page_on_methods_has_them_all(repository):
    """Each has a section with its paper, and a row of measured cost; no option is invented."""
    page = (repository / "docs/methods.md").read_text(encoding="utf-8")
    words = " ".join(page.replace("*", "").split())
    options = {
        fact["name"] for method in METHODS.values() for fact in describe_options(method.options)
    }
    for name, method in METHODS.items():
        assert f"### {name}\n" in page
        assert re.search(rf"^\| {name} \| \d\.\d\d \|", page, flags=re.MULTILINE)
        title = method.citation.split(", ", 1)[1].split(":")[0].split(",")[0]
        assert title in words
    for given in re.findall(r"--method-option (\w+)=", page):
        assert given in options
