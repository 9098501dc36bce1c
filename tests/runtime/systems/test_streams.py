"""Streams: order, errors, bounds, and that nothing is left of them."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import numpy as np
import pytest

import nstbatch
from nstbatch.runtime.errors import ImageError, UsageError
from nstbatch.runtime.systems.streams import AHEAD, Stop, stream

WAIT = 20


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if "nstbatch-stream" in each.name]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    gc.collect()
    assert not threads()


def doubled(item: int, stop: Stop) -> int:
    return 2 * item


def test_results_come_in_order_or_as_they_are_ready() -> None:
    turn = [threading.Event() for _ in range(3)]

    def backwards(item: int, stop: object) -> int:
        """Item 2 is ready first, then item 1, then item 0."""
        if item < 2:
            assert turn[item + 1].wait(WAIT)
        turn[item].set()
        return item

    assert [made.get() for made in stream(backwards, range(3), at_once=3)] == [0, 1, 2]
    for event in turn:
        event.clear()
    got = [made.get() for made in stream(backwards, range(3), at_once=3, in_order=False)]
    assert sorted(got) == [0, 1, 2]


def test_what_is_ready_first_comes_first_if_order_does_not_count() -> None:
    first_is_seen = threading.Event()

    def make(item: str, stop: object) -> str:
        if item == "slow":
            assert first_is_seen.wait(WAIT)
        return item

    got = []
    for made in stream(make, ["slow", "quick"], at_once=2, in_order=False):
        got.append((made.index, made.get()))
        first_is_seen.set()
    assert got == [(1, "quick"), (0, "slow")]


def test_a_failed_item_is_a_result_with_its_error() -> None:
    def make(item: int, stop: object) -> float:
        return 1 / item

    zero, one = stream(make, [0, 1])
    assert (zero.index, zero.item, zero.result) == (0, 0, None)
    assert isinstance(zero.error, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        zero.get()
    assert one.get() == 1


def test_an_error_of_the_source_comes_after_the_items_before_it() -> None:
    def source() -> Iterator[int]:
        yield from range(3)
        raise OSError("the camera is gone")

    numbers = stream(doubled, source(), at_once=2)
    assert [next(numbers).get() for _ in range(3)] == [0, 2, 4]
    with pytest.raises(OSError, match="camera"):
        next(numbers)


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_source_may_be_endless(at_once: int) -> None:
    taken = 0

    def source() -> Iterator[int]:
        nonlocal taken
        while True:
            yield taken
            taken += 1

    numbers = stream(doubled, source(), at_once=at_once)
    for expected in range(50):
        assert next(numbers).get() == 2 * expected
        assert taken <= expected + AHEAD * at_once + 1
    numbers.close()


def test_a_consumer_that_leaves_stops_the_runs_under_way() -> None:
    begun, stopped = threading.Barrier(4), []

    def until_stopped(item: int, stop: Stop) -> int:
        if item:
            begun.wait(WAIT)
            while not stop():
                threading.Event().wait(0.01)
            stopped.append(item)
        return item

    for made in stream(until_stopped, range(10), at_once=3):
        assert made.get() == 0
        begun.wait(WAIT)  # with the three others that have begun
        break
    gc.collect()
    assert sorted(stopped) == [1, 2, 3]


@pytest.mark.parametrize("at_once", [0, -1, 1.5])
def test_the_number_of_threads_is_checked_before_the_first_item(at_once: int) -> None:
    with pytest.raises(UsageError, match="at_once must be"):
        stream(doubled, [1], at_once=at_once)


# --- With a network ---------------------------------------------------------------------------

OPTIONS = nstbatch.StyleTransferOptions(size=48, iterations=4, scales=1, optimizer="adam")
PHOTOS = np.random.default_rng(0).random((3, 40, 48, 3), np.float32)


@pytest.fixture(scope="module")
def transfer() -> nstbatch.StyleTransfer:
    return nstbatch.StyleTransfer("squeezenet1_1", device="cpu", threads=1)


def test_map_paints_every_photo_and_keeps_what_failed(transfer: nstbatch.StyleTransfer) -> None:
    photos = [PHOTOS[0], np.zeros((3, 3)), "missing.jpg", PHOTOS[1]]
    alone = [transfer(photo, PHOTOS[2], OPTIONS).image for photo in PHOTOS[:2]]
    made = list(transfer.map(photos, PHOTOS[2], OPTIONS))
    np.testing.assert_array_equal(made[0].get().image, alone[0])
    np.testing.assert_array_equal(made[3].get().image, alone[1])
    assert all(isinstance(each.error, ImageError) for each in made[1:3])


def test_map_checks_the_style_and_the_options_at_once(transfer: nstbatch.StyleTransfer) -> None:
    with pytest.raises(ImageError):
        transfer.map(PHOTOS, "missing.jpg", OPTIONS)
    with pytest.raises(UsageError, match="batch must be"):
        transfer.map(PHOTOS, PHOTOS[2], OPTIONS, together=0)


def test_every_system_of_one_picture_has_map() -> None:
    options = nstbatch.DreamOptions(size=64, iterations=1, octaves=1)
    with nstbatch.DeepDream("squeezenet1_1", device="cpu", threads=1) as dream:
        alone = [dream(photo, options).image for photo in PHOTOS]
        made = [each.get().image for each in dream.map(PHOTOS, options)]
    np.testing.assert_array_equal(made, alone)
    for system in (nstbatch.Texture, nstbatch.ClassPicture, nstbatch.Reconstruction):
        assert system.map is nstbatch.DeepDream.map


def test_a_closed_network_says_so_and_frees_its_sessions() -> None:
    with nstbatch.StyleTransfer("squeezenet1_1", device="cpu", threads=1) as transfer:
        transfer(PHOTOS[0], PHOTOS[1], OPTIONS)
        assert len(transfer.engine._sessions) > 0
    assert len(transfer.engine._sessions) == 0
    with pytest.raises(UsageError, match="was closed"):
        transfer(PHOTOS[0], PHOTOS[1], OPTIONS)
    transfer.close()


def test_closing_ends_the_calls_of_other_threads() -> None:
    transfer = nstbatch.StyleTransfer("squeezenet1_1", device="cpu", threads=1)
    long = nstbatch.StyleTransferOptions(size=48, iterations=100_000, scales=1)
    begun, results = threading.Event(), []

    def paint() -> None:
        results.append(transfer(PHOTOS[0], PHOTOS[1], long, progress=lambda now: begun.set()))

    thread = threading.Thread(target=paint)
    thread.start()
    assert begun.wait(WAIT)
    transfer.close()
    thread.join(WAIT)
    assert results[0].reason.name == "STOPPED"
