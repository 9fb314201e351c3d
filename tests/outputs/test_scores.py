"""Score rasters: the same labels, the same grid, and the numbers that softmax gives."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine
from rio_cogeo.cogeo import cog_validate

import rsclip as library
from rsclip.labelling.labeller import Labeller
from rsclip.outputs.rasters.cog import Bands, CogWriter
from rsclip.types import Rows
from rsclip.words.legend import load_legend
from tests import layouts
from tests.outputs.conftest import ALL, CLASSES


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


@pytest.mark.parametrize("score", ["class", "paper"])
def test_margin_and_probabilities_equal_softmax(score):
    legend = load_legend(["a|aa", "b", "c"], background="sky")
    index = [0, 0, 1, 2, 3]
    rng = np.random.default_rng(1)
    similarities = rng.uniform(-0.05, 0.05, (5, 6, 7)).astype(np.float32)
    labeller = Labeller(
        (6, 7), (6, 7), (1, 1), legend, layouts.plain(index), logit_scale=50, score=score,
        with_score=True,        with_margin=True, with_probabilities=True,
    )  # fmt: skip
    (strip,) = labeller.add(Rows(0, similarities, np.ones((6, 7), bool)))
    exps = np.exp(50 * similarities.astype(np.float64))
    strongest = np.stack([exps[np.array(index) == k].max(0) for k in range(4)])
    shares = strongest / (exps if score == "paper" else strongest).sum(0)
    top = np.sort(shares, axis=0)
    np.testing.assert_allclose(strip.score, top[-1], atol=1e-5)
    np.testing.assert_allclose(strip.margin, top[-1] - top[-2], atol=1e-5)
    # Background classes compete, and have no band.
    assert strip.probabilities.shape == (3, 6, 7)
    assert np.abs(strip.probabilities - 100 * shares[:3]).max() <= 0.501
    np.testing.assert_array_equal(strip.labels == 0, shares.argmax(0) == 3)


@pytest.mark.parametrize("classes", [3, 40])
def test_labels_do_not_change_by_a_bit_when_scores_are_asked_for(classes, monkeypatch):
    from rsclip.labelling import labeller as labelling

    legend = load_legend([f"class {chr(97 + k // 26)}{chr(97 + k % 26)}" for k in range(classes)])
    rng = np.random.default_rng(2)
    similarities = rng.normal(0, 0.02, (classes, 9, 11)).astype(np.float32)
    covered = rng.random((9, 11)) > 0.2

    def strips(chunk, **asked):
        monkeypatch.setattr(labelling, "_CHUNK_LOGITS", chunk)
        labeller = Labeller(
            (70, 85),
            (9, 11),
            (8, 8),
            legend,
            layouts.plain(range(classes)),
            logit_scale=50,
            **asked,
        )
        found = list(labeller.add(Rows(0, similarities, covered)))
        return [
            np.concatenate([getattr(strip, name) for strip in found], axis=-2)
            for name in ("labels", *(key.removeprefix("with_") for key in asked))
        ]

    everything = {"with_score": True, "with_margin": True, "with_probabilities": True}
    plain, asked, small = strips(1 << 22), strips(1 << 22, **everything), strips(999, **everything)
    np.testing.assert_array_equal(plain[0], asked[0])
    for one, other in zip(asked, small, strict=True):
        np.testing.assert_array_equal(one, other)


def test_score_rasters_share_the_masks_grid(finished, tiny_model, tmp_path):
    plain = library.segment(finished.scene, CLASSES, tmp_path, model=tiny_model)
    labels = finished.mask()
    np.testing.assert_array_equal(plain.mask(), labels)
    with rasterio.open(finished.mask_path) as mask:
        grid = mask.crs, mask.transform, mask.shape
    for kind in ("confidence", "margin", "probabilities"):
        with rasterio.open(finished.paths[kind]) as dataset:
            assert (dataset.crs, dataset.transform, dataset.shape) == grid
            assert set(dataset.dtypes) == {"uint8"}
            assert dataset.nodata == 255
            pixels = dataset.read()
            names = dataset.descriptions
            # Four bands of bytes must not become colours and alpha.
            assert all(kind.name in ("gray", "undefined") for kind in dataset.colorinterp)
        assert names == (tuple(CLASSES) if kind == "probabilities" else (kind,))
        np.testing.assert_array_equal(pixels == 255, np.broadcast_to(labels == 255, pixels.shape))
        assert pixels[pixels != 255].max() <= 100
        assert cog_validate(finished.paths[kind], strict=True)[0]
    confidence = read(finished.paths["confidence"])[0].astype(int)
    probabilities = read(finished.paths["probabilities"]).astype(int)
    valid = labels != 255
    np.testing.assert_array_equal(confidence[valid], probabilities.max(0)[valid])
    np.testing.assert_array_equal(
        probabilities[labels[valid] - 1, *np.nonzero(valid)], confidence[valid]
    )
    top = np.sort(probabilities, axis=0)
    margin = read(finished.paths["margin"])[0].astype(int)
    assert np.abs(margin - (top[-1] - top[-2]))[valid].max() <= 1


@pytest.mark.parametrize("count", [1, 3, 4, 20])
@pytest.mark.parametrize("shape", [(1, 1), (700, 530)])
def test_any_number_of_bands_comes_back(tmp_path, count, shape):
    pixels = np.random.default_rng(0).integers(0, 101, (count, *shape), "uint8")
    pixels[:, : shape[0] // 3] = 255
    bands = Bands([f"b{k}" for k in range(count)], "uint8", 255, "AVERAGE")
    with CogWriter(tmp_path / "a.tif", shape, None, Affine.scale(2), bands, {}) as writer:
        for row in range(0, shape[0], 93):
            writer.write(row, pixels[:, row : row + 93])
        path = writer.finish()
    with rasterio.open(path) as dataset:
        np.testing.assert_array_equal(dataset.read(), pixels)
        np.testing.assert_array_equal(dataset.read_masks(1) == 0, pixels[0] == 255)
    if shape[0] > 512:
        with rasterio.open(path, overview_level=0) as small:
            values = small.read(1)
            # Nodata takes no part in the mean.
            assert values[values != 255].max() <= 100
    assert [item.name for item in tmp_path.iterdir()] == ["a.tif"]


def test_every_output_of_the_command_line_is_the_librarys(rsclip, finished, tiny_model, tmp_path):
    flags = [f"--{name.replace('_', '-')}" for name in ALL]
    classes = tmp_path / "classes.yaml"
    classes.write_text(
        "classes:\n" + "".join(f"  - {{name: '{n}', words: [{w}]}}\n" for n, w in CLASSES.items())
    )
    done = rsclip("segment", finished.scene, "--classes", classes, "--model", tiny_model,
                  "-o", tmp_path / "out", *flags)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        path.name for path in finished.paths.values()
    }
    for kind in ("mask", "confidence", "margin", "probabilities"):
        name = finished.paths[kind].name
        np.testing.assert_array_equal(read(tmp_path / "out" / name), read(finished.paths[kind]))
    for kind in ("areas", "style", "mask_sld"):
        name = finished.paths[kind].name
        assert (tmp_path / "out" / name).read_bytes() == finished.paths[kind].read_bytes()
    done = rsclip("segment", finished.scene, "--classes", classes, "--model", tiny_model,
                  "-o", tmp_path / "none", "--no-areas")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert not list((tmp_path / "none").glob("*.csv"))
