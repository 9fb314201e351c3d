"""The numbers of a comparison as CSV."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rsclip.outputs.files.disk import write_error
from rsclip.study.compare.agreement import Agreement
from rsclip.words.legend import UNCLASSIFIED_NAME, Legend

__all__ = ["write_agreement", "write_scores"]

ALL = "all"
"""What stands for all methods, or all classes."""


def write_scores(
    path: Path, legend: Legend, pixels: Mapping[str, Sequence[int]], agreement: Agreement
) -> None:
    """Write a line for each method and class: pixels and share, and scores where truth is known.

    Args:
        path: The file.
        legend: Classes.
        pixels: Method -> pixels by legend value.
        agreement: Holds the scores.

    Raises:
        WriteError: The file cannot be written.
    """
    scored = ("iou", "f1", "precision", "recall") if agreement.scores else ()
    lines: list[list[object]] = []
    for method, counts in pixels.items():
        confusion = agreement.scores.get(method)
        columns = [] if confusion is None else [getattr(confusion, name) for name in scored]
        for value, name in _classes(legend):
            count = int(counts[value])
            share = count / agreement.valid if agreement.valid else 0.0
            line = [method, name, count, _number(share)]
            numbers = [_number(float(column[value])) for column in columns]
            lines.append([*line, *numbers, ""] if columns else line)
        if confusion is not None:
            # Pixels whose truth is known; mean over their classes; share of right pixels.
            known = int(confusion.matrix.sum())
            part = known / agreement.valid if agreement.valid else math.nan
            total = [method, ALL, known, _number(part), _number(confusion.miou)]
            lines.append([*total, "", "", "", _number(confusion.accuracy)])
    header = ["method", "class", "pixels", "share", *scored]
    _write(path, [*header, "accuracy"] if scored else header, lines)


def write_agreement(path: Path, legend: Legend, agreement: Agreement) -> None:
    """Write a line for each pair of methods and class: IoU of the two masks, 0 to 1.

    The pair "all, all" holds the pixels that all methods give a class, of those that any gives it;
    its class "all" the share of pixels on which all methods say the same.

    Raises:
        WriteError: The file cannot be written.
    """
    lines = []
    for (one, other), confusion in agreement.pairs.items():
        iou = confusion.iou
        lines += [
            [one, other, name, _number(float(iou[value]))] for value, name in _classes(legend)
        ]
        lines.append([one, other, ALL, _number(confusion.accuracy)])
    consent = agreement.consent
    lines += [[ALL, ALL, name, _number(float(consent[value]))] for value, name in _classes(legend)]
    lines.append([ALL, ALL, ALL, _number(agreement.overall)])
    _write(path, ["method", "other", "class", "agreement"], lines)


def _classes(legend: Legend) -> list[tuple[int, str]]:
    return [(0, UNCLASSIFIED_NAME), *((item.value, item.name) for item in legend.foreground)]


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6f}"


def _write(path: Path, header: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(lines)
    except OSError as error:
        raise write_error(error, path) from error
