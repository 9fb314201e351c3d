"""How a mask was made: whole in `<stem>_run.json`, the essence in the mask's own tags."""

import dataclasses
import datetime
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rsclip.config import HOW_OPTIONS
from rsclip.outputs.files.disk import write_error

__all__ = ["provenance_tags", "to_plain", "warnings_of", "write_record"]


def write_record(path: str | Path, record: Mapping[str, Any]) -> None:
    """Write a record as indented UTF-8 JSON, keys in the order given.

    Args:
        path: The file.
        record: Mappings, sequences, text, numbers (numpy's too), paths and dates.

    Raises:
        TypeError: The record holds something else.
        WriteError: The file cannot be written.
    """
    text = json.dumps(to_plain(record), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        Path(path).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise write_error(error, path) from error


def provenance_tags(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the short tags of a mask: version, model, weights, method, classes, settings.

    Args:
        record: The run record; parts that it lacks give no tag. Read are `software.rsclip`,
            `model` (`name`, `weights_sha256`, `method`), `classes` (of `Legend.to_dict`) and
            `settings`.
    """
    model = record.get("model") or {}
    settings = record.get("settings") or {}
    version = (record.get("software") or {}).get("rsclip")
    classes = [
        {key: item[key] for key in ("value", "name", "words") if key in item}
        for item in (record.get("classes") or {}).get("classes", ())
    ]
    # The same labels are the same bytes, however outputs that existed were gone about.
    given = {
        key: value
        for key, value in settings.items()
        if value is not None and key not in HOW_OPTIONS
    }
    tags = {
        "TIFFTAG_SOFTWARE": f"rsclip {version}" if version else None,
        "RSCLIP_VERSION": version,
        "RSCLIP_MODEL": model.get("name") or settings.get("model"),
        "RSCLIP_WEIGHTS_SHA256": model.get("weights_sha256"),
        "RSCLIP_METHOD": model.get("method") or settings.get("method"),
        "RSCLIP_CLASSES": _compact(classes) if classes else None,
        "RSCLIP_SETTINGS": _compact(given) if given else None,
    }
    return {key: str(value) for key, value in tags.items() if value}


def warnings_of(record: Mapping[str, Any]) -> list[str]:
    """Return the warnings of a run, each in one line, without the name of its scene in front."""
    source = f"{record['scene']['source']}: "
    return [" ".join(text.removeprefix(source).split()) for text in record.get("warnings") or ()]


def to_plain(value: Any) -> Any:
    """Return a value in the types of JSON; NaN and infinities become text, as JSON has none.

    Raises:
        TypeError: There is no plain form.
    """
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [to_plain(item) for item in items]
    if isinstance(value, np.ndarray | np.generic):
        return to_plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            item.name: to_plain(getattr(value, item.name)) for item in dataclasses.fields(value)
        }
    raise TypeError(f"{type(value).__name__} does not fit into a record")


def _compact(value: Any) -> str:
    return json.dumps(to_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
