"""Whole files get their final names; what a kill cut off among the moves, a later run ends.

A kill between two of the moves leaves some outputs without the others and without their record.
A note of them is written when all are whole, before the first move; it lies in the hidden folder,
whose lock the caller holds.
"""

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["begin", "forget", "move", "settle", "sync", "sync_folder", "take_back"]

_NOTE = "publishing.json"


def begin(
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


def forget(hidden: Path) -> None:
    """Remove the note: what it names was taken back."""
    with contextlib.suppress(OSError):
        (hidden / _NOTE).unlink(missing_ok=True)


def settle(hidden: Path) -> bool:
    """End what a note says was begun, if there is one: move the rest, or take back what was moved.

    It is taken back where the rest cannot be moved: files have the names by now that may not be
    replaced, or an output is gone. Only what is still as the run made or found it is removed.

    Returns:
        All outputs are there: the hidden folder has served.
    """
    note = hidden / _NOTE
    try:
        plan = json.loads(note.read_text(encoding="utf-8"))
        overwrite, files = bool(plan["overwrite"]), dict(plan["files"])
        leftovers = dict(plan["leftovers"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    folder = hidden.parent
    moved = {name for name, look in files.items() if _look(folder / name) == look}
    free = {name for name in files if overwrite or not os.path.lexists(folder / name)}
    rest = [name for name in files if name not in moved]
    whole = all(name in free and _look(hidden / name) == files[name] for name in rest)
    if whole:
        *_, mark = files
        if rest and mark not in moved:
            # An earlier run's, which the moves to come would make untrue.
            (folder / mark).unlink(missing_ok=True)
        for name in rest:
            (hidden / name).replace(folder / name)
        unwanted = [name for name, look in leftovers.items() if _look(folder / name) == look]
    else:
        unwanted = list(moved)
    for name in unwanted:
        with contextlib.suppress(OSError):
            (folder / name).unlink(missing_ok=True)
    note.unlink()
    return whole


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


def take_back(source: Path, target: Path) -> None:
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
