"""Scores on real imagery at default settings, on places that training never sees.

    python tests/benchmarks/real.py --real DIR [--model nano ...] [--output FILE.json]

Of a set with masks: mean IoU of what its labels tell apart, over all pixels together (classes of
less than 0.5 % of the pixels are left out). Of a set of chips: the share whose commonest label is
right. `rsclip/nano/real_scores.py` has the rules.
"""

import argparse
import json
import tempfile
from pathlib import Path

from rsclip.nano.real import SETS, find_folder, images
from rsclip.nano.real_scores import confusion, maps, score


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, help="folder of real imagery")
    parser.add_argument("--model", nargs="+", default=["nano"])
    parser.add_argument("--output", type=Path, help="where the figures go as JSON")
    args = parser.parse_args()
    root, figures = find_folder(args.real), {}
    for model in args.model:
        figures[model] = {}
        for of in SETS:
            chosen = list(images(root, of, validation=True))
            if not chosen:
                continue
            with tempfile.TemporaryDirectory() as folder:
                results = maps(of, chosen, model, Path(folder))
                pairs = zip(chosen, results, strict=True)
                found = [confusion(image, result.mask()) for image, result in pairs]
            figures[model][of.name] = score(of, found)
            print(model, of.name, figures[model][of.name], flush=True)
    if args.output:
        args.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
