"""The sample tiles: small georeferenced scenes with labels, written bit for bit the same.

python -m rsclip.nano.scenes.tiles sample_tiles
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp

from rsclip.nano.scenes.classes import NODATA_LABEL
from rsclip.nano.scenes.legend import classes_yaml, colour_table
from rsclip.nano.scenes.scene import generate
from rsclip.outputs.rasters.pam import write_pam
from rsclip.words.legend import load_legend

GSD = 0.5  # metres per pixel of all tiles
BANDS = ("red", "green", "blue", "near infrared")
# Fixed, and free of anything that depends on the time or the number of threads.
_CREATION = {
    "driver": "GTiff",
    "compress": "deflate",
    "predictor": 2,
    "zlevel": 9,
    "tiled": True,
    "blockxsize": 256,
    "blockysize": 256,
    "interleave": "pixel",
    "num_threads": 1,
}


@dataclass(frozen=True)
class Tile:
    """One scene and the names of the equally wide tiles it is cut into from left to right.

    `shape` is the whole scene's rows and columns; `transform` maps its (column, row) to `crs`.
    `raw` asks for uint16 reflectance with the infrared band and a nodata collar.
    """

    names: tuple[str, ...]
    seed: int
    kind: str
    shape: tuple[int, int]
    crs: str
    transform: Affine
    raw: bool = False


def _north_up(x: float, y: float) -> Affine:
    """Half-metre pixels in a metric system from the upper left corner (x, y)."""
    return Affine(GSD, 0.0, x, 0.0, -GSD, y)


def _turned(x: float, y: float, degrees: float) -> Affine:
    """The same, its rows turned clockwise by `degrees` about that corner."""
    # Rounded, so that no processor's cosine shows in the file.
    cos = round(GSD * math.cos(math.radians(degrees)), 12)
    sin = round(GSD * math.sin(math.radians(degrees)), 12)
    return Affine(cos, -sin, x, -sin, -cos, y)


# Half a metre in degrees at 47.6 degrees north, where a degree is 111.2 km, or 75.2 km eastward.
_DEGREES = Affine(6.651e-06, 0.0, 16.52, 0.0, -4.497e-06, 47.6)
_TURNED = _turned(602400.0, 4192800.0, 17.0)

# The places are made up.
TILES: tuple[Tile, ...] = (
    Tile(("town_river",), 1, "town", (512, 640), "EPSG:32632", _north_up(465000.0, 5482000.0)),
    Tile(("farmland",), 1, "farmland", (512, 512), "EPSG:4326", _DEGREES),
    Tile(("coast",), 4, "coast", (512, 512), "EPSG:32630", _north_up(730200.0, 4371900.0), True),
    Tile(("solar_park",), 8, "solar-park", (480, 480), "EPSG:32629", _TURNED),
    Tile(
        ("greenhouses",),
        1,
        "horticulture",
        (448, 512),
        "EPSG:25831",
        _north_up(598300.0, 5760700.0),
    ),
    Tile(
        ("rail_yard_west", "rail_yard_middle", "rail_yard_east"),
        6,
        "railyard",
        (400, 1200),
        "EPSG:32633",
        _north_up(391500.0, 5819600.0),
    ),
)


def _write(
    path: Path,
    pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16],
    crs: str,
    transform: Affine,
    nodata: int | None,
) -> None:
    """Write (C, H, W) pixels, one band as labels with a colour table, more as an image."""
    count, height, width = pixels.shape
    with rasterio.open(
        path,
        "w",
        **_CREATION,
        count=count,
        height=height,
        width=width,
        dtype=pixels.dtype.name,
        crs=crs,
        transform=transform,
        nodata=nodata,
        photometric="MINISBLACK" if count == 1 else "RGB",
        **({"alpha": "NO"} if count > 3 else {}),
    ) as out:
        if count == 1:
            out.write_colormap(1, colour_table())
            out.set_band_description(1, "class")
        else:
            colours = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
            out.colorinterp = colours + [ColorInterp.undefined] * (count - 3)
            for band, name in enumerate(BANDS[:count], start=1):
                out.set_band_description(band, name)
        out.write(pixels)


def write_tiles(folder: Path) -> list[Path]:
    """Write all tiles, their labels and the class file into `folder`; return what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    legend = folder / "classes.yaml"
    legend.write_text(classes_yaml(), encoding="utf-8", newline="\n")
    classes = load_legend(legend)
    for tile in TILES:
        scene = generate(
            tile.seed,
            tile.shape,
            kind=tile.kind,
            gsd=GSD,
            infrared=tile.raw,
            reflectance=tile.raw,
            collar=tile.raw,
        )
        width = tile.shape[1] // len(tile.names)
        for number, name in enumerate(tile.names):
            cut = slice(number * width, (number + 1) * width)
            grid, shift = tile.transform, number * width
            transform = Affine(
                grid.a, grid.b, grid.c + grid.a * shift, grid.d, grid.e, grid.f + grid.d * shift
            )
            image, labels = folder / f"{name}.tif", folder / f"{name}_labels.tif"
            _write(image, scene.image[:, :, cut], tile.crs, transform, 0 if tile.raw else None)
            _write(labels, scene.labels[None, :, cut], tile.crs, transform, NODATA_LABEL)
            # Names travel with the labels: QGIS shows them, and scores are matched by them.
            names = labels.with_name(f"{labels.name}.aux.xml")
            write_pam(names, classes)
            written += [image, labels, names]
    return [*written, legend]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the sample tiles into the folder named on the command line."""
    parser = argparse.ArgumentParser(description="Write the synthetic sample tiles.")
    parser.add_argument("folder", type=Path)
    for path in write_tiles(parser.parse_args(arguments).folder):
        print(f"{path} {path.stat().st_size}")


if __name__ == "__main__":
    main()
