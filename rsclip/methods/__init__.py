"""Dense methods by name: which there are, and what options they take.

A family in `lastblock`, one file for each algorithm of its own, and methods of users (`outside`).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rsclip.errors import OptionError, warn
from rsclip.fields import nearest
from rsclip.method_files import names_a_file
from rsclip.methods import clipsurgery, gem, proxyclip, scclip
from rsclip.methods.base import DenseFeatures, Method, MethodOptions
from rsclip.methods.lastblock import LAST_BLOCK_METHODS
from rsclip.methods.options import describe_options, option, read_options
from rsclip.methods.plugins import (
    installed,
    method_of_file,
    method_of_package,
    origin,
)

__all__ = [
    "METHODS",
    "DenseFeatures",
    "Method",
    "MethodOptions",
    "describe_methods",
    "first_block",
    "get_method",
    "method_names",
    "option",
    "origin",
    "parse_options",
]


METHODS: dict[str, Method] = {
    method.name: method
    for method in sorted(
        (*LAST_BLOCK_METHODS, clipsurgery.METHOD, gem.METHOD, proxyclip.METHOD, scclip.METHOD),
        key=lambda method: method.name,
    )
}
"""Every method of rsclip by name."""


def method_names() -> list[str]:
    """Return the names of rsclip's methods, then those of installed packages."""
    return [*METHODS, *sorted(set(installed()) - set(METHODS))]


def get_method(name: str, where: str = "--method") -> Method:
    """Return a method.

    Args:
        name: What the user calls it: one of `method_names`, or FILE.py:NAME.
        where: What a message names as the place of the name.

    Raises:
        OptionError: There is none of that name, and the message names the nearest; or one of a user
            or a package cannot be loaded.
    """
    if name in METHODS:
        return METHODS[name]
    if names_a_file(name):
        return method_of_file(name, where)
    if name in installed():
        return method_of_package(name, where)
    known = method_names()
    hint = nearest(name, known) or f"Known: {', '.join(known)}."
    raise OptionError(f"unknown method {name!r}", where=where, remedy=hint)


def parse_options(
    method_name: str, values: Mapping[str, Any] | None = None, where: str = "--method-option"
) -> Any:
    """Return the options of a method, typed and complete.

    Args:
        method_name: The method.
        values: Option name to text (from NAME=VALUE) or YAML value.
        where: What a message names as the place of the options.

    Raises:
        OptionError: The method, an option's name or a value is unknown.
    """
    method = get_method(method_name)
    return read_options(method.options, method_name, values or {}, where)


def first_block(
    method_name: str,
    options: Any,
    depth: int,
    where: str = "--method",
    give: str = "--method-option={}",
) -> int:
    """Return the first block of a model whose entering tokens a method needs.

    Args:
        method_name: The method.
        options: Its options, as `parse_options` gives them.
        depth: Blocks of the model.
        where: What a message names as the place of the method.
        give: How a user gives an option, with {} where NAME=VALUE stands.

    Raises:
        OptionError: The options do not fit a model of that depth.
    """
    try:
        return get_method(method_name).first_block(depth, options)
    except OptionError as error:
        option, comma, range_ = (error.remedy or "").partition(",")
        remedy = option and f"Give {give.format(option)}{comma}{range_}"
        raise OptionError(error.what, where=where, remedy=remedy) from error


def describe_methods(names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return what a user is told of methods, ready for JSON.

    Args:
        names: Which; none means all.

    Raises:
        OptionError: There is none of a name.
    """
    return [_described(name, method) for name, method in _methods(names)]


def _methods(names: Sequence[str]) -> Iterator[tuple[str, Method]]:
    for name in names:
        yield name, get_method(name)
    if not names:
        for name in method_names():
            try:
                yield name, get_method(name)
            except OptionError as error:
                # A broken package must not hide the others.
                warn(str(error))


def _described(name: str, method: Method) -> dict[str, Any]:
    return {
        "name": name,
        "summary": method.summary,
        "paper": method.citation,
        "options": describe_options(method.options),
    }
