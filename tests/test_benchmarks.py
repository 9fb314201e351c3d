"""`python -m tests.benchmarks` runs every benchmark, and tables have a place in the pages."""

import re

from tests.benchmarks.__main__ import ROOT, SCRIPTS


def test_every_script_is_run():
    there = {path.stem for path in (ROOT / "tests/benchmarks").glob("[!_]*.py")}
    assert set(SCRIPTS) == there


def test_every_table_that_is_written_has_its_place():
    writing = {name: words[-1] for name, words in SCRIPTS.items() if "--write" in words}
    for name, page in writing.items():
        source = (ROOT / f"tests/benchmarks/{name}.py").read_text(encoding="utf-8")
        begin, end = re.search(r'^BEGIN, END = "(.*)", "(.*)"$', source, re.MULTILINE).groups()
        _, found, rest = (ROOT / page).read_text(encoding="utf-8").partition(begin)
        assert found, f"{page} has no {begin}"
        assert end in rest
