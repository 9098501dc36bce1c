from __future__ import annotations

import math

import pytest

from nstbatch.runtime.errors import UnknownNameError, UsageError
from nstbatch.runtime.systems.reconstruction_options import TV_SWEEP, ReconstructionOptions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size"),
        ({"iterations": 0}, "iterations"),
        ({"tv_beta": 0.5}, "tv_beta"),
        ({"alpha": 1.5}, "alpha"),
        ({"alpha_weight": -1}, "alpha_weight"),
        ({"alpha_weight": math.nan}, "alpha_weight"),
        ({"tv_weights": (1.0, -1.0)}, "tv_weight"),
        ({"tv_weights": ()}, "tv_weight"),
        ({"layers": ()}, "layer"),
        ({"jitter": -1, "optimizer": "adam"}, "jitter"),
        ({"jitter": 1, "optimizer": "lbfgs"}, "L-BFGS would mistake the jitter for curvature"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"seed": -1}, "seed"),
    ],
)
def test_what_is_out_of_range_is_named(options, message):
    with pytest.raises(UsageError, match=message):
        ReconstructionOptions(**options)


@pytest.mark.parametrize("options", [{"optimizer": "sgd"}, {"pooling": "min"}])
def test_unknown_names_are_told_the_known_ones(options):
    with pytest.raises(UnknownNameError, match="Known: "):
        ReconstructionOptions(**options)


def test_the_deeper_a_layer_the_smoother_its_picture():
    options = ReconstructionOptions()
    fields = [3, 11, 51, 67, 131, 163, 212, None]  # None sees the whole image
    weights = [options.tv_weights_of(field) for field in fields]
    assert weights == sorted(weights)
    # AlexNet's conv1 and relu2, pool2 and relu4, conv5: where the paper's code changes over.
    assert [weight for (weight,) in weights[1:6]] == [0.5, 0.5, 5, 5, 50]
    assert ReconstructionOptions(tv_weights=TV_SWEEP).tv_weights_of(3) == TV_SWEEP


def test_jitter_goes_with_the_stride_and_not_with_lbfgs():
    strides = (1, 4, 8, 16, 32, None)
    for options in (ReconstructionOptions(), ReconstructionOptions(optimizer="adam")):
        assert [options.jitter_of(stride) for stride in strides] == [0, 0, 1, 2, 4, 4]
    assert ReconstructionOptions(jitter=3).jitter_of(1) == 3
    assert ReconstructionOptions(optimizer="lbfgs").jitter_of(32) == 0


def test_the_optimiser_goes_with_the_jitter():
    by_default = ReconstructionOptions()
    assert [by_default.optimizer_of(stride) for stride in (4, 8, None)] == ["lbfgs", "adam", "adam"]
    assert ReconstructionOptions(jitter=0).optimizer_of(32) == "lbfgs"
    assert ReconstructionOptions(jitter=1).optimizer_of(1) == "adam"
    assert ReconstructionOptions(optimizer="adam", jitter=0).optimizer_of(32) == "adam"


def test_the_step_size_goes_with_the_optimiser():
    assert ReconstructionOptions().learning_rate_of("adam") == 0.05
    assert ReconstructionOptions().learning_rate_of("lbfgs") is None
    assert ReconstructionOptions(learning_rate=0.5).learning_rate_of("adam") == 0.5


def test_the_alpha_norm_weighs_less_where_the_total_variation_does():
    by_depth = ReconstructionOptions()
    assert by_depth.alpha_weight_of(50.0) == 4e-10
    assert by_depth.alpha_weight_of(0.05) == pytest.approx(4e-13)
    assert ReconstructionOptions(tv_weights=TV_SWEEP).alpha_weight_of(0.5) == 4e-10
    assert ReconstructionOptions(alpha_weight=0).alpha_weight_of(50.0) == 0
