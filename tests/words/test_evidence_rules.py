"""Rules of evidence: what they say, and that nothing else can be written as one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsclip.errors import LegendError
from rsclip.words.evidence_choice import with_evidence
from rsclip.words.evidence_rules import INDICES, parse_rules
from rsclip.words.legend import load_legend

BANDS = {
    name: np.array([[value, 0.2]], np.float32)
    for name, value in {
        "blue": 0.05, "green": 0.08, "red": 0.06, "nir": 0.02, "swir": 0.01, "swir2": 0.01
    }.items()
}  # fmt: skip


def rule(text):
    (one,) = parse_rules(text, "here")
    return one


@given(
    value=st.floats(-2, 2), threshold=st.floats(-1, 1), above=st.booleans(),
    weight=st.floats(0.1, 5), softness=st.floats(0.01, 2),
)  # fmt: skip
def test_the_evidence_is_the_log_of_a_sigmoid(value, threshold, above, weight, softness):
    sign = ">" if above else "<"
    one = rule(f"nir {sign} {threshold!r}; weight={weight!r}; softness={softness!r}")
    x = (np.float64(np.float32(value)) - threshold) / softness * (1 if above else -1)
    wanted = -weight * np.logaddexp(0, -x)
    found = one.evidence({"nir": np.full((1, 1), value, np.float32)})
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", INDICES)
def test_an_index_is_its_expression(name):
    written, index = rule(f"{INDICES[name]} > 0.1"), rule(f"{name} > 0.1")
    assert index.bands == written.bands
    np.testing.assert_array_equal(index.evidence(BANDS), written.evidence(BANDS))


def test_water_meets_ndwi_and_land_does_not():
    (water, land) = rule("ndwi > 0").evidence(BANDS)[0]
    assert water == pytest.approx(0, abs=1e-5)
    assert land == pytest.approx(np.log(0.5))
    assert rule("-(2 * nir) + 1 > 0.9").evidence(BANDS)[0, 0] == pytest.approx(-0.2633, abs=1e-3)


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_without_a_value_there_is_no_evidence(value):
    nothing = {"nir": np.array([[value]], np.float32), "red": np.zeros((1, 1), np.float32)}
    assert rule("ndvi > 0.2").evidence(nothing)[0, 0] == 0


@pytest.mark.parametrize(
    "text",
    [
        "", "ndwi", "ndwi >", "> 0.1", "ndwi = 0.1", "ndwi > nan", "ndwi > 1e999", "ndwi > red",
        "0.1 < ndwi < 0.2", "ndwi > 0.05; weight=0", "ndwi > 0.05; weight=-1",
        "ndwi > 0.05; weight", "ndwi > 0.05; colour=1",
        "1 > 0", "ndwi ** 2 > 0", "nir and red > 0", "__import__('os').system('true') > 0",
        "nir.real > 0", "(lambda: 1)() > 0", "nir[0] > 0", "True > 0", "'a' > 0", "nirr > 0",
        "ndwi > 0 |", "(" * 90 + "nir" + ")" * 90 + " > 0\x00", "nir" + "+nir" * 80 + " > 0",
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused(text):
    with pytest.raises(LegendError) as caught:
        parse_rules(text, "class 'water'")
    assert "class 'water'" in str(caught.value)
    assert caught.value.remedy


@given(st.text(max_size=40))
def test_any_text_is_a_rule_or_refused(text):
    try:
        rules = parse_rules(text, "here")
    except LegendError:
        return
    for one in rules:
        values = {name: np.ones((2, 2), np.float32) for name in one.bands}
        assert np.isfinite(one.evidence(values)).all()


def test_a_legend_keeps_its_rules_through_a_record():
    rules = ["ndwi > 0.05 | mndwi > 0", "nir < 900; softness=50"]
    legend = load_legend([{"name": "water", "evidence": rules}, "road"])
    assert legend.classes[0].evidence == tuple(rules)
    again = type(legend).from_dict(legend.to_dict())
    assert again == legend
    assert "evidence" not in legend.to_dict()["classes"][1]
    assert with_evidence(legend, None) == legend
    assert with_evidence(legend, "none").classes[0].evidence == ()


def test_auto_leaves_own_rules_and_adds_bundled_ones():
    legend = load_legend([{"name": "See", "words": ["lake"]}, "road", "dog",
                          {"name": "sea", "evidence": "nir < 5"}])  # fmt: skip
    found = [item.evidence for item in with_evidence(legend, "auto").classes]
    assert found == [("mndwi > 0 | ndwi > 0",), ("mndwi < 0 | ndwi < 0",), (), ("nir < 5",)]


def test_a_file_of_rules_takes_their_place(tmp_path):
    legend = load_legend(["water|sea", "road"])
    path = tmp_path / "rules.yaml"
    path.write_text("Sea: [ndwi > 0.1, nir < 40]\n", encoding="utf-8")
    assert with_evidence(legend, str(path)).classes[0].evidence == ("ndwi > 0.1", "nir < 40")
    for content, words in (
        ("[ndwi > 0]", "no rules by class"), ("lake: ndwi > 0", "no class 'lake'"),
        ("water: ndwi", "no rule"), ("water: 3", "evidence"),
    ):  # fmt: skip
        path.write_text(content, encoding="utf-8")
        with pytest.raises(LegendError, match=words):
            with_evidence(legend, str(path))
    for name in (str(tmp_path / "absent.yaml"), "atuo"):
        with pytest.raises(LegendError):
            with_evidence(legend, name)
