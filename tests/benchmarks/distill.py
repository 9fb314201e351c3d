"""How much of nano a student of half its time keeps, on real imagery that neither was trained on.

    python tests/benchmarks/distill.py --real DIR --work DIR [--write docs/models.md]

The student learns from drawn scenes and from those images that nano's training may see, without
their labels; what was made and learned before is in the work folder. Scored as
tests/benchmarks/real.py does. `--write` puts the table between the markers of a Markdown file.
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from real import write

import rsclip
from rsclip.files import data_path
from rsclip.nano.data import pool_scene
from rsclip.nano.real import SETS, find_folder, images, load
from rsclip.nano.real_samples import samples
from rsclip.nano.real_scores import evaluate_set, score, write_geotiff

BEGIN, END = "<!-- distill: begin -->", "<!-- distill: end -->"
DRAWN, VARIETY = 160, 0.3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, help="folder of real imagery")
    parser.add_argument("--work", type=Path, required=True, help="folder for images and student")
    parser.add_argument("--shape", default="small")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--icl", type=float, default=0.3)
    parser.add_argument("--write", type=Path, help="Markdown file that gets the table")
    args = parser.parse_args()
    root = find_folder(args.real)
    scenes, student = args.work / "images", args.work / f"student-{args.shape}"
    if not scenes.exists():
        draft = args.work / "images.new"
        draft.mkdir(parents=True, exist_ok=True)
        make_images(root, draft)
        draft.rename(scenes)
    if not (student / "report.json").exists():
        rsclip.distill(
            "nano", scenes, student, shape=args.shape, steps=args.steps, icl=args.icl,
            batch=args.batch, classes="set:earth", resume=True, progress=tell,
        )  # fmt: skip
    report = json.loads((student / "report.json").read_text(encoding="utf-8"))
    figures = {}
    for of in SETS:
        chosen = list(images(root, of, validation=True))
        if chosen:
            found = score(of, evaluate_set(of, chosen, str(student)))
            figures[of.name] = found.get("miou", found.get("majority"))
            print(of.name, found, flush=True)
    lines = table(figures, report)
    print("\n".join(lines))
    if args.write:
        write(args.write, lines, BEGIN, END)


def make_images(root, folder):
    """Write drawn scenes and real images without labels as GeoTIFFs."""
    with ProcessPoolExecutor(1) as pool:
        for number, scene in enumerate(pool.map(drawn, range(DRAWN), chunksize=8)):
            # Of whatever size its pixels are: they are shown as they are.
            write_geotiff(scene.transpose(2, 0, 1), folder / f"drawn_{number:04}.tif", 1.0)
    for number, image in enumerate([*load(root, validation=False), *samples(root)]):
        pixels = image.pixels.transpose(2, 0, 1)
        write_geotiff(pixels, folder / f"{image.of.name}_{number:04}.tif", image.of.gsd)


def drawn(index):
    return pool_scene(index, VARIETY).image


def tell(done, total):
    if done % 50 == 0:
        print(f"{done} of {total} steps", flush=True)


def table(figures, report):
    """Return the lines of a table, a row for each set; nano's figures come with it."""
    nano = json.loads(data_path("nano", "figures.json").read_text(encoding="utf-8"))
    lines = ["| set | nano | student | kept, % |", "|---|---|---|---|"]
    masks = []
    for name, found in figures.items():
        one, other = nano[name].get("miou", nano[name].get("majority")), found
        cells = (f"{100 * one:.1f}", f"{100 * other:.1f}", f"{100 * other / one:.0f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
        if name != "eurosat_mini":
            masks.append((one, other))
    one, other = (sum(each) / len(masks) for each in zip(*masks, strict=True))
    kept = f"{100 * other / one:.0f}"
    lines.append(f"| **mean of masks** | {100 * one:.1f} | {100 * other:.1f} | **{kept}** |")
    said = (
        f"{len(report['blocks'])} of {report['teacher_blocks']} blocks, "
        f"{100 * report['time']:.0f} % of the time; {100 * report['agreement']:.1f} % of the "
        f"labels of {report['windows']} held-out windows are nano's."
    )
    command = "python tests/benchmarks/distill.py --real DIR --work DIR --write docs/models.md"
    return ["", *lines, "", f"{said} Made by `{command}`.", ""]


if __name__ == "__main__":
    main()
