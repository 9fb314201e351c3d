"""The loader of real imagery, on sets made here; with the folder at hand, on the real ones."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsclip.errors import InputError
from rsclip.nano import real
from rsclip.nano.real import (
    BIT,
    SETS,
    VARIABLE,
    RealSet,
    find_folder,
    groups,
    images,
    licences,
    surely_not,
)

TOWN = RealSet(
    "town",
    0.5,
    {0: ("road", "grassland"), 1: ("building",)},
    lambda name: name.startswith("far"),
    loose={7: ("sand", "water")},
    incomplete=("near",),
    positive=("building",),
)
CHIPS = RealSet("chips", 10.0, {"Lake": ("water",)}, lambda name: False, labels=None)
LABEL = np.array([[0, 1], [7, 255]], np.uint8)


def write_town(root, rows):
    for place in ("near", "far"):
        for kind, pixels in (("images", np.full((2, 2, 3), 90, np.uint8)), ("labels", LABEL)):
            path = root / "town" / kind / place / "a.png"
            path.parent.mkdir(parents=True)
            Image.fromarray(pixels).save(path)
    table = "file\tlicence\n" + "".join(f"{name}\t{licence}\n" for name, licence in rows)
    (root / "town" / "README.tsv").write_text(table, encoding="utf-8")


def test_labels_that_say_less_allow_more_and_incomplete_places_hold_positives_only(tmp_path):
    write_town(tmp_path, [("images/far/a.png", "CC BY 4.0"), ("images/near/a.png", "same")])
    far, near = images(tmp_path, TOWN)
    ground, loose = BIT["road"] | BIT["grassland"] | BIT["shrubland"], BIT["sand"] | BIT["water"]
    assert far.allowed.tolist() == [[ground, BIT["building"]], [loose, 0]]
    assert far.truth.tolist() == [[0, 1], [-1, -1]]
    assert near.allowed.tolist() == [[0, BIT["building"]], [0, 0]]
    assert near.truth.tolist() == [[-1, 1], [-1, -1]]
    assert (far.licence, near.licence) == ("CC BY 4.0", "CC BY 4.0")


def test_a_town_with_houses_missing_holds_back_roofs_on_rims_and_on_what_is_green(tmp_path):
    pixels = np.full((60, 60, 3), (120, 110, 100), np.uint8)
    label = np.zeros((60, 60), np.uint8)
    pixels[20:30, 20:30] = pixels[20:30, 45:55] = (160, 90, 80)  # the second roof is not mapped
    label[20:30, 20:30] = 1
    pixels[50:] = (70, 130, 60)
    ground = surely_not(pixels, label == 1)
    assert ground[33, 25]
    assert ground[55].all()
    assert not ground[18:32, 20:30].any()
    assert not ground[21:29, 45:55].any()
    assert not ground[5].any()
    assert not surely_not(pixels, label == 7).any()
    for kind, content in (("images", pixels), ("labels", label)):
        path = tmp_path / "town" / kind / "near" / "a.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(content).save(path)
    table = "file\tlicence\nimages/near/a.png\tMIT\n"
    (tmp_path / "town" / "README.tsv").write_text(table, encoding="utf-8")
    (town,) = images(tmp_path, TOWN)
    assert not (town.allowed[ground] & BIT["building"]).any()
    assert (town.allowed[ground] & BIT["road"]).all()
    assert (town.truth[ground] == 0).all()
    assert (town.allowed[21:29, 45:55] == 0).all()


def test_validation_places_are_never_trained_on(tmp_path):
    write_town(tmp_path, [("images/far/a.png", "MIT"), ("images/near/a.png", "MIT")])
    assert [one.name for one in images(tmp_path, TOWN, validation=True)] == ["far/a.png"]
    assert [one.name for one in images(tmp_path, TOWN, validation=False)] == ["near/a.png"]


def test_a_chip_is_what_its_folder_says_and_other_folders_are_left_out(tmp_path):
    for kind in ("Lake", "Harbour"):
        path = tmp_path / "chips" / "images" / kind / f"{kind}_1.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save(path)
    (tmp_path / "chips" / "README.tsv").write_text(
        "file\tlicence\nimages/Lake/Lake_1.png\tMIT\n", encoding="utf-8"
    )
    (lake,) = images(tmp_path, CHIPS)
    assert lake.allowed.tolist() == [[BIT["water"]] * 4] * 3


def test_a_file_without_a_licence_is_refused(tmp_path):
    write_town(tmp_path, [("images/far/a.png", "MIT")])
    with pytest.raises(InputError, match=r"does not name images/near/a\.png"):
        list(images(tmp_path, TOWN))
    write_town(tmp_path / "b", [("images/far/a.png", "")])
    with pytest.raises(InputError, match="no licence for images/far"):
        licences(tmp_path / "b" / "town")


def test_a_missing_folder_or_set_is_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(InputError, match=f"real, or set {VARIABLE}"):
        find_folder()
    for of in SETS[1:]:
        (tmp_path / of.name).mkdir()
        (tmp_path / of.name / "README.tsv").touch()
    with pytest.raises(InputError, match=f"lacks {SETS[0].name} "):
        find_folder(tmp_path)
    monkeypatch.setattr(real, "SETS", SETS[1:])
    assert find_folder(tmp_path) == tmp_path


@pytest.mark.parametrize("of", SETS, ids=lambda of: of.name)
def test_scored_groups_of_a_set_share_no_class(of):
    words = [word for group in groups(of) for word in group]
    assert len(words) == len(set(words))


@pytest.mark.parametrize("of", SETS, ids=lambda of: of.name)
def test_the_real_sets_have_licences_and_truth(of):
    folder = Path(os.environ.get(VARIABLE, "absent"))
    if not (folder / of.name).is_dir():
        pytest.skip(f"{of.name} is not at hand: set {VARIABLE} to the folder of real imagery")
    first = next(images(folder, of))
    assert first.licence
    assert first.pixels.shape == (*first.truth.shape, 3)
