"""Which bands of a raster are red, green and blue."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from rsclip.errors import OptionError, SceneError

__all__ = ["Bands", "choose_bands", "name_bands"]

_COLOURS = ("red", "green", "blue")
_FILLER_WORDS = {"band", "channel", "reflectance", "b", "sr"}
# 4, 3, 2: red, green, blue on Sentinel-2 and Landsat 8/9; infrared, red, green on Landsat 4-7.
_NUMBERED = ("4", "3", "2")


@dataclass(frozen=True, slots=True)
class Bands:
    """The bands to read.

    Attributes:
        image: Three 1-based band indices as red, green, blue; one may stand three times.
        alpha: 1-based index of the alpha band, if any.
        palette: uint8 (entries, 4) red, green, blue, alpha by pixel value, for a palette band.
        full_range: The pixel values that are black and white as the file has them: by type, by the
            bits used of it (NBITS), and the other way round where 0 is white (MINISWHITE).
    """

    image: tuple[int, int, int]
    alpha: int | None
    palette: NDArray[np.uint8] | None
    full_range: tuple[float, float]


def choose_bands(dataset: DatasetReader, bidx: Sequence[int] | None = None) -> Bands:
    """Choose red, green and blue: as asked, else by names and colour interpretation, else 1, 2, 3.

    Colour words in the band names come first: people write them on purpose, while GDAL marks the
    first three bands of most 8-bit files as red, green, blue unasked.

    Args:
        dataset: An open raster.
        bidx: One or three 1-based bands.

    Raises:
        OptionError: `bidx` names a band that is not there, or an alpha band.
        SceneError: The raster holds nothing but alpha.
    """
    kinds = dict(zip(dataset.indexes, dataset.colorinterp, strict=True))
    alphas = [index for index, kind in kinds.items() if kind == ColorInterp.alpha]
    colours = [index for index in kinds if index not in alphas]
    if not colours:
        raise SceneError(
            "it has an alpha band only, no image",
            where=dataset.name,
            remedy="Choose another raster.",
        )
    if bidx is not None:
        image = _as_asked(dataset, bidx, alphas)
    else:
        image = (
            _by_word(dataset, colours)
            or _by_interpretation(kinds)
            or _by_number(dataset, colours)
            or _first_three(colours)
        )
    palette = None
    if len(set(image)) == 1 and kinds[image[0]] == ColorInterp.palette:
        palette = _palette(dataset, image[0])
    full_range = (0.0, 255.0) if palette is not None else _full_range(dataset, image)
    return Bands(image, alphas[-1] if alphas else None, palette, full_range)


# Names of bands in rules of evidence -> what descriptions and GDAL's interpretation call them, and
# the numbers of Sentinel-2, whose bands alone are told by number.
_NAMES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "rededge": (r"red ?-?edge( ?1)?|vegetation red edge( 1)?|re1?", "rededge", ("5",)),
    "nir": (r"nir( ?1)?|near ?-?infra ?-?red|infra ?-?red|cir", "nir", ("8",)),
    "swir": (r"swir( ?-?1)?|short ?-?wave ?-?infra ?-?red( 1)?", "swir", ("11",)),
    "swir2": (r"swir ?-?2|short ?-?wave ?-?infra ?-?red 2", "", ("12",)),
}


def name_bands(dataset: DatasetReader, bands: Bands) -> dict[str, int]:
    """Return the 1-based bands whose names are known: blue, green, red and what the file names.

    Args:
        dataset: An open raster.
        bands: Its bands as they were chosen; one band alone has no colour.
    """
    red, green, blue = bands.image
    found = {"red": red, "green": green, "blue": blue} if len({*bands.image}) == 3 else {}
    # Asked for once: each of them asks GDAL for every band, and a file may have thousands.
    kinds = dataset.colorinterp
    texts = [_description(dataset, index).strip().lower() for index in dataset.indexes]
    sentinel = not {"b8a", "b08", "b09"}.isdisjoint(texts)
    for name, (words, kind, numbers) in _NAMES.items():
        for index, text in enumerate(texts, 1):
            if index == bands.alpha:
                continue
            bare = re.sub(r"^(b(and)?[ _]?\d+a?[ :_-]*)|[()]|\b(band|reflectance|sr)\b", " ", text)
            number = re.fullmatch(r"b0?(\d\d?a?)", text)
            if (
                re.fullmatch(words, " ".join(bare.split()).replace("_", " "))
                or (sentinel and number and number[1] in numbers)
                or (kind and kinds[index - 1].name == kind)
            ):
                found.setdefault(name, index)
    return found


def _as_asked(
    dataset: DatasetReader, bidx: Sequence[int], alphas: Sequence[int]
) -> tuple[int, int, int]:
    asked = tuple(bidx)
    if len(asked) not in (1, 3):
        raise OptionError(
            f"{len(asked)} bands given",
            where="--bidx",
            remedy="Give three bands (red, green, blue) or one.",
        )
    for index in asked:
        if not 1 <= index <= dataset.count:
            held = "1 band" if dataset.count == 1 else f"{dataset.count} bands"
            raise OptionError(
                f"band {index} asked for, but {dataset.name} has {held}",
                where="--bidx",
                remedy=f"Give bands from 1 to {dataset.count}.",
            )
        if index in alphas:
            raise OptionError(
                f"band {index} of {dataset.name} is its alpha band",
                where="--bidx",
                remedy="Alpha says which pixels are valid and is used for that already.",
            )
    return (asked[0], asked[0], asked[0]) if len(asked) == 1 else (asked[0], asked[1], asked[2])


def _by_word(dataset: DatasetReader, colours: Sequence[int]) -> tuple[int, int, int] | None:
    """Find bands called "red", "B4 - Red", "Band 4 (red)", but not "red edge"."""
    found: dict[str, list[int]] = {colour: [] for colour in _COLOURS}
    for index in colours:
        words = set(re.findall(r"[a-z]+", _description(dataset, index).lower()))
        words -= _FILLER_WORDS
        if len(words) == 1 and (word := words.pop()) in found:
            found[word].append(index)
    return _only(found[colour] for colour in _COLOURS)


def _description(dataset: DatasetReader, index: int) -> str:
    # rasterio decodes them as UTF-8; a name in another encoding is of no use.
    try:
        return dataset.descriptions[index - 1] or ""
    except UnicodeDecodeError:
        return ""


def _by_interpretation(kinds: dict[int, ColorInterp]) -> tuple[int, int, int] | None:
    return _only(
        [index for index, kind in kinds.items() if kind == ColorInterp[colour]][:1]
        for colour in _COLOURS
    )


def _by_number(dataset: DatasetReader, colours: Sequence[int]) -> tuple[int, int, int] | None:
    """Find B4, B3, B2 where no other sensor can be meant: B04, or beside B8A or B9 to B12."""
    found: dict[str, list[int]] = {number: [] for number in _NUMBERED}
    sure = False
    for index in colours:
        match = re.fullmatch(r"B(\d\d?A?)", _description(dataset, index).strip(), re.I)
        if match is None:
            continue
        number = match[1].upper()
        sure |= number.startswith("0") or number in ("8A", "9", "10", "11", "12")
        if (number := number.lstrip("0")) in found:
            found[number].append(index)
    return _only(found[number] for number in _NUMBERED) if sure else None


def _first_three(colours: Sequence[int]) -> tuple[int, int, int]:
    if len(colours) < 3:
        return colours[0], colours[0], colours[0]
    return colours[0], colours[1], colours[2]


def _only(candidates: Iterable[list[int]]) -> tuple[int, int, int] | None:
    """Return red, green, blue if each has exactly one candidate."""
    lists = list(candidates)
    if any(len(each) != 1 for each in lists):
        return None
    red, green, blue = (each[0] for each in lists)
    return red, green, blue


def _full_range(dataset: DatasetReader, image: Sequence[int]) -> tuple[float, float]:
    dtypes = [np.dtype(dataset.dtypes[index - 1]) for index in image]
    if any(dtype.kind not in "iu" for dtype in dtypes):
        white = 1.0
    else:
        white = max(
            float(min(np.iinfo(dtype).max, 2 ** _bits(dataset, index, dtype) - 1))
            for index, dtype in zip(image, dtypes, strict=True)
        )
    negative = dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES"
    return (white, 0.0) if negative else (0.0, white)


def _bits(dataset: DatasetReader, index: int, dtype: np.dtype[np.generic]) -> int:
    text = dataset.tags(index, ns="IMAGE_STRUCTURE").get("NBITS", "")
    bits = int(text) if text.isdecimal() else 0
    return bits if 0 < bits < dtype.itemsize * 8 else dtype.itemsize * 8


def _palette(dataset: DatasetReader, index: int) -> NDArray[np.uint8] | None:
    dtype = np.dtype(dataset.dtypes[index - 1])
    if dtype not in (np.uint8, np.uint16):
        return None
    try:
        entries = dataset.colormap(index)
    except ValueError:
        return None
    table = np.zeros((np.iinfo(dtype).max + 1, 4), np.uint8)
    table[:, 3] = 255
    for value, colour in entries.items():
        table[value] = colour
    # A table that is transparent throughout does not mean it.
    if not table[list(entries), 3].any():
        table[:, 3] = 255
    return table
