"""Any plain CLIP ViT can be wrapped; the others are told why not."""

import numpy as np
import pytest
import torch

import rsclip
from rsclip.errors import ModelError, OptionError
from rsclip.model import open_clip_import
from tests.model.models import open_clip, tiny_clip, tiny_config

RESNET = {"layers": [1, 1, 1, 1], "width": 8, "image_size": 32, "patch_size": None}


def test_what_a_backbone_says_of_its_model():
    backbone = rsclip.wrap(tiny_clip(vision={"image_size": (32, 48), "layers": 3}))
    assert backbone.patch == 8
    assert backbone.image_shape == (32, 48)
    assert (backbone.depth, backbone.width, backbone.dim) == (3, 16, 12)
    assert backbone.mean == open_clip.OPENAI_DATASET_MEAN
    assert backbone.dtype == torch.float32
    assert backbone.device == torch.device("cpu")


def test_the_model_is_frozen_in_float32():
    model = tiny_clip().train().half()
    backbone = rsclip.wrap(model)
    assert backbone.model is model
    assert not model.training
    assert not any(value.requires_grad for value in model.parameters())
    assert {value.dtype for value in model.parameters()} == {torch.float32}


def test_mean_and_std_of_a_created_model():
    model = tiny_clip()
    model.visual.preprocess_cfg = {"mean": 0.5, "std": (0.1, 0.2, 0.3)}
    backbone = rsclip.wrap(model)
    assert backbone.mean == (0.5, 0.5, 0.5)
    images = torch.full((1, 3, 8, 8), 0.7)
    expected = torch.tensor([2.0, 1.0, 2 / 3])
    torch.testing.assert_close(backbone.normalise(images)[0, :, 0, 0], expected)


def test_the_hash_of_a_wrapped_model_follows_its_weights():
    first = rsclip.wrap(tiny_clip(seed=1)).weights_sha256
    assert first == rsclip.wrap(tiny_clip(seed=1)).weights_sha256
    assert first != rsclip.wrap(tiny_clip(seed=2)).weights_sha256
    assert len(first) == 64


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"vision": {**RESNET}}, "ResNet"),
        ({"vision": {"pool_type": "avg"}}, "CLS token"),
        ({"vision": {"attentional_pool": True, "attn_pooler_heads": 4}}, "attentional pooler"),
        ({"vision": {"patch_size": (8, 16)}}, r"not square \(8 x 16"),
        ({"vision": {"qk_norm": True}}, "attention blocks"),
    ],
)
def test_clips_that_cannot_serve(changes, reason):
    if changes["vision"].get("patch_size", 1) is None:
        changes["vision"]["head_width"] = 8
    model = open_clip.model.CLIP(**tiny_config(**changes))
    with pytest.raises(ModelError, match=reason):
        rsclip.wrap(model)


def test_other_models_that_cannot_serve():
    custom = open_clip.model.CustomTextCLIP(**tiny_config())
    with pytest.raises(ModelError, match="text tower"):
        rsclip.wrap(custom)
    timm = open_clip.model.CustomTextCLIP(
        **tiny_config(vision={"timm_model_name": "vit_tiny_patch16_224", "image_size": 224})
    )
    with pytest.raises(ModelError, match="timm"):
        rsclip.wrap(timm)
    coca = open_clip.CoCa(
        **tiny_config(
            vision={"attentional_pool": True, "attn_pooler_heads": 4, "output_tokens": True},
            multimodal_cfg={"width": 16, "heads": 2, "layers": 1, "context_length": 77},
        )
    )
    with pytest.raises(ModelError, match="CoCa"):
        rsclip.wrap(coca)
    with pytest.raises(ModelError, match="a Linear, not an open_clip"):
        rsclip.wrap(torch.nn.Linear(2, 2))


def test_sizes_that_are_no_whole_patches():
    backbone = rsclip.wrap(tiny_clip())
    with pytest.raises(OptionError, match="nearest size is 32 x 48"):
        backbone.embed(torch.zeros(1, 3, 33, 45))


@pytest.mark.parametrize(
    "vision", [{}, {"no_ln_pre": True}, {"ls_init_value": 0.3}, {"patch_dropout": 0.5},
               {"final_ln_after_pool": True}, {"pos_embed_type": "sin_cos_2d"}],
)  # fmt: skip
def test_the_opened_tower_is_the_models_own(vision):
    model = tiny_clip(vision=vision)
    backbone = rsclip.wrap(model)
    images = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, 32, 32))).float()
    with torch.inference_mode():
        x = backbone.embed(images)
        for block in backbone.blocks:
            x = block(x)
        torch.testing.assert_close(
            backbone.head(x)[:, 0], model.encode_image(images), rtol=0, atol=1e-4
        )


def test_the_position_embedding_of_the_trained_grid_is_untouched():
    backbone = rsclip.wrap(tiny_clip(vision={"image_size": (16, 32)}))
    trained = backbone.model.visual.positional_embedding
    assert backbone.positions((2, 4)) is trained
    # As many patches, but another shape.
    assert not torch.equal(backbone.positions((4, 2)), trained)
    assert backbone.positions((4, 2)).shape == trained.shape
    assert torch.equal(backbone.positions((7, 5))[0], trained[0])


def test_only_the_known_failure_of_torchvision_is_mended(monkeypatch):
    def fail(name):
        raise RuntimeError("operator torchvision::nms does not exist" if known else "other")

    monkeypatch.setattr(open_clip_import.importlib, "import_module", fail)
    monkeypatch.setattr(open_clip_import, "_libraries", [])
    known = False
    with pytest.raises(RuntimeError, match="other"):
        open_clip_import.import_open_clip()
    assert not open_clip_import._libraries
    known = True
    with pytest.raises(ModelError, match="torchvision release"):
        open_clip_import.import_open_clip()
