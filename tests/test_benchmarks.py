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


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_belong_to_a_script(name):
    assert (ROOT / f"tests/benchmarks/{name}.py").is_file()
