"""Scores on real imagery at default settings, on places that training never sees where there are.

    python tests/benchmarks/real.py --real DIR [--model nano ...] [--write docs/accuracy.md]

Of a set with masks: mean IoU of what its labels tell apart, over all pixels together (classes of
less than 0.5 % of the pixels are left out). Of a set of chips: the share whose commonest label is
right. `rsclip/nano/real_scores.py` has the rules. Of sets that lie in training whole up to 100
images are scored, and marked: they say what nano remembers, and how another model does. `--write`
puts the table between the markers of a Markdown file; `--alone building` asks for one class against
the bundled background.
"""

import argparse
import json
from pathlib import Path

from rsclip.errors import InputError
from rsclip.nano.real import SETS, find_folder, images
from rsclip.nano.real_samples import samples
from rsclip.nano.real_scores import evaluate_set, score
from rsclip.wording import naming_flags

MOST_SEEN = 100
CLASS_SCORES = ("iou", "precision", "recall")

BEGIN, END = "<!-- real imagery: begin -->", "<!-- real imagery: end -->"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, help="folder of real imagery")
    parser.add_argument("--model", nargs="+", default=["nano"])
    parser.add_argument(
        "--alone", metavar="CLASS", help="ask for this class only, as for buildings"
    )
    parser.add_argument("--output", type=Path, help="where the first model's figures go")
    parser.add_argument("--write", type=Path, help="Markdown file that gets the table")
    args = parser.parse_args()
    if args.write and BEGIN not in args.write.read_text(encoding="utf-8"):
        parser.error(f"{args.write} has no line {BEGIN}")
    try:
        with naming_flags():
            root, figures = find_folder(args.real), {}
    except InputError as error:
        parser.exit(0, f"left out: {error}\n")
    if args.alone:
        score_alone(root, args.alone, args.model)
        return
    for name, of, chosen, held_out in sets_of(root):
        for model in args.model:
            found = score(of, evaluate_set(of, chosen, model))
            figures.setdefault(model, {})[name] = found | {"held_out": held_out, "gsd": of.gsd}
            print(model, name, found, flush=True)
    if args.output:
        own = {
            name: {key: value for key, value in found.items() if key not in ("held_out", "gsd")}
            for name, found in figures[args.model[0]].items()
            if found["held_out"]
        }
        first = json.dumps(own, indent=2)
        args.output.write_text(first + "\n", encoding="utf-8")
    if args.write:
        write(args.write, table(figures))


def score_alone(root, word, models):
    """Print the IoU of a class that competes with the bundled background only."""
    for of in SETS:
        chosen = list(images(root, of, validation=True)) if (word,) in of.truth.values() else []
        for model in models if of.labels and chosen else ():
            found = evaluate_set(of, chosen, model, alone=word)
            scores = {key: round(float(found.classes[key][1]), 3) for key in CLASS_SCORES}
            print(model, of.name, word, f"{len(chosen)} images", scores)


def sets_of(root):
    """Yield each set's name, itself, images, and whether training never saw their places."""
    for of in SETS:
        held_out = list(images(root, of, validation=True))
        every = held_out or list(images(root, of))
        yield of.name, of, every[:: -(-len(every) // MOST_SEEN)], bool(held_out)
    by_set = {}
    for image in samples(root):
        by_set.setdefault(id(image.of), []).append(image)
    for chosen in by_set.values():
        of = chosen[0].of
        yield f"{of.name}: {Path(chosen[0].name).stem[:24]}", of, chosen, False


def table(figures):
    """Return the lines of a table, a row for each set and a column for each model."""
    first = next(iter(figures.values()))
    lines = [
        f"| set | m | images | what | {' | '.join(figures)} |",
        f"|---|---|---|---|{'---|' * len(figures)}",
    ]
    for name in sorted(first, key=lambda name: not first[name]["held_out"]):
        row = [found[name] for found in figures.values()]
        key, what = ("majority", "right, %") if "majority" in row[0] else ("miou", "mIoU, %")
        cells = " | ".join(f"{100 * one[key]:.1f}" for one in row)
        shown = name if row[0]["held_out"] else f"{name} (in training)"
        size, count = row[0]["gsd"], row[0]["images"]
        lines.append(f"| {shown} | {size:g} | {count} | {what} | {cells} |")
    command = f"python tests/benchmarks/real.py --real DIR --model {' '.join(figures)}"
    return ["", *lines, "", f"Made by `{command} --write docs/accuracy.md`.", ""]


def write(path, lines, begin=BEGIN, end=END):
    """Put lines between the markers of a file."""
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    path.write_text("\n".join([before + begin, *lines, end + after]), encoding="utf-8")


if __name__ == "__main__":
    main()
