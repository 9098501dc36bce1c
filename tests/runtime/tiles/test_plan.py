"""Tiles: every position counts once, and is exact in the window in which it counts."""

from hypothesis import given
from hypothesis import strategies as st

from nstbatch.runtime.graphs.receptive_field import Window
from nstbatch.runtime.tiles.plan import plan_axis


@st.composite
def windows(draw):
    """Windows of layers whose strides divide each other, as in a chain of layers."""
    strides = [2**power for power in range(draw(st.integers(1, 5)))]
    return [
        Window(stride, -draw(st.integers(0, 40)), stride - 1 + draw(st.integers(0, 40)))
        for stride in strides
    ]


@given(length=st.integers(1, 700), side=st.integers(1, 200), seen=windows())
def test_interiors_fill_the_picture_in_order_and_windows_lie_in_it(length, side, seen):
    spans = plan_axis(length, side, seen)
    ends = [0, *(span.interior[1] for span in spans)]
    assert [span.interior[0] for span in spans] == ends[:-1]
    assert ends[-1] == length
    assert all(begin < end for begin, end in (span.interior for span in spans))
    assert len({span.window[1] - span.window[0] for span in spans}) == 1
    assert all(0 <= span.window[0] < span.window[1] <= length for span in spans)
    assert [span.is_last for span in spans] == [False] * (len(spans) - 1) + [True]


@given(length=st.integers(1, 700), side=st.integers(1, 200), seen=windows())
def test_a_position_that_counts_sees_only_its_window_or_the_edge_of_the_picture(length, side, seen):
    coarsest = max(window.stride for window in seen)
    for span in plan_axis(length, side, seen):
        start, end = span.window
        assert start % coarsest == 0
        assert end == length or (length - end) % coarsest == 0
        for window in seen:
            positions = -(-(end - start) // window.stride)
            counting = span.counting(window.stride, positions)
            for position in (counting.start, counting.stop - 1):
                first, last = (
                    start + position * window.stride + edge for edge in (window.first, window.last)
                )
                assert first >= start or start == 0
                assert last < end or end == length


@given(length=st.integers(1, 700), side=st.integers(1, 200), seen=windows())
def test_every_position_of_a_layer_counts_once(length, side, seen):
    spans = plan_axis(length, side, seen)
    for window in seen:
        counted = []
        for span in spans:
            start, end = span.window
            positions = -(-(end - start) // window.stride)
            counting = span.counting(window.stride, positions)
            offset = start // window.stride
            counted += range(offset + counting.start, offset + counting.stop)
        assert counted == list(range(-(-length // window.stride)))


@given(length=st.integers(1, 700), side=st.integers(1, 200), seen=windows())
def test_tiles_are_as_equal_as_the_strides_let_them_be(length, side, seen):
    """Windows of one size would go through the rest of a short last tile for nothing."""
    spans, stride = plan_axis(length, side, seen), max(window.stride for window in seen)
    # Pixels that the windows share, each rounded up to whole strides.
    beside = max(-window.first for window in seen) + max(w.last + 1 - w.stride for w in seen)
    through = sum(end - start for start, end in (span.window for span in spans))
    assert through <= length + (len(spans) - 1) * (beside + 2 * stride) + len(spans) * 3 * stride
