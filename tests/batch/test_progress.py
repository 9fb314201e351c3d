"""The progress of windows as plain lines: which scene, how far, and no estimate without a basis."""

import json
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsclip.batch.tasks import Problem
from rsclip_cli import live
from rsclip_cli import progress as progress_module
from rsclip_cli.live import LiveView
from rsclip_cli.progress import ProgressLine
from tests.batch.test_live import ended, task


class Clock:
    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for module in (progress_module, live):
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
        patch.setattr(progress_module, "time", clock)
        patch.setattr(progress_module.click, "echo", lambda text, err: said.append(text))
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


def objects(text):
    return [json.loads(line) for line in text.splitlines()]


def test_progress_for_programs_of_several_scenes(clock, capsys):
    progress = ProgressLine(quiet=True, scenes=["north", "süd"], form="json")
    for done in range(4):
        progress(done, 3)
        clock.now += 2
    progress.next_scene()
    # Of a resumed scene, what an earlier run did is not this run's pace.
    progress(100, 110)
    clock.now += 0.1
    progress(101, 110)
    clock.now += 1.9
    progress(104, 110)
    progress.next_scene()
    keys = ("stage", "scene", "done", "total", "rate", "left")
    assert [tuple(fact[key] for key in keys) for fact in objects(capsys.readouterr().err)] == [
        ("scenes", None, 0, 2, None, None),
        ("windows", "north", 0, 3, None, None),
        ("windows", "north", 1, 3, 0.5, 4.0),
        ("windows", "north", 2, 3, 0.5, 2.0),
        ("windows", "north", 3, 3, 0.5, 0.0),
        ("scenes", None, 1, 2, 0.125, 8.0),
        ("windows", "süd", 100, 110, None, None),
        ("windows", "süd", 104, 110, 2.0, 3.0),
        ("scenes", None, 2, 2, 0.2, 0.0),
    ]


def test_progress_of_a_batch_for_programs(clock, capsys):
    with LiveView(quiet=False, form="json") as view:
        view.begin(3, 1)
        clock.now += 1
        view.end(ended("old", "w1").replace(status="skipped"))
        view.start("w1", task("north"))
        for done in (0, 4):
            view.advance("w1", done, 8)
            clock.now += 10
        view.note("the model is new")
        view.end(ended("north", "w1"))
        view.end(ended("bad", "w1", Problem("ReadError", "it is cut short")))
    lines = capsys.readouterr().err.splitlines()
    said = [line for line in lines if not line.startswith("{")]
    assert said == ["Warning: the model is new", "failed  bad: it is cut short"]
    facts = objects("\n".join(line for line in lines if line.startswith("{")))
    assert [(fact["stage"], fact["scene"], fact["done"], fact["left"]) for fact in facts] == [
        ("scenes", None, 0, None),
        ("scenes", None, 1, None),
        ("windows", "north", 0, None),
        ("windows", "north", 4, 10.0),
        ("scenes", None, 2, 21.0),
        ("scenes", None, 3, 0.0),
    ]


@pytest.mark.parametrize("command", ["segment", "batch"])
def test_a_program_reads_the_progress_and_stops_the_run(make_scene, tiny_model, tmp_path, command):
    scene, out = make_scene(shape=(1500, 1500)), tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-m", "rsclip", command, scene, "--classes", "a, b", "--model", tiny_model,
         "-o", out, "--batch-size", "1", "--progress", "json", "--quiet"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        facts = []
        for line in process.stderr:
            facts.append(json.loads(line))
            if facts[-1]["stage"] == "windows" and facts[-1]["done"] > 5:
                break
        process.terminate()
        stdout, rest = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (1, "")
    last = [line for line in rest.splitlines() if not line.startswith("{")]
    assert len(last) == 1
    assert last[0].startswith("Interrupted")
    assert facts[0] == {
        "stage": "scenes", "scene": None, "done": 0, "total": 1, "rate": None, "left": None
    }  # fmt: skip
    assert facts[1]["scene"] == "scene"
    assert not list(out.glob("scene_*"))
