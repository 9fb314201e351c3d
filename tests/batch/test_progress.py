"""The progress of windows as plain lines: which scene, how far, and no estimate without a basis."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsclip_cli import live, report
from rsclip_cli.live import LiveView
from rsclip_cli.report import ProgressLine
from tests.batch.test_live import ended, task


class Clock:
    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for module in (report, live):
        monkeypatch.setattr(module, "time", clock)
    return clock


def seconds_of(line):
    """The time left that a line tells, in seconds; None without one."""
    found = re.search(r"([\d,.]+) (s|min|h) left", line)
    if found is None:
        return None
    return float(found[1].replace(",", "")) * {"s": 1, "min": 60, "h": 3600}[found[2]]


@given(
    st.integers(0, 10**9),
    st.lists(st.tuples(st.floats(0, 1e5), st.integers(0, 10**6)), min_size=1, max_size=6),
    st.integers(1, 10**9),
)
def test_an_estimate_is_the_pace_of_this_run_and_nothing_without_one(start, steps, more):
    """A count that begins anywhere, as of a resumed run, and steps of any length."""
    said = []
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        patch.setattr(report, "time", clock)
        patch.setattr(report.click, "echo", lambda text, err: said.append(text))
        total = start + sum(count for _, count in steps) + more
        progress = ProgressLine(quiet=False)
        progress(start, total)
        done = start
        for wait, count in steps:
            clock.now += wait
            done += count
            before = len(said)
            progress(done, total)
            for line in said[before:]:
                left, passed = seconds_of(line), clock.now - 1000
                if done == start or passed < 1:
                    assert left is None
                else:
                    # Whole minutes are rounded.
                    expected = (total - done) * passed / (done - start)
                    assert left == pytest.approx(expected, rel=0.3, abs=0.5)


def test_lines_name_the_scene_where_there_are_several(clock, capsys):
    progress = ProgressLine(quiet=False, scenes=["north", "south"])
    for name in ("north", "south"):
        progress(1, 9)
        clock.now += 20
        progress(5, 9)
        assert capsys.readouterr().err == f"{name}: 5 of 9 windows, 0.2 a second, 20 s left\n"
        progress(9, 9)
        assert capsys.readouterr().err.startswith(f"{name}: 9 of 9 windows")
        progress.next_scene()


def test_a_batch_tells_now_and_then_how_far_a_long_scene_is(clock, capsys):
    with LiveView(quiet=False) as view:
        view.begin(2, 1)
        view.start("this process", task("north"))
        for _ in range(100):
            clock.now += 1.5
            view.advance("this process", 7, 9)
        assert capsys.readouterr().err.splitlines()[1:] == ["north: 7 of 9 windows"] * 2
        view.end(ended("north", "this process"))
