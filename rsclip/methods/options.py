"""Options of methods: declared with their help and range, read from text or YAML values."""

import dataclasses
import difflib
import math
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from rsclip.errors import OptionError

__all__ = ["OptionFacts", "describe_options", "nearest", "option", "read_options"]

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OptionFacts:
    """What a user is told of an option.

    Attributes:
        name: As it is written.
        default: Its value if it is not given.
        takes: The values that fit, in words.
        text: What it does, one line.
    """

    name: str
    default: Any
    takes: str
    text: str

    @property
    def written(self) -> str:
        """The default as it would be given after NAME=."""
        if isinstance(self.default, bool):
            return str(self.default).lower()
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)


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


def describe_options(defaults: Any) -> list[OptionFacts]:
    """Return the facts of every option of a method, in order."""
    types = typing.get_type_hints(type(defaults))
    return [
        OptionFacts(
            field.name,
            getattr(defaults, field.name),
            _takes(types[field.name], field.metadata),
            field.metadata["text"],
        )
        for field in dataclasses.fields(defaults)
    ]


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
            parsed[name] = _value(types[name], value, fields[name].metadata)
        except ValueError as error:
            raise OptionError(
                f"{value!r} does not fit", where=f"{where} {written}", remedy=str(error)
            ) from error
    changed: T = dataclasses.replace(typing.cast(Any, defaults), **parsed)
    return changed


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "Did you mean X?", or "" when nothing is near."""
    near = difflib.get_close_matches(name.lower(), list(known), n=1)
    return f"Did you mean {near[0]}?" if near else ""


def _takes(kind: Any, limits: Mapping[str, Any]) -> str:
    if typing.get_origin(kind) is Literal:
        return ", ".join(typing.get_args(kind))
    if kind is bool:
        return "true or false"
    number = "a whole number" if kind is int else "a number"
    low, high = limits["low"], limits["high"]
    if math.isfinite(low) and math.isfinite(high):
        return f"{number} from {low:g} to {high:g}"
    return f"{number}, {low:g} or more" if math.isfinite(low) else number


def _value(kind: Any, value: Any, limits: Mapping[str, Any]) -> Any:
    """Bring text or a YAML value to a type; a ValueError says what would fit."""
    text = str(value).strip().lower()
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        if text not in choices:
            raise ValueError(nearest(text, choices) or f"Choose {', '.join(choices)}.")
        return text
    if kind is bool:
        if text in (*_TRUE, *_FALSE):
            return text in _TRUE
    elif not isinstance(value, bool):
        try:
            # Python reads 1_0 as 10; nobody means that.
            number = float(text.replace("_", "?"))
        except ValueError:
            number = math.nan
        whole = kind is float or number.is_integer()
        if whole and math.isfinite(number) and limits["low"] <= number <= limits["high"]:
            return kind(number)
    raise ValueError(f"It takes {_takes(kind, limits)}.")
