"""Views: every pull-back is the transposed derivative, alone and in a linked graph."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnxscript import script

from nstbatch.runtime.devices.providers import resolve
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.formulas.formula import Formula
from nstbatch.runtime.formulas.notation import Tensor, op
from nstbatch.runtime.formulas.views import DOMAIN
from nstbatch.runtime.graphs.link import link
from nstbatch.runtime.names import GRADIENT, IMAGE, LOSSES, SLOPES, TARGET, WEIGHT
from nstbatch.runtime.objectives.terms import content, total_variation
from nstbatch.runtime.objectives.views import JITTER, View, random_jitter


@script(DOMAIN, default_opset=op)
def see_scaled(image: Tensor, factor: float = 1.0) -> Tensor:
    return image * factor


@script(DOMAIN, default_opset=op)
def pull_back_scaled(image: Tensor, gradient: Tensor, factor: float = 1.0) -> Tensor:
    return gradient * factor


DOUBLED = View(
    "doubled",
    Formula(__name__, "see_scaled"),
    Formula(__name__, "pull_back_scaled"),
    attributes=(("factor", 2.0),),
)
CPU = resolve("cpu")
SHAPE = (2, 3, 5, 7)

# One layer, a = 3 x.
SCALED = """
    <ir_version: 9, opset_import: ["" : 20]>
    scaled (float[N, C, H, W] image, float[N, C, H, W] "cotangent/a") => (a, gradient)
    <float three = {3.0}> {
        a = Mul(image, three)
        gradient = Mul("cotangent/a", three)
    }
"""


def random(seed=0):
    return np.random.default_rng(seed).standard_normal(SHAPE, dtype=np.float32)


def shifts(down, right):
    values = (np.full((), shift, np.float32) for shift in (down, right))
    return dict(zip(JITTER.graph_inputs, values, strict=True))


def session(views=()):
    terms = (content("a") + total_variation()).terms
    graph = link(onnx.parser.parse_model(SCALED), terms, 2, views)
    shapes = dict.fromkeys((IMAGE, TARGET + "content/a"), SHAPE)
    shapes |= dict.fromkeys([WEIGHT + "content/a", WEIGHT + "tv"], (2,))
    shapes |= {name: () for view in views for name in view.graph_inputs}
    return open_session(graph, shapes, CPU, threads=1)


def feeds(image):
    weights = {WEIGHT + "content/a": np.array([1, 2]), WEIGHT + "tv": np.array([3, 4])}
    weights = {name: values.astype(np.float32) for name, values in weights.items()}
    return {IMAGE: image, TARGET + "content/a": random(1)} | weights


@pytest.fixture(scope="module")
def plain():
    return session()


@pytest.fixture(scope="module")
def jittered():
    return session([JITTER])


@given(down=st.integers(-20, 20), right=st.integers(-20, 20))
def test_a_jittered_graph_is_the_plain_one_on_the_moved_image(plain, jittered, down, right):
    image = random()
    ours = jittered.run(feeds(image) | shifts(down, right))
    expected = plain.run(feeds(np.roll(image, (down, right), axis=(2, 3))))
    np.testing.assert_array_equal(ours[LOSSES], expected[LOSSES])
    moved_back = np.roll(expected[GRADIENT], (-down, -right), axis=(2, 3))
    np.testing.assert_array_equal(ours[GRADIENT], moved_back)


def test_views_are_chained_in_order():
    """Doubled and then moved: the gradient is moved back and then doubled."""
    both = session([DOUBLED, JITTER])
    image = random()
    ours = both.run(feeds(image) | shifts(2, 3))
    expected = session([JITTER]).run(feeds(2 * image) | shifts(2, 3))
    np.testing.assert_array_equal(ours[LOSSES], expected[LOSSES])
    np.testing.assert_array_equal(ours[GRADIENT], 2 * expected[GRADIENT])


def test_a_watched_view_gives_the_slopes_of_what_it_shows():
    """The gradient in the doubled picture, before it is doubled; nothing else changes."""
    image = random()
    watched = session([replace(DOUBLED, watched=True), JITTER]).run(feeds(image) | shifts(2, 3))
    plain = session([DOUBLED, JITTER]).run(feeds(image) | shifts(2, 3))
    assert set(watched) - set(plain) == {SLOPES}
    np.testing.assert_array_equal(watched[GRADIENT], plain[GRADIENT])
    expected = np.abs(plain[GRADIENT] / 2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(watched[SLOPES], expected, rtol=1e-5)


@given(pixels=st.integers(0, 9), seed=st.integers(0, 99))
def test_jitter_draws_whole_pixels_within_bounds_and_repeats_with_its_seed(pixels, seed):
    draw, again = random_jitter(pixels, seed), random_jitter(pixels, seed)
    drawn = np.array([list(draw().values()) for _ in range(30)])
    assert (np.abs(drawn) <= pixels).all()
    np.testing.assert_array_equal(drawn, np.rint(drawn))
    np.testing.assert_array_equal(drawn, [list(again().values()) for _ in range(30)])
    assert pixels == 0 or len(np.unique(drawn)) > 1
