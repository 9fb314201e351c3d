"""Line and bar charts as inline SVG: no script, no font, no style but the page's own."""

import html
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

__all__ = ["COLOURS", "bar_chart", "line_chart"]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b0569b", "#8a6d00", "#4b6584")
"""Told apart without red and green too (after Okabe and Ito)."""

_WIDTH, _HEIGHT = 560, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 56, 54
_TICKS = 5
_MARKS_UP_TO = 40
_ROOM = 0.72  # of a group's place, that its bars fill
_LETTER = 6.6
_LINE = 17.0

Series = Mapping[str, Sequence[float]]


def line_chart(
    series: Series,
    positions: Sequence[str | float],
    *,
    title: str,
    x: str,
    y: str,
    from_zero: bool = True,
) -> str:
    """Draw lines over shared positions.

    Args:
        series: Name -> values, as many as positions; NaN leaves a gap.
        positions: Evenly spaced, and shown as they are (some, where there are many).
        title: Above the chart, and read out by screen readers.
        x: What the positions are.
        y: What the values are.
        from_zero: The scale takes in 0.
    """
    scale = _Scale(series, from_zero=from_zero)
    step = (_WIDTH - _LEFT - _RIGHT) / max(len(positions), 1)
    places = [_LEFT + step * (i + 0.5) for i in range(len(positions))]
    body = [scale.axis()]
    for colour, (name, values) in zip(COLOURS, series.items(), strict=False):
        points = [(px, scale.place(value)) for px, value in zip(places, values, strict=True)]
        for run in _runs(points):
            path = " ".join(f"{px:.1f},{py:.1f}" for px, py in run)
            body.append(
                f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
            )
        if len(points) <= _MARKS_UP_TO:
            for (px, py), at, value in zip(points, positions, values, strict=True):
                if py is not None:
                    tip = html.escape(f"{name}, {at}: {value:.4g}")
                    body.append(
                        f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3.2" fill="{colour}">'
                        f"<title>{tip}</title></circle>"
                    )
    body.append(_positions(places, [str(at) for at in positions]))
    return _frame(body, list(series), title, x, y)


def bar_chart(series: Series, groups: Sequence[str], *, title: str, x: str, y: str) -> str:
    """Draw bars, one of each series side by side in every group.

    Args:
        series: Name -> values, one a group; NaN leaves no bar.
        groups: Names below the bars.
        title: Above the chart, and read out by screen readers.
        x: What the groups are.
        y: What the values are; the scale takes in 0.
    """
    scale = _Scale(series, from_zero=True)
    step = (_WIDTH - _LEFT - _RIGHT) / max(len(groups), 1)
    bar = step * _ROOM / max(len(series), 1)
    body = [scale.axis()]
    zero = scale.place(0.0)
    assert zero is not None
    for row, (colour, (name, values)) in enumerate(zip(COLOURS, series.items(), strict=False)):
        for column, value in enumerate(values):
            end = scale.place(value)
            if end is None:
                continue
            left = _LEFT + step * column + step * (1 - _ROOM) / 2 + bar * row
            tip = html.escape(f"{groups[column]}, {name}: {value:.4g}")
            body.append(
                f'<rect x="{left:.1f}" y="{min(end, zero):.1f}" width="{bar * 0.92:.1f}" '
                f'height="{abs(end - zero):.1f}" fill="{colour}"><title>{tip}</title></rect>'
            )
    places = [_LEFT + step * (i + 0.5) for i in range(len(groups))]
    widest = max((len(name) for name in groups), default=1) * _LETTER
    if widest + 8 <= 2 * step:
        body.append(_positions(places, groups))
        return _frame(body, list(series), title, x, y)
    # Each bar has its name, slanted, with room below; of very many, as many as have room.
    every = math.ceil(_LINE / step)
    top = _HEIGHT - _BOTTOM + 12
    body += [
        f'<text transform="translate({place + 4:.1f} {top}) rotate(-45)" text-anchor="end">'
        f"{html.escape(name)}</text>"
        for place, name in list(zip(places, groups, strict=True))[::every]
    ]
    return _frame(body, list(series), title, x, y, below=max(round(0.7 * widest) - 20, 0))


class _Scale:
    """From values to heights."""

    def __init__(self, series: Series, *, from_zero: bool) -> None:
        if len(series) > len(COLOURS):
            raise ValueError(f"{len(series)} series: there are colours for {len(COLOURS)}")
        values = [v for line in series.values() for v in line if math.isfinite(v)]
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        if from_zero:
            low, high = min(low, 0.0), max(high, 0.0)
        self._step = _nice((high - low) / _TICKS or abs(high) or 1.0)
        self.low = math.floor(low / self._step + 1e-9) * self._step
        self.high = math.ceil(high / self._step - 1e-9) * self._step
        if self.high <= self.low:
            self.high = self.low + self._step

    def place(self, value: float) -> float | None:
        """Return the height of a value in the drawing; None if it cannot be shown."""
        return self._height(value) if math.isfinite(value) else None

    def _height(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    def axis(self) -> str:
        """Draw the lines across and their numbers."""
        parts = []
        count = round((self.high - self.low) / self._step)
        for tick in (self.low + self._step * i for i in range(count + 1)):
            height = self._height(tick)
            text = f"{round(tick, 12):.4g}"
            parts.append(
                f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{height:.1f}" '
                f'y2="{height:.1f}"/><text x="{_LEFT - 6}" y="{height + 4:.1f}" '
                f'text-anchor="end">{text}</text>'
            )
        return "".join(parts)


def _nice(step: float) -> float:
    """Return the smallest 1, 2, 2.5 or 5 times a power of ten that is no smaller."""
    # Powers of ten end before the smallest numbers do.
    power = 10.0 ** math.floor(math.log10(max(step, 1e-300)))
    return next(power * part for part in (1, 2, 2.5, 5, 10) if power * part >= step * (1 - 1e-9))


def _runs(points: Sequence[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    """Split a line where values are missing."""
    runs: list[list[tuple[float, float]]] = [[]]
    for px, py in points:
        if py is None:
            runs.append([])
        else:
            runs[-1].append((px, py))
    return [run for run in runs if len(run) > 1]


def _positions(places: Sequence[float], names: Sequence[str]) -> str:
    """Write names below: all, in two rows where they would meet; of many, as many as have room."""
    widest = max((len(name) for name in names), default=1) * _LETTER + 8
    step = min((b - a for a, b in pairwise(places)), default=widest)
    every = max(1, math.ceil(widest / step))
    staggered = every == 2
    return "".join(
        f'<text x="{place:.1f}" y="{_HEIGHT - _BOTTOM + 15 + 13 * (staggered and number % 2)}" '
        f'text-anchor="middle">{html.escape(name)}</text>'
        for number, (place, name) in enumerate(zip(places, names, strict=True))
        if staggered or number % every == 0
    )


def _frame(
    body: Sequence[str], names: Sequence[str], title: str, x: str, y: str, below: int = 0
) -> str:
    entries = []
    left, top = float(_LEFT), 23
    for colour, name in zip(COLOURS, names, strict=False):
        width = 16 + len(name) * _LETTER
        if left > _LEFT and left + width > _WIDTH:
            left, top = float(_LEFT), top + 14
        entries.append(
            f'<rect x="{left:.1f}" y="{top}" width="11" height="11" fill="{colour}"/>'
            f'<text x="{left + 16:.1f}" y="{top + 10}">{html.escape(name)}</text>'
        )
        left += width + 20
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    half = (_TOP + _HEIGHT - _BOTTOM) / 2
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT + below}" role="img" '
        f'aria-label="{html.escape(title)}">'
        f'<text class="title" x="{_LEFT}" y="15">{html.escape(title)}</text>'
        f"{''.join(entries)}{''.join(body)}"
        f'<text x="{middle:.1f}" y="{_HEIGHT + below - 8}" text-anchor="middle">'
        f"{html.escape(x)}</text>"
        f'<text transform="translate(13 {half:.1f}) rotate(-90)" text-anchor="middle">'
        f"{html.escape(y)}</text></svg>"
    )
