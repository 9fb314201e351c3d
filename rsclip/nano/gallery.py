"""Draw docs/gallery.md's pictures and write its scores: `python -m rsclip.nano.gallery --real DIR`.

Of each set of real imagery with masks, the validation image whose score is the median: not the
best. With `--prairie FILE`, an airphoto of farmland and lakes without labels.
"""

import argparse
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio

from rsclip.batch.one_scene import segment
from rsclip.nano.pictures import Bytes, fit, paint, row, save
from rsclip.nano.real import SETS, RealImage, groups, images, parse_with_folder
from rsclip.nano.real_scores import classes_of, evaluate_set, mean_iou, write_geotiff
from rsclip.study.metrics import class_scores
from rsclip.words.legend import Legend, load_legend

SIDE = 340
LEAST_LABELLED = 0.6
"""Share of its pixels that an image's labels cover."""
USGS = "USGS, public domain"
SHOWN = {
    "usgs_monterey_dunes": ("dunes", USGS),
    "usgs_obx_coast": ("coast", USGS),
    "oam_buildings": ("street", "OpenAerialMap, CC BY 4.0; buildings OpenStreetMap, ODbL"),
    "chesapeake_naip": ("county", "NAIP (USDA), public domain; labels Chesapeake Conservancy"),
}
"""Sets with their names on the page and their credits."""
PRAIRIE = "water|lake|pond|wetland, cropland|field, grassland|meadow, tree|forest, road, building"


def median(chosen: Sequence[RealImage], model: str) -> tuple[RealImage, dict[str, float]]:
    """The image whose mean IoU is the median, and its IoU by class, those that are there."""
    found = evaluate_set(chosen[0].of, chosen, model)
    order = np.argsort([mean_iou(one.sums) for one in found.images], kind="stable")
    index = int(order[(len(order) - 1) // 2])
    sums = found.images[index].sums
    names = list(found.legend.names.values())
    iou = class_scores(sums)["iou"]
    scores = {names[k]: float(iou[k]) for k in range(1, len(names)) if sums[1, k]}
    return chosen[index], {"mean": mean_iou(sums), **scores}


def key(legend: Legend, *maps: Bytes) -> str:
    """The colours of the classes that any of the maps shows."""
    there = set(np.unique(np.concatenate([each.ravel() for each in maps])).tolist())
    return ", ".join(
        f"{item.name} #{bytes(item.colour).hex()}"
        for item in legend.foreground
        if item.value in there
    )


def of_set(
    image: RealImage, credit: str, scores: dict[str, float], model: str, picture: Path
) -> str:
    """Draw an image, its labels and its map; return what is to be said."""
    classes = classes_of(image.of)
    legend = load_legend(classes)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "scene.tif")
        write_geotiff(image.pixels.transpose(2, 0, 1), path, image.of.gsd)
        mask = segment(path, legend, place, model=model).mask()
    truth = (image.truth + 1).astype(np.uint8)
    parts = [fit(image.pixels, SIDE, True), fit(paint(truth, legend), SIDE, False)]
    save(row([*parts, fit(paint(mask, legend), SIDE, False)]), picture)
    words = ", ".join("|".join(group) for group in groups(image.of))
    by_class = ", ".join(f"{name} {value:.2f}" for name, value in scores.items() if name != "mean")
    return (
        f'```sh\nrsclip segment {Path(image.name).name} --classes "{words}" -o out\n```\n\n'
        f"![Scene, labels and map](images/{picture.name})\n\n"
        f"`{image.of.name}/{image.name}`, {image.of.gsd:g} m a pixel; {credit}. Mean IoU "
        f"**{scores['mean']:.2f}** ({by_class}). Colours: {key(legend, truth, mask)}."
    )


def of_prairie(scene: Path, model: str, picture: Path) -> str:
    """Draw an airphoto without labels and its map; return what is to be said."""
    legend = load_legend(PRAIRIE)
    with tempfile.TemporaryDirectory() as place:
        mask = segment(scene, legend, place, model=model).mask()
    with rasterio.open(scene) as dataset:
        pixels = dataset.read([1, 2, 3]).transpose(1, 2, 0)
    save(row([fit(pixels, SIDE, True), fit(paint(mask, legend), SIDE, True)]), picture)
    shares = ", ".join(
        f"{item.name} {np.mean(mask == item.value):.0%}" for item in legend.foreground
    )
    return (
        f'```sh\nrsclip segment {scene.name} --classes "{PRAIRIE}" -o out\n```\n\n'
        f"![Scene and map](images/{picture.name})\n\n"
        f"`{scene.name}`, 1 m a pixel; NAIP (USDA), public domain. "
        f"No labels. Map: {shares}. Colours: {key(legend, mask)}."
    )


def write(page: Path, name: str, said: str) -> None:
    """Put text between a page's `<!-- NAME -->` and `<!-- end -->`."""
    text = page.read_text(encoding="utf-8")
    place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    page.write_text(
        place.sub(lambda found: found[1] + said + "\n" + found[2], text), encoding="utf-8"
    )


def main() -> None:
    """Parse the command line, draw and write."""
    parser = argparse.ArgumentParser(description="Draw the gallery's pictures.")
    parser.add_argument("--page", type=Path, default=Path("docs/gallery.md"))
    parser.add_argument("--model", default="nano")
    parser.add_argument("--prairie", type=Path, help="an airphoto without labels")
    given = parse_with_folder(parser)
    pictures = given.page.parent / "images"
    for of in SETS:
        if of.name in SHOWN:
            name, credit = SHOWN[of.name]
            chosen = [
                image
                for image in images(given.real, of, validation=True)
                if np.mean(image.truth >= 0) >= LEAST_LABELLED
            ]
            image, scores = median(chosen, given.model)
            picture = pictures / f"gallery_{name}.png"
            write(given.page, name, of_set(image, credit, scores, given.model, picture))
    if given.prairie:
        picture = pictures / "gallery_prairie.png"
        write(given.page, "prairie", of_prairie(given.prairie, given.model, picture))


if __name__ == "__main__":
    main()
