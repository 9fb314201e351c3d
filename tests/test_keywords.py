"""Typed keywords: each function's are the settings it reads. `typed_calls.py` is for mypy."""

import dataclasses
import inspect
import typing

import pytest

import rsclip
from rsclip import config, keywords
from rsclip.study.diagnose import study
from rsclip.study.evaluate.scoring import Scoring

FIELDS = tuple(item.name for item in dataclasses.fields(config.SegmentConfig))


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (rsclip.segment, set(FIELDS) - {"model"}),
        (rsclip.compare, set(config.COMPARE_OPTIONS) - {"gsd"}),
        (rsclip.adapt, set(config.ADAPT_OPTIONS)),
        (rsclip.calibrate, set(config.ADAPT_OPTIONS)),
        (rsclip.calibrate_without_labels, set(config.ADAPT_OPTIONS) - {"gsd"}),
        (rsclip.distill, set(config.DISTILL_OPTIONS)),
        (rsclip.suggest, {*config.ADAPT_OPTIONS, "adapter", "aoi"}),
        (rsclip.evaluate_dataset, set(config.EVALUATE_OPTIONS)),
        (study, set(config.STUDY_OPTIONS)),
        (rsclip.polygonize, set(config.POLYGON_OPTIONS) - {"overwrite"}),
        (rsclip.write_polygons, set(config.POLYGON_OPTIONS)),
    ],
)
def test_the_keywords_are_the_settings_that_a_function_reads(function, names):
    (taken,) = typing.get_args(function.__annotations__["options"])
    assert set(typing.get_type_hints(taken)) == names


def test_the_keywords_of_scoring_are_those_of_evaluate():
    (taken,) = typing.get_args(rsclip.try_settings.__annotations__["scoring"])
    names = typing.get_type_hints(taken)
    assert set(names) == set(inspect.signature(Scoring.read).parameters)
    assert set(names) < set(typing.get_type_hints(rsclip.evaluate))


def test_each_keyword_takes_what_its_setting_takes():
    fields = typing.get_type_hints(config.SegmentConfig)
    for name in set(keywords.__all__) - {"ScoringKeywords"}:
        for key, kind in typing.get_type_hints(getattr(keywords, name)).items():
            default = getattr(config.SegmentConfig(), key)
            if default is None:
                assert type(None) in typing.get_args(kind), key
            if typing.get_origin(fields[key]) is typing.Literal:
                assert kind == fields[key], key
