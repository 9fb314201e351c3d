"""A model's own labels: only where three views agree and are sure, and only of licensed images."""

import numpy as np
import pytest
import torch
from PIL import Image

from rsclip.errors import InputError
from rsclip.files import data_path
from rsclip.nano import own_labels
from rsclip.nano.own_labels import NAMES, Unlabelled, sure_labels


def views(pixels, sureness=0.9):
    """Class 0 where it is dark and 1 where it is bright, by the first band alone."""
    bright = torch.from_numpy(pixels[0].copy()).float() > 128
    first = torch.where(bright, 1 - sureness, sureness)
    return torch.stack([first, 1 - first])


@pytest.fixture
def halves():
    """(3, 8, 8): dark on the left, bright on the right."""
    return np.tile(np.repeat(np.array([50, 200], np.uint8), 4), (3, 8, 1))


def test_labels_are_those_of_all_three_views(halves):
    labels = sure_labels(halves, views)
    assert (labels[:, :3] == 0).all()
    assert (labels[:, 5:] == 1).all()


def test_what_the_model_is_not_sure_of_has_no_label(halves):
    assert (sure_labels(halves, lambda pixels: views(pixels, 0.65)) == -1).all()


def test_what_is_read_otherwise_in_a_mirror_has_no_label(halves):
    def by_place(pixels):
        left = torch.arange(pixels.shape[2]) < pixels.shape[2] // 2
        first = torch.where(left, 0.95, 0.05).expand(pixels.shape[1:])
        return torch.stack([first, 1 - first])

    assert (sure_labels(halves, by_place) == -1).all()


def test_what_is_black_for_want_of_data_has_no_label(halves):
    halves[:, 2:4] = 3
    assert (sure_labels(halves, views)[2:4] == -1).all()


def test_images_need_a_licence(tmp_path, monkeypatch):
    (tmp_path / "beach" / "images").mkdir(parents=True)
    image = np.full((128, 128, 3), 90, np.uint8)
    for name in ("a", "b"):
        Image.fromarray(image).save(tmp_path / "beach" / "images" / f"{name}.png")
    table = tmp_path / "beach" / "README.tsv"
    table.write_text("file\tlicence\nimages/a.png\tCC BY 4.0\n", encoding="utf-8")
    monkeypatch.setattr(own_labels, "UNLABELLED", (Unlabelled("beach", "images/*.png", every=2),))
    monkeypatch.setattr(own_labels, "SURE", 0.0)
    (found,) = own_labels.own_labels(data_path("nano"), tmp_path)
    assert (found.name, found.licence) == ("images/a.png", "CC BY 4.0")
    known = found.truth >= 0
    assert known.any()
    assert (found.allowed[known] == 1 << found.truth[known]).all()
    assert (found.allowed[~known] == 0).all()
    assert found.truth.max() < len(NAMES)
    monkeypatch.setattr(own_labels, "UNLABELLED", (Unlabelled("beach", "images/*.png"),))
    with pytest.raises(InputError, match=r"does not name images/b\.png"):
        list(own_labels.own_labels(data_path("nano"), tmp_path))
