"""Help in groups, completion of values, and the module as a command."""

import dataclasses
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete

from rsclip.config import READ_OPTIONS, SegmentConfig
from rsclip_cli.main import cli
from rsclip_cli.options import GROUPS


def test_every_field_stands_in_one_group():
    grouped = sorted(name for names in GROUPS.values() for name in names)
    assert grouped == sorted(item.name for item in dataclasses.fields(SegmentConfig))


def test_segment_help_has_the_groups_and_three_examples(rsclip):
    text = rsclip("segment", "--help").output
    assert [line[:-1] for line in text.splitlines() if line.rstrip(":") in GROUPS] == list(GROUPS)
    assert text.count("  rsclip segment ") == 3
    for item in dataclasses.fields(SegmentConfig):
        assert text.count(f"  --{item.name.replace('_', '-')}") >= 1


def test_info_shows_its_own_options_only(rsclip):
    text = rsclip("info", "--help").output
    told = {item.name for item in dataclasses.fields(SegmentConfig)
            if f"--{item.name.replace('_', '-')} " in text}  # fmt: skip
    assert told == set(READ_OPTIONS)


@pytest.mark.parametrize(
    ("words", "begun", "found"),
    [
        (["segment", "--method"], "clearc", ["clearclip"]),
        (["segment", "--model"], "nan", ["nano"]),
        (["segment", "--classes"], "set:landc", ["set:landcover"]),
        (["compare", "--templates"], "sim", ["simple"]),
        (["segment", "--blend"], "g", ["gaussian"]),
        (["segment", "--aoi"], "x", ["x"]),
    ],
)
def test_values_complete(words, begun, found):
    complete = ShellComplete(cli, {}, "rsclip", "_RSCLIP_COMPLETE")
    assert [item.value for item in complete.get_completions(words, begun)] == found


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "rsclip", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("rsclip, version")
