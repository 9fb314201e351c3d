"""A batch as it runs: bars overall and per worker on a terminal, a line per scene otherwise."""

import sys
import time
from types import TracebackType
from typing import Any, Self

import click

from rsclip.batch.tasks import Listener, Outcome, Task
from rsclip_cli.progress import ProgressObjects
from rsclip_cli.table import show_time

__all__ = ["LiveView"]

# More bars than this push everything else off the screen.
_MOST_BARS = 16
# A log gets a line at least so often.
_PLAIN_SECONDS = 60.0


class LiveView(Listener):
    """Shows a batch on standard error; a context manager.

    Args:
        quiet: Show failed scenes only.
        form: "json" for `ProgressObjects` in place of bars and lines, even if quiet.
    """

    def __init__(self, *, quiet: bool, form: str | None = None) -> None:
        self._quiet = quiet
        self._objects = ProgressObjects() if form == "json" else None
        # A service may run without any standard error.
        self._terminal = (
            not (quiet or self._objects) and sys.stderr is not None and sys.stderr.isatty()
        )
        self._scenes = self._ended = self._worked = 0
        self._began = self._last = time.monotonic()
        self._overall: Any = None
        self._bars: dict[str, Any] = {}
        # Worker -> name of the scene it has begun; "" while it is idle.
        self._scene_of: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for bar in (*reversed(self._bars.values()), self._overall):
            if bar is not None:
                bar.close()

    def begin(self, scenes: int, workers: int) -> None:
        """Begin to count."""
        self._scenes, self._began = scenes, time.monotonic()
        if self._objects:
            self._objects("scenes", 0, scenes)
        elif self._terminal:
            from tqdm import tqdm

            form = "{desc} |{bar}| {n_fmt} of {total_fmt} scenes{postfix}"
            self._overall = tqdm(total=scenes, desc="batch", bar_format=form, leave=False)
        else:
            self._say(f"{scenes} scene{'s' * (scenes != 1)}, {workers} at a time")

    def start(self, worker: str, task: Task) -> None:
        """Give a worker's bar to its new scene."""
        if not self._terminal:
            self._scene_of[worker] = task.name
            return
        # A scene that another worker has lost: that one is gone, or idle.
        for other in [key for key, name in self._scene_of.items() if name == task.name]:
            self._rest(other)
        if worker not in self._bars and not self._add_bar(worker):
            return
        self._scene_of[worker] = task.name
        self._bars[worker].set_description_str(f"{worker}: {task.name}"[:60])

    def advance(self, worker: str, done: int, total: int) -> None:
        """Move a worker's bar."""
        if self._objects:
            self._objects("windows", done, total, scene=self._scene_of.get(worker))
            return
        bar = self._bars.get(worker)
        if bar is not None:
            bar.total = total
            bar.update(done - bar.n)
        elif not self._terminal and time.monotonic() - self._last >= _PLAIN_SECONDS:
            self._say(f"{self._scene_of.get(worker, worker)}: {done} of {total} windows")

    def note(self, text: str) -> None:
        """Show a warning."""
        self._say(f"Warning: {text}")

    def end(self, outcome: Outcome) -> None:
        """Count a scene and show how it ended; on a terminal, only if it failed."""
        self._ended += 1
        self._worked += outcome.status == "done"
        if self._objects:
            idle = self._ended - self._worked
            self._objects("scenes", self._ended, self._scenes, skipped=idle)
        if self._overall is not None:
            self._overall.set_postfix_str(self._left(), refresh=False)
            self._overall.update(1)
        if outcome.worker in self._bars:
            self._rest(outcome.worker)
        name = outcome.task.name
        if outcome.status == "failed" and outcome.problem is not None:
            self._say(f"failed  {name}: {outcome.problem.message}", errors_too=True)
        elif not (self._terminal or self._objects):
            count = f"{self._ended} of {self._scenes}"
            why = f"{outcome.seconds:.1f} s" if outcome.problem is None else outcome.problem.message
            parts = [f"{outcome.status:<7} {name} ({why})", count, self._left()]
            self._say(", ".join(filter(None, parts)))
        for text in outcome.warnings:
            self._say(f"Warning: {text}")

    def _rest(self, worker: str) -> None:
        self._scene_of[worker] = ""
        self._bars[worker].set_description_str(f"{worker}:")
        self._bars[worker].reset(total=0)

    def _add_bar(self, worker: str) -> bool:
        """Give a new worker a bar: one of its own, or that of an idle worker, if there is any."""
        if len(self._bars) < _MOST_BARS:
            from tqdm import tqdm

            form = "{desc} |{bar}| {n_fmt} of {total_fmt} windows"
            place = len(self._bars) + 1
            self._bars[worker] = tqdm(position=place, bar_format=form, leave=False, total=0)
            return True
        idle = next((key for key, name in self._scene_of.items() if not name), None)
        if idle is None:
            return False
        self._bars[worker] = self._bars.pop(idle)
        del self._scene_of[idle]
        return True

    def _left(self) -> str:
        """Return the time left, by the pace of the scenes that were done."""
        left = self._scenes - self._ended
        if not (left and self._worked):
            return ""
        seconds = (time.monotonic() - self._began) / self._worked * left
        return f"about {show_time(seconds)} left"

    def _say(self, text: str, *, errors_too: bool = False) -> None:
        self._last = time.monotonic()
        if self._quiet and not errors_too:
            return
        if self._terminal:
            from tqdm import tqdm

            # Above the bars, which are drawn anew below.
            tqdm.write(text, file=sys.stderr)
        else:
            click.echo(text, err=True)
