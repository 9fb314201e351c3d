"""Accuracy and areas from points that a person labels: drawing them, and what they say."""

from rsclip.study.sample.assess import assess
from rsclip.study.sample.assessment import Assessment
from rsclip.study.sample.draw import Stratum, plan_sample, sample, stratify

__all__ = ["Assessment", "Stratum", "assess", "plan_sample", "sample", "stratify"]
