"""What two runs must have in common, so that one can take over what the other has done.

A finished scene is recognised before a model is loaded: what was asked for is the same, and so are
the files that the model came from.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsclip.adapters.fitted_for import read_header
from rsclip.config import HOW_OPTIONS, OUTPUT_OPTIONS, SHAPE_OPTIONS, SegmentConfig
from rsclip.files import expand
from rsclip.outputs.companions import kept_scores
from rsclip.outputs.records.record import to_plain
from rsclip.run.encoder import Model
from rsclip.scene.scene import Scene
from rsclip.version import __version__
from rsclip.words.legend import Legend
from rsclip.words.prompts import load_templates

__all__ = [
    "MODEL_WITHOUT_EFFECT",
    "WITHOUT_EFFECT",
    "describe_request",
    "fingerprint",
    "input_identity",
    "is_same_request",
    "settings_identity",
]

# Settings that change no label (unreadable blocks are listed in the record), settings that change
# only the last bits of a score (device and batch), and settings that are compared by content
# instead: models by their weights' hash, an area and an adapter by what their files hold.
WITHOUT_EFFECT = frozenset(
    {*HOW_OPTIONS, *OUTPUT_OPTIONS, *SHAPE_OPTIONS, "on_read_error", "affinity"}
    | {"model", "weights", "adapter", "preset", "aoi", "device", "batch_size", "max_memory"}
)
# Likewise of the model's facts.
MODEL_WITHOUT_EFFECT = frozenset({"name", "source", "affinity_source", "device", "batch_size"})
# Where they differ, the same name of a model may stand for another.
_VARIABLES = (
    "HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE", "RSCLIP_CACHE", "RSCLIP_MODELS",
)  # fmt: skip


def settings_identity(
    legend: Legend, config: SegmentConfig, area: str | None, model: Mapping[str, Any]
) -> dict[str, str]:
    """Return the SHA-256 of all that the labels depend on besides the scene.

    Which outputs are wanted is no part of it: most can be made from the mask. Finished outputs
    stay good on another device and with other batches; rows of one run never stand beside those
    of another (`fingerprint`).

    Args:
        legend: Classes.
        config: Settings.
        area: Digest of the area of interest.
        model: The model's facts: weights hash, method and its options, templates, ...
    """
    facts = {key: value for key, value in model.items() if key not in MODEL_WITHOUT_EFFECT}
    return {"settings_hash": _hash(_asked(legend, config, area) | {"model": facts})}


def input_identity(
    scene: Scene, *, checksum: bool, hashes: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return how a scene's pixels are read, and its local files; none of a remote scene.

    Args:
        scene: An open scene.
        checksum: Add the SHA-256 of the files' content to name, size and time of change.
        hashes: SHA-256 of files by path, size and time of change, which are not computed again;
            those that are computed are added.
    """
    known = {} if hashes is None else hashes
    files = []
    for path in map(Path, scene.files):
        # They hold statistics and styles of other programs too: what was understood of them counts.
        if path.is_file() and not path.name.endswith(".aux.xml"):
            about = path.stat()
            fact = {"name": path.name, "size": about.st_size, "mtime_ns": about.st_mtime_ns}
            if checksum:
                key = f"{path}:{about.st_size}:{about.st_mtime_ns}"
                if key not in known:
                    with path.open("rb") as file:
                        known[key] = hashlib.file_digest(file, "sha256").hexdigest()
                fact["sha256"] = known[key]
            files.append(fact)
    return {"reading_hash": _hash(scene.reading), "input": files}


def fingerprint(
    names: Mapping[str, str], identity: Mapping[str, Any], config: SegmentConfig, model: Model
) -> dict[str, Any]:
    """Return what a begun run must have in common with this one, to give the same bits.

    Args:
        names: Key -> file name of every output.
        identity: As `input_identity` and `settings_identity` give it.
        config: Settings.
        model: The model, for its device and batches.
    """
    facts = identity["input"]
    if config.checksum:
        facts = [{k: v for k, v in fact.items() if k != "mtime_ns"} for fact in facts]
    return {
        **identity,
        "input": facts,
        # Logged rows are of these files, and what could not be read is nodata among them.
        "scores": kept_scores(names),
        "on_read_error": config.on_read_error,
        "device": model.facts.get("device"),
        "batch_size": model.encoder.batch_size,
    }


def describe_request(
    legend: Legend, config: SegmentConfig, area: str | None, model: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a record keeps of a request; nothing where another run could not compare it.

    Arguments as `settings_identity`.
    """
    outside = "method_sha256" in model or "method_package" in model
    if "source" not in model or outside or os.environ.get("RSCLIP_MODELS"):
        return {}
    from rsclip.model import paths_behind

    behind = paths_behind(config.model, model["source"])
    if "affinity_source" in model:
        behind += paths_behind(str(config.affinity), model["affinity_source"])
    paths = [path.absolute() for path in behind]
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
    facts = {
        "model": [_full(config.model), _full(config.weights), _full(config.affinity)],
        "templates": list(load_templates(config.templates)),
        "environment": [os.environ.get(name) for name in _VARIABLES],
        "adapter": None if config.adapter is None else read_header(config.adapter).sha256,
    }
    return _hash(_asked(legend, config, area) | facts)


def _asked(legend: Legend, config: SegmentConfig, area: str | None) -> dict[str, Any]:
    settings = {k: v for k, v in config.to_dict().items() if k not in WITHOUT_EFFECT}
    facts = {"rsclip": __version__, "classes": legend.to_dict(), "settings": settings, "area": area}
    beside = {name: _look(expand(path)) for name, path in config.rasters.items()}
    return facts | ({"rasters": beside} if beside else {})


def _hash(facts: Mapping[str, Any]) -> str:
    text = json.dumps(to_plain(facts), sort_keys=True, ensure_ascii=False)
    # Paths may hold bytes that are no text.
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
