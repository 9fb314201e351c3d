"""The files of an evaluation of many images, or of several settings."""

import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rsclip.outputs.files.staging import Staging
from rsclip.outputs.records.record import write_record
from rsclip.outputs.styles.qml import write_text
from rsclip.study.evaluate.report import (
    class_section,
    confidence_section,
    confusion_section,
    html_table,
    page_of,
)
from rsclip.study.evaluate.result import OVERALL_SCORES
from rsclip.study.evaluate.tables import (
    Rows,
    class_rows,
    draw_confusion,
    markdown_table,
    notes,
    overall_rows,
    percent,
    write_images,
    write_overall,
    write_scores,
)
from rsclip.study.plots import bar_chart

__all__ = ["check_set_outputs", "overall_table", "write_set"]


def check_set_outputs(
    folder: str | Path, stem: str, inputs: Iterable[str | Path], *, overwrite: bool
) -> None:
    """Refuse outputs that are in the way, before any work; arguments as `write_set`.

    Raises:
        OutputError: One exists and may not be replaced, or is an input.
    """
    files = [str(each) for each in inputs]
    Staging.check(Path(folder), _names(stem), overwrite=overwrite, inputs=files)


def overall_table(heads: Sequence[str], rows: Rows) -> tuple[list[str], list[list[str]]]:
    """Return the header and a row for each of several settings, in percent; of one, a list."""
    if not heads:
        return ["score", "%"], [list(row) for row in overall_rows(rows[0][1])]
    names = [OVERALL_SCORES[key] for key in rows[0][1].overall]
    table = [[*cells, *(value for _, value in overall_rows(found))] for cells, found in rows]
    return [*heads, *names], table


def write_set(
    folder: str | Path,
    stem: str,
    heads: Sequence[str],
    rows: Rows,
    record: Mapping[str, Any],
    inputs: Iterable[str | Path],
    *,
    overwrite: bool,
    said: Sequence[str] = (),
) -> dict[str, Path]:
    """Write tables, the page, the confusion of the first row, and the record.

    Args:
        folder: The output folder.
        stem: What the files' names begin with; "" for a set of images.
        heads: Headings of what tells settings apart; none where there is one row.
        rows: The settings, the best first.
        record: What the JSON says besides the scores.
        inputs: Files that no output may replace.
        overwrite: Replace outputs that exist.
        said: Further sentences for the reader.

    Returns:
        Key -> file.

    Raises:
        OutputError: An output exists, or is an input.
        WriteError: One cannot be written; nothing is left under a final name.
    """
    files = [str(each) for each in inputs]
    names = _names(stem)
    best = rows[0][1]
    title = f"{stem or Path(best.mask).name or 'images'} against {Path(best.labels).name}"
    sentences = [*notes(best), *said]
    with Staging(folder, names, overwrite=overwrite, inputs=files) as staging:
        write_overall(staging.path("table"), heads, rows)
        write_scores(staging.path("scores"), heads, rows)
        if not stem:
            write_images(staging.path("images"), heads, rows)
        text = _markdown(title, heads, rows, sentences)
        write_text(staging.path("markdown"), text)
        draw_confusion(staging.path("confusion"), best)
        write_text(staging.path("page"), _page(title, heads, rows, sentences))
        trials = [
            {**dict(zip(heads, cells, strict=True)), **found.to_dict()} for cells, found in rows
        ]
        write_record(staging.path("record"), {**record, "trials": trials})
        return staging.publish()


def _names(stem: str) -> dict[str, str]:
    head = f"{stem}_" if stem else ""
    return {
        "table": f"{head}table.csv",
        "scores": f"{head}evaluation_classes.csv",
        **({} if stem else {"images": "evaluation_images.csv"}),
        "markdown": f"{head}evaluation.md",
        "confusion": f"{head}confusion.png",
        "page": f"{head}evaluation.html",
        "record": f"{head}evaluation.json",
    }


def _class_table(heads: Sequence[str], rows: Rows) -> tuple[list[str], list[list[str]]]:
    """Return the header and a row for each of several settings: IoU of the classes."""
    shown = sorted({value for _, found in rows for value in found.shown()})
    names = rows[0][1].legend.names
    table = [
        [*cells, *(percent(float(found.classes["iou"][value])) for value in shown)]
        for cells, found in rows
    ]
    return [*heads, *(names[value] for value in shown)], table


def _markdown(title: str, heads: Sequence[str], rows: Rows, sentences: Sequence[str]) -> str:
    warned = dict.fromkeys(text for _, found in rows for text in found.warnings)
    parts = [f"# {title}", markdown_table(*overall_table(heads, rows))]
    if len(rows) == 1:
        parts.append(markdown_table(*class_rows(rows[0][1])))
    else:
        parts += ["IoU of the classes, %:", markdown_table(*_class_table(heads, rows))]
    parts += ["\n".join(sentences), *(f"Note: {text}" for text in warned)]
    return "\n\n".join(parts) + "\n"


def _page(title: str, heads: Sequence[str], rows: Rows, sentences: Sequence[str]) -> str:
    best = rows[0][1]
    warned = dict.fromkeys(text for _, found in rows for text in found.warnings)
    body = "".join(f'<p class="warning">{html.escape(text)}</p>' for text in warned)
    if len(rows) > 1:
        # What all have in common tells nothing.
        apart = [at for at in range(len(heads)) if len({cells[at] for cells, _ in rows}) > 1]
        chart = bar_chart(
            {"mean IoU": [100 * found.overall["miou"] for _, found in rows]},
            [", ".join(cells[at] for at in apart) for cells, _ in rows],
            title="Mean IoU of each setting",
            x="setting",
            y="%",
        )
        body += f'<div class="charts">{chart}</div>'
    body += html_table(*overall_table(heads, rows))
    body += "".join(f"<p>{html.escape(text)}</p>" for text in sentences)
    sections = [("overall", "Scores", body)]
    if len(rows) > 1:
        sections.append(("iou", "IoU of the classes, %", html_table(*_class_table(heads, rows))))
    kind, name, text = class_section(best)
    of_best = " of the best" if len(rows) > 1 else ""
    sections.append((kind, name + of_best, text))
    kind, name, text = confusion_section(best)
    sections.append((kind, name + of_best, text))
    if best.reliability is not None:
        kind, name, text = confidence_section(best.reliability)
        sections.append((kind, name + of_best, text))
    if best.images:
        sections.append(("images", "Images" + of_best, _images(best.images)))
    return page_of(f"How good is {title}?", "", sections)


def _images(images: Sequence[Any]) -> str:
    """Return a table of the worst images."""
    known = [each for each in images if each.sums[1].any()]
    worst = sorted(known, key=lambda each: each.overall["miou"])[:_WORST]
    rows = [
        [each.name, percent(each.overall["miou"]), percent(each.overall["accuracy"])]
        for each in worst
    ]
    said = f"<p>The {len(worst)} images of lowest mean IoU, of {len(known)}.</p>"
    return said + html_table(["image", "mean IoU", "overall accuracy"], rows)


_WORST = 20
