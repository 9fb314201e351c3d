"""`rsclip.compare` and `rsclip compare`, from a GeoTIFF to masks, tables and the picture."""

import csv
import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

import rsclip as library
from rsclip.errors import OptionError
from rsclip.methods import METHODS as EVERY
from rsclip.model import load_backbone
from rsclip.scene.scene import Scene
from rsclip.study.compare import parse_choices

CLASSES = "building|house, water, forest"
METHODS = "clearclip,sclip,gem:blocks=1,scclip,segearth"


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def truth(make_scene, tmp_path):
    """A scene and its labels, by name, on the same grid; a strip is unknown."""
    scene = make_scene(nodata=0)
    path = tmp_path / "truth.tif"
    with rasterio.open(scene) as dataset:
        profile = {**dataset.profile, "count": 1, "nodata": 255, "dtype": "uint8"}
    values = np.random.default_rng(1).integers(1, 4, (70, 90), "uint8")
    values[:, :10] = 255
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(values, 1)
    return scene, path, values


def test_masks_are_those_of_segment(make_scene, tiny_model, tmp_path):
    rotated = Affine(0.4, 0.3, 5e5, 0.3, -0.4, 5e6)
    scene = make_scene(nodata=0, transform=rotated)
    with rasterio.open(scene, "r+") as dataset:
        hole = dataset.read()
        hole[:, 20:40, 30:60] = 0
        dataset.write(hole)
    options = {"model": tiny_model, "threshold": 0.3, "tta": "flips", "sieve": 4}
    found = library.compare(scene, CLASSES, METHODS, tmp_path / "all", **options)
    assert list(found.methods) == METHODS.split(",")
    for choice in parse_choices(METHODS):
        alone = library.segment(
            scene, CLASSES, tmp_path / choice.slug, method=choice.method,
            method_option={"blocks": 1} if choice.method == "gem" else {}, vector_format="none",
            **options,
        )  # fmt: skip
        path = found.paths[f"{choice.slug}_mask"]
        assert path.name == f"scene_{choice.slug}_mask.tif"
        np.testing.assert_array_equal(read(path), alone.mask())
        assert found.shares[choice.label] == pytest.approx(dict(alone.shares))
        with rasterio.open(path) as one, rasterio.open(alone.mask_path) as other:
            assert (one.transform, one.crs, one.nodata) == (rotated, other.crs, other.nodata)
            assert one.tags()["RSCLIP_METHOD"] == choice.method
            assert one.colormap(1) == other.colormap(1)
        for end in (".tif.aux.xml", ".qml"):
            ours = path.with_name(f"{path.stem}{end}")
            theirs = alone.mask_path.with_name(f"{alone.mask_path.stem}{end}")
            assert ours.read_bytes() == theirs.read_bytes()


def test_shared_blocks_run_once(make_scene, tiny_model, tmp_path):
    backbone = load_backbone(tiny_model)
    runs = dict.fromkeys(range(backbone.depth), 0)

    def count(index):
        def hook(*_):
            runs[index] += 1

        return hook

    handles = [block.register_forward_hook(count(i)) for i, block in enumerate(backbone.blocks)]
    scene = make_scene()
    library.segment(scene, CLASSES, tmp_path / "one", backbone=backbone, vector_format="none")
    alone = dict(runs)
    assert alone[0] > 0
    library.compare(
        scene, CLASSES, "clearclip,sclip,maskclip,naclip", tmp_path / "four", backbone=backbone
    )
    # The four change the last block only, and look into it without running it.
    assert {index: count - alone[index] for index, count in runs.items()} == alone
    before = dict(runs)
    library.compare(
        scene, CLASSES, "clearclip,gem:blocks=1,clipsurgery:blocks=1,scclip", tmp_path / "deep",
        backbone=backbone,
    )  # fmt: skip
    # At the model's own window GEM's positions are everyone's.
    assert runs[0] - before[0] == alone[0]
    # At another GEM resizes them in its own way, and has a trunk of its own.
    counts = []
    for methods in ("clearclip,gem:blocks=1", "clearclip,sclip"):
        before = dict(runs)
        out = tmp_path / methods.replace(":", "")
        library.compare(scene, CLASSES, methods, out, backbone=backbone, window=40)
        counts.append(runs[0] - before[0])
    assert counts[0] == 2 * counts[1]
    for handle in handles:
        handle.remove()


def test_memory_is_estimated_for_the_model_that_is_given(make_scene, tiny_model, tmp_path):
    found = library.compare(
        make_scene(), CLASSES, "clearclip,sclip", tmp_path, backbone=load_backbone(tiny_model),
        model="no-model/of-this-name", max_memory="4G",
    )  # fmt: skip
    assert len(found.methods) == 2


def test_scores_and_agreement_are_those_of_the_files(truth, tiny_model, tmp_path):
    scene, path, values = truth
    out = tmp_path / "out"
    found = library.compare(scene, CLASSES, "clearclip,sclip", out, labels=path, model=tiny_model)
    masks = {name: read(found.paths[f"{name}_mask"]) for name in ("clearclip", "sclip")}
    valid = masks["clearclip"] != 255
    known = valid & (values != 255)
    table = {(row["method"], row["class"]): row for row in rows(found.paths["scores"])}
    for name, mask in masks.items():
        for value, word in enumerate(["building", "water", "forest"], 1):
            row = table[name, word]
            assert int(row["pixels"]) == (mask == value).sum()
            both = ((mask == value) & (values == value) & known).sum()
            either = (((mask == value) | (values == value)) & known).sum()
            assert float(row["iou"]) == pytest.approx(both / either, abs=1e-6)
            assert float(row["recall"]) == pytest.approx(
                both / ((values == value) & known).sum(), abs=1e-6
            )
        right = (mask == values)[known].mean()
        assert float(table[name, "all"]["accuracy"]) == pytest.approx(right, abs=1e-6)
        ious = [float(table[name, word]["iou"]) for word in ("building", "water", "forest")]
        assert float(table[name, "all"]["iou"]) == pytest.approx(np.mean(ious), abs=1e-6)
    agreed = {(row["method"], row["other"], row["class"]): row["agreement"]
              for row in rows(found.paths["agreement"])}  # fmt: skip
    one, other = masks["clearclip"], masks["sclip"]
    assert float(agreed["clearclip", "sclip", "all"]) == pytest.approx(
        (one == other)[valid].mean(), abs=1e-6
    )
    both = ((one == 2) & (other == 2)).sum() / ((one == 2) | (other == 2)).sum()
    assert float(agreed["clearclip", "sclip", "water"]) == pytest.approx(both, abs=1e-6)
    assert float(agreed["all", "all", "water"]) == pytest.approx(both, abs=1e-6)
    record = json.loads(found.paths["record"].read_text())
    assert [each["label"] for each in record["methods"]] == ["clearclip", "sclip"]
    assert record["methods"][0]["miou"] == pytest.approx(found.agreement.scores["clearclip"].miou)


def test_settings_side_by_side_are_masks_of_segment(rsclip, truth, tiny_model, tmp_path):
    scene, path, _ = truth
    out = tmp_path / "out"
    done = rsclip(
        "compare", scene, "--classes", CLASSES, "--model", tiny_model, "--labels", path, "-o", out,
        "--gsd", "0.5,1.5", "--words", "given,first", "--thresholds", "0.2,0.4", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    told = {(each["gsd"], each["words"], each["threshold"]): each for each in record["methods"]}
    assert len(told) == 8
    made = library.segment(
        scene, CLASSES, tmp_path / "one", model=tiny_model, gsd=1.5, threshold=0.4,
        vector_format="none",
    )  # fmt: skip
    mask = out / "scene_clearclip-1.5-m-threshold-0.4_mask.tif"
    np.testing.assert_array_equal(read(mask), made.mask())
    plain = library.segment(
        scene, "building, water, forest", tmp_path / "two", model=tiny_model, gsd=0.5,
        threshold=0.2, vector_format="none",
    )  # fmt: skip
    mask = out / "scene_clearclip-0.5-m-first-words-threshold-0.2_mask.tif"
    np.testing.assert_array_equal(read(mask), plain.mask())
    scored = library.evaluate(made.mask_path, path)
    assert told[1.5, "given", 0.4]["miou"] == pytest.approx(scored.overall["miou"])
    assert (out / "scene_compare.png").exists()
    # One pixel size is no comparison.
    one = rsclip("compare", scene, "--classes", CLASSES, "--model", tiny_model, "--methods",
                 "clearclip,sclip", "--gsd", "1.5", "-o", tmp_path / "three")  # fmt: skip
    assert one.exit_code == 0, one.output
    assert (tmp_path / "three/scene_sclip_mask.tif").exists()
    for wrong in (
        ["--gsd", "1,x"], ["--gsd", "-1,2"], ["--words", "tuned"], ["--words", "best"],
        ["--thresholds", "2"], ["--gsd", "1,2", "--resample-output=working"],
    ):  # fmt: skip
        bad = rsclip("compare", scene, "--classes", CLASSES, "--model", tiny_model, *wrong,
                     "-o", tmp_path / "bad")  # fmt: skip
        assert bad.exit_code == 2, wrong
        assert bad.output.count("Error:") == 1
        assert not (tmp_path / "bad").exists()


def test_the_picture_shows_every_mask_in_its_colours(truth, tiny_model, tmp_path):
    scene, path, _ = truth
    found = library.compare(
        scene, CLASSES, "clearclip,clip", tmp_path / "out", labels=path, model=tiny_model
    )
    with Image.open(found.paths["picture"]) as picture:
        assert max(picture.size) <= 2000
        pixels = np.asarray(picture.convert("RGB"))
    seen = {tuple(colour) for colour in np.unique(pixels.reshape(-1, 3), axis=0).tolist()}
    assert {found.legend.colours[value] for value in (1, 2, 3)} <= seen


def test_long_captions_stay_in_their_column(make_scene, tiny_model, tmp_path):
    # Panels of a narrow scene are narrower than the labels of their methods.
    methods = [f"clearclip:attention=qq+kk+vv:residual=true:ffn=true:alpha=1.{i}" for i in range(9)]
    scene = make_scene(shape=(96, 40))
    found = library.compare(scene, CLASSES, methods, tmp_path / "out", model=tiny_model)
    with Image.open(found.paths["picture"]) as picture:
        assert max(picture.size) <= 2000
        grey = np.asarray(picture.convert("RGB")) == 110
    assert grey.all(-1).any()
    # Nothing is written at the right edge, nor between columns.
    assert not grey.all(-1)[:, -20:].any()


def test_the_command(rsclip, truth, tiny_model, tmp_path):
    scene, path, _ = truth
    out = tmp_path / "out"
    arguments = ("compare", scene, "--classes", CLASSES, "--methods", "clearclip, gem:blocks=1",
                 "--labels", path, "--model", tiny_model, "-o", out)  # fmt: skip
    done = rsclip(*arguments)
    assert done.exit_code == 0, done.output
    assert "scene_compare.png" in done.stdout
    assert "gem:blocks=1" in done.stdout
    assert "IoU with the labels" in done.stdout
    assert sorted(each.name for each in out.iterdir()) == sorted(
        [f"scene_{slug}_mask{end}" for slug in ("clearclip", "gem-blocks-1")
         for end in (".tif", ".tif.aux.xml", ".qml")]
        + ["scene_compare.png", "scene_compare.json", "scene_compare_classes.csv",
           "scene_compare_agreement.csv"]
    )  # fmt: skip
    again = rsclip(*arguments)
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    done = rsclip(*arguments, "--overwrite", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["methods"][1]["method_options"]["blocks"] == 1
    assert set(found["agreement"]) == {"overall", "classes", "pairs"}


@pytest.mark.parametrize("long", [False, True])
def test_many_methods_are_told_in_narrow_tables(rsclip, truth, tiny_model, tmp_path, long):
    scene, path, _ = truth
    methods = ["clearclip", "sclip", "naclip", "maskclip", "clip"]
    if long:
        methods = [f"{name}:bias_lambda=0.{i}234567" for i, name in enumerate(methods)]
    done = rsclip("compare", scene, "--classes", CLASSES, "--methods", ",".join(methods),
                  "--labels", path, "--model", tiny_model, "-o", tmp_path)  # fmt: skip
    assert done.exit_code == 0, done.output
    tables = done.stdout.partition("compare.png")[2]
    lines = [line for line in tables.splitlines() if str(tmp_path) not in line]
    assert max(map(len, lines)) <= 100
    assert all(any(name in line for line in lines) for name in methods)
    heads = [str(i) for i in range(1, 6)] if long else methods
    at = lines.index("Pixels of the same label in two masks, %") + 1
    assert lines[at].split() == heads
    one, other = (read(tmp_path / f"scene_{each.slug}_mask.tif")
                  for each in parse_choices(methods)[1:4:2])  # fmt: skip
    same = f"{100 * (one == other)[one != 255].mean():.1f}"
    # The cell of a method with itself is empty.
    assert lines[at + 2].split()[0] == heads[1]
    assert lines[at + 2].split()[3] == lines[at + 4].split()[2] == same


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        ("clearclip,sclap", "sclip"),
        ("clearclip,clearclip", "twice"),
        ("clearclip,clearclip:bias_lambda=0", "twice"),
        ("clearclip:bias_lambda=0.3,clearclip:bias-lambda=+.3", "twice"),
        ("gem:blocks=4:blocks=5", "'blocks' stands twice in 'gem:blocks=4:blocks=5'"),
        ("clearclip:bias_lambda=0:bias-lambda=1", "'bias-lambda' stands twice"),
        ("gem:bloks=2", "blocks"),
        ("gem:blocks=x", "whole number"),
        ("gem:blocks", "no option"),
        (" , ", "no method"),
    ],
)
def test_wrong_methods(methods, said):
    with pytest.raises(OptionError, match=said):
        parse_choices(methods)


def test_all_stands_for_every_method_that_is_not_named():
    assert [each.method for each in parse_choices("all")] == list(EVERY)
    some = [each.label for each in parse_choices("gem:blocks=4, all, sclip:bias_lambda=1")]
    others = [name for name in EVERY if name not in ("gem", "sclip")]
    assert some == ["gem:blocks=4", *others, "sclip:bias_lambda=1"]
    with pytest.raises(OptionError, match="twice"):
        parse_choices("gem,all,gem")


def test_values_that_differ_in_their_sign_are_two_methods(make_scene, tiny_model, tmp_path):
    methods = [f"clearclip:bias_lambda={value}" for value in ("0.3", "-0.3", "3e-1")]
    with pytest.raises(OptionError, match="twice"):
        parse_choices(methods)
    # No two share a file, nor on a file system that knows no capitals.
    some = parse_choices("gem:blocks=1:bias_lambda=1e+1,gem:blocks=1:bias_lambda=1e-1,"
                         "gem:blocks=1:bias_lambda=1E0")  # fmt: skip
    assert len({each.slug.lower() for each in some}) == 3
    found = library.compare(make_scene(), CLASSES, methods[:2], tmp_path / "out", model=tiny_model)
    written = [found.paths[f"{each.slug}_mask"].name for each in parse_choices(methods[:2])]
    assert written == [
        "scene_clearclip-bias_lambda-0.3_mask.tif", "scene_clearclip-bias_lambda--0.3_mask.tif",
    ]  # fmt: skip
    kept = [each["method_options"]["bias_lambda"] for each in found.record["methods"]]
    assert kept == [0.3, -0.3]


def test_wrong_input_leaves_nothing(rsclip, truth, make_scene, tiny_model, tmp_path):
    scene, path, values = truth
    out = tmp_path / "out"
    away = make_scene("away.tif", count=1, transform=Affine(0.5, 0, 9e5, 0, -0.5, 9e6))
    named = tmp_path / "named.tif"
    with rasterio.open(path) as dataset:
        profile = dataset.profile
    with rasterio.open(named, "w", **profile) as dataset:
        dataset.write(values, 1)
    (tmp_path / "named.tif.aux.xml").write_text(
        "<PAMDataset><PAMRasterBand band='1'><CategoryNames><Category/><Category>road</Category>"
        "<Category>beach</Category></CategoryNames></PAMRasterBand></PAMDataset>"
    )
    arguments = ("--classes", CLASSES, "--model", tiny_model, "-o", out)
    for more, said in (
        (("--methods", "sclap"), "sclip"),
        (
            ("--methods", "clearclip,gem:blocks=9"),
            "--methods gem:blocks=9: gem changes the last 9 blocks; this model has 2. "
            "Give blocks=N in it, N up to 2.",
        ),
        (("--methods", "clearclip,gem"), "this model has 2. Give gem:blocks=N, N up to 2."),
        (
            ("--methods", "scclip:multi_start=10:multi_end=5"),
            "--methods scclip:multi_start=10:multi_end=5: no layer lies from 10 to before 5. "
            "Give multi_start=N in it, N below 5.",
        ),
        (("--methods", "clearclip", "--labels", tmp_path / "gone.tif"), "gone.tif"),
        (("--methods", "clearclip", "--labels", away), "overlap"),
        (("--methods", "clearclip", "--labels", named), "no class in common"),
        (("--methods", "clearclip", "--labels", scene.with_suffix(".txt")), "no such file"),
        (("--methods", "clearclip", "--window", "61"), "--window"),
    ):
        done = rsclip("compare", scene, *arguments, *more)
        assert done.exit_code == 2, (more, done.output)
        assert said in done.stderr
        assert not out.exists()


def test_labels_of_another_crs_are_reprojected_and_said(truth, tiny_model, tmp_path):
    from rasterio.warp import Resampling, calculate_default_transform, reproject

    scene, path, values = truth
    other = tmp_path / "degrees.tif"
    with rasterio.open(path) as dataset:
        transform, width, height = calculate_default_transform(
            dataset.crs, "EPSG:4326", 900, 700, *dataset.bounds
        )
        moved = np.full((height, width), 255, "uint8")
        reproject(values, moved, src_transform=dataset.transform, src_crs=dataset.crs,
                  dst_transform=transform, dst_crs="EPSG:4326", dst_nodata=255, src_nodata=255,
                  resampling=Resampling.nearest)  # fmt: skip
    with rasterio.open(other, "w", driver="GTiff", width=width, height=height, count=1,
                       dtype="uint8", nodata=255, crs="EPSG:4326",
                       transform=transform) as dataset:  # fmt: skip
        dataset.write(moved, 1)
    found = {}
    for labels in (path, other):
        out = tmp_path / labels.stem
        if labels is other:
            with pytest.warns(library.errors.RsclipWarning, match="reprojected"):
                found[labels] = library.compare(
                    scene, CLASSES, "clearclip", out, labels=labels, model=tiny_model
                )
        else:
            found[labels] = library.compare(
                scene, CLASSES, "clearclip", out, labels=labels, model=tiny_model
            )
    one, two = (each.agreement.scores["clearclip"].matrix for each in found.values())
    # Twice nearest: a few pixels at borders may differ.
    assert np.abs(one - two).sum() <= 0.05 * one.sum()


def test_label_rasters_of_a_data_set_hold_its_own_codes(make_scene, tmp_path):
    from rsclip.study.truth import open_labels

    legend = library.load_legend("set:loveda")
    codes = {item.name: item.code for item in legend.classes}
    scene = make_scene(count=1)
    path = tmp_path / "labels.tif"
    with rasterio.open(scene) as dataset:
        profile = dataset.profile
    values = np.full((70, 90), codes["water"], "uint8")
    values[0] = 0
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(values, 1)
    water = next(item.value for item in legend.classes if item.name == "water")
    with Scene.open(scene) as opened, open_labels(path, opened, legend) as labels:
        found = labels.read(library.types.Window(0, 0, 70, 90))
    assert (found[1:] == water).all()
    assert (found[0] == 0).all()
