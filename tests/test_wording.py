"""A message names an option as the user at hand writes it: a flag, or a keyword of Python."""

import ast
import re
from pathlib import Path

import click
import pytest

import rsclip as library
from rsclip.errors import ExistsError, OptionError, RsclipError, RsclipWarning, warn
from rsclip.wording import SWITCHES, named, naming_flags
from rsclip_cli.main import cli

SOURCES = Path(library.__file__).parent


def options():
    context = click.Context(cli, **cli.context_settings)
    commands = [cli.get_command(context, name) for name in cli.list_commands(context)]
    while commands:
        command = commands.pop()
        if isinstance(command, click.Group):
            commands += command.commands.values()
        yield from (item for item in command.params if isinstance(item, click.Option))


def messages():
    """Yield each text of an error, a warning or a place, with {} where a value stands."""
    for path in sorted(SOURCES.rglob("*.py")):
        # Training speaks to its makers; the plugin runs commands, and speaks for itself in QGIS.
        if path.is_relative_to(SOURCES / "nano") or path.is_relative_to(SOURCES / "qgis/plugin"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
                  for part in node.values}  # fmt: skip
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = node.values
                text = "".join(p.value if isinstance(p, ast.Constant) else "{}" for p in parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = "" if id(node) in docs | inside else node.value
            else:
                continue
            # Styles of pages have names that begin so too.
            if re.search(r"(?<![\w-])--[a-z]", text) and not re.search(
                r"--[a-z]+[:)]\s?[#;v]|var\(", text
            ):
                yield f"{path.name}:{node.lineno}", text


@pytest.mark.parametrize(
    ("text", "keywords", "flags"),
    [
        (
            "Replace them with --overwrite, or choose another folder (-o).",
            "Replace them with overwrite=True, or choose another folder.",
            "Replace them with --overwrite, or choose another folder (-o).",
        ),
        ("(--weights=FILE)", "(weights=FILE)", "(--weights FILE)"),
        ("Use --model=nano.", "Use model='nano'.", "Use --model nano."),
        ("work at --gsd=0.5", "work at gsd=0.5", "work at --gsd 0.5"),
        ("--aoi='a b.gpkg:x'.", "aoi='a b.gpkg:x'.", "--aoi 'a b.gpkg:x'."),
        ("leave --int8 out.", "leave int8=True out.", "leave --int8 out."),
        ("--stride and --overlap", "stride and overlap", "--stride and --overlap"),
        ("`rsclip x --model y -o F`", "`rsclip x --model y -o F`", "`rsclip x --model y -o F`"),
        ("a--gsd.tif: -- and ---", "a--gsd.tif: -- and ---", "a--gsd.tif: -- and ---"),
    ],
)
def test_flags_become_keywords(text, keywords, flags):
    assert named(text) == keywords
    with naming_flags():
        assert named(text) == flags
    assert named(text) == keywords


def test_errors_and_warnings_are_worded_for_their_reader():
    error = OptionError("--gsd is too small", where="--gsd=1", remedy="Leave --resume out.")
    assert str(error) == "gsd=1: gsd is too small. Leave resume=True out."
    with naming_flags():
        assert str(error) == "--gsd 1: --gsd is too small. Leave --resume out."
        with pytest.warns(RsclipWarning, match="give --gsd 2"):
            warn("give --gsd=2")
    with pytest.warns(RsclipWarning, match="give gsd=2"):
        warn("give --gsd=2")


def test_one_failure_in_python_and_on_the_command_line(make_scene, tiny_model, tmp_path, rsclip):
    scene = make_scene()
    given = {"model": tiny_model, "window": 32}
    library.segment(scene, "road, water", tmp_path, **given)
    with pytest.raises(ExistsError, match=r"with overwrite=True, or choose another folder\.$"):
        library.segment(scene, "road, water", tmp_path, **given)
    for command in (["segment", scene], ["batch", scene, "--jobs", 2]):
        words = ["--classes", "road, water", "--model", tiny_model, "--window", 32, "-o", tmp_path]
        said = rsclip(*command, *words, "--threshold", 0.4).output
        assert "--overwrite, or choose another folder (-o)" in said
        assert "overwrite=True" not in said
    with pytest.raises(RsclipError, match=r"^window: 'x' does not fit"):
        library.segment(scene, "road, water", tmp_path, window="x")


def test_every_flag_in_a_message_is_one_of_a_command_and_has_its_value_beside_it():
    flags = {name for item in options() for name in item.opts + item.secondary_opts}
    choices = {choice for item in options() if isinstance(item.type, click.Choice)
               for choice in item.type.choices} | {"nano", "cpu", "FILE", "NAME", "{}"}  # fmt: skip
    wrong = []
    for place, text in messages():
        for part in text.split("`")[::2]:
            for flag, word in re.findall(
                r"(?<![\w-])(--[a-z][a-z\d-]*[a-z\d])(?: ([\w{}]+))?", part
            ):
                if flag not in flags or (
                    word in choices and flag[2:].replace("-", "_") not in SWITCHES
                ):
                    wrong.append(f"{place}: {flag} {word}")
    assert len(list(messages())) > 60
    assert not wrong


def test_no_message_names_a_keyword_itself():
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                texts = [
                    part.value for part in ast.walk(node.exc) if isinstance(part, ast.Constant)
                ]
                said = " ".join(text for text in texts if isinstance(text, str))
                assert not re.search(r"\b[a-z_]+=(True|False)\b", said), f"{path}:{node.lineno}"


def test_the_switches_are_those_of_the_commands():
    switches = {item.name for item in options() if item.is_flag}
    only_here = {"as_json", "dry_run", "help", "here", "quiet", "verbose", "version"}
    assert switches - only_here == SWITCHES
