"""Data sets of papers, as configs/datasets describes them: where files lie, how papers score."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, get_type_hints

from rsclip.config import build_config
from rsclip.errors import OptionError, SceneError
from rsclip.fields import nearest, read_value
from rsclip.files import config_path, expand, parse_yaml, read_text
from rsclip.study.evaluate.resized import RESIZES
from rsclip.study.pairs import Key, Pair, match_pattern, pair_up

__all__ = ["DataSet", "dataset_names", "read_dataset"]

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the files of a data set lie below its root; "{split}" stands for a split's folder.

    Attributes:
        images: Pattern.
        labels: Pattern; what its wildcards stand for tells which image it belongs to.
        listing: A text file of the split's names, one a line.
        names: Split -> names that the first wildcard begins with.
        mapping: Label -> class, where labels are not the classes' own codes or colours.
        ignore: Labels that do not count.
        resize: One of `resized.RESIZES` and its number.
    """

    images: str
    labels: str
    listing: str | None = None
    names: Mapping[str, Any] = field(default_factory=dict)
    mapping: Mapping[str, Any] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    resize: Mapping[str, Any] = field(default_factory=dict)

    def find(self, root: Path, split: str, folder: str) -> list[Pair]:
        """Return the pairs of a split; empty where no image or no labels lie as this layout
        has it.

        Raises:
            InputError: An image has no labels, or the list is missing.
        """
        images = match_pattern(self._place(root, self.images, folder))
        labels = match_pattern(self._place(root, self.labels, folder))
        if not (images and labels):
            return []
        if self.listing is not None:
            path = Path(self._place(root, self.listing, folder))
            listed = {Path(line).stem for line in read_text(path, "list", SceneError).split()}
            images = {key: path for key, path in images.items() if path.stem in listed}
        if wanted := self.names.get(split):
            images = {key: path for key, path in images.items() if _begins(key, wanted)}
        own = {key: path for key, path in labels.items() if key in images}
        return pair_up(images, own, str(root), self._place(root, self.labels, folder))

    def looked_for(self, folder: str) -> str:
        """Return the patterns in words."""
        return f"{self.images} with {self.labels}".replace("{split}", folder)

    def _place(self, root: Path, pattern: str, folder: str) -> str:
        return str(root / pattern.replace("{split}", folder))


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Figures of a paper.

    Attributes:
        model: The model's name.
        miou: Method -> mean IoU, percent.
        source: The paper.
    """

    model: str
    miou: Mapping[str, Any]
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A data set.

    Attributes:
        title: Its name in full.
        classes: As `rsclip.segment` takes them.
        source: The paper.
        splits: Name -> folder; the first is the one that papers score.
        layouts: Where files lie, the published layout first.
        settings: Fields of `SegmentConfig` that papers use.
        tuned: Those of them that papers chose on this very set.
        published: Figures of papers.
        name: As `--dataset` takes it.
    """

    title: str
    classes: str
    source: str
    splits: Mapping[str, Any]
    layouts: Sequence[Layout]
    settings: Mapping[str, Any]
    tuned: tuple[str, ...] = ()
    published: Sequence[Published] = ()
    name: str = ""

    def find(self, root: str | Path, split: str | None = None) -> tuple[Layout, list[Pair]]:
        """Return the layout that a root has, and the pairs of a split.

        Raises:
            OptionError: There is no such split.
            InputError: The root has another layout; what was looked for is told.
        """
        name = split or next(iter(self.splits))
        if name not in self.splits:
            raise OptionError(
                f"{self.title} has no split {name!r}", where="--split",
                remedy=f"Choose {', '.join(self.splits)}.",
            )  # fmt: skip
        place, folder = expand(root), str(self.splits[name])
        if not place.is_dir():
            raise SceneError("no such folder", where=root, remedy="Check --root.")
        for layout in self.layouts:
            if pairs := layout.find(place, name, folder):
                return layout, pairs
        looked = "; or ".join(layout.looked_for(folder) for layout in self.layouts)
        raise SceneError(
            f"{self.title} ({name}) does not lie here: looked for {looked}", where=root,
            remedy="Give the folder that these paths begin in, or --images and --label-glob.",
        )  # fmt: skip

    def figures(self, model: str) -> tuple[Published | None, dict[str, float]]:
        """Return the paper of a model (or of another, where none has it) and method -> mean IoU."""
        found = [each for each in self.published if each.model == model] or self.published
        if not found:
            return None, {}
        return found[0], {name: value / 100 for name, value in found[0].miou.items()}

    def notes(self, model: str) -> list[str]:
        """Return what a reader of figures must know, a sentence each."""
        paper, _ = self.figures(model)
        said = [f"{self.title}: {self.source}"]
        if paper is not None:
            listed = ", ".join(f"{name} {value:.1f}" for name, value in paper.miou.items())
            said.append(f"Published mean IoU, %, of {paper.model}: {listed} ({paper.source}).")
        if self.tuned:
            listed = ", ".join(f"{name} {self.settings[name]:g}" for name in self.tuned)
            said.append(f"Tuned on this set by the paper, and so too good: {listed}.")
        return said


def dataset_names() -> list[str]:
    """Return the names of the data sets that come with rsclip."""
    return sorted(path.stem for path in config_path("datasets").glob("*.yaml"))


def read_dataset(name: str | Path) -> DataSet:
    """Read a data set by its name, or from a YAML file of the same form.

    Raises:
        OptionError: There is none of this name, or the file is wrong.
    """
    path = Path(name)
    if path.suffix.lower() not in (".yaml", ".yml"):
        if str(name) not in dataset_names():
            hint = nearest(str(name), dataset_names()) or f"Choose {', '.join(dataset_names())}."
            raise OptionError(f"no data set {str(name)!r}", where="--dataset", remedy=hint)
        path = config_path("datasets", f"{name}.yaml")
    content = parse_yaml(read_text(path, "data set", OptionError), path, OptionError)
    found = _read(DataSet, content, path, {"layouts": Layout, "published": Published})
    for layout in found.layouts:
        for kind, value in layout.resize.items():
            if kind not in RESIZES or not isinstance(value, int | float) or value <= 0:
                raise OptionError(
                    f"resize {kind}: {value} does not fit", where=path,
                    remedy=f"Give one of {', '.join(RESIZES)} and a number above 0.",
                )  # fmt: skip
    try:
        build_config(found.settings)
    except OptionError as error:
        raise OptionError(str(error), where=path) from error
    if unknown := {*found.tuned} - {*found.settings}:
        raise OptionError(f"tuned names no setting: {', '.join(unknown)}", where=path)
    return dataclasses.replace(found, name=path.stem)


T = TypeVar("T")


def _read(kind: type[T], content: Any, path: Path, lists: Mapping[str, Any] = _NOTHING) -> T:
    """Read a mapping into a dataclass, each value checked by its field's type."""
    if not isinstance(content, dict):
        raise OptionError("not a mapping of names and values", where=path)
    hints = get_type_hints(kind)
    fields = {item.name: item for item in dataclasses.fields(kind) if item.name != "name"}  # type: ignore[arg-type]
    if unknown := [key for key in content if key not in fields]:
        hint = nearest(str(unknown[0]), fields) or f"Known: {', '.join(fields)}."
        raise OptionError(f"unknown key `{unknown[0]}`", where=path, remedy=hint)
    values = {}
    for name, item in fields.items():
        if name not in content:
            no_default = item.default is dataclasses.MISSING
            if no_default and item.default_factory is dataclasses.MISSING:
                raise OptionError(f"no `{name}`", where=path, remedy="See configs/datasets.")
        elif name in lists:
            entries = content[name] if isinstance(content[name], list) else [None]
            values[name] = tuple(_read(lists[name], entry, path) for entry in entries)
        else:
            try:
                values[name] = read_value(hints[name], content[name])
            except ValueError as error:
                raise OptionError(
                    f"{name}: {content[name]!r} does not fit", where=path, remedy=str(error)
                ) from error
    return kind(**values)


def _begins(key: Key, names: Sequence[str]) -> bool:
    return any(f"{key[0]}_".startswith(f"{name}_") for name in names)
