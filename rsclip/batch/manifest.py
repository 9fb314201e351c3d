"""`manifest.jsonl`: how every scene of a batch ended; appended line by line, readable after a kill.

The first line names the version. Every other line is one outcome, or names files over all scenes
(mosaics, merged polygons, a catalogue). If a scene has several lines, the last one counts; what it
lacks, such as the outputs that a failed try left alone, is taken from the line before. The next
batch removes a line that a kill cut short, and old lines once most lines are out of date.
"""

import contextlib
import csv
import io
import json
import os
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from rsclip.batch.tasks import Outcome, Problem, Status, Task
from rsclip.errors import InputError, OutputError, warn
from rsclip.files import new_file
from rsclip.outputs.files.disk import write_error
from rsclip.outputs.records.record import to_plain
from rsclip.run.provenance import without_secrets
from rsclip.version import __version__

__all__ = [
    "MANIFEST",
    "POLYGONS",
    "TABLE",
    "Manifest",
    "is_table",
    "read_extras",
    "read_manifest",
    "write_table",
]

MANIFEST = "manifest.jsonl"
TABLE = "manifest.csv"
POLYGONS = "polygons.gpkg"
"""The merged polygons."""

_EXTRAS = "extras"
_VERSION_KEY = "rsclip_manifest"
_VERSION = 1
_HEAD = {_VERSION_KEY: _VERSION, "rsclip": __version__}
_LOCK = ".rsclip-manifest.lock"
# A nightly job adds a line for every scene that it skips; beyond these numbers old lines go.
_LINES_A_SCENE = 3
_MORE_LINES = 20
_COLUMNS = (
    "scene", "status", "folder", "mask", "record", "seconds", "tries", "warnings", "error",
    "message", "ended", "worker", "settings_hash",
)  # fmt: skip

_KINDS = {"scene": str, "folder": str, "settings": dict, "outputs": dict, "shares": dict}


class Manifest:
    """The manifest of an output folder, open for appending; a context manager.

    Args:
        folder: The output folder, created if missing.

    Raises:
        OutputError: Another batch is writing it, or the folder cannot be written.
        InputError: The file there is of another version, or is no manifest.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / MANIFEST
        self._lock = FileLock(folder / _LOCK)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise OutputError(
                "another batch is writing into this folder",
                where=folder,
                remedy="Wait until it ends, or choose another folder (-o).",
            ) from error
        except OSError as error:
            raise OutputError(
                f"the output folder cannot be written: {error.strerror or error}",
                where=folder,
                remedy="Choose another folder with -o.",
            ) from error
        try:
            length = _whole_length(self.path)
            if length and (fewer := _compacted(self.path)) is not None:
                _replace(self.path, fewer)
                length = len(fewer)
            self._file = self.path.open("r+b" if length else "wb")
            self._file.truncate(length)
            self._file.seek(length)
            if not length:
                self._append(_HEAD)
        except BaseException as error:
            self._lock.release()
            if isinstance(error, OSError):
                raise write_error(error, self.path) from error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After a full disk half a line is left to write: the next batch removes it.
        with contextlib.suppress(OSError):
            self._file.close()
        self._lock.release()

    def append(self, outcome: Outcome) -> None:
        """Add one outcome; it is on the disk when this returns.

        Raises:
            WriteError: The disk is full.
        """
        try:
            self._append(_line(outcome))
        except OSError as error:
            raise write_error(error, self.path) from error

    def append_extras(self, names: Sequence[str]) -> None:
        """Record files over all scenes, before they are written, as made by a batch.

        Raises:
            WriteError: The disk is full.
        """
        try:
            self._append({_EXTRAS: list(names)})
        except OSError as error:
            raise write_error(error, self.path) from error

    def _append(self, content: Mapping[str, Any]) -> None:
        # One write: a kill leaves the whole line, a part of it, or nothing.
        self._file.write(_encoded(content))
        self._file.flush()
        os.fsync(self._file.fileno())


def read_manifest(path: str | Path) -> list[Outcome]:
    """Return every scene's last outcome, in the order of the scenes' first lines.

    A damaged line is skipped with a warning.

    Args:
        path: The file, or the folder it is in.

    Raises:
        InputError: It is missing, of another version, or no manifest.
    """
    last: dict[tuple[str, str], Outcome] = {}
    for number, line in _lines(path):
        if _EXTRAS in line:
            continue
        try:
            outcome = _outcome(line)
        except (ValueError, KeyError, TypeError, AttributeError):
            _warn_of(path, number)
            continue
        key = outcome.task.source, outcome.task.folder
        last[key] = _with_earlier(last.get(key), outcome)
    return list(last.values())


def read_extras(path: str | Path) -> set[str]:
    """Return the names of all files over all scenes that a folder's batches wrote.

    Args:
        path: The manifest, or the folder it is in; there may be none.

    Raises:
        InputError: It is of another version, or no manifest.
    """
    if not _file(path).exists():
        return set()
    named = (line.get(_EXTRAS) for _, line in _lines(path))
    return {name for names in named if isinstance(names, list) for name in names}


def _encoded(content: Mapping[str, Any]) -> bytes:
    plain = to_plain(content)
    try:
        return json.dumps(plain, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except UnicodeEncodeError:
        # JSON's escapes keep a file name that is not UTF-8.
        return json.dumps(plain, allow_nan=False).encode() + b"\n"


def _compacted(path: Path) -> bytes | None:
    """Return the manifest without its superseded lines; None while they are few."""
    outcomes = read_manifest(path)
    if path.read_bytes().count(b"\n") <= _LINES_A_SCENE * len(outcomes) + _MORE_LINES:
        return None
    extras = sorted(read_extras(path))
    lines: list[Mapping[str, Any]] = [_HEAD, *map(_line, outcomes)]
    if extras:
        lines.append({_EXTRAS: extras})
    return b"".join(map(_encoded, lines))


def _replace(path: Path, content: bytes) -> None:
    with new_file(path) as draft:
        draft.write_bytes(content)


def _file(path: str | Path) -> Path:
    path = Path(path)
    return path / MANIFEST if path.is_dir() else path


def _lines(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and content of every line after the first; {} for a line that is no JSON."""
    path = _file(path)
    length = _whole_length(path, must_exist=True)
    content = path.read_bytes()[:length]
    for number, line in enumerate(content.split(b"\n")[1:-1], 2):
        try:
            read = json.loads(line)
        except ValueError:
            read = None
        yield number, read if isinstance(read, dict) else {}


def _warn_of(path: str | Path, number: int) -> None:
    warn(f"{_file(path)}: line {number} is damaged and is skipped")


def _with_earlier(earlier: Outcome | None, outcome: Outcome) -> Outcome:
    """Return an outcome, completed from the scene's earlier one.

    A try that failed leaves the outputs of an earlier try alone; a try that did nothing, because
    they were finished or in the way, has neither their seconds nor their warnings.
    """
    if earlier is None or not earlier.outputs:
        return outcome
    if outcome.problem is not None and not outcome.outputs:
        outcome = outcome.replace(
            outputs=earlier.outputs, settings_hash=earlier.settings_hash, shares=earlier.shares
        )
    if outcome.refused:
        # The settings that made the existing outputs.
        outcome = outcome.replace(task=earlier.task)
    idle = outcome.status == "skipped" or outcome.refused
    if idle and outcome.settings_hash == earlier.settings_hash:
        said = tuple(dict.fromkeys((*earlier.warnings, *outcome.warnings)))
        return outcome.replace(seconds=earlier.seconds, worker=earlier.worker, warnings=said)
    return outcome


def write_table(path: Path, outcomes: Iterable[Outcome]) -> None:
    """Write outcomes as a table (CSV, UTF-8), one line per scene.

    Raises:
        WriteError: The file cannot be written.
    """
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    for outcome in outcomes:
        line = _line(outcome)
        problem = line["error"] or {"kind": "", "message": ""}
        outputs = line["outputs"]
        table.writerow(
            {
                **line,
                "mask": outputs.get("mask"),
                "record": outputs.get("record"),
                "warnings": " | ".join(line["warnings"]),
                "error": problem["kind"],
                "message": problem["message"],
            }
        )
    try:
        with new_file(path) as draft:
            # File names that are not UTF-8 are escaped.
            draft.write_text(
                text.getvalue(), encoding="utf-8", errors="backslashreplace", newline=""
            )
    except OSError as error:
        raise write_error(error, path) from error


def is_table(path: Path) -> bool:
    """Say whether a file is a table of outcomes, by its first columns."""
    head = ",".join(_COLUMNS[:4]).encode()
    try:
        with path.open("rb") as file:
            return file.read(len(head)) == head
    except OSError:
        return False


def _whole_length(path: Path, *, must_exist: bool = False) -> int:
    """Return the number of bytes up to the last whole line; check the version."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        if must_exist:
            raise InputError("no such manifest", where=path, remedy="Check the path.") from error
        return 0
    except OSError as error:
        raise InputError(
            f"the manifest cannot be read: {error.strerror or error}", where=path
        ) from error
    length = content.rfind(b"\n") + 1
    if not length:
        if must_exist or not _begun(content):
            raise _no_manifest(path)
        return 0
    try:
        head = json.loads(content[: content.find(b"\n")])
        version = head[_VERSION_KEY]
    except (ValueError, KeyError, TypeError) as error:
        raise _no_manifest(path) from error
    if version != _VERSION:
        raise InputError(
            f"the manifest has version {version} (of rsclip {head.get('rsclip', 'unknown')}), and "
            f"rsclip {__version__} reads version {_VERSION}",
            where=path,
            remedy="Use that release of rsclip, or choose another output folder (-o).",
        )
    return length


def _begun(content: bytes) -> bool:
    """Say whether this may be a version line that a kill cut short."""
    head = f'{{"{_VERSION_KEY}": {_VERSION},'.encode()
    return content.startswith(head) or head.startswith(content)


def _no_manifest(path: Path) -> InputError:
    return InputError(
        "not a manifest of rsclip",
        where=path,
        remedy="Check the path, or choose another output folder (-o).",
    )


def _line(outcome: Outcome) -> dict[str, Any]:
    task, problem = outcome.task, outcome.problem
    return {
        "scene": without_secrets(task.source),
        "status": outcome.status,
        "folder": task.folder,
        "classes": task.classes,
        "settings": task.settings,
        "outputs": outcome.outputs,
        "shares": outcome.shares,
        "settings_hash": outcome.settings_hash,
        "seconds": outcome.seconds,
        "ended": outcome.ended,
        "worker": outcome.worker,
        "tries": outcome.tries,
        "warnings": outcome.all_warnings,
        "error": problem and {"kind": problem.kind, "message": problem.message},
    }


def _outcome(line: Mapping[str, Any]) -> Outcome:
    problem = line["error"]
    if line["status"] not in typing.get_args(Status):
        raise ValueError(line["status"])
    if not all(isinstance(line[name], kind) for name, kind in _KINDS.items()):
        raise TypeError(line)
    return Outcome(
        Task(line["scene"], line["folder"], line["classes"], line["settings"]),
        line["status"],
        line["seconds"],
        line["ended"],
        line["worker"],
        line["tries"],
        line["outputs"],
        line["settings_hash"],
        line["shares"],
        tuple(line["warnings"]),
        problem=problem and Problem(problem["kind"], problem["message"]),
    )
