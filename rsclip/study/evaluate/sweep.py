"""`try_settings`: a scene segmented by several settings, each scored against the same labels."""

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rsclip.config import SegmentConfig, build_config
from rsclip.errors import OptionError
from rsclip.run.segment import segment
from rsclip.study.compare.choices import Choice, parse_choices
from rsclip.study.evaluate.result import Evaluation
from rsclip.study.evaluate.run import evaluate
from rsclip.words.legend import LegendSpec

__all__ = ["Trial", "try_settings"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One combination of settings and its scores.

    Attributes:
        gsd: Pixel size in metres that the scene was worked at, or None: its own.
        model: Its name.
        method: Its name with its options, as in "gem:blocks=4".
        scores: The evaluation of its mask.
    """

    gsd: float | None
    model: str
    method: str
    scores: Evaluation


def try_settings(
    scene: str | Path,
    labels: str | Path,
    classes: LegendSpec,
    *,
    gsd: Sequence[float] = (),
    models: Sequence[str] = (),
    methods: str | Sequence[str] = (),
    config: SegmentConfig | None = None,
    **scoring: Any,
) -> list[Trial]:
    """Segment a scene by every combination of settings, and score each mask.

    Masks lie in a temporary folder and are gone afterwards.

    Args:
        scene: As `rsclip.segment` takes it.
        labels: As `evaluate` takes them.
        classes: As `rsclip.segment` takes them.
        gsd: Pixel sizes in metres; empty: that of `config`.
        models: Names of models; empty: that of `config`.
        methods: As `rsclip.compare` takes them; empty: that of `config`.
        config: All other settings.
        **scoring: mapping, ignore, aoi, boundary, block: as `evaluate` takes them.

    Returns:
        The trials, best mean IoU first.

    Raises:
        InputError: The scene, labels, classes or a setting is wrong.
        RunError: A read or a write failed.
    """
    settings = SegmentConfig() if config is None else config
    sizes: Sequence[float | None] = tuple(dict.fromkeys(gsd)) or (settings.gsd,)
    names = tuple(dict.fromkeys(models)) or (settings.model,)
    choices: Sequence[Choice | None] = parse_choices(methods) if methods else (None,)
    if any(size is not None and size <= 0 for size in sizes):
        raise OptionError("a pixel size is above 0", where="--gsd", remedy="Give metres.")
    trials = []
    for size, name, choice in itertools.product(sizes, names, choices):
        own: dict[str, Any] = {
            "gsd": size, "model": name, "vector_format": "none", "areas": False, "resume": False,
            "overwrite": False,
        }  # fmt: skip
        method = settings.method
        if choice is not None:
            own |= {"method": choice.method, "method_option": dataclasses.asdict(choice.options)}
            method = choice.label
        with TemporaryDirectory() as folder:
            made = segment(scene, classes, folder, config=build_config(settings.to_dict(), own))
            scores = evaluate(made.mask_path, labels, **scoring)
        trials.append(Trial(made.run["settings"]["gsd"], name, method, scores))
    return sorted(trials, key=lambda trial: trial.scores.overall["miou"], reverse=True)
