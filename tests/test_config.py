"""Defaults under a file under flags; a preset speaks within its own layer."""

import dataclasses

import pytest

from rsclip.config import SegmentConfig, build_config, read_config_file
from rsclip.errors import OptionError, RsclipWarning


def test_later_layers_win():
    config = build_config({"logit_scale": 40, "window": 64}, {"logit_scale": 30})
    assert (config.logit_scale, config.window) == (30.0, 64)


@pytest.mark.parametrize(
    ("layers", "overlap", "stride", "blend"),
    [
        ([], None, None, "hann"),
        ([{"preset": "paper"}], 0.5, None, "mean"),
        ([{"preset": "paper", "blend": "gaussian"}], 0.5, None, "gaussian"),
        ([{"preset": "paper"}, {"blend": "hann"}], 0.5, None, "hann"),
        ([{"blend": "gaussian"}, {"preset": "paper"}], 0.5, None, "mean"),
        ([{"preset": "paper"}, {"preset": "fast"}], 0.25, None, "hann"),
        ([build_config({"preset": "paper"}).to_dict(), {"preset": "fast"}], 0.25, None, "hann"),
        ([{"blend": "gaussian"}, {"preset": "fast"}], 0.25, None, "gaussian"),
        ([{"stride": 32}, {"preset": "fast"}], 0.25, None, "hann"),
        ([{"preset": "fast"}, {"stride": 32}], None, 32, "hann"),
        ([{"preset": "fast", "stride": 32}], None, 32, "hann"),
        ([{"stride": 32}, {"overlap": 0.75}], 0.75, None, "hann"),
    ],
)
def test_presets_and_the_two_words_for_the_step(layers, overlap, stride, blend):
    config = build_config(*layers)
    assert (config.overlap, config.stride, config.blend) == (overlap, stride, blend)


def test_presets_and_upsampling():
    assert SegmentConfig().upsample == build_config({"preset": "balanced"}).upsample == "jbu:2"
    assert SegmentConfig(upsample="bilinear").upsample == "bilinear"
    for preset in ("fast", "paper"):
        assert build_config({"preset": preset}).upsample == "bilinear"
        assert build_config({"preset": preset}, {"upsample": "jbu"}).upsample == "jbu"


def test_a_preset_means_the_same_in_python():
    assert SegmentConfig(preset="paper") == build_config({"preset": "paper"})
    assert SegmentConfig(preset="paper", blend="hann").blend == "hann"
    assert SegmentConfig(preset="fast", stride=32).overlap is None


def test_a_built_configuration_builds_itself_again():
    config = build_config({"preset": "paper", "window": 64, "bidx": [4, 1, 2]})
    assert build_config(config.to_dict()) == config
    assert build_config(config.to_dict(), {"stride": 32}).stride == 32


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"treshold": 0.5}, "Did you mean threshold"),
        ({"threshold": "high"}, "threshold.*a number"),
        ({"threshold": float("nan")}, "threshold.*from 0 to 1"),
        ({"window": 64.5}, "window.*whole number"),
        ({"window": True}, "window.*whole number"),
        ({"blend": "max"}, "blend.*hann, mean, gaussian"),
        ({"preset": "slow"}, "unknown preset 'slow'"),
        ({"preset": ["paper"]}, "unknown preset"),
        ({"overlap": 0.95}, "overlap.*from 0 to 0.9"),
        ({"overlap": 0.5, "stride": 32}, "the same thing"),
        ({"window": 64, "stride": 80}, "stride 80 is larger than the window 64"),
        ({"bidx": [1, 2]}, "bidx.*three bands"),
        ({"overwrite": "yes"}, "overwrite.*true or false"),
        ({"batch_size": 0}, "batch_size"),
        ({"method_option": ["residual"]}, "method_option"),
    ],
)
def test_what_does_not_fit_is_refused(layer, message):
    with pytest.raises(OptionError, match=message):
        build_config(layer)


def test_a_file_that_is_no_configuration(tmp_path):
    path = tmp_path / "c.yaml"
    for text, message in (
        ("- a\n- b\n", "option: value"),
        ("window: [unclosed", "not valid YAML"),
        ("wndow: 3", "Did you mean window"),
        ("window: -3", "window"),
        ("window: 32\nwindow: 64", "not valid YAML at line 2: the key `window` stands twice"),
        ("batch-size: 2\nbatch_size: 4", "the key `batch_size` stands twice"),
    ):
        path.write_text(text)
        with pytest.raises(OptionError, match=message) as caught:
            read_config_file(path)
        assert str(path) in str(caught.value)
    path.write_text("")
    assert read_config_file(path) == {}
    path.write_text("logit-scale: 40\npreset: fast\n")
    assert build_config(read_config_file(path)).overlap == 0.25


@pytest.mark.parametrize("name", [item.name for item in dataclasses.fields(SegmentConfig)])
@pytest.mark.parametrize(
    "value", [{"a": 1}, {}, {1: 2}, [{}], [None], object(), 10**400, b"x", {3}]
)
def test_a_value_of_another_type_is_one_clear_error(name, value):
    fitting = {"method_option": ({"a": 1}, {}), "rasters": ({},)}
    if value in fitting.get(name, ()):
        assert getattr(build_config({name: value}), name) == value
        return
    with pytest.raises(OptionError, match="preset" if name == "preset" else "It takes|Choose") as e:
        build_config({name: value})
    assert name in str(e.value).replace("-", "_")


def test_every_field_tells_its_purpose():
    for item in dataclasses.fields(SegmentConfig):
        assert item.metadata["help"].endswith((".", "]."))


def test_a_stronger_layers_method_takes_its_own_options_only():
    file = {"method": "scclip", "method_option": {"contamination": 0.1}}
    with pytest.warns(RsclipWarning, match="set for scclip do not apply to clearclip"):
        config = build_config(file, {"method": "clearclip"})
    assert config.method_option == {}
    with pytest.warns(RsclipWarning):
        config = build_config(file, {"method": "sclip", "method_option": {"bias_lambda": 1}})
    assert config.method_option == {"bias_lambda": 1}
    config = build_config(file, {"method": "scclip", "method_option": {"beta": 0.3}})
    assert config.method_option == {"contamination": 0.1, "beta": 0.3}


def test_options_without_a_method_belong_to_the_method_below_them():
    lone = {"method_option": {"contamination": 0.1}}
    default = build_config().method
    with pytest.warns(RsclipWarning, match=f"set for {default} do not apply to scclip .*contamin"):
        assert build_config(lone, {"method": "scclip"}).method_option == {}
    with pytest.warns(RsclipWarning, match="set for scclip do not apply to sclip"):
        config = build_config({"method": "scclip"}, lone, {"method": "sclip"})
    assert config.method_option == {}
    assert build_config({"method": "scclip"}, lone).method_option == {"contamination": 0.1}
    assert build_config(lone, {"method": default}).method_option == {"contamination": 0.1}
