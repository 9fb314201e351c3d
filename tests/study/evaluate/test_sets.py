"""Many masks or scenes scored together, each by itself too; a killed evaluation goes on."""

import csv
import json

import numpy as np
import pytest
import rasterio
from PIL import Image

import rsclip as library
from rsclip import model
from rsclip.errors import ExistsError, LegendError, RsclipWarning, SceneError
from rsclip.run import encoder
from rsclip.study.evaluate import run
from rsclip.study.evaluate.image_log import LOG_NAME
from tests.study.evaluate.test_evaluate import NAMES, blobs, plain, write

CLASSES = "building|house, water, forest"

pytestmark = pytest.mark.filterwarnings("ignore::rsclip.errors.RsclipWarning")


@pytest.fixture
def masks(tmp_path):
    """Folders of twelve masks and labels; the arrays too."""
    arrays = []
    for folder in ("masks", "labels"):
        (tmp_path / folder).mkdir()
    for number in range(12):
        truth = blobs(number, shape=(60, 80))
        right = np.random.default_rng(number).random(truth.shape) < 0.05 * number + 0.3
        mask = np.where(right, truth, blobs(number + 50, shape=(60, 80)))
        truth[:5] = 255
        arrays.append((mask, truth))
        write(tmp_path / f"masks/{number}_mask.tif", mask)
        write(tmp_path / f"labels/{number}.tif", truth)
    return tmp_path / "masks", tmp_path / "labels", arrays


def test_masks_are_scored_together_and_each_by_itself(masks, tmp_path, rsclip):
    folder, labels, arrays = masks
    out = tmp_path / "out"
    done = rsclip("evaluate", folder, "--labels", labels, "-o", out, "--json")
    assert done.exit_code == 0, done.output
    found = library.evaluate(folder, labels)
    each = [plain(mask, truth, 4) for mask, truth in arrays]
    np.testing.assert_array_equal(found.confusion.matrix, sum(each))
    lines = [library.evaluate(folder / f"{n}_mask.tif", labels / f"{n}.tif") for n in range(12)]
    pooled = sum(one.boundaries.true_met for one in lines)
    np.testing.assert_array_equal(found.boundaries.true_met, pooled)
    low, high = found.overall_intervals["accuracy"]
    assert low < found.overall["accuracy"] < high
    with (out / "evaluation_images.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        number = int(row["image"].rpartition("/")[2].partition("_")[0])
        assert float(row["miou"]) == pytest.approx(lines[number].overall["miou"], abs=1e-6)
        assert float(row["iou road"]) == pytest.approx(lines[number].classes["iou"][2], abs=1e-6)
    assert len(rows) == 12
    said = json.loads(done.stdout)
    assert said["overall"]["miou"]["value"] == found.overall["miou"]
    assert {path.name for path in out.iterdir()} == {
        "table.csv", "evaluation_classes.csv", "evaluation_images.csv", "evaluation.md",
        "confusion.png", "evaluation.html", "evaluation.json", LOG_NAME,
    }  # fmt: skip
    assert "12 images" in (out / "evaluation.md").read_text("utf-8")
    page = (out / "evaluation.html").read_text("utf-8")
    assert "lowest mean IoU" in page
    with pytest.raises(ExistsError):
        library.evaluate(folder, labels, out)
    globs = rsclip("evaluate", "--images", f"{folder}/*_mask.tif", "--label-glob",
                   f"{labels}/*.tif", "--json")  # fmt: skip
    assert json.loads(globs.stdout)["overall"] == said["overall"]


def test_masks_without_common_values_are_joined_by_name(tmp_path):
    for folder in ("m", "t"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "a.tif", np.full((9, 9), 7, np.uint8), {7: "Water"})
        write(tmp_path / folder / "b.tif", np.full((9, 9), 2, np.uint8), {2: "road", 1: "water"})
    found = library.evaluate(tmp_path / "m", tmp_path / "t")
    assert list(found.legend.names.values()) == ["unclassified", "Water", "road"]
    assert np.diag(found.confusion.matrix).tolist() == [0, 81, 81]


def test_a_killed_evaluation_goes_on(masks, tmp_path, monkeypatch):
    folder, labels, _ = masks
    out = tmp_path / "out"
    whole = library.evaluate(folder, labels)
    real, seen = run.evaluate_mask, []

    def failing(mask, *arguments, **options):
        if len(seen) == 5:
            raise KeyboardInterrupt
        seen.append(mask)
        return real(mask, *arguments, **options)

    monkeypatch.setattr(run, "evaluate_mask", failing)
    with pytest.raises(KeyboardInterrupt):
        library.evaluate(folder, labels, out)
    assert [path.name for path in out.iterdir()] == [LOG_NAME]
    # The last line of a killed process may be cut short.
    log = out / LOG_NAME
    log.write_text(log.read_text("utf-8")[:-9], "utf-8")
    again = []
    monkeypatch.setattr(
        run, "evaluate_mask", lambda mask, *a, **k: again.append(mask) or real(mask, *a, **k)
    )
    write(seen[0], blobs(99, shape=(60, 80)))
    library.evaluate(folder, labels, out, resume=True)
    # Of five, one was cut short and one has changed since.
    assert len(again) == 12 - 3
    assert {seen[0], seen[4]} <= {*again}
    found = library.evaluate(folder, labels, out, resume=True, overwrite=True)
    assert len(again) == 12 - 3
    assert found.images[1].sums.tolist() == whole.images[1].sums.tolist()
    library.evaluate(folder, labels, out, resume=True, overwrite=True, ignore=["water"])
    assert len(again) == 12 - 3 + 12


@pytest.fixture
def scenes(make_scene, tmp_path):
    """Two images without a place, and labels: the second has none of the classes."""
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for name in ("a", "b"):
        with rasterio.open(make_scene(f"{name}.tif", shape=(64, 72))) as dataset:
            Image.fromarray(dataset.read().transpose(1, 2, 0)).save(tmp_path / f"images/{name}.png")
        truth = np.random.default_rng(1).integers(1, 4, (64, 72), "uint8") * (name == "a")
        Image.fromarray(truth).save(tmp_path / f"labels/{name}.png")
    return tmp_path / "images", tmp_path / "labels"


def test_scenes_of_a_folder_are_segmented_by_a_model_that_is_loaded_once(
    scenes, tiny_model, tmp_path, rsclip, monkeypatch
):
    images, labels = scenes
    loads = []
    real = model.load_backbone
    monkeypatch.setattr(model, "load_backbone", lambda *a, **k: loads.append(a) or real(*a, **k))
    made = []
    monkeypatch.setattr(
        "rsclip.study.evaluate.trials.load_model",
        lambda *a, **k: made.append(a) or encoder.load_model(*a, **k),
    )
    out = tmp_path / "out"
    done = rsclip(
        "evaluate", images, "--labels", labels, "--classes", CLASSES, "--model", tiny_model,
        "--methods", "clearclip,sclip", "--thresholds", "0.2,0.9", "--overlap", "0.25", "-o", out,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert (len(loads), len(made)) == (1, 4)
    with (out / "table.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["method"], row["threshold"]) for row in rows} == {
        (method, level) for method in ("clearclip", "sclip") for level in ("0.2", "0.9")
    }
    best = [float(row["miou"]) for row in rows]
    assert best == sorted(best, reverse=True)
    record = json.loads((out / "evaluation.json").read_text("utf-8"))
    config = library.SegmentConfig(model=tiny_model, overlap=0.25, vector_format="none")
    by_hand = np.zeros((4, 4), int)
    for name in ("a", "b"):
        result = library.segment(
            images / f"{name}.png", CLASSES, tmp_path / "by_hand", config=config,
            method=record["trials"][0]["method"],
            threshold=float(record["trials"][0]["threshold"]),
        )  # fmt: skip
        by_hand += plain(result.mask(), np.asarray(Image.open(labels / f"{name}.png")), 4)
    there = by_hand.any(1) | by_hand.any(0)
    pixels = record["trials"][0]["confusion"]["pixels"]
    np.testing.assert_array_equal(pixels, by_hand[there][:, there])
    single = rsclip("evaluate", images / "a.png", "--labels", labels / "a.png", "--classes",
                    CLASSES, "--model", tiny_model, "-o", tmp_path / "single")  # fmt: skip
    assert single.exit_code == 0, single.output
    assert (tmp_path / "single/a_errors.tif").exists()


def test_scenes_of_a_folder_tell_how_often_a_confidence_is_right(scenes, tiny_model, tmp_path):
    images, labels = scenes
    config = library.SegmentConfig(model=tiny_model, vector_format="none", resume=True)
    (trial,) = library.try_settings(images, labels, CLASSES, tmp_path / "out", config=config)
    pixels, right = np.zeros(101), np.zeros(101)
    for name in ("a", "b"):
        made = library.segment(
            images / f"{name}.png", CLASSES, tmp_path / "made", config=config, confidence=True
        )
        with rasterio.open(made.paths["confidence"]) as dataset:
            percent = dataset.read(1)
        truth, found = np.asarray(Image.open(labels / f"{name}.png")), made.mask()
        # 0 is "none of the classes" where a label raster does not say what is unknown.
        known = (found > 0) & (found < 255) & (percent <= 100)
        pixels += np.bincount(percent[known], minlength=101)
        right += np.bincount(percent[known & (found == truth)], minlength=101)
    tenth = np.minimum(np.arange(101) // 10, 9)
    gaps = np.bincount(tenth, pixels * np.arange(101) / 100 - right)
    error = np.abs(gaps).sum() / pixels.sum()
    assert trial.scores.overall["calibration_error"] == pytest.approx(error)
    assert "Mean confidence" in (tmp_path / "out/evaluation.html").read_text("utf-8")
    # The counts of each image are kept for a run that goes on.
    lines = (tmp_path / "out" / LOG_NAME).read_text("utf-8").splitlines()[1:]
    kept = [np.sum(json.loads(line)["part"]["reliability"][0]) for line in lines]
    assert sum(kept) == pixels.sum()


def test_labels_as_colours(tmp_path):
    truth = blobs(1, shape=(40, 50))
    mask = write(tmp_path / "m.tif", truth)
    colours = np.array([[0, 0, 0], [255, 0, 0], [255, 255, 0], [0, 0, 255]], np.uint8)
    picture = colours[truth]
    picture[0, :7] = (9, 9, 9)
    with rasterio.open(mask) as dataset:
        profile = {**dataset.profile, "count": 3, "nodata": None}
    with rasterio.open(tmp_path / "t.tif", "w", **profile) as dataset:
        dataset.write(picture.transpose(2, 0, 1))
    every = {"#ff0000": "building", "#FFFF00": "road", "#0000ff": "water"}
    with pytest.raises(LegendError, match=r"labels that the mapping lacks: #090909"):
        library.evaluate(mask, tmp_path / "t.tif", mapping=every)
    found = library.evaluate(mask, tmp_path / "t.tif", mapping={**every, "#090909": None})
    truth[0, :7] = 255
    np.testing.assert_array_equal(
        found.confusion.matrix, plain(np.where(truth == 255, 255, truth), truth, 4)
    )
    # The colours of the classes themselves.
    classes = [
        {"name": name, "colour": "#{:02x}{:02x}{:02x}".format(*colours[value])}
        for value, name in NAMES.items()
    ]
    own = library.evaluate(mask, tmp_path / "t.tif", classes=classes)
    assert own.overall["accuracy"] == pytest.approx(1 - 7 / 2000)
    with pytest.raises(LegendError, match="no class in common: the labels have #"):
        library.evaluate(mask, tmp_path / "t.tif", classes="a, b, c")


def test_sets_that_say_nothing_are_refused(masks, tmp_path, rsclip):
    folder, labels, _ = masks
    with pytest.raises(SceneError, match="no labelled pixel in 12 images"):
        library.evaluate(folder, labels, ignore=[1, 2, 3])
    for arguments in (
        [folder], [folder, "--labels", labels, "--confidence", labels / "1.tif"],
        ["--images", f"{folder}/*.tif"], [folder, "--labels", labels / "1.tif"],
        [tmp_path / "nowhere", "--labels", labels],
    ):  # fmt: skip
        done = rsclip("evaluate", *arguments)
        assert done.exit_code == 2, arguments
        assert done.stderr.count("Error:") == 1


def test_images_that_say_nothing_are_named(masks, tmp_path):
    folder, labels, _ = masks
    write(labels / "3.tif", blobs(3, shape=(60, 80)), crs="EPSG:32640")
    with pytest.warns(RsclipWarning, match=r"1 of 12 images .* do not count: .*3_mask\.tif"):
        library.evaluate(folder, labels)


def test_a_finished_evaluation_is_left_or_refused(masks, tmp_path, rsclip):
    folder, labels, _ = masks
    call = ["evaluate", folder, "--labels", labels, "-o", tmp_path / "out"]
    assert rsclip(*call).exit_code == 0
    log = (tmp_path / "out" / LOG_NAME).read_bytes()
    assert rsclip(*call).exit_code == 2
    assert rsclip(*call, "--resume", "--ignore", "water").exit_code == 2
    assert (tmp_path / "out" / LOG_NAME).read_bytes() == log
    assert rsclip(*call, "--resume").exit_code == 0
