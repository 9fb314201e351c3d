"""The page of a folder, and what Chromium makes of it."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from rsclip.outputs.view import build_view


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
    # The totals of both scenes come first.
    assert page.tags.count("table") == 3
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


def _without(key):
    def change(record):
        del record["results"][1][key]

    return change


@pytest.mark.parametrize(
    "damage",
    [
        _without("share"),
        _without("value"),
        lambda record: record.update(results=None),
        lambda record: record.update(model=[]),
        lambda record: record.update(classes={"classes": [{}]}),
        lambda record: record["scene"].update(shape=[1]),
        lambda record: record["results"][0].update(pixels="many"),
        lambda record: record["results"][0].update(m2=float("inf")),
    ],
)
def test_one_damaged_record_does_not_hide_the_rest(rsclip, folder, damage):
    record = json.loads((folder / "other_run.json").read_text(encoding="utf-8"))
    damage(record)
    (folder / "other_run.json").write_text(json.dumps(record), encoding="utf-8")
    done = rsclip("view", folder)
    assert done.exit_code == 0, done.output
    assert "other: its run record is damaged" in done.stderr
    text = (folder / "index.html").read_text(encoding="utf-8")
    page = Collector()
    page.feed(text)
    # The totals, and the table of the scene that is whole.
    assert page.tags.count("table") == 2
    assert page.tags.count("section") == 3
    assert "1, not in these totals" in text
    assert "The run record is damaged" in text
    for name in page.ids:
        assert page.ids.count(name) == 1


def test_odd_records_do_not_hide_the_rest(rsclip, folder):
    record = json.loads((folder / "other_run.json").read_text(encoding="utf-8"))
    record["scene"]["path"] = record["model"]["name"] = "/data/b\udcff.tif"
    (folder / "other_run.json").write_text(json.dumps(record), encoding="utf-8")
    (folder / "deep_run.json").write_text("[" * 100_000)
    done = rsclip("view", folder)
    assert done.exit_code == 0, done.output
    assert "deep_run.json is not a run record" in done.stderr
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert text.count("<table") == 3
    assert "udcff" in text


def test_damaged_settings_cost_the_picture_only(rsclip, folder):
    record = json.loads((folder / "other_run.json").read_text(encoding="utf-8"))
    record["settings"] = 3
    (folder / "other_run.json").write_text(json.dumps(record), encoding="utf-8")
    done = rsclip("view", folder)
    assert done.exit_code == 0, done.output
    assert "other: no preview" in done.stderr
    page = Collector()
    page.feed((folder / "index.html").read_text(encoding="utf-8"))
    assert (page.tags.count("img"), page.tags.count("table")) == (1, 3)


def test_a_cut_record_is_left_out(rsclip, folder):
    path = folder / "other_run.json"
    path.write_bytes(path.read_bytes()[:200])
    done = rsclip("view", folder, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["scenes"] == ["scene"]
    assert "not a run record" in done.stderr


@pytest.mark.parametrize("junk", [b"", b"junk", "half", "checksum"])
def test_a_junk_preview_is_drawn_anew(rsclip, folder, junk):
    preview = folder / "scene_preview.png"
    whole = preview.read_bytes()
    if junk == "checksum":
        junk = whole[:60] + b"\0\0\0\0" + whole[64:]
    preview.write_bytes(whole[: len(whole) // 2] if junk == "half" else junk)
    done = rsclip("view", folder)
    assert done.exit_code == 0, done.output
    assert "scene_preview.png cannot be read" in done.stderr
    page = Collector()
    page.feed((folder / "index.html").read_text(encoding="utf-8"))
    assert page.tags.count("img") == 2


def test_the_page_goes_into_folders_that_are_not_there_yet(rsclip, folder, tmp_path):
    target = tmp_path / "new" / "deep" / "page.html"
    assert rsclip("view", folder, "-o", target).exit_code == 0
    assert target.is_file()
    done = rsclip("view", folder, "-o", target.parent)
    assert done.exit_code == 0, done.output
    assert (target.parent / "index.html").is_file()


def _cells(text):
    """Return the rows of the first table, as lists of text."""
    table = re.search(r"<tbody>(.*?)</tbody>", text, re.DOTALL).group(1)
    rows = [re.findall(r"<t[hd].*?</t[hd]>", row) for row in table.split("</tr>")[:-1]]
    return {
        row[0]: row[1:] for row in ([re.sub("<.*?>", "", cell) for cell in row] for row in rows)
    }


def test_totals_are_the_sums_over_the_scenes(folder):
    path = folder / "other_run.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    results = record["results"]
    for item in results:
        item["m2"] *= 3
    path.write_text(json.dumps(record), encoding="utf-8")
    text = build_view(folder)[0].read_text(encoding="utf-8")
    rows = _cells(text)
    ground = sum(item["m2"] for item in results)
    for item in results:
        pixels, hectares, share, scenes = rows[html.escape(item["name"])]
        assert pixels == f"{2 * item['pixels']:,}"
        assert float(hectares) == pytest.approx(item["m2"] * 4 / 3 / 1e4, abs=1e-3)
        assert share == f"{item['m2'] / ground:.2%}"
        assert scenes == ("2" if item["pixels"] else "0")
    # Without the area of a pixel the shares are of the pixels.
    for item in results:
        item["m2"] = None
    path.write_text(json.dumps(record), encoding="utf-8")
    text = build_view(folder)[0].read_text(encoding="utf-8")
    assert "1: their pixels have no known size" in text
    for item in results:
        assert _cells(text)[html.escape(item["name"])][2] == f"{item['share']:.2%}"


def test_one_scene_has_no_totals(folder):
    (folder / "other_run.json").unlink()
    assert "All scenes" not in build_view(folder)[0].read_text(encoding="utf-8")


def test_warnings_stand_above_the_pictures(folder):
    path = folder / "other_run.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["warnings"] = [f"{record['scene']['source']}: a <block> is\nunread", "few words"]
    path.write_text(json.dumps(record), encoding="utf-8")
    before, other = build_view(folder)[0].read_text(encoding="utf-8").split('id="scene-1"')
    totals = before.split('id="totals"')[1]
    assert '<li>a &lt;block&gt; is unread (<a href="#scene-1">other</a>)</li>' in totals
    assert "<strong>2 warnings</strong>" in totals
    other, scene = other.split('id="scene-2"')
    banner = other[: other.index("<img")]
    assert "<li>a &lt;block&gt; is unread</li><li>few words</li>" in banner
    assert 'class="warning"' not in scene


def test_on_a_phone_the_page_does_not_scroll_sideways(chromium, folder, tmp_path):
    page, _ = build_view(folder)
    frame = tmp_path / "phone.html"
    said = "document.title = this.contentDocument.documentElement.scrollWidth"
    frame.write_text(
        f'<iframe src="{page.as_uri()}" width=390 height=844 onload="{said}"></iframe>'
    )
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
         f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", frame.as_uri()],
        capture_output=True, text=True, timeout=90, check=True,
    )  # fmt: skip
    assert 300 < int(re.search(r"<title>(\d+)</title>", done.stdout).group(1)) <= 390


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_chromium_shows_the_page(look_at, folder, dark):
    page, _ = build_view(folder)
    ground = look_at(page, dark=dark).getpixel((5, 700))
    assert (max(ground) < 60) if dark else (min(ground) > 230)
