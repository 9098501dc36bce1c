"""Update graphs against torch.optim, and what must hold whatever the gradient is."""

import functools
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional

from nstbatch.runtime.descent.lbfgs_guess import FORMS, LENGTHENING, SHARE_OF_ALL, by_place
from nstbatch.runtime.descent.optimizers import LBFGS, OPTIMIZERS, Adam, Optimizer, optimizer_named
from nstbatch.runtime.errors import UnknownNameError, UsageError

Array = NDArray[np.float32]
Gradient = Callable[[Array], Array]

SHAPE = (2, 3, 16, 20)
SMALL = (3, 3, 4, 5)
STEPS = 30
UNBOUNDED = (-np.inf, np.inf)
BY_PLACE = LBFGS(history=4, neighbourhood=3)
EACH = pytest.mark.parametrize(
    "optimizer", [Adam(), LBFGS(history=4), BY_PLACE], ids=["adam", "lbfgs", "lbfgs-by-place"]
)


@functools.cache
def session(optimizer: Optimizer, shape: tuple[int, int, int, int]) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    model = optimizer.graph(shape).SerializeToString()
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def feeds(optimizer, image, gradient, state, bounds):
    scalars = {"learning_rate": optimizer.learning_rate, "lower": bounds[0], "upper": bounds[1]}
    return (
        {"image": image, "gradient": gradient}
        | {name: np.array(value, np.float32) for name, value in scalars.items()}
        | {f"state/{name}": value for name, value in state.items()}
    )


def trajectory(
    optimizer: Optimizer, image: Array, gradients: Gradient, steps: int = STEPS, bounds=UNBOUNDED
) -> Iterator[tuple[Array, dict[str, Array]]]:
    """The image and the state after each step."""
    state = optimizer.initial_state(image.shape)
    for _ in range(steps):
        inputs = feeds(optimizer, image, gradients(image), state, bounds)
        image, *values = session(optimizer, image.shape).run(None, inputs)
        state = dict(zip(state, values, strict=True))
        yield image, state


def images(*args, **kwargs) -> Array:
    return np.stack([image for image, _ in trajectory(*args, **kwargs)])


def torch_images(make, image: Array, gradients: Gradient, bounds=UNBOUNDED) -> Array:
    """The same from an optimiser of torch.optim, which sees all of its parameter as one."""
    parameter = torch.tensor(image, requires_grad=True)
    optimizer = make([parameter])

    def closure() -> torch.Tensor:
        parameter.grad = torch.tensor(gradients(parameter.detach().numpy()))
        return torch.zeros(())

    steps = []
    for _ in range(STEPS):
        optimizer.step(closure)
        with torch.no_grad():
            parameter.clamp_(*bounds)
        steps.append(parameter.detach().numpy().copy())
    return np.stack(steps)


def torch_lbfgs(history: int, learning_rate: float = 1.0):
    return lambda parameters: torch.optim.LBFGS(
        parameters,
        lr=learning_rate,
        max_iter=1,
        history_size=history,
        tolerance_grad=-1,  # none of its stopping rules
        tolerance_change=-np.inf,
    )


def quadratic(shape, condition: float, seed: int = 0) -> tuple[Gradient, Array]:
    """The gradient of a convex quadratic of this condition number, and a start in [0, 1]."""
    random = np.random.default_rng(seed)
    eigenvalues = np.logspace(0, -np.log10(condition), int(np.prod(shape[1:])))
    eigenvalues = random.permutation(eigenvalues).reshape(shape[1:])
    minimum, start = random.random(shape), random.random(shape, dtype=np.float32)
    return lambda image: (eigenvalues * (image - minimum)).astype(np.float32), start


def only(picture: int, gradients: Gradient, shape) -> Gradient:
    """The gradient of one picture of a batch, as a batch of one."""

    def alone(image: Array) -> Array:
        batch = np.zeros(shape, np.float32)
        batch[picture] = image[0]
        return gradients(batch)[picture : picture + 1]

    return alone


def uneven_slope(seed: int, shape) -> Gradient:
    """Gradients of no function at all; every other pair or so has negative curvature."""
    random = np.random.default_rng(seed)
    slope = random.standard_normal(shape)

    def gradients(image: Array) -> Array:
        noise = 0.1 * random.standard_normal(shape)
        return (random.uniform(0.5, 2) * slope + noise).astype(np.float32)

    return gradients


def relative_error(ours: Array, theirs: Array) -> float:
    """The largest over all steps and pictures."""
    difference = np.linalg.norm((ours - theirs).reshape(*ours.shape[:2], -1), axis=-1)
    return float((difference / np.linalg.norm(theirs.reshape(*ours.shape[:2], -1), axis=-1)).max())


@EACH
def test_the_graph_has_the_names_and_shapes_it_promises(optimizer):
    graph = session(optimizer, SHAPE)
    state = optimizer.initial_state(SHAPE)
    inputs = {value.name: (tuple(value.shape), value.type) for value in graph.get_inputs()}
    expected = feeds(optimizer, np.zeros(SHAPE), np.zeros(SHAPE), state, UNBOUNDED)
    assert inputs == {name: (value.shape, "tensor(float)") for name, value in expected.items()}
    assert list(inputs)[5:] == [f"state/{name}" for name in state]
    outputs = {value.name: tuple(value.shape) for value in graph.get_outputs()}
    shapes = {f"state_out/{name}": value.shape for name, value in state.items()}
    assert outputs == {"image_out": SHAPE} | shapes
    assert all(value.dtype == np.float32 for value in state.values())
    assert state["step"].shape == SHAPE[:1]


@EACH
def test_the_graph_has_no_control_flow_and_no_double_precision(optimizer):
    model = onnx.shape_inference.infer_shapes(optimizer.graph(SHAPE), strict_mode=True)
    onnx.checker.check_model(model, full_check=True)
    assert not {"If", "Loop", "Scan"} & {node.op_type for node in model.graph.node}
    types = {value.type.tensor_type.elem_type for value in model.graph.value_info}
    assert types <= {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.BOOL}


def test_the_graph_of_lbfgs_does_not_grow_with_its_history():
    short, long = (LBFGS(history=history).graph(SHAPE).graph.node for history in (2, 100))
    assert len(short) == len(long) < 128


@pytest.mark.parametrize("betas", [Adam().betas, (0.9, 0.999)])
@pytest.mark.parametrize("bounds", [UNBOUNDED, (0.0, 1.0)])
def test_adam_follows_torch(betas, bounds):
    gradients, start = quadratic(SHAPE, condition=100)
    optimizer = Adam(learning_rate=0.05, betas=betas)
    theirs = torch_images(
        lambda parameters: torch.optim.Adam(parameters, lr=0.05, betas=betas),
        start,
        gradients,
        bounds,
    )
    assert relative_error(images(optimizer, start, gradients, bounds=bounds), theirs) < 1e-5


@pytest.mark.parametrize("condition", [1, 10, 100, 1000])
@pytest.mark.parametrize("history", [5, 20, 100])
@pytest.mark.parametrize("shape", [SHAPE, (1, 3, 160, 200)], ids=str)
def test_lbfgs_follows_torch(condition, history, shape):
    gradients, start = quadratic(shape, condition)
    ours = images(LBFGS(history=history), start, gradients)
    for picture in range(shape[0]):
        alone = slice(picture, picture + 1)
        one = only(picture, gradients, shape)
        theirs = torch_images(torch_lbfgs(history), start[alone], one)
        assert relative_error(ours[:, alone], theirs) < 1e-4


def test_lbfgs_follows_torch_at_another_learning_rate():
    shape = (1, *SHAPE[1:])
    gradients, start = quadratic(shape, condition=100)
    ours = images(LBFGS(learning_rate=0.5), start, gradients)
    assert relative_error(ours, torch_images(torch_lbfgs(20, 0.5), start, gradients)) < 1e-4


@pytest.mark.parametrize(("scale", "enough"), [(1e-3, True), (1e-5, False)])
def test_lbfgs_is_content_with_as_little_curvature_as_torch(scale, enough):
    shape = (1, *SHAPE[1:])
    gradients, start = quadratic(shape, condition=2)

    def slight(image: Array) -> Array:
        return (scale * gradients(image)).astype(np.float32)

    steps = list(trajectory(LBFGS(), start, slight))
    theirs = torch_images(torch_lbfgs(20), start, slight)
    assert relative_error(np.stack([image for image, _ in steps]), theirs) < 1e-4
    assert (steps[-1][1]["curvature"].max() > 0) == enough


@pytest.mark.parametrize("seed", range(5))
def test_lbfgs_leaves_out_the_pairs_that_torch_leaves_out(seed):
    shape = (1, 3, 4, 5)
    start = np.zeros(shape, np.float32)
    steps = list(trajectory(LBFGS(history=3), start, uneven_slope(seed, shape)))
    theirs = torch_images(torch_lbfgs(3), start, uneven_slope(seed, shape))
    assert relative_error(np.stack([image for image, _ in steps]), theirs) < 1e-4
    slots = [float(state["slot"][0]) for _, state in steps]
    skipped = [before == after for before, after in pairwise(slots)]
    assert any(skipped)
    assert not all(skipped)
    for (_, before), (_, after), skip in zip(steps, steps[1:], skipped, strict=False):
        assert np.array_equal(before["s"], after["s"]) == skip
        assert np.array_equal(before["r_inverse"], after["r_inverse"]) == skip


@given(scale=st.floats(1e-6, 1e6))
@pytest.mark.parametrize("learning_rate", [0.1, 1.0])
def test_the_first_step_of_lbfgs_is_no_longer_than_its_learning_rate(learning_rate, scale):
    gradients, start = quadratic(SMALL, condition=10)
    gradient = (gradients(start) * scale).astype(np.float32)
    optimizer = LBFGS(learning_rate=learning_rate, history=4)
    (image, _), *_ = trajectory(optimizer, start, lambda image: gradient, steps=1)
    norms = np.abs(gradient.astype(float)).sum((1, 2, 3), keepdims=True)
    expected = start - learning_rate * np.minimum(1, 1 / norms) * gradient
    np.testing.assert_allclose(image, expected, rtol=1e-5, atol=1e-6)


def uneven(seed: int) -> tuple[Gradient, Array]:
    """Three pictures that do not accept the same pairs: a quadratic, noise, and a flat one."""
    gradients, start = quadratic(SMALL, condition=50, seed=seed)
    random = np.random.default_rng(seed)
    directions = random.standard_normal((7, *SMALL[1:])).astype(np.float32)

    def uneven_gradients(image: Array) -> Array:
        gradient = gradients(image)
        gradient[1] = directions[int(np.abs(image[1]).sum() * 1e3) % len(directions)]
        gradient[2] = 0
        return gradient

    return uneven_gradients, start


@EACH
@given(seed=st.integers(0, 1000))
@settings(max_examples=20)
def test_each_picture_of_a_batch_moves_as_if_alone(optimizer, seed):
    gradients, start = uneven(seed)
    together = images(optimizer, start, gradients, steps=12)
    for picture in range(len(start)):
        one = only(picture, gradients, SMALL)
        alone = images(optimizer, start[picture : picture + 1], one, steps=12)
        np.testing.assert_array_equal(together[:, picture], alone[:, 0])


@EACH
@given(seed=st.integers(0, 1000), order=st.permutations(range(SMALL[0])))
@settings(max_examples=20)
def test_the_order_of_a_batch_does_not_matter(optimizer, seed, order):
    gradients, start = uneven(seed)
    back = np.argsort(order)
    reordered = images(optimizer, start[order], lambda image: gradients(image[back])[order], 12)
    np.testing.assert_array_equal(reordered, images(optimizer, start, gradients, 12)[:, order])


@EACH
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_stays_with_its_picture(optimizer, bad):
    gradients, start = uneven(seed=0)
    count = iter(range(STEPS))

    def breaking(image: Array) -> Array:
        gradient = gradients(image)
        if next(count) >= 5:
            gradient[0, 0, 1, 2] = bad
        return gradient

    (broken, broken_state) = list(trajectory(optimizer, start, breaking, 12))[-1]
    (whole, whole_state) = list(trajectory(optimizer, start, gradients, 12))[-1]
    assert not np.array_equal(broken[0], whole[0])
    np.testing.assert_array_equal(broken[1:], whole[1:])
    for name, value in whole_state.items():
        np.testing.assert_array_equal(broken_state[name][1:], value[1:])


def test_lbfgs_may_write_its_history_in_place():
    optimizer = LBFGS(history=3)
    gradients, start = uneven(seed=1)
    expected = list(trajectory(optimizer, start, gradients, 12))

    graph, image, state = session(optimizer, SMALL), start, optimizer.initial_state(SMALL)
    history = {name: ort.OrtValue.ortvalue_from_numpy(state[name]) for name in ("s", "y")}
    for expected_image, expected_state in expected:
        binding = graph.io_binding()
        for name, value in feeds(optimizer, image, gradients(image), state, UNBOUNDED).items():
            binding.bind_cpu_input(name, value)
        for value in graph.get_outputs():
            binding.bind_output(value.name)
        for name, value in history.items():
            binding.bind_ortvalue_input(f"state/{name}", value)
            binding.bind_ortvalue_output(f"state_out/{name}", value)
        graph.run_with_iobinding(binding)
        image, *values = binding.copy_outputs_to_cpu()
        state = dict(zip(state, values, strict=True))
        np.testing.assert_array_equal(image, expected_image)
        for name, value in history.items():
            np.testing.assert_array_equal(value.numpy(), expected_state[name])


def test_bounded_lbfgs_reaches_the_bounded_minimum():
    shape = (1, 3, 8, 10)
    random = np.random.default_rng(0)
    size = int(np.prod(shape))
    basis, _ = np.linalg.qr(random.standard_normal((size, size)))
    hessian = basis @ np.diag(np.logspace(-2, 0, size)) @ basis.T
    minimum = random.normal(0.5, 1, size)  # most of its pixels lie outside [0, 1]

    def gradients(image: Array) -> Array:
        return (hessian @ (image.ravel() - minimum)).reshape(shape).astype(np.float32)

    start = random.random(shape, dtype=np.float32)
    steps = images(LBFGS(), start, gradients, steps=100, bounds=(0.0, 1.0))
    assert steps.min() == 0
    assert steps.max() == 1
    # At a bounded minimum, following the gradient and clipping leads nowhere.
    last = steps[-1]
    assert np.abs(last - np.clip(last - gradients(last), 0, 1)).max() < 1e-5


@pytest.mark.parametrize("longest", [0.01, 0.1])
def test_no_move_of_lbfgs_is_longer_than_asked_for(longest):
    gradients, image = uneven(seed=1)
    optimizer = LBFGS(history=4, longest_move=longest)
    lengths = [
        np.sqrt(np.mean(np.square(state["displacement"]), axis=(1, 2, 3)))
        for _, state in trajectory(optimizer, image, gradients, 12)
    ]
    assert np.max(lengths) == pytest.approx(longest, rel=1e-5)
    unbounded = images(LBFGS(history=4), image, gradients, 12)
    same = images(LBFGS(history=4, longest_move=1e6), image, gradients, 12)
    np.testing.assert_array_equal(same, unbounded)


@pytest.mark.parametrize("longest", [0, -1, float("nan")])
def test_a_move_of_no_length_is_refused(longest):
    with pytest.raises(UsageError, match="longest move"):
        LBFGS(longest_move=longest)


def squares_around(image: Array, side: int) -> Array:
    """Mean squares around each pixel, (N, 1, H, W), over all channels; none beyond the border."""
    squares = torch.from_numpy(image).square().mean(dim=1, keepdim=True)
    around = functional.avg_pool2d(squares, side, 1, side // 2)
    return (around + SHARE_OF_ALL * squares.mean((1, 2, 3), keepdim=True)).numpy()


def forms_first(image: Array, scale: Array, side: int) -> Array:
    """What the first guess by place makes of an image."""
    evened = torch.from_numpy(np.sqrt(scale) * image)
    smooth = functools.partial(functional.avg_pool2d, kernel_size=side, stride=1, padding=side // 2)
    return np.sqrt(scale) * (evened + FORMS * smooth(smooth(evened))).numpy()


@pytest.mark.parametrize("side", [1, 3, 7])
def test_lbfgs_scales_each_place_by_its_own_curvature(side):
    gradients, image = quadratic(SMALL, condition=50)
    optimizer = LBFGS(history=4, neighbourhood=side)
    (first, _), (_, state) = trajectory(optimizer, image, gradients, 2)
    s, y = first - image, gradients(first) - gradients(image)
    relative = np.sqrt(squares_around(s, side) / squares_around(y, side))
    every = (1, 2, 3)
    curvature = (y * forms_first(y, relative, side)).sum(every, keepdims=True)
    length = LENGTHENING * (s * y).sum(every, keepdims=True) / curvature
    np.testing.assert_allclose(state["scale"], length * relative, rtol=1e-3)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20)
def test_the_first_guess_by_place_is_symmetric_and_positive(seed):
    random = np.random.default_rng(seed)
    scale = random.uniform(0.1, 10, (1, 1, 6, 7)).astype(np.float32)
    pixels = np.eye(126, dtype=np.float32).reshape(126, 3, 6, 7)
    formula, _ = by_place(3)
    made = np.asarray(formula(pixels, scale))
    np.testing.assert_allclose(made, forms_first(pixels, scale, 3), rtol=1e-5, atol=1e-6)
    guess = made.reshape(126, 126)
    np.testing.assert_allclose(guess, guess.T, rtol=1e-5, atol=1e-6)
    assert np.linalg.eigvalsh(guess).min() > 0


def test_lbfgs_scales_a_place_that_was_held_at_a_bound_like_the_picture():
    gradients, image = quadratic((1, 3, 12, 12), condition=1)

    def pushing(image: Array) -> Array:
        gradient = gradients(image)
        gradient[..., :6] = np.abs(gradient[..., :6]) + 1  # down, out of the bounds
        return gradient

    image[..., :6] = 0
    optimizer = LBFGS(history=4, neighbourhood=3)
    *_, (_, state) = trajectory(optimizer, image, pushing, 2, (0.0, np.inf))
    held, free = state["scale"][..., :5], state["scale"][..., 7:]
    assert held == pytest.approx(np.full(held.shape, free.mean()), rel=0.05)


def test_lbfgs_by_place_needs_fewer_steps_where_curvature_differs_by_place():
    start = np.ones((1, 3, 16, 16), np.float32)
    curvature = np.logspace(0, 3, 16, dtype=np.float32)  # from column to column

    def losses(optimizer: Optimizer) -> list[float]:
        steps = trajectory(optimizer, start, lambda image: curvature * image)
        return [float((curvature * image**2).sum()) for image, _ in steps]

    assert losses(BY_PLACE)[-1] < 0.1 * losses(LBFGS(history=4))[-1]


@pytest.mark.parametrize("side", [0, -3, 4])
def test_a_neighbourhood_without_a_middle_is_refused(side):
    with pytest.raises(UsageError, match="must be odd"):
        LBFGS(neighbourhood=side)


@given(seed=st.integers(0, 1000), lower=st.floats(-0.5, 0.4), upper=st.floats(0.6, 1.5))
@settings(max_examples=20)
def test_bounded_lbfgs_remembers_how_far_each_pixel_really_moved(seed, lower, upper):
    gradients, image = uneven(seed)
    for moved, state in trajectory(LBFGS(history=4), image, gradients, 12, (lower, upper)):
        assert np.float32(lower) <= moved.min() <= moved.max() <= np.float32(upper)
        np.testing.assert_allclose(state["displacement"], moved - image, atol=1e-6)
        image = moved


@given(height=st.integers(2, 24), width=st.integers(2, 24), seed=st.integers(0, 99))
@settings(max_examples=20)
def test_adam_resamples_its_moments_as_torch_interpolates(height, width, seed):
    random = np.random.default_rng(seed)
    state = {
        "step": np.array([3, 4], np.float32),
        "exp_avg": random.standard_normal((2, 3, 9, 12), dtype=np.float32),
        "exp_avg_sq": random.random((2, 3, 9, 12), dtype=np.float32),
    }
    resampled = Adam().resample(state, (height, width))
    np.testing.assert_array_equal(resampled["step"], state["step"])
    for name, mode in (("exp_avg", "bicubic"), ("exp_avg_sq", "bilinear")):
        moments = torch.tensor(state[name])
        expected = functional.interpolate(moments, (height, width), mode=mode).numpy()
        np.testing.assert_allclose(resampled[name], expected, atol=1e-5)
    assert resampled["exp_avg_sq"].min() >= 0
    assert all(value.dtype == np.float32 for value in resampled.values())


@EACH
def test_a_resampled_state_fits_the_graph_of_its_size(optimizer):
    larger = optimizer.resample(optimizer.initial_state(SMALL), (7, 9))
    shapes = {name: value.shape for name, value in larger.items()}
    assert shapes == optimizer.state_shapes((3, 3, 7, 9))


PLAIN_AND_BY_PLACE = pytest.mark.parametrize("optimizer", [LBFGS(history=4), BY_PLACE])


@PLAIN_AND_BY_PLACE
@pytest.mark.parametrize("steps", [1, 3, 9])  # before a pair, with room for more, and overwritten
def test_lbfgs_carries_its_pairs(optimizer, steps):
    """At the size it has been at, the next move is the one that the history asks for."""
    gradients, start = quadratic(SMALL, condition=10)
    *_, (image, state) = trajectory(optimizer, start, gradients, steps)
    for name in ("displacement", "previous_gradient"):  # the pair that is not yet in the history
        state[name] = np.zeros_like(state[name])
    state["step"] *= state["curvature"].any(axis=1)  # a first step has a length of its own

    def moved(state):
        inputs = feeds(optimizer, image, gradients(image), state, UNBOUNDED)
        return session(optimizer, SMALL).run(None, inputs)[0] - image

    carried = optimizer.resample(state, SMALL[2:])
    np.testing.assert_allclose(moved(carried), moved(state), rtol=1e-3, atol=1e-6)


def test_lbfgs_moves_an_area_alike_at_any_size():
    """Four pixels in place of each share its gradient, and make the same moves."""
    optimizer = LBFGS(history=4)
    gradients, start = quadratic((3, 3, 1, 1), condition=10)

    def of_flat(image):
        pixels = np.float32(np.prod(image.shape[2:]))
        return np.broadcast_to(gradients(image[:, :, :1, :1]), image.shape) / pixels

    def flat(one, shape):
        return np.ascontiguousarray(np.broadcast_to(one[:, :, :1, :1], shape))

    *_, (image, state) = trajectory(optimizer, flat(start, SMALL), of_flat, 4)
    for name in ("displacement", "previous_gradient"):
        state[name] = np.zeros_like(state[name])

    def moved(shape, state):
        before = flat(image, shape)
        inputs = feeds(optimizer, before, of_flat(before), state, UNBOUNDED)
        return (session(optimizer, shape).run(None, inputs)[0] - before)[:, :, 2, 2]

    larger = (3, 3, 8, 10)
    expected = moved(SMALL, state)
    assert np.abs(expected).max() > 1e-3
    enlarged = optimizer.resample(state, larger[2:])
    np.testing.assert_allclose(moved(larger, enlarged), expected, rtol=1e-3, atol=1e-6)


def test_lbfgs_carries_the_curvature_of_each_place():
    gradients, start = quadratic(SMALL, condition=10)
    *_, (_, state) = trajectory(BY_PLACE, start, gradients, 3)
    state["scale"][:] = np.linspace(1, 2, 5, dtype=np.float32)
    scale = BY_PLACE.resample(state, (8, 10))["scale"]
    np.testing.assert_allclose(scale[..., [0, -1]], np.full((3, 1, 8, 2), [4, 8]), rtol=1e-5)
    assert (np.diff(scale) >= 0).all()


def test_lbfgs_leaves_out_pairs_that_lose_their_curvature():
    """Checks of single pixels are grey at half the size; what is left of them has to be curved."""
    optimizer, shape = LBFGS(history=2), (2, 3, 4, 6)
    state = optimizer.initial_state(shape)
    checks = np.indices(shape[1:]).sum(0).ravel() % 2 - np.float32(0.5)
    state["s"][:, 0] = state["y"][:, 0] = checks
    state["s"][0, 0] += 1e-3
    state["y"][0, 0] -= 1e-3
    state["s"][1, 0] += 1e-3
    state["y"][1, 0] += 1e-3
    state["curvature"][:, 0] = np.einsum("nd,nd->n", state["s"][:, 0], state["y"][:, 0])
    state["step"] += 5
    assert (state["curvature"][:, 0] > 0).all()
    smaller = optimizer.resample(state, (2, 3))
    np.testing.assert_array_equal(smaller["step"], [0, 5])
    np.testing.assert_array_equal(smaller["slot"], [0, 1])
    np.testing.assert_array_equal(smaller["curvature"] > 0, [[False, False], [True, False]])
    for name, fresh in optimizer.initial_state((2, 3, 2, 3)).items():
        np.testing.assert_array_equal(smaller[name][0], fresh[0])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_by_name(name):
    assert optimizer_named(name) == OPTIMIZERS[name]()
    assert optimizer_named(name, 0.5).learning_rate == 0.5


def test_an_unknown_optimizer_is_told_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"Did you mean 'lbfgs'.*adam, lbfgs"):
        optimizer_named("bfgs")


def test_a_history_of_nothing_is_refused():
    with pytest.raises(UsageError, match="at least 1 pair, not 0"):
        LBFGS(history=0)
