import errno
import os
from pathlib import Path

import pytest

from rsclip.config import read_config_file
from rsclip.errors import InputError, LegendError, OptionError
from rsclip.files import cache_folder, expand, new_file, read_rows, read_text
from rsclip.words.legend import load_legend
from rsclip.words.prompts import load_templates

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_text_with_a_byte_order_mark_is_read_wherever_users_give_text(tmp_path, encoding):
    def written(name, text):
        path = tmp_path / name
        path.write_text(text, encoding=encoding)
        return path

    classes = load_legend(str(written("classes.csv", "name;words\nwässer;water\nforest;forest\n")))
    assert [item.name for item in classes.classes] == ["wässer", "forest"]
    assert read_config_file(written("run.yaml", "gsd: 1\n")) == {"gsd": 1}
    assert load_templates(str(written("templates.txt", "ä photo of {}\n"))) == ("ä photo of {}",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("water\nforest\n".encode("utf-16-le"), "UTF-16 without a byte order mark"),
        ("water\nforest\n".encode("utf-16-be"), "UTF-16 without a byte order mark"),
        ("water\nwälder\n".encode("latin-1"), "line 2: it may be Latin-1"),
        (b"\xff\xfea", "damaged UTF-16 text"),
        (b"II*\0\x08\0\0\0\0\0\0\0\0\0\0\0\xfe", "not a text file"),
    ],
)
def test_text_in_another_encoding_is_named_with_the_remedy(tmp_path, content, said):
    for name, read, kind in (
        ("a.txt", lambda path: load_legend(str(path)), LegendError),
        ("a.yaml", read_config_file, OptionError),
        ("a.lst", lambda path: read_text(path, "list", InputError), InputError),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(kind, match=f"{said}.*Save the file as UTF-8"):
            read(path)


def test_rows_are_separated_by_what_the_first_line_has_most_of():
    assert list(read_rows('a;b\n\n"1\n2"; 3\n', "x", InputError)) == [
        (1, ["a", "b"]),
        (4, ["1\n2", "3"]),
    ]


def test_a_new_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(OSError, match="full"), new_file(path) as draft:
        draft.write_text("half")
        raise OSError("full")
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "before"
    with new_file(path) as draft:
        draft.write_text("after")
    assert path.read_text() == "after"
    assert os.listdir(tmp_path) == ["a.txt"]  # noqa: PTH208


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="users without an entry are a Unix thing")
def test_without_a_home_nothing_is_cached_and_paths_stay(monkeypatch):
    for name in ("HOME", "RSCLIP_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 5)
    assert cache_folder() is None
    assert expand("~/a") == Path("~/a")
    monkeypatch.setenv("RSCLIP_CACHE", "~/b")
    assert cache_folder() is None
    monkeypatch.setenv("HOME", "/c")
    assert cache_folder() == Path("/c/b")
    with pytest.raises(LegendError, match="no such class file"):
        load_legend("~nobody-of-that-name/a.yaml")


@pytest.fixture
def forbidden(tmp_path, monkeypatch):
    """Return a folder that this user may not look into."""
    home, stat = tmp_path / "home", os.stat

    def refused(path, *args, **options):
        if str(path).startswith(f"{home}/"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return stat(path, *args, **options)

    monkeypatch.setattr(os, "stat", refused)
    return home


def test_the_home_of_another_user_is_as_none(rsclip, make_scene, tmp_path, monkeypatch, forbidden):
    """A service may run with the HOME of who has started it."""
    for name in ("RSCLIP_CACHE", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(forbidden))
    hub = f"{forbidden}/.cache/huggingface/hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", hub)
    done = rsclip("segment", make_scene(), "--classes", "water, road", "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    for command in (["models", "list"], ["models", "info", "skyclip-b32"], ["qgis", "status"]):
        done = rsclip(*command)
        assert "PermissionError" not in done.output, command
    assert "another user's" in done.output


@pytest.mark.parametrize(
    "command",
    [
        "view {}",
        "batch {} --classes a,b -o out",
        "evaluate {} --labels {}",
        "segment scene.tif --classes a,b -o out --weights {}",
        "segment scene.tif --classes a,b -o out --model {}",
        "segment scene.tif -o out --adapter {}",
    ],
)
def test_a_path_that_one_may_not_look_at_is_named(
    rsclip, make_scene, tmp_path, monkeypatch, forbidden, command
):
    make_scene("scene.tif")
    monkeypatch.chdir(tmp_path)
    done = rsclip(*command.replace("{}", str(forbidden / "x")).split())
    assert done.exit_code == 2
    assert f"Error: {forbidden / 'x'}" in done.output
    assert "unexpected" not in done.output


@pytest.mark.parametrize(
    "command",
    [
        "view {}",
        "batch {} --classes a,b -o out",
        "suggest {} -o todo.gpkg",
        "distill nano --images {} -o student",
        "segment scene.tif --adapter {}/x -o out",
    ],
)
def test_a_folder_that_may_not_be_read_is_not_called_empty(
    rsclip, make_scene, tmp_path, monkeypatch, command
):
    make_scene("scene.tif")
    monkeypatch.chdir(tmp_path)
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "x").write_bytes(b"")

    def refused(function):
        def call(path=".", *args, **options):
            if str(path).startswith(str(closed)):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return function(path, *args, **options)

        return call

    for name in ("listdir", "scandir"):
        monkeypatch.setattr(os, name, refused(getattr(os, name)))
    monkeypatch.setattr("io.open", refused(open))
    done = rsclip(*command.replace("{}", str(closed)).split())
    assert done.exit_code == 2
    assert f"Error: {closed}" in done.output
    assert "permission denied. Check the permissions" in done.output
