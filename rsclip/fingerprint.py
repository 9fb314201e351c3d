"""Whether a scene was done, or begun, with the same settings and the same input."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsclip.config import SegmentConfig
from rsclip.legend import Legend
from rsclip.scene import Scene
from rsclip.version import __version__
from rsclip.writers.record import to_plain

__all__ = ["finished_record", "input_facts", "settings_hash"]

# Settings that change no pixel, and those that the model's facts tell better (the weights' hash,
# the batch in use).
_WITHOUT_EFFECT = frozenset(
    {"overwrite", "resume", "model", "weights", "preset", "batch_size", "max_memory"}
)
_MODEL_FACTS = frozenset({"name", "source"})


def settings_hash(legend: Legend, config: SegmentConfig, model: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all that the outputs depend on besides the scene.

    Args:
        legend: Classes.
        config: Settings.
        model: The model's facts: weights hash, method and its options, templates, batch size, ...
    """
    facts = {
        "rsclip": __version__,
        "classes": legend.to_dict(),
        "settings": {k: v for k, v in config.to_dict().items() if k not in _WITHOUT_EFFECT},
        "model": {key: value for key, value in model.items() if key not in _MODEL_FACTS},
    }
    text = json.dumps(to_plain(facts), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def input_facts(scene: Scene) -> list[dict[str, Any]]:
    """Return name, size and time of change of a scene's local files; none for remote ones.

    Args:
        scene: An open scene.
    """
    facts = []
    for path in map(Path, scene.files):
        # Statistics and styles that other programs put beside a scene are not the scene.
        if path.is_file() and not path.name.endswith(".aux.xml"):
            about = path.stat()
            facts.append({"name": path.name, "size": about.st_size, "mtime_ns": about.st_mtime_ns})
    return facts


def finished_record(
    folder: Path, names: Mapping[str, str], expected: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the record of a finished run of the same settings and input; None if there is none.

    Args:
        folder: The output folder.
        names: As `output_names` gives them; all of them must be there.
        expected: `settings_hash` and `input`, as the record holds them.
    """
    if not all((folder / name).is_file() for name in names.values()):
        return None
    try:
        record = json.loads((folder / names["record"]).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict):
        return None
    same = all(record.get(key) == value for key, value in expected.items())
    return record if same else None
