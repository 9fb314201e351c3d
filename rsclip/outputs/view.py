"""One HTML page of a folder's results: pictures, areas and how they were made.

The page holds everything itself and asks the network for nothing (its content security policy
forbids it), so that it can be mailed, archived and opened years later.
"""

import base64
import html
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from rsclip.errors import InputError, OutputError, RsclipError, warn
from rsclip.outputs.files.staging import Staging
from rsclip.outputs.pictures.preview import draw_preview
from rsclip.outputs.styles.qml import write_text
from rsclip.outputs.view_page import FINDINGS, PAGE, SCENE
from rsclip.version import __version__

__all__ = ["ViewedScene", "build_view"]

_RECORD_END = "_run.json"
_MARK = '<meta name="generator" content="rsclip'
_QUALITY = 84
# What reading an entry of a record that someone else has changed, or that was cut, may raise.
_DAMAGE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
# Pillow's, on files that are no whole pictures.
_JUNK = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


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


def build_view(
    folder: str | Path, output: str | Path | None = None, *, overwrite: bool = False
) -> tuple[Path, list[ViewedScene]]:
    """Write the page of all runs in a folder.

    Previews that are missing or unreadable are drawn now; where the scene is not there any more,
    from the mask alone. A scene whose record is damaged is shown with what can be read, and a
    warning says so. A page of an earlier call is replaced.

    Args:
        folder: Holds `<stem>_run.json` and the outputs beside it.
        output: The page, or an existing folder for `index.html`; missing folders are made.
            Default: `index.html` in the folder.
        overwrite: Replace a file that rsclip did not make, too.

    Returns:
        The page's path and what is on it.

    Raises:
        InputError: The folder is not there or holds no finished run.
        OutputError: The page cannot be written there.
        WriteError: The page cannot be written to its end.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            "no such folder", where=folder, remedy="Name a folder of rsclip's outputs."
        )
    target = Path(output) if output is not None else folder
    if target.is_dir():
        target /= "index.html"
    records = sorted(folder.glob(f"*{_RECORD_END}"), key=lambda path: path.name.casefold())
    scenes = [scene for path in records if (scene := _read(path)) is not None]
    if not scenes:
        raise InputError(
            f"no finished run (*{_RECORD_END})",
            where=folder,
            remedy="Run `rsclip segment ... -o` with this folder first.",
        )
    if target.suffix.lower() not in (".html", ".htm"):
        raise OutputError("not a name of a page", where=target, remedy="End it in .html.")
    _refuse_foreign(target, overwrite)
    inputs = [path for path in folder.iterdir() if path.is_file() and path != target]
    names = {"page": target.name}
    with Staging(target.parent, names, overwrite=True, inputs=inputs) as staging:
        # Names of files may hold what is no letter at all.
        page = _page(folder, scenes).encode("utf-8", "backslashreplace").decode()
        write_text(staging.path("page"), page)
        path = staging.publish()["page"]
    return path, scenes


def _refuse_foreign(target: Path, overwrite: bool) -> None:
    if overwrite or not target.is_file():
        return
    with target.open("rb") as file:
        head = file.read(2000).decode("utf-8", "replace")
    if _MARK not in head:
        raise OutputError(
            "exists already and was not made by rsclip",
            where=target,
            remedy="Replace it with --overwrite, or choose another file (-o).",
        )


def _read(path: Path) -> ViewedScene | None:
    """Read a run; None with a warning for a JSON file that is something else."""
    stem = path.name.removesuffix(_RECORD_END)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        for key in ("scene", "classes", "results", "settings", "model"):
            record[key]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        warn(f"{path}: not a run record: left out")
        return None
    try:
        findings = _findings(record)
    except _DAMAGE as error:
        warn(f"{stem}: its run record is damaged ({_said(error)}): areas and facts are left out")
        findings = None
    return ViewedScene(stem, record, _picture(path.parent, stem, record), findings)


def _picture(folder: Path, stem: str, record: Mapping[str, Any]) -> bytes | None:
    data = io.BytesIO()
    preview = folder / f"{stem}_preview.png"
    try:
        # One that this run did not write may show an earlier run.
        written = record["settings"].get("preview") and preview.is_file()
        picture = _written(preview) if written else None
        if picture is None:
            picture = draw_preview(record, folder / f"{stem}_mask.tif", scene_needed=False)
        picture.save(data, "WEBP", quality=_QUALITY)
    except (OSError, RsclipError, *_DAMAGE) as error:
        warn(f"{stem}: no preview: {_said(error)}")
        return None
    return data.getvalue()


def _written(preview: Path) -> Image.Image | None:
    """Read a preview; None with a warning where it is no picture."""
    try:
        with Image.open(preview) as file:
            return file.convert("RGB")
    except _JUNK as error:
        text = f"{preview.name} cannot be read ({_said(error)}): drawn anew for the page"
        warn(text)
        return None


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    # The text of these is the key alone.
    return f"no entry {text}" if isinstance(error, KeyError) else text


def _page(folder: Path, scenes: Sequence[ViewedScene]) -> str:
    title = html.escape(folder.resolve().name or "rsclip")
    links = "".join(
        f'<li><a href="#scene-{index}">{html.escape(scene.stem)}</a></li>'
        for index, scene in enumerate(scenes, 1)
    )
    body = "".join(_scene(index, scene, len(scenes)) for index, scene in enumerate(scenes, 1))
    count = "1 scene" if len(scenes) == 1 else f"{len(scenes)} scenes"
    return PAGE.substitute(title=title, version=__version__, count=count, links=links, scenes=body)


def _scene(index: int, scene: ViewedScene, count: int) -> str:
    picture = '<p class="none">No picture: neither mask nor preview can be read.</p>'
    if scene.picture is not None:
        data = base64.b64encode(scene.picture).decode("ascii")
        text = html.escape(f"{scene.stem}: image, classes over it, legend, scale and north")
        picture = f'<img src="data:image/webp;base64,{data}" alt="{text}" loading="lazy">'
    nav = []
    if index > 1:
        nav.append(f'<a href="#scene-{index - 1}" rel="prev">previous</a>')
    if index < count:
        nav.append(f'<a href="#scene-{index + 1}" rel="next">next</a>')
    findings = scene.findings
    if findings is None:
        findings = '<p class="none">The run record is damaged: no areas, no facts.</p>'
    return SCENE.substitute(
        index=index,
        stem=html.escape(scene.stem),
        nav=" ".join(nav),
        picture=picture,
        findings=findings,
        record=html.escape(json.dumps(scene.record, indent=2, ensure_ascii=False)),
    )


def _findings(record: Mapping[str, Any]) -> str:
    """Return areas and facts as HTML; any error of a mapping means that the record is damaged."""
    hectares = sum(item.get("m2") or 0 for item in record["results"]) / 1e4
    # Four significant digits of the whole, so that the points stand below one another.
    decimals = min(max(4 - math.ceil(math.log10(hectares)), 0), 6) if hectares > 0 else 0
    return FINDINGS.substitute(
        rows="".join(_row(item, record, decimals) for item in _by_share(record["results"])),
        facts="".join(
            f"<dt>{name}</dt><dd>{html.escape(value)}</dd>" for name, value in _facts(record)
        ),
    )


def _by_share(results: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(results, key=lambda item: (-item["pixels"], item["value"]))


def _row(item: Mapping[str, Any], record: Mapping[str, Any], decimals: int) -> str:
    colours = {each["value"]: each["colour"] for each in record["classes"]["classes"]}
    colour = colours[item["value"]] if item["value"] else "#808080"
    area, confidence = item.get("m2"), item.get("mean_confidence")
    cells = [
        f"{item['pixels']:,}",
        "" if area is None else f"{area / 1e4:,.{decimals}f}",
        f"{item['share']:.2%}",
        "" if confidence is None else f"{confidence:.0%}",
    ]
    return (
        f'<tr><th scope="row"><span class="swatch" style="background:{html.escape(colour)}">'
        f"</span>{html.escape(item['name'])}</th>"
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
    )


def _facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    scene, model, windows = record["scene"], record["model"], record.get("windows", {})
    height, width = scene["shape"]
    crs = scene.get("crs")
    facts = [
        ("Scene", str(scene["source"])),
        ("Size", f"{width:,} x {height:,} pixels"),
        ("CRS", crs.split('"')[1] if crs and '"' in crs else "none"),
        ("Model", f"{model.get('name')}, {model.get('method', '')}".rstrip(", ")),
        ("Weights (SHA-256)", str(model.get("weights_sha256") or "unknown")),
        ("Windows", f"{windows.get('total', 0):,}, {windows.get('skipped', 0):,} without data"),
        ("Run", f"{record.get('started', '')}, {record.get('seconds', {}).get('total', 0):,.0f} s"),
        ("rsclip", str(record.get("software", {}).get("rsclip", ""))),
    ]
    return facts
