"""Which scenes a batch has, from folders, patterns and lists, and where their outputs go."""

import contextlib
import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsclip.batch.manifest import read_extras
from rsclip.errors import InputError, OptionError, OutputError, warn
from rsclip.files import expand, read_rows, read_text
from rsclip.outputs.rasters.scores import SCORES
from rsclip.scene.raster_files import raster_files
from rsclip.scene.source import is_there, is_virtual, place_within, stem_of

__all__ = ["LIST_SUFFIXES", "Entry", "absolute_source", "find_scenes", "refuse_twins"]

LIST_SUFFIXES = frozenset({".txt", ".csv"})

_COLUMNS = {"scene": "scene", "path": "scene", "classes": "classes", "bands": "bidx",
            "bidx": "bidx", "gsd": "gsd", "folder": "folder"}  # fmt: skip
_WILD = re.compile(r"[*?\[]")
_RUN = "_run.json"
_COMPARED = "_compare.json"
_RASTERS = ("mask", "preview", *SCORES)


@dataclass(frozen=True, slots=True)
class Entry:
    """A scene as the inputs name it.

    Attributes:
        source: Absolute path, URL or GDAL virtual path.
        folder: Folder of its outputs below the output folder, "/" between parts.
        classes: Its own classes, if a list names them.
        settings: Its own options, if a list names them.
        given: The input that named it, for messages.
    """

    source: str
    folder: str = ""
    classes: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    given: str = ""


def find_scenes(
    inputs: Sequence[str | Path], output_dir: str | Path, *, recursive: bool = False
) -> list[Entry]:
    """Return the scenes of folders, patterns, lists and plain names, each once, in a fixed order.

    Outputs keep the layout below a folder, below the fixed part of a pattern, and below a list's
    own folder; those of other inputs go into one folder.

    Args:
        inputs: Folders, patterns with *, ?, [] or **, lists (.txt, .csv), files, URLs.
        output_dir: Files below it are no scenes, nor are outputs of rsclip anywhere.
        recursive: Look into the folders of folders too.

    Raises:
        InputError: A folder or a pattern has no scene, or files of a list are missing.
        OutputError: Two scenes would be written under one name.
    """
    entries: list[Entry] = []
    for given in map(str, inputs):
        entries += _entries(given, Path(output_dir), recursive)
    if not entries:
        raise InputError("no scene was named", remedy="Give folders, patterns, lists or files.")
    unique = list({(item.source, item.folder): item for item in reversed(entries)}.values())[::-1]
    refuse_twins(unique)
    return unique


def refuse_twins(entries: Iterable[Entry]) -> None:
    """Refuse two scenes with the same output names.

    Raises:
        OutputError: Names both scenes.
    """
    seen: dict[str, Entry] = {}
    for entry in entries:
        stem = stem_of(entry.source)
        name = f"{entry.folder}/{stem}" if entry.folder else stem
        # Names that differ in case only are one file on Windows and macOS.
        twin = seen.setdefault(name.lower(), entry)
        if twin is not entry:
            raise OutputError(
                f"both would be written as {name}_mask.tif",
                where=f"{twin.source} and {entry.source}",
                remedy="Give the folder above them, or a list with a column `folder`.",
            )


def _entries(given: str, output_dir: Path, recursive: bool) -> list[Entry]:
    path = expand(given)
    if path.is_dir():
        return _of_folder(path, given, output_dir, recursive)
    if path.suffix.lower() in LIST_SUFFIXES and not _is_pattern(given):
        return _of_list(path)
    if _is_pattern(given):
        return _of_pattern(given, output_dir)
    if not is_virtual(given) and not path.exists():
        raise InputError("no such file or folder", where=given, remedy="Check the path.")
    return [Entry(absolute_source(given), given=given)]


def _is_pattern(given: str) -> bool:
    return bool(_WILD.search(given)) and not is_virtual(given) and not Path(given).exists()


def _of_folder(root: Path, given: str, output_dir: Path, recursive: bool) -> list[Entry]:
    # Walking leaves out what may not be read, without a word.
    next(root.iterdir(), None)
    files = list(_walk(root, recursive))
    found = raster_files(path for path in files if not _is_own(path, output_dir, root))
    if not found:
        deeper = not recursive and bool(raster_files(_walk(root, True)))
        if deeper:
            remedy = "Its subfolders have scenes: use --recursive."
        elif files:
            remedy = (
                "No file has a suffix of GDAL's raster formats; name files by a pattern or a list."
            )
        else:
            remedy = "Check the path."
        what = "no scene in this folder" if files or deeper else "the folder is empty"
        raise InputError(what, where=given, remedy=remedy)
    return [_below(path, root, given) for path in found]


def _walk(root: Path, recursive: bool) -> Iterator[Path]:
    for folder, folders, names in os.walk(root, onerror=_say_left_out):
        folders[:] = sorted(name for name in folders if not name.startswith(".")) * recursive
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def _say_left_out(error: OSError) -> None:
    warn(f"{error.filename}: its scenes are left out ({error.strerror})")


def _of_pattern(given: str, output_dir: Path) -> list[Entry]:
    pattern = str(expand(given))
    parts = Path(pattern).parts
    fixed = next(index for index, part in enumerate(parts) if _WILD.search(part))
    root = Path(*parts[:fixed])
    found = [
        path
        for path in map(Path, sorted(glob.glob(pattern, recursive=True)))  # noqa: PTH207
        if path.is_file() and not _is_own(path, output_dir, root)
    ]
    if not found:
        raise InputError("nothing matches this pattern", where=given, remedy="Check the pattern.")
    return [_below(path, root, given) for path in found]


def _below(path: Path, root: Path, given: str) -> Entry:
    folder = path.parent.relative_to(root).as_posix()
    return Entry(absolute_source(str(path)), "" if folder == "." else folder, given=given)


def _is_own(path: Path, output_dir: Path, root: Path) -> bool:
    """Say whether rsclip wrote a file: it is an output of a run, or below the output folder."""
    inside = output_dir.absolute()
    if inside != root.absolute() and inside in path.absolute().parents:
        return True
    stem, _, kind = path.stem.rpartition("_")
    # A run that was killed while it renamed its outputs still has its hidden folder.
    records = (f"{stem}{_RUN}", f".rsclip-{stem}{_RUN}")
    if kind in _RASTERS and any((path.parent / name).exists() for name in records):
        return True
    # `rsclip compare` puts the method's name before "mask".
    scene = stem.rpartition("_")[0] if kind == "mask" else stem
    if kind in ("mask", "compare") and (path.parent / f"{scene}{_COMPARED}").exists():
        return True
    if not path.name.startswith("mosaic"):
        return False
    # The manifest.jsonl of another program is no reason to stop.
    with contextlib.suppress(InputError):
        return path.name in read_extras(path.parent)
    return False


def _of_list(path: Path) -> list[Entry]:
    text = read_text(path, "list", InputError)
    read = _csv_lines if path.suffix.lower() == ".csv" else _text_lines
    entries, missing = [], []
    for number, line in read(text, path):
        source, folder, exists = _place(line["scene"], path)
        if not exists:
            missing.append(f"line {number}: {line['scene']}")
        given = f"{path}, line {number}"
        folder = _folder(line.get("folder"), folder, given)
        settings = _settings(line, given)
        entries.append(Entry(source, folder, line.get("classes"), settings, given))
    if missing:
        count = f"{len(missing)} files are" if len(missing) > 1 else "a file is"
        raise InputError(
            f"{count} missing: {'; '.join(missing)}",
            where=path,
            remedy="Relative paths start at the list's folder.",
        )
    if not entries:
        raise InputError("the list names no scene", where=path, remedy="Name one scene per line.")
    return entries


def _text_lines(text: str, _path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, {"scene": line.strip()}


def _csv_lines(text: str, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    columns: list[str] | None = None
    for number, cells in read_rows(text, path, InputError):
        if columns is None:
            columns = _columns(cells, path)
            continue
        if len(cells) != len(columns):
            raise InputError(
                f"line {number} has {len(cells)} cells, the header {len(columns)}",
                where=path,
                remedy='Put cells that hold a comma in quotes: "4,1,2".',
            )
        line = {name: cell for name, cell in zip(columns, cells, strict=True) if cell}
        if "scene" not in line:
            raise InputError(f"line {number} names no scene", where=path)
        yield number, line


def _columns(cells: list[str], path: Path) -> list[str]:
    names = [name.lower() for name in cells]
    unknown = [name for name in names if name not in _COLUMNS]
    columns = [_COLUMNS.get(name, "") for name in names]
    if unknown:
        what = f"unknown column {', '.join(map(repr, unknown))}"
    elif "scene" not in columns:
        what = "no column `scene`"
    elif len(set(columns)) < len(columns):
        what = "a column is named twice"
    else:
        return columns
    raise InputError(
        what, where=path, remedy="Columns: scene (or path), classes, bands, gsd, folder."
    )


def _place(name: str, path: Path) -> tuple[str, str, bool]:
    """Return a listed scene's source, its folder by layout, and whether it may exist."""
    base = path.parent.absolute()
    file = Path(os.path.normpath(base / expand(name)))
    exists = is_there(file)
    if is_virtual(name) and not exists:
        source, exists = place_within(name, base)
        return source, "", exists
    folder = file.parent.relative_to(base).as_posix() if base in file.parents else "."
    return str(file), "" if folder == "." else folder, exists


def _folder(named: str | None, layout: str, given: str) -> str:
    if named is None:
        return layout
    parts = [part for part in re.split(r"[/\\]", named) if part not in ("", ".")]
    if ".." in parts or named.startswith(("/", "\\")) or Path(named).is_absolute():
        raise OptionError(
            f"the folder {named!r} is not below the output folder",
            where=given,
            remedy="Give a relative one, such as 2024/north.",
        )
    return "/".join(parts)


def _settings(line: Mapping[str, str], given: str) -> dict[str, Any]:
    readers: dict[str, Callable[[str], Any]] = {
        "bidx": lambda text: [int(part) for part in re.split(r"[,\s/]+", text)],
        "gsd": float,
    }
    settings: dict[str, Any] = {}
    for name, read in readers.items():
        try:
            if name in line:
                settings[name] = read(line[name])
        except ValueError as error:
            what, such = ("gsd", "0.5") if name == "gsd" else ("bands", "4,1,2")
            raise OptionError(
                f"{what} {line[name]!r}: not a number",
                where=given,
                remedy=f"Write {what} as {such}.",
            ) from error
    return settings


def absolute_source(given: str) -> str:
    """Return a scene as a worker finds it, which may have another working folder."""
    path = expand(given)
    if is_virtual(given) and not path.exists():
        return place_within(given, Path.cwd())[0]
    return str(path.absolute())
