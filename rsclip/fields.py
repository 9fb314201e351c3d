"""Values of options, brought from Python, YAML or text to the type and range of a field."""

import contextlib
import difflib
import math
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

__all__ = ["describe_kind", "nearest", "read_value"]

_TEXTS = {"true": True, "yes": True, "on": True, "1": True,
          "false": False, "no": False, "off": False, "0": False}  # fmt: skip


def read_value(
    kind: Any,
    value: Any,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    text: bool = False,
) -> Any:
    """Return a value as its field holds it.

    Args:
        kind: The field's type: bool, int, float, str, a Literal of names, a tuple of int or str, a
            mapping of names, or one of these or None.
        value: The value.
        low: Smallest number that fits.
        high: Largest.
        text: Read numbers and truth values from text too, and names in capitals.

    Raises:
        ValueError: It does not fit; the text says what would, one sentence.
    """
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        if value is None:
            return None
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    if text:
        value = _of_text(kind, value)
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        if value in parts:
            return value
        hint = nearest(value, parts) if text else ""
        raise ValueError(hint or f"Choose {', '.join(parts)}.")
    if kind is bool and isinstance(value, bool):
        return value
    if kind is str and isinstance(value, str | Path) and str(value):
        return str(value)
    if kind in (int, float) and isinstance(value, int | float) and not isinstance(value, bool):
        # Without a range NaN fits as well: it is a nodata value.
        fits = (low, high) == (-math.inf, math.inf) or low <= value <= high
        if fits and (kind is float or isinstance(value, int) or value.is_integer()):
            with contextlib.suppress(OverflowError):
                return kind(value)
    if origin is tuple:
        items = value.split(",") if isinstance(value, str) and parts[0] is str else value
        if isinstance(items, list | tuple) and all(type(item) is parts[0] for item in items):
            return tuple(
                item.strip() if isinstance(item, str) else item
                for item in items
                if not isinstance(item, str) or item.strip()
            )
    if (
        origin is Mapping
        and isinstance(value, Mapping)
        and all(isinstance(key, str) for key in value)
    ):
        if parts[1] is Any:
            return dict(value)
        if all(isinstance(item, str | Path) for item in value.values()):
            return {key: str(item) for key, item in value.items()}
    raise ValueError(f"It takes {describe_kind(kind, low, high)}.")


def describe_kind(kind: Any, low: float = -math.inf, high: float = math.inf) -> str:
    """Return what values fit, in words."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return ", ".join(parts)
    if origin is tuple:
        return "names" if parts[0] is str else "a list of whole numbers"
    if kind not in (int, float):
        return {bool: "true or false", str: "text"}.get(kind, "name: value pairs")
    number = "a whole number" if kind is int else "a number"
    if math.isfinite(low) and math.isfinite(high):
        return f"{number} from {low:,.12g} to {high:,.12g}"
    return f"{number}, {low:,.12g} or more" if math.isfinite(low) else number


def nearest(name: str, known: Iterable[str], count: int = 1) -> str:
    """Return "Did you mean A, B or C?" with up to `count` names, or "" when none is near."""
    folded = {item.lower(): item for item in known}
    # Of several, one may be wilder.
    near = difflib.get_close_matches(name.lower(), folded, n=count, cutoff=0.6 - 0.1 * (count > 1))
    most = ", ".join(folded[item] for item in near[:-1])
    return f"Did you mean {most}{most and ' or '}{folded[near[-1]]}?" if near else ""


def _of_text(kind: Any, value: Any) -> Any:
    written = str(value).strip().lower()
    if typing.get_origin(kind) is Literal:
        return written
    if kind is bool:
        return _TEXTS.get(written, value)
    if kind in (int, float) and not isinstance(value, bool):
        try:
            # Python reads 1_0 as 10; nobody means that.
            number = float(written.replace("_", "?"))
        except ValueError:
            return value
        return number if math.isfinite(number) else None
    return value
