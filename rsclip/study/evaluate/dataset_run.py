"""`evaluate_dataset`: a data set of a paper, scored as the paper does, its figures beside ours."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import numpy as np

from rsclip.config import build_config
from rsclip.errors import OptionError
from rsclip.keywords import EvaluateKeywords
from rsclip.study.evaluate.datasets import Layout, read_dataset
from rsclip.study.evaluate.run import Progress
from rsclip.study.evaluate.scoring import BOUNDARY, Scoring
from rsclip.study.evaluate.trials import Asked, Axes, Trial, run_trials
from rsclip.study.truth_grids import UNKNOWN
from rsclip.words.legend import LegendSpec

__all__ = ["evaluate_dataset"]


def evaluate_dataset(
    name: str | Path,
    root: str | Path,
    output_dir: str | Path | None = None,
    *,
    split: str | None = None,
    limit: int | None = None,
    classes: LegendSpec | None = None,
    models: Sequence[str] = (),
    methods: str | Sequence[str] = (),
    thresholds: Sequence[float] = (),
    words: Sequence[str] = (),
    boundary: str | float | None = BOUNDARY,
    progress: Progress | None = None,
    **options: Unpack[EvaluateKeywords],
) -> list[Trial]:
    """Score a data set of a paper: its split, sizes, windows and threshold, figures beside ours.

    Args:
        name: A file of configs/datasets by its stem, such as "loveda", or a YAML file like these.
        root: Where the data set lies, in the layout that it is published in.
        output_dir: Where tables, pictures and the page go; None: nowhere.
        split: One of the set's splits; None: the one that papers score.
        limit: So many images at most, spread evenly over the split.
        classes: Classes with other words; None: the set's own.
        models: As `try_settings` takes them.
        methods: As `try_settings` takes them.
        thresholds: As `try_settings` takes them.
        words: As `try_settings` takes them.
        boundary: As `evaluate` takes it.
        progress: As `try_settings` takes it.
        **options: Fields of `SegmentConfig`; they beat the set's own settings.

    Returns:
        The trials, best mean IoU first.

    Raises:
        InputError: The root has another layout (what was looked for is told), or an option is
            wrong.
        RunError: A read or a write failed.
    """
    found = read_dataset(name)
    if limit is not None and limit < 1:
        raise OptionError(f"{limit} images", where="--limit", remedy="Give 1 or more.")
    if options.get("gsd") is not None:
        raise OptionError(
            "the set says at which size its images are read", where="--gsd", remedy="Leave it out."
        )
    layout, pairs = found.find(root, split)
    given = len(pairs)
    if limit is not None and limit < given:
        at = np.linspace(0, given - 1, limit).round().astype(int)
        pairs = [pairs[place] for place in at]
    settings = build_config(found.settings, options)
    model = next(iter(models), settings.model)
    paper, published = found.figures(model)
    said = [*found.notes(model), f"Images: {len(pairs)} of {given}."]
    asked = Asked(
        pairs, _scoring(layout, boundary), resize=layout.resize or None, published=published,
        record={
            "dataset": found.name, "split": split or next(iter(found.splits)), "images": given,
            "published": paper, "settings": settings.to_dict(), "tuned": list(found.tuned),
        },
        said=said,
    )  # fmt: skip
    axes = Axes((), models, methods, thresholds, words)
    return run_trials(asked, classes or found.classes, axes, settings, output_dir, progress)


def _scoring(layout: Layout, boundary: str | float | None) -> Scoring:
    mapping = {str(key): None if to is None else str(to) for key, to in layout.mapping.items()}
    # What is none of the set's values does not count, as in the papers.
    scoring = Scoring.read(mapping=mapping or None, ignore=layout.ignore, boundary=boundary)
    return dataclasses.replace(scoring, other=UNKNOWN)
