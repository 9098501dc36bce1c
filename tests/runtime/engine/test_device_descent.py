"""The loop over buffers on a device: step graphs of a few lines, whose numbers are known."""

import numpy as np
import onnx
import pytest

from nstbatch.runtime.descent.loop import Bounds, StopReason, descend
from nstbatch.runtime.descent.optimizers import LBFGS, Adam
from nstbatch.runtime.devices.providers import resolve
from nstbatch.runtime.engine.device_descent import Descent
from nstbatch.runtime.engine.onnxruntime_session import OnnxRuntimeSession
from nstbatch.runtime.engine.open_session import open_session
from nstbatch.runtime.engine.passes import PassOptions
from nstbatch.runtime.engine.ready_graph import ReadyGraph
from nstbatch.runtime.errors import StoppedError
from nstbatch.runtime.names import GRADIENT, IMAGE, SCALARS, SLOPES, STATE

CPU = resolve("cpu")
SHAPE = (2, 3, 4, 5)
OPTIMIZERS = pytest.mark.parametrize(
    "optimizer", [Adam(learning_rate=0.05), LBFGS(history=3)], ids=lambda o: o.name
)

# Half the squared distance from the goal; once the image is bright, its second loss is not finite.
QUADRATIC = """
    <ir_version: 9, opset_import: ["" : 20]>
    quadratic (float[N, 3, H, W] image, float[N, 3, H, W] goal, float limit, float bad)
        => (float[N, 2] losses, float[N, 3, H, W] gradient)
    <float half = {0.5}, float nil = {0.0}, int64[3] pixels = {1, 2, 3}, int64[1] last = {1}> {
        gradient = Sub(image, goal)
        square = Mul(gradient, gradient)
        sum = ReduceSum<keepdims = 0>(square, pixels)
        distance = Mul(half, sum)
        brightest = ReduceMax<keepdims = 0>(image, pixels)
        is_bright = Greater(brightest, limit)
        planted = Where(is_bright, bad, nil)
        first = Unsqueeze(distance, last)
        second = Unsqueeze(planted, last)
        losses = Concat<axis = 1>(first, second)
    }
"""


class RecordingSession(OnnxRuntimeSession):
    """Writes down which buffers each pass reads and writes."""

    def __init__(self, model, shapes, **options):
        super().__init__(ReadyGraph(model, shapes, CPU, None), threads=1, **options)
        self.passes = []

    def bind(self, inputs, outputs):
        self.passes.append((inputs, outputs))
        return super().bind(inputs, outputs)


@pytest.fixture(scope="module")
def step() -> RecordingSession:
    shapes = {IMAGE: SHAPE, "goal": SHAPE, "limit": (), "bad": ()}
    return RecordingSession(onnx.parser.parse_model(QUADRATIC), shapes)


def update_session(optimizer, **options) -> RecordingSession:
    shapes = dict.fromkeys((IMAGE, GRADIENT), SHAPE) | dict.fromkeys(SCALARS, ())
    shapes |= {STATE + name: shape for name, shape in optimizer.state_shapes(SHAPE).items()}
    return RecordingSession(optimizer.graph(SHAPE), shapes, **options)


def start_and_goal():
    random = np.random.default_rng(0)
    return random.random(SHAPE, np.float32) / 2, random.random(SHAPE, np.float32) / 2 + 0.5


UNBOUNDED = Bounds()


def descent(step, optimizer, *, limit=np.inf, bad=0.0, bounds=UNBOUNDED, update=None):
    images, goal = start_and_goal()
    constants = {"goal": goal, "limit": np.float32(limit), "bad": np.float32(bad)}
    state = optimizer.initial_state(SHAPE)
    update = update or update_session(optimizer)
    return Descent(step, update, optimizer, images, state, constants, bounds)


def no_report(step, losses):
    pass


def never():
    return False


def distances(images):
    return 0.5 * np.square(images - start_and_goal()[1], dtype=np.float64).sum((1, 2, 3))


@OPTIMIZERS
def test_the_loop_goes_down_to_the_minimum(step, optimizer):
    outcome = descend(descent(step, optimizer), 150, no_report, never)
    assert outcome.reason is StopReason.FINISHED
    assert outcome.steps == 150
    assert (distances(outcome.images) < 1e-4 * distances(start_and_goal()[0])).all()


@OPTIMIZERS
@pytest.mark.parametrize("steps", [0, 1, 2, 7])
def test_the_losses_are_those_of_the_images(step, optimizer, steps):
    outcome = descend(descent(step, optimizer), steps, no_report, never)
    assert outcome.steps == steps
    np.testing.assert_allclose(outcome.losses[:, 0], distances(outcome.images), rtol=1e-5)
    assert outcome.losses.shape == (2, 2)
    np.testing.assert_array_equal(outcome.state["step"], [steps, steps])


def test_no_step_leaves_everything_as_it_was(step):
    outcome = descend(descent(step, Adam()), 0, no_report, never)
    np.testing.assert_array_equal(outcome.images, start_and_goal()[0])
    assert outcome.reason is StopReason.FINISHED


@OPTIMIZERS
def test_the_steps_are_those_of_the_update_graph(step, optimizer):
    outcome = descend(descent(step, optimizer), 5, no_report, never)
    images, goal = start_and_goal()
    state, update = optimizer.initial_state(SHAPE), update_session(optimizer)
    for _ in range(5):
        inputs = {IMAGE: images, GRADIENT: images - goal, "lower": -np.inf, "upper": np.inf}
        inputs |= {"learning_rate": optimizer.learning_rate}
        inputs |= {STATE + name: values for name, values in state.items()}
        images, *values = update.run(
            {k: np.array(v, np.float32) for k, v in inputs.items()}
        ).values()
        state = dict(zip(state, values, strict=True))
    np.testing.assert_array_equal(outcome.images, images)
    assert outcome.state.keys() == state.keys()
    for name, values in state.items():
        np.testing.assert_array_equal(outcome.state[name], values, err_msg=name)


@OPTIMIZERS
def test_a_run_goes_on_from_where_another_ended(step, optimizer):
    whole = descend(descent(step, optimizer), 9, no_report, never)
    first = descend(descent(step, optimizer), 4, no_report, never)
    constants = {"goal": start_and_goal()[1], "limit": np.inf, "bad": 0}
    update = update_session(optimizer)
    rest = Descent(step, update, optimizer, first.images, first.state, constants, UNBOUNDED)
    np.testing.assert_array_equal(descend(rest, 5, no_report, never).images, whole.images)


@pytest.mark.parametrize("patience", [0, 3])
def test_a_run_stops_when_asked_to(step, patience):
    asked = []

    def stop():
        asked.append(True)
        return len(asked) > patience

    outcome = descend(descent(step, Adam()), 10, no_report, stop)
    assert outcome.reason is StopReason.STOPPED
    assert outcome.steps == patience
    expected = descend(descent(step, Adam()), patience, no_report, never)
    np.testing.assert_array_equal(outcome.images, expected.images)


@OPTIMIZERS
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_ends_the_run_with_the_images_before_it(step, optimizer, bad):
    limit, reports = 0.6, []
    run = descent(step, optimizer, limit=limit, bad=bad)
    outcome = descend(run, 50, lambda taken, losses: reports.append(losses), never)
    assert outcome.reason is StopReason.NON_FINITE
    assert 0 < outcome.steps < 50
    assert outcome.images.max() <= limit
    assert np.isfinite(reports).all()
    np.testing.assert_array_equal(outcome.losses, reports[-1])
    np.testing.assert_allclose(outcome.losses[:, 0], distances(outcome.images), rtol=1e-5)
    # One more step is the one that went wrong.
    further = descend(descent(step, optimizer), outcome.steps + 1, no_report, never)
    assert further.images.max() > limit


@OPTIMIZERS
@pytest.mark.parametrize("stopped", ["update", "evaluation"])
def test_a_pass_that_is_terminated_ends_the_run_with_the_images_before_it(optimizer, stopped):
    options, reports = PassOptions(), []
    terminated = {"run_options": options}
    step = open_session(
        onnx.parser.parse_model(QUADRATIC),
        {IMAGE: SHAPE, "goal": SHAPE, "limit": (), "bad": ()},
        CPU,
        threads=1,
        **(terminated if stopped == "evaluation" else {}),
    )
    update = update_session(optimizer, **(terminated if stopped == "update" else {}))

    def report(taken, losses):
        reports.append(losses)
        options.terminate = taken == 3

    outcome = descend(descent(step, optimizer, update=update), 50, report, never)
    assert (outcome.reason, outcome.steps) == (StopReason.STOPPED, 3)
    np.testing.assert_array_equal(outcome.losses, reports[-1])
    np.testing.assert_allclose(outcome.losses[:, 0], distances(outcome.images), rtol=1e-5)


def test_a_first_pass_that_is_terminated_has_no_outcome(step):
    options = PassOptions()
    options.terminate = True
    shapes = {IMAGE: SHAPE, "goal": SHAPE, "limit": (), "bad": ()}
    model = onnx.parser.parse_model(QUADRATIC)
    step = open_session(model, shapes, CPU, threads=1, run_options=options)
    with pytest.raises(StoppedError):
        descend(descent(step, Adam()), 50, no_report, never)


def test_pixels_stay_within_their_bounds(step):
    outcome = descend(descent(step, Adam(), bounds=Bounds(0.1, 0.8)), 80, no_report, never)
    assert outcome.images.min() >= np.float32(0.1)
    assert outcome.images.max() == np.float32(0.8)


@OPTIMIZERS
def test_no_buffer_is_read_and_written_by_one_pass_unless_in_place(step, optimizer):
    step.passes.clear()
    update = update_session(optimizer)
    descent(step, optimizer, update=update)
    assert len(step.passes) == len(update.passes) == 2
    for inputs, outputs in step.passes:
        assert not shared(inputs, outputs)
    for inputs, outputs in update.passes:
        assert shared(inputs, outputs) == {STATE + name for name in optimizer.in_place}
    # Each update reads what the other wrote, next to the one gradient.
    (here, there), (back, again) = update.passes
    assert here[IMAGE] is again["image_out"]
    assert back[IMAGE] is there["image_out"]
    assert here[GRADIENT] is back[GRADIENT] is step.passes[0][1][GRADIENT]
    assert [inputs[IMAGE] for inputs, _ in step.passes] == [here[IMAGE], back[IMAGE]]


def shared(inputs, outputs):
    """Names of the inputs whose buffer is an output as well."""
    written = {value.data_ptr() for value in outputs.values()}
    return {name for name, value in inputs.items() if value.data_ptr() in written}


def test_outcomes_are_copies(step):
    run = descent(step, Adam())
    first = descend(run, 1, no_report, never)
    kept = first.images.copy(), first.losses.copy(), first.state["exp_avg"].copy()
    descend(run, 3, no_report, never)
    for values, before in zip(
        (first.images, first.losses, first.state["exp_avg"]), kept, strict=True
    ):
        np.testing.assert_array_equal(values, before)


def test_what_varies_is_drawn_anew_for_every_evaluation(step):
    images, goal = start_and_goal()
    optimizer = Adam(learning_rate=0.05)
    goals = iter([goal, goal, goal + 1, goal + 2])  # the first one tells the shape
    constants = {"limit": np.float32(np.inf), "bad": np.float32(0)}
    moving = Descent(
        step,
        update_session(optimizer),
        optimizer,
        images,
        optimizer.initial_state(SHAPE),
        constants,
        UNBOUNDED,
        lambda: {"goal": next(goals)},
    )
    for shift in range(3):
        expected = 0.5 * np.square(images - goal - shift, dtype=np.float64).sum((1, 2, 3))
        np.testing.assert_allclose(moving.evaluate()[:, 0], expected, rtol=1e-5)


def test_the_slopes_of_a_watched_view_are_taken_after_every_evaluation():
    """Here they are the first colour of the image itself, so each evaluation has its own."""
    model = onnx.parser.parse_model(QUADRATIC)
    red = onnx.helper.make_node("Slice", [IMAGE, "nought", "single", "single"], [SLOPES])
    values = {"nought": np.array([0]), "single": np.array([1])}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(v, k) for k, v in values.items())
    model.graph.node.append(red)
    shape = (SHAPE[0], 1, *SHAPE[2:])
    slopes = onnx.helper.make_tensor_value_info(SLOPES, onnx.TensorProto.FLOAT, shape)
    model.graph.output.append(slopes)
    shapes = {IMAGE: SHAPE, "goal": SHAPE, "limit": (), "bad": ()}
    optimizer = Adam(learning_rate=0.05)
    images, goal = start_and_goal()
    constants = {"goal": goal, "limit": np.float32(np.inf), "bad": np.float32(0)}
    taken = []
    watched = Descent(
        *(RecordingSession(model, shapes), update_session(optimizer), optimizer, images),
        *(optimizer.initial_state(SHAPE), constants, UNBOUNDED),
        watch=lambda values: taken.append(values.copy()),
    )
    outcome = descend(watched, 3, no_report, never)
    assert len(taken) == 4
    np.testing.assert_array_equal(taken[0], images[:, :1])
    np.testing.assert_array_equal(taken[3], outcome.images[:, :1])
    assert (taken[1] != taken[2]).any()


# --- Looking every few steps --------------------------------------------------------------------


def seldom(step, optimizer, every, **options):
    images, goal = start_and_goal()
    bad, limit = options.pop("bad", 0.0), options.pop("limit", np.inf)
    constants = {"goal": goal, "limit": np.float32(limit), "bad": np.float32(bad)}
    state, update = optimizer.initial_state(SHAPE), update_session(optimizer)
    return Descent(step, update, optimizer, images, state, constants, UNBOUNDED, look_every=every)


@pytest.mark.parametrize("steps", [1, 3, 4, 8, 10])
def test_steps_are_the_same_however_often_one_looks(step, steps):
    reports = []
    outcome = descend(
        seldom(step, Adam(), 4), steps, lambda taken, losses: reports.append(taken), never
    )
    expected = descend(descent(step, Adam()), steps, no_report, never)
    np.testing.assert_array_equal(outcome.images, expected.images)
    np.testing.assert_array_equal(outcome.losses, expected.losses)
    np.testing.assert_array_equal(outcome.state["exp_avg"], expected.state["exp_avg"])
    assert (outcome.steps, outcome.reason) == (steps, StopReason.FINISHED)
    assert reports == sorted({*range(0, steps, 4), steps})


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_leads_back_to_the_last_look(step, bad):
    brighter = descend(descent(step, Adam()), 6, no_report, never).images.max(axis=(1, 2, 3)).min()
    outcome = descend(seldom(step, Adam(), 4, limit=brighter, bad=bad), 20, no_report, never)
    assert outcome.reason is StopReason.NON_FINITE
    assert outcome.steps % 4 == 0
    expected = descend(descent(step, Adam()), outcome.steps, no_report, never)
    np.testing.assert_array_equal(outcome.images, expected.images)
    np.testing.assert_array_equal(outcome.losses, expected.losses)
    np.testing.assert_array_equal(outcome.state["exp_avg_sq"], expected.state["exp_avg_sq"])


def test_a_stop_is_heard_between_two_looks(step):
    asked = []
    outcome = descend(
        seldom(step, Adam(), 4), 20, no_report, lambda: asked.append(True) or len(asked) > 6
    )
    expected = descend(descent(step, Adam()), outcome.steps, no_report, never)
    assert outcome.reason is StopReason.STOPPED
    assert outcome.steps == 6
    np.testing.assert_array_equal(outcome.images, expected.images)
    np.testing.assert_array_equal(outcome.losses, expected.losses)


def test_a_terminated_step_leads_back_to_the_last_look(step, monkeypatch):
    run = seldom(step, Adam(), 4)
    passes = []

    def terminated():
        passes.append(True)
        if len(passes) == 7:
            raise StoppedError
        return type(run).compute(run)

    monkeypatch.setattr(run, "compute", terminated)
    outcome = descend(run, 20, no_report, never)
    expected = descend(descent(step, Adam()), 4, no_report, never)
    assert (outcome.reason, outcome.steps) == (StopReason.STOPPED, 4)
    np.testing.assert_array_equal(outcome.images, expected.images)


def test_a_state_that_is_held_once_is_looked_at_after_every_step(step):
    assert seldom(step, LBFGS(history=3), 4).look_every == 1
    assert seldom(step, Adam(), 4).look_every == 4
