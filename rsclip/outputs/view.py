"""One HTML page of a folder's results: pictures, areas and how they were made.

The page holds everything itself and asks the network for nothing (its content security policy
forbids it), so that it can be mailed, archived and opened years later.
"""

import io
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from rsclip.errors import InputError, OutputError, RsclipError, warn
from rsclip.outputs.files.staging import Staging
from rsclip.outputs.pictures.preview import draw_preview
from rsclip.outputs.styles.qml import write_text
from rsclip.outputs.view_page import ViewedScene, describe_results, render_view

__all__ = ["build_view"]

_RECORD_END = "_run.json"
_MARK = '<meta name="generator" content="rsclip'
_QUALITY = 84
# What reading an entry of a record that someone else has changed, or that was cut, may raise.
_DAMAGE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
# Pillow's, on files that are no whole pictures.
_JUNK = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


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
    there = [path for path in folder.iterdir() if path.name.endswith(_RECORD_END)]
    records = sorted(there, key=lambda path: path.name.casefold())
    scenes = [scene for path in records if (scene := _read(path)) is not None]
    if not scenes:
        raise InputError(
            f"the folder holds no finished run (*{_RECORD_END})",
            where=folder,
            remedy="Make one first: `rsclip segment SCENE --classes WORDS -o "
            f"{shlex.quote(str(folder))}`.",
        )
    if target.suffix.lower() not in (".html", ".htm"):
        raise OutputError(
            "this is no name for an HTML page",
            where=target,
            remedy="Choose a name that ends in .html.",
        )
    _refuse_foreign(target, overwrite)
    inputs = [path for path in folder.iterdir() if path.is_file() and path != target]
    with Staging.for_file(target, "page", overwrite=True, inputs=inputs) as staging:
        # Names of files may hold what is no letter at all.
        page = render_view(folder.resolve().name or "rsclip", scenes)
        text = page.encode("utf-8", "backslashreplace").decode()
        write_text(staging.path("page"), text)
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
        warn(f"{path} is not a run record and is left out")
        return None
    try:
        findings = describe_results(record)
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
