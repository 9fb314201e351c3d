"""Class names beside a raster, in whatever encoding their file is."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from rsclip.errors import RsclipWarning, collect_warnings
from rsclip.vectors.class_names import names_of

NAMES = (
    '<PAMDataset><PAMRasterBand band="1"><CategoryNames><Category></Category>'
    "<Category>Gebäude</Category></CategoryNames></PAMRasterBand></PAMDataset>"
)
UTF8, LATIN1 = (f'<?xml version="1.0" encoding="{name}"?>\n' for name in ("UTF-8", "ISO-8859-1"))


@pytest.fixture
def raster(tmp_path):
    path = tmp_path / "map.tif"
    grid = {"crs": "EPSG:32632", "transform": from_origin(5e5, 5e6, 1, 1)}
    with rasterio.open(
        path, "w", driver="GTiff", width=2, height=2, count=1, dtype="uint8", **grid
    ) as dataset:
        dataset.write(np.ones((1, 2, 2), np.uint8))
    return path


@pytest.mark.parametrize(
    ("text", "encoding", "warnings"),
    [
        (NAMES, "utf-8", 0),
        (UTF8 + NAMES, "utf-8", 0),
        (LATIN1 + NAMES, "latin-1", 0),
        (NAMES, "latin-1", 1),
        (UTF8 + NAMES, "latin-1", 1),
    ],
)
def test_names_beside_a_raster_are_read_in_their_encoding(raster, text, encoding, warnings):
    raster.with_name("map.tif.aux.xml").write_bytes(text.encode(encoding))
    with collect_warnings() as said, rasterio.open(raster) as dataset:
        assert names_of(dataset) == {1: "Gebäude"}
    assert len(said) == warnings
    assert all("read as Latin-1" in str(one) for one in said)


@pytest.mark.parametrize("content", [b"", b"<PAMDataset>", b"\xff\xfe\x00", b"\xe4 no XML"])
def test_a_damaged_side_file_names_nothing(raster, content, recwarn):
    raster.with_name("map.tif.aux.xml").write_bytes(content)
    with rasterio.open(raster) as dataset:
        assert names_of(dataset) == {}
    assert not [one for one in recwarn if one.category is RsclipWarning]
