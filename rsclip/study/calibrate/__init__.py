"""Class files fitted to few labels, or chosen without any."""

from rsclip.study.calibrate.run import Calibrated, calibrate
from rsclip.study.calibrate.without_labels import Agreement, calibrate_without_labels

__all__ = ["Agreement", "Calibrated", "calibrate", "calibrate_without_labels"]
