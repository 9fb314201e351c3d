"""Segmenter and similarity: devices, precisions, batches, memory, and what does not fit."""

import numpy as np
import pytest
import torch

import rsclip
from rsclip.errors import DeviceError, EncodeError, OptionError, RsclipWarning
from rsclip.methods.batch_size import automatic_batch, free_memory
from rsclip.methods.device import parse_device
from rsclip.methods.segmenter import Segmenter
from tests.model.models import open_clip, tiny_clip

TEXT = np.random.default_rng(0).standard_normal((3, 12)).astype(np.float32)
IMAGES = np.random.default_rng(1).uniform(0, 1, (5, 3, 24, 40)).astype(np.float32)


@pytest.fixture
def backbone():
    return rsclip.wrap(tiny_clip())


def test_what_the_pipeline_asks(backbone):
    segmenter = Segmenter(backbone, TEXT, device="cpu")
    assert (segmenter.patch, segmenter.window, segmenter.queries) == (8, (32, 32), 3)
    assert segmenter.batch_size >= 1
    assert Segmenter(backbone, TEXT, device="cpu", batch_size=7).batch_size == 7
    found = segmenter.similarities(IMAGES)
    assert (found.dtype, found.shape) == (np.float32, (5, 3, 3, 5))
    assert np.abs(found).max() <= 1 + 1e-6
    assert segmenter.similarities(IMAGES[:0]).shape == (0, 3, 3, 5)
    np.testing.assert_array_equal(found, segmenter.similarities(IMAGES))


def test_batches_by_model_size():
    big = rsclip.wrap(
        tiny_clip(
            vision={"width": 768, "layers": 1, "image_size": 224, "patch_size": 16},
            text={"vocab_size": 16},
        )
    )
    assert Segmenter(big, TEXT, device="cpu").batch_size == 4
    small = rsclip.wrap(tiny_clip())
    assert Segmenter(small, TEXT, device="cpu").batch_size > 32


@pytest.mark.parametrize(
    ("gigabytes", "windows"),
    [(0, 1), (0.01, 1), (1, 16), (3.9, 32), (4, 64), (7.6, 64), (7.5, 64), (12, 128), (139, 256)],
)
def test_batches_by_the_memory_of_a_gpu(gigabytes, windows, monkeypatch):
    free, kept = int(gigabytes * 2**30), 2**20
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (max(free - kept, 0), 140e9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 3 * kept)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 2 * kept)
    found = free_memory(torch.device("cuda", 0))
    assert automatic_batch(197, 768, free=found) == windows
    # A larger model takes fewer, and small windows never more than are worth waiting for.
    assert automatic_batch(577, 1024, free=found) <= max(windows // 3, 1)
    assert automatic_batch(5, 64, free=found) <= 256
    assert automatic_batch(197, 768, free=free_memory(torch.device("cpu"))) == 4


def test_prompts_or_features(backbone):
    prompts = [["a road"], ["a river", "a lake"]]
    features = backbone.text_features(prompts)
    by_prompts = Segmenter(backbone, prompts, device="cpu").similarities(IMAGES)
    by_features = Segmenter(backbone, features.numpy() * 3, device="cpu").similarities(IMAGES)
    np.testing.assert_allclose(by_prompts, by_features, rtol=0, atol=1e-6)


@pytest.mark.parametrize("attention", ["qq", "identity", "kk+gaussian"])
def test_bfloat16_is_close_and_leaves_the_model_as_it_was(backbone, attention):
    options = {"attention": attention}
    exact = Segmenter(backbone, TEXT, options=options, device="cpu")
    rough = Segmenter(backbone, TEXT, options=options, device="cpu", precision="bf16")
    expected = exact.similarities(IMAGES)
    found = rough.similarities(IMAGES)
    assert found.dtype == np.float32
    assert 0 < np.abs(found - expected).max() < 0.05
    # Two segmenters share the backbone: each has its own arithmetic.
    np.testing.assert_array_equal(exact.similarities(IMAGES), expected)
    np.testing.assert_array_equal(rough.similarities(IMAGES), found)


def test_fp16_needs_a_gpu(backbone):
    with pytest.raises(OptionError, match="fp16 needs a GPU"):
        Segmenter(backbone, TEXT, device="cpu", precision="fp16")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gpu", "unknown device 'gpu'"),
        ("cuda:x", "unknown device"),
        ("cuda:", "unknown device"),
        ("cpu:1", "unknown device"),
    ],
)
def test_unknown_devices(text, message):
    with pytest.raises(DeviceError, match=message):
        parse_device(text)


def test_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert parse_device("auto") == torch.device("cpu")
    with pytest.raises(DeviceError, match="no CUDA device"):
        parse_device("cuda")
    with pytest.raises(DeviceError, match="no mps device"):
        parse_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert parse_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert parse_device("auto") == torch.device("cuda")
    assert parse_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(DeviceError, match="last one is cuda:1"):
        parse_device("cuda:2")


def limited(monkeypatch, most, message="DefaultCPUAllocator: not enough memory"):
    """Let a forward pass hold `most` images; return the sizes that were tried."""
    tried = []
    encode = Segmenter._encode

    def guarded(self, images):
        tried.append(len(images))
        if len(images) > most:
            raise RuntimeError(message)
        return encode(self, images)

    monkeypatch.setattr(Segmenter, "_encode", guarded)
    return tried


def test_a_batch_too_large_is_halved_once_and_for_all(backbone, monkeypatch):
    expected = Segmenter(backbone, TEXT, device="cpu").similarities(IMAGES)
    tried = limited(monkeypatch, 2)
    segmenter = Segmenter(backbone, TEXT, device="cpu", batch_size=5)
    with pytest.warns(RsclipWarning, match="goes on with smaller ones") as said:
        found = segmenter.similarities(IMAGES)
    assert len(said) == 1
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert tried == [5, 2, 2, 1]
    tried.clear()
    segmenter.similarities(IMAGES)
    assert tried == [2, 2, 1]


def test_memory_for_not_even_one(backbone, monkeypatch):
    limited(monkeypatch, 0)
    with pytest.raises(EncodeError, match=r"one window of 24 x 40 pixels.*smaller window"):
        Segmenter(backbone, TEXT, device="cpu").similarities(IMAGES)


def test_other_failures_are_not_hidden(backbone, monkeypatch):
    limited(monkeypatch, 0, "device-side assert triggered")
    with pytest.raises(EncodeError, match="device-side assert"):
        Segmenter(backbone, TEXT, device="cpu").similarities(IMAGES)


def test_values_that_are_not_finite(backbone):
    images = IMAGES.copy()
    images[2, 0, 3, 3] = np.nan
    with pytest.raises(EncodeError, match="not finite"):
        Segmenter(backbone, TEXT, device="cpu").similarities(images)


@pytest.mark.parametrize("shape", [(3, 24, 40), (1, 4, 24, 40), (1, 3, 25, 40), (1, 3, 0, 40)])
def test_images_that_do_not_fit(backbone, shape):
    with pytest.raises(OptionError):
        Segmenter(backbone, TEXT, device="cpu").similarities(np.zeros(shape, np.float32))


@pytest.mark.parametrize("text", [TEXT[:, :7], TEXT[0], TEXT[:0]])
def test_features_that_do_not_fit(backbone, text):
    with pytest.raises(OptionError, match=r"\(Q, 12\)"):
        Segmenter(backbone, text, device="cpu")


@pytest.mark.parametrize("size", [(24, 40), (32, 32)])
def test_the_mean_over_views_knows_no_up_and_no_left(backbone, size):
    images = np.random.default_rng(5).uniform(0, 1, (3, 3, *size)).astype(np.float32)

    def found(images, tta):
        return Segmenter(backbone, TEXT, device="cpu", tta=tta).similarities(images)

    plain = found(images, "none")
    for tta in ("flips", "d4"):
        mean = found(images, tta)
        assert np.abs(mean - plain).max() > 1e-3
        for axes in ((-1,), (-2,), (-2, -1)):
            np.testing.assert_allclose(
                np.flip(found(np.flip(images, axes).copy(), tta), axes), mean, rtol=0, atol=1e-5
            )
    turned = np.rot90(images, 1, (-2, -1)).copy()
    np.testing.assert_allclose(np.rot90(found(turned, "d4"), -1, (-2, -1)), mean, rtol=0, atol=1e-5)
    # Each view is one forward pass's result, not another's: the mean of four by hand.
    four = [plain, np.flip(found(np.flip(images, -1).copy(), "none"), -1),
            np.flip(found(np.flip(images, -2).copy(), "none"), -2),
            np.flip(found(np.flip(images, (-2, -1)).copy(), "none"), (-2, -1))]  # fmt: skip
    np.testing.assert_allclose(np.mean(four, axis=0), found(images, "flips"), rtol=0, atol=1e-5)


PIXELS = np.random.default_rng(2).integers(0, 256, (2, 16, 24, 3), np.uint8)


def test_similarity_is_the_segmenters(backbone):
    found = rsclip.similarity(backbone, PIXELS, ["road", "river"], attention="kk")
    templates = [template("{}") for template in open_clip.OPENAI_IMAGENET_TEMPLATES]
    prompts = [[text.format(word) for text in templates] for word in ("road", "river")]
    images = PIXELS.transpose(0, 3, 1, 2) / np.float32(255)
    segmenter = Segmenter(backbone, prompts, options={"attention": "kk"}, device="cpu")
    assert found.shape == (2, 2, 2, 3)
    np.testing.assert_array_equal(found, segmenter.similarities(images))


def test_similarity_takes_many_images(backbone):
    many = np.repeat(PIXELS, 200, axis=0)
    found = rsclip.similarity(backbone, many, TEXT)
    alone = rsclip.similarity(backbone, PIXELS, TEXT)
    np.testing.assert_allclose(found[[0, -1]], alone, rtol=0, atol=1e-5)
    assert rsclip.similarity(backbone, PIXELS[:0], TEXT).shape == (0, 3, 2, 3)


@pytest.mark.parametrize(
    ("images", "queries", "options", "message"),
    [
        (PIXELS / 255, TEXT, {}, r"float64.*uint8 \(B, H, W, 3\)"),
        (PIXELS[0], TEXT, {}, "uint8"),
        (PIXELS.transpose(0, 3, 1, 2), TEXT, {}, "uint8"),
        (PIXELS[:, :15], TEXT, {}, "nearest size is 16 x 24"),
        (PIXELS, "road", {}, "list of words"),
        (PIXELS, [], {}, "list of words"),
        (PIXELS, ["road", " "], {}, "list of words"),
        (PIXELS, ["road", 1], {}, "list of words"),
        (PIXELS, ["Straße"], {}, "'Straße' is not plain English"),
        (PIXELS, np.zeros((1, 12), np.float32), {}, "a row of zeros"),
        (PIXELS, np.full((1, 12), np.nan, np.float32), {}, "NaN"),
        (PIXELS, TEXT, {"attention": "qw"}, "'qw' does not fit"),
        (PIXELS, TEXT, {"attenton": "qq"}, "Did you mean attention"),
        (PIXELS, TEXT, {"method": "clerclip"}, "Did you mean clearclip"),
    ],
)
def test_what_similarity_refuses(backbone, images, queries, options, message):
    with pytest.raises(OptionError, match=message):
        rsclip.similarity(backbone, images, queries, **options)
