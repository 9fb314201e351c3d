"""Progress as a person or another program reads it."""

import json
import math
import sys
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import click

from rsclip_cli.table import show_time

__all__ = ["DownloadLines", "ProgressLine", "ProgressObjects"]

_PLAIN_SECONDS = 15.0
_OBJECT_SECONDS = 0.2
_ESTIMATE_SECONDS = 1.0
_DOWNLOAD_SECONDS = 30.0


class ProgressObjects:
    """Progress for other programs: JSON objects on standard error, one a line.

    docs/batch.md names their keys.
    """

    def __init__(self) -> None:
        # Stage and scene -> the first count, its time, and the time of the last line.
        self._stages: dict[tuple[str, str | None], tuple[int, float, float]] = {}

    def __call__(
        self, stage: str, done: int, total: int, *, scene: str | None = None, skipped: int = 0
    ) -> None:
        """Tell how far a stage is: its first and last count always, others a few times a second.

        Args:
            stage: "windows" of a scene, or "scenes".
            done: How many are behind us.
            total: Of how many.
            scene: The scene whose windows are counted.
            skipped: How many of `done` took no time, which the rate leaves out.
        """
        now = time.monotonic()
        first, began, last = self._stages.get((stage, scene), (done, now, -math.inf))
        if done < first:
            first, began, last = done, now, -math.inf
        if now - last < _OBJECT_SECONDS and done < total:
            return
        self._stages[stage, scene] = first, began, now
        rate = _rate(done - first - skipped, now - began)
        facts = {
            "stage": stage, "scene": scene, "done": done, "total": total,
            "rate": rate and round(rate, 3), "left": rate and round((total - done) / rate, 1),
        }  # fmt: skip
        click.echo(json.dumps(facts), err=True)


def _rate(counted: int, seconds: float) -> float | None:
    """Return how many a second, or None while that is not known."""
    return counted / seconds if counted > 0 and seconds >= _ESTIMATE_SECONDS else None


class ProgressLine:
    """Windows done, rate and time left: a bar on a terminal, plain lines or JSON otherwise.

    One object serves scene after scene: it begins anew when the count does, or with `next_scene`.

    Args:
        quiet: Show nothing.
        scenes: Names of the scenes in their order; several are named.
        form: "json" for `ProgressObjects`, even if quiet.
        unit: What is counted.
    """

    def __init__(
        self,
        *,
        quiet: bool,
        scenes: Sequence[str] = (),
        form: str | None = None,
        unit: str = "windows",
    ) -> None:
        self._quiet = quiet
        self._unit = unit
        # A service may run without any standard error.
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._names = deque(scenes)
        self._scenes = len(scenes)
        self._objects = ProgressObjects() if form == "json" else None
        if self._objects and scenes:
            self._objects("scenes", 0, self._scenes)
        self._bar: Any = None
        self._done = 0
        self._first: int | None = None
        self._began = self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` windows are behind us."""
        if self._objects:
            scene = self._names[0] if self._names else None
            self._objects(self._unit, done, total, scene=scene)
            return
        if self._quiet:
            return
        if done < self._done:
            self.close()
        if self._first is None:
            # The model was loaded before, and a resumed scene has windows of an earlier run.
            self._first, self._began = done, time.monotonic()
        self._done = done
        if self._terminal:
            self._draw(done, total)
        else:
            self._print(done, total)
        if done == total:
            self.close()

    def close(self) -> None:
        """Take the bar off the screen and begin anew."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        self._done, self._first = 0, None
        self._last = time.monotonic()

    def next_scene(self) -> None:
        """Begin anew for the next scene."""
        self.close()
        if self._names:
            self._names.popleft()
        if self._objects and self._scenes:
            self._objects("scenes", self._scenes - len(self._names), self._scenes)

    def _draw(self, done: int, total: int) -> None:
        if self._bar is None:
            from tqdm import tqdm

            name = self._names[0] if self._scenes > 1 else self._unit
            self._bar = tqdm(total=total, initial=done, desc=name, unit=self._unit[:3], leave=False)
        self._bar.update(done - self._bar.n)

    def _print(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last < _PLAIN_SECONDS and done < total:
            return
        self._last = now
        line = f"{self._names[0]}: " if self._scenes > 1 else ""
        line += f"{done} of {total} {self._unit}"
        if rate := _rate(done - (self._first or 0), now - self._began):
            line += f", {rate:.1f} a second, {show_time((total - done) / rate)} left"
        click.echo(line, err=True)


class DownloadLines:
    """How far a download is, where no terminal shows its bar: a line a tenth, or half a minute."""

    def __init__(self) -> None:
        self._tenth: int | None = None
        self._last = time.monotonic()

    def __call__(self, done: int, total: int | None) -> None:
        """Tell that `done` bytes of `total` are here."""
        if sys.stderr is None or sys.stderr.isatty():
            return
        now = time.monotonic()
        tenth = 10 * done // total if total else 0
        if self._tenth is None:
            # What an earlier try has left is not worth a line.
            self._tenth = min(tenth, 9)
        if tenth == self._tenth and now - self._last < _DOWNLOAD_SECONDS:
            return
        self._tenth, self._last = tenth, now
        of = f" of {total / 2**20:.0f} MB ({100 * done // total} %)" if total else " MB"
        click.echo(f"fetched {done / 2**20:.0f}{of}", err=True)
