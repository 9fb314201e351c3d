"""Options of methods: declared with their help and range, read from text or YAML values."""

import dataclasses
import math
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from rsclip.errors import OptionError
from rsclip.fields import describe_kind, nearest, read_value

__all__ = ["describe_options", "option", "read_options"]

T = TypeVar("T")


def option(default: T, text: str, *, low: float = -math.inf, high: float = math.inf) -> T:
    """Declare a field of an options dataclass.

    Args:
        default: Its value if it is not given.
        text: What it does, one line.
        low: Smallest number that it takes.
        high: Largest.
    """
    field: Any = dataclasses.field(
        default=default, metadata={"text": text, "low": low, "high": high}
    )
    return typing.cast(T, field)


def describe_options(defaults: Any) -> list[dict[str, str]]:
    """Return each option of a method: its name, its default as text, the values it takes, help."""
    types = typing.get_type_hints(type(defaults))
    return [
        {
            "name": field.name,
            "default": _written(getattr(defaults, field.name)),
            "takes": describe_kind(types[field.name], **_limits(field)),
            "help": field.metadata["text"],
        }
        for field in dataclasses.fields(defaults)
    ]


def _written(value: Any) -> str:
    """Return a default as a user would give it after NAME=."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def read_options(
    defaults: T, method: str, values: Mapping[str, Any], where: str = "--method-option"
) -> T:
    """Return a method's options with some values changed.

    Args:
        defaults: The method's options as they stand; a dataclass of `option` fields.
        method: Its name, for messages.
        values: Option name to text or value; what is left out keeps its default.
        where: What a message names as their place.

    Raises:
        OptionError: A name is unknown, or a value does not fit its type or range.
    """
    kind: Any = type(defaults)
    types = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    parsed = {}
    for written, value in values.items():
        name = written.replace("-", "_")
        if name not in fields:
            raise OptionError(
                f"{method} has no option {written!r}",
                where=where,
                remedy=nearest(written, fields) or f"It has: {', '.join(fields) or 'none'}.",
            )
        try:
            parsed[name] = read_value(types[name], value, text=True, **_limits(fields[name]))
        except ValueError as error:
            raise OptionError(
                f"{value!r} does not fit", where=f"{where} {written}", remedy=str(error)
            ) from error
    changed: T = dataclasses.replace(typing.cast(Any, defaults), **parsed)
    return changed


def _limits(field: "dataclasses.Field[Any]") -> dict[str, float]:
    return {name: field.metadata[name] for name in ("low", "high")}
