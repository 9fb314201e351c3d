"""Scenes: the same bytes from the same seed, all classes, and every option on its own."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from rsclip.nano.scenes import CLASSES, KINDS, generate

SMALL = (96, 128)
FROZEN = [87114, 98695, 129879, 78767]  # sums of labels, seeds 0 to 3


def digest(scene):
    parts = (scene.image, scene.labels, scene.valid)
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def test_class_names_and_order_are_fixed():
    assert CLASSES == (
        "building", "road", "water", "forest", "grassland", "cropland", "bare soil",
        "parking lot", "sand", "swimming pool", "solar panel", "railway", "orchard", "greenhouse",
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_at_many_shapes(kind):
    for shape, gsd in [(SMALL, 0.5), ((64, 80), 0.5), ((37, 151), 0.5), ((90, 70), 2.0),
                       ((61, 61), 0.2), ((1, 1), 0.5), ((3, 200), 1.0)]:  # fmt: skip
        scene = generate(11, shape, kind=kind, gsd=gsd)
        assert scene.image.shape == (3, *shape)
        assert scene.image.dtype == np.uint8
        assert scene.image.min() >= 1
        assert scene.labels.shape == shape
        assert scene.labels.dtype == np.uint8
        assert 1 <= scene.labels.min() <= scene.labels.max() <= len(CLASSES)
        assert scene.valid.shape == shape
        assert scene.valid.all()
        assert scene.kind == kind


def test_same_seed_same_bytes_whatever_the_global_state():
    np.random.seed(1)
    first = digest(generate(5, SMALL))
    np.random.seed(2)
    generate(6, SMALL)
    assert digest(generate(5, SMALL)) == first
    assert digest(generate(6, SMALL)) != first


def test_same_bytes_in_another_process():
    code = (
        "import hashlib; from rsclip.nano.scenes import generate; s = generate(5, (96, 128));"
        "print(hashlib.sha256(s.image.tobytes() + s.labels.tobytes() + s.valid.tobytes())"
        ".hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(generate(5, SMALL))


def test_the_generator_is_frozen():
    """The embedded model was trained on these scenes; labels hold on every processor."""
    sums = [int(generate(seed, (128, 128)).labels.astype(np.int64).sum()) for seed in range(4)]
    assert sums == FROZEN


def test_infrared_adds_a_band_and_changes_nothing_else():
    plain, more = generate(8, SMALL), generate(8, SMALL, infrared=True)
    assert more.image.shape == (4, *SMALL)
    np.testing.assert_array_equal(more.image[:3], plain.image)
    np.testing.assert_array_equal(more.labels, plain.labels)


def test_plants_are_brighter_in_infrared_and_water_is_dark():
    scene = generate(2, (256, 256), kind="river", infrared=True, reflectance=True)
    red, infrared = scene.image[0].astype(float), scene.image[3].astype(float)
    forest, water = scene.labels == 4, scene.labels == 3
    assert infrared[forest].mean() > 1.3 * red[forest].mean()
    assert infrared[water].mean() < 0.6 * infrared[forest].mean()


def test_reflectance_is_uint16_of_the_same_scene():
    plain, raw = generate(8, SMALL), generate(8, SMALL, reflectance=True)
    assert raw.image.dtype == np.uint16
    assert 1 <= raw.image.min() <= raw.image.max() <= 10_000
    assert raw.image.max() > 255
    np.testing.assert_array_equal(raw.labels, plain.labels)
    match = np.corrcoef(raw.image[1].ravel(), plain.image[1].ravel())[0, 1]
    assert match > 0.85


@pytest.mark.parametrize("seed", range(6))
def test_collar_blanks_a_slanted_border_only(seed):
    plain, cut = generate(seed, SMALL), generate(seed, SMALL, collar=True)
    assert 0.02 < 1 - cut.valid.mean() < 0.4
    assert (cut.labels[~cut.valid] == 255).all()
    assert (cut.image[:, ~cut.valid] == 0).all()
    np.testing.assert_array_equal(cut.labels[cut.valid], plain.labels[cut.valid])
    np.testing.assert_array_equal(cut.image[:, cut.valid], plain.image[:, cut.valid])
    widths = cut.valid.sum(axis=1)
    assert len(set(widths.tolist())) > 2, "the border is not slanted"


@pytest.fixture(scope="module")
def shares():
    """Pixel share of each class and share of scenes with 500 pixels of it, over 80 seeds."""
    counts = np.array(
        [np.bincount(generate(seed, (288, 288)).labels.ravel(), minlength=15) for seed in range(80)]
    )
    return counts.sum(axis=0)[1:] / counts.sum(), (counts[:, 1:] > 500).mean(axis=0)


@pytest.mark.parametrize("index", range(len(CLASSES)), ids=CLASSES)
def test_every_class_is_common_enough(shares, index):
    pixels, scenes = shares
    assert pixels[index] > 0.014
    assert scenes[index] > 0.1


def test_no_class_drowns_the_others(shares):
    assert shares[0].max() < 0.3


def test_colour_alone_does_not_decide():
    from tests.nano.scenes.colour_only import colour_only_iou

    iou = colour_only_iou(range(1000, 1024), range(2000, 2016), (256, 256))
    assert iou.mean() < 0.2


def test_unknown_kind_and_empty_shape_are_refused():
    with pytest.raises(ValueError, match="farmland"):
        generate(1, SMALL, kind="moon")
    with pytest.raises(ValueError, match="positive"):
        generate(1, (0, 10))
