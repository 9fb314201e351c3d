"""Whole files get their final names; what a kill cut off among the moves, a later run ends.

A kill between two of the moves leaves some outputs without the others and without their record.
A note of them is written when all are whole, before the first move; it lies in the hidden folder,
whose lock the caller holds.
"""

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "Recovery",
    "move",
    "plan_recovery",
    "recover",
    "remove_note",
    "sync",
    "sync_folder",
    "undo",
    "write_note",
]

_NOTE = "publishing.json"


@dataclass(frozen=True, slots=True)
class Recovery:
    """How `recover` ends what a note says was begun.

    Attributes:
        whole: All outputs get their final names; else those that have them lose them again.
        rest: Names of the outputs that are still in the hidden folder, or gone.
        unwanted: Names of the files beside it that are removed.
        mark: The mark of completeness.
    """

    whole: bool
    rest: tuple[str, ...]
    unwanted: tuple[str, ...]
    mark: str


def write_note(
    hidden: Path, names: Iterable[str], *, overwrite: bool, leftovers: Iterable[Path] = ()
) -> None:
    """Note the outputs in a hidden folder that are moved next, beside it.

    Args:
        hidden: The hidden folder, with all outputs.
        names: Final names, the mark of completeness last.
        overwrite: They replace what has their names.
        leftovers: Files beside the hidden folder that go when all are in place.

    Raises:
        OSError: The note cannot be written.
    """
    note = {
        "overwrite": overwrite,
        "files": {name: _look(hidden / name) for name in names},
        "leftovers": {path.name: _look(path) for path in leftovers},
    }
    # Half a note is none, and before the note is on the disk nothing is moved.
    with (hidden / _NOTE).open("w", encoding="utf-8") as file:
        json.dump(note, file)
        file.flush()
        os.fsync(file.fileno())


def remove_note(hidden: Path) -> None:
    """Remove the note: what it names was taken back."""
    with contextlib.suppress(OSError):
        (hidden / _NOTE).unlink(missing_ok=True)


def plan_recovery(hidden: Path) -> Recovery | None:
    """Say how `recover` would end what a note says was begun; None if there is no note.

    It is taken back where the rest cannot be moved: files have the names by now that may not be
    replaced, or an output is gone. Only what is still as the run made or found it is removed.
    """
    plan = _read(hidden / _NOTE)
    if plan is None:
        return None
    overwrite, files, leftovers = plan
    folder = hidden.parent
    moved = {name for name, look in files.items() if _look(folder / name) == look}
    rest = [name for name in files if name not in moved]
    free = [name for name in rest if overwrite or not os.path.lexists(folder / name)]
    whole = free == rest and all(_look(hidden / name) == files[name] for name in rest)
    *_, mark = files
    old = [name for name, look in leftovers.items() if _look(folder / name) == look]
    return Recovery(whole, tuple(rest), tuple(old if whole else moved), mark)


def recover(hidden: Path) -> bool:
    """End what a note says was begun, if there is one: move the rest, or take back what was moved.

    Returns:
        All outputs are there: the hidden folder has served.
    """
    recovery = plan_recovery(hidden)
    if recovery is None:
        return False
    folder = hidden.parent
    if recovery.whole:
        if recovery.mark in recovery.rest:
            # An earlier run's, which the moves to come would make untrue.
            (folder / recovery.mark).unlink(missing_ok=True)
        for name in recovery.rest:
            (hidden / name).replace(folder / name)
    for name in recovery.unwanted:
        with contextlib.suppress(OSError):
            (folder / name).unlink(missing_ok=True)
    (hidden / _NOTE).unlink()
    return recovery.whole


def move(source: Path, target: Path, *, overwrite: bool) -> None:
    """Give a file its final name; without `overwrite`, never over a file of that name."""
    if overwrite:
        source.replace(target)
        return
    try:
        # Unlike a rename, a link fails where the name is taken, however late it was.
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        # No hard links on this file system: look first, which leaves a blink for another run.
        if os.path.lexists(target):
            raise FileExistsError(target) from None
        source.replace(target)
    else:
        source.unlink()


def undo(source: Path, target: Path) -> None:
    """Remove what was moved: some outputs without the others are worth nothing."""
    with contextlib.suppress(OSError):
        if not source.exists() or source.samefile(target):
            target.unlink()


def sync(path: Path) -> None:
    """Bring a file to the disk."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    # Windows cannot open a folder; some network file systems cannot sync one.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _look(path: Path) -> list[int] | None:
    """Return size and time of change, which a move leaves as they are."""
    try:
        about = path.lstat()
    except OSError:
        return None
    return [about.st_size, about.st_mtime_ns]


def _read(note: Path) -> tuple[bool, dict[str, Any], dict[str, Any]] | None:
    try:
        plan = json.loads(note.read_text(encoding="utf-8"))
        files, leftovers = dict(plan["files"]), dict(plan["leftovers"])
        return (bool(plan["overwrite"]), files, leftovers) if files else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
