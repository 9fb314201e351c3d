"""The rsclip command as a process of its own: found, run, listened to, ended. Without QGIS."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

FACTS = json.loads(Path(__file__).with_name("installed.json").read_text(encoding="utf-8"))
"""What `rsclip qgis install` wrote: executable, version, commands, choices."""

# QGIS sets these for its own Python and GDAL; rsclip's environment has others.
_NOT_OURS = (
    "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONUTF8", "GDAL_DATA", "GDAL_DRIVER_PATH",
    "PROJ_LIB", "PROJ_DATA", "QT_PLUGIN_PATH", "VIRTUAL_ENV",
)  # fmt: skip
_POLL_SECONDS = 0.1
# How long a run may take to remove its temporary files before it is killed.
_END_SECONDS = 20.0


class ProcessError(Exception):
    """rsclip is not there, or ended with an error; the text is for the user."""


def find_executable(chosen: str = "") -> list[str]:
    """Return the words that begin a command.

    Args:
        chosen: What the user's settings name; "" for the rsclip that installed the plugin.

    Raises:
        ProcessError: There is none.
    """
    remembered = chosen or FACTS["executable"] or ""
    found = shutil.which(remembered or "rsclip")
    if found is None:
        where = f"{remembered} is not there" if remembered else "there is no rsclip on the PATH"
        raise ProcessError(
            f"rsclip was not found: {where}. Install it (pip install rsclip) and run `rsclip qgis "
            "install`, or name the executable in Settings > Options > Processing > Providers > "
            "rsclip."
        )
    python = Path(found).stem.lower().startswith("python")
    return [found, *(["-m", "rsclip"] if python else [])]


def version_problem(command: list[str], canceled: Callable[[], bool] = lambda: False) -> str | None:
    """Return what to tell where plugin and executable are of different versions.

    Raises:
        ProcessError: The executable does not answer as rsclip does.
    """
    _, said, complaint = run([*command, "--version"], canceled=canceled)
    if canceled():
        return None
    if "rsclip, version " not in said:
        lines = (complaint or said).strip().splitlines() or ["it says nothing"]
        raise ProcessError(
            f"{command[0]} does not answer as rsclip does: {lines[-1]}. Name another executable in "
            "Settings > Options > Processing > Providers > rsclip."
        )
    version = said.split()[-1]
    if version == FACTS["version"]:
        return None
    return (
        f"this plugin is of rsclip {FACTS['version']}, but {command[0]} is {version}. Run "
        f"`{' '.join(command)} qgis install` and restart QGIS."
    )


def run(
    command: list[str],
    on_line: Callable[[str], None] = lambda line: None,
    canceled: Callable[[], bool] = lambda: False,
) -> tuple[int, str, str]:
    """Run a command to its end; return its exit code, standard output and standard error.

    Args:
        command: The words.
        on_line: Called, in this thread, with every line of standard error as it comes.
        canceled: Asked several times a second whether the process is to end.

    Raises:
        ProcessError: It cannot be started.
    """
    environment = {key: value for key, value in os.environ.items() if key not in _NOT_OURS}
    environment["PYTHONUTF8"] = "1"
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment, encoding="utf-8", errors="replace",
            # No console window on Windows.
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )  # fmt: skip
    except OSError as error:
        raise ProcessError(f"{command[0]} cannot be run: {error.strerror}.") from error
    lines: queue.Queue[tuple[str, str | None]] = queue.Queue()
    for name, stream in (("out", process.stdout), ("err", process.stderr)):
        threading.Thread(target=_read, args=(name, stream, lines), daemon=True).start()
    texts: dict[str, list[str]] = {"out": [], "err": []}
    open_streams = 2
    ended = False
    while open_streams:
        if canceled() and not ended:
            ended = True
            process.terminate()
            threading.Thread(target=_kill_late, args=(process,), daemon=True).start()
        try:
            name, line = lines.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            continue
        if line is None:
            open_streams -= 1
            continue
        texts[name].append(line)
        if name == "err":
            on_line(line.rstrip("\n"))
    return process.wait(), "".join(texts["out"]), "".join(texts["err"])


def _read(name: str, stream: TextIO, lines: queue.Queue[Any]) -> None:
    with stream:
        for line in stream:
            lines.put((name, line))
    lines.put((name, None))


def _kill_late(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


class Progress:
    """The share of a run that is done, from the JSON lines of `--progress json`."""

    def __init__(self) -> None:
        self._done, self._total = 0, 1
        self._scenes: dict[str | None, float] = {}

    def read(self, line: str) -> str | None:
        """Take a line of standard error; return it if it is a message for the user."""
        try:
            fact: Any = json.loads(line) if line.startswith("{") else None
            stage, done, total = fact["stage"], fact["done"], max(1, fact["total"])
        except (ValueError, KeyError, TypeError):
            return line
        if stage == "scenes":
            self._done, self._total = done, total
            # Whole scenes are counted now.
            self._scenes = {key: share for key, share in self._scenes.items() if share < 1}
        else:
            self._scenes[fact["scene"]] = done / total
        return None

    @property
    def percent(self) -> float:
        """How much is done, 0 to 100."""
        return 100 * min(1.0, (self._done + sum(self._scenes.values())) / self._total)
