"""Options of methods come as text or YAML values, and leave typed."""

from dataclasses import dataclass

import pytest

from rsclip.errors import OptionError
from rsclip.methods import METHODS, get_method, parse_options
from rsclip.methods.options import describe_options, option, read_options


@dataclass(frozen=True)
class Numbers:
    count: int = option(3, "How many.")
    share: float = option(0.5, "How much.", low=0, high=2)
    top_k: int = option(1, "Best.", low=1)


def test_defaults_are_clearclip():
    options = parse_options("clearclip")
    assert (options.attention, options.residual, options.ffn) == ("qq", False, False)


@pytest.mark.parametrize("yes", ["true", "Yes", "on", "1", True, 1])
def test_text_and_yaml_values(yes):
    options = parse_options("clearclip", {"attention": "QK", "residual": yes, "ffn": "off"})
    assert (options.attention, options.residual, options.ffn) == ("qk", True, False)


def test_numbers():
    found = read_options(Numbers(), "any", {"count": "7", "share": 1, "top-k": 2})
    assert found == Numbers(7, 1.0, 2)
    assert isinstance(found.share, float)
    # YAML's 2.0 is a whole number.
    assert read_options(Numbers(), "any", {"count": 2.0}).count == 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"residul": "true"}, "no option 'residul'.*Did you mean residual"),
        ({"zzz": "true"}, "It has: bias_lambda, attention, residual, ffn"),
        ({"residual": "maybe"}, "'maybe' does not fit. It takes true or false"),
        ({"attention": "qqk"}, "Did you mean qq"),
        ({"attention": "zzz"}, "Choose qk, qq, kk"),
        ({"attention": True}, "Choose qk, qq, kk"),
    ],
)
def test_what_is_refused(values, message):
    with pytest.raises(OptionError, match=message):
        parse_options("clearclip", values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": "2.5"}, "whole number"),
        ({"count": "1_0"}, "whole number"),
        ({"count": True}, "whole number"),
        ({"share": "nan"}, "a number"),
        ({"share": "much"}, "a number"),
        ({"share": True}, "a number"),
        ({"share": 2.01}, "a number from 0 to 2"),
        ({"share": "-0.01"}, "a number from 0 to 2"),
        ({"top_k": 0}, "a whole number, 1 or more"),
    ],
)
def test_numbers_that_are_none(values, message):
    with pytest.raises(OptionError, match=message):
        read_options(Numbers(), "any", values)


def test_unknown_method():
    with pytest.raises(OptionError, match="Did you mean clearclip"):
        get_method("clearclipp")
    with pytest.raises(OptionError, match="Known: "):
        get_method("zzz")


def test_every_method_describes_itself():
    assert list(METHODS) == sorted(METHODS)
    for name, method in METHODS.items():
        assert name == method.name
        assert method.summary.endswith(".")
        assert method.citation
        facts = describe_options(method.options)
        assert "bias_lambda" in [fact["name"] for fact in facts]
        for fact in facts:
            assert fact["help"].endswith(".")
            # What is shown as the default is taken as text, and changes nothing.
            assert parse_options(name, {fact["name"]: fact["default"]}) == method.options
