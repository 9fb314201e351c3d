"""Whole files get their final names; what a kill cut off among the moves, a later run ends.

A kill between two of the moves leaves some outputs without the others and without their record.
A note of them is written when all are whole, before the first move; it lies in the hidden folder,
whose lock the caller holds. Outputs of an earlier run are set aside there, and go with the folder
when the new ones are in place; where a move fails, they get their places back.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "Recovery",
    "earlier",
    "move",
    "plan_recovery",
    "recover",
    "set_aside",
    "sync",
    "sync_folder",
    "undo",
    "write_note",
]

_NOTE = "publishing.json"
_EARLIER = "earlier"


@dataclass(frozen=True, slots=True)
class Recovery:
    """How `recover` ends what a note says was begun.

    Attributes:
        whole: All outputs get their final names; otherwise the ones already moved are taken back.
        rest: Names of the outputs that are still in the hidden folder, or gone.
        unwanted: Names of the files beside it that are removed.
        restored: Names of earlier outputs that get their places back.
    """

    whole: bool
    rest: tuple[str, ...]
    unwanted: tuple[str, ...]
    restored: tuple[str, ...]


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
    shutil.rmtree(hidden / _EARLIER, ignore_errors=True)
    # Half a note is none, and before the note is on the disk nothing is moved.
    with (hidden / _NOTE).open("w", encoding="utf-8") as file:
        json.dump(note, file)
        file.flush()
        os.fsync(file.fileno())


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
    moved = _unchanged(folder, files)
    rest = tuple(name for name in files if name not in moved)
    free = overwrite or not any(os.path.lexists(folder / name) for name in rest)
    if free and rest == _unchanged(hidden, {name: files[name] for name in rest}):
        return Recovery(True, rest, _unchanged(folder, leftovers), ())
    return Recovery(False, rest, moved, _restorable(hidden, files, moved))


def recover(hidden: Path) -> bool:
    """End what a note says was begun, if there is one: move the rest, or take back what was moved.

    Returns:
        All outputs are there: the hidden folder has served.

    Raises:
        OSError: A file cannot be moved; the note stays, and a later call goes on.
    """
    recovery = plan_recovery(hidden)
    if recovery is None:
        return False
    folder = hidden.parent
    if not recovery.whole:
        _take_back(hidden, recovery.unwanted, recovery.restored)
        return False
    # An earlier run's mark of completeness, which the moves to come would make untrue.
    for name in recovery.rest[-1:]:
        (folder / name).unlink(missing_ok=True)
    for name in recovery.rest:
        (hidden / name).replace(folder / name)
    for name in recovery.unwanted:
        with contextlib.suppress(OSError):
            (folder / name).unlink(missing_ok=True)
    (hidden / _NOTE).unlink()
    return True


def undo(hidden: Path) -> bool:
    """Take back what was moved, and put back what was set aside for it.

    Returns:
        It is done; else the note stays, by which `recover` does it.
    """
    plan = _read(hidden / _NOTE)
    try:
        if plan is not None:
            moved = _unchanged(hidden.parent, plan[1])
            _take_back(hidden, moved, _restorable(hidden, plan[1], moved))
    except OSError:
        return False
    return True


def earlier(hidden: Path, name: str) -> Path:
    """Return where an earlier output lies while the new ones are moved."""
    return hidden / _EARLIER / name


def set_aside(hidden: Path, names: Iterable[str]) -> None:
    """Move earlier outputs into the hidden folder, their mark of completeness first.

    Raises:
        OSError: One cannot be moved.
    """
    (hidden / _EARLIER).mkdir(exist_ok=True)
    for name in reversed([*names]):
        with contextlib.suppress(FileNotFoundError):
            (hidden.parent / name).replace(earlier(hidden, name))


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


def _take_back(hidden: Path, moved: Iterable[str], restored: Iterable[str]) -> None:
    for name in moved:
        (hidden.parent / name).unlink(missing_ok=True)
    for name in restored:
        earlier(hidden, name).replace(hidden.parent / name)
    (hidden / _NOTE).unlink()


def _restorable(hidden: Path, names: Iterable[str], moved: Container[str]) -> tuple[str, ...]:
    """Return the names of earlier outputs whose place is free, or will be; the mark last."""
    return tuple(
        name
        for name in names
        if os.path.lexists(earlier(hidden, name))
        and (name in moved or not os.path.lexists(hidden.parent / name))
    )


def _unchanged(folder: Path, looks: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name, look in looks.items() if _look(folder / name) == look)


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
