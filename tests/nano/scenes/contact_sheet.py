"""Draw the pictures of docs/synthetic.md.

Run as `python tests/nano/scenes/contact_sheet.py docs/images`.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from rsclip.nano.scenes import CLASSES, KINDS, generate, generate_varied
from rsclip.nano.scenes.landscapes import LANDSCAPES
from rsclip.nano.scenes.legend import colour_table

CHIP = 112  # pixels of half a metre, drawn one to one
CHIPS = 4


def kinds_sheet() -> Image.Image:
    """Each kind of scene at half size, its labels below."""
    lut = np.zeros((256, 3), np.uint8)
    for value, colour in colour_table().items():
        lut[value] = colour[:3]
    cells = []
    for number, kind in enumerate(KINDS[:12]):
        scene = generate(600 + number, (400, 400), kind=kind)
        picture = Image.fromarray(scene.image.transpose(1, 2, 0)).resize((200, 200), Image.BOX)
        labels = Image.fromarray(lut[scene.labels]).resize((200, 200), Image.NEAREST)
        cells.append(np.concatenate([np.asarray(picture), np.asarray(labels)]))
    rows = [np.concatenate(cells[first : first + 6], axis=1) for first in (0, 6)]
    return Image.fromarray(np.concatenate(rows))


def classes_sheet() -> Image.Image:
    """Chips around the place where each class fills the most, four scenes a class."""
    found: dict[int, list[np.ndarray]] = {value: [] for value in range(1, len(CLASSES) + 1)}
    seed = 700
    while any(len(chips) < CHIPS for chips in found.values()):
        scene = generate(seed, (400, 400))
        for value, chips in found.items():
            share = ndimage.uniform_filter((scene.labels == value).astype(np.float32), 80)
            half = CHIP // 2
            inner = share[half:-half, half:-half]
            if len(chips) < CHIPS and inner.max() > (0.2 if value in (2, 10) else 0.4):
                row, col = np.unravel_index(int(inner.argmax()), inner.shape)
                chips.append(scene.image[:, row : row + CHIP, col : col + CHIP].transpose(1, 2, 0))
        seed += 1
    columns = [np.concatenate(chips) for chips in found.values()]
    rows = [np.concatenate(columns[first : first + 7], axis=1) for first in (0, 7)]
    return Image.fromarray(np.concatenate(rows))


def varied_sheet() -> Image.Image:
    """Every landscape at a pixel size of its seed, then five near kinds, one to one."""
    near = ("village", "old-quarter", "farmland", "river", "suburb")
    side, cells = 150, []
    for number, kind in enumerate((*LANDSCAPES, *near)):
        gsd = None if kind in near else (2.5, 5.0, 10.0, 10.0, 20.0, 10.0)[number % 6]
        scene = generate_varied(900 + number, (256, 256), kind=kind, gsd=gsd)
        cells.append(scene.image[:, 50 : 50 + side, 50 : 50 + side].transpose(1, 2, 0))
    rows = [np.concatenate(cells[first : first + 6], axis=1) for first in range(0, 24, 6)]
    return Image.fromarray(np.concatenate(rows))


def main() -> None:
    folder = Path(sys.argv[1])
    sheets = {"kinds": kinds_sheet(), "classes": classes_sheet(), "varied": varied_sheet()}
    for name, sheet in sheets.items():
        few = sheet.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few.save(folder / f"synthetic_{name}.png", optimize=True)


if __name__ == "__main__":
    main()
