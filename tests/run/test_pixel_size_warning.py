"""A scene far from the pixel sizes that a model was trained at is told, with the remedy."""

import pytest
from affine import Affine

from rsclip.errors import collect_warnings
from rsclip.run.pixel_size_warning import warn_of_pixel_size
from rsclip.scene.scene import Scene


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("pixel", "gsd", "says"),
    [(5, None, "gsd=1"), (0.05, None, "gsd=0.3"), (0.5, None, None), (5, 0.5, None)],
)
def test_pixels_outside_the_range_are_told(make_scene, pixel, gsd, says):
    path = make_scene(transform=Affine(pixel, 0, 5e5, 0, -pixel, 5e6))
    with Scene.open(path, gsd=gsd) as scene, collect_warnings() as said:
        warn_of_pixel_size(scene, (0.3, 1.0))
        warn_of_pixel_size(scene, None)
    assert [text.endswith(says or "") for text in said] == ([True] if says else [])
