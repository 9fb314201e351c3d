"""Varied scenes: every landscape at every pixel size, the same from the same seed."""

import numpy as np
import pytest

from rsclip.nano.scenes import CLASSES, MORE_CLASSES, generate_varied
from rsclip.nano.scenes.classes import CLOUD_COVER, CROPLAND, FOREST, SAND, SNOW, WATER
from rsclip.nano.scenes.near import NEAR
from rsclip.nano.scenes.varied import VARIED_KINDS, gsd_span

SMALL = (96, 128)
EVERY = CLASSES + MORE_CLASSES


@pytest.mark.parametrize("kind", VARIED_KINDS)
def test_every_kind_at_every_pixel_size(kind):
    low, high = gsd_span(kind)
    middle = (low * high) ** 0.5
    for seed, shape, gsd in [(1, SMALL, low), (2, SMALL, middle), (3, (61, 61), high),
                             (4, (3, 200), middle), (5, (1, 1), middle)]:  # fmt: skip
        scene = generate_varied(seed, shape, kind=kind, gsd=gsd)
        assert scene.image.shape == (3, *shape)
        assert scene.image.dtype == np.uint8
        assert scene.image.min() >= 1
        assert scene.labels.shape == shape
        assert scene.labels.max() <= len(EVERY)
        assert scene.valid.all()
        assert scene.kind == kind
        if min(shape) > 60:
            assert (scene.labels > 0).mean() > 0.5


def test_the_same_seed_gives_the_same_scene():
    one, two = generate_varied(5, SMALL), generate_varied(5, SMALL)
    np.testing.assert_array_equal(one.image, two.image)
    np.testing.assert_array_equal(one.labels, two.labels)
    assert not np.array_equal(generate_varied(6, SMALL).image, one.image)


def test_unknown_kinds_and_pixel_sizes_are_refused():
    with pytest.raises(ValueError, match="unknown kind 'moon'; one of: fields"):
        generate_varied(0, kind="moon")
    with pytest.raises(ValueError, match="gsd 90"):
        generate_varied(0, gsd=90.0)
    with pytest.raises(ValueError, match="from 2 to 30 for towns"):
        generate_varied(0, kind="towns", gsd=0.5)


def test_near_and_far_scenes_are_both_drawn(scenes):
    near = np.mean([scene.kind in NEAR for scene in scenes])
    assert 0.2 < near < 0.5


@pytest.fixture(scope="module")
def scenes():
    return [generate_varied(seed, (112, 112)) for seed in range(180)]


def test_every_class_is_common_enough(scenes):
    counts = sum(np.bincount(scene.labels.ravel(), minlength=21) for scene in scenes)
    share = counts / counts.sum()
    rare = {"swimming pool", "solar panel", "railway", "greenhouse"}
    for index, name in enumerate(EVERY, start=1):
        assert share[index] > (0.0004 if name in rare else 0.002), (name, share[index])
    assert share[1:].max() < 0.3


def test_bright_and_dark_classes_keep_their_order(scenes):
    """Snow, cloud and sand are brighter than forest in nearly every scene that has both."""
    for bright in (SNOW, CLOUD_COVER, SAND):
        right = []
        for scene in scenes:
            over, under = scene.labels == bright, scene.labels == FOREST
            if over.sum() > 100 and under.sum() > 100:
                right.append(scene.image[:, over].mean() > scene.image[:, under].mean())
        assert len(right) >= 3
        assert np.mean(right) > 0.9


def test_colour_and_texture_vary_between_scenes(scenes):
    for label in (WATER, CROPLAND, FOREST):
        means = np.array(
            [s.image[:, s.labels == label].mean(axis=1) for s in scenes
             if (s.labels == label).sum() > 200]
        )  # fmt: skip
        assert len(means) >= 15
        assert (means.std(axis=0) > 20).all()
