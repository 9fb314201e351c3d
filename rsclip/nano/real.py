"""Real overhead imagery with truth, for training and for scores: `load(folder)`.

The imagery is no part of rsclip. It lies in one folder with a subfolder a set, and each set's
`README.tsv` names every file's licence. Truth is a set of classes a pixel: where a label says less
than our classes (impervious, land), every class it may mean is allowed, and where it says nothing
the pixel is ignored. In a town whose houses are not all mapped, only the rim of a mapped house and
what is greener than its roofs are sure to be no building.
"""

import argparse
import csv
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from scipy import ndimage

from rsclip.errors import InputError
from rsclip.nano.scenes import CLASSES, MORE_CLASSES
from rsclip.wording import naming_flags

VARIABLE = "RSCLIP_REAL_IMAGERY"
BIT = {name: 1 << k for k, name in enumerate((*CLASSES, *MORE_CLASSES))}

Words = tuple[str, ...]
Bytes = npt.NDArray[np.uint8]

WATER = ("water",)
LAND = tuple(name for name in CLASSES if name not in ("water", "swimming pool"))
OPEN_GROUND = tuple(name for name in CLASSES if name != "building")
BUILT = ("building", "road", "parking lot")
PLANTS = ("grassland", "forest")
RIM = (2, 10)
"""Pixels from a mapped house at which the rim begins, as outlines are not exact, and ends."""
GREEN = 15
"""2 G - R - B of 8 bits of what may be plants: a grey roof is greener than a red one, too."""
WIDE = 5
"""A label of so many classes says only what a pixel is not."""


@dataclass(frozen=True, eq=False)
class RealSet:
    """One set of images and what its labels mean.

    `truth` maps a label value, or for chips the name of their folder, to the classes it may be. No
    two entries share a class unless they are equal, so they can be scored. `loose` are labels that
    may be more than one of the scored: training uses them, scores do not. In `incomplete` places
    only `positive` is mapped, and not all of it; training also takes what is `surely_not` that.
    `share` is how often training draws from the set. `validation` decides by a file's name below
    the image folder.
    """

    name: str
    gsd: float
    truth: Mapping[int | str, Words]
    validation: Callable[[str], bool]
    loose: Mapping[int | str, Words] = field(default_factory=dict)
    images: str = "images"
    labels: str | None = "labels"
    incomplete: tuple[str, ...] = ()
    positive: Words = ()
    share: float = 1.0


def _monterey_north(name: str) -> bool:
    """Tiles lie 608 pixels apart; a whole tile is left free between training and validation."""
    return int(name.split("_")[2]) > 26_000


def _last_chips(name: str) -> bool:
    """A quarter of the chips; where they lie is not known."""
    return int(name.rsplit("_", 1)[-1].split(".")[0]) % 2 == 0


def _bicol_north(name: str) -> bool:
    """Of Bicol's two streets, some 600 m apart, the northern one; other towns are for training."""
    zoom, row = (int(name.removesuffix(".jpg").split("_")[k]) for k in (-3, -1))
    return name.startswith("bicol") and row >> (zoom - 19) < 241_595


def _elsewhere(name: str) -> bool:
    """Frames of other coasts than the two surveys of 2018 and 2020."""
    return not name.startswith(("2018", "2020"))


SETS = (
    RealSet(
        "usgs_monterey_dunes",
        0.5,
        {
            1: WATER,
            3: ("cropland",),
            4: ("sand",),
            6: PLANTS,
            8: ("sand",),
            9: PLANTS,
            10: ("road", "parking lot"),
        },
        _monterey_north,
        loose={
            2: ("wetland",),
            5: ("sand", *PLANTS),
            7: ("sand", *PLANTS),
            11: (*BUILT, "bare soil", *PLANTS),
        },
    ),
    RealSet("usgs_obx_coast", 0.42, {0: WATER, 2: LAND}, _elsewhere),
    RealSet(
        "oam_buildings",
        0.3,
        {0: OPEN_GROUND, 1: ("building",)},
        _bicol_north,
        incomplete=("zanzibar", "panauti_nepal"),
        positive=("building",),
    ),
    RealSet(
        "chesapeake_naip",
        1.0,
        {
            1: WATER,
            2: ("forest", "orchard"),
            3: ("grassland", "cropland"),
            4: ("bare soil", "sand"),
            5: BUILT,
            6: BUILT,
        },
        lambda name: name.endswith(("-6.png", "-7.png")),
    ),
    RealSet("s2_coast_sf", 10.0, {1: WATER, 2: WATER, 4: LAND}, lambda name: False),
    RealSet(
        "eurosat_mini",
        10.0,
        {
            "AnnualCrop": ("cropland",),
            "Forest": ("forest",),
            "HerbaceousVegetation": ("grassland",),
            "Industrial": BUILT,
            "Pasture": ("grassland",),
            "PermanentCrop": ("orchard",),
            "Residential": BUILT,
            "SeaLake": WATER,
        },
        _last_chips,
        labels=None,
        share=3.0,
    ),
    RealSet(
        "usgs_capitola_chips",
        0.05,
        {
            "anthro": BUILT,
            "road": BUILT,
            "sand": ("sand",),
            "veg": PLANTS,
            "water": WATER,
            "foam": WATER,
        },
        lambda name: False,
        labels=None,
        share=0.5,
    ),
    RealSet(
        "nrcan_samples",
        1.0,
        {
            "barren_land": ("bare soil", "sand"),
            "building": ("building",),
            "grassland": ("grassland",),
            "roads": ("road", "parking lot"),
            "trees": ("forest",),
            "water": WATER,
        },
        lambda name: False,
        images="sat6",
        labels=None,
    ),
    RealSet(
        "neon_trees",
        0.1,
        {"HARV": ("forest",), "TEAK": ("forest",)},
        lambda name: False,
        labels=None,
        share=0.5,
    ),
)
"""The sets that are used. Chips of a road or river hold mostly something else, so EuroSAT's Highway
and River are left out."""


@dataclass(frozen=True)
class RealImage:
    """One image: `pixels` uint8 (H, W, 3), `allowed` uint32 (H, W), `truth` int16 (H, W).

    Bit k of `allowed` is set where the pixel may be the k-th class; 0 is ignored. `truth` is the
    index of the pixel's entry among `groups` of its set, or -1: what scores use.
    """

    of: RealSet
    name: str
    licence: str
    validation: bool
    pixels: Bytes
    allowed: npt.NDArray[np.uint32]
    truth: npt.NDArray[np.int16]


def groups(of: RealSet) -> list[Words]:
    """The classes that a set's labels tell apart, each once."""
    return list(dict.fromkeys(of.truth.values()))


def find_folder(folder: Path | str | None = None) -> Path:
    """The folder of the imagery, from `folder` or the environment.

    Raises:
        InputError: No folder was given, or a set is missing in it, by name.
    """
    given = folder or os.environ.get(VARIABLE)
    if not given:
        raise InputError(
            "training on real imagery needs a folder of it: give --real, or set "
            f"{VARIABLE}; docs/nano.md lists the sets and where to get them"
        )
    path = Path(given)
    missing = [s.name for s in SETS if not (path / s.name / "README.tsv").is_file()]
    if missing:
        raise InputError(
            f"{path} lacks {', '.join(missing)} (each a folder with a README.tsv): "
            "fetch the sets that docs/nano.md lists"
        )
    return path


def parse_with_folder(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the command line of a program that reads the imagery; `real` is its folder.

    Where it is missing, the program ends with the message and status 2.
    """
    parser.add_argument("--real", type=Path, help="folder of real imagery")
    given = parser.parse_args()
    with naming_flags():
        try:
            given.real = find_folder(given.real)
        except InputError as error:
            parser.error(str(error))
    return given


def licences(folder: Path) -> dict[str, str]:
    """Licence of each file of a set, by its path below the set's folder.

    "same" repeats the row above. A file without a licence is an error.
    """
    found: dict[str, str] = {}
    last = ""
    with (folder / "README.tsv").open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE):
            licence = (row["licence"] or "").strip()
            last = last if licence == "same" else licence
            if not last:
                raise InputError(f"{folder / 'README.tsv'} has no licence for {row['file']}")
            found[row["file"]] = last
    return found


def _bits(words: Words) -> int:
    """The classes a pixel may be: the sets' own words do not tell shrubs and rock apart."""
    also: set[str] = set()
    if len(words) > 1:
        also |= {"shrubland"} if "grassland" in words else set()
        also |= {"rock", "burnt area"} if "bare soil" in words else set()
    if len(words) >= WIDE:
        also |= set(MORE_CLASSES)
    return sum(BIT[word] for word in also.union(words))


def meaning(
    of: RealSet, label: npt.NDArray[np.uint8], complete: bool
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int16]]:
    """Allowed classes and scored group of each pixel of a label image."""
    known = groups(of)
    allowed, truth = np.zeros(256, np.uint32), np.full(256, -1, np.int16)
    for value, words in {**of.loose, **of.truth}.items():
        if isinstance(value, int) and (complete or words == of.positive):
            allowed[value] = _bits(words)
            truth[value] = known.index(words) if value in of.truth else -1
    return allowed[label], truth[label]


def surely_not(pixels: Bytes, mapped: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Ground (H, W) that is no building though houses are missing on the map.

    That is the rim around mapped houses, and what is greener than nearly all of their pixels.
    """
    if not mapped.any():
        return np.zeros_like(mapped)
    smooth: npt.NDArray[np.float32] = ndimage.gaussian_filter(
        pixels.astype(np.float32), (1.5, 1.5, 0)
    )
    green = smooth @ np.array((-1, 2, -1), np.float32)
    near, rim = (ndimage.binary_dilation(mapped, iterations=n) for n in RIM)
    greenest = max(GREEN, float(np.percentile(green[mapped], 95)))
    found: npt.NDArray[np.bool_] = (green > greenest) | rim
    return found & ~near


def _read(path: Path) -> Bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as dataset:
            pixels: Bytes = dataset.read()
    return pixels


def images(folder: Path, of: RealSet, validation: bool | None = None) -> Iterator[RealImage]:
    """The images of a set in the order of their names; with `validation`, of one side only.

    Raises:
        InputError: An image is not in the set's README.tsv, so its licence is unknown.
    """
    root = folder / of.name
    known = licences(root)
    unwanted = None if validation is None else not validation
    for path in sorted((root / of.images).rglob("*")):
        if path.suffix not in (".png", ".jpg", ".tif"):
            continue
        below = path.relative_to(root / of.images)
        kind = below.parts[0] if len(below.parts) > 1 else below.name.partition("_")[0]
        side = of.validation(below.as_posix())
        if (of.labels is None and kind not in of.truth) or side is unwanted:
            continue
        file = path.relative_to(root).as_posix()
        if file not in known:
            raise InputError(f"{root / 'README.tsv'} does not name {file}: its licence is unknown")
        pixels = _read(path)[:3].transpose(1, 2, 0)
        if of.labels is None:
            allowed = np.full(pixels.shape[:2], _bits(of.truth[kind]), np.uint32)
            truth = np.full(pixels.shape[:2], groups(of).index(of.truth[kind]), np.int16)
        else:
            label = _read(root / of.labels / below.with_suffix(".png"))[0]
            allowed, truth = meaning(of, label, kind not in of.incomplete)
            if kind in of.incomplete:
                ground = surely_not(pixels, truth >= 0)
                index, rest = next(pair for pair in enumerate(groups(of)) if pair[1] != of.positive)
                allowed[ground], truth[ground] = _bits(rest), index
        yield RealImage(
            of, below.as_posix(), known[file], side, np.ascontiguousarray(pixels), allowed, truth
        )


def load(folder: Path, validation: bool) -> list[RealImage]:
    """All images of one side, of all sets, in a fixed order."""
    return [image for of in SETS for image in images(folder, of, validation)]
