"""Real overhead imagery with truth, for training and for scores: `load(folder)`.

The imagery is no part of rsclip. It lies in one folder with a subfolder a set, and each set's
`README.tsv` names every file's licence. Truth is a set of classes a pixel: where a label says less
than our classes (impervious, land), every class it may mean is allowed, and where it says nothing
(ground in a town whose houses are not all mapped) the pixel is ignored.
"""

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

from rsclip.errors import InputError
from rsclip.nano.scenes import CLASSES

VARIABLE = "RSCLIP_REAL_IMAGERY"
BIT = {name: 1 << k for k, name in enumerate(CLASSES)}

Words = tuple[str, ...]
Bytes = npt.NDArray[np.uint8]

WATER = ("water",)
LAND = tuple(name for name in CLASSES if name not in ("water", "swimming pool"))
OPEN_GROUND = tuple(name for name in CLASSES if name != "building")
BUILT = ("building", "road", "parking lot")
PLANTS = ("grassland", "forest")


@dataclass(frozen=True, eq=False)
class RealSet:
    """One set of images and what its labels mean.

    `truth` maps a label value, or for chips the name of their folder, to the classes it may be. No
    two entries share a class unless they are equal, so they can be scored. `loose` are labels that
    may be more than one of the scored: training uses them, scores do not. `incomplete` places
    train on nothing but `positive`. `validation` decides by a file's name below the image folder.
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


def _monterey_north(name: str) -> bool:
    """Tiles lie 608 pixels apart; a whole tile is left free between training and validation."""
    return int(name.split("_")[2]) > 26_000


def _last_chips(name: str) -> bool:
    """A quarter of the chips; where they lie is not known."""
    return int(name.rsplit("_", 1)[-1].split(".")[0]) % 4 == 0


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
        loose={5: ("sand", *PLANTS), 7: ("sand", *PLANTS), 11: (*BUILT, "bare soil", *PLANTS)},
    ),
    RealSet("usgs_obx_coast", 0.42, {0: WATER, 2: LAND}, _elsewhere),
    RealSet(
        "oam_buildings",
        0.3,
        {0: OPEN_GROUND, 1: ("building",)},
        lambda name: name.startswith("bicol"),
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
    ),
)
"""The sets that are used. Chips of a road or river hold mostly something else, so EuroSAT's Highway
and River are left out; Monterey's marsh has no class of ours."""


@dataclass(frozen=True)
class RealImage:
    """One image: `pixels` uint8 (H, W, 3), `allowed` uint16 (H, W), `truth` int16 (H, W).

    Bit k of `allowed` is set where the pixel may be CLASSES[k]; 0 is ignored. `truth` is the index
    of the pixel's entry among `groups` of its set, or -1: what scores use.
    """

    of: RealSet
    name: str
    licence: str
    validation: bool
    pixels: Bytes
    allowed: npt.NDArray[np.uint16]
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
    return sum(BIT[word] for word in words)


def _meaning(
    of: RealSet, label: npt.NDArray[np.uint8], complete: bool
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.int16]]:
    """Allowed classes and scored group of each pixel of a label image."""
    known = groups(of)
    allowed, truth = np.zeros(256, np.uint16), np.full(256, -1, np.int16)
    for value, words in {**of.loose, **of.truth}.items():
        if isinstance(value, int) and (complete or words == of.positive):
            allowed[value] = _bits(words)
            truth[value] = known.index(words) if value in of.truth else -1
    return allowed[label], truth[label]


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
        kind, side = below.parts[0], of.validation(below.as_posix())
        if (of.labels is None and kind not in of.truth) or side is unwanted:
            continue
        file = path.relative_to(root).as_posix()
        if file not in known:
            raise InputError(f"{root / 'README.tsv'} does not name {file}: its licence is unknown")
        pixels = _read(path)[:3].transpose(1, 2, 0)
        if of.labels is None:
            allowed = np.full(pixels.shape[:2], _bits(of.truth[kind]), np.uint16)
            truth = np.full(pixels.shape[:2], groups(of).index(of.truth[kind]), np.int16)
        else:
            label = _read(root / of.labels / below.with_suffix(".png"))[0]
            allowed, truth = _meaning(of, label, kind not in of.incomplete)
        yield RealImage(
            of, below.as_posix(), known[file], side, np.ascontiguousarray(pixels), allowed, truth
        )


def load(folder: Path, validation: bool) -> list[RealImage]:
    """All images of one side, of all sets, in a fixed order."""
    return [image for of in SETS for image in images(folder, of, validation)]
