"""Class names and attribute table beside the mask."""

import shutil
import subprocess
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from affine import Affine

from rsclip.errors import WriteError
from rsclip.outputs.rasters.mask import MaskWriter
from rsclip.outputs.rasters.pam import write_pam
from rsclip.words.legend import load_legend

LEGEND = load_legend(
    [{"name": 'Wald & "Wiese" <müde>', "words": "forest", "colour": "#0a0b0c"}, "road", "water"],
    background="sky",
)


def test_names_and_table_say_what_the_legend_says(tmp_path):
    path = tmp_path / "m.tif.aux.xml"
    write_pam(path, LEGEND)
    band = ET.parse(path).getroot().find("PAMRasterBand[@band='1']")
    names = [item.text or "" for item in band.find("CategoryNames")]
    assert names == ["unclassified", 'Wald & "Wiese" <müde>', "road", "water"]
    table = band.find("GDALRasterAttributeTable")
    fields = [[part.text for part in item] for item in table.findall("FieldDefn")]
    assert fields == [
        ["Value", "0", "5"],
        ["Class", "2", "2"],
        ["Red", "0", "6"],
        ["Green", "0", "7"],
        ["Blue", "0", "8"],
        ["Alpha", "0", "9"],
    ]
    rows = [[part.text for part in item] for item in table.findall("Row")]
    assert rows[0] == ["0", "unclassified", "128", "128", "128", "255"]
    assert rows[1] == ["1", 'Wald & "Wiese" <müde>', "10", "11", "12", "255"]
    assert [row[0] for row in rows] == ["0", "1", "2", "3"]


def test_what_gdal_wrote_stays_and_names_are_replaced(tmp_path):
    path = tmp_path / "m.tif.aux.xml"
    path.write_text(
        "<PAMDataset><SRS>LOCAL</SRS><PAMRasterBand band='1'><Description>d</Description>"
        "<CategoryNames><Category>old</Category></CategoryNames></PAMRasterBand></PAMDataset>"
    )
    write_pam(path, LEGEND)
    root = ET.parse(path).getroot()
    assert root.findtext("SRS") == "LOCAL"
    assert root.findtext("PAMRasterBand/Description") == "d"
    assert len(root.findall("PAMRasterBand/CategoryNames")) == 1
    assert "old" not in path.read_text("utf-8")


def test_unwritable_place_is_a_write_error(tmp_path):
    with pytest.raises(WriteError, match="cannot be written"):
        write_pam(tmp_path / "none" / "m.tif.aux.xml", LEGEND)


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="gdalinfo is not installed")
def test_gdal_shows_them_after_a_rename(tmp_path):
    with MaskWriter(tmp_path / "t.tif", (9, 9), None, Affine.scale(2), LEGEND, {}) as writer:
        writer.write(0, np.ones((9, 9), "uint8"))
        writer.finish()
    write_pam(tmp_path / "t.tif.aux.xml", LEGEND)
    for name in ("t.tif", "t.tif.aux.xml"):
        (tmp_path / name).rename(tmp_path / name.replace("t.tif", "scene_mask.tif"))
    done = subprocess.run(
        ["gdalinfo", str(tmp_path / "scene_mask.tif")], capture_output=True, check=True
    )
    shown = done.stdout.decode("utf-8")
    assert '1: Wald & "Wiese" <müde>' in shown
    assert "3: water" in shown
    assert "<GDALRasterAttributeTable" in shown
    assert "<Usage>5</Usage>" in shown
