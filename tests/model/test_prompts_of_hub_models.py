"""`rsclip prompts` with weights from a hub cache: no vocabulary of its own, no network."""

import pytest

from rsclip.config import SegmentConfig
from rsclip.study.prompts import report_prompts

pytestmark = pytest.mark.usefixtures("no_network", "tiny_vit")


def test_report_of_a_model_from_the_hub_cache(hub, weights):
    hub("someone/tiny-plain", weights)
    config = SegmentConfig(model="tiny-vit/plain", device="cpu", templates="simple")
    found = report_prompts("road|street, Straße, gewerbegebietsflaeche", config)
    assert found.model == "tiny-vit/plain"
    assert found.cosines.shape == (3, 3)
    kinds = {(flag.class_name, flag.kind) for flag in found.flags}
    # "unlearned" needs a list of what the model has learned: only nano has one.
    assert kinds == {("Straße", "language"), ("gewerbegebietsflaeche", "rare")}
