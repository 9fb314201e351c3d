"""Typed keywords of the public functions, for editors and type checkers."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from rsclip.config import (
    Blend,
    Engine,
    OnReadError,
    OutputGrid,
    Precision,
    Preset,
    Tta,
    VectorFormat,
)
from rsclip.types import Score, Synonyms

__all__ = [
    "AdaptKeywords",
    "CalibrateKeywords",
    "CompareKeywords",
    "DistillKeywords",
    "EvaluateKeywords",
    "PolygonFileKeywords",
    "PolygonKeywords",
    "ScoringKeywords",
    "SegmentKeywords",
    "StudyKeywords",
    "SuggestKeywords",
]


class _Model(TypedDict, total=False):
    model: str | Path


class _Method(TypedDict, total=False):
    method: str
    method_option: Mapping[str, Any]


class _PixelSize(TypedDict, total=False):
    gsd: float | None


class _Encoding(TypedDict, total=False):
    weights: str | Path | None
    templates: str | Path
    background: str | None
    window: int | None
    bidx: Sequence[int] | None
    stretch: str | None
    nodata: float | None
    device: str
    precision: Precision
    batch_size: int | None
    overwrite: bool


class _Overlap(_Encoding, total=False):
    stride: int | None
    overlap: float | None
    blend: Blend
    synonyms: Synonyms
    decorrelate: float
    logit_scale: float | None


class _Area(TypedDict, total=False):
    aoi: str | Path | None


class _Labels(_Overlap, total=False):
    affinity: str | Path | None
    adapter: str | Path | None
    preset: Preset | None
    threshold: float | None
    area_threshold: float | None
    score: Score
    upsample: str
    refine: str | None
    evidence: str | None
    bands: str | None
    rasters: Mapping[str, str]
    resample_output: OutputGrid
    on_read_error: OnReadError
    tta: Tta
    max_memory: str | None
    sieve: int | None


class PolygonKeywords(TypedDict, total=False):
    """Keywords of `rsclip.polygonize`; like all of these, they are fields of `SegmentConfig`."""

    simplify: float | None
    smooth: bool
    orthogonal: str | Sequence[str] | None
    min_area: float | None
    sieve: int | None


class PolygonFileKeywords(PolygonKeywords, total=False):
    """Keywords of `rsclip.write_polygons`: `config.POLYGON_OPTIONS`."""

    overwrite: bool


class StudyKeywords(_Encoding, _PixelSize, _Model, total=False):
    """Keywords of `rsclip.study.diagnose.study`: `config.STUDY_OPTIONS`."""

    affinity: str | Path | None


class AdaptKeywords(_Overlap, _PixelSize, _Method, _Model, total=False):
    """Keywords of `rsclip.adapt`: `config.ADAPT_OPTIONS`."""


class CalibrateKeywords(_Overlap, _Method, _Model, total=False):
    """Keywords of `rsclip.calibrate_without_labels`: `config.ADAPT_OPTIONS` but `gsd`."""


class DistillKeywords(_PixelSize, _Method, total=False):
    """Keywords of `rsclip.distill`: `config.DISTILL_OPTIONS`."""

    weights: str | Path | None
    templates: str | Path
    bidx: Sequence[int] | None
    stretch: str | None
    nodata: float | None
    device: str
    overwrite: bool
    resume: bool


class SuggestKeywords(AdaptKeywords, _Area, total=False):
    """Keywords of `rsclip.suggest`."""

    adapter: str | Path | None


class EvaluateKeywords(_Labels, _Method, total=False):
    """Keywords of `rsclip.evaluate_dataset`: `config.EVALUATE_OPTIONS`, and one model."""

    model: str | Path
    resume: bool


class ScoringKeywords(_Area, total=False):
    """Keywords of `rsclip.try_settings`: how masks are compared with labels, as in `evaluate`."""

    mapping: str | Path | Mapping[str, str | None] | None
    ignore: Collection[str | int]
    boundary: str | float | None
    block: int | None


class CompareKeywords(_Labels, _Area, _Model, total=False):
    """Keywords of `rsclip.compare`: `config.COMPARE_OPTIONS` but `gsd`: it takes several."""


class SegmentKeywords(_Labels, _Area, _PixelSize, _Method, PolygonKeywords, total=False):
    """Keywords of `rsclip.segment`: every field of `SegmentConfig` but `model`."""

    engine: Engine
    confidence: bool
    margin: bool
    probabilities: bool
    areas: bool
    sld: bool
    qgis_project: bool
    preview: bool
    stac: bool
    vector_format: VectorFormat
    resume: bool
    checksum: bool
