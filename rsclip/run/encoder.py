"""A model made ready for a legend's words."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rsclip.adapters.fitted_for import read_header
from rsclip.config import SELF, SegmentConfig
from rsclip.errors import OptionError, RsclipError, collect_warnings, warn
from rsclip.labelling.windows import WindowedModel, plan_grid
from rsclip.run.job import Job
from rsclip.run.working_pixel_size import apply_defaults
from rsclip.types import FloatArray, ModelDefaults, Shape
from rsclip.words.legend import Legend
from rsclip.words.prompts import Query, class_queries, load_templates, owners_of

if TYPE_CHECKING:
    from torch import Tensor

    from rsclip.model import Backbone, ModelOutline

__all__ = [
    "Encoder",
    "Model",
    "ModelLoader",
    "ModelOnDemand",
    "load_for_job",
    "load_model",
    "outline_of",
    "warn_of_unknown_words",
    "within_memory",
]


class Encoder(WindowedModel, Protocol):
    """What the pipeline asks of a model: images in, similarities on the patch grid out."""

    @property
    def batch_size(self) -> int:
        """Windows per call."""

    @property
    def queries(self) -> int:
        """Number of queries Q."""

    def similarities(self, images: FloatArray) -> FloatArray:
        """Return cosines float32 (B, Q, h, w) for images float32 (B, 3, H, W) in 0..1."""


@dataclass(frozen=True)
class Model:
    """An encoder ready for a legend's words, and what the record says of it.

    Attributes:
        encoder: Gives similarities; one channel per query.
        queries: The queries, in the encoder's order.
        facts: Name, weights hash and whatever else describes the model, for the record.
        warnings: What was said while it was made ready: it holds for every scene's map.
        defaults: How it is used where the user does not say otherwise.
    """

    encoder: Encoder
    queries: Sequence[Query]
    facts: Mapping[str, Any]
    warnings: Sequence[str] = ()
    defaults: ModelDefaults = ModelDefaults()

    def check_windows(self, config: SegmentConfig) -> None:
        """Raise OptionError if the windows do not fit the model: they then fit it in no scene."""
        plan_grid((1, 1), self.encoder, config)


ModelLoader = Callable[[Legend, SegmentConfig], Model]


class ModelOnDemand:
    """The model, loaded for the first scene that is not finished; arguments as `load_for_job`.

    Attributes:
        error: Why it cannot be loaded: no scene's fault.
        named: The settings say which model it is.
    """

    def __init__(self, job: Job, backbone: "Backbone | None", loader: ModelLoader | None) -> None:
        self._job, self._backbone, self._loader = job, backbone, loader
        self._model: Model | None = None
        self.error: RsclipError | None = None
        self.named = backbone is None

    def get(self) -> Model:
        """Return the model; errors as `load_for_job`."""
        if self._model is None:
            try:
                self._model = load_for_job(self._job, self._backbone, self._loader)
            except RsclipError as error:
                self.error = error
                raise
        return self._model


def load_for_job(
    job: Job,
    backbone: "Backbone | None" = None,
    loader: ModelLoader | None = None,
    *,
    methods: int = 1,
) -> Model:
    """Load the model of a run, with a batch that keeps the memory limit.

    Args:
        job: What the run was asked for.
        backbone: A ready model, in place of the configuration's.
        loader: Builds the encoder in place of `load_model`.
        methods: How many methods read each image.

    Raises:
        InputError: The model, its weights, or an option of it is wrong.
    """
    config = within_memory(job, backbone, methods=methods)
    model = loader(job.legend, config) if loader else load_model(job.legend, config, backbone)
    model.check_windows(config)
    return model


def within_memory(
    job: Job, backbone: "Backbone | None" = None, *, methods: int = 1
) -> SegmentConfig:
    """Return a run's settings, with a batch that keeps the memory limit if there is one.

    Raises:
        OptionError: It is no size, or too small for any of the run's scenes.
    """
    config = job.settings
    if config.max_memory is None:
        return config
    # Imported here because a run of finished scenes loads no torch.
    from rsclip.run.memory import batch_within

    outline = outline_of(config, backbone)
    scenes = [each.reopen() for each in job.usable]
    for each in scenes:
        apply_defaults(each, config, outline.defaults)
    widest = max((each.working_shape for each in scenes), key=lambda each: each[1],
                 default=(1, 1))  # fmt: skip
    queries = sum(
        max(len(item.words) + len(item.descriptions) + len(item.negatives), 1)
        for item in job.legend.classes
    )
    grid = plan_grid(widest, outline, config)
    batch = batch_within(
        config.max_memory, grid, outline, queries * methods, config,
        held_bytes=max((each.held_bytes for each in scenes), default=0),
    )  # fmt: skip
    return config.replace(batch_size=batch)


def outline_of(config: SegmentConfig, backbone: "Backbone | None" = None) -> "ModelOutline":
    """Return what is known of the model before it is loaded."""
    from rsclip.model import model_outline

    outline = backbone.outline if backbone else model_outline(config.model, config.weights)
    if (second := _second(config)) is None:
        return outline
    from rsclip.model.weights.second import find_second_vit

    row, _ = find_second_vit(second)
    return dataclasses.replace(
        outline,
        patch=row.patch,
        clip_patch=outline.patch,
        width=max(outline.width, row.width),
        parameters=outline.parameters + row.parameters,
    )


def _second(config: SegmentConfig) -> str | None:
    """Return the name of the second ViT, if there is one."""
    return None if config.affinity == SELF else config.affinity


def load_model(
    legend: Legend,
    config: SegmentConfig,
    backbone: "Backbone | None" = None,
    methods: Sequence[tuple[str, Any]] | None = None,
) -> Model:
    """Load the backbone that a configuration names, with a legend's words encoded.

    Args:
        legend: Classes.
        config: Settings.
        backbone: A ready model, in place of the configuration's.
        methods: Names and options of the methods, in place of the configuration's one; each is as
            many channels as there are queries.

    Raises:
        InputError: The model, its weights, method, templates, adapter or device are wrong.
    """
    from rsclip.methods import origin, parse_options
    from rsclip.methods.segmenter import Segmenter
    from rsclip.model import load_backbone

    with collect_warnings() as said:
        templates = load_templates(config.templates)
        queries = class_queries(legend, templates)
        if methods is None:
            methods = [(config.method, parse_options(config.method, config.method_option))]
        (method, method_options), *others = methods
        if config.affinity is not None:
            _check_affinity(config, [name for name, _ in methods])
        header = None if config.adapter is None else read_header(config.adapter)
        if header is not None:
            header.check_classes(legend)
        second = None
        if (name := _second(config)) is not None:
            from rsclip.model.weights.second import load_second_vit

            second = load_second_vit(name)
        backbone = backbone or load_backbone(config.model, config.weights)
        legend.calibration.check(backbone.weights_sha256, method)
        adapter = None
        if header is not None:
            from rsclip.adapters.adapter_file import read_adapter

            options = dataclasses.asdict(method_options)
            header.check(legend, config.replace(method=method), options, backbone.weights_sha256)
            adapter = read_adapter(header, len(queries), backbone.dim)
        some_word = next(query.prompts for query in queries if query.prompts)
        segmenter = Segmenter(
            backbone,
            [query.prompts or some_word for query in queries],
            method=method,
            options=method_options,
            device=config.device,
            precision=config.precision,
            batch_size=config.batch_size,
            tta=config.tta,
            others=others,
            adapter=adapter,
            second=second,
            engine=config.engine,
        )
        if header is not None:
            _warn_of_other_windows(config.window, header.settings.get("window"), segmenter.window)
        if config.decorrelate:
            from rsclip.methods.decorrelation import decorrelated

            segmenter.text_features = decorrelated(
                segmenter.text_features, owners_of(queries), config.decorrelate
            )
        segmenter.text_features = _with_means(segmenter.text_features, queries)
        warn_of_unknown_words(backbone, legend)
    # A backbone that was loaded before has told its limits then.
    if backbone.limits and backbone.limits not in said:
        said.insert(0, backbone.limits)
    facts = {
        **backbone.facts(),
        "method": method,
        "method_options": dataclasses.asdict(method_options),
        **origin(method),
        "templates": list(templates),
        "device": str(segmenter.device),
        "batch_size": segmenter.batch_size,
    }
    if second is not None:
        facts["affinity"] = {"patch": second.patch, "weights_sha256": second.weights_sha256}
        facts["affinity_source"] = second.source
    if segmenter.engine is not None:
        facts["engine"] = segmenter.engine
    if header is not None:
        facts["adapter"] = {"kind": header.kind, "sha256": header.sha256}
    return Model(segmenter, queries, facts, tuple(said), backbone.defaults)


def _with_means(features: "Tensor", queries: Sequence[Query]) -> "Tensor":
    """Return text features in which a class without words has the mean of all words.

    It is not scaled to unit length: such a class is as similar as the words are on average, and so
    wins no pixel before labels have taught it.
    """
    if all(query.prompts for query in queries):
        return features
    spoken = [number for number, owner in enumerate(owners_of(queries)) if owner is not None]
    silent = [number for number, query in enumerate(queries) if not query.prompts]
    features = features.clone()
    features[silent] = features[spoken].mean(dim=0)
    return features


def _check_affinity(config: SegmentConfig, methods: Sequence[str]) -> None:
    """Refuse an affinity that no method would use, or that an adapter was not fitted with."""
    from rsclip.methods import get_method

    if not any(get_method(name).takes_affinity for name in methods):
        raise OptionError(
            f"{methods[0]} takes no affinity of another model",
            where="--affinity",
            remedy="Use it with --method=proxyclip, or leave it out.",
        )
    if config.adapter is not None and config.affinity != SELF:
        raise OptionError(
            "an adapter is fitted without a second ViT, whose features would be others",
            where="--affinity",
            remedy="Leave out --adapter or --affinity.",
        )


def _warn_of_other_windows(given: int | None, fitted: int | None, unsaid: Shape) -> None:
    """Say that an adapter was fitted with windows of another size; None is the model's own."""
    sizes = [unsaid if side is None else (side, side) for side in (given, fitted)]
    if sizes[0] != sizes[1]:
        now, then = (f"{height} x {width}" for height, width in sizes)
        warn(
            f"windows of {now} pixels, but the adapter was fitted with windows of {then}: "
            "what it learned may not hold"
        )


def warn_of_unknown_words(backbone: "Backbone", legend: Legend) -> None:
    """Name, in one line, the words that a model of few concepts has not learned."""
    if backbone.vocabulary is None:
        return
    from rsclip.words.vocabulary import check_words

    def embed(prompts: list[str]) -> np.ndarray:
        features: np.ndarray = (
            backbone.text_features([[prompt] for prompt in prompts]).cpu().numpy()
        )
        return features

    words = [word for item in legend.classes for word in item.words]
    unknown = check_words(embed, words, backbone.vocabulary)
    if not unknown:
        return
    listed = ", ".join(f"{each.word!r} (nearest: {each.nearest!r})" for each in unknown)
    one = len(unknown) == 1
    warn(
        f"{backbone.name} has not learned {'the word' if one else f'{len(unknown)} of the words'} "
        f"{listed}: expect nonsense for {'it' if one else 'them'}, or choose a larger model "
        "(--model)"
    )
