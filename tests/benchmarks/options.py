"""What options of the pipeline gain, on real imagery that training never saw and on sample tiles.

    python tests/benchmarks/options.py --real DIR [--write docs/accuracy.md]

Scored as tests/benchmarks/real.py does, at default settings with `--upsample bilinear`, but for
what a line says. Of the two large sets every second image counts. The tiles' column is the mean of
their mean IoUs. The time is the processor's over all of it, against the first line's. `--keep`
names a file that keeps each line when it is done: a run that was cut goes on from there. `--write`
puts the table between the markers of a Markdown file.
"""

import argparse
import json
import time
from pathlib import Path

import yaml
from real import write

from rsclip.config import build_config
from rsclip.errors import InputError
from rsclip.model import load_backbone
from rsclip.nano.real import SETS, find_folder, images
from rsclip.nano.real_scores import classes_of, evaluate_set, score
from rsclip.study.evaluate.trials import try_settings
from rsclip.wording import naming_flags

BEGIN, END = "<!-- options: begin -->", "<!-- options: end -->"
TILES = Path(__file__).parents[2] / "sample_tiles"
LARGE = ("usgs_monterey_dunes", "usgs_obx_coast")
SHORT = {
    "usgs_monterey_dunes": "dunes", "usgs_obx_coast": "coast", "oam_buildings": "buildings",
    "chesapeake_naip": "NAIP", "eurosat_mini": "EuroSAT",
}  # fmt: skip
NEGATIVE = ("shadow", "dark roof")
SHARP = {"method": "proxyclip", "method_option": {"values": "qq", "beta": 0.8}}
OPTIONS = {
    "`--upsample bilinear`": {},
    "`--upsample jbu:2`": {"upsample": "jbu:2"},
    "`--upsample jbu`": {"upsample": "jbu"},
    "`--upsample jbu:5`": {"upsample": "jbu:5"},
    "`--refine pamr`": {"refine": "pamr"},
    "`--upsample jbu:8`": {"upsample": "jbu:8"},
    "`--upsample jbu --refine pamr`": {"upsample": "jbu", "refine": "pamr"},
    "segearth": {"method": "segearth"},
    "scclip": {"method": "scclip"},
    "proxyclip": {"method": "proxyclip"},
    "proxyclip:values=qq": {"method": "proxyclip", "method_option": {"values": "qq"}},
    "proxyclip:values=qq:beta=0.8": SHARP,
    "the same, `--upsample jbu`": {**SHARP, "upsample": "jbu"},
    "`--decorrelate 0.25`": {"decorrelate": 0.25},
    "`--decorrelate 0.5`": {"decorrelate": 0.5},
    "`--decorrelate 1`": {"decorrelate": 1},
    "`--synonyms mean`": {"synonyms": "mean"},
    "`--synonyms lse`": {"synonyms": "lse"},
    "`not: [shadow, dark roof]` for water": None,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, help="folder of real imagery")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--keep", type=Path, help="file that keeps each line when it is done")
    parser.add_argument("--write", type=Path, help="Markdown file that gets the table")
    args = parser.parse_args()
    try:
        with naming_flags():
            root = find_folder(args.real)
    except InputError as error:
        parser.exit(0, f"left out: {error}\n")
    sets = {of: list(images(root, of, validation=True)) for of in SETS if of.name in SHORT}
    heads = [*(SHORT[of.name] for of in sets), "mean", "tiles", "time"]
    lines = [f"| option | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    kept = read_kept(args.keep)
    weights = load_backbone(args.model).weights_sha256
    command = f"python tests/benchmarks/options.py --real DIR --model {args.model}"
    said = f"Made by `{command} --write docs/accuracy.md`."
    first = None
    for name, how in OPTIONS.items():
        asked = json.dumps([weights, name, how])
        if asked not in kept:
            began = time.process_time()
            figures = [of_set(of, chosen, args.model, how) for of, chosen in sets.items()]
            figures += [sum(figures) / len(figures), of_tiles(args.model, how)]
            kept[asked] = [*figures, time.process_time() - began]
            if args.keep:
                with args.keep.open("a", encoding="utf-8") as file:
                    print(json.dumps([asked, kept[asked]]), file=file)
        *figures, took = kept[asked]
        first = first or took
        cells = [*(f"{100 * figure:.1f}" for figure in figures), f"{took / first:.2f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
        if args.write:
            write(args.write, ["", *lines, "", said, ""], BEGIN, END)


def read_kept(path):
    """Return what a file keeps: figures by weights and settings."""
    if path is None or not path.exists():
        return {}
    return dict(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())


def config_of(how):
    """Return the settings of a line."""
    return build_config({"upsample": "bilinear"}, how or {})


def of_set(of, chosen, model, how):
    """Return the mean IoU of a set, or of chips the share that is right."""
    chosen = chosen[::2] if of.name in LARGE else chosen
    classes = None
    if how is None:
        classes = {"classes": [{"name": name, "words": words, **against(words)}
                               for name, words in classes_of(of).items()]}  # fmt: skip
    found = score(of, evaluate_set(of, chosen, model, config=config_of(how), classes=classes))
    return found["miou" if of.labels else "majority"]


def of_tiles(model, how):
    """Return the mean of the sample tiles' mean IoUs."""
    classes = yaml.safe_load((TILES / "classes.yaml").read_text(encoding="utf-8"))
    if how is None:
        for each in classes["classes"]:
            each.update(against(each["words"]))
    scores = []
    for labels in sorted(TILES.glob("*_labels.tif")):
        scene = labels.with_name(labels.name.replace("_labels", ""))
        (trial,) = try_settings(
            scene, labels, classes, models=[model], boundary=None, config=config_of(how)
        )
        scores.append(trial.scores.overall["miou"])
    return sum(scores) / len(scores)


def against(words):
    """Return the negative words of a class of these words, as a class file has them."""
    return {"not": list(NEGATIVE)} if "water" in words else {}


if __name__ == "__main__":
    main()
