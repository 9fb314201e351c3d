"""The run record and the tags taken from it."""

import datetime
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from rsclip.errors import WriteError
from rsclip.outputs.records.record import provenance_tags, write_record
from rsclip.words.legend import Legend, load_legend


@dataclass(frozen=True)
class Part:
    size: tuple[int, int]
    path: Path


def test_records_are_json_whatever_they_are_made_of(tmp_path):
    path = tmp_path / "a_run.json"
    write_record(
        path,
        {
            "zeta": np.float32(0.5),
            "alpha": (np.int64(3), np.array([[1, 2]]), np.True_),
            "name": "Gebäude",
            "nodata": float("nan"),
            "range": [-np.inf, np.float64("inf")],
            3: Part((1, 2), Path("x")),
            "when": datetime.datetime(2024, 5, 6, tzinfo=datetime.UTC),
            "set": {"b", "a"},
        },
    )
    text = path.read_text("utf-8")
    assert "Gebäude" in text
    assert text.endswith("}\n")

    def refuse(token):
        raise AssertionError(token)

    record = json.loads(text, parse_constant=refuse)
    assert list(record) == ["zeta", "alpha", "name", "nodata", "range", "3", "when", "set"]
    assert record["alpha"] == [3, [[1, 2]], True]
    assert record["nodata"] == "NaN"
    assert record["range"] == ["-Infinity", "Infinity"]
    assert record["3"] == {"size": [1, 2], "path": "x"}
    assert record["when"] == "2024-05-06T00:00:00+00:00"
    assert record["set"] == ["a", "b"]


def test_what_has_no_plain_form_is_an_error_and_leaves_no_file(tmp_path):
    with pytest.raises(TypeError, match="object"):
        write_record(tmp_path / "a.json", {"x": object()})
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(WriteError):
        write_record(tmp_path / "none" / "a.json", {})


def test_legend_survives_the_record(tmp_path):
    legend = load_legend("set:loveda")
    write_record(tmp_path / "a.json", {"classes": legend.to_dict()})
    record = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert Legend.from_dict(record["classes"]) == legend


def test_tags_are_the_essence_of_the_record():
    legend = load_legend([{"name": "Straße", "words": ["road", "street"]}, "water"])
    tags = provenance_tags(
        {
            "software": {"rsclip": "1.2"},
            "model": {"name": "ViT-B-16/openai", "weights_sha256": "ab12", "method": "clearclip"},
            "classes": legend.to_dict(),
            "settings": {"overlap": 0.5, "nodata": float("nan"), "gsd": None},
        }
    )
    assert all(isinstance(value, str) for value in tags.values())
    assert tags["TIFFTAG_SOFTWARE"] == "rsclip 1.2"
    assert tags["RSCLIP_VERSION"] == "1.2"
    assert tags["RSCLIP_MODEL"] == "ViT-B-16/openai"
    assert tags["RSCLIP_WEIGHTS_SHA256"] == "ab12"
    assert tags["RSCLIP_METHOD"] == "clearclip"
    assert json.loads(tags["RSCLIP_CLASSES"]) == [
        {"value": 1, "name": "Straße", "words": ["road", "street"]},
        {"value": 2, "name": "water", "words": ["water"]},
    ]
    assert json.loads(tags["RSCLIP_SETTINGS"]) == {"overlap": 0.5, "nodata": "NaN"}
    assert provenance_tags({}) == {}
