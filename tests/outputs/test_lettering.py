"""Text in pictures: nothing runs past its width."""

from hypothesis import given
from hypothesis import strategies as st

from rsclip.outputs.pictures.lettering import font_for, shortened, wrapped

LONG = "mIoU 62.2 - clearclip:attention=qq+kk+vv:residual=true:ffn=true:alpha=2:beta=30"


@given(
    st.text(st.sampled_from("ab:= -+.iW"), min_size=1, max_size=80),
    st.integers(40, 400),
    st.integers(1, 4),
)
def test_no_line_is_wider_than_its_place(text, width, most):
    lines = wrapped(text, 21, width, most)
    assert 1 <= len(lines) <= most
    assert all(font_for(line, 21).getlength(line) <= width for line in lines)
    joined = "".join(lines).replace(" ", "")
    if "…" not in joined:
        assert joined == text.replace(" ", "")


def test_a_caption_breaks_after_colons_and_keeps_its_start():
    assert wrapped("mIoU 70.7 - clip", 21, 260, 3) == ["mIoU 70.7 - clip"]
    lines = wrapped(LONG, 21, 260, 3)
    assert lines[0] == "mIoU 62.2 - clearclip:"
    assert lines[1].startswith("attention=qq+kk+vv:")
    assert len(lines) == 3
    (short,) = wrapped(LONG, 21, 260, 1)
    assert short.startswith("mIoU 62.2 - clearclip")
    assert short.endswith("…")
    assert shortened("road", 21, 260) == "road"
