"""Rules of evidence: what other bands say for or against a class, such as `ndwi > 0.05`.

A rule compares an expression of bands with a number t. A class that has the rule gains

    weight * log sigmoid((expression - t) / softness)          with `>`; the sign turned with `<`

before the softmax: nothing where the rule clearly holds, ever less where it fails.
"""

import ast
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from rsclip.errors import LegendError
from rsclip.fields import nearest
from rsclip.types import FloatArray

__all__ = ["BANDS", "INDICES", "Rule", "parse_rules"]

BANDS = ("blue", "green", "red", "rededge", "nir", "swir", "swir2")
"""Names that bands have in rules: swir is around 1.6 micrometres, swir2 around 2.2."""

INDICES: Mapping[str, str] = MappingProxyType({
    # Tucker, Remote Sensing of Environment 8, 1979.
    "ndvi": "(nir - red) / (nir + red)",
    # McFeeters, International Journal of Remote Sensing 17, 1996.
    "ndwi": "(green - nir) / (green + nir)",
    # Xu, International Journal of Remote Sensing 27, 2006.
    "mndwi": "(green - swir) / (green + swir)",
    # Zha et al., International Journal of Remote Sensing 24, 2003.
    "ndbi": "(swir - nir) / (swir + nir)",
    # Rikimaru et al., Tropical Ecology 43, 2002.
    "bsi": "(swir + red - nir - blue) / (swir + red + nir + blue)",
    # Key and Benson, FIREMON, RMRS-GTR-164, 2006.
    "nbr": "(nir - swir2) / (nir + swir2)",
})  # fmt: skip
"""Spectral indices by name, as expressions of bands."""

_WEIGHT, _SOFTNESS = 1.0, 0.05
_LONGEST = 200
_FORM = 'Such as "ndwi > 0.05" or "(nir - red) / (nir + red) < 0.2; weight=2; softness=0.1".'
_OPERATORS: Mapping[type[ast.AST], Callable[[FloatArray, FloatArray], FloatArray]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        text: As written.
        expression: Its left side, checked.
        above: The expression must be above the threshold, else below it.
        threshold: The number it is compared with.
        weight: Factor of the evidence, in logits; above 0.
        softness: How far from the threshold the evidence changes; above 0.
        bands: The names of the bands that it needs.
    """

    text: str
    expression: ast.expr
    above: bool
    threshold: float
    weight: float
    softness: float
    bands: frozenset[str]

    def evidence(self, bands: Mapping[str, FloatArray]) -> FloatArray:
        """Return what the rule adds to a class's logit: float32 (h, w), 0 or less.

        Args:
            bands: float32 (h, w) by name, every one in `bands`. Where one is NaN, or the
                expression is (0 / 0), there is no evidence: 0.
        """
        with np.errstate(all="ignore"):
            value = np.asarray(_value(self.expression, bands), np.float32)
            distance = (value - np.float32(self.threshold)) / np.float32(self.softness)
            # log sigmoid(x) = -log(1 + exp(-x))
            found = -np.logaddexp(np.float32(0), -distance if self.above else distance)
        found *= np.float32(self.weight)
        result: FloatArray = np.where(np.isfinite(value), found, np.float32(0)).astype(np.float32)
        return result


@functools.cache
def parse_rules(text: str, where: str) -> tuple[Rule, ...]:
    """Read one rule, or several with "|" between them: the first whose bands are there counts.

    Args:
        text: An expression of bands, indices and numbers with + - * / and parentheses, `>` or
            `<`, and a number; then `; weight=W` and `; softness=S` if they are not 1 and 0.05.
        where: Its place, for the message.

    Raises:
        LegendError: It is none.
    """
    return tuple(_parse(each, where) for each in text.split("|"))


def _parse(text: str, where: str) -> Rule:
    rule, *settings = (part.strip() for part in text.split(";"))
    values = {"weight": _WEIGHT, "softness": _SOFTNESS}
    for setting in settings:
        name, _, number = (part.strip() for part in setting.partition("="))
        value = _number(number)
        if name not in values or value is None or not 0 < value < math.inf:
            raise LegendError(f"{setting!r} is no part of a rule", where=where, remedy=_FORM)
        values[name] = value
    if len(rule) > _LONGEST:
        raise LegendError(f"a rule of {len(rule)} characters", where=where,
                          remedy=f"It may have {_LONGEST}.")  # fmt: skip
    try:
        parsed = ast.parse(rule, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        parsed = None
    if not (
        isinstance(parsed, ast.Compare)
        and len(parsed.ops) == 1
        and isinstance(parsed.ops[0], ast.Gt | ast.Lt)
        and (threshold := _number(ast.unparse(parsed.comparators[0]))) is not None
    ):
        raise LegendError(f"{text!r} is no rule", where=where, remedy=_FORM)
    bands = _bands(parsed.left, text, where)
    if not bands:
        raise LegendError(f"no band in the rule {text!r}", where=where, remedy=_FORM)
    return Rule(text.strip(), parsed.left, isinstance(parsed.ops[0], ast.Gt), threshold, **values,
                bands=frozenset(bands))  # fmt: skip


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _bands(node: ast.expr, text: str, where: str) -> set[str]:
    """Return the bands of an expression; refuse whatever is none."""
    match node:
        case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
            return _bands(left, text, where) | _bands(right, text, where)
        case ast.UnaryOp(ast.USub(), operand):
            return _bands(operand, text, where)
        case ast.Constant(int() | float() as value) if not isinstance(value, bool):
            return set()
        case ast.Name(name) if name.lower() in INDICES:
            return _bands(_index(name.lower()), text, where)
        case ast.Name(name):
            # Whether the scene has a band or raster of that name, only the scene can tell.
            if name.lower() not in BANDS and (hint := nearest(name, (*BANDS, *INDICES))):
                raise LegendError(f"unknown band {name!r} in the rule {text!r}", where=where,
                                  remedy=hint)  # fmt: skip
            return {name.lower()}
    raise LegendError(f"{ast.unparse(node)!r} cannot stand in a rule", where=where, remedy=_FORM)


@functools.cache
def _index(name: str) -> ast.expr:
    return ast.parse(INDICES[name], mode="eval").body


def _value(node: ast.expr, bands: Mapping[str, FloatArray]) -> Any:
    match node:
        case ast.BinOp(left, operator, right):
            return _OPERATORS[type(operator)](_value(left, bands), _value(right, bands))
        case ast.UnaryOp(_, operand):
            return -_value(operand, bands)
        case ast.Constant(int() | float() as value):
            return np.float32(value)
        case ast.Name(name) if name.lower() in INDICES:
            return _value(_index(name.lower()), bands)
        case ast.Name(name):
            return bands[name.lower()]
    raise AssertionError(node)
