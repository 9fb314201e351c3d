"""`try_settings`: scenes segmented by several settings, each scored against the same labels."""

import dataclasses
import functools
import itertools
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Unpack

from rsclip.config import HOW_OPTIONS, SegmentConfig, build_config
from rsclip.errors import RsclipWarning
from rsclip.keywords import ScoringKeywords
from rsclip.run.encoder import Model, load_model, outline_of
from rsclip.run.scenes_and_classes import open_scene
from rsclip.run.segment import Failure, segment_scenes
from rsclip.scene.scene import gdal_env
from rsclip.study.compare.choices import Choice, parse_choices
from rsclip.study.evaluate.image_log import ImageLog
from rsclip.study.evaluate.masks import MaskOutline
from rsclip.study.evaluate.resized import resized
from rsclip.study.evaluate.result import Evaluation
from rsclip.study.evaluate.run import (
    Progress,
    check_mask_outputs,
    evaluate_mask,
    evaluate_pairs,
    refuse_mask,
)
from rsclip.study.evaluate.scoring import Counting, Scoring
from rsclip.study.evaluate.set_report import check_set_outputs, write_set
from rsclip.study.pairs import Pair, find_pairs
from rsclip.study.variations import Variation, vary
from rsclip.words.legend import Legend, LegendSpec

if TYPE_CHECKING:
    from rsclip.model import Backbone

__all__ = ["Asked", "Axes", "Trial", "run_trials", "trial_cells", "try_settings"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One combination of settings and its scores.

    Attributes:
        gsd: Pixel size in metres that scenes were worked at, or None: their own.
        model: Its name.
        method: Its name with its options, as in "gem:blocks=4".
        threshold: Lowest score that keeps a label, or None.
        words: Which words: one of `variations.WORD_VARIANTS`.
        scores: The evaluation of its masks.
        published: Mean IoU (0 to 1) that a paper gives this method on this data set, or None.
    """

    gsd: float | None
    model: str
    method: str
    threshold: float | None
    words: str
    scores: Evaluation
    published: float | None = None


@dataclass(frozen=True, slots=True)
class Axes:
    """What is tried; what is empty stays as the settings have it.

    Attributes:
        gsd: Pixel sizes in metres.
        models: Names of models.
        methods: As `rsclip.compare` takes them.
        thresholds: Lowest scores that keep a label, 0 to 1.
        words: Some of `variations.WORD_VARIANTS`.
    """

    gsd: Sequence[float] = ()
    models: Sequence[str] = ()
    methods: str | Sequence[str] = ()
    thresholds: Sequence[float] = ()
    words: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """Images, what is done with them, and how they are scored.

    Attributes:
        pairs: Images and labels.
        scoring: How masks are compared with labels.
        resize: As `resized` takes it, or None.
        published: Method -> mean IoU of a paper, 0 to 1.
        stem: What names of outputs begin with; "" for a set of images.
        record: What the JSON says besides the scores.
        said: Further sentences for the reader.
    """

    pairs: Sequence[Pair]
    scoring: Scoring
    resize: Mapping[str, Any] | None = None
    published: Mapping[str, float] = dataclasses.field(default_factory=dict)
    stem: str = ""
    record: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    said: Sequence[str] = ()


def try_settings(
    scene: str | Path,
    labels: str | Path,
    classes: LegendSpec | None,
    output_dir: str | Path | None = None,
    *,
    gsd: Sequence[float] = (),
    models: Sequence[str] = (),
    methods: str | Sequence[str] = (),
    thresholds: Sequence[float] = (),
    words: Sequence[str] = (),
    config: SegmentConfig | None = None,
    progress: Progress | None = None,
    **scoring: Unpack[ScoringKeywords],
) -> list[Trial]:
    """Segment scenes by every combination of settings, and score the masks.

    Masks lie in a temporary folder and are gone afterwards. A model is loaded once.

    Args:
        scene: As `rsclip.segment` takes it; or a folder or a pattern of scenes, scored together.
        labels: As `evaluate` takes them.
        classes: As `rsclip.segment` takes them; None: those of `config`'s adapter.
        output_dir: Where tables, pictures and the page go; None: nowhere.
        gsd: Pixel sizes in metres; empty: that of `config`.
        models: Names of models; empty: that of `config`.
        methods: As `rsclip.compare` takes them; empty: that of `config`.
        thresholds: Lowest scores that keep a label; empty: that of `config`.
        words: Some of "given", "first" (of each class alone) and "tuned" (of a set or class file).
        config: All other settings; `overwrite` and `resume` hold for `output_dir`.
        progress: Called with (masks done, masks in all).
        **scoring: mapping, ignore, aoi, boundary, block: as `evaluate` takes them.

    Returns:
        The trials, best mean IoU first.

    Raises:
        InputError: A scene, labels, classes or a setting is wrong.
        RunError: A read or a write failed.
    """
    refuse_mask(scene, labels)
    pairs = find_pairs(scene, labels)
    one = len(pairs) == 1 and pairs[0].image == str(scene)
    asked = Asked(pairs, Scoring.read(**scoring), stem=pairs[0].name if one else "")
    axes = Axes(gsd, models, methods, thresholds, words)
    settings = SegmentConfig() if config is None else config
    return run_trials(asked, classes, axes, settings, output_dir, progress)


def run_trials(
    asked: Asked,
    classes: LegendSpec | None,
    axes: Axes,
    settings: SegmentConfig,
    output_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> list[Trial]:
    """Segment images by every combination of settings, and score the masks.

    Arguments, result and errors are as `try_settings` has them.
    """
    inputs = [each for pair in asked.pairs for each in (pair.image, pair.labels)]
    variations = vary(
        classes,
        settings.background,
        settings.adapter,
        gsd=axes.gsd,
        words=axes.words,
        thresholds=axes.thresholds,
    )
    choices: Sequence[Choice | None] = parse_choices(axes.methods) if axes.methods else (None,)
    models = tuple(dict.fromkeys(axes.models)) or (settings.model,)
    every = list(itertools.product(models, choices, variations))
    alone = len(every) == len(asked.pairs) == 1 and bool(asked.stem)
    overwrite = settings.overwrite
    if output_dir is not None and asked.stem:
        if alone:
            check_mask_outputs(output_dir, asked.pairs[0].image, inputs, overwrite=overwrite)
        else:
            check_set_outputs(output_dir, asked.stem, inputs, overwrite=overwrite)
    backbones = _backbones()
    makers = [
        _Maker(settings, model, choice, each, asked.resize, backbones)
        for model, choice, each in every
    ]
    scoring = dataclasses.replace(asked.scoring, part=not asked.stem)
    seen: set[str] = set()
    for maker, (_, _, variation) in zip(makers, every, strict=True):
        # Labels are looked at once for each variant of words.
        maker.check(asked.pairs[0], None if variation.words in seen else scoring)
        seen.add(variation.words)
    for name in models:
        outline_of(settings.replace(model=name))
    log = None
    if not asked.stem:
        request = {
            "trials": [each.facts for each in makers],
            "scoring": asked.scoring,
            "resize": asked.resize,
        }
        log = ImageLog(output_dir, request, inputs, resume=settings.resume, overwrite=overwrite)
        overwrite = log.overwrite
    trials = []
    for number, maker in enumerate(makers):
        tell = _counted(progress, number, len(makers))
        if log is None:
            scores = _score_scene(maker, asked, output_dir if alone else None, settings)
            if tell is not None:
                tell(1, 1)
        else:
            scores = evaluate_pairs(
                asked.pairs, maker, asked.scoring, log, classes=maker.legend,
                placed=asked.resize is None, trial=number, progress=tell,
            )  # fmt: skip
            scores = dataclasses.replace(
                scores,
                settings={**scores.settings, **maker.made},
                mask=str(Path(asked.pairs[0].image).parent),
                labels=str(asked.pairs[0].labels.parent),
            )
        trials.append(maker.trial(scores, asked.published))
        maker.close()
    if alone:
        return trials
    trials.sort(key=lambda trial: trial.scores.overall["miou"], reverse=True)
    if output_dir is not None:
        heads, rows = trial_cells(trials)
        paths = write_set(
            output_dir, asked.stem, heads, rows, asked.record, inputs, overwrite=overwrite,
            said=asked.said,
        )  # fmt: skip
        trials = [
            dataclasses.replace(each, scores=dataclasses.replace(each.scores, paths=paths))
            for each in trials
        ]
    return trials


def trial_cells(
    trials: Sequence[Trial],
) -> tuple[list[str], list[tuple[list[str], Evaluation]]]:
    """Return headings of what tells trials apart, and each one's cells and scores."""
    columns = {
        "metres": ["own" if each.gsd is None else f"{each.gsd:g}" for each in trials],
        "model": [each.model for each in trials],
        "method": [each.method for each in trials],
        "threshold": ["-" if each.threshold is None else f"{each.threshold:g}" for each in trials],
        "words": [each.words for each in trials],
        "published": [
            "-" if each.published is None else f"{100 * each.published:.1f}" for each in trials
        ],
    }
    always = ("metres", "model", "method")
    heads = [name for name, cells in columns.items() if name in always or {*cells} - {"-", "given"}]
    cells = zip(*(columns[name] for name in heads), strict=True)
    return heads, [(list(row), each.scores) for row, each in zip(cells, trials, strict=True)]


class _Maker:
    """Makes masks by one combination of settings."""

    def __init__(
        self,
        settings: SegmentConfig,
        model: str,
        choice: Choice | None,
        variation: Variation,
        resize: Mapping[str, Any] | None,
        backbones: Any,
    ) -> None:
        own: dict[str, Any] = {"model": model, **variation.settings}
        # What only outputs heed is neither made nor recorded.
        own |= {"vector_format": "none", "areas": False, "confidence": True}
        own |= dict.fromkeys(HOW_OPTIONS, False)
        self._method = settings.method
        if choice is not None:
            own |= {"method": choice.method, "method_option": dataclasses.asdict(choice.options)}
            self._method = choice.label
        self.config = build_config(settings.to_dict(), own)
        self._variation, self._resize, self._backbones = variation, resize, backbones
        self._model: Model | None = None
        self._gsd = self.config.gsd
        # Where all images were done before, that is all that is known.
        self.made: dict[str, Any] = {
            "segment": self.config.to_dict(), "classes": self.legend.to_dict()
        }  # fmt: skip

    @property
    def legend(self) -> Legend:
        """The classes."""
        return self._variation.classes.legend

    @property
    def facts(self) -> dict[str, Any]:
        """What decides the masks, in plain values."""
        return {"settings": self.config.to_dict(), "classes": self.legend.to_dict()}

    def __call__(self, pair: Pair, folder: Path) -> tuple[Path, Path]:
        """Segment an image into a folder; return the mask and its confidence."""
        image, config = pair.image, self.config
        if self._resize is not None:
            image, gsd = resized(image, folder, self._resize)
            config = config.replace(gsd=gsd)
        (made,) = segment_scenes(
            [image], self._variation.classes, folder / "out", config=config,
            model_loader=self._load,
        )  # fmt: skip
        if isinstance(made, Failure):
            raise made.error
        self._gsd = made.run["settings"]["gsd"]
        self.made |= {"segment": made.run["settings"], "model": made.run["model"]}
        return made.mask_path, made.paths["confidence"]

    def check(self, pair: Pair, scoring: Scoring | None) -> None:
        """Refuse settings or labels that do not fit an image, before any work.

        Raises:
            InputError: They do not, or it cannot be opened.
        """
        if self._resize is None:
            with gdal_env(), warnings.catch_warnings():
                # Its run says the same again.
                warnings.simplefilter("ignore", RsclipWarning)
                with open_scene(pair.image, self.config) as scene:
                    if scoring is not None:
                        grid = MaskOutline(scene.crs, scene.transform, scene.shape, self.legend)
                        Counting(grid, pair.labels, scoring).__exit__()

    def _load(self, legend: Legend, config: SegmentConfig) -> Model:
        if self._model is None:
            backbone = self._backbones(config.model, config.weights)
            self._model = load_model(legend, config, backbone)
            if self._resize is not None:
                # Pixels of such images have no size on the ground.
                defaults = dataclasses.replace(self._model.defaults, gsd_range=None)
                self._model = dataclasses.replace(self._model, defaults=defaults)
        return self._model

    def trial(self, scores: Evaluation, published: Mapping[str, float]) -> Trial:
        """Return the trial with its scores."""
        size = None if self._resize is not None else self._gsd
        model = self.config.model
        if model == "auto" and "model" in self.made:
            model = self.made["model"]["name"]
        return Trial(
            size, model, self._method, self.config.threshold, self._variation.words,
            scores, published.get(self.config.method),
        )  # fmt: skip

    def close(self) -> None:
        """Forget the model."""
        self._model = None


def _backbones() -> Any:
    from rsclip.model import load_backbone

    @functools.lru_cache(maxsize=1)
    def load(model: str, weights: str | None) -> "Backbone":
        return load_backbone(model, weights)

    return load


def _score_scene(
    maker: _Maker, asked: Asked, output_dir: str | Path | None, settings: SegmentConfig
) -> Evaluation:
    """Score one scene by one setting; in a folder, with all that `evaluate` writes of a mask."""
    (pair,) = asked.pairs
    with TemporaryDirectory() as folder:
        mask, confidence = maker(pair, Path(folder))
        return evaluate_mask(
            mask, pair.labels, output_dir, asked.scoring, classes=maker.legend,
            confidence=confidence, overwrite=settings.overwrite, name=pair.image,
            made=maker.made,
        )  # fmt: skip


def _counted(progress: Progress | None, number: int, trials: int) -> Progress | None:
    """Return a progress over the images of all trials."""
    if progress is None:
        return None

    def tell(done: int, total: int) -> None:
        progress(number * total + done, trials * total)

    return tell
