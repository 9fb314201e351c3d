"""What is in the way of outputs, or would be left of earlier ones beside them."""

import os
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rsclip.errors import ExistsError, OutputError
from rsclip.files import expand

__all__ = ["FOLDER", "find_leftovers", "refuse_clashes"]

FOLDER = "folder (-o)"
"""How a remedy names the place of outputs, unless the user names a single file."""

# Ending of an output -> what may stand in its place in the names of files of other programs.
_BESIDE = {
    ".gpkg": (".gpkg-wal", ".gpkg-shm", ".gpkg-journal"),
    ".shp": (".qix", ".sbn", ".sbx", ".idm", ".ind"),
    ".tif": (".tif.aux.xml", ".tif.ovr", ".tif.msk"),
}
# File systems take 255 bytes; drafts and GDAL's own temporary files are named after the final one.
_LONGEST_NAME = 255 - len("-draft.tif.aux.xml")


def refuse_clashes(
    folder: Path,
    names: Mapping[str, str],
    overwrite: bool,
    inputs: Iterable[str | Path],
    there: Sequence[Path] | None = None,
    place: str = FOLDER,
) -> None:
    """Refuse names that cannot be used, are taken, or are an input's.

    Args:
        folder: The output folder.
        names: Key -> final file name.
        overwrite: Outputs that are there may be replaced.
        inputs: Files (or URLs, GDAL paths) that no output may replace.
        there: Outputs that count as existing. Default: the files that exist.
        place: What the user named, and how, for the remedies.

    Raises:
        OutputError: The first thing that is wrong; `ExistsError` for outputs that are there.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError("not a folder", where=folder, remedy=f"Choose another {place}.")
    for name in (str(folder), *names.values()):
        plain = name.encode("utf-8", "backslashreplace").decode()
        if plain != name:
            raise OutputError(
                "the name is not UTF-8, which GDAL needs", where=plain, remedy="Choose another."
            )
    for name in names.values():
        if len(os.fsencode(name)) > _LONGEST_NAME:
            raise OutputError(
                f"the output's name has {len(name)} letters, too many for most file systems",
                where=folder / name,
                remedy="Rename the scene." if place == FOLDER else f"Choose another {place}.",
            )
    final = [folder / name for name in names.values()]
    for given in inputs:
        for path in final:
            if any(_same(path, item) for item in _files_of(given)):
                raise OutputError(
                    f"would be written over the input {given}",
                    where=path,
                    remedy=f"Choose another {place}; inputs are never replaced.",
                )
    if there is None:
        there = [path for path in final if os.path.lexists(path)]
    folders = [path for path in there if path.is_dir() and not path.is_symlink()]
    if folders:
        raise OutputError("a folder has this name", where=folders[0], remedy="Rename it.")
    if there and not overwrite:
        rest = ", ".join(path.name for path in there)
        raise ExistsError(
            f"outputs exist already: {rest}",
            where=folder,
            remedy=f"Replace them with --overwrite, or choose another {place}.",
        )


def find_leftovers(
    folder: Path, names: Mapping[str, str], former: Iterable[str], inputs: Iterable[str | Path]
) -> list[Path]:
    """Return what an earlier run has left and this one does not replace.

    What other programs keep beside a file that is replaced, journals, spatial indexes and
    statistics, would be read as the new one's.

    Args:
        folder: The output folder.
        names: Key -> final file name, of this run.
        former: Names of the earlier run's outputs.
        inputs: Files that stay.
    """
    beside = (
        f"{name.removesuffix(ending)}{part}"
        for name in names.values()
        for ending, parts in _BESIDE.items()
        if name.lower().endswith(ending)
        for part in parts
    )
    kept = [folder / name for name in names.values()]
    kept += [path for given in inputs for path in _files_of(given)]
    return [
        folder / name
        for name in dict.fromkeys((*former, *beside))
        # Names only: what a record says must not lead out of its folder.
        if name == Path(name).name
        and (folder / name).is_file()
        and not any(_same(folder / name, path) for path in kept)
    ]


def _files_of(given: str | Path) -> list[Path]:
    """Return the files that an input may mean: itself, or what a GDAL path or URL wraps."""
    text = str(given)
    parts = [text]
    if text.startswith("vrt://"):
        parts.append(text.removeprefix("vrt://").partition("?")[0])
    if text.startswith("file:"):
        parts.append(urllib.parse.unquote(urllib.parse.urlsplit(text).path))
    if ":" in text:
        # GTIFF_DIR:1:/data/a.tif and NETCDF:"a.nc":band; a drive letter is taken along.
        pieces = text.replace('"', "").split(":")
        parts += [piece for start in range(1, len(pieces)) for piece in (":".join(pieces[start:]),)]
        parts += pieces[1:]
    if text.startswith("/vsi"):
        # /vsisubfile/0_100,/data/a.tif, /vsizip//data/a.zip/b.tif
        parts += [text.split(",")[-1], "/" + text.split("/", 2)[-1].lstrip("/")]
    return [expand(part) for part in parts if part]


def _same(path: Path, other: Path) -> bool:
    try:
        if path.exists() and other.exists():
            # Also sees hard links, and file systems that do not tell case apart.
            return path.samefile(other)
        return path.resolve() == other.resolve()
    except (OSError, ValueError, RuntimeError):
        return False
