"""Options of methods from text (NAME=VALUE) or YAML values, typed by the method's dataclass."""

import dataclasses
import difflib
import math
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from rsclip.errors import OptionError

__all__ = ["nearest", "read_options"]

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


def read_options(kind: type[Any], method: str, values: Mapping[str, Any]) -> Any:
    """Build a method's options.

    Args:
        kind: The method's options dataclass.
        method: Its name, for messages.
        values: Option name to text or value; what is left out keeps its default.

    Raises:
        OptionError: A name is unknown, or a value does not fit its type.
    """
    types = typing.get_type_hints(kind)
    known = [field.name for field in dataclasses.fields(kind)]
    parsed = {}
    for written, value in values.items():
        name = written.replace("-", "_")
        if name not in known:
            raise OptionError(
                f"{method} has no option {written!r}",
                where="--method-option",
                remedy=nearest(written, known) or f"It has: {', '.join(known) or 'none'}.",
            )
        try:
            parsed[name] = _value(types[name], value)
        except ValueError as error:
            raise OptionError(
                f"{value!r} does not fit", where=f"--method-option {written}", remedy=str(error)
            ) from error
    return kind(**parsed)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "Did you mean X?", or "" when nothing is near."""
    near = difflib.get_close_matches(name.lower(), list(known), n=1)
    return f"Did you mean {near[0]}?" if near else ""


def _value(kind: Any, value: Any) -> Any:
    """Bring text or a YAML value to a type; a ValueError says what would fit."""
    text = str(value).strip().lower()
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        if text not in choices:
            raise ValueError(nearest(text, choices) or f"Choose {', '.join(choices)}.")
        return text
    if kind is bool:
        if text not in (*_TRUE, *_FALSE):
            raise ValueError("It takes true or false.")
        return text in _TRUE
    if kind in (int, float) and not isinstance(value, bool):
        try:
            number = kind(text)
        except ValueError:
            number = None
        if number is not None and math.isfinite(number):
            return number
    raise ValueError("It takes a whole number." if kind is int else "It takes a number.")
