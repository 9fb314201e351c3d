"""Draw the model card's pictures: `python -m rsclip.nano.pictures --output docs/images`.

`nano.png` shows held-out scenes; with `--real DIR`, `nano_real.png` shows the validation image
whose score is nearest to the median.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from PIL import Image

from rsclip.batch.one_scene import segment
from rsclip.nano.data import held_out_seed
from rsclip.nano.evaluate import write_scene
from rsclip.nano.real import SETS, RealImage, find_folder, groups, images
from rsclip.nano.real_scores import evaluate_set, mean_iou, words_of, write_geotiff
from rsclip.nano.scenes import CLASSES, generate
from rsclip.words.legend import Legend, load_legend

Bytes = npt.NDArray[np.uint8]

GAP = 6
SIDE = 300


def paint(labels: Bytes, legend: Legend) -> Bytes:
    """Labels (H, W) as colours (H, W, 3); white where there is no class."""
    table = np.full((256, 3), 255, np.uint8)
    for item in legend.foreground:
        table[item.value] = item.colour
    colours: Bytes = table[labels]
    return colours


def fit(image: Bytes, side: int, smooth: bool) -> Bytes:
    """An image (H, W, 3) with its longer side at `side` pixels."""
    height, width = image.shape[:2]
    size = (round(width * side / max(height, width)), round(height * side / max(height, width)))
    how = Image.Resampling.LANCZOS if smooth else Image.Resampling.NEAREST
    resized: Bytes = np.asarray(Image.fromarray(image).resize(size, how))
    return resized


def row(images: list[Bytes]) -> Bytes:
    """Images of one height side by side, with a white gap."""
    gap = np.full((images[0].shape[0], GAP, 3), 255, np.uint8)
    joined: Bytes = np.concatenate([part for image in images for part in (image, gap)][:-1], axis=1)
    return joined


def _read(path: Path) -> Bytes:
    with rasterio.open(path) as dataset:
        pixels: Bytes = dataset.read([1, 2, 3]).transpose(1, 2, 0)
    return pixels


def save(picture: Bytes, path: Path) -> None:
    """Write a PNG of 256 colours, a third of the size of the full one."""
    Image.fromarray(picture).quantize(256).save(path, optimize=True)


def held_out_picture(indices: list[int], model: str) -> Bytes:
    """One row a scene: image, truth, prediction."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for index in indices:
            scene = generate(held_out_seed(index))
            path = Path(folder) / f"scene-{index}.tif"
            write_scene(scene, path)
            result = segment(path, list(CLASSES), folder, model=model)
            found = paint(result.mask(), result.legend)
            truth = paint(scene.labels, result.legend)
            parts = [fit(_read(path), SIDE, True), fit(truth, SIDE, False)]
            rows += [row([*parts, fit(found, SIDE, False)]), np.full((GAP, 1, 3), 255, np.uint8)]
    width = rows[0].shape[1]
    return np.concatenate([np.broadcast_to(r, (len(r), width, 3)) for r in rows[:-1]])


def median_image(folder: Path, model: str) -> tuple[RealImage, float]:
    """The validation image whose score is nearest to the median, and its mean IoU.

    Of the sets in the public domain with masks, so that it may be shown.
    """
    scored = []
    for of in SETS:
        chosen = [
            image
            for image in images(folder, of, validation=True)
            if of.labels and "public domain" in image.licence
        ]
        if chosen:
            found = evaluate_set(of, chosen, model).images
            scored += [(mean_iou(one.sums), i) for one, i in zip(found, chosen, strict=True)]
    scored.sort(key=lambda each: each[0])
    value, image = scored[(len(scored) - 1) // 2]
    return image, value


def real_picture(folder: Path, model: str) -> Bytes:
    """The median validation image, its truth and its map; says which it is."""
    image, value = median_image(folder, model)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "scene.tif")
        write_geotiff(image.pixels.transpose(2, 0, 1), path, image.of.gsd)
        # Black without data, which the sets in the public domain do not declare.
        mask = segment(path, words_of(image.of), place, model=model, nodata=0).mask()
    legend = load_legend(words_of(image.of))
    first = np.cumsum([0, *(len(group) for group in groups(image.of))])[:-1] + 1
    truth = np.where(image.truth < 0, 0, first[image.truth]).astype(np.uint8)
    print(f"{image.of.name} {image.name}: mean IoU {value:.3f}, {image.licence}")
    for item in legend.foreground:
        print(f"{item.name:14} {np.mean(mask == item.value):.3f}  #{bytes(item.colour).hex()}")
    parts = [fit(image.pixels, SIDE, True), fit(paint(truth, legend), SIDE, False)]
    return row([*parts, fit(paint(mask, legend), SIDE, False)])


def main() -> None:
    """Parse the command line and draw."""
    parser = argparse.ArgumentParser(description="Draw the pictures of nano's model card.")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--scenes", type=int, nargs="+", default=[11, 9, 3])
    parser.add_argument("--real", type=Path, help="folder of real imagery")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    if arguments.real:
        picture = real_picture(find_folder(arguments.real), arguments.model)
        save(picture, arguments.output / "nano_real.png")
    else:
        picture = held_out_picture(arguments.scenes, arguments.model)
        save(picture, arguments.output / "nano.png")


if __name__ == "__main__":
    main()
