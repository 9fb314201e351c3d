"""A study as tables (CSV) and as one HTML page that holds everything itself."""

import csv
import html
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rsclip.methods.lastblock import ATTENTIONS
from rsclip.outputs.files.disk import write_error
from rsclip.outputs.files.staging import Staging
from rsclip.outputs.page import render_page
from rsclip.outputs.records.record import to_plain
from rsclip.outputs.styles.qml import write_text
from rsclip.study.diagnose.layers import PARTS, LayerStatistics
from rsclip.study.diagnose.sweeps import NORMALISED, Score
from rsclip.study.page import FOOTER, STYLE
from rsclip.study.plots import bar_chart, line_chart
from rsclip.study.window_maps import Picture, draw_maps
from rsclip.types import Window
from rsclip.words.legend import Legend

__all__ = ["NAMES", "write_report", "write_tables"]

NAMES = {
    "report": "report.html",
    "layers": "layers.csv",
    "channels": "channels.csv",
    "attention": "attention.csv",
    "scores": "scores.csv",
    "classes": "class_iou.csv",
    "windows": "windows.csv",
    "record": "study.json",
}
"""Key -> file name of every output; the record last, as the mark of completeness."""

_MAPS = (
    "<p>From X_res, X_attn and X_sum of the last layer (attention q-k), and as ClearCLIP has it "
    "(X_attn of q-q).</p>"
)
_STATISTICS = (
    ("entropy", "Normalised entropy of each layer", "entropy"),
    ("norm", "Norm of each layer", "Frobenius norm"),
    ("maximum", "Mean maximum of each layer", "largest entry"),
)
_SPREAD = 4  # layers whose residual's channels are drawn


def write_tables(
    staging: Staging,
    layers: Sequence[LayerStatistics],
    beside: Sequence[LayerStatistics],
    norms: Mapping[str, float],
    scores: Sequence[Score],
    legend: Legend | None,
    windows: Sequence[tuple[str, Window]],
    record: Mapping[str, Any],
) -> None:
    """Write every number as CSV; tables of scores hold their header only where there are none.

    Raises:
        WriteError: A file cannot be written.
    """
    every = [(s, record["model"]["name"]) for s in layers]
    every += [(s, record["affinity"]["name"]) for s in beside]
    _write_csv(
        staging.path("layers"),
        ("layer", "part", "entropy", "norm", "mean_maximum", "model"),
        ((s.layer, s.part, s.entropy, s.norm, s.maximum, model) for s, model in every),
    )
    _write_csv(
        staging.path("channels"),
        ("layer", "part", "rank", "channel", "mean", "model"),
        (
            (s.layer, s.part, rank, channel, value, model)
            for s, model in every
            for rank, (channel, value) in enumerate(zip(s.order, s.channels, strict=True), 1)
        ),
    )
    _write_csv(staging.path("attention"), ("attention", "norm"), norms.items())
    sweep = ("sweep", "name", "attention", "residual", "ffn", "alpha", "beta", "normalised")
    _write_csv(
        staging.path("scores"),
        (*sweep, "miou", "accuracy"),
        ((*_point(s), s.miou, s.accuracy) for s in scores),
    )
    names = {} if legend is None else legend.names
    _write_csv(
        staging.path("classes"),
        (*sweep, "value", "class", "iou"),
        (
            (*_point(s), value, name, s.iou[value])
            for s in scores
            for value, name in names.items()
            if np.isfinite(s.iou[value])
        ),
    )
    _write_csv(
        staging.path("windows"),
        ("scene", "row", "col", "height", "width"),
        ((scene, *window) for scene, window in windows),
    )


def write_report(
    staging: Staging,
    layers: Sequence[LayerStatistics],
    beside: Sequence[LayerStatistics],
    norms: Mapping[str, float],
    scores: Sequence[Score],
    legend: Legend | None,
    pictures: Sequence[Picture],
    record: Mapping[str, Any],
) -> None:
    """Write the page.

    Raises:
        WriteError: It cannot be written.
    """
    sections = [
        ("layers", "Layers", _layers(layers)),
        ("norms", "Attention", _norms(layers, norms)),
    ]
    if beside:
        names = record["model"]["name"], record["affinity"]["name"]
        sections.append(("beside", "Beside a self-supervised ViT", _beside(layers, beside, names)))
    if scores:
        sections.append(("scores", "Scores", _scores(scores, record["model"]["name"])))
    if pictures and legend is not None:
        sections.append(("maps", "Label maps", _MAPS + draw_maps(pictures, legend)))
    sections.append(("record", "How it was made", _record(record)))
    model = record["model"]
    count = len(record["windows"])
    columns = len(pictures[0].labels) + 1 + (pictures[0].truth is not None) if pictures else 1
    page = render_page(
        f"{model['name']} on {Path(record['source']).name or record['source']}",
        f"{model['depth']} layers, {count} window{'s' * (count != 1)}",
        "study",
        [(key, name) for key, name, _ in sections],
        "".join(
            f'<section id="{key}" aria-labelledby="name-{key}"><h2 id="name-{key}">{name}</h2>'
            f"{body}</section>"
            for key, name, body in sections
        ),
        FOOTER,
        style=STYLE.substitute(columns=columns),
    )
    write_text(staging.path("report"), page)


def _layers(layers: Sequence[LayerStatistics]) -> str:
    by_part = {part: [each for each in layers if each.part == part] for part in PARTS}
    numbers = [each.layer for each in by_part["X_res"]]
    charts = []
    for key, title, y in _STATISTICS:
        series: dict[str, list[float]] = {
            part: [getattr(each, key) for each in by_part[part]] for part in PARTS
        }
        charts.append(line_chart(series, numbers, title=title, x="layer", y=y))
    last: dict[str, list[float]] = {part: list(by_part[part][-1].channels) for part in PARTS}
    ranks = list(range(1, len(last["X_res"]) + 1))
    x, y = "channel, sorted", "mean over patches"
    charts.append(line_chart(last, ranks, title="Channels of the last layer", x=x, y=y))
    chosen = np.unique(np.linspace(0, len(numbers) - 1, _SPREAD).round().astype(int))
    spread = {f"layer {numbers[i]}": list(by_part["X_res"][i].channels) for i in chosen}
    charts.append(line_chart(spread, ranks, title="Channels of X_res by layer", x=x, y=y))
    return (
        "<p>X_res enters a layer, X_attn is what its attention adds (q-k, as trained), X_sum is "
        "both together. An entropy near 0 says that a few entries outweigh all others: then the "
        "patches tell little of where they lie.</p>"
        f'<div class="charts">{"".join(charts)}</div>'
    )


def _beside(
    clip: Sequence[LayerStatistics], vit: Sequence[LayerStatistics], names: tuple[str, str]
) -> str:
    both = {"CLIP": clip, "ViT": vit}

    def by_layer(key: str) -> dict[str, list[float]]:
        return {
            f"{name} {part}": [getattr(each, key) for each in layers if each.part == part]
            for name, layers in both.items()
            for part in PARTS
        }

    charts = [
        _uneven(by_layer(key), title=f"{title}, of both", x="layer", y=y)
        for key, title, y in _STATISTICS
    ]
    last = {f"{name} X_sum": list(layers[-1].channels) for name, layers in both.items()}
    title = "Channels of the last layer, of both"
    charts.append(_uneven(last, title=title, x="channel, sorted", y="mean over patches"))
    return (
        f"<p>The same windows through {html.escape(names[0])} (CLIP) and {html.escape(names[1])} "
        "(ViT). The papers' CLIPs hold a few strong channels in X_res and X_sum of deep layers, "
        "which drown what tells patches apart, and a DINO does "
        f'not.</p><div class="charts">{"".join(charts)}</div>'
    )


def _uneven(series: Mapping[str, list[float]], *, title: str, x: str, y: str) -> str:
    """Draw lines that may be of different lengths, from position 1."""
    longest = max(map(len, series.values()))
    filled = {name: [*line, *[math.nan] * (longest - len(line))] for name, line in series.items()}
    return line_chart(filled, list(range(1, longest + 1)), title=title, x=x, y=y)


def _norms(layers: Sequence[LayerStatistics], norms: Mapping[str, float]) -> str:
    residual = layers[-len(PARTS)].norm
    chart = bar_chart(
        {"norm": [residual, *norms.values()]},
        ["X_res", *norms],
        title="Norm of the last layer's X_attn by kind of attention, beside X_res",
        x="attention",
        y="Frobenius norm",
    )
    return (
        "<p>Where X_res is much longer than X_attn, it decides what their sum says; kinds of "
        f'attention that add more weigh more in it.</p><div class="charts">{chart}</div>'
    )


def _scores(scores: Sequence[Score], model: str) -> str:
    percent = [(each.variant, 100 * each.miou) for each in scores]
    parts = {v.name: value for v, value in percent if v.sweep == "parts"}
    cells: dict[tuple[str, str], float] = {
        (v.name, v.options.attention): x for v, x in percent if v.sweep == "ablation"
    }
    kept = list(dict.fromkeys(name for name, _ in cells))
    charts = [
        bar_chart(
            {"mIoU": list(parts.values())},
            list(parts),
            title="Segmenting from the last layer's parts (q-k)",
            x="tokens",
            y="mIoU, %",
        ),
        bar_chart(
            {name: [cells[name, each] for each in ATTENTIONS] for name in kept},
            ATTENTIONS,
            title="Residual (RC) x FFN x attention",
            x="attention",
            y="mIoU, %",
        ),
    ]
    for sweep, title, x in (
        ("alpha", "X_res + alpha X_attn", "alpha (evenly spaced)"),
        (
            "beta",
            "X_res less its strongest channels, + X_attn",
            "beta, % of channels (evenly spaced); or L2-normalised",
        ),
    ):
        series: dict[str, list[float]] = {}
        positions = list(dict.fromkeys(v.name for v, _ in percent if v.sweep == sweep))
        for variant, value in percent:
            if variant.sweep == sweep:
                series.setdefault(variant.options.attention, []).append(value)
        if NORMALISED in positions:
            # A point of its own: no line leads to it.
            gap = positions.index(NORMALISED)
            positions.insert(gap, "")
            for values in series.values():
                values.insert(gap, math.nan)
        charts.append(line_chart(series, positions, title=title, x=x, y="mIoU, %"))
    note = ""
    if model.startswith("nano"):
        note = (
            "<p>nano was trained on pixels, not on the web's captions: what the papers find need "
            "not show in it.</p>"
        )
    return (
        f"{note}<p>mIoU in percent over the classes in the truth. Windows are segmented one by "
        "one; the similarities are interpolated from the patch grid to pixels.</p>"
        f'<div class="charts">{"".join(charts)}</div>{_ablation(cells, kept)}'
    )


def _ablation(cells: Mapping[tuple[str, str], float], kept: Sequence[str]) -> str:
    best = max(cells.values())
    head = "".join(f'<th scope="col">{each}</th>' for each in ATTENTIONS)
    rows = "".join(
        f'<tr><th scope="row">{name}</th>'
        + "".join(
            f"<td{' class=best' if value == best else ''}>{value:.1f}</td>"
            for value in (cells[name, each] for each in ATTENTIONS)
        )
        + "</tr>"
        for name in kept
    )
    return (
        '<div class="wide"><table><caption>mIoU by what is kept of the last layer and by its '
        "attention; ClearCLIP is qq with neither</caption>"
        f'<thead><tr><th scope="col">kept</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _record(record: Mapping[str, Any]) -> str:
    model = record["model"]
    facts = [
        ("Source", record["source"]),
        ("Labels", record["labels"] or "none"),
        ("Model", f"{model['name']}, {model['precision']} on {model['device']}"),
        ("Weights (SHA-256)", model["weights_sha256"]),
        *[("Beside it", each["name"]) for each in (record["affinity"],) if each],
        ("Windows", f"{len(record['windows'])}, seed {record['seed']}"),
        ("Run", f"{record['started']}, {record['seconds']:,.0f} s"),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{html.escape(str(value))}</dd>" for name, value in facts)
    text = json.dumps(to_plain(record), indent=2, ensure_ascii=False)
    return (
        f"<dl>{listed}</dl><details><summary>Record</summary>"
        f'<pre tabindex="0" aria-label="Record">{html.escape(text)}</pre></details>'
    )


def _point(score: Score) -> tuple[Any, ...]:
    variant, options = score.variant, score.variant.options
    return (
        variant.sweep, variant.name, options.attention, int(options.residual), int(options.ffn),
        options.alpha, options.beta, int(options.normalised),
    )  # fmt: skip


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            for row in rows:
                writer.writerow([f"{v:.9g}" if isinstance(v, float) else v for v in row])
    except OSError as error:
        raise write_error(error, path) from error
