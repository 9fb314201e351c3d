"""Class files fitted to few labels, or chosen without any."""

from rsclip.study.calibrate.agreement import Agreement, calibrate_without_labels
from rsclip.study.calibrate.run import Calibrated, calibrate

__all__ = ["Agreement", "Calibrated", "calibrate", "calibrate_without_labels"]
