"""The class sets that come with rsclip, under configs/classes."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rsclip.errors import LegendError
from rsclip.fields import nearest
from rsclip.files import config_path
from rsclip.words.class_files import read_class_file

__all__ = ["ClassSet", "bundled_sets", "describe_sets", "set_file", "variants"]


@dataclass(frozen=True, slots=True)
class ClassSet:
    """What a list of the bundled sets says of one.

    Attributes:
        name: As in "set:NAME".
        classes: Number of classes that are written, background ones not counted.
        tuned: Whether "set:NAME:tuned" has words of its own.
        description: One sentence or two.
        source: Paper or legend it follows.
    """

    name: str
    classes: int
    tuned: bool
    description: str
    source: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def bundled_sets() -> tuple[str, ...]:
    """Return the names of the class sets that come with rsclip."""
    return tuple(sorted(path.stem for path in config_path("classes").glob("*.yaml")))


def describe_sets() -> list[ClassSet]:
    """Return what every bundled set says of itself, by name."""
    found = []
    for name in bundled_sets():
        drafts = read_class_file(set_file(name))
        found.append(
            ClassSet(
                name,
                sum(not item.background for item in drafts.classes),
                any(item.tuned for item in drafts.classes),
                drafts.about.get("description", ""),
                drafts.about.get("source", ""),
            )
        )
    return found


def variants(name: str, tuned: bool) -> str:
    """Return how to write a set's variants, as a remedy."""
    own = f"set:{name}:tuned (words that suit CLIP)" if tuned else ""
    return f"It has set:{name} (plain words)" + (f" and {own}." if own else " only.")


def set_file(name: str) -> Path:
    """Return the file of a bundled set.

    Raises:
        LegendError: No set of that name; the nearest are named.
    """
    known = bundled_sets()
    # "loveda:plain" says outright what "loveda" means.
    name = name.removesuffix(":plain")
    if name.lower() in known:
        return config_path("classes", f"{name.lower()}.yaml")
    base, colon, variant = name.lower().partition(":")
    if colon and base in known:
        tuned = any(item.tuned for item in read_class_file(set_file(base)).classes)
        raise LegendError(
            f"the set `{base}` has no variant `{variant}`",
            where="classes",
            remedy=variants(base, tuned),
        )
    hint = f"{nearest(name, known)} Bundled: {', '.join(known)}.".lstrip()
    raise LegendError(f"no bundled set `{name}`", where="classes", remedy=hint)
