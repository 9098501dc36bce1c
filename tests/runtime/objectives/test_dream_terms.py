"""Each term, compared with its formula in PyTorch, differentiated by autograd in float64."""

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nstbatch.runtime.devices.providers import resolve
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.graphs.link import link, link_targets
from nstbatch.runtime.names import GRADIENT, IMAGE, LOSSES, TARGET, WEIGHT
from nstbatch.runtime.objectives.dream_terms import energy, guide, likelihood, score

CPU = resolve("cpu")
SHAPES = st.tuples(*(st.integers(1, size) for size in (3, 6, 7, 8)))

# The image is its own layer, so the gradient is the term's cotangent.
IDENTITY = """
    <ir_version: 9, opset_import: ["" : 20]>
    identity (float[{shape}] image, float[{shape}] "cotangent/a") => (a, gradient) {{
        a = Identity(image)
        gradient = Identity("cotangent/a")
    }}
"""
FORWARD = """
    <ir_version: 9, opset_import: ["" : 20]>
    forward (float[N, C, H, W] image) => (a) { a = Identity(image) }
"""


def run_term(objective, feature, target, weight):
    (term,) = objective.terms
    shape = ", ".join("NCHW"[: feature.ndim])
    graph = link(onnx.parser.parse_model(IDENTITY.format(shape=shape)), [term], len(feature))
    inputs = {IMAGE: feature, TARGET + term.name: target, WEIGHT + term.name: weight}
    shapes = {name: values.shape for name, values in inputs.items()}
    outputs = open_session(graph, shapes, CPU, threads=1).run(inputs)
    return outputs[LOSSES][:, 0], outputs[GRADIENT]


def autograd(loss, *arrays):
    variable, *others = (torch.tensor(values, dtype=torch.float64) for values in arrays)
    variable.requires_grad_()
    losses = loss(variable, *others)
    losses.sum().backward()
    return losses.detach().numpy(), variable.grad.numpy()


def assert_same(ours, theirs):
    for mine, expected in zip(ours, theirs, strict=True):
        assert mine.shape == expected.shape
        np.testing.assert_allclose(mine, expected, rtol=2e-5, atol=1e-6)


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def weights(pictures, seed):
    return np.abs(random(pictures, seed=seed)) + np.float32(0.1)


def energy_loss(feature, chosen, weight):
    return -weight * (chosen * feature**2).flatten(1).mean(1) / 2


def guide_loss(feature, guide_rows, weight):
    """Position by position: the largest dot product with a row of the guide."""
    total = 0 * feature.sum((1, 2, 3))
    for row in range(feature.shape[2]):
        for column in range(feature.shape[3]):
            total = total + (feature[:, :, row, column] @ guide_rows.T).max(1).values
    return -weight * total / feature[0].numel()


def score_loss(feature, chosen, weight):
    return -weight * (feature.flatten(2).mean(2) * chosen.flatten()).sum(1)


def likelihood_loss(feature, chosen, weight):
    classes = chosen.flatten().argmax().expand(len(feature))
    scores = feature.flatten(2).mean(2)
    return weight * torch.nn.functional.cross_entropy(scores, classes, reduction="none")


@given(shape=SHAPES, seed=st.integers(0, 99))
@settings(max_examples=15)
def test_energy_is_half_the_mean_square_of_the_chosen_channels(shape, seed):
    feature, weight = random(*shape, seed=seed), weights(shape[0], seed)
    chosen = (random(1, shape[1], 1, 1, seed=seed) > 0).astype(np.float32)
    ours = run_term(energy("a"), feature, chosen, weight)
    assert_same(ours, autograd(energy_loss, feature, chosen, weight))


def test_channels_that_are_not_chosen_do_not_count():
    feature, chosen = random(2, 4, 5, 5), np.zeros((1, 4, 1, 1), np.float32)
    chosen[:, 1:3] = 1
    others = feature.copy()
    others[:, [0, 3]] = 100
    plain, changed = (
        run_term(energy("a"), f, chosen, np.ones(2, np.float32)) for f in (feature, others)
    )
    np.testing.assert_array_equal(plain[0], changed[0])
    assert not changed[1][:, [0, 3]].any()
    assert changed[1][:, 1:3].all()


@given(shape=SHAPES, seed=st.integers(0, 99), positions=st.integers(1, 9))
@settings(max_examples=15)
def test_every_position_follows_its_most_similar_guide_feature(shape, seed, positions):
    feature, weight = random(*shape, seed=seed), weights(shape[0], seed)
    rows = random(positions, shape[1], seed=seed + 1)
    ours = run_term(guide("a"), feature, rows, weight)
    assert_same(ours, autograd(guide_loss, feature, rows, weight))


@pytest.mark.parametrize("size", [(1, 1), (3, 1), (2, 4)])
def test_the_features_of_a_guide_are_a_row_for_each_position(size):
    picture = random(1, 5, *size)
    terms = guide("a").terms
    graph = link_targets(onnx.parser.parse_model(FORWARD), terms)
    session = open_session(graph, {IMAGE: picture.shape}, CPU, threads=1)
    rows = session.run({IMAGE: picture})["target/guide/a"]
    np.testing.assert_array_equal(rows, picture[0].reshape(5, -1).T)


@pytest.mark.parametrize(
    ("objective", "formula"),
    [(score("a"), score_loss), (likelihood("a"), likelihood_loss)],
    ids=["score", "likelihood"],
)
@given(shape=SHAPES, seed=st.integers(0, 99), positions=st.booleans())
@settings(max_examples=15)
def test_a_class_has_a_score_over_all_positions(objective, formula, shape, seed, positions):
    """This includes layers without positions, (N, C)."""
    feature = random(*(shape if positions else shape[:2]), seed=seed)
    weight, chosen = weights(shape[0], seed), np.zeros((1, shape[1], 1), np.float32)
    chosen[:, seed % shape[1]] = 1
    loss, cotangent = run_term(objective, feature, chosen, weight)
    flat = feature.reshape(*feature.shape[:2], -1)
    expected = autograd(formula, flat, chosen, weight)
    assert_same((loss, cotangent.reshape(flat.shape)), expected)
