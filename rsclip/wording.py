"""How messages name options: as flags on the command line, as keywords in Python.

Messages are written with flags: `--gsd`, a value after an equals sign (`--model=nano`), the output
as `(-o)`. What stands between backticks is a command for a shell, and stays.
"""

import contextlib
import re
import shlex
from collections.abc import Iterator

__all__ = ["SWITCHES", "named", "names_are_flags", "naming_flags"]

SWITCHES = frozenset({
    "areas", "checksum", "confidence", "int8", "margin", "merge_polygons", "mosaic", "no_labels",
    "overwrite", "preview", "probabilities", "qgis_project", "recursive", "resume", "sld", "smooth",
    "stac", "stac_catalog",
})  # fmt: skip
"""Options that are True or False in Python."""

_FLAG = re.compile(r"(?<![\w-])--([a-z][a-z\d-]*[a-z\d])(?:=('[^']*'|\S*[^\s.,;:)]))?")
_OUTPUT = re.compile(r" \(-o\)| with -o\b")
_LITERAL = re.compile(r"[A-Z]+|[-+]?\d+(\.\d*)?")

# One for the process: the threads and, by `naming_flags`, the workers of a command speak alike.
_flags = False


def names_are_flags() -> bool:
    """Tell whether messages name options as flags."""
    return _flags


@contextlib.contextmanager
def naming_flags(wanted: bool = True) -> Iterator[None]:
    """Let messages name options as flags while it lasts; the command line does."""
    global _flags
    before, _flags = _flags, wanted
    try:
        yield
    finally:
        _flags = before


def named(text: str) -> str:
    """Return a message with its options as the user at hand writes them."""
    parts = text.split("`")
    parts[::2] = [_as_flags(part) if _flags else _as_keywords(part) for part in parts[::2]]
    return "`".join(parts)


def _as_flags(text: str) -> str:
    return _FLAG.sub(lambda found: f"--{found[1]}" + (f" {found[2]}" if found[2] else ""), text)


def _as_keywords(text: str) -> str:
    return _FLAG.sub(_keyword, _OUTPUT.sub("", text))


def _keyword(found: "re.Match[str]") -> str:
    name, value = found[1].replace("-", "_"), found[2]
    if value is None:
        return f"{name}=True" if name in SWITCHES else name
    if not _LITERAL.fullmatch(value):
        value = repr(shlex.split(value)[0] if value.startswith("'") else value)
    return f"{name}={value}"
