"""Files as every package meets them: bundled ones, the cache, text of users, whole new files."""

import codecs
import contextlib
import csv
import importlib.util
import io
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from rsclip.errors import InputError, OutputError

__all__ = [
    "cache_folder",
    "check_new_file",
    "config_path",
    "data_path",
    "expand",
    "is_forbidden",
    "new_file",
    "parse_yaml",
    "read_rows",
    "read_text",
]

_PACKAGE = Path(__file__).resolve().parent


def config_path(*parts: str) -> Path:
    """Return a path under configs/, installed (as `rsclip_configs`) or in a checkout."""
    spec = importlib.util.find_spec("rsclip_configs")
    # Without an installation (a checkout on sys.path) configs/ stands beside rsclip/.
    folder = Path(spec.origin).parent if spec and spec.origin else _PACKAGE.parent / "configs"
    return folder.joinpath(*parts)


def data_path(*parts: str) -> Path:
    """Return a path under rsclip/data/."""
    return _PACKAGE.joinpath("data", *parts)


_VARIABLE = "RSCLIP_CACHE"
_OFF = "off"


def cache_folder() -> Path | None:
    """Return rsclip's cache folder, which need not exist; None where there is none."""
    own = os.environ.get(_VARIABLE, "")
    if own.lower() == _OFF:
        return None
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = expand(own) if own else expand(base) / "rsclip"
    # Without a home, or in another user's, there is nowhere to keep anything.
    return None if str(folder).startswith("~") or is_forbidden(folder) else folder


def is_forbidden(folder: Path) -> bool:
    """Tell whether this user may not look into a folder, such as one in another user's home."""
    try:
        (folder / "file").stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def expand(path: str | Path) -> Path:
    """Return a path with `~` written out; as it is where there is no such user or no home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        # A service or a container may run as a user without an entry and without HOME.
        return Path(path)


def check_new_file(output: str | Path, example: str, *, overwrite: bool) -> Path:
    """Return a file's path, before the work whose result it is to hold.

    Args:
        output: The path as it was given.
        example: A name that would do, for the message.
        overwrite: A file that exists may be replaced.

    Raises:
        OutputError: It is a folder, its own folder is missing, or it exists.
    """
    path = Path(output)
    if path.is_dir() or str(output).endswith(("/", os.sep)):
        raise OutputError(
            "a folder, not a file",
            where=output,
            remedy=f"Name a file (-o), such as FOLDER/{example}.",
        )
    if not path.parent.is_dir():
        raise OutputError(
            "the folder does not exist", where=path.parent, remedy="Make it, or name another."
        )
    if path.exists() and not overwrite:
        raise OutputError("the file exists", where=path, remedy="Use --overwrite to replace it.")
    return path


@contextlib.contextmanager
def new_file(path: Path, *, synced: bool = True, shared: bool = False) -> Iterator[Path]:
    """Give the path of a draft beside `path`, which becomes `path` once it was written whole.

    Args:
        path: The final name; a file of that name is replaced.
        synced: Bring the content to the disk before the file gets its name.
        shared: Other threads or processes may write the same file now: each has its own draft.

    Raises:
        OSError: It cannot be written or renamed; the draft is gone then, and `path` as it was.
    """
    owner = f".{os.getpid()}.{threading.get_ident()}" if shared else ""
    draft = path.with_name(f".{path.name}{owner}.new")
    try:
        yield draft
        if synced:
            with draft.open("r+b") as file:
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: Path, what: str, kind: type[InputError]) -> str:
    """Read a text file of the user: UTF-8, or UTF-16 or UTF-32 with a byte order mark.

    Args:
        path: The file.
        what: What it is, such as "class file", for messages.
        kind: The error to raise.

    Raises:
        InputError: Of `kind`: the file is missing, cannot be read, or is in another encoding.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise kind(f"no such {what}", where=path, remedy="Check the path.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise kind(f"cannot read the {what}: {reason}", where=path) from error
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise kind(_misread(content, error.start, encoding), where=path, remedy=_RESAVE) from error
    if encoding == "utf-8" and "\0" in text:
        raise kind(_misread(content, 0, encoding), where=path, remedy=_RESAVE)
    return text


_RESAVE = "Save the file as UTF-8."


def _misread(content: bytes, start: int, encoding: str) -> str:
    head = content[:1000]
    zeros = [head[side::2].count(0) for side in (0, 1)]
    if encoding != "utf-8":
        return f"damaged {encoding.upper()} text"
    if max(zeros) > len(head) // 4 and min(zeros) <= len(head) // 20:
        return "not UTF-8 text: it looks like UTF-16 without a byte order mark"
    if 0 in content:
        return "not a text file"
    line = content[:start].count(b"\n") + 1
    return f"not UTF-8 text at line {line}: it may be Latin-1 or Windows-1252"


def read_rows(text: str, where: object, kind: type[InputError]) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of CSV text that are not empty: the line number, and the cells, stripped.

    Cells are separated by what the first line has most of: commas, semicolons (as spreadsheets of
    many countries write) or tabs.

    Args:
        text: The document.
        where: The file, for the message.
        kind: The error to raise.

    Raises:
        InputError: Of `kind`: the text is not CSV.
    """
    first = next(iter(text.splitlines()), "")
    separator = max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield rows.line_num, cells
    except csv.Error as error:
        raise kind(f"not valid CSV at line {rows.line_num}: {error}", where=where) from error


def parse_yaml(text: str, where: object, kind: type[InputError]) -> Any:
    """Read YAML into plain Python values.

    Args:
        text: The document.
        where: The file, for the message.
        kind: The error to raise.

    Raises:
        InputError: Of `kind`: the text is not YAML, or a key stands twice in one mapping.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" at line {mark.line + 1}" if mark else ""
        raise kind(
            f"not valid YAML{line}: {error.problem}", where=where, remedy=_YAML_REMEDY
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise kind(f"not valid YAML: {reason}", where=where, remedy=_YAML_REMEDY) from error


_YAML_REMEDY = (
    "Entries of one list or mapping begin in the same column, indented by blanks; text with `: `, "
    "`#` or brackets stands in quotes."
)


class _StrictLoader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                problem = f"the key `{key.value}` stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)
