"""Which rules of evidence the classes of a run have."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from rsclip.errors import LegendError
from rsclip.files import config_path, expand, parse_yaml, read_text
from rsclip.words.class_fields import read_evidence
from rsclip.words.legend import Legend, LegendClass

__all__ = ["evidence_file", "is_bundled", "with_evidence"]

_WORDS = ("auto", "none")


def with_evidence(legend: Legend, evidence: str | None) -> Legend:
    """Return a legend whose classes have the rules that a run is to heed.

    Args:
        legend: Classes, with the rules that their file gives them.
        evidence: "none" for no rule; "auto" to give classes without rules the bundled ones; a YAML
            file {class: rules} whose rules take the place of a class's own; None for a class's
            own.

    Raises:
        LegendError: The file is wrong, or names no class.
    """
    if evidence is None:
        return legend
    if evidence == "none":
        classes = [replace(item, evidence=()) for item in legend.classes]
    elif evidence == "auto":
        classes = [
            item if item.evidence else replace(item, evidence=_bundled(item))
            for item in legend.classes
        ]
    else:
        rules = _read(expand(evidence), legend)
        classes = [
            replace(item, evidence=rules.get(item.name, item.evidence)) for item in legend.classes
        ]
    return replace(legend, classes=tuple(classes))


def evidence_file(evidence: str | None) -> Path | None:
    """Return the file of rules that is meant, if one is."""
    return None if evidence is None or evidence in _WORDS else expand(evidence)


def is_bundled(item: LegendClass) -> bool:
    """Say whether the rules of a class are the ones that "auto" gives it."""
    return item.evidence == _bundled(item)


def _read(path: Path, legend: Legend) -> dict[str, tuple[str, ...]]:
    remedy = f"Give auto, none or a YAML file such as: {legend.classes[0].name}: ndwi > 0.05"
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise LegendError(f"{str(path)!r} is no file of rules", where="--evidence", remedy=remedy)
    content = parse_yaml(read_text(path, "file of rules", LegendError), path, LegendError)
    if not isinstance(content, dict):
        raise LegendError("no rules by class", where=path, remedy=remedy)
    names = {word.casefold(): item.name for item in legend.classes for word in item.words}
    names |= {item.name.casefold(): item.name for item in legend.classes}
    found: dict[str, tuple[str, ...]] = {}
    for key, rules in content.items():
        name = names.get(str(key).casefold())
        if name is None:
            raise LegendError(
                f"no class {key!r}", where=path,
                remedy=f"The classes are {', '.join(item.name for item in legend.classes)}.",
            )  # fmt: skip
        found[name] = read_evidence(rules, f"{path} ({key})")
    return found


def _bundled(item: LegendClass) -> tuple[str, ...]:
    words = {word.casefold() for word in (item.name, *item.words)}
    for known, rule in _entries():
        if words & known:
            return (rule,)
    return ()


@cache
def _entries() -> Sequence[tuple[frozenset[str], str]]:
    entries: list[dict[str, Any]] = yaml.safe_load(config_path("evidence.yaml").read_text("utf-8"))
    return [(frozenset(entry["words"]), entry["evidence"]) for entry in entries]
