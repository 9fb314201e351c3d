"""The settings of a segmentation: every default stated once, here.

Layers, weakest first: defaults, a YAML file, flags. A preset speaks within its own layer: what the
same layer says outright beats it, and a stronger layer's preset beats a weaker layer's word, and
its preset altogether.
"""

import dataclasses
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from rsclip.errors import OptionError, warn
from rsclip.fields import nearest, read_value
from rsclip.files import parse_yaml, read_text
from rsclip.types import Score, Synonyms

__all__ = [
    "ADAPT_OPTIONS", "COMPARE_OPTIONS", "DEFAULT_LOGIT_SCALE", "DEFAULT_METHOD", "DEFAULT_OVERLAP",
    "DEFAULT_STRETCH", "DISTILL_OPTIONS", "EVALUATE_OPTIONS", "HOW_OPTIONS", "OUTPUT_OPTIONS",
    "POLYGON_OPTIONS", "PRESETS", "READ_OPTIONS", "SELF", "SHAPE_OPTIONS", "STUDY_OPTIONS",
    "STUDY_SEED", "STUDY_WINDOWS", "Blend", "Engine", "OnReadError", "OutputGrid", "Precision",
    "Preset", "SegmentConfig", "Tta", "VectorFormat", "build_config", "read_config_file",
]  # fmt: skip

Blend = Literal["hann", "mean", "gaussian"]
Engine = Literal["torch", "onnx", "onnx-int8", "auto"]
Precision = Literal["fp32", "bf16", "fp16"]
Tta = Literal["none", "flips", "d4"]
OutputGrid = Literal["scene", "working"]
OnReadError = Literal["fail", "nodata"]
Preset = Literal["fast", "balanced", "paper"]
VectorFormat = Literal["gpkg", "geojson", "fgb", "shp", "parquet", "none"]

DEFAULT_OVERLAP = 0.5
"""Overlap of windows where neither it nor a stride is given."""
DEFAULT_BLEND = "hann"
DEFAULT_UPSAMPLE = "jbu:2"
"""It gains on every real set and on the sample tiles: docs/accuracy.md."""
DEFAULT_LOGIT_SCALE = 50.0
"""Of models that state none of their own."""
DEFAULT_METHOD = "clearclip"
SELF = "self"
"""The affinity of the CLIP itself."""
DEFAULT_STRETCH = "percentile:2,98"
"""Stretch of scenes that are not 8-bit."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "fast": {"overlap": 0.25, "upsample": "bilinear"},
    "balanced": {"overlap": 0.5},
    "paper": {"overlap": 0.5, "blend": "mean", "upsample": "bilinear"},
}

POLYGON_OPTIONS = ("simplify", "smooth", "orthogonal", "min_area", "sieve", "overwrite")
"""The fields of `SegmentConfig` that polygons of a finished mask heed."""

OUTPUT_OPTIONS = (
    "confidence", "margin", "probabilities", "areas", "sld", "qgis_project", "preview", "stac",
    "vector_format",
)  # fmt: skip
"""The fields that say which outputs are wanted; no label depends on them."""

SHAPE_OPTIONS = ("simplify", "smooth", "orthogonal", "min_area")
"""The fields that say how polygons are drawn; no label depends on them."""

HOW_OPTIONS = ("overwrite", "resume", "checksum")
"""The fields that say how to go about outputs that exist; no result depends on them."""

STUDY_OPTIONS = (
    "model", "weights", "affinity", "templates", "background", "window", "gsd", "bidx", "stretch",
    "nodata", "device", "precision", "batch_size", "overwrite",
)  # fmt: skip
"""The fields that a study of a model reads."""
COMPARE_OPTIONS = (
    "model", "weights", "affinity", "adapter", "templates", "background", "window", "stride",
    "overlap", "preset", "blend", "synonyms", "decorrelate", "logit_scale", "threshold",
    "area_threshold", "score", "upsample", "refine", "evidence", "bands", "rasters", "gsd",
    "resample_output", "bidx", "stretch", "nodata", "aoi", "on_read_error", "device",
    "precision", "tta", "batch_size", "max_memory", "sieve", "overwrite",
)  # fmt: skip
"""The fields that a comparison of methods reads."""
EVALUATE_OPTIONS = (
    *(name for name in COMPARE_OPTIONS if name not in ("gsd", "aoi", "overwrite")),
    "method", "method_option", "overwrite", "resume",
)  # fmt: skip
"""The fields that an evaluation of scenes reads, besides those that it has lists or meanings of."""
ADAPT_OPTIONS = (
    "model", "weights", "method", "method_option", "templates", "background", "window", "stride",
    "overlap", "blend", "synonyms", "decorrelate", "logit_scale", "gsd", "bidx", "stretch",
    "nodata", "device", "precision", "batch_size", "overwrite",
)  # fmt: skip
"""The fields that fitting an adapter reads."""
DISTILL_OPTIONS = (
    "weights", "method", "method_option", "templates", "gsd", "bidx", "stretch", "nodata", "device",
    "overwrite", "resume",
)  # fmt: skip
"""The fields that teaching a smaller model reads."""
READ_OPTIONS = (
    "model", "weights", "method", "method_option", "window", "stride", "overlap", "preset",
    "upsample", "refine", "gsd", "resample_output", "bidx", "stretch", "nodata", "aoi", "device",
    "batch_size", "max_memory", "vector_format", "preview", "probabilities",
)  # fmt: skip
"""The fields that a description of a scene reads."""
STUDY_WINDOWS = 32
STUDY_SEED = 0


def _option(
    default: Any,
    text: str,
    metavar: str | None = None,
    limits: tuple[float, float] = (-math.inf, math.inf),
) -> Any:
    """Declare a field with its default, the help text of its flag, and the numbers that fit."""
    metadata = {"help": text, "metavar": metavar, "limits": limits}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentConfig:
    """Settings of `rsclip.segment` and `rsclip segment`.

    Raises:
        OptionError: A value is of the wrong type or out of range.
    """

    model: str = _option(
        "auto", "Model: nano, ARCH/TAG, an alias, hf-hub:OWNER/NAME, a folder.", "NAME"
    )
    weights: str | None = _option(
        None, "Weights: a bundle, or a safetensors or state dict file.", "FILE"
    )
    method: str = _option(
        DEFAULT_METHOD, "Dense method, or FILE.py:NAME; `rsclip methods` lists them.", "NAME"
    )
    method_option: Mapping[str, Any] = _option(
        {}, "Option of the method; repeatable. `rsclip methods NAME` explains them.", "NAME=VALUE"
    )
    affinity: str | None = _option(
        None, "A second ViT by name or file (dinov2-vits14), or self: for proxyclip, which patches "
        "belong together; for a study, layers to compare.", "MODEL",
    )  # fmt: skip
    adapter: str | None = _option(
        None, "What few labels have taught (rsclip adapt); it brings classes and settings.", "FILE"
    )
    templates: str = _option(
        "imagenet80", "Prompt templates: imagenet80, simple, remote-sensing or a file.", "NAME"
    )
    background: str | None = _option(
        None, "Background words that compete and are written as 0.", "WORDS"
    )
    window: int | None = _option(
        None, "Window side in pixels [default: the model's image size].", "PIXELS", (1, 1e6)
    )
    stride: int | None = _option(
        None, "Step between windows [default: by the overlap].", "PIXELS", (1, 1e6)
    )
    overlap: float | None = _option(
        None, f"Overlap of windows, 0 to 0.9, in place of --stride [default: {DEFAULT_OVERLAP:g}].",
        "SHARE", (0, 0.9),
    )  # fmt: skip
    preset: Preset | None = _option(
        None, "fast: overlap 0.25, bilinear; balanced: 0.5; paper: 0.5, mean blend, bilinear."
    )
    # None stands for "as the preset has it"; a built configuration always holds one.
    blend: Blend = _option(
        None, f"Weights that blend overlapping windows [default: {DEFAULT_BLEND}]."
    )
    synonyms: Synonyms = _option(
        "max", "A class's similarity: the best of its words', their mean, or their log-sum-exp."
    )
    decorrelate: float = _option(
        0.0, "Pull the words of different classes apart, 0 (not) to 1.", "STRENGTH", (0, 1)
    )
    logit_scale: float | None = _option(
        None, "Factor from cosine similarity to logits [default: the class file's, the model's "
        f"own, else {DEFAULT_LOGIT_SCALE:g}].", "NUMBER", (1e-6, 1e6),
    )  # fmt: skip
    threshold: float | None = _option(
        None, "Lowest score (0 to 1) that keeps a label; below it: 0, unclassified.", "SCORE",
        (0, 1),
    )  # fmt: skip
    area_threshold: float | None = _option(
        None, "Classes that cover less of the scene than this share (0 to 1) become 0.", "SHARE",
        (0, 1),
    )  # fmt: skip
    score: Score = _option(
        "class", "Score: softmax over classes, or over all words as in the papers."
    )
    upsample: str = _option(
        None, "Patches to pixels: bilinear, jbu (guided by the image), or jbu:REACH "
        f"[default: {DEFAULT_UPSAMPLE}].", "METHOD",
    )  # fmt: skip
    refine: str | None = _option(
        None, "Draw class borders to the edges of the image: pamr, or pamr:D,D,... with other "
        "dilations than 1,2,4,8 pixels.", "METHOD",
    )  # fmt: skip
    gsd: float | None = _option(
        None, "Work at this pixel size; labels come back on the scene's grid [default: the scene's "
        "own, or the nearest that the model was trained at].", "METRES", (1e-6, 1e6),
    )  # fmt: skip
    resample_output: OutputGrid = _option(
        "scene", "Grid of the outputs: the scene's own, or with --gsd the working one."
    )
    bidx: tuple[int, ...] | None = _option(
        None, "Bands as red, green, blue (1-based), such as 4,1,2.", "BANDS"
    )
    stretch: str | None = _option(
        None,
        "none, minmax, percentile:LO,HI or range:LO,HI "
        f"[default: none for uint8, else {DEFAULT_STRETCH}].",
        "STRETCH",
    )
    nodata: float | None = _option(None, "Nodata value in place of the scene's own.", "VALUE")
    aoi: str | None = _option(
        None, "Area of interest: a vector file (FILE:LAYER), WKT or box; outside is nodata.", "AREA"
    )
    on_read_error: OnReadError = _option(
        "fail", "Where pixels cannot be read: fail, or leave the block as nodata and list it."
    )
    device: str = _option("auto", "auto, cpu, cuda, cuda:N or mps.", "DEVICE")
    precision: Precision = _option("fp32", "Arithmetic of the encoder.")
    engine: Engine = _option(
        "torch",
        "Runs the encoder; onnx: ONNX Runtime on a CPU; onnx-int8: the same in 8 bits; auto: in 8 "
        "bits where 99 % of labels stay the same.",
    )
    tta: Tta = _option(
        "none", "Mean over flipped (4 times the work) or flipped and turned (8) windows."
    )
    batch_size: int | None = _option(
        None, "Windows per forward pass [default: by model and device].", "N", (1, 1e6)
    )
    max_memory: str | None = _option(
        None, "Choose batch and blocks so that memory stays below this, or refuse.", "SIZE"
    )
    confidence: bool = _option(False, "Write <stem>_confidence.tif: the label's score, percent.")
    margin: bool = _option(
        False, "Write <stem>_margin.tif: the best class's score less the second's, percent."
    )
    probabilities: bool = _option(
        False, "Write <stem>_probabilities.tif: a band per class, percent."
    )
    areas: bool = _option(True, "Write <stem>_areas.csv: pixels, ground area, share per class.")
    sld: bool = _option(False, "Write styles as SLD too, for GeoServer and others.")
    qgis_project: bool = _option(False, "Write <stem>.qgz, a QGIS project of all layers.")
    preview: bool = _option(False, "Write <stem>_preview.png: image, overlay, legend, scale.")
    stac: bool = _option(False, "Write <stem>_stac.json, a STAC item.")
    vector_format: VectorFormat = _option(
        "gpkg", "Polygons <stem>_polygons as GeoPackage, GeoJSON (WGS84), FlatGeobuf, "
        "Shapefile or GeoParquet, or none.",
    )  # fmt: skip
    simplify: float | None = _option(
        None, "Simplify polygons by this much; neighbours keep one shared edge.", "METRES", (0, 1e6)
    )
    smooth: bool = _option(False, "Round the polygons' outlines; neighbours keep one shared edge.")
    orthogonal: tuple[str, ...] | None = _option(
        None, "Make the outlines of these classes right-angled.", "CLASS,..."
    )
    min_area: float | None = _option(
        None, "Drop polygons and fill holes of less than this, in square metres.", "M2", (0, 1e15)
    )
    evidence: str | None = _option(
        None, "Rules on other bands, such as ndwi > 0.05, that count for a class: auto (the "
        "bundled ones too), a YAML file, or none [default: those in the class file].", "RULES",
    )  # fmt: skip
    bands: str | None = _option(
        None, "Bands by name for such rules, beside those that the file names: nir=4,swir=6.",
        "NAME=BAND,...",
    )  # fmt: skip
    rasters: Mapping[str, str] = _option(
        {}, "Another raster by name for such rules, on any grid: --rasters height=ndsm.tif lets "
        "`height > 2.5` count; repeatable.", "NAME=FILE",
    )  # fmt: skip
    sieve: int | None = _option(
        None, "Merge regions of fewer pixels into their largest neighbour, in the mask itself.",
        "PIXELS", (1, 2**31 - 1),
    )  # fmt: skip
    overwrite: bool = _option(False, "Replace outputs that exist.")
    resume: bool = _option(
        False, "Go on where a killed run stopped; leave a finished scene as it is."
    )
    checksum: bool = _option(
        False, "With --resume: know an input by its content, not by its time of change."
    )

    def __post_init__(self) -> None:
        for name, value in self._unsaid().items():
            object.__setattr__(self, name, value)
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            low, high = item.metadata["limits"]
            try:
                value = read_value(_TYPES[item.name], value, low=low, high=high)
            except ValueError as error:
                raise _wrong(item.name, value, str(error)) from error
            object.__setattr__(self, item.name, value)
        _check_together(self)

    def _unsaid(self) -> dict[str, Any]:
        """Return what the preset says on matters that nobody else has decided."""
        values = {"blend": DEFAULT_BLEND, "upsample": DEFAULT_UPSAMPLE}
        values |= _preset(self.preset) if self.preset else {}
        if self.stride is not None:
            values.pop("overlap", None)
        return {name: value for name, value in values.items() if getattr(self, name) is None}

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {item.name: _plain(getattr(self, item.name)) for item in dataclasses.fields(self)}


_TYPES: Mapping[str, Any] = typing.get_type_hints(SegmentConfig)


def build_config(*layers: Mapping[str, Any]) -> SegmentConfig:
    """Merge layers of options, weakest first, into a checked configuration.

    Args:
        layers: Mappings from option name (underscores) to value. A later layer wins. Options of
            a method belong to the method of their layer, or where it names none to that of the
            layers below it: where a later layer wants another one, they are left out and a
            warning says so.

    Raises:
        OptionError: An unknown key, a wrong type or a value out of range.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        _refuse_unknown(layer)
        if layer.get("preset") is not None:
            values = _preset(layer["preset"])
            # What the preset decides is no longer what a weaker layer said; a word that only
            # repeats the preset goes with it.
            merged = {**merged, "stride": None, **dict.fromkeys(values)}
            layer = {key: word for key, word in layer.items() if values.get(key) != word}
        # --stride and --overlap say the same thing: a stronger layer's one replaces the other.
        for one, other in (("stride", "overlap"), ("overlap", "stride")):
            if layer.get(one) is not None and layer.get(other) is None:
                merged.pop(other, None)
        below = merged.get("method_option")
        if below and layer.get("method") is not None:
            below = _options_that_stay(
                below, merged.get("method") or DEFAULT_METHOD, layer["method"]
            )
            merged["method_option"] = below
        merged.update(layer)
        if isinstance(below, Mapping) and isinstance(layer.get("method_option"), Mapping):
            merged["method_option"] = {**below, **layer["method_option"]}
    return SegmentConfig(**merged)


def read_config_file(path: str | Path) -> dict[str, Any]:
    """Read a YAML configuration into one layer; keys may use dashes or underscores.

    Raises:
        OptionError: The file is missing, is not YAML, or is not a mapping of known keys.
    """
    path = Path(path)
    content = parse_yaml(read_text(path, "configuration file", OptionError), path, OptionError)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise OptionError("a configuration file holds `option: value` lines", where=path)
    layer = {str(key).replace("-", "_"): value for key, value in content.items()}
    if len(layer) < len(content):
        twice = next(key for key in layer if key not in content or key.replace("_", "-") in content)
        raise OptionError(f"the key `{twice}` stands twice", where=path)
    try:
        _refuse_unknown(layer)
        SegmentConfig(**layer)
    except OptionError as error:
        raise OptionError(str(error), where=path) from error
    return layer


def _options_that_stay(options: Any, method: Any, wanted: Any) -> Any:
    """Return a weaker layer's method options, or none where a stronger one wants another method."""
    if method == wanted or not isinstance(options, Mapping):
        return options
    warn(
        f"method options that were set for {method} do not apply to {wanted} and are left out: "
        f"{', '.join(map(str, options))}; to use them, set the method and its options together"
    )
    return {}


def _refuse_unknown(layer: Mapping[str, Any]) -> None:
    for key in layer:
        if key not in _TYPES:
            hint = nearest(str(key), _TYPES) or f"Known: {', '.join(_TYPES)}."
            raise OptionError(f"unknown option `{key}`", remedy=hint)


def _preset(name: object) -> Mapping[str, Any]:
    if not isinstance(name, str) or name not in PRESETS:
        raise OptionError(
            f"unknown preset {name!r}", where="preset", remedy=f"Choose {', '.join(PRESETS)}."
        )
    return PRESETS[name]


def _wrong(name: str, value: object, remedy: str) -> OptionError:
    return OptionError(f"{value!r} does not fit", where=_flag(name), remedy=remedy)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _check_together(config: SegmentConfig) -> None:
    """Refuse values that fit alone, but not together."""
    if config.stride is not None and config.overlap is not None:
        raise OptionError("--stride and --overlap say the same thing", remedy="Give one of them.")
    if config.stride is not None and config.window is not None and config.stride > config.window:
        raise OptionError(
            f"the stride {config.stride} is larger than the window {config.window}",
            where="--stride",
            remedy="Pixels between windows would be lost: choose a stride up to the window.",
        )
    if config.score == "paper" and config.synonyms != "max":
        raise OptionError("--score=paper takes the best word of each class", where="--synonyms",
                          remedy="Leave one of them out.")  # fmt: skip
    if config.bidx is not None and len(config.bidx) not in (1, 3):
        raise _wrong("bidx", config.bidx, "Give three bands (red, green, blue) or one.")


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value
