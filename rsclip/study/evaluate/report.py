"""`<stem>_evaluation.html`: an evaluation as one page that holds everything itself."""

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path

from rsclip.outputs.page import render_page
from rsclip.outputs.records.record import to_plain
from rsclip.outputs.styles.qml import write_text
from rsclip.study.evaluate.error_map import KINDS
from rsclip.study.evaluate.result import Evaluation, Reliability
from rsclip.study.evaluate.tables import class_rows, notes, overall_rows
from rsclip.study.page import STYLE
from rsclip.study.plots import bar_chart, line_chart

__all__ = [
    "Section",
    "class_section",
    "confidence_section",
    "confusion_section",
    "html_table",
    "page_of",
    "write_page",
]

Section = tuple[str, str, str]
"""Anchor, name and HTML of a part of a page."""


def write_page(path: Path, found: Evaluation, errors: bytes) -> None:
    """Write the page.

    Args:
        path: The file.
        found: The evaluation.
        errors: The error map as PNG.

    Raises:
        WriteError: It cannot be written.
    """
    sections = [
        ("overall", "Scores", _scores(found)),
        class_section(found),
        confusion_section(found),
        ("errors", "Where it is wrong", _errors(errors)),
    ]
    if found.reliability is not None:
        sections.append(confidence_section(found.reliability))
    sections.append(("record", "How it was made", _record(found)))
    title = f"How good is {Path(found.mask).name}?"
    write_text(path, page_of(title, f"Compared with {Path(found.labels).name}", sections))


def page_of(
    title: str,
    subtitle: str,
    sections: Sequence[Section],
    *,
    footer: str = "Every number stands in the CSV and JSON files beside this page.",
    columns: int = 1,
) -> str:
    """Return a page of sections.

    Args:
        title: Plain text, as `subtitle` is.
        subtitle: What stands below it.
        sections: In their order.
        footer: HTML.
        columns: Pictures beside one another.
    """
    return render_page(
        title,
        html.escape(subtitle),
        "scores",
        [(key, name) for key, name, _ in sections],
        "".join(
            f'<section id="{key}" aria-labelledby="name-{key}"><h2 id="name-{key}">{name}</h2>'
            f"{body}</section>"
            for key, name, body in sections
        ),
        footer,
        style=STYLE.substitute(columns=columns),
    )


def _scores(found: Evaluation) -> str:
    warned = "".join(f'<p class="warning">{html.escape(text)}</p>' for text in found.warnings)
    said = "".join(f"<p>{html.escape(text)}</p>" for text in notes(found))
    return warned + html_table(["score", "%"], [list(row) for row in overall_rows(found)]) + said


def class_section(found: Evaluation) -> Section:
    """Return the scores of the classes."""
    shown = found.shown()
    scores = found.classes
    chart = bar_chart(
        {
            name: [100 * float(scores[name.lower()][value]) for value in shown]
            for name in ("IoU", "F1")
        },
        [found.legend.names[value] for value in shown],
        title="IoU and F1 of each class",
        x="class",
        y="%",
    )
    header, rows = class_rows(found)
    return "classes", "Classes", f'<div class="charts">{chart}</div>{html_table(header, rows)}'


def confusion_section(found: Evaluation) -> Section:
    """Return the confusion of the classes."""
    shown = found.shown()
    names = [found.legend.names[value] for value in shown]
    matrix = found.confusion.matrix
    rows = [
        [name, *(f"{int(count):,}" for count in matrix[value, shown])]
        for name, value in zip(names, shown, strict=True)
    ]
    said = "<p>Pixels; rows are true, columns as the map has them.</p>"
    return "confusion", "Confusion", said + html_table(["", *names], rows)


def _errors(errors: bytes) -> str:
    entries = "".join(
        f'<li><span class="swatch" style="background:rgb{colour}"></span>{name}</li>'
        for value, (name, colour) in KINDS.items()
        if value
    )
    data = base64.b64encode(errors).decode("ascii")
    return (
        f'<img src="data:image/png;base64,{data}" alt="Map of right and wrong pixels">'
        f'<ul class="legend">{entries}</ul><p>Grey: no label or no data. The error map beside this '
        "page has a band for each class.</p>"
    )


def confidence_section(reliability: Reliability) -> Section:
    """Return a section that shows how often pixels of a confidence are right."""
    _, confidence, right = (100 * reliability.bins()).T
    chart = line_chart(
        {"confidence": list(confidence), "right": list(right)},
        [f"{10 * index}-{10 * index + 10}" for index in range(len(right))],
        title="Mean confidence and share of right pixels",
        x="confidence, %",
        y="%",
    )
    return "confidence", "Confidence", f'<div class="charts">{chart}</div>'


def _record(found: Evaluation) -> str:
    text = json.dumps(to_plain(found.to_dict()), indent=2, ensure_ascii=False)
    return (
        f"<dl><dt>Map</dt><dd>{html.escape(found.mask)}</dd>"
        f"<dt>Labels</dt><dd>{html.escape(found.labels)}</dd></dl>"
        "<details><summary>Record</summary>"
        f'<pre tabindex="0" aria-label="Record">{html.escape(text)}</pre></details>'
    )


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table."""
    head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in header)
    body = "".join(
        f'<tr><th scope="row">{html.escape(row[0])}</th>'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
