"""Keywords of `rsclip.segment`, for editors and type checkers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from rsclip.config import Blend, OnReadError, OutputGrid, Precision, Preset, Tta, VectorFormat
from rsclip.types import Score

__all__ = ["SegmentKeywords"]


class SegmentKeywords(TypedDict, total=False):
    """Each field of `SegmentConfig` but `model`; what they mean stands there."""

    weights: str | Path | None
    method: str
    method_option: Mapping[str, Any]
    adapter: str | Path | None
    templates: str | Path
    background: str | None
    window: int | None
    stride: int | None
    overlap: float | None
    preset: Preset | None
    blend: Blend
    logit_scale: float | None
    threshold: float | None
    area_threshold: float | None
    score: Score
    refine: str | None
    gsd: float | None
    resample_output: OutputGrid
    bidx: Sequence[int] | None
    stretch: str | None
    nodata: float | None
    aoi: str | Path | None
    on_read_error: OnReadError
    device: str
    precision: Precision
    tta: Tta
    batch_size: int | None
    max_memory: str | None
    confidence: bool
    margin: bool
    probabilities: bool
    areas: bool
    sld: bool
    qgis_project: bool
    preview: bool
    stac: bool
    vector_format: VectorFormat
    simplify: float | None
    smooth: bool
    orthogonal: str | Sequence[str] | None
    min_area: float | None
    sieve: int | None
    overwrite: bool
    resume: bool
    checksum: bool
