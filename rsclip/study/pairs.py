"""Which image belongs to which labels: two files, two folders, or two patterns."""

import glob
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rsclip.errors import InputError
from rsclip.files import expand
from rsclip.scene.raster_files import raster_files, raster_suffixes
from rsclip.scene.source import is_virtual, stem_of

__all__ = [
    "Pair",
    "by_stem",
    "find_pairs",
    "label_files",
    "match_pattern",
    "pair_up",
    "refuse_none",
]

_WILD = re.compile(r"[*?\[]")
_VECTORS = frozenset({".gpkg", ".geojson", ".json", ".shp", ".fgb", ".parquet"})
# What rsclip writes beside its masks is neither an image nor labels.
_OWN = ("_confidence", "_margin", "_probabilities", "_preview", "_errors", "_confusion", "_run",
        "_stac", "_evaluation", "_compare", "_polygons")  # fmt: skip
_SHOWN = 5

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """An image, or a mask of it, and its labels.

    Attributes:
        name: What tells it from the others.
        image: File, URL or GDAL path.
        labels: A file.
    """

    name: str
    image: str
    labels: Path


def find_pairs(images: str | Path, labels: str | Path) -> list[Pair]:
    """Return pairs of images (or masks) and labels, in a fixed order.

    Two files are one pair. In folders files belong together by their stems, whatever stands behind
    them of `_mask` and `_labels`; what else rsclip writes is passed over. With patterns (*, ?, **)
    what the wildcards stand for is compared, or the stems where one pattern has more of them.

    Args:
        images: A file, a folder or a pattern.
        labels: A file, or what `images` is: a folder or a pattern.

    Raises:
        InputError: Nothing is found, or one has no counterpart.
    """
    if not (_is_many(images) or _is_many(labels)):
        return [Pair(stem_of(images), str(images), Path(labels))]
    if not (_is_many(images) and _is_many(labels)):
        many, one = (images, labels) if _is_many(images) else (labels, images)
        if not (is_virtual(str(one)) or Path(one).exists()):
            raise InputError("no such file or folder", where=one, remedy="Check the path.")
        raise InputError(
            f"{one} is one file, and here are many", where=many,
            remedy="Give two files, or two folders or patterns.",
        )  # fmt: skip
    if Path(images).is_dir() and Path(labels).is_dir():
        found, truth = _of_folders(Path(images), Path(labels))
    else:
        found, truth = _of(images), _of(labels)
        if len({len(key) for key in (*found, *truth)}) > 1:
            found, truth = by_stem(found.values(), images), by_stem(truth.values(), labels)
    return pair_up(found, truth, str(images), str(labels))


def pair_up(
    images: Mapping[Key, Path], labels: Mapping[Key, Path], image_place: str, label_place: str
) -> list[Pair]:
    """Return pairs of equal keys; places are for messages.

    Raises:
        InputError: One has no counterpart, or there is none.
    """
    if lonely := [images[key] for key in images.keys() - labels.keys()]:
        raise _unequal(lonely, "images without labels", label_place)
    if lonely := [labels[key] for key in labels.keys() - images.keys()]:
        raise _unequal(lonely, "files of labels without an image", image_place)
    stems = [key[-1] if len(key) == 1 else images[key].stem for key in images]
    twins = len({*stems}) < len(stems)
    return [
        Pair("/".join(filter(None, key)) if twins else stem, str(path), labels[key])
        for stem, (key, path) in sorted(
            zip(stems, images.items(), strict=True), key=lambda item: item[1][0]
        )
    ]


def match_pattern(pattern: str) -> dict[Key, Path]:
    """Return the files that match a pattern, by what its wildcards stand for."""
    parts = re.split(r"(\*\*/|\*|\?|\[[^\]]*\])", Path(expand(pattern)).as_posix())
    kinds = {"**/": "((?:.*/)?)", "*": "([^/]*)", "?": "([^/])"}
    text = "".join(
        (kinds.get(part) or f"({part})") if at % 2 else re.escape(part)
        for at, part in enumerate(parts)
    )
    found = sorted(glob.glob(str(expand(pattern)), recursive=True))  # noqa: PTH207
    matches = {Path(name): re.fullmatch(text, Path(name).as_posix()) for name in found}
    return {match.groups(): path for path, match in matches.items() if match and path.is_file()}


def refuse_none(found: Mapping[Key, Path], place: object) -> None:
    """Raise InputError where nothing was found."""
    if not found:
        raise InputError("no file was found", where=place, remedy="Check the path.")


def _is_many(spec: str | Path) -> bool:
    text = str(spec)
    pattern = bool(_WILD.search(text)) and not is_virtual(text) and not Path(text).exists()
    return pattern or Path(text).is_dir()


def _of(spec: str | Path) -> dict[Key, Path]:
    folder = Path(spec)
    many = folder.is_dir()
    found = by_stem(label_files(folder), spec) if many else match_pattern(str(spec))
    refuse_none(found, spec)
    return found


def _of_folders(images: Path, labels: Path) -> tuple[dict[Key, Path], dict[Key, Path]]:
    files = raster_files(_own_left_out(images))
    truth = label_files(labels)
    # Of rsclip's own outputs the masks are what is scored.
    masks = [path for path in files if path.stem.lower().endswith("_mask")]
    masks = masks or [path for path in files if not path.stem.lower().endswith("_labels")]
    if images.samefile(labels):
        truth = [path for path in truth if path.stem.lower().endswith("_labels")]
    found = by_stem(masks, images), by_stem(truth, labels)
    refuse_none(found[0], images)
    refuse_none(found[1], labels)
    return found


def _own_left_out(folder: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.iterdir())
        if not (path.name.startswith(".") or path.stem.lower().endswith(_OWN)) and path.is_file()
    ]


def label_files(folder: Path) -> list[Path]:
    """Return the files of a folder that may hold labels, rsclip's other outputs left out."""
    suffixes = _VECTORS | raster_suffixes()
    return [path for path in _own_left_out(folder) if path.suffix.lower() in suffixes]


def by_stem(files: Iterable[Path], place: str | Path) -> dict[Key, Path]:
    """Return files by their stems, without `_mask` and `_labels`; the place is for messages.

    Raises:
        InputError: Two have the same stem.
    """
    found: dict[Key, Path] = {}
    for path in files:
        key = (re.sub(r"_(mask|labels)$", "", path.stem, flags=re.IGNORECASE),)
        if key in found:
            raise InputError(
                f"{found[key].name} and {path.name} have the same stem", where=place,
                remedy="Give patterns such as images/*.tif that tell them apart.",
            )  # fmt: skip
        found[key] = path
    return found


def _unequal(lonely: list[Path], what: str, place: str) -> InputError:
    listed = ", ".join(path.name for path in sorted(lonely)[:_SHOWN])
    if len(lonely) == 1:
        what = what.replace("images", "image").replace("files", "file")
    more = len(lonely) - _SHOWN
    return InputError(
        f"{len(lonely)} {what}: {listed}" + (f" and {more} more" if more > 0 else ""),
        where=place,
        remedy="Each image needs one file of labels with the same stem; move the others away, or "
        "give patterns.",
    )
