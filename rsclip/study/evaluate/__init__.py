"""How good a map is: scores against labels, with intervals, tables, an error map and a page."""

from rsclip.study.evaluate.dataset_run import evaluate_dataset
from rsclip.study.evaluate.result import Evaluation
from rsclip.study.evaluate.run import evaluate, holds_scenes
from rsclip.study.evaluate.trials import Trial, try_settings

__all__ = [
    "Evaluation",
    "Trial",
    "evaluate",
    "evaluate_dataset",
    "holds_scenes",
    "try_settings",
]
