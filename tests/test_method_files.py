"""Files that are passed on run no code, whatever they hold: docs/security.md."""

import json
import pickle

import pytest
import torch
import yaml

from rsclip.adapters.adapter_file import write_adapter
from rsclip.method_files import names_a_file
from tests.adapters.test_adapter_file import FACTS


class Harmful:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.fixture
def ran(tmp_path):
    """The file that harmful code would make."""
    return tmp_path / "ran"


@pytest.fixture
def mine(tmp_path, ran):
    """A method of a Python file, as settings name it."""
    file = tmp_path / "my methods.py"
    file.write_text(
        f"open({str(ran)!r}, 'w').close()\n"
        "from rsclip.methods import METHODS\nMINE = METHODS['clearclip']\n"
    )
    return f"{file}:MINE"


@pytest.fixture
def config(tmp_path, mine):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"method": mine}))
    return path


@pytest.mark.parametrize("command", ["segment", "compare", "info", "suggest", "batch"])
def test_a_configuration_runs_no_python_file(
    rsclip, make_scene, tmp_path, config, tiny_model, ran, command
):
    own = () if command == "info" else ("-o", tmp_path / "out.gpkg", "--classes", "a, b")
    done = rsclip(command, make_scene(), "--config", config, "--model", tiny_model, *own)
    assert done.exit_code == 2, done.output
    assert "it names a Python file as the method" in done.output
    assert "name it yourself: --method '" in done.output
    assert not ran.exists()


def test_the_user_may_name_it(rsclip, make_scene, tmp_path, config, mine, tiny_model, ran):
    flags = ("--config", config, "--model", tiny_model, "--templates", "simple", "--no-areas")
    done = rsclip(
        "segment", make_scene(), *flags, "--method", mine, "--classes", "a, b", "-o", tmp_path / "o"
    )
    assert done.exit_code == 0, done.output
    assert ran.exists()


def test_an_adapter_runs_no_python_file(rsclip, make_scene, tmp_path, mine, tiny_model, ran):
    path = tmp_path / "x.adapter"
    write_adapter(path, None, FACTS | {"settings": {"model": tiny_model, "method": mine}})
    done = rsclip("segment", make_scene(), "--adapter", path, "-o", tmp_path / "out")
    assert done.exit_code == 2, done.output
    assert "x.adapter: it names a Python file as the method" in done.output
    assert not ran.exists()


def test_the_record_of_a_run_runs_no_python_file(
    rsclip, make_scene, tmp_path, mine, tiny_model, ran
):
    out = tmp_path / "out"
    flags = ("--model", tiny_model, "--templates", "simple", "--classes", "a, b")
    assert rsclip("segment", make_scene(), *flags, "-o", out).exit_code == 0
    (record,) = out.glob("*_run.json")
    facts = json.loads(record.read_text())
    facts["settings"]["method"] = mine
    record.write_text(json.dumps(facts))
    done = rsclip("suggest", out, "-o", tmp_path / "todo.gpkg")
    assert done.exit_code == 2, done.output
    assert "it names a Python file as the method" in done.output
    assert not ran.exists()


@pytest.mark.parametrize("key", ["classes", "name"])
def test_yaml_makes_no_objects(rsclip, make_scene, tmp_path, ran, key):
    classes = tmp_path / "classes.yaml"
    classes.write_text(f"{key}: !!python/object/apply:builtins.open [{ran}, w]\n")
    done = rsclip("segment", make_scene(), "--classes", classes, "-o", tmp_path / "out")
    assert done.exit_code == 2, done.output
    assert not ran.exists()


def test_weights_are_no_program(rsclip, make_scene, tmp_path, tiny_model, ran):
    path = tmp_path / "weights.pt"
    torch.save({"state": Harmful(ran)}, path)
    # Read as pickles are, it does harm.
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    done = rsclip(
        "segment", make_scene(), "--model", tiny_model, "--weights", path, "--classes", "a, b",
        "-o", tmp_path / "out",
    )  # fmt: skip
    assert done.exit_code == 2, done.output
    assert not ran.exists()


def test_a_virtual_raster_runs_no_python(rsclip, make_scene, tmp_path, ran):
    """GDAL's pixel functions in Python stay off, as GDAL has them."""
    scene = make_scene()
    bands = "".join(
        f"""<VRTRasterBand dataType="Byte" band="{band}" subClass="VRTDerivedRasterBand">
        <PixelFunctionType>f</PixelFunctionType>
        <PixelFunctionLanguage>Python</PixelFunctionLanguage>
        <PixelFunctionCode><![CDATA[
def f(in_ar, out_ar, *rest, **more):
    open({str(ran)!r}, 'w').close()
    out_ar[:] = in_ar[0]
]]></PixelFunctionCode>
        <SimpleSource><SourceFilename>{scene}</SourceFilename><SourceBand>{band}</SourceBand>
        </SimpleSource></VRTRasterBand>"""
        for band in (1, 2, 3)
    )
    path = tmp_path / "harmful.vrt"
    path.write_text(f'<VRTDataset rasterXSize="90" rasterYSize="70">{bands}</VRTDataset>')
    done = rsclip("segment", path, "--classes", "a, b", "--model", "nano", "-o", tmp_path / "out")
    assert done.exit_code != 0
    assert not ran.exists()


def test_files_of_python_are_known_by_name():
    assert names_a_file("a b/m.py:X")
    assert names_a_file("m.py")
    assert names_a_file("odd\nname/m.py:X")
    assert not names_a_file("clearclip")
    assert not names_a_file("m.py:no name")
