"""Outputs are made in a hidden folder beside their place and moved there when all are whole.

The last output (the run record) is the mark of completeness: it is the first to go when outputs
are replaced, and the last to come. The hidden folder is named after it, and locked: a second run
for the same outputs is refused, and what a killed run left is recognised, for its lock is free. A
run that was killed among the moves is brought to its end by the next.
"""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from filelock import FileLock, Timeout

from rsclip.errors import OutputError, WriteError
from rsclip.outputs.files import moves
from rsclip.outputs.files.clashes import FOLDER, find_leftovers, refuse_clashes
from rsclip.outputs.files.disk import HIDDEN_PREFIX, write_error

__all__ = ["OutputPlaces", "Staging", "check_reach"]

_LOCK = "lock"
_WORK = "work"


class OutputPlaces(Protocol):
    """Where the files of a run lie while it is at work."""

    def path(self, key: str) -> Path:
        """Return where an output is written, or lies if it is finished."""

    def scratch(self, name: str) -> Path:
        """Return where to write a file that is not published."""


class Staging:
    """A hidden folder inside the output folder, and the final names that it stands in for.

    A context manager: without `publish`, or on any error, Ctrl-C included, the folder and what is
    in it disappear (but see `keep_work`), and so does the output folder if it was made here and is
    empty.

    Args:
        folder: The output folder, created if missing.
        names: Key -> final file name, in the order of publishing; the mark of completeness last.
        overwrite: Replace outputs that exist.
        inputs: Files (or URLs, GDAL paths) that no output may replace, whatever `overwrite` says.
        former: Names of an earlier run's outputs: with `overwrite`, those that this run does not
            make go when its own are in place, and what other programs keep beside those that are
            replaced. Inputs and what is no plain file stay. None: all of it stays.
        place: What the user named, and how, for the remedies: "file (-o)".

    Attributes:
        work: Folder for partial work that outlives this run; what an earlier one kept is there, and
            stays unless `publish` or `keep_work` says otherwise.

    Raises:
        OutputError: The folder cannot be written, an output exists, is an input, or is being made
            by another run.
    """

    def __init__(
        self,
        folder: str | Path,
        names: Mapping[str, str],
        *,
        overwrite: bool = False,
        inputs: Iterable[str | Path] = (),
        former: Iterable[str] | None = (),
        place: str = FOLDER,
    ) -> None:
        inputs = list(inputs)
        self._folder = Path(folder)
        self._names = dict(names)
        self._overwrite = overwrite
        self.recover(folder, names, place)
        refuse_clashes(self._folder, self._names, overwrite, inputs, place=place)
        self._leftovers: list[Path] = []
        if overwrite and former is not None:
            self._leftovers = find_leftovers(self._folder, self._names, former, inputs)
        self._hidden = _hidden(self._folder, self._names)
        self._keep = self._moving = False
        self._made: list[Path] = []
        try:
            self._made = [*_make_folder(self._folder), *_make_folder(self._hidden)]
            self._lock = _take_lock(self._hidden, place)
        except OSError as error:
            self._remove_made()
            raise _unwritable(self._folder, error, place) from error
        self.work = self._hidden / _WORK
        self._keep = self.work.exists()
        self._remove_drafts()

    @classmethod
    def for_file(
        cls,
        path: str | Path,
        key: str,
        *,
        flag: str = "-o",
        overwrite: bool = False,
        inputs: Iterable[str | Path] = (),
    ) -> Self:
        """Make one for a single file that the user names.

        Args:
            path: Its final path.
            key: Its key.
            flag: The option that names it.
            overwrite: Replace it.
            inputs: As of the class.

        Raises:
            OutputError: As of the class, or the path is empty.
        """
        path, place = Path(path), f"file ({flag})"
        if not path.name:
            raise OutputError("the name of an output is empty", remedy=f"Name a {place}.")
        return cls(path.parent, {key: path.name}, overwrite=overwrite, inputs=inputs, place=place)

    @staticmethod
    def check(
        folder: str | Path,
        names: Mapping[str, str],
        *,
        overwrite: bool = False,
        inputs: Iterable[str | Path] = (),
    ) -> None:
        """Raise what making a `Staging` would raise; leave nothing behind.

        Raises:
            OutputError: As making a `Staging` does.
        """
        folder = Path(folder)
        Staging.recover(folder, names)
        refuse_clashes(folder, names, overwrite, inputs)
        made: list[Path] = []
        try:
            made = _make_folder(folder)
            Path(tempfile.mkdtemp(prefix=HIDDEN_PREFIX, dir=folder)).rmdir()
            hidden = _hidden(folder, names)
            if hidden.exists():
                _take_lock(hidden).release()
        except OSError as error:
            raise _unwritable(folder, error) from error
        finally:
            _remove_folders(made)

    @staticmethod
    def recover(folder: str | Path, names: Mapping[str, str], place: str = FOLDER) -> None:
        """Bring to its end what a run was killed at while it published these outputs.

        What is whole gets its final names; else all of it is taken back.

        Raises:
            OutputError: Another run is making them, or the folder cannot be written.
        """
        folder = Path(folder)
        hidden = _hidden(folder, names)
        if not os.path.lexists(hidden):
            return
        try:
            lock = _take_lock(hidden, place)
            try:
                if moves.recover(hidden):
                    shutil.rmtree(hidden, ignore_errors=True)
            finally:
                lock.release()
        except OSError as error:
            raise _unwritable(folder, error, place) from error

    @staticmethod
    def work_of(folder: str | Path, names: Mapping[str, str]) -> Path:
        """Return where `work` of these outputs lies; it need not be there."""
        return _hidden(Path(folder), names) / _WORK

    @staticmethod
    def places(folder: str | Path, names: Mapping[str, str]) -> dict[str, Path | None]:
        """Say where outputs lie that are there, or will be after `recover`; nothing is touched.

        Returns:
            Key -> the final path, or the one in the hidden folder from where `recover` would move
            it; None for what `recover` would take back.

        Raises:
            OutputError: Another run is making them.
        """
        folder = Path(folder)
        hidden = _hidden(folder, names)
        _refuse_if_locked(hidden)
        recovery = moves.plan_recovery(hidden)
        places: dict[str, Path | None] = {}
        for key, name in names.items():
            if recovery is not None and recovery.whole and name in recovery.rest:
                places[key] = hidden / name
            elif recovery is not None and name in recovery.restored:
                places[key] = moves.earlier(hidden, name)
            elif recovery is not None and not recovery.whole and name in recovery.unwanted:
                places[key] = None
            else:
                places[key] = folder / name
        return places

    @staticmethod
    def check_without_writing(
        folder: str | Path,
        names: Mapping[str, str],
        *,
        overwrite: bool = False,
        inputs: Iterable[str | Path] = (),
    ) -> None:
        """Raise what making a `Staging` would raise, as far as looking tells; touch nothing.

        Raises:
            OutputError: As making a `Staging` does.
        """
        folder = Path(folder)
        places = Staging.places(folder, names)
        there = [
            folder / names[key] for key, path in places.items() if path and os.path.lexists(path)
        ]
        refuse_clashes(folder, names, overwrite, inputs, there)
        nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not nearest.is_dir():
            raise _unwritable(folder, NotADirectoryError(errno.ENOTDIR, "Not a directory"))
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise _unwritable(folder, PermissionError(errno.EACCES, "Permission denied"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def path(self, key: str) -> Path:
        """Return where to write the output of a key: its final name in the hidden folder."""
        return self._hidden / self._names[key]

    def scratch(self, name: str) -> Path:
        """Return where to write a file that the run needs and nobody else: it is not published."""
        return self._hidden / name

    def publish(self) -> dict[str, Path]:
        """Move every output to its final name and remove the hidden folder.

        Returns:
            Key -> final path.

        Raises:
            WriteError: An output was not written, cannot be moved, or (without `overwrite`) exists
                by now: none of this run is left, and what was there before is there again.
        """
        final = {key: self._folder / name for key, name in self._names.items()}
        at = self._folder
        try:
            for key in self._names:
                # A full disk may show only now; better before the first move than after.
                moves.sync(self.path(key))
            # Whatever happens from here on, the note tells how it is mended.
            self._moving = True
            moves.write_note(
                self._hidden,
                self._names.values(),
                overwrite=self._overwrite,
                leftovers=self._leftovers,
            )
            if self._overwrite:
                moves.set_aside(self._hidden, self._names.values())
            for key, at in final.items():
                moves.move(self.path(key), at, overwrite=self._overwrite)
            moves.sync_folder(self._folder)
        except BaseException as error:
            self._moving = self._moving and not moves.undo(self._hidden)
            if isinstance(error, FileExistsError):
                raise WriteError(
                    "another run has written it meanwhile",
                    where=at,
                    remedy="The other run's file is kept; no output of this run was left behind.",
                ) from error
            if isinstance(error, OSError):
                told = write_error(error, at)
                if self._moving:
                    told.remedy = (
                        "Run the same again when files can be moved in this folder: what stood "
                        "here before is put back first."
                    )
                raise told from error
            raise
        self._moving = False
        for path in self._leftovers:
            with contextlib.suppress(OSError):
                path.unlink()
        self._made = []
        self._keep = False
        self.close()
        return final

    def keep_work(self, keep: bool = True) -> None:
        """Say whether what is in `work` survives this run, unless it publishes."""
        self._keep = keep

    def close(self) -> None:
        """Remove the hidden folder with all that is in it but work to be kept."""
        if self._keep and not self._moving and self.work.exists():
            self._remove_drafts()
        elif not self._moving:
            shutil.rmtree(self._hidden, ignore_errors=True)
        self._lock.release()
        self._remove_made()

    def _remove_drafts(self) -> None:
        for path in self._hidden.iterdir():
            if path.name not in (_LOCK, _WORK):
                with contextlib.suppress(OSError):
                    path.unlink()

    def _remove_made(self) -> None:
        _remove_folders(self._made)
        self._made = []


def _make_folder(folder: Path) -> list[Path]:
    """Create a folder; return those that were missing, outermost first."""
    missing: list[Path] = []
    for path in (folder, *folder.parents):
        if path.exists():
            break
        missing.insert(0, path)
    made = []
    for path in missing:
        path.mkdir(exist_ok=True)
        made.append(path)
    return made


def _remove_folders(made: Sequence[Path]) -> None:
    for path in reversed(made):
        # Not empty: someone else has put something there.
        with contextlib.suppress(OSError):
            path.rmdir()


def _hidden(folder: Path, names: Mapping[str, str]) -> Path:
    *_, mark = names.values()
    return folder / f"{HIDDEN_PREFIX}{mark}"


def _take_lock(hidden: Path, place: str = FOLDER) -> FileLock:
    """Lock a hidden folder; the system frees the lock of a process that is gone.

    Raises:
        OutputError: Another run holds it.
    """
    lock = FileLock(hidden / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise OutputError(
            "another run is making these outputs",
            where=hidden.parent,
            remedy=f"Wait for it, or choose another {place}.",
        ) from None
    return lock


def _refuse_if_locked(hidden: Path) -> None:
    """Refuse outputs that another run is making; a lock that is there is tried, none is made."""
    with contextlib.suppress(OSError):
        if (hidden / _LOCK).exists():
            _take_lock(hidden).release()


def check_reach(folder: str | Path) -> None:
    """Refuse an output folder below one that may not be entered.

    Raises:
        OutputError: It is so.
    """
    try:
        Path(folder).exists()
    except OSError as error:
        raise _unwritable(Path(folder), error) from error


def _unwritable(folder: Path, error: OSError, place: str = FOLDER) -> OutputError:
    return OutputError(
        f"the output folder cannot be written: {error.strerror or error}",
        where=folder,
        remedy=f"Choose another {place}.",
    )
