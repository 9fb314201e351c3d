"""An evaluation as CSV, as Markdown, and as a picture of its confusion."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rsclip.outputs.files.disk import write_error
from rsclip.outputs.pictures.matrix import render_matrix
from rsclip.outputs.pictures.preview import write_preview
from rsclip.outputs.styles.qml import write_text
from rsclip.study.evaluate.intervals import Interval
from rsclip.study.evaluate.result import CLASS_SCORES, OVERALL_SCORES, Evaluation

__all__ = [
    "Rows",
    "class_rows",
    "draw_confusion",
    "markdown_table",
    "notes",
    "overall_rows",
    "percent",
    "write_csv",
    "write_images",
    "write_markdown",
    "write_overall",
    "write_scores",
]


Rows = Sequence[tuple[Sequence[str], Evaluation]]
"""Of several settings: what tells each from the others, and its scores."""


def write_scores(path: Path, heads: Sequence[str], rows: Rows) -> None:
    """Write a line for each class: its scores, 0 to 1, each with the ends of its interval.

    Args:
        path: The file.
        heads: Headings of what tells settings apart.
        rows: The settings.

    Raises:
        WriteError: The file cannot be written.
    """
    keys = list(rows[0][1].classes)
    lines = []
    for cells, found in rows:
        scores = found.classes
        for value in found.shown():
            line: list[object] = [*cells, found.legend.names[value], int(found.support[value])]
            for key in keys:
                line += _with_ends(float(scores[key][value]), found.class_interval(key, value))
            lines.append(line)
    write_csv(path, [*heads, "class", "support", *_ends_named(keys)], lines)


def write_overall(path: Path, heads: Sequence[str], rows: Rows) -> None:
    """Write a line for each of several settings: the map's scores as `write_scores` has them.

    Raises:
        WriteError: The file cannot be written.
    """
    keys = list(rows[0][1].overall)
    lines = []
    for cells, found in rows:
        line: list[object] = [*cells, int(found.support.sum())]
        for key in keys:
            line += _with_ends(found.overall[key], found.overall_intervals.get(key))
        lines.append(line)
    write_csv(path, [*heads, "pixels", *_ends_named(keys)], lines)


def write_images(path: Path, heads: Sequence[str], rows: Rows) -> None:
    """Write a line for each image (of each of several settings): its scores, 0 to 1.

    Raises:
        WriteError: The file cannot be written.
    """
    names = list(rows[0][1].legend.names.values())
    lines = []
    for cells, found in rows:
        for image in found.images:
            overall = image.overall
            line: list[object] = [*cells, image.name, int(image.sums[1].sum())]
            line += [_number(overall[key]) for key in ("miou", "accuracy")]
            lines.append([*line, *(_number(float(value)) for value in image.iou)])
    header = [*heads, "image", "pixels", "miou", "accuracy", *(f"iou {name}" for name in names)]
    write_csv(path, header, lines)


def _ends_named(keys: Sequence[str]) -> list[str]:
    return [f"{key}{end}" for key in keys for end in ("", "_low", "_high")]


def _with_ends(value: float, interval: Interval | None) -> list[str]:
    return [_number(one) for one in (value, *(interval or (math.nan, math.nan)))]


def write_csv(path: Path, header: Sequence[str], lines: Sequence[Sequence[object]]) -> None:
    """Write a table.

    Raises:
        WriteError: The file cannot be written.
    """
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(lines)
    except OSError as error:
        raise write_error(error, path) from error


def class_rows(found: Evaluation) -> tuple[list[str], list[list[str]]]:
    """Return the header and a row for each class, in percent, as tables show them."""
    scores = found.classes
    header = ["class", *(CLASS_SCORES[key].partition(" (")[0] for key in scores), "pixels"]
    rows = [
        [
            found.legend.names[value],
            *(
                percent(float(column[value]), found.class_interval(key, value))
                for key, column in scores.items()
            ),
            f"{int(found.support[value]):,}",
        ]
        for value in found.shown()
    ]
    return header, rows


def overall_rows(found: Evaluation) -> list[tuple[str, str]]:
    """Return name and value of the map's scores, in percent."""
    return [
        (OVERALL_SCORES[key], percent(value, found.overall_intervals.get(key)))
        for key, value in found.overall.items()
    ]


def notes(found: Evaluation) -> list[str]:
    """Return what a reader must know to read the figures, a sentence each."""
    count, side = found.blocks
    lines = [
        f"Scores are in percent of {int(found.support.sum()):,} labelled pixels"
        + (f" in {len(found.images):,} images." if found.images else "."),
        "The catch-all is " + ", ".join(found.legend.names[value] for value in found.other) + ".",
    ]
    if found.overall_intervals:
        units = f"{count} images" if found.images else f"{count} blocks of {side} x {side} pixels"
        lines.append(
            f"In brackets: 95 % intervals by bootstrap of {units}, because pixels next to each "
            "other are not independent."
        )
    if found.boundaries is not None:
        lines.append(f"Outlines may be {found.boundaries.tolerance:.3g} pixels apart.")
    return lines


def write_markdown(path: Path, found: Evaluation) -> None:
    """Write the tables as Markdown.

    Raises:
        WriteError: The file cannot be written.
    """
    header, rows = class_rows(found)
    shown = found.shown()
    names = [_cell(found.legend.names[value]) for value in shown]
    parts = [
        f"# {_cell(Path(found.mask).name)} against {_cell(Path(found.labels).name)}",
        markdown_table(["score", "%"], [list(row) for row in overall_rows(found)]),
        markdown_table(header, rows),
        "Pixels, rows true and columns as the map has them:",
        markdown_table(
            ["", *names],
            [
                [name, *(f"{int(n):,}" for n in found.confusion.matrix[value, shown])]
                for name, value in zip(names, shown, strict=True)
            ],
        ),
        "\n".join(notes(found)),
        *(f"Note: {text}" for text in found.warnings),
    ]
    write_text(path, "\n\n".join(parts) + "\n")


def draw_confusion(path: Path, found: Evaluation) -> None:
    """Write the confusion as a PNG: the shares of each true class.

    Raises:
        WriteError: The file cannot be written.
    """
    shown = found.shown()
    matrix = found.confusion.matrix[np.ix_(shown, shown)]
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    names = [found.legend.names[value] for value in shown]
    plain = [f"class {value}" for value in shown]
    title = f"Confusion of {Path(found.mask).name}"
    note = "rows: true class; columns: share of its pixels that the map gives each class"
    write_preview(path, render_matrix(shares, names, plain, title, 0.0, math.inf, note))


def percent(value: float, interval: Interval | None = None) -> str:
    """Return a score in percent with its interval; "-" for none."""
    if math.isnan(value):
        return "-"
    text = f"{100 * value:.1f}"
    return (
        text if interval is None else f"{text} [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"
    )


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("\\|", "|").replace("|", "\\|").split())


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6f}"
