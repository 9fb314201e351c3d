"""Fitting biases, thresholds and the logit scale to few labels, into a class file."""

from rsclip.study.calibrate.run import Calibrated, calibrate

__all__ = ["Calibrated", "calibrate"]
