"""The page of a folder, and what Chromium makes of it."""

import json
import shutil
from html.parser import HTMLParser

import pytest

from rsclip.view import build_view


@pytest.fixture
def folder(finished, tmp_path):
    """Two scenes: one as it was left, one without preview whose image is gone."""
    target = tmp_path / "results"
    shutil.copytree(finished.record.parent, target)
    for path in list(target.glob("scene_mask*")):
        shutil.copy(path, target / path.name.replace("scene", "other"))
    record = json.loads(finished.record.read_text(encoding="utf-8"))
    record["scene"]["source"] = "/nowhere/<script>alert(1)</script>.tif"
    (target / "other_run.json").write_text(json.dumps(record), encoding="utf-8")
    return target


class Collector(HTMLParser):
    """Collect addresses, ids and ends of tags."""

    def __init__(self):
        super().__init__()
        self.addresses, self.ids, self.tags = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for key, value in attributes:
            if key in ("src", "href", "srcset", "data", "action", "poster"):
                self.addresses.append(value)
            if key == "id":
                self.ids.append(value)


def test_the_page_holds_everything_itself(rsclip, folder):
    done = rsclip("view", folder, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["scenes"] == ["other", "scene"]
    text = (folder / "index.html").read_text(encoding="utf-8")
    page = Collector()
    page.feed(text)
    assert {address[:5] for address in page.addresses if not address.startswith("#")} == {"data:"}
    for address in page.addresses:
        assert not address.startswith("#") or address[1:] in ["", *page.ids]
    assert page.tags.count("img") == 2
    assert page.tags.count("table") == 2
    assert "script" not in page.tags
    assert "url(" not in text
    assert "@import" not in text
    assert "road &amp; &lt;rail&gt;" in text
    assert "default-src 'none'" in text
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []


def test_a_second_call_replaces_the_page_and_nothing_else(rsclip, folder):
    assert rsclip("view", folder).exit_code == 0
    assert rsclip("view", folder).exit_code == 0
    (folder / "index.html").write_text("<h1>mine</h1>")
    done = rsclip("view", folder)
    assert done.exit_code == 2
    assert "--overwrite" in done.stderr
    assert rsclip("view", folder, "--overwrite").exit_code == 0
    mask = (folder / "scene_mask.tif").read_bytes()
    done = rsclip("view", folder, "-o", folder / "scene_mask.tif", "--overwrite")
    assert done.exit_code == 2
    assert (folder / "scene_mask.tif").read_bytes() == mask


def test_folders_without_runs_are_refused(rsclip, tmp_path):
    for path, message in ((tmp_path / "no", "no such folder"), (tmp_path, "no finished run")):
        done = rsclip("view", path)
        assert done.exit_code == 2
        assert message in done.stderr
    (tmp_path / "x_run.json").write_text("{}")
    done = rsclip("view", tmp_path)
    assert done.exit_code == 2
    assert "not a run record" in done.stderr
    assert not (tmp_path / "index.html").exists()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_chromium_shows_the_page(look_at, folder, dark):
    page, _ = build_view(folder)
    ground = look_at(page, dark=dark).getpixel((5, 700))
    assert (max(ground) < 60) if dark else (min(ground) > 230)
