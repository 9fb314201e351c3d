"""`catalog.json`: a static STAC catalogue of a batch's items."""

import json
from collections.abc import Sequence
from pathlib import Path

from rsclip.batch.mosaic import finished
from rsclip.batch.tasks import Outcome
from rsclip.files import new_file
from rsclip.outputs.files.disk import write_error
from rsclip.outputs.records.stac import relative_href
from rsclip.outputs.styles.qml import write_text

__all__ = ["NAME", "is_own", "write_catalogue"]

NAME = "catalog.json"
_MARK = "Masks by rsclip, one item a scene."


def write_catalogue(root: Path, outcomes: Sequence[Outcome]) -> list[Path]:
    """Write a catalogue that links to every item below a folder.

    Args:
        root: The output folder.
        outcomes: Of the batch; those without an item are left out.

    Returns:
        The file.

    Raises:
        WriteError: It cannot be written.
    """
    path = root / NAME
    items = [
        {
            "rel": "item",
            "href": relative_href(outcome.outputs["stac"]),
            "type": "application/geo+json",
            "title": outcome.task.name,
        }
        for outcome, _ in finished(root, outcomes)
        if "stac" in outcome.outputs
    ]
    catalogue = {
        "type": "Catalog",
        "stac_version": "1.1.0",
        "id": root.name or "rsclip",
        "title": f"Classes of {len(items)} scene{'s' * (len(items) != 1)}",
        "description": _MARK,
        "links": [
            {"rel": "root", "href": f"./{NAME}", "type": "application/json"},
            *items,
        ],
    }
    try:
        with new_file(path) as draft:
            write_text(draft, json.dumps(catalogue, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise write_error(error, path) from error
    return [path]


def is_own(path: Path) -> bool:
    """Say whether a file is a catalogue that a batch wrote."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("description") == _MARK
