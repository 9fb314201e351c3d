"""How a model is used where the user does not say: pixel size and logit scale."""

import json
import shutil

import numpy as np
import pytest
from affine import Affine

import rsclip
from rsclip.config import DEFAULT_LOGIT_SCALE, SegmentConfig
from rsclip.errors import collect_warnings
from rsclip.files import data_path
from rsclip.run.plan import plan_scenes
from rsclip.run.scene_report import describe_scene
from rsclip.run.working_pixel_size import apply_defaults, warn_of_pixel_size
from rsclip.scene.scene import Scene
from rsclip.types import ModelDefaults

RANGE = (0.3, 1.0)
PLAIN = {"vector_format": "none"}

pytestmark = pytest.mark.filterwarnings("ignore::rsclip.errors.RsclipWarning")


def pixels_of(size):
    return Affine(size, 0, 5e5, 0, -size, 5e6)


def model_saying(tmp_path, **stated):
    folder = tmp_path / "model"
    shutil.copytree(data_path("nano"), folder)
    path = folder / "open_clip_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **stated}))
    return str(folder)


@pytest.mark.parametrize(
    ("pixel", "asked", "works_at", "says"),
    [
        (0.05, None, 0.3, "works at 0.3 m (gsd=0.05 keeps the scene's pixels)"),
        (0.05, 0.05, 0.05, "or work at gsd=0.3"),
        (0.25, None, None, None),
        (0.5, None, None, None),
        (1.2, None, None, None),
        (5, None, 1, "works at 1 m (gsd=5 keeps the scene's pixels)"),
        (7, None, None, "or work at gsd=1"),
        (5, 5, 5, "or work at gsd=1"),
        (5, 0.5, 0.5, None),
        (0.001, None, None, "expect a poorer map"),
        (1000, None, None, "expect a poorer map"),
    ],
)
def test_pixels_of_a_size_that_the_model_does_not_know(make_scene, pixel, asked, works_at, says):
    path, config = make_scene(transform=pixels_of(pixel)), SegmentConfig(gsd=asked)
    with Scene.open(path, gsd=asked) as scene, collect_warnings() as said:
        settings = apply_defaults(scene, config, ModelDefaults(RANGE))
        warn_of_pixel_size(scene, config, RANGE)
        assert settings.gsd == works_at
        assert scene.pixel_size_m[0] == pytest.approx(pixel, rel=1e-3)
        expected = scene.shape[0] * pixel / (works_at or pixel)
        assert scene.working_shape[0] == max(round(expected), 1)
    assert [text.endswith(says or "") for text in said] == ([True] if says else [])
    assert all(f"pixels of {pixel:g} m" in text for text in said)


def test_a_scene_without_pixel_size_gets_a_hint(make_scene):
    with Scene.open(make_scene(crs=None)) as scene, collect_warnings() as said:
        assert apply_defaults(scene, SegmentConfig(), ModelDefaults(RANGE)).gsd is None
        warn_of_pixel_size(scene, SegmentConfig(), RANGE)
        warn_of_pixel_size(scene, SegmentConfig(), None)
    (text,) = said
    assert "pixel size in metres is unknown" in text


def test_the_user_the_model_then_the_default_say_the_logit_scale(make_scene):
    with Scene.open(make_scene()) as scene:
        for asked, own, expected in ((7, 9, 7), (None, 9, 9), (None, None, DEFAULT_LOGIT_SCALE)):
            config = SegmentConfig(logit_scale=asked)
            settings = apply_defaults(scene, config, ModelDefaults(None, own))
            assert settings.logit_scale == expected


def test_the_map_is_that_of_the_same_setting_given_outright(make_scene, tmp_path):
    """Alone, in an area, and after a rerun that needs no model."""
    scene = make_scene(shape=(700, 600), transform=pixels_of(0.05))
    model = model_saying(tmp_path, logit_scale=20)
    own = rsclip.segment(scene, "water, sand", tmp_path / "own", model=model, **PLAIN)
    given = rsclip.segment(
        scene, "water, sand", tmp_path / "given", model=model, gsd=0.3, logit_scale=20, **PLAIN
    )
    assert np.array_equal(own.mask(), given.mask())
    assert own.run["settings"] == given.run["settings"]
    assert own.run["settings_hash"] == given.run["settings_hash"]
    assert any("works at 0.3 m" in text for text in own.run["warnings"])
    area = "500002,4999980,500020,4999998"
    part = rsclip.segment(scene, "water, sand", tmp_path / "part", model=model, aoi=area, **PLAIN)
    inside = part.mask() != part.legend.nodata
    assert inside.any()
    assert np.array_equal(part.mask()[inside], own.mask()[inside])


def test_a_rerun_skips_and_adds_without_the_model(make_scene, tmp_path, monkeypatch):
    scene = make_scene(shape=(300, 300), transform=pixels_of(0.05))
    options = {"model": "nano", "resume": True, "resample_output": "working", **PLAIN}
    first = rsclip.segment(scene, "water, sand", tmp_path / "out", **options)
    assert first.mask().shape == (50, 50)
    with monkeypatch.context() as patch:
        patch.setattr("rsclip.run.encoder.load_model", None)
        again = rsclip.segment(scene, "water, sand", tmp_path / "out", **options)
        assert again.status == "skipped"
        assert again.run["settings"]["gsd"] == 0.3
        more = rsclip.segment(scene, "water, sand", tmp_path / "out", preview=True, **options)
        assert more.status == "done"
    assert more.run["settings"]["gsd"] == 0.3
    # The same map, asked for outright.
    same = rsclip.segment(scene, "water, sand", tmp_path / "out", gsd=0.3, **options)
    assert same.status == "skipped"
    other = {**options, "gsd": 0.05}
    with pytest.raises(rsclip.errors.ExistsError, match=r"gsd: 0\.3 -> 0\.05"):
        rsclip.segment(scene, "water, sand", tmp_path / "out", **other)


def test_plans_and_reports_say_it_too(make_scene, tmp_path):
    scene = make_scene(shape=(300, 300), transform=pixels_of(0.05))
    config = SegmentConfig(model="nano", max_memory="4GB")
    with collect_warnings() as said:
        (plan,) = plan_scenes([scene], "water, sand", tmp_path, config=config)
    facts = describe_scene(scene, config)
    assert (plan.gsd, facts["gsd"], facts["working_shape"]) == (0.3, 0.3, (50, 50))
    assert any("works at 0.3 m" in text for text in said)
    assert plan.windows == facts["tiles"] == 1


def test_comparing_works_at_the_same_pixels(make_scene, tmp_path):
    scene = make_scene(shape=(300, 300), transform=pixels_of(0.05))
    found = rsclip.compare(scene, "water, sand", "clearclip", tmp_path, model="nano")
    alone = rsclip.segment(scene, "water, sand", tmp_path / "alone", model="nano", **PLAIN)
    assert found.record["settings"]["gsd"] == 0.3
    assert found.record["settings"]["logit_scale"] == alone.run["settings"]["logit_scale"]
    with rsclip.scene.gdal.open_dataset(found.paths["clearclip_mask"]) as mask:
        assert np.array_equal(mask.read(1), alone.mask())
