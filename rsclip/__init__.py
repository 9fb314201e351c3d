"""rsclip turns words into maps: training-free segmentation of GeoTIFFs with a frozen CLIP.

    import rsclip
    result = rsclip.segment("scene.tif", "building|house, road, water", "out")
    result.mask_path, result.shares

Names load on first use, so that `import rsclip` stays light.
"""

from typing import TYPE_CHECKING, Any

from rsclip.version import __version__

if TYPE_CHECKING:
    from rsclip.batch.one_scene import segment
    from rsclip.config import SegmentConfig
    from rsclip.methods.similarity import similarity
    from rsclip.model import Backbone, wrap
    from rsclip.model import load_backbone as load_model
    from rsclip.outputs.polygonize import polygonize, write_polygons
    from rsclip.run.segment import SegmentResult
    from rsclip.study.adapt import Adaptation, adapt
    from rsclip.study.calibrate import Calibrated, calibrate, calibrate_without_labels
    from rsclip.study.compare import Comparison, compare
    from rsclip.study.distill import Distilled, distill
    from rsclip.study.evaluate.dataset_run import evaluate_dataset
    from rsclip.study.evaluate.result import Evaluation
    from rsclip.study.evaluate.run import evaluate
    from rsclip.study.evaluate.trials import try_settings
    from rsclip.study.sample import Assessment, assess, plan_sample, sample
    from rsclip.study.suggest import suggest
    from rsclip.words.legend import Legend, load_legend

__all__ = [
    "Adaptation",
    "Assessment",
    "Backbone",
    "Calibrated",
    "Comparison",
    "Distilled",
    "Evaluation",
    "Legend",
    "SegmentConfig",
    "SegmentResult",
    "__version__",
    "adapt",
    "assess",
    "calibrate",
    "calibrate_without_labels",
    "compare",
    "distill",
    "evaluate",
    "evaluate_dataset",
    "load_legend",
    "load_model",
    "plan_sample",
    "polygonize",
    "sample",
    "segment",
    "similarity",
    "suggest",
    "try_settings",
    "wrap",
    "write_polygons",
]

_HOMES = {
    "Adaptation": "rsclip.study.adapt",
    "Assessment": "rsclip.study.sample",
    "Backbone": "rsclip.model",
    "Calibrated": "rsclip.study.calibrate",
    "Comparison": "rsclip.study.compare",
    "Distilled": "rsclip.study.distill",
    "Evaluation": "rsclip.study.evaluate.result",
    "Legend": "rsclip.words.legend",
    "SegmentConfig": "rsclip.config",
    "SegmentResult": "rsclip.run.segment",
    "adapt": "rsclip.study.adapt",
    "assess": "rsclip.study.sample",
    "calibrate": "rsclip.study.calibrate",
    "calibrate_without_labels": "rsclip.study.calibrate",
    "compare": "rsclip.study.compare",
    "distill": "rsclip.study.distill",
    "evaluate": "rsclip.study.evaluate.run",
    "evaluate_dataset": "rsclip.study.evaluate.dataset_run",
    "load_legend": "rsclip.words.legend",
    "load_model": "rsclip.model:load_backbone",
    "plan_sample": "rsclip.study.sample",
    "polygonize": "rsclip.outputs.polygonize",
    "sample": "rsclip.study.sample",
    "segment": "rsclip.batch.one_scene",
    "similarity": "rsclip.methods.similarity",
    "suggest": "rsclip.study.suggest",
    "try_settings": "rsclip.study.evaluate.trials",
    "wrap": "rsclip.model",
    "write_polygons": "rsclip.outputs.polygonize",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rsclip' has no attribute {name!r}")
    import importlib

    home, _, other = _HOMES[name].partition(":")
    value = getattr(importlib.import_module(home), other or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
