"""Whether a scene was done, or begun, with the same settings and the same input."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rsclip.config import HOW_OPTIONS, SegmentConfig
from rsclip.outputs.records.record import to_plain
from rsclip.scene.scene import Scene
from rsclip.version import __version__
from rsclip.words.legend import Legend

__all__ = [
    "Places",
    "finished_record",
    "former_outputs",
    "has_journal",
    "input_facts",
    "known_by_content",
    "lost_outputs",
    "output_facts",
    "reading_hash",
    "settings_hash",
    "touched_outputs",
    "why_not_finished",
]

# Settings that change no pixel, those of which the last bits of a score alone depend (where and in
# what batches it was computed), and those that others tell better: the model's facts (the weights'
# hash), and what the file of an area holds.
_WITHOUT_EFFECT = frozenset(
    {*HOW_OPTIONS, "model", "weights", "preset", "aoi"} | {"device", "batch_size", "max_memory"}
)
Places = Mapping[str, Path | None]
"""Key -> path of an output; None where it is not there."""
# What SQLite keeps beside a database that is open, or was not closed.
_JOURNALS = ("-wal", "-shm", "-journal")
_MODEL_FACTS = frozenset({"name", "source", "device", "batch_size"})


def settings_hash(
    legend: Legend, config: SegmentConfig, model: Mapping[str, Any], area: str | None
) -> str:
    """Return the SHA-256 of all that the outputs depend on besides the scene.

    Finished outputs stay good on another device and with other batches; rows of one run never
    stand beside those of another (`Job.kinship`).

    Args:
        legend: Classes.
        config: Settings.
        model: The model's facts: weights hash, method and its options, templates, ...
        area: Digest of the area of interest.
    """
    facts = {
        "rsclip": __version__,
        "classes": legend.to_dict(),
        "settings": {k: v for k, v in config.to_dict().items() if k not in _WITHOUT_EFFECT},
        "model": {key: value for key, value in model.items() if key not in _MODEL_FACTS},
        "area": area,
    }
    return _hash(facts)


def reading_hash(scene: Scene) -> str:
    """Return the SHA-256 of what is known of a scene's pixels besides their values.

    Files beside a scene may say it (.aux.xml), which hold statistics and styles of other programs
    too: so it is what was understood that counts.
    """
    return _hash(scene.reading)


def _hash(facts: Mapping[str, Any]) -> str:
    text = json.dumps(to_plain(facts), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def input_facts(scene: Scene, *, checksum: bool = False) -> list[dict[str, Any]]:
    """Return name, size and time of change of a scene's local files; none for remote ones.

    Args:
        scene: An open scene.
        checksum: Add the SHA-256 of their content.
    """
    facts = []
    for path in map(Path, scene.files):
        # Statistics and styles that other programs put beside a scene are not the scene; of what
        # else they hold, see `reading_hash`.
        if path.is_file() and not path.name.endswith(".aux.xml"):
            about = path.stat()
            fact = {"name": path.name, "size": about.st_size, "mtime_ns": about.st_mtime_ns}
            if checksum:
                with path.open("rb") as file:
                    fact["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
            facts.append(fact)
    return facts


def finished_record(places: Places, expected: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the record of a finished run of the same settings and input; None if there is none.

    Args:
        places: Key -> path of every output; all of them must be there.
        expected: `settings_hash`, `reading_hash` and `input`, as the record holds them.
    """
    if _missing(places):
        return None
    record = _record(places["record"])
    return record if record is not None and _differs(record, expected) is None else None


def lost_outputs(places: Places, expected: Mapping[str, Any]) -> list[str]:
    """Return the names of the outputs that a finished run of the same settings and input has lost.

    None where something else is in the way: only what such a run made may it make again.

    Args:
        places: As `finished_record` takes them, and the other.
        expected: What is asked for.
    """
    record = _record(places["record"])
    if record is None or _differs(record, expected) is not None:
        return []
    made = _outputs(record)
    own = all(path is None or path.name in made for path in places.values())
    return _missing(places) if own else []


def touched_outputs(places: Places) -> list[str]:
    """Return the names of the outputs that may not be as the run left them.

    Those of another size or time of change than the record says, copies too, and a GeoPackage that
    another program holds open.

    Args:
        places: As `finished_record` takes them.
    """
    made = (_record(places["record"]) or {}).get("made")
    facts = made if isinstance(made, dict) else {}
    return [
        path.name
        for key, path in places.items()
        if path is not None
        and path.is_file()
        and ((key != "record" and facts.get(path.name) != _fact(path)) or has_journal(path))
    ]


def output_facts(paths: Iterable[Path]) -> dict[str, dict[str, int]]:
    """Return size and time of change of finished files by name, by which to know them again."""
    return {path.name: _fact(path) for path in paths}


def has_journal(path: Path) -> bool:
    """Say whether SQLite keeps something of a file beside it: it is open, or was not closed."""
    return any(path.with_name(f"{path.name}{end}").exists() for end in _JOURNALS)


def _fact(path: Path) -> dict[str, int]:
    about = path.stat()
    return {"size": about.st_size, "mtime_ns": about.st_mtime_ns}


def known_by_content(record: Mapping[str, Any]) -> bool:
    """Say whether a record tells the content of its input, so that time does not matter."""
    return all("sha256" in fact for fact in record["input"])


def why_not_finished(places: Places, expected: Mapping[str, Any]) -> str | None:
    """Say how a finished run differs from the one that is asked for; None if there is none.

    Args:
        places: As `finished_record` takes them, and the other.
        expected: What is asked for.
    """
    record = _record(places["record"])
    return None if record is None else _differs(record, expected)


def former_outputs(folder: Path, names: Mapping[str, str]) -> list[str]:
    """Return the file names that the record of an earlier run lists as its outputs.

    Args:
        folder: The output folder.
        names: As `output_names` gives them.
    """
    found = _outputs(_record(folder / names["record"]) or {})
    stem = names["record"].removesuffix("run.json")
    # A record is a file that anybody may have changed: only what is named after its scene.
    return [name for name in found if name.startswith((stem, f"{stem[:-1]}."))]


def _outputs(record: Mapping[str, Any]) -> list[str]:
    outputs = record.get("outputs")
    found = outputs.values() if isinstance(outputs, dict) else ()
    return [name for name in found if isinstance(name, str)]


def _missing(places: Places) -> list[str]:
    return [path.name if path else key for key, path in places.items() if not _is_file(path)]


def _is_file(path: Path | None) -> bool:
    return path is not None and path.is_file()


def _record(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _differs(record: Mapping[str, Any], expected: Mapping[str, Any]) -> str | None:
    if record.get("settings_hash") != expected["settings_hash"]:
        return "with other settings"
    same = record.get("reading_hash") == expected["reading_hash"]
    if not same or not _same_input(record.get("input"), expected["input"]):
        return "from an input that has changed since"
    return None


def _same_input(recorded: Any, expected: list[dict[str, Any]]) -> bool:
    """Compare by content where both tell it, else by time of change."""
    if not isinstance(recorded, list) or len(recorded) != len(expected):
        return False
    for one, other in zip(recorded, expected, strict=True):
        if not isinstance(one, dict):
            return False
        content = "sha256" in one and "sha256" in other
        keys = ("name", "size", "sha256" if content else "mtime_ns")
        if any(one.get(key) != other[key] for key in keys):
            return False
    return True
