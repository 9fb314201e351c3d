"""Partial work that survives a kill: finished rows in a log, and the state to go on from.

The log only grows. A commit first brings it to the disk, then replaces the state, which says how
far the log counts: whatever a kill leaves behind that point is cut off. Nothing else is kept, so a
run that continues computes the same as one that was never interrupted.
"""

import contextlib
import json
import os
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rsclip.files import new_file
from rsclip.outputs.files.disk import write_error

__all__ = ["Checkpoint", "State", "has_finished_rows", "windows_done"]

State = Mapping[str, np.ndarray]
"""Arrays by name, of no Python objects."""

_SECONDS = 5.0
# Commits that take longer, of wide scenes and many words on a slow disk, are as much rarer.
_CHEAP = 0.25
_LOG = "rows.log"
_STATE = "state.npz"
_FINGERPRINT = "fingerprint.json"
_LENGTH = struct.Struct("<I")
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, struct.error)


class Checkpoint:
    """The partial work of one scene.

    Args:
        folder: Its own; made at the first commit.
        fingerprint: Plain values of all that the pixels depend on.
        resume: Go on from what is there, if it has this fingerprint; else it is removed.
        seconds: Least time between commits.

    Attributes:
        state: What the last commit held; None where there is nothing to go on from.
        discarded: Partial work of another fingerprint, or a damaged one, was removed.
    """

    def __init__(
        self,
        folder: Path,
        fingerprint: Mapping[str, Any],
        *,
        resume: bool,
        seconds: float | None = None,
    ) -> None:
        self._folder = folder
        self._seconds = self._wait = _SECONDS if seconds is None else seconds
        self._fingerprint = _text(fingerprint)
        self._log: BinaryIO | None = None
        self._last = time.monotonic()
        self.state: State | None = None
        self.discarded = False
        if resume and folder.exists():
            self.state = self._load()
            self.discarded = self.state is None
        if self.state is None:
            self._clear()

    def claim(self) -> bool:
        """Say whether it is time for a commit; if so, the time to the next one begins."""
        if time.monotonic() - self._last < self._wait:
            return False
        self._last = time.monotonic()
        return True

    def replay(self) -> Iterator[tuple[str, int, np.ndarray]]:
        """Yield (name, first row, pixels) of all rows that the state counts, in order."""
        if self.state is None:
            return
        with (self._folder / _LOG).open("rb") as log:
            yield from _records(log, int(self.state["log"]))

    def add(self, name: str, row: int, pixels: np.ndarray) -> None:
        """Log finished rows; they count from the next commit on.

        Args:
            name: Of the output they belong to.
            row: First row.
            pixels: Of any type, (n, W) or (C, n, W).

        Raises:
            WriteError: The disk is full.
        """
        with self._guard(_LOG):
            log = self._open_log()
            head = json.dumps([name, row, pixels.dtype.str, pixels.shape]).encode()
            body = zlib.compress(np.ascontiguousarray(pixels).data, 1)
            log.write(_LENGTH.pack(len(head)) + head + _LENGTH.pack(len(body)))
            log.write(body)

    def commit(self, state: State) -> None:
        """Make all rows logged so far count, together with the state that follows them.

        Raises:
            WriteError: The disk is full; the commit before still counts.
        """
        began = time.monotonic()
        with self._guard(_STATE):
            log = self._open_log()
            log.flush()
            os.fsync(log.fileno())
            self._put(_FINGERPRINT, self._fingerprint.encode())
            arrays: dict[str, Any] = {**state, "log": np.asarray(log.tell())}
            with new_file(self._folder / _STATE) as draft, draft.open("wb") as file:
                np.savez(file, **arrays)
        self._last = time.monotonic()
        self._wait = self._seconds * max(1.0, (self._last - began) / _CHEAP)

    def close(self) -> None:
        """Close the log; what was committed stays."""
        if self._log is not None:
            with contextlib.suppress(OSError):
                self._log.close()
            self._log = None

    def _load(self) -> State | None:
        try:
            if (self._folder / _FINGERPRINT).read_text() != self._fingerprint:
                return None
            with np.load(self._folder / _STATE, allow_pickle=False) as file:
                state = {name: file[name] for name in file.files}
            with (self._folder / _LOG).open("rb") as log:
                # Every record is read once here, so that a damaged log is known before it is used.
                for _ in _records(log, int(state["log"])):
                    pass
        except _DAMAGE:
            return None
        return state

    def _clear(self) -> None:
        for name in (_STATE, f".{_STATE}.new", _LOG, _FINGERPRINT):
            with contextlib.suppress(OSError):
                (self._folder / name).unlink()

    def _open_log(self) -> BinaryIO:
        if self._log is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            length = int(self.state["log"]) if self.state is not None else 0
            self._log = (self._folder / _LOG).open("r+b" if length else "wb")
            self._log.truncate(length)
            self._log.seek(length)
        return self._log

    def _put(self, name: str, content: bytes) -> None:
        path = self._folder / name
        if path.exists():
            return
        with new_file(path) as draft:
            draft.write_bytes(content)

    @contextlib.contextmanager
    def _guard(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise write_error(error, self._folder / name) from error


def has_finished_rows(folder: Path) -> bool:
    """Say whether a run, or a band of one, left rows in a folder for `--resume` to go on from."""
    return any(folder.rglob(_STATE))


def windows_done(folder: Path, fingerprint: Mapping[str, Any]) -> int:
    """Return how many windows a run need not do again that goes on from here; nothing is touched.

    Args:
        folder: As `Checkpoint` takes it, and the other.
        fingerprint: Plain values of all that the pixels depend on.
    """
    try:
        if (folder / _FINGERPRINT).read_text() != _text(fingerprint):
            return 0
        with np.load(folder / _STATE, allow_pickle=False) as state:
            whole = (folder / _LOG).stat().st_size >= int(state["log"])
            return int(state["tile"]) if whole else 0
    except _DAMAGE:
        return 0


def _text(fingerprint: Mapping[str, Any]) -> str:
    return json.dumps(fingerprint, sort_keys=True, default=str)


def _records(log: BinaryIO, stop: int) -> Iterator[tuple[str, int, np.ndarray]]:
    while log.tell() < stop:
        (length,) = _LENGTH.unpack(log.read(_LENGTH.size))
        name, row, dtype, shape = json.loads(log.read(length))
        (length,) = _LENGTH.unpack(log.read(_LENGTH.size))
        pixels = np.frombuffer(zlib.decompress(log.read(length)), dtype).reshape(shape)
        yield name, row, pixels
