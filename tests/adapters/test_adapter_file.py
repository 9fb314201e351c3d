"""An adapter's file: read back as written, and refused where it is damaged."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file

from rsclip.adapters.adapter_file import read_adapter, write_adapter
from rsclip.adapters.fitted_for import CARRIED, KEY, adapter_layer, read_header
from rsclip.adapters.kinds import KINDS
from rsclip.config import SegmentConfig
from rsclip.errors import AdapterError, OptionError
from rsclip.words.legend import load_legend

LEGEND = load_legend("water|lake, road")
FACTS = {
    "legend": LEGEND.to_dict(), "model": {"name": "tiny", "weights_sha256": "ab" * 32},
    "method": "clearclip", "method_options": {"ffn": False},
    "settings": {"model": "tiny", "templates": "simple", "gsd": 0.5}, "pixel_size": None,
    "report": {},
}  # fmt: skip


@pytest.fixture
def path(tmp_path):
    tensors = {
        "class_index": torch.tensor([0, 0, 1]), "logit_scale": torch.tensor(50.0),
        "log_factor": torch.tensor(0.1), "bias": torch.tensor([1.0, -1.0]),
        "strength": torch.tensor(1.0),
    }  # fmt: skip
    write_adapter(tmp_path / "x.adapter", KINDS["bias"](tensors), FACTS)
    return tmp_path / "x.adapter"


def test_what_was_written_is_read(path):
    header = read_header(path)
    assert header.legend == LEGEND
    assert header.kind == "bias"
    assert adapter_layer({}, {"adapter": str(path)}, {"gsd": 2}) == FACTS["settings"]
    assert adapter_layer({"gsd": 2}) == {}
    adapter = read_adapter(header, 3, 8)
    found = adapter(torch.zeros(1, 8), torch.zeros(1, 3))
    torch.testing.assert_close(found, torch.tensor([[1.0, 1.0, -1.0]]) / 50)


def test_a_file_of_templates_is_read_only_where_the_user_names_it(path, tmp_path):
    file = tmp_path / "secret.txt"
    _with_facts(path, settings={**FACTS["settings"], "templates": str(file)})
    with pytest.raises(OptionError, match=r"x.adapter: it names a file of templates.*templates="):
        adapter_layer({"adapter": path})
    given = {"adapter": path, "templates": str(file)}
    assert adapter_layer(given)["templates"] == str(file)


def test_equal_adapters_are_equal_files(path, tmp_path):
    tensors = load_file(path)
    for number in range(8):
        again = tmp_path / f"{number}.adapter"
        write_adapter(again, KINDS["bias"](tensors), FACTS)
        assert again.read_bytes() == path.read_bytes()


def test_none_changes_nothing(tmp_path):
    write_adapter(tmp_path / "x.adapter", None, FACTS)
    assert read_adapter(read_header(tmp_path / "x.adapter"), 3, 8) is None


def _with_header(path, text):
    save_file(load_file(path), path, {KEY: text})


def _with_facts(path, **changes):
    _with_header(path, json.dumps({"version": 1, "kind": "bias", **FACTS, **changes}))


def _without(path, name):
    facts = {"version": 1, "kind": "bias", **FACTS}
    _with_header(path, json.dumps({key: facts[key] for key in facts if key != name}))


DAMAGE = {
    **{
        f"cut at {size}": lambda path, size=size: path.write_bytes(path.read_bytes()[:size])
        for size in (0, 5, 100, -1)
    },
    "text": lambda path: path.write_text("adapter: yes\n"),
    "endless header": lambda path: path.write_bytes(b"\xff" * 64),
    "of others": lambda path: save_file(load_file(path), path),
    "no JSON": lambda path: _with_header(path, "{"),
    "a list": lambda path: _with_header(path, "[1]"),
    **{
        f"without {name}": lambda path, name=name: _without(path, name)
        for name in ("version", "kind", *FACTS)
    },
    **{
        f"settings {settings}": lambda path, settings=settings: _with_facts(path, settings=settings)
        for settings in ({"magic": 1}, {"gsd": "far"}, {"overwrite": True}, ["gsd"])
    },
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_adapter_is_one_message(path, make_scene, tmp_path, rsclip, name):
    DAMAGE[name](path)
    done = rsclip("segment", make_scene(), "--adapter", path, "-o", tmp_path / "out")
    assert done.exit_code == 2, done.output
    (said,) = (line for line in done.output.splitlines() if line.startswith("Error: "))
    assert said.startswith(f"Error: {path}: ")
    assert said.endswith("Fit it again with `rsclip adapt`.")
    assert not (tmp_path / "out").exists()


def test_what_is_no_file_is_no_adapter(tmp_path):
    with pytest.raises(AdapterError, match="no such adapter"):
        read_header(tmp_path / "missing")
    with pytest.raises(AdapterError, match="a folder, no adapter"):
        read_header(tmp_path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"bias": torch.zeros(3)}, "'bias' is torch.float32 of shape"),
        ({"bias": torch.tensor([1.0, torch.nan])}, "'bias' holds NaN"),
        ({"bias": None}, "no tensor 'bias'"),
        ({"class_index": torch.tensor([0, 0, 2])}, "names no class"),
        ({"class_index": torch.tensor([0, 1])}, "'class_index' is"),
        ({"logit_scale": torch.tensor(0.0)}, "'logit_scale' is not above 0"),
        ({"logit_scale": torch.tensor(-50.0)}, "'logit_scale' is not above 0"),
        ({"logit_scale": torch.tensor(1e-45)}, "its tensors give NaN or infinity"),
        ({"log_factor": torch.tensor(1e3)}, "its tensors give NaN or infinity"),
    ],
)
def test_tensors_that_do_not_fit_are_damage(path, change, named):
    tensors = {key: value for key, value in (load_file(path) | change).items() if value is not None}
    save_file(tensors, path, {KEY: json.dumps({"version": 1, "kind": "bias", **FACTS})})
    with pytest.raises(AdapterError, match=named):
        read_adapter(read_header(path), 3, 8)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kind": "magic"}, "unknown kind 'magic'"),
        ({"version": 9}, "an adapter of version 9"),
        ({"legend": {}}, "damaged"),
        ({"method_options": 3}, "damaged"),
        ({"model": {}}, "damaged"),
        *[
            ({"pixel_size": size}, r"damaged \(pixel_size|damaged \(.*unpack|damaged \(.*iterable")
            for size in (
                [math.nan, 1],
                [1, math.nan],
                [1, math.inf],
                [0, 1],
                [2, 1],
                [1],
                [1, 2, 3],
                0.5,
            )
        ],
        # Fields that are whole in themselves, but none that fitting writes.
        *[
            ({"settings": {name: getattr(SegmentConfig(), name)}}, f"no adapter carries {name}")
            for name in sorted(SegmentConfig().to_dict().keys() - CARRIED)
        ],
    ],
)
def test_headers_that_do_not_fit_are_refused(path, change, named):
    _with_facts(path, **change)
    with pytest.raises(AdapterError, match=named):
        read_adapter(read_header(path), 3, 8)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"legend": load_legend("water, road")}, "the classes water, road, not.*other words"),
        ({"legend": load_legend("water|lake, roof")}, "not for water, roof"),
        ({"method": "gem"}, "the method clearclip, not for gem.*leave out yours"),
        ({"options": {"ffn": True}}, "ffn=False, not for ffn=True"),
        ({"templates": "imagenet80"}, "templates simple, not for imagenet80"),
        ({"synonyms": "mean"}, "synonyms max, not for mean"),
        ({"sha256": "cd" * 32}, r"tiny \(abababababab\), not for one of other weights"),
    ],
)
def test_another_use_is_refused_by_name(path, change, named):
    own = {"legend": LEGEND, "options": {"ffn": False}, "sha256": "ab" * 32}
    settings = {"method": "clearclip", "templates": "simple"}

    def check(**changed):
        given = {name: changed.pop(name, value) for name, value in own.items()}
        read_header(path).check(config=SegmentConfig(**(settings | changed)), **given)

    check()
    with pytest.raises(AdapterError, match=named):
        check(**change)
