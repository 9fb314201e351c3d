"""What `rsclip view` puts on its page: totals over the scenes, then a section for each scene."""

import base64
import html
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import Template
from typing import Any

from rsclip.outputs.page import render_page
from rsclip.outputs.records.record import warnings_of

__all__ = ["ViewedScene", "describe_results", "render_view"]

_TOTALS = Template("""
<section id="totals" aria-labelledby="name-totals">
<h2 id="name-totals">All scenes</h2>
$warnings
$table
<dl>$facts</dl>
</section>
""")

_SCENE = Template("""
<section id="scene-$index" aria-labelledby="name-$index">
<div class="bar"><h2 id="name-$index">$stem</h2>
<nav aria-label="Neighbours of $stem">$nav <a href="#">top</a></nav></div>
$warnings
$picture
$findings
<details><summary>Run record</summary>
<pre tabindex="0" aria-label="Run record of $stem">$record</pre></details>
</section>
""")

_TABLE = Template("""<div class="wide"><table>
<caption>Areas</caption>
<thead><tr>$head</tr></thead>
<tbody>$rows</tbody>
</table></div>
""")

_GREY = "#808080"


@dataclass(frozen=True, slots=True)
class ViewedScene:
    """A scene on the page.

    Attributes:
        stem: What its outputs begin with.
        record: Its run record.
        picture: The preview as WebP, or None where there is nothing to draw from.
        findings: HTML of areas and facts, or None where the record is damaged.
    """

    stem: str
    record: Mapping[str, Any]
    picture: bytes | None
    findings: str | None


@dataclass(slots=True)
class _Total:
    """A class over all scenes; `m2` is the sum of the areas that are known."""

    colour: str
    pixels: int = 0
    m2: float = 0.0
    scenes: int = 0


def render_view(title: str, scenes: Sequence[ViewedScene]) -> str:
    """Return the page of scenes; of several scenes, the totals come first.

    Args:
        title: Plain text.
        scenes: In the order of the page.
    """
    several = len(scenes) > 1
    body = [_totals(scenes)] if several else []
    body += [_section(index, scene, len(scenes)) for index, scene in enumerate(scenes, 1)]
    places = [(f"scene-{index}", scene.stem) for index, scene in enumerate(scenes, 1)]
    return render_page(
        title,
        f"{_count(len(scenes), 'scene')}, segmented by words with rsclip",
        "scenes",
        [("totals", "All scenes"), *places] if several else places,
        "".join(body),
        "Areas are true ground areas; shares are of the valid pixels.",
    )


def describe_results(record: Mapping[str, Any]) -> str:
    """Return areas and facts of a run as HTML; any error of a mapping means a damaged record."""
    results = record["results"]
    # Read here, too, so that a record whose warnings are damaged counts as damaged.
    warnings_of(record)
    decimals = _decimals(sum(item.get("m2") or 0 for item in results))
    colours = {each["value"]: each["colour"] for each in record["classes"]["classes"]}
    rows = [
        _row(
            item["name"],
            colours[item["value"]] if item["value"] else _GREY,
            f"{item['pixels']:,}",
            _hectares(item.get("m2"), decimals),
            f"{item['share']:.2%}",
            _percent(item.get("mean_confidence")),
        )
        for item in sorted(results, key=lambda item: (-item["pixels"], item["value"]))
    ]
    head = "Class", "Pixels", "Hectares", "Share", "Mean confidence"
    return f"{_table(head, rows)}<dl>{_facts_html(_facts(record))}</dl>"


def _totals(scenes: Sequence[ViewedScene]) -> str:
    whole = [scene for scene in scenes if scene.findings is not None]
    totals: dict[str, _Total] = {}
    without_area = 0
    for scene in whole:
        classes = scene.record["classes"]["classes"]
        colours = {each["value"]: each["colour"] for each in classes}
        without_area += any(item.get("m2") is None for item in scene.record["results"])
        for item in scene.record["results"]:
            colour = colours[item["value"]] if item["value"] else _GREY
            total = totals.setdefault(item["name"], _Total(colour))
            total.pixels += item["pixels"]
            total.m2 += item.get("m2") or 0.0
            total.scenes += item["pixels"] > 0
    ground = sum(total.m2 for total in totals.values())
    pixels = sum(total.pixels for total in totals.values())
    decimals = _decimals(ground)

    def share(total: _Total) -> str:
        # Pixels of different scenes need not be of one size.
        part, all_of_it = (total.m2, ground) if not without_area else (total.pixels, pixels)
        return f"{part / all_of_it:.2%}" if all_of_it else ""

    rows = [
        _row(
            name,
            total.colour,
            f"{total.pixels:,}",
            _hectares(total.m2 if ground else None, decimals),
            share(total),
            f"{total.scenes:,}",
        )
        for name, total in sorted(totals.items(), key=lambda each: (-each[1].pixels, each[0]))
    ]
    facts = [("Scenes", f"{len(scenes):,}")]
    if len(whole) < len(scenes):
        facts.append(("Damaged", f"{len(scenes) - len(whole):,}, not in these totals"))
    facts += [("Valid pixels", f"{pixels:,}"), ("Valid ground", f"{ground / 1e4:,.{decimals}f} ha")]
    if without_area:
        facts.append(("Without areas", f"{without_area:,}: their pixels have no known size"))
    facts.append(("Overlaps", "ground that two scenes show is counted twice"))
    head = "Class", "Pixels", "Hectares", "Share", "Scenes"
    return _TOTALS.substitute(
        warnings=_warned_scenes(scenes), table=_table(head, rows), facts=_facts_html(facts)
    )


def _warned_scenes(scenes: Sequence[ViewedScene]) -> str:
    """Return a banner that lists each warning once, with links to its scenes."""
    places: dict[str, list[str]] = {}
    for index, scene in enumerate(scenes, 1):
        for text in warnings_of(scene.record) if scene.findings is not None else ():
            link = f'<a href="#scene-{index}">{html.escape(scene.stem)}</a>'
            places.setdefault(text, []).append(link)
    lines = [
        f"{html.escape(text)} ({'all scenes' if len(links) == len(scenes) else ', '.join(links)})"
        for text, links in places.items()
    ]
    return _banner(lines, "Warnings of all scenes")


def _banner(lines: Sequence[str], label: str) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{line}</li>" for line in lines)
    return (
        f'<div class="warning" role="note" aria-label="{html.escape(label)}">'
        f"<strong>{_count(len(lines), 'warning')}</strong><ul>{items}</ul></div>"
    )


def _section(index: int, scene: ViewedScene, count: int) -> str:
    picture = '<p class="none">No picture: neither mask nor preview can be read.</p>'
    if scene.picture is not None:
        data = base64.b64encode(scene.picture).decode("ascii")
        text = html.escape(f"{scene.stem}: image, classes over it, legend, scale and north")
        image = f'<img src="data:image/webp;base64,{data}" alt="{text}" loading="lazy">'
        picture = f'<div class="wide" tabindex="0" aria-label="{text}">{image}</div>'
    nav = []
    if index > 1:
        nav.append(f'<a href="#scene-{index - 1}" rel="prev">previous</a>')
    if index < count:
        nav.append(f'<a href="#scene-{index + 1}" rel="next">next</a>')
    findings = scene.findings
    if findings is None:
        findings = '<p class="none">The run record is damaged: no areas, no facts.</p>'
    warnings = () if scene.findings is None else warnings_of(scene.record)
    return _SCENE.substitute(
        index=index,
        stem=html.escape(scene.stem),
        nav=" ".join(nav),
        warnings=_banner([html.escape(text) for text in warnings], f"Warnings of {scene.stem}"),
        picture=picture,
        findings=findings,
        record=html.escape(json.dumps(scene.record, indent=2, ensure_ascii=False)),
    )


def _table(head: Iterable[str], rows: Iterable[str]) -> str:
    cells = "".join(f'<th scope="col">{name}</th>' for name in head)
    return _TABLE.substitute(head=cells, rows="".join(rows))


def _row(name: str, colour: str, *cells: str) -> str:
    return (
        f'<tr><th scope="row"><span class="swatch" style="background:{html.escape(colour)}">'
        f"</span>{html.escape(name)}</th>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    )


def _decimals(m2: float) -> int:
    """Return decimals of hectares: four digits of the whole, so that points stand in a line."""
    return min(max(4 - math.ceil(math.log10(m2 / 1e4)), 0), 6) if m2 > 0 else 0


def _hectares(m2: float | None, decimals: int) -> str:
    return "" if m2 is None else f"{m2 / 1e4:,.{decimals}f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _facts_html(facts: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<dt>{name}</dt><dd>{html.escape(value)}</dd>" for name, value in facts)


def _facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    scene, model, windows = record["scene"], record["model"], record.get("windows", {})
    height, width = scene["shape"]
    crs = scene.get("crs")
    return [
        ("Scene", str(scene["source"])),
        ("Size", f"{width:,} x {height:,} pixels"),
        ("CRS", crs.split('"')[1] if crs and '"' in crs else "none"),
        ("Model", f"{model.get('name')}, {model.get('method', '')}".rstrip(", ")),
        ("Weights (SHA-256)", str(model.get("weights_sha256") or "unknown")),
        ("Windows", f"{windows.get('total', 0):,}, {windows.get('skipped', 0):,} without data"),
        ("Run", f"{record.get('started', '')}, {record.get('seconds', {}).get('total', 0):,.0f} s"),
        ("rsclip", str(record.get("software", {}).get("rsclip", ""))),
    ]
