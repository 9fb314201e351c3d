"""What outlines are given besides pixel sides: simplified, smooth, right-angled."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rsclip.config import SegmentConfig
from rsclip.errors import OptionError
from rsclip.geo.measure import Measure
from rsclip.vectors.features import Outlines
from rsclip.vectors.orthogonal import square_off
from rsclip.vectors.simplifying import Reshaper
from rsclip.vectors.stream import Reshape
from rsclip.words.legend import UNCLASSIFIED

__all__ = ["Shaping", "find_values"]

_SMOOTH_PIXELS = 1.0


@dataclass(frozen=True, slots=True)
class Shaping:
    """How outlines are changed.

    Attributes:
        units: Units of outlines in a pixel.
        reshape: For the strips of `Stream`, or None.
        redraw: For `Finisher`.
    """

    units: int = 1
    reshape: Reshape | None = None
    redraw: Mapping[int, Callable[[Outlines, Measure], Outlines]] = field(default_factory=dict)

    @classmethod
    def plan(cls, config: SegmentConfig, measure: Measure, names: Mapping[int, str]) -> "Shaping":
        """Return what a configuration asks for.

        Raises:
            OptionError: A class is not there.
        """
        redraw = dict.fromkeys(find_values(config.orthogonal, names), square_off)
        tolerance = (config.simplify or 0.0) / measure.pixel_side()
        if config.smooth:
            # Steps of single pixels must go before corners are rounded.
            tolerance = max(tolerance, _SMOOTH_PIXELS)
        if not tolerance:
            return cls(redraw=redraw)
        reshaper = Reshaper(tolerance, smooth=config.smooth)
        return cls(reshaper.units, reshaper, redraw)


def find_values(classes: Sequence[str] | None, names: Mapping[int, str]) -> list[int]:
    """Return the values of named classes; 0, unclassified, is none.

    Raises:
        OptionError: A class is not there.
    """
    found = []
    by_name = {name: value for value, name in names.items() if value != UNCLASSIFIED}
    for word in classes or ():
        if word in by_name:
            found.append(by_name[word])
        elif word.isdecimal() and int(word) and not names:
            found.append(int(word))
        else:
            raise OptionError(
                f"no class is named {word!r}",
                where="--orthogonal",
                remedy=f"Choose of {', '.join(by_name) or 'the values'}.",
            )
    return found
