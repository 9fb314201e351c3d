import numpy as np
import pytest

from rsclip.model.open_clip_import import import_open_clip

import_open_clip()
import torch  # noqa: E402

from rsclip.nano.data import (  # noqa: E402
    HELD_OUT_START,
    IGNORED,
    Pool,
    PoolScene,
    held_out_seed,
    pool_scene,
    train_seed,
)
from rsclip.nano.scenes import CLASSES, MORE_CLASSES, generate_varied  # noqa: E402


def small_scene(seed):
    rng = np.random.default_rng(seed)
    stripes = np.repeat(rng.permutation(len(CLASSES)) + 1, 12).astype(np.uint8)
    labels = stripes[:, None].repeat(168, 1)
    labels[:, :8] = 255
    image = np.repeat(labels[..., None] * 16, 3, axis=2)
    points = [(k, int(np.argmax(stripes == k + 1)), 50) for k in range(len(CLASSES))]
    return PoolScene(image, labels, np.array(points, np.int32))


def test_training_and_held_out_seeds_are_apart():
    assert train_seed(HELD_OUT_START - 1) < held_out_seed(0)
    with pytest.raises(ValueError, match="held-out"):
        train_seed(HELD_OUT_START)
    with pytest.raises(ValueError, match="from 0"):
        held_out_seed(-1)


def test_a_batch_depends_on_its_seed_only():
    pool = Pool(small_scene(seed) for seed in range(3))
    batches = [pool.batch(np.random.default_rng((1, step)), 8, 64, 0.5) for step in (7, 7, 8)]
    assert torch.equal(batches[0].images, batches[1].images)
    assert torch.equal(batches[0].labels, batches[1].labels)
    assert not torch.equal(batches[0].images, batches[2].images)


def test_crops_stay_aligned_and_nodata_is_ignored():
    pool = Pool(small_scene(seed) for seed in range(3))
    batch = pool.batch(np.random.default_rng(0), 64, 64, 0.5)
    assert batch.images.shape == (64, 3, 64, 64)
    assert 0 <= float(batch.images.min()) <= float(batch.images.max()) <= 1
    known = batch.labels != IGNORED
    assert not known.all()
    assert int(batch.labels[known].min()) >= 0
    assert int(batch.labels[known].max()) < len(CLASSES)
    # The image is 16 grey levels a class value, so far as gain, tint and resampling leave it.
    wanted = (batch.labels[known] + 1) * 16 / 255
    error = (batch.images.mean(dim=1)[known] - wanted).abs() / wanted
    assert float(error.median()) < 0.1


def test_balanced_crops_hold_their_class():
    pool = Pool([small_scene(0)])
    batch = pool.batch(np.random.default_rng(0), 56, 40, 1.0)
    seen = torch.bincount(batch.labels[batch.labels != IGNORED], minlength=len(CLASSES))
    assert bool((seen > 0).all())


def test_variety_changes_a_share_of_the_scenes_and_leaves_the_others():
    plain = pool_scene(3)
    np.testing.assert_array_equal(pool_scene(3, variety=0.0).image, plain.image)
    varied = pool_scene(3, variety=1.0)
    np.testing.assert_array_equal(varied.image, generate_varied(3).image.transpose(1, 2, 0))
    np.testing.assert_array_equal(varied.labels, generate_varied(3).labels)
    both = [np.array_equal(pool_scene(n, 0.5).image, pool_scene(n).image) for n in range(2)]
    assert both == [True, False]


def test_more_classes_are_ignored_unless_asked_for():
    scene = small_scene(0)
    snow = len(CLASSES) + MORE_CLASSES.index("snow") + 1
    scene.labels[8:20] = snow
    ignored = Pool([scene]).batch(np.random.default_rng(0), 24, 40, 0.0).labels
    assert int(ignored.max()) < len(CLASSES)
    points = [(k, 100, 50) for k in range(len(CLASSES), len(CLASSES + MORE_CLASSES))]
    whole = small_scene(1)
    whole.labels[8:20] = np.arange(15, 21).repeat(2)[:, None]
    whole = PoolScene(whole.image, whole.labels, np.array([*whole.points, *points], np.int32))
    pool = Pool([whole, scene], CLASSES + MORE_CLASSES)
    assert len(pool.frequency) == len(CLASSES + MORE_CLASSES)
    asked = pool.batch(np.random.default_rng(0), 24, 40, 0.0).labels
    assert bool((asked == snow - 1).any())


def test_a_pool_without_some_class_is_refused():
    with pytest.raises(ValueError, match="needs more scenes"):
        Pool([pool_scene(0)])


@pytest.mark.long
def test_pool_is_the_same_from_one_process_and_two():
    one, two = Pool.generate(60, processes=1), Pool.generate(60, processes=2)
    for a, b in zip(one.scenes, two.scenes, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.labels, b.labels)
        np.testing.assert_array_equal(a.points, b.points)
