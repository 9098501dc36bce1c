import pytest
from hypothesis import given
from hypothesis import strategies as st

from nstbatch.runtime.deconvnet.deconvnet_options import DeconvnetOptions, FilterChoice
from nstbatch.runtime.errors import UnknownNameError, UsageError

VALUES = [0.0, 5.0, 1.0, 5.0, 3.0]


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("0", (0,)),
        ("1-3", (1, 2, 3)),
        ("3, 0-1 ,3", (0, 1, 3)),
        ("all", (0, 1, 2, 3, 4)),
        ("strongest:1", (1,)),
        ("strongest:3", (1, 3, 4)),
        ("strongest:40", (0, 1, 2, 3, 4)),
        ("strongest", (0, 1, 2, 3, 4)),
    ],
)
def test_choices(text, chosen):
    assert FilterChoice.parse(text).of("relu1", VALUES) == chosen


def test_sixteen_by_default():
    assert FilterChoice.parse("strongest") == FilterChoice()
    assert len(FilterChoice().of("relu1", [float(n) for n in range(40)])) == 16


@pytest.mark.parametrize("text", ["", "a", "3-1", "-1", "1-", "1,,2", "strongest:0", "strongest:x"])
def test_what_is_no_choice(text):
    with pytest.raises(UsageError, match="is no choice of filters"):
        FilterChoice.parse(text)


@pytest.mark.parametrize("text", ["5", "0-5", "2,7"])
def test_filters_that_the_layer_lacks(text):
    with pytest.raises(UsageError, match=r"relu1 has filters 0 to 4; there is no filter [57]\."):
        FilterChoice.parse(text).of("relu1", VALUES)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 10)), min_size=1, max_size=5))
def test_what_a_choice_says_reads_back(parts):
    text = ",".join(f"{first}-{first + more}" for first, more in parts)
    choice = FilterChoice.parse(text)
    assert FilterChoice.parse(str(choice).removeprefix("filters ")) == choice


def test_options_out_of_range():
    with pytest.raises(UnknownNameError, match="deconv, gradient, guided"):
        DeconvnetOptions(rule="guide")
    with pytest.raises(UsageError, match="size must be"):
        DeconvnetOptions(size=0)
