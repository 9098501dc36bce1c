"""Pictures of several threads, stepped as one batch: each moves as if it were alone."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nstbatch.exporter.checks.pictures import photo_like
from nstbatch.runtime.descent.loop import StopReason, descend
from nstbatch.runtime.engine.batching import Batcher, Start
from nstbatch.runtime.errors import StoppedError, UsageError
from nstbatch.runtime.style.style_transfer_options import StyleTransferOptions
from nstbatch.runtime.systems import system
from nstbatch.runtime.systems.style_transfer import StyleTransfer

WAIT = 30  # seconds; for a test that hangs


class Towards:
    """A descent of (N, 3, H, W) whose pictures take a tenth of the way to their goals each step."""

    opened: ClassVar[list[int]] = []
    """The number of rows of every descent that was opened, in order."""

    def __init__(self, start, *, fails=None):
        Towards.opened.append(len(start.images))
        self.now = self.then = (start.images, start.state)
        self.goal, self.fails = start.constants["goal"], fails

    look_every = 1

    def hold(self):
        self.then = self.now

    def advance(self):
        images, state = self.now
        moved = images + np.float32(0.1) * (self.goal - images)
        self.now = (moved, {"step": state["step"] + 1})

    def update(self):
        if self.look_every == 1:
            self.hold()
        self.advance()

    def evaluate(self):
        if self.fails is not None:
            self.fails()
        images, _ = self.now
        distance = np.square(images - self.goal).sum((1, 2, 3))
        return np.stack([distance, np.where(self.goal[:, 0, 0, 0] < 0, np.nan, 0)], 1)

    def snapshot(self, *, before=False):
        images, state = self.then if before else self.now
        return images.copy(), {name: values.copy() for name, values in state.items()}


@pytest.fixture(autouse=True)
def opened(monkeypatch):
    monkeypatch.setattr(Towards, "opened", [])
    return Towards.opened


def start_of(number, goal=None, size=4):
    images = np.full((1, 3, size, size), number / 10, np.float32)
    goal = np.full_like(images, number if goal is None else goal)
    return Start(images, {"step": np.zeros(1, np.float32)}, {"goal": goal})


def run_levels(batcher, number, steps, *, open_descent=Towards, size=4, goal=None, alone=False):
    """One picture through several descents of so many steps each; the outcomes."""
    outcomes = []
    with batcher.picture():
        for level, count in enumerate(steps):
            key = None if alone else (level, size)
            seat = batcher.join(start_of(number, goal, size), open_descent, key)
            with closing(seat):
                outcomes.append(descend(seat, count, lambda *_: None, lambda: False))
    return outcomes


def never():
    return False


def side_by_side(tasks, threads=None):
    """What functions return that are called in threads of their own."""
    with ThreadPoolExecutor(threads or len(tasks)) as pool:
        return [future.result(WAIT) for future in [pool.submit(task) for task in tasks]]


def expected(number, steps, goal=None):
    alone = Towards(start_of(number, goal))
    for _ in range(steps):
        alone.update()
    return alone.now[0]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=3), min_size=1, max_size=7),
    st.integers(1, 5),
    st.integers(1, 7),
)
def test_every_picture_moves_as_if_it_were_alone(plans, most, threads):
    batcher = Batcher(most)
    tasks = [partial(run_levels, batcher, n, steps) for n, steps in enumerate(plans)]
    for number, (steps, outcomes) in enumerate(
        zip(plans, side_by_side(tasks, threads), strict=True)
    ):
        for count, outcome in zip(steps, outcomes, strict=True):
            assert (outcome.steps, outcome.reason) == (count, StopReason.FINISHED)
            np.testing.assert_array_equal(outcome.images, expected(number, count))
            np.testing.assert_array_equal(outcome.state["step"], [count])
            distance = np.square(outcome.images - number).sum()
            np.testing.assert_allclose(outcome.losses, [[distance, 0]], rtol=1e-5)


def test_pictures_of_one_key_are_one_batch_from_the_first_step_they_share(opened):
    batcher, together = Batcher(4), threading.Barrier(4)

    def run(number):
        with batcher.picture():
            seat = batcher.join(start_of(number), Towards, "key")
            together.wait(WAIT)  # nobody has taken a step yet
            with closing(seat):
                return descend(seat, 3, lambda *_: None, lambda: False)

    side_by_side([partial(run, number) for number in range(4)])
    assert opened == [4]


def test_rows_are_powers_of_two_or_as_many_as_asked_for(opened):
    batcher, together = Batcher(3), threading.Barrier(5)

    def run(number):
        with batcher.picture():
            seat = batcher.join(start_of(number), Towards, "key")
            together.wait(WAIT)
            with closing(seat):
                return descend(seat, 2 + number, lambda *_: None, lambda: False)

    outcomes = side_by_side([partial(run, number) for number in range(5)])
    for number, outcome in enumerate(outcomes):
        np.testing.assert_array_equal(outcome.images, expected(number, 2 + number))
    assert opened[0] == 3  # a power of two would be four
    assert set(opened) <= {1, 2, 3}


def test_who_leaves_makes_room_for_the_next():
    batcher, order, lock = Batcher(2), [], threading.Lock()

    def run(number):
        with batcher.picture(), closing(batcher.join(start_of(number), Towards, "key")) as seat:
            outcome = descend(seat, 2 if number == 0 else 20, lambda *_: None, lambda: False)
        with lock:
            order.append(number)
        return outcome

    outcomes = side_by_side([partial(run, number) for number in range(3)])
    assert order[0] == 0
    for number, outcome in enumerate(outcomes):
        np.testing.assert_array_equal(outcome.images, expected(number, outcome.steps))


def test_a_picture_that_fails_leaves_with_its_last_good_state_and_the_others_go_on():
    batcher, together = Batcher(4), threading.Barrier(3)

    def run(number):
        goals = []

        def turn_bad(*_):
            goals.append(1)

        with batcher.picture():
            # Its second loss is not a number from the start on.
            seat = batcher.join(start_of(number, goal=-1 if number == 1 else 5), Towards, "key")
            together.wait(WAIT)
            with closing(seat):
                return descend(seat, 6, turn_bad, lambda: False)

    outcomes = side_by_side([partial(run, number) for number in range(3)])
    assert outcomes[1].reason is StopReason.NON_FINITE
    assert outcomes[1].steps == 0
    np.testing.assert_array_equal(outcomes[1].images, start_of(1).images)
    for number in (0, 2):
        assert outcomes[number].reason is StopReason.FINISHED
        np.testing.assert_array_equal(outcomes[number].images, expected(number, 6, goal=5))


@pytest.mark.parametrize("joins", [False, True])
def test_what_was_before_the_update_is_known_also_where_somebody_joined(joins):
    batcher = Batcher(2)
    here = batcher.join(start_of(0, goal=1), Towards, "key")
    with closing(here):
        here.evaluate()
        here.to_next_look(9, never)
        before = here.images
        if joins:
            with ThreadPoolExecutor(1) as pool:
                other = batcher.join(start_of(3), Towards, "key")
                evaluation = pool.submit(other.evaluate)
                here.to_next_look(8, never)
                evaluation.result(WAIT)
                other.close()
        else:
            here.to_next_look(8, never)
        assert not np.array_equal(here.images, before)
        here.step_back()
        np.testing.assert_array_equal(here.images, before)
        np.testing.assert_array_equal(here.state["step"], [1])


@pytest.mark.parametrize("steps", [[7], [4, 9, 1], [12]])
def test_where_losses_are_seldom_looked_at_all_move_as_far_as_all_may(monkeypatch, steps):
    monkeypatch.setattr(Towards, "look_every", 5)
    batcher, together = Batcher(4), threading.Barrier(len(steps))

    def run(number):
        looks = []
        with batcher.picture():
            seat = batcher.join(start_of(number), Towards, "key")
            together.wait(WAIT)
            with closing(seat):
                outcome = descend(seat, steps[number], lambda *at: looks.append(at[0]), never)
        return outcome, looks

    for number, (outcome, looks) in enumerate(
        side_by_side([partial(run, number) for number in range(len(steps))])
    ):
        assert outcome.steps == looks[-1] == steps[number]
        np.testing.assert_array_equal(outcome.images, expected(number, steps[number]))
        if len(steps) == 1:
            assert looks == [*range(0, steps[0], 5), steps[0]]


def test_a_loss_that_is_not_finite_goes_back_to_the_last_look(monkeypatch):
    monkeypatch.setattr(Towards, "look_every", 5)
    batcher = Batcher(2)
    with closing(batcher.join(start_of(2), Towards, "key")) as seat:
        seat.evaluate()
        assert seat.to_next_look(20, never)[1] == 5
        good = seat.images
        seat.to_next_look(15, never)
        seat.step_back()
        np.testing.assert_array_equal(seat.images, good)
        np.testing.assert_array_equal(good, expected(2, 5))


def test_a_run_that_is_terminated_keeps_the_images_of_before():
    calls = []

    def fails():
        calls.append(1)
        if len(calls) == 4:
            raise StoppedError

    batcher = Batcher(2)
    outcome = run_levels(batcher, 3, [10], open_descent=partial(Towards, fails=fails))[0]
    assert (outcome.reason, outcome.steps) == (StopReason.STOPPED, 2)
    np.testing.assert_array_equal(outcome.images, expected(3, 2))


def test_an_error_reaches_every_picture_of_the_batch_and_no_other():
    batcher, together = Batcher(4), threading.Barrier(3)

    def broken():
        raise RuntimeError("the device is gone")

    def run(number, key, open_descent):
        with batcher.picture():
            seat = batcher.join(start_of(number), open_descent, key)
            together.wait(WAIT)
            with closing(seat):
                return descend(seat, 2, lambda *_: None, lambda: False)

    with ThreadPoolExecutor(3) as pool:
        bad = [pool.submit(run, n, "bad", partial(Towards, fails=broken)) for n in range(2)]
        good = pool.submit(run, 2, "good", Towards)
        for future in bad:
            with pytest.raises(RuntimeError, match="device is gone"):
                future.result(WAIT)
        assert good.result(WAIT).reason is StopReason.FINISHED


def test_one_at_a_time_the_oldest_is_done_first():
    batcher, order, first_is_in = Batcher(1), [], threading.Event()

    def run(number):
        if number:
            first_is_in.wait(WAIT)
        with batcher.picture():
            for level in range(3):
                with closing(batcher.join(start_of(number), Towards, level)) as seat:
                    first_is_in.set()
                    descend(seat, 5, lambda *_: order.append(number), lambda: False)

    side_by_side([partial(run, number) for number in range(2)])
    assert order == [0] * 18 + [1] * 18


def test_the_largest_group_goes_first():
    batcher, order, together = Batcher(4), [], threading.Barrier(3)

    def run(number, key):
        with batcher.picture():
            seat = batcher.join(start_of(number), Towards, key)
            together.wait(WAIT)
            with closing(seat):
                descend(seat, 2, lambda *_: order.append(key), lambda: False)

    side_by_side([partial(run, 0, "one"), partial(run, 1, "two"), partial(run, 2, "two")])
    assert order == ["two"] * 6 + ["one"] * 3


def test_what_is_exclusive_has_no_step_beside_it():
    batcher, inside = Batcher(2), []

    def watched():
        assert not inside

    def compute():
        for _ in range(50):
            with batcher.exclusive():
                inside.append(1)
                inside.pop()

    step = partial(run_levels, batcher, 1, [50], open_descent=partial(Towards, fails=watched))
    side_by_side([step, compute, compute])


# --- With a network ---------------------------------------------------------------------------

OPTIONS = StyleTransferOptions(size=64, iterations=12, scales=2, optimizer="adam")


@pytest.fixture(scope="module")
def painted_alone():
    transfer = StyleTransfer("squeezenet1_1", device="cpu", threads=1)
    return [transfer(photo(n), photo(9), OPTIONS) for n in range(3)]


def photo(seed):
    return photo_like(np.random.default_rng(seed), 48, 64).transpose(1, 2, 0)


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_photos_of_several_threads_are_painted_as_alone(painted_alone, batch):
    transfer = StyleTransfer("squeezenet1_1", device="cpu", threads=1)
    transfer.engine.share(batch)
    tasks = [partial(transfer, photo(n), photo(9), OPTIONS) for n in range(3)]
    for result, alone in zip(side_by_side(tasks), painted_alone, strict=True):
        assert result.steps == alone.steps
        if batch == 1:
            np.testing.assert_array_equal(result.image, alone.image)
            assert result.losses == alone.losses
        else:  # convolutions round differently for another batch
            np.testing.assert_allclose(result.image, alone.image, atol=2e-3)
            assert result.losses["total"] == pytest.approx(alone.losses["total"], rel=1e-3)


def test_a_checkpoint_of_a_batch_is_gone_on_from_alone(tmp_path, monkeypatch, painted_alone):
    every_step = partial(system.CheckpointFile, every=0)
    monkeypatch.setattr(system, "CheckpointFile", every_step)
    transfer = StyleTransfer("squeezenet1_1", device="cpu", threads=1)
    transfer.engine.share(2)
    answers = [iter([False] * 8 + [True]) for _ in range(2)]

    def run(number):
        return transfer(
            photo(number),
            photo(9),
            OPTIONS,
            checkpoint=tmp_path / f"{number}.npz",
            stop=lambda: next(answers[number]),
        )

    for result in side_by_side([partial(run, 0), partial(run, 1)]):
        assert (result.reason, result.steps) == (StopReason.STOPPED, 8)
    rest = StyleTransfer("squeezenet1_1", device="cpu", threads=1)
    for number in range(2):
        result = rest(photo(number), photo(9), OPTIONS, checkpoint=tmp_path / f"{number}.npz")
        assert result.steps == OPTIONS.iterations
        np.testing.assert_allclose(result.image, painted_alone[number].image, atol=2e-3)


def test_a_shared_engine_can_be_terminated(monkeypatch):
    transfer = StyleTransfer("squeezenet1_1", device="cpu", threads=1)
    transfer.engine.share(2)
    steps, both, descent = {0: 0, 1: 0}, threading.Barrier(2), transfer.engine.descent

    def with_the_other(*args, **options):
        seat = descent(*args, **options)
        both.wait(WAIT)
        return seat

    monkeypatch.setattr(transfer.engine, "descent", with_the_other)

    def run(number):
        def progress(now):
            steps[number] = now.step
            if min(steps.values()) == 3:  # both have come so far
                transfer.engine.terminate()

        return transfer(photo(number), photo(9), OPTIONS, progress=progress)

    for number, result in enumerate(side_by_side([partial(run, 0), partial(run, 1)])):
        assert result.reason is StopReason.STOPPED
        assert result.steps == steps[number] < OPTIONS.iterations
        assert np.isfinite(result.image).all()


def test_threads_may_also_share_an_engine_that_brings_nobody_together():
    transfer = StyleTransfer("squeezenet1_1", device="cpu", threads=1)
    tasks = [partial(transfer, photo(n), photo(9), OPTIONS) for n in range(2)]
    for number, result in enumerate(side_by_side(tasks)):
        alone = transfer(photo(number), photo(9), OPTIONS)
        np.testing.assert_array_equal(result.image, alone.image)


def test_after_a_lack_of_memory_batches_are_smaller(monkeypatch):
    transfer = StyleTransfer("squeezenet1_1", device="cpu", threads=1)
    transfer.engine.use_less_memory()  # nobody shares it
    transfer.engine.share(4)
    transfer.engine.use_less_memory()
    sizes = []
    monkeypatch.setattr(
        Batcher,
        "join",
        lambda self, start, open_descent, key=None, join=Batcher.join: (
            sizes.append(self.most) or join(self, start, open_descent, key)
        ),
    )
    transfer(photo(0), photo(9), StyleTransferOptions(size=64, iterations=1, scales=1))
    for _ in range(5):
        transfer.engine.use_less_memory()
    transfer(photo(0), photo(9), StyleTransferOptions(size=64, iterations=1, scales=1))
    assert sizes == [2, 1]


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_has_a_picture(batch):
    transfer = StyleTransfer("squeezenet1_1", device="cpu", threads=1)
    with pytest.raises(UsageError, match="batch must be"):
        transfer.engine.share(batch)


def test_a_callback_that_would_wait_for_itself_is_told_so():
    transfer = StyleTransfer("squeezenet1_1", device="cpu", threads=1)
    transfer.engine.share(1)

    def nested(now):
        transfer(photo(1), photo(9), OPTIONS)

    with pytest.raises(UsageError, match="already working on a picture"):
        transfer(photo(0), photo(9), OPTIONS, progress=nested)
    assert transfer(photo(0), photo(9), OPTIONS).steps == OPTIONS.iterations


@pytest.mark.parametrize(("most", "waits"), [(1, True), (2, False)])
def test_waiting_for_the_pictures_of_others_is_counted(most, waits):
    """Steps that a picture shares are its own work: all of each."""
    step, steps = 0.02, 5
    batcher, together = Batcher(most), threading.Barrier(2)
    slow = partial(Towards, fails=partial(time.sleep, step))

    def run(number):
        with batcher.picture():
            seat = batcher.join(start_of(number), slow, "key")
            together.wait(WAIT)
            began = time.perf_counter()
            with closing(seat):
                descend(seat, steps, lambda *_: None, lambda: False)
            return time.perf_counter() - began - batcher.waited, batcher.waited

    (own, waited), (other_own, other_waited) = side_by_side([partial(run, n) for n in range(2)])
    assert min(own, other_own) >= (steps + 1) * step
    if waits:
        assert max(waited, other_waited) >= steps * step
