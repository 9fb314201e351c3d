"""The plugin's way into profiles and into a zip; no QGIS is needed."""

import configparser
import importlib
import json
import sys
import time
import xml.etree.ElementTree as ET
import zipfile

import pytest

from rsclip.qgis.installing import executable
from rsclip.qgis.profiles import find_profiles
from rsclip.version import __version__

FOREIGN = "[General]\nlocale=de\n\n[PythonPlugins]\nother=true\n\n[UI]\nname=\xfc\n"


@pytest.fixture
def home(tmp_path):
    for name in ("default", "field work"):
        (tmp_path / "profiles" / name / "QGIS").mkdir(parents=True)
    (tmp_path / "profiles/profiles.ini").write_text("[core]\ndefaultProfile=field work\n")
    return tmp_path


def test_install_status_uninstall(rsclip, home):
    ini = home / "profiles/field work/QGIS/QGIS3.ini"
    ini.write_text(FOREIGN, encoding="latin-1")
    arguments = ("--qgis-home", home)
    assert "not installed" in rsclip("qgis", "status", *arguments).output
    done = rsclip("qgis", "install", *arguments)
    assert done.exit_code == 0, done.output
    folder = home / "profiles/field work/python/plugins/rsclip_qgis"
    facts = json.loads((folder / "installed.json").read_text(encoding="utf-8"))
    assert (facts["executable"], facts["version"]) == (executable(), __version__)
    assert "set:landcover" in facts["choices"]["classes"]
    assert {"auto", "nano"} <= set(facts["choices"]["model"])
    assert not list(folder.rglob("__pycache__"))
    switched = FOREIGN.replace("[PythonPlugins]\n", "[PythonPlugins]\nrsclip_qgis=true\n")
    assert ini.read_text(encoding="latin-1") == switched
    # Again, as an update does, over a file of an older version.
    (folder / "old.py").write_text("")
    assert rsclip("qgis", "install", *arguments).exit_code == 0
    assert not (folder / "old.py").exists()
    assert ini.read_text(encoding="latin-1") == switched
    (state,) = json.loads(rsclip("qgis", "status", *arguments, "--json").output)
    assert (state["version"], state["enabled"], state["problem"]) == (__version__, True, None)
    flags = {option["flag"] for each in facts["commands"].values() for option in each["options"]}
    assert "--help" not in flags
    assert rsclip("qgis", "uninstall", *arguments).output == f"{folder}: removed\n"
    assert list(folder.parent.iterdir()) == []
    assert ini.read_text(encoding="latin-1") == FOREIGN
    assert "was not installed" in rsclip("qgis", "uninstall", *arguments).output


def test_every_option_has_the_help_of_the_command_line(rsclip, home):
    rsclip("qgis", "install", "--qgis-home", home)
    (path,) = home.rglob("installed.json")
    for name, facts in json.loads(path.read_text(encoding="utf-8"))["commands"].items():
        shown = " ".join(rsclip(*name.split(), "--help").output.split())
        for option in facts["options"]:
            if option["flag"] is not None:
                assert option["flag"] in shown
                assert option["help"], option


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "0.0.1"}, f"of rsclip 0.0.1, this is {__version__}: `rsclip qgis install`"),
        ({"executable": "/gone/rsclip"}, "/gone/rsclip is gone: `rsclip qgis install` mends it"),
        (None, "cannot be read: `rsclip qgis install` mends it"),
    ],
)
def test_status_says_what_is_wrong(rsclip, home, change, said):
    rsclip("qgis", "install", "--qgis-home", home)
    (path,) = home.rglob("installed.json")
    facts = json.loads(path.read_text(encoding="utf-8"))
    path.write_text("{" if change is None else json.dumps(facts | change))
    assert said in rsclip("qgis", "status", "--qgis-home", home).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--qgis-home", "/no/home"], "--qgis-home: no such folder"),
        (["--profile", "Default"], "no profile 'Default'"),
        (["--profile", ".."], "no profile '..'"),
        (["--profile", "../profiles/default"], "no profile '../profiles/default'"),
    ],
)
def test_a_profile_that_is_not_there(rsclip, home, arguments, said):
    where = [] if "--qgis-home" in arguments else ["--qgis-home", home]
    done = rsclip("qgis", "install", *arguments, *where)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert not list(home.rglob("rsclip_qgis"))


@pytest.mark.parametrize(
    ("part", "more"), [("profiles", ""), ("profiles/default", " `--profile default`")]
)
def test_a_part_of_a_home_is_no_home(rsclip, home, part, more):
    """QGIS would never look into a profile for profiles."""
    done = rsclip("qgis", "install", "--qgis-home", home / part)
    assert done.exit_code == 2
    assert f"Give the folder above `profiles`: `--qgis-home {home}`{more}." in done.stderr
    assert not list(home.rglob("rsclip_qgis"))


def test_a_home_of_any_name_may_be_of_any_qgis(rsclip, home):
    """QGIS takes one by --profiles-path, and names its settings by its own version."""
    ini = home / "profiles/default/QGIS/QGIS4.ini"
    ini.write_text(FOREIGN, encoding="latin-1")
    rsclip("qgis", "install", "--qgis-home", home, "--profile", "default")
    assert "rsclip_qgis=true" in ini.read_text(encoding="latin-1")
    assert not ini.with_name("QGIS3.ini").exists()


def test_no_qgis_at_all_and_one_of_each_version(rsclip, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    done = rsclip("qgis", "install")
    assert done.exit_code == 2
    assert "Start QGIS once, or give the folder that holds its profiles" in done.stderr
    for version in "34":
        (tmp_path / f"QGIS/QGIS{version}/profiles/default").mkdir(parents=True)
    three, four = find_profiles()
    three.enable(True)
    four.enable(True)
    assert (three.folder / "QGIS/QGIS3.ini").exists()
    assert (four.folder / "QGIS/QGIS4.ini").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("scene.tif", "scene.tif: is no name for a zip. Name a file that ends in .zip."),
        ("folder.zip", "folder.zip: is no name for a zip"),
        ("scene.tif/a.zip", "scene.tif/a.zip: the plugin cannot be written or removed there: "),
    ],
)
def test_where_no_zip_can_be(rsclip, tmp_path, name, said):
    (tmp_path / "folder.zip").mkdir()
    (tmp_path / "scene.tif").write_text("kept")
    done = rsclip("qgis", "zip", "-o", tmp_path / name)
    assert done.exit_code == 2
    assert said in done.stderr
    assert (tmp_path / "scene.tif").read_text() == "kept"


def test_the_zip_is_what_the_plugin_manager_takes(rsclip, tmp_path, repository):
    """One folder with metadata.txt and __init__.py: docs.qgis.org, "Structuring Python plugins"."""
    path = tmp_path / "new/plugin.zip"
    assert rsclip("qgis", "zip", "-o", path).output == f"{path}\n"
    with zipfile.ZipFile(path) as pack:
        names = pack.namelist()
        metadata = configparser.ConfigParser(interpolation=None)
        metadata.read_string(pack.read("rsclip_qgis/metadata.txt").decode())
        facts = json.loads(pack.read("rsclip_qgis/installed.json"))
        assert pack.read("rsclip_qgis/LICENSE") == (repository / "LICENSE").read_bytes()
        icon = ET.fromstring(pack.read("rsclip_qgis/icon.svg"))
    assert {name.partition("/")[0] for name in names} == {"rsclip_qgis"}
    assert "rsclip_qgis/__init__.py" in names
    assert not [name for name in names if "__pycache__" in name]
    general = metadata["general"]
    needed = {"name", "qgisMinimumVersion", "description", "about", "version", "author", "email"}
    assert all(general.get(key) for key in needed)
    assert general["version"] == __version__
    assert f"rsclip_qgis/{general['icon']}" in names
    assert icon.tag.endswith("svg")
    # On another machine this machine's path means nothing.
    assert facts["executable"] is None
    plugins = tmp_path / "profiles/default/python/plugins"
    zipfile.ZipFile(path).extractall(plugins)
    assert "rsclip on the PATH" in rsclip("qgis", "status", "--qgis-home", tmp_path).stdout


@pytest.fixture
def process(rsclip, home, monkeypatch):
    """The plugin's module that runs commands, from a profile."""
    rsclip("qgis", "install", "--qgis-home", home)
    monkeypatch.syspath_prepend(home / "profiles/field work/python/plugins")
    yield importlib.import_module("rsclip_qgis.process")
    for name in [name for name in sys.modules if name.startswith("rsclip_qgis")]:
        del sys.modules[name]


def test_a_command_runs_without_the_paths_of_qgis(process, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("PROJ_LIB", "/nowhere")
    code = "import os, sys; print(os.environ.get('PROJ_LIB'), 'ö'); sys.exit('Error: wrong')"
    heard = []
    done = process.run([sys.executable, "-c", code], heard.append)
    assert done == (1, "None ö\n", "Error: wrong\n")
    assert heard == ["Error: wrong"]
    with pytest.raises(process.ProcessError, match=r"/no/such cannot be run: No such file"):
        process.run(["/no/such"])


def test_a_process_that_is_cancelled_ends(process):
    code = "import time; print('on', flush=True); time.sleep(600)"
    began = time.monotonic()
    status, said, _ = process.run(
        [sys.executable, "-c", code], canceled=lambda: time.monotonic() > began + 1
    )
    assert (status != 0, said) == (True, "on\n")


def test_progress_is_a_share_of_all_scenes(process):
    progress = process.Progress()

    def read(stage, done, total, scene=None):
        line = {"stage": stage, "scene": scene, "done": done, "total": total}
        assert progress.read(json.dumps(line)) is None
        return progress.percent

    assert read("scenes", 0, 4) == 0
    assert read("windows", 5, 10, "a") == 12.5
    assert read("windows", 10, 10, "a") == 25
    assert read("windows", 1, 2, "b") == 37.5
    assert read("scenes", 1, 4) == 37.5
    assert read("scenes", 4, 4) == 100
    for text in ("Warning: it is", "{", '{"a": 1}', "[1]", ""):
        assert progress.read(text) == text


def test_which_executable(process, monkeypatch, tmp_path):
    assert process.find_executable() == [executable()]
    assert process.find_executable(sys.executable) == [sys.executable, "-m", "rsclip"]
    with pytest.raises(process.ProcessError, match=r"/gone is not there\. Install it"):
        process.find_executable("/gone")
    monkeypatch.setitem(process.FACTS, "executable", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(process.ProcessError, match="no rsclip on the PATH"):
        process.find_executable()
