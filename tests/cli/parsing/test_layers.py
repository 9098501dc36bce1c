import pytest

from nstbatch.cli.parsing.layers import parse_layers, parse_weighted_layers
from nstbatch.runtime.errors import UsageError


def test_layers_may_be_listed_and_repeated():
    assert parse_layers(["relu1_1, relu2_1", "fire5/concat"]) == (
        "relu1_1",
        "relu2_1",
        "fire5/concat",
    )


def test_weights_are_one_unless_given():
    assert parse_weighted_layers(["relu1_1=0.5,relu2_1", "relu3_1 = 2e-1"]) == {
        "relu1_1": 0.5,
        "relu2_1": 1.0,
        "relu3_1": 0.2,
    }


@pytest.mark.parametrize("parse", [parse_layers, parse_weighted_layers])
def test_an_option_that_was_not_given_is_none(parse):
    assert parse(None) is None
    assert parse([]) is None


@pytest.mark.parametrize("parse", [parse_layers, parse_weighted_layers])
def test_an_empty_list_is_refused(parse):
    with pytest.raises(UsageError, match="needs at least one layer"):
        parse([" , "])


@pytest.mark.parametrize(
    ("value", "message"),
    [("a=much", "not a number: 'much'"), ("a=", "not a number: ''"), ("a,a=2", "named twice")],
)
def test_bad_weights_are_refused(value, message):
    with pytest.raises(UsageError, match=message):
        parse_weighted_layers([value])
