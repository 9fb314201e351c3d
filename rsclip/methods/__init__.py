"""Dense methods by name: a family in `lastblock`, and one file for each algorithm of its own."""

from collections.abc import Iterable, Mapping
from typing import Any

from rsclip.errors import OptionError
from rsclip.fields import nearest
from rsclip.methods import clipsurgery, gem, scclip
from rsclip.methods.base import DenseFeatures, Method, MethodOptions
from rsclip.methods.lastblock import LAST_BLOCK_METHODS
from rsclip.methods.options import describe_options, read_options

__all__ = [
    "METHODS",
    "DenseFeatures",
    "Method",
    "MethodOptions",
    "describe_methods",
    "first_block",
    "get_method",
    "parse_options",
]


METHODS: dict[str, Method] = {
    method.name: method
    for method in sorted(
        (*LAST_BLOCK_METHODS, clipsurgery.METHOD, gem.METHOD, scclip.METHOD),
        key=lambda method: method.name,
    )
}
"""Every method by name."""


def get_method(name: str, where: str = "--method") -> Method:
    """Return a method.

    Args:
        name: What the user calls it.
        where: What a message names as the place of the name.

    Raises:
        OptionError: There is none of that name; the message names the nearest.
    """
    if name not in METHODS:
        hint = nearest(name, METHODS) or f"Known: {', '.join(METHODS)}."
        raise OptionError(f"unknown method {name!r}", where=where, remedy=hint)
    return METHODS[name]


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
    give: str = "--method-option {}",
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


def describe_methods(names: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Return what a user is told of methods, ready for JSON.

    Args:
        names: Which; none means all.

    Raises:
        OptionError: There is none of a name.
    """
    return [
        {
            "name": method.name,
            "summary": method.summary,
            "paper": method.citation,
            "options": [
                {
                    "name": facts.name,
                    "default": facts.written,
                    "takes": facts.takes,
                    "help": facts.text,
                }
                for facts in describe_options(method.options)
            ],
        }
        for method in map(get_method, names or METHODS)
    ]
