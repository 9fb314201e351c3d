"""Methods that are not part of rsclip: from a user's file, or from an installed package."""

import hashlib
import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from rsclip.errors import OptionError
from rsclip.files import expand
from rsclip.methods.base import Method, MethodOptions

__all__ = [
    "ENTRY_POINTS",
    "full_name",
    "installed",
    "method_of_file",
    "method_of_package",
    "origin",
]

ENTRY_POINTS = "rsclip.methods"
_FILE = re.compile(r"(?P<file>.*\.py):(?P<name>\w+)")
_REMEDY = "See `A method of your own` in docs/methods.md."


def full_name(text: str) -> str:
    """Return FILE.py:NAME with the file's full path; any other name of a method as it is."""
    match = _FILE.fullmatch(text)
    return f"{expand(match['file']).absolute()}:{match['name']}" if match else text


def method_of_file(text: str, where: str) -> Method:
    """Run a user's Python file and return the method that it defines.

    Args:
        text: FILE.py:NAME. The file is run once, and again when it has changed.
        where: What a message names as the place of the text.

    Raises:
        OptionError: The file is missing or fails, or NAME is no `Method`.
    """
    match = _FILE.fullmatch(text)
    if match is None:
        raise OptionError(
            f"{text!r} does not say which method of the file is meant",
            where=where,
            remedy=f"Write {text}:NAME, NAME being the variable that holds the method.",
        )
    path = expand(match["file"])
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or "not readable"
        raise OptionError(f"{path} cannot be read ({reason})", where=where) from error
    namespace = _namespace(path.absolute(), content, where)
    if match["name"] not in namespace:
        found = [name for name, value in namespace.items() if isinstance(value, Method)]
        raise OptionError(
            f"{path} defines no {match['name']}",
            where=where,
            remedy=f"Its methods: {', '.join(found)}." if found else _REMEDY,
        )
    return _checked(namespace[match["name"]], text, where)


@cache
def _namespace(path: Path, content: bytes, where: str) -> Mapping[str, Any]:
    # Dataclasses look their module up by name, so that it has to be registered.
    name = f"_rsclip_method_{hashlib.sha256(bytes(path) + content).hexdigest()[:16]}"
    spec = spec_from_file_location(name, path)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        exec(compile(content, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise OptionError(
            f"{path} cannot be run ({type(error).__name__}: {error})", where=where, remedy=_REMEDY
        ) from error
    return vars(module)


@cache
def installed() -> Mapping[str, EntryPoint]:
    """Return the entry points of installed packages' methods by name; none is loaded."""
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


@cache
def method_of_package(name: str, where: str) -> Method:
    """Load the method that an installed package offers under a name of `installed`.

    Raises:
        OptionError: It cannot be imported, or is no `Method`.
    """
    point = installed()[name]
    try:
        loaded = point.load()
    except Exception as error:
        raise OptionError(
            f"the method {name!r} of {_package(point)} cannot be imported "
            f"({type(error).__name__}: {error})",
            where=where,
            remedy="Update or remove that package.",
        ) from error
    return _checked(loaded, name, where)


def origin(name: str) -> dict[str, str]:
    """Return what a record says of where a method comes from; nothing for rsclip's own.

    Args:
        name: A method that has been found, as the user named it.
    """
    match = _FILE.fullmatch(name)
    if match is not None:
        path = expand(match["file"])
        return {"method_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    point = installed().get(name)
    return {"method_package": _package(point)} if point is not None else {}


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def _checked(method: object, text: str, where: str) -> Method:
    if not isinstance(method, Method):
        what = f"a {type(method).__name__}, not a Method"
        raise OptionError(f"{text} is {what}", where=where, remedy=_REMEDY)
    if not isinstance(method.options, MethodOptions):
        raise OptionError(
            f"the options of {text} are not an instance of MethodOptions",
            where=where,
            remedy=_REMEDY,
        )
    return method
