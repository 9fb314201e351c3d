"""What a run was asked for, as it is known without the model.

A finished scene is recognised by it before a model is loaded: what was asked for is the same, and
so are the files that the model came from.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsclip.config import SegmentConfig
from rsclip.files import expand
from rsclip.outputs.records.record import to_plain
from rsclip.run.resume import WITHOUT_EFFECT
from rsclip.version import __version__
from rsclip.words.legend import Legend
from rsclip.words.prompts import load_templates

__all__ = ["describe_request", "is_same_request"]

# Where they differ, the same name may stand for another model.
_VARIABLES = (
    "HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE", "RSCLIP_CACHE", "RSCLIP_MODELS",
)  # fmt: skip


def describe_request(
    legend: Legend, config: SegmentConfig, area: str | None, model: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a record keeps of a request; nothing where another run could not compare it.

    Args:
        legend: Classes.
        config: Settings, which name the model.
        area: Digest of the area of interest.
        model: The model's facts.
    """
    outside = "method_sha256" in model or "method_package" in model
    if "source" not in model or outside or os.environ.get("RSCLIP_MODELS"):
        return {}
    from rsclip.model import paths_behind

    paths = [path.absolute() for path in paths_behind(config.model, model["source"])]
    files = {str(path): _look(path) for path in paths}
    return {"request": {"hash": _request_hash(legend, config, area), "files": files}}


def is_same_request(
    record: Mapping[str, Any], legend: Legend, config: SegmentConfig, area: str | None
) -> bool:
    """Say whether a record is of the same request; False too where the model has to tell."""
    kept = record.get("request")
    files = kept.get("files") if isinstance(kept, dict) else None
    if not isinstance(kept, dict) or not isinstance(files, dict) or not files:
        return False
    if kept.get("hash") != _request_hash(legend, config, area):
        return False
    return all(_look(Path(path)) == look for path, look in files.items())


def _request_hash(legend: Legend, config: SegmentConfig, area: str | None) -> str:
    settings = {k: v for k, v in config.to_dict().items() if k not in WITHOUT_EFFECT}
    facts = {
        "rsclip": __version__,
        "classes": legend.to_dict(),
        "settings": settings,
        "model": [_full(config.model), _full(config.weights)],
        "templates": list(load_templates(config.templates)),
        "area": area,
        "environment": [os.environ.get(name) for name in _VARIABLES],
    }
    text = json.dumps(to_plain(facts), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _full(name: str | None) -> str | None:
    """Return a name, a file's or folder's with its path: the working folder may be another one."""
    if name is None:
        return None
    path = expand(name)
    return str(path.absolute()) if path.exists() else name


def _look(path: Path) -> list[int] | None:
    """Return size and time of change, of a folder the time only; None for what is not there."""
    try:
        about = path.stat()
    except OSError:
        return None
    return [0 if path.is_dir() else about.st_size, about.st_mtime_ns]
