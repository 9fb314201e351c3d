"""Typed keywords: each function's are the settings it reads. `typed_calls.py` is for mypy."""

import dataclasses
import typing

import pytest

import rsclip
from rsclip import config, keywords
from rsclip.study.diagnose import study

FIELDS = tuple(item.name for item in dataclasses.fields(config.SegmentConfig))


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (rsclip.segment, set(FIELDS) - {"model"}),
        (rsclip.compare, set(config.COMPARE_OPTIONS) - {"gsd"}),
        (rsclip.adapt, set(config.ADAPT_OPTIONS)),
        (study, set(config.STUDY_OPTIONS)),
        (rsclip.polygonize, set(config.POLYGON_OPTIONS) - {"overwrite"}),
        (rsclip.write_polygons, set(config.POLYGON_OPTIONS)),
    ],
)
def test_the_keywords_are_the_settings_that_a_function_reads(function, names):
    (taken,) = typing.get_args(function.__annotations__["options"])
    assert set(typing.get_type_hints(taken)) == names


def test_each_keyword_takes_what_its_setting_takes():
    fields = typing.get_type_hints(config.SegmentConfig)
    for name in keywords.__all__:
        for key, kind in typing.get_type_hints(getattr(keywords, name)).items():
            default = getattr(config.SegmentConfig(), key)
            if default is None:
                assert type(None) in typing.get_args(kind), key
            if typing.get_origin(fields[key]) is typing.Literal:
                assert kind == fields[key], key
