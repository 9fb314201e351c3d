"""`rsclip distill`: a smaller model that sees as a large one does."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from click.testing import CliRunner

import rsclip
import rsclip.errors
from rsclip.errors import ExistsError, InputError, ModelError, OptionError
from rsclip.model.weights.catalog import describe_model
from rsclip.study.distill import training
from rsclip.study.distill.images import draw_batches, find_images, hold_out, open_images
from rsclip.study.distill.student import kept_blocks
from rsclip.types import ModelDefaults
from rsclip_cli.main import cli

WORDS = "water, forest, road"


@pytest.fixture
def images(make_scene, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        make_scene(f"images/scene{number}.tif", shape=(60 + number, 70))
    return folder


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "open_clip_model.safetensors")


def test_a_student_runs_like_any_model(tiny_model, images, tmp_path):
    student = tmp_path / "student"
    done = rsclip.distill(tiny_model, images, student, steps=4, batch=4, classes=WORDS)
    assert sorted(path.name for path in student.iterdir()) == [
        "README.md", "open_clip_config.json", "open_clip_model.safetensors", "report.json"
    ]  # fmt: skip
    assert (done.blocks, done.teacher_blocks) == ([1], 2)
    assert (done.images, done.held_out) == (2, 1)
    assert done.losses[-1] < done.losses[0]
    assert 0 < done.agreement <= 1
    report = json.loads((student / "report.json").read_text(encoding="utf-8"))
    assert (report["images"], report["folder"]) == (2, str(images))
    assert report["files"] == ["scene0.tif", "scene1.tif", "scene2.tif"]
    card = (student / "README.md").read_text(encoding="utf-8")
    assert tiny_model in card
    assert report["teacher_sha256"] in card
    result = rsclip.segment(images / "scene0.tif", WORDS, tmp_path / "out", model=student)
    assert result.run["model"]["name"] == str(student)
    # Text is read by the teacher's own tower.
    teacher, small = rsclip.load_model(tiny_model), rsclip.load_model(student)
    assert torch.equal(teacher.text_features([["a lake"]]), small.text_features([["a lake"]]))
    assert small.depth == 1
    assert describe_model(str(student))["source"] == f"distilled from {tiny_model} by rsclip"
    assert (small.mean, small.std) == (teacher.mean, teacher.std)


def test_the_command_does_what_the_function_does(tiny_model, images, tmp_path):
    options = ["--images", str(images), "--steps", "2", "--batch", "4", "--icl", "0.5"]
    done = CliRunner().invoke(
        cli, ["distill", tiny_model, *options, "-o", str(tmp_path / "one"), "--json"]
    )
    assert done.exit_code == 0, done.output
    found = rsclip.distill(tiny_model, images, tmp_path / "other", steps=2, batch=4, icl=0.5)
    assert json.loads(done.stdout)["losses"] == list(found.losses)
    one, other = weights(tmp_path / "one"), weights(tmp_path / "other")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_killed_run_goes_on_to_the_same_student(tiny_model, images, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_SAVE_SECONDS", -1.0)

    def kill(done, total):
        if done == 3:
            raise KeyboardInterrupt

    how = {"steps": 6, "batch": 4, "icl": 1.0, "classes": WORDS}
    rsclip.distill(tiny_model, images, tmp_path / "whole", **how)
    with pytest.raises(KeyboardInterrupt):
        rsclip.distill(tiny_model, images, tmp_path / "killed", progress=kill, **how)
    assert [path.name[0] for path in (tmp_path / "killed").iterdir()] == ["."]
    steps = []
    rsclip.distill(
        tiny_model, images, tmp_path / "killed", resume=True,
        progress=lambda done, total: steps.append(done), **how,
    )  # fmt: skip
    assert steps[0] == 4
    whole, killed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    reports = [
        json.loads((tmp_path / name / "report.json").read_text(encoding="utf-8"))
        for name in ("whole", "killed")
    ]
    assert reports[0]["losses"] == reports[1]["losses"]


def test_ctrl_c_tells_of_the_checkpoint_and_a_stopped_start_keeps_it(
    tiny_model, images, tmp_path, monkeypatch
):
    monkeypatch.setattr(training, "_SAVE_SECONDS", -1.0)

    def stop(*_, **__):
        raise KeyboardInterrupt

    how = {"steps": 4, "batch": 4}
    student = tmp_path / "student"
    with pytest.raises(KeyboardInterrupt) as caught:
        rsclip.distill(tiny_model, images, student, progress=stop, **how)
    assert "--resume goes on" in caught.value.__notes__[0]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as caught:
        patch.setattr("rsclip.study.distill.run.load_backbone", stop)
        rsclip.distill(tiny_model, images, student, resume=True, **how)
    assert "--resume goes on" in caught.value.__notes__[0]
    steps = []
    rsclip.distill(tiny_model, images, student, resume=True, progress=lambda *at: steps.append(at),
                   **how)  # fmt: skip
    assert steps[0] == (2, 4)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as caught:
        patch.setattr("rsclip.study.distill.run.train", stop)
        rsclip.distill(tiny_model, images, tmp_path / "other", **how)
    assert not hasattr(caught.value, "__notes__")
    assert not (tmp_path / "other").exists()


def test_the_checkpoint_of_another_run_is_not_gone_on_from(
    tiny_model, images, tmp_path, monkeypatch
):
    monkeypatch.setattr(training, "_SAVE_SECONDS", -1.0)

    def kill(done, total):
        raise KeyboardInterrupt

    student = tmp_path / "student"
    with pytest.raises(KeyboardInterrupt):
        rsclip.distill(tiny_model, images, student, steps=2, batch=4, progress=kill)
    steps = []
    with pytest.warns(rsclip.errors.RsclipWarning, match="starts over"):
        rsclip.distill(
            tiny_model, images, student, steps=2, batch=4, seed=1, resume=True,
            progress=lambda done, total: steps.append(done),
        )  # fmt: skip
    assert steps == [1, 2]


def test_a_damaged_checkpoint_is_refused(tiny_model, images, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_SAVE_SECONDS", -1.0)

    def damage(done, total):
        (checkpoint,) = (tmp_path / "student").rglob("checkpoint.pt")
        checkpoint.write_bytes(b"PK\x03\x04 nonsense")
        raise KeyboardInterrupt

    how = {"steps": 2, "batch": 4}
    with pytest.raises(KeyboardInterrupt):
        rsclip.distill(tiny_model, images, tmp_path / "student", progress=damage, **how)
    with pytest.raises(InputError, match=r"checkpoint .* damaged .* Leave out resume"):
        rsclip.distill(tiny_model, images, tmp_path / "student", resume=True, **how)
    rsclip.distill(tiny_model, images, tmp_path / "student", **how)


def test_labelled_images_are_scored_and_not_learned_from(tiny_model, images, tmp_path):
    labels = tmp_path / "labels"
    labels.mkdir()
    with rasterio.open(images / "scene1.tif") as dataset:
        profile = {**dataset.profile, "count": 1}
        truth = np.random.default_rng(0).integers(1, 4, (1, *dataset.shape), dtype=np.uint8)
    with rasterio.open(labels / "scene1_labels.tif", "w", **profile) as dataset:
        dataset.write(truth)
    with pytest.warns(rsclip.errors.RsclipWarning, match="no class names"):
        done = rsclip.distill(
            tiny_model, images, tmp_path / "student", steps=1, batch=4, classes=WORDS,
            labels=labels,
        )  # fmt: skip
    assert (done.images, done.held_out) == (2, 1)
    assert {*done.miou} == {"teacher", "student"}
    assert 0 < done.miou["student"] < 1
    assert any("mean IoU" in row[0] for row in done.table()[1])


@pytest.mark.parametrize(
    ("shape", "depth", "blocks"),
    [
        ("small", 12, [0, 2, 4, 7, 9, 11]),
        ("tiny", 12, [0, 6, 11]),
        ("small", 9, [0, 3, 5, 8]),
        ("5", 9, [0, 2, 4, 6, 8]),
        ("1", 9, [8]),
        ("tiny", 2, [1]),
    ],
)
def test_blocks_are_evenly_spaced_and_the_last_is_kept(shape, depth, blocks):
    assert kept_blocks(shape, depth) == blocks


@pytest.mark.parametrize("shape", ["9", "12", "0", "huge", "-1", ""])
def test_a_shape_is_smaller_than_the_teacher(shape):
    with pytest.raises(OptionError, match=r"shape.* Choose "):
        kept_blocks(shape, 9)


def test_windows_depend_on_seed_and_step_alone(images):
    opened = open_images(find_images(images), rsclip.SegmentConfig(), ModelDefaults())
    whole = list(draw_batches(opened, (32, 32), 5, 7, range(3)))
    (last,) = draw_batches(opened, (32, 32), 5, 7, range(2, 3))
    assert whole[2].shape == (5, 3, 32, 32)
    assert np.array_equal(whole[2], last)
    assert not np.array_equal(whole[1], last)
    assert 0 <= last.min() < last.max() <= 1


def test_rasters_without_a_place_are_as_good(make_scene, tmp_path, recwarn):
    (tmp_path / "frames").mkdir()
    make_scene("frames/a.tif", crs=None, transform=rasterio.Affine.identity())
    recwarn.clear()
    (only,) = open_images(find_images(tmp_path / "frames"), rsclip.SegmentConfig(), ModelDefaults())
    assert only.scene.pixel_size_m is None
    assert not [each for each in recwarn if each.category is rsclip.errors.RsclipWarning]


def test_every_tenth_image_is_held_out(make_scene, tmp_path):
    (tmp_path / "many").mkdir()
    for number in range(21):
        make_scene(f"many/{number:02}.tif", shape=(16, 16))
    opened = open_images(find_images(tmp_path / "many"), rsclip.SegmentConfig(), ModelDefaults())
    rest, held = hold_out(opened, set())
    assert [each.path.stem for each in held] == ["09", "19"]
    assert len(rest) == 19


class TestRefused:
    """One message that says what, where and the remedy; nothing is left behind."""

    def refused(self, kind, match, tiny_model, images, output, **how):
        with pytest.raises(kind, match=match):
            rsclip.distill(tiny_model, images, output, **how)
        assert not output.exists() or output.is_file() or not list(output.rglob("*.safetensors"))

    def test_a_folder_that_is_missing_empty_or_without_rasters(self, tiny_model, tmp_path):
        folder, output = tmp_path / "images", tmp_path / "student"
        self.refused(InputError, "no such folder", tiny_model, folder, output)
        folder.mkdir()
        self.refused(InputError, "the folder is empty", tiny_model, folder, output)
        (folder / "notes.txt").write_text("no raster")
        self.refused(InputError, "none of its 1 files is a raster", tiny_model, folder, output)
        assert not output.exists()

    def test_rasters_without_colours(self, tiny_model, images, make_scene, tmp_path):
        make_scene("images/height.tif", count=1)
        match = r"1 of 4 rasters have no red, green and blue band: height\.tif.* bidx"
        self.refused(InputError, match, tiny_model, images, tmp_path / "student")
        assert not (tmp_path / "student").exists()

    def test_one_image_alone(self, tiny_model, make_scene, tmp_path):
        (tmp_path / "images").mkdir()
        make_scene("images/scene.tif")
        self.refused(
            InputError,
            "0 of 1 images are left",
            tiny_model,
            tmp_path / "images",
            tmp_path / "out",
        )

    @pytest.mark.parametrize(
        ("how", "match"),
        [
            ({"shape": "2"}, "no smaller than its teacher, which has 2"),
            ({"steps": 0}, "steps"),
            ({"batch": 0}, "batch"),
            ({"icl": -1.0}, "icl"),
            ({"icl": float("nan")}, "icl"),
            ({"labels": "here"}, "classes"),
            ({"method": "nonsense"}, "method"),
            ({"classes": WORDS, "labels": "nowhere"}, "nowhere: no such folder"),
        ],
    )
    def test_options_that_do_not_fit(self, how, match, tiny_model, images, tmp_path):
        self.refused(InputError, match, tiny_model, images, tmp_path / "student", **how)

    def test_a_teacher_that_reads_no_words(self, images, tmp_path):
        self.refused(ModelError, "reads no words", "dino-vits8", images, tmp_path / "student")

    def test_a_teacher_without_the_form_of_a_clip(self, images, tmp_path):
        blip = Path(__file__).parents[2] / "data/blip"
        self.refused(ModelError, "a BLIP cannot", blip, images, tmp_path / "student")

    def test_a_student_that_exists(self, tiny_model, images, tmp_path):
        student = tmp_path / "student"
        student.write_text("a file")
        self.refused(InputError, "not a folder", tiny_model, images, student)
        rsclip.distill(tiny_model, images, tmp_path / "done", steps=1, batch=4)
        with pytest.raises(ExistsError, match="overwrite"):
            rsclip.distill(tiny_model, images, tmp_path / "done", steps=1, batch=4)

    def test_the_teacher_is_not_written_over(self, tiny_model, images):
        with pytest.raises(InputError, match="over the input"):
            rsclip.distill(tiny_model, images, tiny_model, steps=1, overwrite=True)
        assert rsclip.load_model(tiny_model).depth == 2
