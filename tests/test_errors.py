import warnings

from rsclip.errors import RsclipWarning, warn
from rsclip.words.legend import load_legend


def test_a_warning_points_at_the_line_outside_rsclip_that_caused_it():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn("straight")
        load_legend("water")
    assert [item.category for item in caught] == [RsclipWarning, RsclipWarning]
    assert {item.filename for item in caught} == {__file__}
