"""`python -m tests.benchmarks`: tables that it writes have a place in the pages."""

import re

import pytest

from tests.benchmarks.__main__ import ARGUMENTS, ROOT


@pytest.mark.parametrize("name", [name for name, words in ARGUMENTS.items() if "--write" in words])
def test_a_table_that_is_written_has_its_place(name):
    page = ARGUMENTS[name][-1]
    source = (ROOT / f"tests/benchmarks/{name}.py").read_text(encoding="utf-8")
    begin, end = re.search(r'^BEGIN, END = "(.*)", "(.*)"$', source, re.MULTILINE).groups()
    _, found, rest = (ROOT / page).read_text(encoding="utf-8").partition(begin)
    assert found, f"{page} has no {begin}"
    assert end in rest


@pytest.fixture(scope="module")
def commands():
    """Of each script, the commands of it in the pages."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(" ".join(page.read_text(encoding="utf-8").split()) for page in pages)
    found = {}
    for name, options in re.findall(r"`python tests/benchmarks/(\w+)\.py([^`]*)`", text):
        found.setdefault(name, []).append(options)
    return found


def test_every_script_has_its_command_in_a_page(commands):
    scripts = {path.stem for path in (ROOT / "tests/benchmarks").glob("[!_]*.py")}
    assert set(commands) == scripts


def test_scripts_have_the_options_of_the_pages(commands):
    for name, lines in commands.items():
        source = (ROOT / f"tests/benchmarks/{name}.py").read_text(encoding="utf-8")
        shared = (ROOT / "rsclip/nano/real.py").read_text(encoding="utf-8")
        options = {option for line in lines for option in re.findall(r"--\w+", line)}
        missing = {each for each in options if f'"{each}"' not in source + shared}
        assert not missing, name


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_belong_to_a_script(name):
    assert (ROOT / f"tests/benchmarks/{name}.py").is_file()
