"""Whether a run may skip a scene, add to what is there, do all, or must stop."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeGuard

from rsclip.config import SHAPE_OPTIONS, SegmentConfig
from rsclip.errors import ExistsError
from rsclip.outputs.rasters.scores import SCORES
from rsclip.outputs.records.record import to_plain
from rsclip.run.same_run import MODEL_WITHOUT_EFFECT, WITHOUT_EFFECT, is_same_request
from rsclip.version import __version__
from rsclip.words.legend import Legend

__all__ = [
    "Decision",
    "Places",
    "decide",
    "decide_without_model",
    "former_outputs",
    "has_journal",
    "known_by_content",
    "output_facts",
    "read_record",
]

Places = Mapping[str, Path | None]
"""Key -> path of an output; None where it is not there."""
# What SQLite keeps beside a database that is open, or was not closed.
_JOURNALS = ("-wal", "-shm", "-journal")
_OF_THE_MODEL = frozenset({"mask", *SCORES})
_OTHER_SETTINGS = "with other settings"


@dataclass(frozen=True, slots=True)
class Decision:
    """What a run does about outputs that are there.

    Attributes:
        action: "new": all is done; "skip": nothing, the scene is finished; "add": outputs are made
            from the finished mask, without the model; "replace": all is done anew.
        record: The record of the finished run, to "skip" and to "add".
        keys: Keys of the outputs to "add".
        reason: Why, in a clause, to "add" and to "replace".
    """

    action: Literal["new", "skip", "add", "replace"]
    record: Mapping[str, Any] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    reason: str | None = None


def decide_without_model(
    legend: Legend,
    config: SegmentConfig,
    area: str | None,
    places: Mapping[str, Path],
    identity: Mapping[str, Any],
) -> Decision | None:
    """Say what to do about a finished run of the same request; None: the model has to tell.

    Arguments as `decide`, with the digest of the area of interest in place of the model.

    Raises:
        ExistsError: The input has changed since, or outputs may be somebody's own.
    """
    record = read_record(places["record"])
    if record is None or not config.resume or not is_same_request(record, legend, config, area):
        return None
    known = {**identity, "settings_hash": record.get("settings_hash")}
    found = decide(legend, config, record.get("model", {}), places, known)
    return found if found.action in ("skip", "add") else None


def decide(
    legend: Legend,
    config: SegmentConfig,
    model: Mapping[str, Any],
    places: Places,
    identity: Mapping[str, Any],
    where: Path | None = None,
) -> Decision:
    """Say whether a run may skip, add to what is there, do all, or must stop.

    Args:
        legend: Classes.
        config: Settings.
        model: The model's facts; differences are named by them.
        places: Key -> path of every output that is asked for.
        identity: `settings_hash`, `reading_hash` and `input`, as the record holds them.
        where: The record's final path, if it is not there yet.

    Raises:
        ExistsError: Outputs are there that were made otherwise, or that may be somebody's own.
    """
    record = read_record(places["record"])
    if not config.resume or record is None:
        return Decision("new")
    try:
        found = _decide(record, legend, config, model, places, identity, where or places["record"])
    except ExistsError:
        if not config.overwrite:
            raise
        return Decision("new")
    return Decision("new") if config.overwrite and found.action == "replace" else found


def _decide(
    record: Mapping[str, Any],
    legend: Legend,
    config: SegmentConfig,
    model: Mapping[str, Any],
    places: Places,
    identity: Mapping[str, Any],
    where: Path | None,
) -> Decision:
    """Decide by the record of a finished run; arguments and errors as `decide`."""
    if reason := _differs(record, identity):
        if reason == _OTHER_SETTINGS:
            named = _changes(record, legend, config, model)
            reason += f" ({'; '.join(named)})" if named else ""
        raise ExistsError(
            f"outputs exist already, made {reason}",
            where=where,
            remedy="Replace them with --overwrite, or choose another folder (-o).",
        )
    made = _outputs(record)
    foreign = [path.name for path in places.values() if _is_file(path) and path.name not in made]
    if foreign:
        raise ExistsError(
            f"the finished run did not write {', '.join(foreign)}",
            where=where,
            remedy="Move it away, replace all with --overwrite, or choose another folder (-o).",
        )
    wanted = [key for key, path in places.items() if not _is_file(path)]
    redrawn = [] if "polygons" in wanted else _redrawn(places, record, config)
    if not wanted and not redrawn:
        return Decision("skip", record)
    anew = [key for key in wanted if key in _OF_THE_MODEL]
    names = [path.name if (path := places[key]) else key for key in (*wanted, *redrawn)]
    # Both say which other files there are.
    wanted += [
        key
        for key in ("stac", "project")
        if key in places and key not in wanted and not _touched({key: places[key]}, record)
    ]
    replaced = {key: path for key, path in places.items() if anew or key in (*wanted, *redrawn)}
    if touched := _touched(replaced, record):
        raise ExistsError(
            f"{', '.join(names)} would have to be made, and that would replace what may have been "
            f"changed since: {', '.join(touched)}",
            where=where,
            remedy="Put back what is missing, replace all with --overwrite, or choose another "
            "folder (-o).",
        )
    if anew:
        lost = set(names) <= made
        why = "gone" if lost else "asked for, which cannot be made from the mask"
        listed = f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {why}"
        return Decision("replace", reason=f"{listed}: the scene is done again")
    are = "is" if len(names) == 1 else "are"
    reason = f"{', '.join(names)} {are} made from the finished mask, without the model"
    return Decision("add", record, (*wanted, *redrawn), reason)


def _redrawn(places: Places, record: Mapping[str, Any], config: SegmentConfig) -> list[str]:
    """Return the key of polygons that were drawn in another way."""
    before, now = record.get("settings"), to_plain(config.to_dict())
    if "polygons" not in places or not isinstance(before, dict):
        return []
    same = all(before.get(name) == now[name] for name in SHAPE_OPTIONS)
    return [] if same else ["polygons"]


def _touched(places: Places, record: Mapping[str, Any]) -> list[str]:
    """Return the names of the outputs that may not be as the run left them.

    Those of another size or time of change than the record says, copies too, and a GeoPackage that
    another program holds open.
    """
    made = record.get("made")
    facts = made if isinstance(made, dict) else {}
    return [
        path.name
        for key, path in places.items()
        if path is not None
        and path.is_file()
        and ((key != "record" and facts.get(path.name) != _fact(path)) or has_journal(path))
    ]


def _changes(
    record: Mapping[str, Any], legend: Legend, config: SegmentConfig, model: Mapping[str, Any]
) -> list[str]:
    """Name what differs from the settings of a record: "threshold: null -> 0.2"."""
    before, now = record.get("settings"), to_plain(config.to_dict())
    before = before if isinstance(before, dict) else {}
    named = [
        f"{name}: {json.dumps(before.get(name))} -> {json.dumps(value)}"
        for name, value in now.items()
        if name not in WITHOUT_EFFECT and before.get(name) != value
    ]
    if record.get("classes") != to_plain(legend.to_dict()):
        named.append("classes")
    model, other = to_plain(model), record.get("model")
    other = other if isinstance(other, dict) else {}
    different = [
        key
        for key in {**other, **model}
        if key not in MODEL_WITHOUT_EFFECT and model.get(key) != other.get(key)
    ]
    if "weights_sha256" in different:
        named.append(f"model: {other.get('name')} -> {model.get('name')}")
    else:
        # Methods and precision stand among the settings.
        told = {*now, "method_options"} - {"adapter", "affinity"}
        named += [f"model: {key}" for key in different if key not in told]
    software = record.get("software")
    version = software.get("rsclip") if isinstance(software, dict) else None
    if version != __version__:
        named.append(f"rsclip: {version} -> {__version__}")
    return named or ["area of interest"]


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


def former_outputs(folder: Path, names: Mapping[str, str]) -> list[str]:
    """Return the file names that the record of an earlier run lists as its outputs.

    Args:
        folder: The output folder.
        names: As `output_names` gives them.
    """
    found = _outputs(read_record(folder / names["record"]) or {})
    stem = names["record"].removesuffix("run.json")
    # A record is a file that anybody may have changed: only what is named after its scene.
    return [name for name in found if name.startswith((stem, f"{stem[:-1]}."))]


def _outputs(record: Mapping[str, Any]) -> set[str]:
    outputs = record.get("outputs")
    found = outputs.values() if isinstance(outputs, dict) else ()
    return {name for name in found if isinstance(name, str)}


def _is_file(path: Path | None) -> TypeGuard[Path]:
    return path is not None and path.is_file()


def read_record(path: Path | None) -> dict[str, Any] | None:
    """Return a run record; None where there is none that can be read."""
    if path is None:
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _differs(record: Mapping[str, Any], expected: Mapping[str, Any]) -> str | None:
    if record.get("settings_hash") != expected["settings_hash"]:
        return _OTHER_SETTINGS
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
