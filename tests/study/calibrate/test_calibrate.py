"""`calibrate`: from a scene and a few labels to a class file that `segment` takes."""

import json

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
import torch
import yaml

import rsclip as library
from rsclip.adapters.base import Task
from rsclip.errors import InputError, LegendError, RsclipWarning, SceneError
from rsclip.study.adapt import examples
from rsclip.study.adapt.choosing import Candidate
from rsclip.study.calibrate.fitting import Numbers, fit_numbers
from rsclip.words.legend import load_legend
from tests.layouts import plain

CLASSES = "dark ground|soil, bright ground"
SHAPE = (200, 260)


@pytest.fixture
def scene(make_scene):
    """Squares of 16 pixels in random colours."""
    return make_scene(shape=SHAPE)


@pytest.fixture(scope="session")
def kept():
    return {}


@pytest.fixture
def truth(scene, tmp_path, tiny_model, kept):
    """What the model would see, were it not so fond of one class: half of the pixels each."""
    if "mask" not in kept:
        # What patches say, not the image's edges.
        settings = {"model": tiny_model, "vector_format": "none", "upsample": "bilinear"}
        spec = [{"name": "dark ground", "words": ["dark ground", "soil"]}, "bright ground"]
        low, high = -30.0, 30.0
        for number in range(12):
            middle = spec[0]["bias"] = (low + high) / 2
            made = library.segment(scene, spec, tmp_path / f"t{number}", **settings)
            much = (made.mask() == 1).mean()
            if 0.4 < much < 0.6:
                break
            low, high = (low, middle) if much > 0.5 else (middle, high)
        kept["mask"] = made.mask()
    return kept["mask"]


def points(scene, truth, path, count=40, names=("", "dark ground", "bright ground"), seed=1):
    """Label pixels at random, as many of each value of the truth."""
    rng = np.random.default_rng(seed)
    with rasterio.open(scene) as dataset:
        transform, crs = dataset.transform, dataset.crs
    shapes, classes = [], []
    for value in np.unique(truth):
        places = np.argwhere(truth == value)
        for row, col in places[rng.permutation(len(places))[:count]]:
            shapes.append(shapely.Point(transform @ (col + 0.5, row + 0.5)))
            classes.append(names[value])
    geopandas.GeoDataFrame({"class": classes}, geometry=shapes, crs=crs).to_file(path)
    return path


@pytest.fixture
def few(scene, truth, tmp_path):
    return points(scene, truth, tmp_path / "few.gpkg")


def share_of(scene, classes, truth, folder, **settings):
    mask = library.segment(
        scene, classes, folder, vector_format="none", upsample="bilinear", **settings
    ).mask()
    return (mask == truth).mean()


def test_the_map_becomes_what_the_labels_say(scene, truth, few, tmp_path, tiny_model):
    found = library.calibrate(scene, few, CLASSES, tmp_path / "tuned.yaml", model=tiny_model)
    assert found.used
    assert found.labels == {"dark ground": 40, "bright ground": 40}
    assert found.after.miou > found.before.miou + 0.1
    before = share_of(scene, CLASSES, truth, tmp_path / "a", model=tiny_model)
    after = share_of(scene, tmp_path / "tuned.yaml", truth, tmp_path / "b", model=tiny_model)
    assert after > max(before + 0.2, 0.9)
    # Without "other" among the labels no pixel is left out.
    assert all(item.threshold is None for item in found.legend.classes)


def test_the_file_says_what_was_fitted_and_runs_record_it(
    scene, truth, few, tmp_path, tiny_model, rsclip
):
    path = tmp_path / "tuned.yaml"
    done = rsclip(
        "calibrate", scene, "--labels", few, "--classes", CLASSES, "-o", path,
        "--model", tiny_model, "--gsd", 0.6,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "calibrated" in done.output
    content = yaml.safe_load(path.read_text())
    assert content["gsd"] == 0.6
    assert content["calibrated_for"]["method"] == "clearclip"
    assert content["classes"][0]["words"] == ["dark ground", "soil"]
    legend = load_legend(path)
    found = library.calibrate(
        scene, few, CLASSES, tmp_path / "other.yaml", model=tiny_model, gsd=0.6
    )
    assert found.legend == legend == load_legend(tmp_path / "other.yaml")
    settings = {"model": tiny_model, "vector_format": "none"}
    one = library.segment(scene, path, tmp_path / "out", **settings)
    assert one.run["settings"]["logit_scale"] == legend.calibration.logit_scale
    assert one.run["settings"]["gsd"] == 0.6
    assert one.run["classes"]["classes"][0]["bias"] == legend.classes[0].bias != 0
    again = library.segment(scene, path, tmp_path / "out", resume=True, **settings)
    assert again.status == "skipped"
    # A bias is part of what a run is.
    content["classes"][0]["bias"] += 1
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match="made with other settings"):
        library.segment(scene, path, tmp_path / "out", resume=True, **settings)


def test_batch_compare_and_evaluate_take_the_file(scene, truth, few, tmp_path, tiny_model, rsclip):
    path = tmp_path / "tuned.yaml"
    library.calibrate(scene, few, CLASSES, path, model=tiny_model)
    mask = library.segment(scene, path, tmp_path / "a", model=tiny_model).mask()
    done = rsclip("batch", scene, "--classes", path, "--model", tiny_model, "-o", tmp_path / "b")
    assert done.exit_code == 0, done.output
    library.compare(scene, path, "clearclip", output_dir=tmp_path / "c", model=tiny_model)
    for name in ("b/scene_mask.tif", "c/scene_clearclip_mask.tif"):
        with rasterio.open(tmp_path / name) as dataset:
            np.testing.assert_array_equal(dataset.read(1), mask)
    with rasterio.open(tmp_path / "a/scene_mask.tif") as dataset:
        profile = dataset.profile | {"driver": "GTiff"}
    with rasterio.open(tmp_path / "labels.tif", "w", **profile) as dataset:
        dataset.write(mask, 1)
    (trial,) = library.try_settings(
        scene, tmp_path / "labels.tif", path, config=library.SegmentConfig(model=tiny_model)
    )
    assert trial.scores.overall["miou"] == 1


def test_labels_of_no_class_give_thresholds(scene, truth, tmp_path, tiny_model):
    """Where a class's score is low, the labels say that it is something else."""
    settings = {"model": tiny_model, "vector_format": "none", "upsample": "bilinear"}
    spec = tmp_path / "plain.yaml"
    few = points(scene, truth, tmp_path / "few.gpkg", count=60)
    library.calibrate(scene, few, CLASSES, spec, **{"model": tiny_model})
    library.segment(scene, spec, tmp_path / "s", confidence=True, **settings)
    with rasterio.open(tmp_path / "s/scene_confidence.tif") as dataset:
        confidence = dataset.read(1)
    unsure = (truth == 1) & (confidence < np.quantile(confidence[truth == 1], 0.4))
    known = np.where(unsure, 3, truth)
    names = ("", "dark ground", "bright ground", "other")
    few = points(scene, known, tmp_path / "four.gpkg", count=60, names=names)
    found = library.calibrate(scene, few, CLASSES, tmp_path / "t.yaml", model=tiny_model)
    assert found.used
    assert found.labels["unclassified"] == 60
    assert found.legend.classes[0].threshold > 0.5
    wanted = np.where(unsure, 0, truth)
    after = share_of(scene, tmp_path / "t.yaml", wanted, tmp_path / "b", model=tiny_model)
    assert after > share_of(scene, spec, wanted, tmp_path / "c", model=tiny_model) + 0.1


def test_where_the_gain_is_within_twice_its_error_the_classes_stay_as_they_are(
    scene, tmp_path, tiny_model, monkeypatch
):
    noise = np.random.default_rng(5).integers(1, 3, SHAPE)
    few = points(scene, noise, tmp_path / "few.gpkg", count=10)
    monkeypatch.setattr(Candidate, "gain", lambda self, other: (0.03, 0.02))
    with pytest.warns(UserWarning, match="does not gain more than twice"):
        found = library.calibrate(scene, few, CLASSES, tmp_path / "t.yaml", model=tiny_model)
    assert not found.used
    assert yaml.safe_load((tmp_path / "t.yaml").read_text())["classes"][1] == {
        "name": "bright ground",
        "words": ["bright ground"],
        "colour": "#{:02x}{:02x}{:02x}".format(*load_legend(CLASSES).classes[1].colour),
    }
    assert load_legend(tmp_path / "t.yaml") == load_legend(load_legend(CLASSES))
    # What an earlier calibration found is not lost either.
    earlier = tmp_path / "earlier.yaml"
    earlier.write_text("classes: [{name: dark ground, bias: 4}, bright ground]\nlogit_scale: 50\n")
    with pytest.warns(UserWarning, match="does not gain more than twice"):
        library.calibrate(scene, few, earlier, tmp_path / "u.yaml", model=tiny_model)
    assert load_legend(tmp_path / "u.yaml") == load_legend(earlier)


def test_another_model_or_method_is_warned_of(scene, few, tmp_path, tiny_model, rsclip):
    path = tmp_path / "tuned.yaml"
    library.calibrate(scene, few, CLASSES, path, model=tiny_model)
    done = rsclip("segment", scene, "--classes", path, "--model", tiny_model, "--method", "clip",
                  "-o", tmp_path / "o")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "was calibrated for" in done.output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"output": "tuned.txt"}, "a class file is YAML"),
        ({"labels": "missing.gpkg"}, "no such file of labels"),
        ({"classes": "roof, sea"}, "no class in common"),
        ({"output": "few.yaml"}, "exist already"),
    ],
)
def test_bad_input_is_one_message(change, message, scene, few, tmp_path, tiny_model, rsclip):
    (tmp_path / "few.yaml").write_text("here before")
    given = {"labels": "few.gpkg", "classes": CLASSES, "output": "tuned.yaml"} | change
    before = sorted(tmp_path.iterdir())
    done = rsclip(
        "calibrate", scene, "--labels", tmp_path / given["labels"], "--classes", given["classes"],
        "-o", tmp_path / given["output"], "--model", tiny_model, "--json",
    )  # fmt: skip
    assert done.exit_code == 2, done.output
    assert message in done.output
    assert done.output.count("Error") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_labels_that_teach_nothing_are_refused_without_a_word_of_other_commands(
    scene, few, tmp_path, tiny_model, monkeypatch
):
    labels = geopandas.read_file(few)
    column = next(name for name in labels.columns if name != "geometry")
    labels.groupby(column).head(1).to_file(tmp_path / "single.gpkg")
    asked = {"classes": CLASSES, "output": tmp_path / "tuned.yaml", "model": tiny_model}
    with pytest.raises(SceneError, match=r"Label more places of each class\.$"):
        library.calibrate(scene, tmp_path / "single.gpkg", **asked)
    labels[labels[column] == labels[column][0]].to_file(tmp_path / "alone.gpkg")
    monkeypatch.setattr(examples, "_encode", lambda *_: pytest.fail("windows were encoded"))
    with pytest.raises(LegendError, match="all labels are of one class"):
        library.calibrate(scene, tmp_path / "alone.gpkg", **asked)
    assert not (tmp_path / "tuned.yaml").exists()


def test_rules_of_evidence_are_said_not_to_count(scene, few, tmp_path, tiny_model):
    classes = tmp_path / "ruled.yaml"
    classes.write_text(
        'classes:\n- dark ground\n- {name: bright ground, evidence: "ndvi > 0"}\n', "utf-8"
    )
    with pytest.warns(RsclipWarning, match="do not count while fitting: bright ground"):
        library.calibrate(scene, few, classes, tmp_path / "tuned.yaml", model=tiny_model)
    kept = load_legend(tmp_path / "tuned.yaml").classes
    assert [item.evidence for item in kept] == [
        item.evidence for item in load_legend(classes).classes
    ]


def task_of(scores, classes_of):
    """Two classes whose logits differ by so much, and none of them."""
    similarities = torch.tensor([[each, 0.0] for each in scores])
    count = len(scores)
    return Task(
        torch.eye(2), torch.tensor([0, 1]), plain([0, 1]), 2, 2, 1.0, torch.eye(2)[[0] * count],
        similarities, torch.tensor(classes_of), torch.ones(count),
    )  # fmt: skip


def test_a_threshold_lies_between_the_labels_and_must_gain_more_than_one():
    strong = {"strength": 1e9}
    scores = [0.5, 0.6, 0.7, 2.0, 2.5, 3.0, -1.0]
    three = fit_numbers(task_of(scores, [2, 2, 2, 0, 0, 0, 1]), strong)
    edges = torch.tensor([0.7, 2.0]).sigmoid()
    assert edges[0] < three.thresholds[0] < edges[1]
    assert three.thresholds[1] == 0
    assert three.predict(task_of(scores, [0] * 7)).tolist() == [2, 2, 2, 0, 0, 0, 1]
    one = fit_numbers(task_of(scores, [2, 0, 0, 0, 0, 0, 1]), strong)
    assert one.thresholds.tolist() == [0, 0]
    assert isinstance(one, Numbers)


def test_without_labels_the_size_and_words_of_most_agreement_are_taken(
    scene, tmp_path, tiny_model, rsclip
):
    path = tmp_path / "tuned.yaml"
    done = rsclip(
        "calibrate", scene, "--no-labels", "--gsd", "0.5,1", "--words", "given,first", "--classes",
        CLASSES, "-o", path, "--model", tiny_model, "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    trials = json.loads(done.stdout)["trials"]
    assert {(each["gsd"], each["words"]) for each in trials} == {
        (0.5, "given"), (1.0, "given"), (0.5, "first"), (1.0, "first")
    }  # fmt: skip
    shares = [each["agreement"] for each in trials]
    assert shares == sorted(shares, reverse=True)
    assert 0 < shares[-1] < shares[0] <= 1
    legend = load_legend(path)
    assert legend.calibration.gsd == trials[0]["gsd"]
    wanted = ("dark ground",) if trials[0]["words"] == "first" else ("dark ground", "soil")
    assert legend.classes[0].words == wanted
    again = library.calibrate_without_labels(
        scene, CLASSES, tmp_path / "b.yaml", gsd=[0.5, 1], words=["given", "first"],
        model=tiny_model,
    )  # fmt: skip
    assert [each.agreement for each in again] == shares


def test_one_class_everywhere_agrees_wholly(make_scene, tmp_path, tiny_model):
    spec = [{"name": "dark ground", "bias": 1000.0}, "bright ground"]
    (found,) = library.calibrate_without_labels(
        make_scene(shape=(70, 70)), spec, tmp_path / "a.yaml", gsd=[0.5], model=tiny_model
    )
    assert found.agreement == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "Give --labels FILE, or --no-labels"),
        (["--no-labels", "--labels", "few.gpkg"], "Give --labels FILE, or --no-labels"),
        (["--labels", "few.gpkg", "--gsd", "1,2"], "Several --gsd and --words go with --no-labels"),
        (["--no-labels", "--gsd", "-1"], "a pixel size is above 0"),
        (["--no-labels", "--words", "best"], "no words 'best'"),
        (["--no-labels", "--words", "tuned"], "tuned words are those of a set or a class file"),
    ],
)
def test_what_does_not_go_together_is_refused(flags, message, scene, tmp_path, tiny_model, rsclip):
    done = rsclip("calibrate", scene, "--classes", CLASSES, "-o", tmp_path / "t.yaml", "--model",
                  tiny_model, *flags)  # fmt: skip
    assert done.exit_code == 2
    assert message in done.output
    assert not (tmp_path / "t.yaml").exists()
