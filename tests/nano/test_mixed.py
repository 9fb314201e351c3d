"""Training on synthetic and real crops together, on images made here."""

from dataclasses import replace

import numpy as np
import pytest

from rsclip.model.open_clip_import import import_open_clip

import_open_clip()
import torch  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from rsclip.nano.image_tower import DENSE_SCALE, dense_loss  # noqa: E402
from rsclip.nano.mixed import Mixed, MixedRun, RealPool, partial_loss  # noqa: E402
from rsclip.nano.model import NanoShape, build, deepen, encode_image  # noqa: E402
from rsclip.nano.radiometry import stretched, vary  # noqa: E402
from rsclip.nano.real import BIT, RealImage, RealSet, groups  # noqa: E402
from rsclip.nano.scenes import CLASSES  # noqa: E402
from rsclip.nano.words import Vocabulary, load_vocabulary  # noqa: E402
from tests.nano.test_data import Pool, small_scene  # noqa: E402

SHORE = RealSet("shore", 1.0, {1: ("water",), 2: ("sand", "bare soil")}, lambda name: False)


def shore(side=80):
    truth = np.zeros((side, side), np.int16)
    truth[:, side // 2 :] = 1
    truth[:4] = -1
    allowed = np.array([BIT["water"], BIT["sand"] | BIT["bare soil"], 0], np.uint32)[truth]
    pixels = np.array([[20, 60, 110], [210, 190, 150], [0, 0, 0]], np.uint8)[truth]
    return RealImage(SHORE, "shore", "MIT", False, pixels, allowed, truth)


def features(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator), dim=-1)


def test_one_allowed_class_is_cross_entropy_and_all_allowed_cost_nothing():
    patches, classes = features(0, 2, 64, 16), features(1, len(CLASSES), 16)
    labels = torch.arange(2 * 64 * 64).reshape(2, 64, 64) % len(CLASSES)
    plain = dense_loss(patches, classes, labels, torch.ones(len(CLASSES)))
    torch.testing.assert_close(partial_loss(patches, classes, 1 << labels), plain)
    every = torch.full_like(labels, (1 << len(CLASSES)) - 1)
    assert float(partial_loss(patches, classes, every).abs()) < 1e-5


def test_several_allowed_classes_pool_their_probability_and_zero_is_ignored():
    classes = torch.eye(4)[:3]
    patches = F.normalize(torch.tensor([[[1.0, 0.9, 0.7, 0.0]]]), dim=-1)
    odds = (DENSE_SCALE * patches[0, 0, :3]).softmax(dim=0)
    allowed = torch.full((1, 8, 8), 0b110)
    allowed[:, :, 4:] = 0
    wanted = -(odds[1] + odds[2]).log()
    torch.testing.assert_close(partial_loss(patches, classes, allowed), wanted)
    assert float(partial_loss(patches, classes, torch.zeros_like(allowed))) == 0


def test_crops_keep_pixels_and_classes_together():
    pixels, allowed = RealPool([shore()]).batch(np.random.default_rng(3), 32, 64, varied=0)
    water, land = allowed == BIT["water"], allowed == (BIT["sand"] | BIT["bare soil"])
    assert bool(water.any())
    assert bool(land.any())
    red = pixels[:, 0]
    assert float((red[water] < 0.45).float().mean()) > 0.97
    assert float((red[land] > 0.45).float().mean()) > 0.97


def test_classes_are_drawn_evenly_however_rare():
    image = shore()
    image.truth[:] = 0
    image.allowed[:] = BIT["water"]
    image.truth[40:44, 40:44] = 1
    image.allowed[40:44, 40:44] = BIT["sand"] | BIT["bare soil"]
    assert len(groups(SHORE)) == 2
    _, allowed = RealPool([image]).batch(np.random.default_rng(0), 40, 16, varied=0)
    with_sand = (allowed != BIT["water"]).flatten(1).any(dim=1)
    assert 10 < int(with_sand.sum()) < 40


def test_renderings_differ_stay_in_range_and_depend_on_the_seed_only():
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    shown = [vary(np.random.default_rng(seed), pixels) for seed in range(40)]
    assert all(one.dtype == np.float32 and one.shape == pixels.shape for one in shown)
    assert all(one.min() >= 0 and one.max() <= 1 for one in shown)
    assert len({one.tobytes() for one in shown}) == 40
    np.testing.assert_array_equal(shown[7], vary(np.random.default_rng(7), pixels))


def test_stretched_spreads_each_band():
    ramp = np.linspace(0.4, 0.5, 101, dtype=np.float32).reshape(101, 1, 1).repeat(3, axis=2)
    spread = stretched(ramp * np.array([1, 0.5, 2], np.float32), 2)
    np.testing.assert_allclose(spread[[2, 50, 98], 0], [[0] * 3, [0.5] * 3, [1] * 3], atol=1e-4)


@pytest.mark.parametrize("layers", [3, 4, 5])
def test_a_deeper_tower_begins_as_the_one_it_came_from(layers):
    shape = NanoShape(width=64, layers=3)
    model, images = build(shape, 5), torch.rand(2, 3, 64, 64, generator=torch.manual_seed(1))
    deeper = deepen(model, shape, layers)
    assert len(deeper.visual.transformer.resblocks) == layers
    for attention in ("qq", "qk"):
        for one, two in zip(
            encode_image(model, images, attention),
            encode_image(deeper, images, attention),
            strict=True,
        ):
            torch.testing.assert_close(one, two)
    torch.testing.assert_close(deeper.token_embedding.weight, model.token_embedding.weight)


@pytest.mark.parametrize("layers", [2, 6])
def test_a_tower_is_made_no_shallower_and_less_than_twice_as_deep(layers):
    shape = NanoShape(width=64, layers=3)
    with pytest.raises(ValueError, match="3 blocks"):
        deepen(build(shape, 5), shape, layers)


@pytest.fixture
def start():
    pool, real = Pool(small_scene(seed) for seed in range(2)), RealPool([shore()])
    words = tuple(replace(one, trained=one.trained[:1]) for one in load_vocabulary().classes)
    few = Vocabulary(words, ())
    run = MixedRun(steps=4, layers=6, drawn=2, masks=2, chips=2)
    return lambda: Mixed(build(NanoShape(), 0), few, pool, (real, real), run)


@pytest.mark.long
def test_a_resumed_run_ends_as_an_uncut_one(start, tmp_path):
    whole, cut = start(), start()
    text = whole.model.token_embedding.weight.clone()
    proj = whole.model.visual.proj.clone()
    for _ in range(2):
        whole.step()
    cut.step()
    cut.save(tmp_path)
    again = start()
    assert again.resume(tmp_path)
    again.step()
    assert again.done == whole.done == 2
    for one, two in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, two)
    assert torch.equal(text, whole.model.token_embedding.weight)
    assert not torch.equal(proj, whole.model.visual.proj)


@pytest.mark.long
def test_a_checkpoint_of_other_settings_is_refused(start, tmp_path):
    mixed = start()
    mixed.save(tmp_path)
    mixed.run = replace(mixed.run, steps=5)
    with pytest.raises(SystemExit, match="other settings"):
        mixed.resume(tmp_path)
