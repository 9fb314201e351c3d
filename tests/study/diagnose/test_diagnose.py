"""The report of a study, and what Chromium makes of it."""

import re
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from rsclip.study.diagnose import study
from rsclip.study.plots import COLOURS


@pytest.fixture(scope="module")
def report(repository, tmp_path_factory):
    """A sample tile with its labels."""
    tiles = repository / "sample_tiles"
    found = study(
        tiles / "coast.tif", tmp_path_factory.mktemp("study"), classes=tiles / "classes.yaml",
        labels=tiles / "coast_labels.tif", windows=8, model="nano",
    )  # fmt: skip
    return found.paths["report"]


class Collector(HTMLParser):
    """Collect tags, addresses and names of places."""

    def __init__(self):
        super().__init__()
        self.tags, self.addresses, self.ids = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for key, value in attributes:
            if key in ("src", "href", "srcset", "data", "xlink:href"):
                self.addresses.append(value)
            if key == "id":
                self.ids.append(value)


def test_the_report_holds_everything_itself(report):
    text = report.read_text(encoding="utf-8")
    page = Collector()
    page.feed(text)
    outside = [each for each in page.addresses if not each.startswith(("#", "data:image/webp"))]
    assert outside == []
    assert {each[1:] for each in page.addresses if each[0] == "#"} <= {*page.ids}
    assert "default-src 'none'" in text
    assert "url(" not in text
    assert "@import" not in text
    assert "script" not in page.tags
    # Four windows: image, truth, X_res, X_attn, X_sum, ClearCLIP.
    assert page.tags.count("img") == 24
    assert page.tags.count("svg") == 10


def test_a_narrow_window_scrolls_tables_and_maps_but_not_the_page(chromium, report, tmp_path):
    text = report.read_text(encoding="utf-8")
    # The page itself allows no script.
    text = re.sub(r'<meta http-equiv="Content-Security-Policy".*?>', "", text, flags=re.DOTALL)
    said = "document.title = [document.documentElement.scrollWidth, innerWidth].join()"
    page = tmp_path / "page.html"
    page.write_text(text.replace("</body>", f"<script>{said}</script></body>"), encoding="utf-8")
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=500,900",
         f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=90, check=True,
    )  # fmt: skip
    width, room = map(int, re.search(r"<title>(\d+),(\d+)</title>", done.stdout).groups())
    assert room <= 500
    assert width <= room


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_chromium_shows_the_report(look_at, report, dark):
    shot = look_at(report, 4600, dark=dark)
    ground = shot.getpixel((5, 700))
    assert (max(ground) < 60) if dark else (min(ground) > 230)
    pixels = np.asarray(shot).reshape(-1, 3)
    # Lines, bars and the legend's swatches are drawn in their colours.
    for colour in (*COLOURS[:4], "#2e86de", "#f5e6b3"):
        wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (pixels == wanted).all(axis=1).sum() > 100, colour
