"""Which image belongs to which labels."""

import pytest

from rsclip.errors import InputError
from rsclip.study.pairs import find_pairs


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(pairs, root):
    return [
        (each.name, each.image.removeprefix(f"{root}/"), each.labels.relative_to(root).as_posix())
        for each in pairs
    ]


def test_folders_pair_up_by_stem_whatever_rsclip_writes_beside(tmp_path):
    touch(tmp_path / "m", "a_mask.tif", "a_confidence.tif", "a_preview.png", "b_mask.tif", "b.qgz")
    touch(tmp_path / "m", "a_mask.tif.aux.xml", "a_run.json")
    touch(tmp_path / "t", "b.gpkg", "a_labels.png", "a_labels.png.aux.xml")
    assert names(find_pairs(tmp_path / "m", tmp_path / "t"), tmp_path) == [
        ("a", "m/a_mask.tif", "t/a_labels.png"),
        ("b", "m/b_mask.tif", "t/b.gpkg"),
    ]
    # Images and labels in one folder.
    touch(tmp_path / "s", "a.tif", "a_labels.tif", "b.tif", "b_labels.geojson")
    assert [each[1:] for each in names(find_pairs(tmp_path / "s", tmp_path / "s"), tmp_path)] == [
        ("s/a.tif", "s/a_labels.tif"),
        ("s/b.tif", "s/b_labels.geojson"),
    ]


def test_patterns_pair_up_by_their_wildcards(tmp_path):
    touch(tmp_path, "x/img/1.png", "x/lab/1_L.png", "y/img/1.png", "y/lab/1_L.png", "y/lab/n.txt")
    found = find_pairs(tmp_path / "*/img/*.png", f"{tmp_path}/*/lab/*_L.png")
    assert names(found, tmp_path) == [
        ("x/1", "x/img/1.png", "x/lab/1_L.png"),
        ("y/1", "y/img/1.png", "y/lab/1_L.png"),
    ]
    touch(tmp_path, "all/1.tif", "deep/a/b/1_labels.tif")
    found = find_pairs(f"{tmp_path}/all/*.tif", f"{tmp_path}/deep/**/*.tif")
    assert names(found, tmp_path) == [("1", "all/1.tif", "deep/a/b/1_labels.tif")]


def test_what_does_not_pair_up_is_listed(tmp_path):
    touch(tmp_path, *(f"i/{n}.tif" for n in range(9)), "t/0.tif", "t/99.tif", "one.tif")
    with pytest.raises(InputError, match=r"8 images without labels: 1.tif, .* and 3 more"):
        find_pairs(tmp_path / "i", tmp_path / "t")
    touch(tmp_path, *(f"t/{n}.tif" for n in range(9)))
    with pytest.raises(InputError, match=r"1 file of labels without an image: 99.tif"):
        find_pairs(tmp_path / "i", tmp_path / "t")
    with pytest.raises(InputError, match="one file, and here are many"):
        find_pairs(tmp_path / "i", tmp_path / "one.tif")
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        find_pairs(tmp_path / "i", tmp_path / "nowhere")
    with pytest.raises(InputError, match="no file was found"):
        find_pairs(f"{tmp_path}/none/*.tif", f"{tmp_path}/t/*.tif")
    touch(tmp_path, "twin/0.tif", "twin/0.gpkg")
    with pytest.raises(InputError, match="have the same stem"):
        find_pairs(tmp_path / "i", tmp_path / "twin")
