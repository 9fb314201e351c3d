"""What a sample says as tables: for the terminal, CSV, Markdown and one HTML page."""

import html
import math
from pathlib import Path

from rsclip.outputs.styles.qml import write_text
from rsclip.study.evaluate.report import html_table, page_of
from rsclip.study.evaluate.tables import markdown_table, write_csv
from rsclip.study.sample.assessment import Assessment
from rsclip.study.sample.estimate import Estimate

__all__ = [
    "CONFUSION",
    "Table",
    "area_table",
    "confusion_table",
    "sentences",
    "write_areas",
    "write_pages",
]

CONFUSION = "Area-adjusted confusion, % of the area; rows: map, columns: labelled"
"""Heading of `confusion_table`."""

Table = tuple[list[str], list[list[str]]]
"""Header and rows."""


def area_table(found: Assessment) -> Table:
    """Return accuracies, share and hectares of each class, each with half its interval."""
    estimates, rows = found.estimates, []
    for value in found.shown():
        area = found.area(value)
        ground = "-" if area is None else f"{area.value:,.2f} +- {area.half:,.2f}"
        scores = (estimates.user[value], estimates.producer[value], estimates.share[value])
        rows.append([found.legend.names[value], *map(_percent, scores), ground])
    return ["class", "user's accuracy", "producer's accuracy", "share", "hectares"], rows


def confusion_table(found: Assessment) -> Table:
    """Return the area-adjusted confusion in percent of the area."""
    shown, names = found.shown(), found.legend.names
    rows = [
        [names[row], *(f"{100 * found.estimates.matrix[row, col]:.2f}" for col in shown)]
        for row in shown
    ]
    return ["", *(names[value] for value in shown)], rows


def sentences(found: Assessment) -> list[str]:
    """Return what a reader must know, a sentence each."""
    said = [
        f"Overall accuracy: {_percent(found.estimates.overall)} %",
        f"From {int(found.counts.sum())} labelled points; accuracies and shares in percent, +- "
        "half the 95 % interval (Olofsson et al. 2014).",
    ]
    if any(found.estimates.user[value].error == 0 for value in found.shown()):
        said.append(
            "An interval of 0 says that all points of a class agree, not that none of its pixels "
            "differs."
        )
    return said


def write_areas(path: Path, found: Assessment) -> None:
    """Write a line for each class: value and half the interval of each figure, 0 to 1, hectares.

    Raises:
        WriteError: The file cannot be written.
    """
    lines = []
    for value in found.shown():
        scores = (found.estimates.user[value], found.estimates.producer[value],
                  found.estimates.share[value], found.area(value))  # fmt: skip
        numbers = [
            one for each in scores for one in ((math.nan,) * 2 if each is None else
                                               (each.value, each.half))
        ]  # fmt: skip
        points = int(found.counts[:, value].sum())
        cells = ["" if math.isnan(one) else f"{one:.6f}" for one in numbers]
        lines.append([found.legend.names[value], points, *cells])
    names = ("users_accuracy", "producers_accuracy", "share", "hectares")
    head = [f"{name}{end}" for name in names for end in ("", "_half")]
    write_csv(path, ["class", "points", *head], lines)


def write_pages(markdown: Path, page: Path, found: Assessment) -> None:
    """Write the tables as Markdown and as a page.

    Raises:
        WriteError: A file cannot be written.
    """
    name, points = Path(found.mask).name, Path(found.points).name
    areas, confusion = area_table(found), confusion_table(found)
    parts = [
        f"# Areas of {name} by {points}",
        markdown_table(*areas),
        f"{CONFUSION}:",
        markdown_table(*confusion),
        "\n".join(sentences(found)),
        *(f"Note: {text}" for text in found.warnings),
    ]
    write_text(markdown, "\n\n".join(parts) + "\n")
    warned = "".join(f'<p class="warning">{html.escape(text)}</p>' for text in found.warnings)
    said = "".join(f"<p>{html.escape(text)}</p>" for text in sentences(found))
    sections = [
        ("areas", "Accuracy and areas", warned + html_table(*areas) + said),
        ("confusion", "Confusion", f"<p>{CONFUSION}.</p>" + html_table(*confusion)),
        ("strata", "Strata", html_table(
            ["stratum", "labelled points"],
            [[stratum, str(count)] for stratum, count in found.strata.items()])),
    ]  # fmt: skip
    write_text(page, page_of(f"How much ground does {name} cover?", f"By {points}", sections))


def _percent(found: Estimate) -> str:
    if math.isnan(found.value):
        return "-"
    return f"{100 * found.value:.1f} +- {100 * found.half:.1f}"
