"""What a person sees while a batch runs: bars on a terminal, plain lines otherwise."""

import io
import sys

from rsclip.batch.tasks import Outcome, Problem, Task
from rsclip_cli.live import LiveView


class Terminal(io.StringIO):
    def isatty(self):
        return True


def on_terminal(monkeypatch):
    # Not in a fixture: there pytest would put its own standard error back.
    monkeypatch.setattr(sys, "stderr", Terminal())
    return LiveView(quiet=False)


def task(name):
    return Task(f"/scenes/{name}.tif", "", "a, b")


def ended(name, worker, problem=None):
    status = "failed" if problem else "done"
    return Outcome(task(name), status, 1.0, "2026-01-01T00:00:00+00:00", worker, problem=problem)


def descriptions(view):
    return [bar.desc for bar in view._bars.values()]


def test_a_bar_for_each_worker_and_one_over_all(monkeypatch):
    with on_terminal(monkeypatch) as view:
        view.begin(3, 2)
        view.start("worker 1", task("north"))
        view.start("worker 2", task("south"))
        view.advance("worker 1", 3, 8)
        bar = view._bars["worker 1"]
        assert (bar.n, bar.total) == (3, 8)
        view.end(ended("south", "worker 2", Problem("ReadError", "it is cut short")))
        said = sys.stderr.getvalue()
    for text in ("worker 1: north", "worker 2: south", "failed  south: it is cut short",
                 "of 3 scenes", "of 0 windows"):  # fmt: skip
        assert text in said


def test_a_lost_worker_gives_its_scene_up(monkeypatch):
    with on_terminal(monkeypatch) as view:
        view.begin(2, 2)
        view.start("old", task("north"))
        view.start("new", task("north"))
        assert descriptions(view) == ["old:", "new: north"]
        view.end(ended("north", "new"))
        assert descriptions(view) == ["old:", "new:"]


def test_workers_that_come_later_take_the_bars_of_those_that_rest(monkeypatch):
    with on_terminal(monkeypatch) as view:
        view.begin(100, 20)
        for index in range(20):
            view.start(f"w{index}", task(f"s{index}"))
        assert len(view._bars) == 16
        view.advance("w19", 1, 2)
        view.end(ended("s3", "w3"))
        view.start("w19", task("s19"))
        assert descriptions(view)[-1] == "w19: s19"
        assert len(view._bars) == 16
        assert "w3" not in view._bars


def test_plain_lines_elsewhere(capsys):
    with LiveView(quiet=False) as view:
        view.begin(1, 1)
        view.start("this process", task("north"))
        view.end(ended("north", "this process"))
    assert capsys.readouterr().err.splitlines() == [
        "1 scene, 1 at a time",
        "done    north (1.0 s), 1 of 1",
    ]
