"""Options of methods: declared with their help and range, read from text or YAML values."""

import dataclasses
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from rsclip.errors import OptionError
from rsclip.fields import describe_kind, nearest, read_value

__all__ = ["OptionFacts", "describe_options", "option", "read_options"]

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
            describe_kind(types[field.name], **_limits(field)),
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
            parsed[name] = read_value(types[name], value, text=True, **_limits(fields[name]))
        except ValueError as error:
            raise OptionError(
                f"{value!r} does not fit", where=f"{where} {written}", remedy=str(error)
            ) from error
    changed: T = dataclasses.replace(typing.cast(Any, defaults), **parsed)
    return changed


def _limits(field: "dataclasses.Field[Any]") -> dict[str, float]:
    return {name: field.metadata[name] for name in ("low", "high")}
