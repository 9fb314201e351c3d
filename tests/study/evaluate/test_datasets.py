"""Data sets of papers, each on a tiny tree in its published layout."""

import json

import numpy as np
import pytest
from PIL import Image

import rsclip as library
from rsclip.errors import InputError, OptionError, SceneError
from rsclip.files import config_path
from rsclip.study.evaluate.datasets import dataset_names, read_dataset
from rsclip.words.legend import load_legend

pytestmark = pytest.mark.filterwarnings("ignore::rsclip.errors.RsclipWarning")

SHAPE = (28, 32)
GT = "ISPRS_semantic_labeling_Vaihingen_ground_truth_COMPLETE"
# Name and number of the layout -> image, labels, a file of another split, list of the split.
TREES = {
    ("openearthmap", 0): ("aachen/images/aachen_1.tif", "aachen/labels/aachen_1.tif",
                          "aachen/images/aachen_2.tif", ("val.txt", "aachen_1.tif")),
    ("loveda", 0): ("Val/Urban/images_png/3514.png", "Val/Urban/masks_png/3514.png",
                    "Train/Rural/images_png/0.png", None),
    ("isaid", 0): ("val/images/P0003.png", "val/images/P0003_instance_color_RGB.png",
                   "val/images/P0003_instance_id_RGB.png", None),
    ("isaid", 1): ("val/images/P0003.png",
                   "val/Semantic_masks/images/P0003_instance_color_RGB.png", None, None),
    ("isaid", 2): ("img_dir/val/P0003_0_896_0_896.png",
                   "ann_dir/val/P0003_0_896_0_896_instance_color_RGB.png", None, None),
    ("potsdam", 0): ("2_Ortho_RGB/top_potsdam_2_13_RGB.tif",
                     "5_Labels_all/top_potsdam_2_13_label.tif",
                     "2_Ortho_RGB/top_potsdam_2_10_RGB.tif", None),
    ("potsdam", 1): ("img_dir/val/2_13_0_0_512_512.png", "ann_dir/val/2_13_0_0_512_512.png",
                     "img_dir/train/2_10_0_0_512_512.png", None),
    ("vaihingen", 0): ("top/top_mosaic_09cm_area2.tif", f"{GT}/top_mosaic_09cm_area2.tif",
                       "top/top_mosaic_09cm_area21.tif", None),
    ("vaihingen", 1): ("top/top_mosaic_09cm_area1.tif",
                       "gts_for_participants/top_mosaic_09cm_area1.tif",
                       "top/top_mosaic_09cm_area2.tif", None),
    ("vaihingen", 2): ("img_dir/val/area2_0_0_512_512.png", "ann_dir/val/area2_0_0_512_512.png",
                       None, None),
    ("uavid", 0): ("uavid_val/seq16/Images/000000.png", "uavid_val/seq16/Labels/000000.png",
                   "uavid_train/seq1/Images/000000.png", None),
    ("udd5", 0): ("val/src/DJI_0285.JPG", "val/gt/DJI_0285.png", "train/src/000001.JPG", None),
    ("vdd", 0): ("test/src/DJI_0001.JPG", "test/gt/DJI_0001.png", "val/src/DJI_0002.JPG", None),
    **{(name, 0): ("JPEGImages/2007_000033.jpg", "SegmentationClass/2007_000033.png",
                   "JPEGImages/2007_000032.jpg",
                   ("ImageSets/Segmentation/val.txt", "2007_000033"))
       for name in ("voc20", "voc21")},
    **{(name, 0): ("JPEGImages/2008_000002.jpg", "SegmentationClassContext/2008_000002.png",
                   "JPEGImages/2008_000008.jpg",
                   ("ImageSets/SegmentationContext/val.txt", "2008_000002"))
       for name in ("context59", "context60")},
    ("coco-stuff", 0): ("images/val2017/000000000139.jpg",
                        "annotations/val2017/000000000139_labelTrainIds.png",
                        "images/train2017/000000000009.jpg", None),
    ("coco-object", 0): ("images/val2017/000000000139.jpg",
                         "annotations/val2017/000000000139_instanceTrainIds.png", None, None),
    ("cityscapes", 0): ("leftImg8bit/val/lindau/lindau_000000_000019_leftImg8bit.png",
                        "gtFine/val/lindau/lindau_000000_000019_gtFine_labelTrainIds.png",
                        "leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png", None),
    ("cityscapes", 1): ("leftImg8bit/val/lindau/lindau_000000_000019_leftImg8bit.png",
                        "gtFine/val/lindau/lindau_000000_000019_gtFine_labelIds.png", None, None),
    ("ade20k", 0): ("images/validation/ADE_val_00000001.jpg",
                    "annotations/validation/ADE_val_00000001.png",
                    "images/training/ADE_train_00000001.jpg", None),
}  # fmt: skip
# Label values (or colours) of two classes as the papers of the sets have them; and of no class.
CODES = {
    ("openearthmap", 0): ((1, "bareland"), (8, "building"), 0),
    ("loveda", 0): ((1, None), (7, "agriculture"), 0),
    ("isaid", 0): (((0, 0, 63), "ship"), ((0, 0, 0), None), (9, 9, 9)),
    ("isaid", 1): (((0, 127, 255), "plane"), ((0, 0, 0), None), (9, 9, 9)),
    ("isaid", 2): ((1, "ship"), (0, None), 255),
    ("potsdam", 0): (((0, 0, 255), "building"), ((255, 0, 0), None), (252, 255, 0)),
    ("potsdam", 1): ((2, "building"), (6, None), 0),
    ("vaihingen", 0): (((255, 255, 0), "car"), ((255, 0, 0), None), (0, 0, 0)),
    ("vaihingen", 1): (((255, 255, 0), "car"), ((255, 0, 0), None), (0, 0, 0)),
    ("vaihingen", 2): ((5, "car"), (6, None), 0),
    ("uavid", 0): (((192, 0, 192), "static car"), ((0, 0, 0), None), (1, 2, 3)),
    ("udd5", 0): ((0, "vegetation"), (4, None), 255),
    ("vdd", 0): ((6, "water"), (0, None), 255),
    ("voc20", 0): ((1, "aeroplane"), (20, "tvmonitor"), 0),
    ("voc21", 0): ((1, "aeroplane"), (0, None), 255),
    ("context59", 0): ((2, "bag"), (59, "wood"), 0),
    ("context60", 0): ((2, "bag"), (0, None), 255),
    ("coco-stuff", 0): ((0, "person"), (170, "wood"), 255),
    ("coco-object", 0): ((80, "toothbrush"), (0, None), 255),
    ("cityscapes", 0): ((0, "road"), (18, "bicycle"), 255),
    ("cityscapes", 1): ((7, "road"), (33, "bicycle"), 4),
    ("ade20k", 0): ((1, "wall"), (150, "flag"), 0),
}


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def build(root, key):
    """Make a tree of one image; return how many pixels of each class its labels have."""
    image, labels, other, listed = TREES[key]
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(20, 240, (7, 8, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    save(root / image, picture)
    if other is not None:
        save(root / other, picture)
    if listed is not None:
        (root / listed[0]).parent.mkdir(parents=True, exist_ok=True)
        (root / listed[0]).write_text(listed[1] + "\n", "utf-8")
    (one, first), (two, second), none = CODES[key]
    values = np.array([one, two, none], np.uint8)
    which = np.zeros(SHAPE, int)
    which[:, 10:] = 1
    which[:3] = 2
    save(root / labels, values[which])
    return {first or "unclassified": 25 * 10, second or "unclassified": 25 * 22}


def test_every_set_has_a_tree():
    layouts = {(name, at) for name in dataset_names() for at in
               range(len(read_dataset(name).layouts))}  # fmt: skip
    assert layouts == {*TREES}
    assert len(dataset_names()) == 16


@pytest.mark.parametrize("key", TREES, ids=lambda key: f"{key[0]}-{key[1]}")
def test_a_set_is_scored_in_its_published_layout(key, tiny_model, tmp_path):
    wanted = build(tmp_path, key)
    name, _ = key
    (trial,) = library.evaluate_dataset(
        name, tmp_path, model=tiny_model, templates="simple", boundary=None,
        # Of the random model no threshold means anything.
        threshold=None,
        # ISPRS gave participants the labels of the training areas only.
        split="train" if key == ("vaihingen", 1) else None,
    )  # fmt: skip
    support = dict(zip(trial.scores.legend.names.values(), trial.scores.support, strict=True))
    assert {name: int(count) for name, count in support.items() if count} == wanted
    spec = read_dataset(name)
    assert trial.published == spec.published[0].miou["clearclip"] / 100
    assert len(trial.scores.legend.foreground) == len(load_legend(spec.classes).foreground)


def test_images_are_worked_at_the_papers_size(tiny_model, tmp_path, monkeypatch):
    from rsclip.study.evaluate import trials

    seen, real = [], trials.segment_scenes

    def watched(*arguments, **options):
        for made in real(*arguments, **options):
            seen.append(made.run)
            yield made

    monkeypatch.setattr(trials, "segment_scenes", watched)
    for key, shape in ((("voc20", 0), (448, 512)), (("isaid", 2), (448, 512)),
                       (("isaid", 0), (14, 16))):  # fmt: skip
        root = tmp_path / f"{key[0]}{key[1]}"
        build(root, key)
        library.evaluate_dataset(key[0], root, model=tiny_model, templates="simple", stride=224)
        assert seen[-1]["scene"]["working_shape"] == shape, key
        assert seen[-1]["settings"]["window"] == 224


def test_the_command_resumes_limits_and_prints_the_papers_figures(tiny_model, tmp_path, rsclip):
    root, out = tmp_path / "root", tmp_path / "out"
    build(root, ("loveda", 0))
    for number in range(5):
        for kind in ("images", "masks"):
            path = root / f"Val/Urban/{kind}_png/3514.png"
            (path.parent / f"{number}.png").write_bytes(path.read_bytes())
    call = ["evaluate", "--dataset", "loveda", "--root", root, "--model", tiny_model,
            "--templates", "simple", "--stride", "224", "--boundary", "0", "-o", out]  # fmt: skip
    done = rsclip(*call, "--limit", "2", "--methods", "clearclip,segearth,gem:blocks=1")
    assert done.exit_code == 0, done.output
    assert "published" in done.output
    assert "clearclip 32.4, segearth 36.9" in done.output
    assert "Tuned on this set by the paper, and so too good: threshold 0.8." in done.output
    record = json.loads((out / "evaluation.json").read_text("utf-8"))
    assert (record["dataset"], record["split"], record["images"]) == ("loveda", "val", 6)
    figures = {each["method"]: each["published"] for each in record["trials"]}
    assert figures == {"clearclip": "32.4", "segearth": "36.9", "gem:blocks=1": "-"}
    again = rsclip(*call, "--limit", "3", "--methods", "clearclip,segearth,gem:blocks=1",
                   "--resume", "--overwrite", "--json")  # fmt: skip
    assert len(json.loads(again.stdout)["trials"]) == 3
    assert "published" in (out / "evaluation.md").read_text("utf-8")


def test_another_layout_is_told_what_was_looked_for(tmp_path, rsclip):
    (tmp_path / "images").mkdir()
    with pytest.raises(SceneError, match=r"looked for Val/\*/images_png/\*.png"):
        library.evaluate_dataset("loveda", tmp_path)
    with pytest.raises(SceneError, match=r"img_dir/val/\*.png"):
        library.evaluate_dataset("potsdam", tmp_path)
    with pytest.raises(SceneError, match="no such folder"):
        library.evaluate_dataset("loveda", tmp_path / "none")
    with pytest.raises(OptionError, match="no split 'test'"):
        library.evaluate_dataset("loveda", tmp_path, split="test")
    with pytest.raises(OptionError, match=r"no data set 'lovda'. Did you mean loveda"):
        library.evaluate_dataset("lovda", tmp_path)
    with pytest.raises(OptionError, match="Give 1 or more"):
        library.evaluate_dataset("loveda", tmp_path, limit=0)
    build(tmp_path / "voc", ("voc20", 0))
    (tmp_path / "voc/ImageSets/Segmentation/val.txt").unlink()
    with pytest.raises(SceneError, match="no such list"):
        library.evaluate_dataset("voc20", tmp_path / "voc")
    build(tmp_path / "gap", ("udd5", 0))
    save(tmp_path / "gap/val/src/DJI_0999.JPG", np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(InputError, match=r"1 image without labels: DJI_0999\.JPG"):
        library.evaluate_dataset("udd5", tmp_path / "gap")
    for wrong in (["--dataset", "loveda"], ["--dataset", "loveda", "--root", tmp_path],
                  ["--limit", "3"], ["--dataset", "loveda", "--root", tmp_path, "--gsd", "1"],
                  ["m.tif", "--dataset", "loveda", "--root", tmp_path]):  # fmt: skip
        done = rsclip("evaluate", *wrong)
        assert done.exit_code == 2, done.output
        assert done.output.count("Error:") == 1


def test_a_damaged_description_is_told(tmp_path):
    whole = config_path("datasets", "loveda.yaml").read_text("utf-8")
    for old, new, said in (
        ("title: LoveDA", "titel: LoveDA", "unknown key `titel`"),
        ("classes: set:loveda\n", "", "no `classes`"),
        ("resize: {short_side: 448}", "resize: {height: 448}", "resize height: 448"),
        ("window: 224", "window: -1", "window: -1 does not fit"),
        ("ignore: ['0']", "ignore: 0", "ignore: 0 does not fit"),
        ("tuned: [threshold]", "tuned: [gsd]", "tuned names no setting"),
        ("title: LoveDA", "- a", "not valid YAML"),
        ("  - images", "  - 7\n  - images", "not a mapping"),
    ):
        path = tmp_path / "own.yaml"
        path.write_text(whole.replace(old, new), "utf-8")
        with pytest.raises(OptionError, match=said):
            read_dataset(path)
