"""The whole making of nano: that it says what it lacks, and that its steps fit together."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from rsclip.model.open_clip_import import import_open_clip

import_open_clip()

from rsclip.nano import make, own_labels, real, real_samples, train  # noqa: E402
from rsclip.nano.data import Pool, PoolScene  # noqa: E402
from rsclip.nano.export import VERSION  # noqa: E402
from rsclip.nano.mixed import MixedRun  # noqa: E402
from rsclip.nano.real import VARIABLE, RealSet  # noqa: E402
from rsclip.nano.scenes import CLASSES, MORE_CLASSES  # noqa: E402
from rsclip.nano.train import NanoRun  # noqa: E402
from tests.nano.test_data import small_scene  # noqa: E402

SHORE = RealSet("shore", 1.0, {0: ("water",), 1: ("sand",)}, lambda name: False)
CHIPS = RealSet("chips", 10.0, {"Lake": ("water",)}, lambda name: False, labels=None)


@pytest.mark.parametrize("given", [[], ["--real", "."]])
def test_without_the_imagery_it_says_what_to_fetch(given, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["make", "--output", "out", "--work", "work", *given])
    with pytest.raises(SystemExit) as stopped:
        make.main()
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "docs/nano.md" in said
    assert (
        "lacks usgs_monterey_dunes" in said if given else f"give --real, or set {VARIABLE}" in said
    )
    assert not list(tmp_path.iterdir())


class Encoder:
    """A sentence encoder that places each phrase at random, always at the same place."""

    def encode(self, sentences, **options):
        rows = [np.random.default_rng(list(text.encode())) for text in sentences]
        return np.stack([row.standard_normal(96) for row in rows]).astype(np.float32)


def every_class(count, **options):
    """A pool of two small scenes, which together have all classes."""
    scenes = [small_scene(0), small_scene(1)]
    scenes[1].labels[8:20] = np.arange(15, 21).repeat(2)[:, None]
    points = [(k, 100, 50) for k in range(len(CLASSES), len(CLASSES + MORE_CLASSES))]
    both = np.array([*scenes[1].points, *points], np.int32)
    scenes[1] = PoolScene(scenes[1].image, scenes[1].labels, both)
    return Pool(scenes, CLASSES + MORE_CLASSES if options.get("more") else CLASSES)


@pytest.fixture
def imagery(tmp_path, monkeypatch):
    for path in ("shore/images/a.png", "shore/labels/a.png", "chips/images/Lake/Lake_1.png"):
        file = tmp_path / "real" / path
        file.parent.mkdir(parents=True)
        label = np.tile(np.arange(2, dtype=np.uint8).repeat(80), (160, 1))
        Image.fromarray(label if "labels" in path else label * 100 + 50).convert(
            "L" if "labels" in path else "RGB"
        ).save(file)
    for name, file in (("shore", "images/a.png"), ("chips", "images/Lake/Lake_1.png")):
        table = f"file\tlicence\n{file}\tMIT\n"
        (tmp_path / "real" / name / "README.tsv").write_text(table, encoding="utf-8")
    monkeypatch.setattr(real, "SETS", (SHORE, CHIPS))
    monkeypatch.setattr(real_samples, "SAMPLES", ())
    shown = own_labels.Unlabelled("shore", "images/*.png")
    monkeypatch.setattr(own_labels, "UNLABELLED", (shown,))
    monkeypatch.setattr(own_labels, "SURE", 0.0)
    monkeypatch.setattr(Pool, "generate", every_class)
    monkeypatch.setattr(train, "load_teacher", Encoder)
    monkeypatch.setattr(make, "load_teacher", Encoder)
    return tmp_path / "real"


@pytest.mark.long
def test_a_tiny_run_goes_through_all_steps_and_a_second_one_goes_on(imagery, tmp_path, capsys):
    output, work = tmp_path / "model", tmp_path / "work"
    drawn = NanoRun(steps=2, text_steps=2, scenes=80, token_words=20)
    run = MixedRun(steps=2, scenes=200, drawn=2, masks=2, chips=2)
    runs = (run, replace(run, steps=3, own_labels=True))
    make.make(imagery, output, work, drawn, runs)
    config = json.loads((output / "open_clip_config.json").read_text(encoding="utf-8"))
    assert config["version"] == VERSION
    assert config["model_cfg"]["vision_cfg"]["layers"] == run.layers
    weights = (output / "open_clip_model.safetensors").read_bytes()
    first = capsys.readouterr().out
    assert '"phrases"' in first
    assert '{"images": 2, "from_step": 0}' in first
    assert '"step": 2, "synthetic"' in first
    # The second stage has the first's own labels of an image.
    assert '{"images": 3, "from_step": 0}' in first
    make.make(imagery, output, work, drawn, runs)
    assert '"from_step": 3' in capsys.readouterr().out
    assert (output / "open_clip_model.safetensors").read_bytes() == weights
    with pytest.raises(SystemExit, match="other settings"):
        make.make(imagery, output, work, drawn, (replace(run, steps=4), runs[1]))
