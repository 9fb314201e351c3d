"""The study of a model on imagery, after ClearCLIP's section 3: what its layers hold, and why.

import rsclip.diagnose
rsclip.study.diagnose.study("scene.tif", "out", classes="building, road", labels="truth.tif")
"""

from rsclip.study.diagnose.study import Study, study

__all__ = ["Study", "study"]
